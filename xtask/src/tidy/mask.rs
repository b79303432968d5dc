//! Rust source with everything blanked out that is not code. Knows comments, strings and
//! character literals; refuses to know what the code means.
//!
//! The result has the same length and the same lines, so that places in one are places in the
//! other. The forms of literals follow the Rust Reference, chapter "Tokens".

/// Replaces each byte of a comment or literal by a space, and keeps the line ends.
pub(super) fn mask(text: &str) -> String {
    let mut masked = text.as_bytes().to_vec();
    let mut place = 0;
    while place < text.len() {
        let end = literal_end(text, place);
        if let Some(end) = end {
            for byte in &mut masked[place..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        place = end.unwrap_or_else(|| word_end(text, place));
    }
    String::from_utf8(masked).expect("whole characters were replaced by spaces")
}

/// The end of the comment or literal which begins here, if one does.
fn literal_end(text: &str, start: usize) -> Option<usize> {
    let rest = &text[start..];
    if rest.starts_with("//") {
        return Some(rest.find('\n').map_or(text.len(), |length| start + length));
    }
    if rest.starts_with("/*") {
        return Some(start + block_comment_length(rest));
    }
    if rest.starts_with('\'') {
        return character_length(rest).map(|length| start + length);
    }
    let prefix = ["br", "cr", "b", "c", "r", ""]
        .into_iter()
        .find(|prefix| rest.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['"', '#', '\''])))?;
    let quoted = &rest[prefix.len()..];
    let length = if prefix.ends_with('r') {
        raw_string_length(quoted)?
    } else if quoted.starts_with('"') {
        string_length(quoted)
    } else if prefix == "b" && quoted.starts_with('\'') {
        character_length(quoted)?
    } else {
        return None;
    };
    Some(start + prefix.len() + length)
}

/// Where the next token may begin: behind a whole word, so that the `r` of `for` opens no string.
fn word_end(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let word = rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '_')).unwrap_or(rest.len());
    let first = rest.chars().next().map_or(1, char::len_utf8);
    start + word.max(first)
}

/// Block comments nest.
fn block_comment_length(text: &str) -> usize {
    let (mut depth, mut place) = (0_usize, 0);
    while place < text.len() {
        let rest = &text.as_bytes()[place..];
        if rest.starts_with(b"/*") {
            depth += 1;
            place += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            place += 2;
            if depth == 0 {
                return place;
            }
        } else {
            place += 1;
        }
    }
    text.len()
}

/// A character literal; a lifetime has no closing quote where one would stand.
fn character_length(text: &str) -> Option<usize> {
    let inner = &text[1..];
    if inner.starts_with('\\') {
        // The character behind the backslash may itself be a quote.
        let close = inner.get(2..)?.find('\'')?;
        return Some(1 + 2 + close + 1);
    }
    let letter = inner.chars().next()?;
    inner[letter.len_utf8()..].starts_with('\'').then_some(1 + letter.len_utf8() + 1)
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    text.len()
}

/// `"…"`, `#"…"#`, `##"…"##`; a raw identifier (`r#type`) is none of them.
fn raw_string_length(text: &str) -> Option<usize> {
    let n_hashes = text.bytes().take_while(|byte| *byte == b'#').count();
    let inner = text[n_hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(n_hashes));
    let length = inner.find(&close).map_or(inner.len(), |place| place + close.len());
    Some(n_hashes + 1 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(mask(text), expected, "of {text:?}");
    }

    #[test]
    fn comments_are_blanked_and_line_ends_stay() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d\n */ e", "a               \n    e");
        check("/// docs\nfn a() {}", "        \nfn a() {}");
    }

    #[test]
    fn strings_of_every_form_are_blanked() {
        check(r#"f("a\"b", c)"#, "f(      , c)");
        check(r#"f(r"a\", b)"#, "f(     , b)");
        check(r##"f(r#"a"b"#, b)"##, "f(        , b)");
        check(r##"f(br#"a"#, cr"x", b"y", c"z")"##, "f(       ,      ,     ,     )");
        check("\"fn a() {\n todo!()\"", "         \n         ");
    }

    #[test]
    fn characters_are_blanked_and_lifetimes_are_not() {
        let characters = "'{' 'a' '\\'' '\\u{7f}' b'\"' '\"'";
        check(characters, &" ".repeat(characters.len()));
        check("fn a<'a>(b: &'a str) -> &'static str", "fn a<'a>(b: &'a str) -> &'static str");
        check("'ü' x", "     x");
    }

    #[test]
    fn a_word_that_ends_like_a_prefix_opens_nothing() {
        check("for \"a\"", "for    ");
        check("attr#b r#type", "attr#b r#type");
    }

    #[test]
    fn what_is_never_closed_reaches_to_the_end() {
        check("a \"b", "a   ");
        check("a /* b", "a     ");
        check("a r#\"b\"", "a      ");
    }
}
