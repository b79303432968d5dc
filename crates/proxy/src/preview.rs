//! What of a body or of headers may be logged when an operator asks for it: structure and sizes, the
//! beginning of texts, and never what stands under a name that speaks of secrets or looks like one.
//!
//! W57 of the old program searched the text for seven spellings and missed the rest; here the JSON
//! itself is walked, so a name is a name however it is written, and a value of any type is masked.

use std::borrow::Cow;
use std::fmt::Write as _;

use relay_headers::Headers;
use relay_wire::scan::{Kind, Value};

use crate::escape::unescaped;

/// What replaces a secret.
const MASK: &str = "\"[redacted]\"";

/// Names that speak of secrets, in lower case and without separators.
const SECRET_NAMES: [&str; 9] =
    ["key", "token", "secret", "password", "passwd", "authorization", "bearer", "credential", "cookie"];

/// Names that contain such a word and are counts all the same.
const HARMLESS: [&str; 4] = ["maxtokens", "budgettokens", "inputtokens", "outputtokens"];

/// Texts that begin like this are secrets under whatever name.
const SECRET_BEGINNINGS: [&str; 6] = ["sk-", "Bearer ", "ghp_", "AKIA", "eyJ", "-----BEGIN"];

/// The letters with which those begin: a look at one tells most words apart from all of them.
const FIRST_LETTERS: [bool; 256] = {
    let mut letters = [false; 256];
    let mut at = 0;
    while at < SECRET_BEGINNINGS.len() {
        letters[SECRET_BEGINNINGS[at].as_bytes()[0] as usize] = true;
        at += 1;
    }
    letters
};

/// How deep values are walked; deeper ones are left out.
const DEPTH: u32 = 32;

/// The beginning of a body, as JSON cut off after `most` bytes.
pub(crate) fn of(body: &[u8], most: usize) -> String {
    let mut out = String::new();
    match Value::read(body) {
        Ok(value) => write_value(&mut out, value, most, DEPTH),
        Err(_) => {
            let _ = write!(out, "[{} bytes that are not JSON]", body.len());
        }
    }
    if out.len() > most {
        let cut = (0..=most).rev().find(|at| out.is_char_boundary(*at)).unwrap_or(0);
        out.truncate(cut);
        out.push_str("...");
    }
    out
}

/// Headers, one `name: value` after another.
pub(crate) fn headers(headers: &Headers) -> String {
    let mut out = String::new();
    for header in headers {
        let (name, text) = (header.lowercase(), header.text().unwrap_or("[not text]"));
        let masked = speaks_of_secrets(&name) || looks_secret(text);
        let separator = if out.is_empty() { "" } else { "; " };
        let _ = write!(out, "{separator}{name}: {}", if masked { "[redacted]" } else { text });
    }
    out
}

/// A path as it may be logged by itself: a segment in which a secret begins is masked.
pub(crate) fn path(path: &str) -> Cow<'_, str> {
    // A segment begins where a word does, so what no segment holds the whole does not.
    if !holds_secret(path) {
        return Cow::Borrowed(path);
    }
    let shown: Vec<&str> =
        path.split('/').map(|segment| if holds_secret(segment) { "[redacted]" } else { segment }).collect();
    Cow::Owned(shown.join("/"))
}

/// A name that a client has made up, as it may be logged by itself.
pub(crate) fn name(name: &str) -> &str {
    if holds_secret(name) { "[redacted]" } else { name }
}

/// What somebody else says in words, as it may be logged: in one line, not too long, and without words in which a secret
/// begins.
pub(crate) fn words(said: &str) -> String {
    /// In bytes.
    const LONGEST: usize = 200;
    let mut shown = String::new();
    for word in said.split(|letter: char| letter.is_whitespace() || letter.is_control()) {
        if word.is_empty() {
            continue;
        }
        if shown.len() + word.len() >= LONGEST {
            shown.push_str(if shown.is_empty() { "..." } else { " ..." });
            break;
        }
        shown.push_str(if shown.is_empty() { "" } else { " " });
        shown.push_str(name(word));
    }
    shown
}

/// Does a secret begin in it, at its own beginning or where a word does? `task-1` is none.
pub(crate) fn holds_secret(text: &str) -> bool {
    if text.contains('%') {
        return begins_secret(&unescaped(text));
    }
    begins_secret(text.as_bytes())
}

fn begins_secret(text: &[u8]) -> bool {
    let mut inside = false;
    (0..text.len()).any(|at| {
        let before = std::mem::replace(&mut inside, text[at].is_ascii_alphanumeric());
        let begins = |beginning: &&str| text[at..].starts_with(beginning.as_bytes());
        !before && FIRST_LETTERS[usize::from(text[at])] && SECRET_BEGINNINGS.iter().any(begins)
    })
}

