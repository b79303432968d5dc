//! How a value looks in a log line: words between quotes or bare, numbers with as few digits as will do.

use std::fmt::Write as _;

/// A number. Those of milliseconds to the microsecond, which most are, have a short way: finding the shortest
/// digits of any other costs ten times as much.
pub(crate) fn number(text: &mut String, value: f64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between those bounds")]
    let nearest = (0.0..1e12).contains(&value).then(|| (value * 1_000.0).round() as u64);
    #[expect(clippy::cast_precision_loss, reason = "exact: it is below 2^53")]
    let exact = nearest.filter(|nearest| (*nearest as f64 / 1_000.0).to_bits() == value.to_bits());
    match exact {
        Some(exact) => thousandths(text, exact),
        // Writing to a `String` cannot fail.
        None => _ = write!(text, "{value}"),
    }
}

/// So many thousandths, as a decimal fraction of as few digits as will do.
pub(crate) fn thousandths(text: &mut String, thousandths: u64) {
    let (whole, rest) = (thousandths / 1_000, thousandths % 1_000);
    text.push_str(itoa::Buffer::new().format(whole));
    if rest > 0 {
        let zeros = if rest.is_multiple_of(100) { 2 } else { usize::from(rest.is_multiple_of(10)) };
        text.push('.');
        // With a thousand more it has its leading zeros.
        text.push_str(&itoa::Buffer::new().format(1_000 + rest)[1..4 - zeros]);
    }
}

/// Words for people: between quotes only where they would be mistaken without.
pub(crate) fn quoted_if_needed(text: &mut String, words: &str) {
    if needs_quotes(words) { quoted(text, words) } else { text.push_str(words) }
}

fn needs_quotes(words: &str) -> bool {
    let strange = |character: char| {
        character.is_whitespace() || is_unseen(character) || character == '"' || character == '='
    };
    let plain = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b'"' && byte != b'=';
    words.is_empty() || !all(words, plain) && words.contains(strange)
}

/// Does it act on what is shown without being seen: a control character, or one that turns the direction of what
/// follows, or takes no room? (<https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>)
fn is_unseen(character: char) -> bool {
    let format = matches!(
        character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    );
    format || character.is_control()
}

/// Are all bytes such? Eight are looked at together, and of those at the end some twice: compilers know how to
/// compare many bytes at once, unless they may stop at the first.
fn all(words: &str, such: impl Fn(u8) -> bool) -> bool {
    let all_of = |bytes: &[u8; 8]| bytes.iter().fold(true, |all, byte| all & such(*byte));
    let bytes = words.as_bytes();
    match bytes.last_chunk() {
        Some(last) => bytes.as_chunks().0.iter().all(all_of) && all_of(last),
        None => bytes.iter().all(|byte| such(*byte)),
    }
}

/// A JSON string.
pub(crate) fn quoted(text: &mut String, words: &str) {
    text.push('"');
    if all(words, |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        text.push_str(words);
    } else {
        escaped(text, words);
    }
    text.push('"');
}

#[cold]
fn escaped(text: &mut String, words: &str) {
    words.chars().for_each(|character| escape(text, character));
}

fn escape(text: &mut String, character: char) {
    match character {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\t' => text.push_str("\\t"),
        other if is_unseen(other) => {
            let _ = write!(text, "\\u{:04x}", u32::from(other));
        }
        other => text.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(words: &str) -> String {
        let mut text = String::new();
        quoted(&mut text, words);
        text
    }

    #[test]
    fn strings_are_quoted_as_json_wants() {
        let table = [
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("line\nbreak\ttab\u{1}", r#""line\nbreak\ttab\u0001""#),
            ("\u{7f}\u{9b}", r#""\u007f\u009b""#),
            ("straße 中", "\"straße 中\""),
            ("", r#""""#),
        ];
        for (words, expect) in table {
            assert_eq!(json(words), expect);
            assert_eq!(serde_json::from_str::<String>(&json(words)).unwrap(), words);
        }
    }

    #[test]
    fn what_turns_or_hides_text_is_escaped_as_control_characters_are() {
        for unseen in [0x7f, 0x61c, 0x200b, 0x200f, 0x2028, 0x202e, 0x2060, 0x2066, 0x2069, 0xfeff] {
            let words = format!("opus{}5", char::from_u32(unseen).unwrap());
            let mut text = String::new();
            quoted_if_needed(&mut text, &words);
            assert_eq!(text, format!("\"opus\\u{unseen:04x}5\""));
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), words);
        }
        for seen in ["straße", "中", "\u{2010}", "\u{2030}", "שלום"] {
            assert!(!needs_quotes(seen), "{seen}");
        }
    }

    #[test]
    fn text_is_quoted_only_where_it_must_be() {
        for (words, needs) in [("two words", true), ("one", false), ("", true), ("a=b", true), ("\"", true)] {
            assert_eq!(needs_quotes(words), needs, "{words}");
        }
    }

    #[test]
    fn what_must_be_quoted_is_found_wherever_it_stands() {
        for length in 0..40 {
            let plain = "x".repeat(length);
            assert_eq!(json(&plain), format!("\"{plain}\""));
            assert_eq!(needs_quotes(&plain), length == 0);
            for at in 0..length {
                for (strange, escaped) in
                    [('"', "\\\""), ('\n', "\\n"), ('=', "="), ('中', "中"), ('\\', "\\\\")]
                {
                    let words = |middle: &str| format!("{}{middle}{}", &plain[..at], &plain[at + 1..]);
                    let strange_words = words(&strange.to_string());
                    assert_eq!(json(&strange_words), format!("\"{}\"", words(escaped)));
                    assert_eq!(needs_quotes(&strange_words), matches!(strange, '"' | '\n' | '='));
                }
            }
        }
    }

    #[test]
    fn numbers_are_written_with_their_shortest_digits() {
        for value in [
            0.0,
            0.001,
            0.01,
            0.1,
            0.013,
            0.6,
            1.0,
            1.05,
            12.345,
            250.0,
            600_000.5,
            1e12,
            0.1 + 0.2,
            1e-9,
            -2.5,
            1e300,
            999_999_999_999.999,
        ] {
            let mut text = String::new();
            number(&mut text, value);
            assert_eq!(text, format!("{value}"));
        }
    }
}
