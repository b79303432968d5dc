//! Texts in paths and queries, where some bytes stand for others (RFC 3986, sections 2.1 and 2.3).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What means nothing else anywhere in a URL is not escaped.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// As it can stand in a path or a query.
pub fn escaped(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// What it stands for. What is no escape stays.
pub(crate) fn unescaped(text: &str) -> Cow<'_, [u8]> {
    percent_decode_str(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_stays_in_its_place_and_comes_back() {
        for (text, expect) in [
            ("page_M-z.~9", "page_M-z.~9"),
            ("a/b?c=d&e%\u{fc} ==", "a%2Fb%3Fc%3Dd%26e%25%C3%BC%20%3D%3D"),
            ("my-provider_1.x~", "my-provider_1.x~"),
            ("a/b?c ü", "a%2Fb%3Fc%20%C3%BC"),
        ] {
            assert_eq!(escaped(text), expect);
            assert_eq!(unescaped(expect), text.as_bytes());
        }
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in ["50%", "%zz", "%+1", "%e"] {
            assert_eq!(unescaped(text), text.as_bytes(), "{text}");
        }
    }
}