fn write_value(out: &mut String, value: Value<'_>, most: usize, depth: u32) {
    if out.len() > most {
        return;
    }
    match value.kind() {
        Kind::Object if depth > 0 => {
            out.push('{');
            for (index, member) in value.members().filter_map(Result::ok).enumerate() {
                let name = member.key.as_str().unwrap_or_default();
                let _ = write!(out, "{}{}:", if index == 0 { "" } else { "," }, quoted(&name));
                if speaks_of_secrets(&name) {
                    out.push_str(MASK);
                } else {
                    write_value(out, member.value, most, depth - 1);
                }
            }
            out.push('}');
        }
        Kind::Array if depth > 0 => {
            out.push('[');
            for (index, element) in value.elements().filter_map(Result::ok).enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_value(out, element, most, depth - 1);
            }
            out.push(']');
        }
        Kind::String => match value.as_str() {
            Some(text) if looks_secret(&text) => out.push_str(MASK),
            _ => out.push_str(&String::from_utf8_lossy(value.text())),
        },
        Kind::Object | Kind::Array => out.push_str("\"...\""),
        _ => out.push_str(&String::from_utf8_lossy(value.text())),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn speaks_of_secrets(name: &str) -> bool {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    !HARMLESS.contains(&plain.as_str()) && SECRET_NAMES.iter().any(|word| plain.contains(word))
        // `anthropic-ratelimit-tokens-remaining` and its siblings are counts.
        && !plain.contains("ratelimit")
}

/// Is it, or does it hold, something that begins as a secret does?
fn looks_secret(text: &str) -> bool {
    SECRET_BEGINNINGS.iter().any(|beginning| text.contains(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_logged_in_one_line_without_secrets() {
        let long = "x ".repeat(150);
        for (said, shown) in [
            ("No access to this region.", "No access to this region."),
            (" two\nlines\tand\u{7}a bell ", "two lines and a bell"),
            ("Incorrect key: sk-proj-abc. See the docs", "Incorrect key: [redacted] See the docs"),
            ("key=sk-ant-api03-x", "[redacted]"),
            ("", ""),
        ] {
            assert_eq!(words(said), shown);
        }
        assert!(words(&long).ends_with("x ...") && words(&long).len() < 210);
        assert_eq!(words(&"y".repeat(500)), "...");
    }

    /// W57 of the old program, case by case.
    #[test]
    fn w57_secrets_are_masked_however_they_are_written() {
        let table = [
            (r#"{"api_key":"x"}"#, r#"{"api_key":"[redacted]"}"#),
            (r#"{"API-Key":"x"}"#, r#"{"API-Key":"[redacted]"}"#),
            (r#"{"access_token":"x"}"#, r#"{"access_token":"[redacted]"}"#),
            (r#"{"api_k\u0065y":"x"}"#, r#"{"api_key":"[redacted]"}"#),
            (r#"{"password":12345}"#, r#"{"password":"[redacted]"}"#),
            (r#"{"secret":{"deep":["x"]}}"#, r#"{"secret":"[redacted]"}"#),
            (r#"{"token":"a\"b"}"#, r#"{"token":"[redacted]"}"#),
            (r#"{"t":"use sk-ant-api03-x"}"#, r#"{"t":"[redacted]"}"#),
            (r#"{"max_tokens":5,"model":"m"}"#, r#"{"max_tokens":5,"model":"m"}"#),
            (r#"[{"a":[1,true,null]}]"#, r#"[{"a":[1,true,null]}]"#),
            ("<html>", "[6 bytes that are not JSON]"),
        ];
        for (body, expect) in table {
            assert_eq!(of(body.as_bytes(), 1000), expect);
        }
    }

    #[test]
    fn a_path_is_shown_without_what_looks_like_a_key() {
        let table = [
            ("/v1/messages", "/v1/messages"),
            ("/v1/models/claude-opus-5-5", "/v1/models/claude-opus-5-5"),
            ("/v1/files/task-1/risk-2", "/v1/files/task-1/risk-2"),
            ("/v1/sk-ant-api03-x/messages", "/v1/[redacted]/messages"),
            ("/sk-ant-x", "/[redacted]"),
            ("/v1/key=sk-ant-x", "/v1/[redacted]"),
            ("/v1/%73k%2dant-x", "/v1/[redacted]"),
            ("/v1/Bearer%20x", "/v1/[redacted]"),
            ("/v1/100%/%zz/%e", "/v1/100%/%zz/%e"),
            ("*", "*"),
            ("", ""),
        ];
        for (asked, expect) in table {
            assert_eq!(path(asked), expect);
        }
        assert_eq!((name("claude-opus-5-5"), name("sk-ant-x")), ("claude-opus-5-5", "[redacted]"));
    }

    #[test]
    fn a_preview_is_cut_after_masking() {
        let body = br#"{"a":"0123456789","api_key":"sk-ant-secret"}"#;
        assert_eq!(of(body, 8), "{\"a\":\"01...");
        for most in 0..body.len() {
            assert!(!of(body, most).contains("sk-ant"), "at {most}");
        }
    }

    #[test]
    fn headers_are_shown_without_their_secrets() {
        let mut list = Headers::default();
        list.add("Set-Cookie", relay_headers::Value::fixed("a=b"));
        list.add("content-type", relay_headers::Value::fixed("text/plain"));
        list.add("anthropic-ratelimit-tokens-remaining", 5);
        let shown = headers(&list);
        assert_eq!(
            shown,
            "set-cookie: [redacted]; content-type: text/plain; anthropic-ratelimit-tokens-remaining: 5"
        );
    }
}
