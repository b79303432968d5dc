//! The value of a header: bytes that a header can carry, checked once.

/// A value to be set. Made only of what a header can carry (RFC 9110, section 5.5): no line ends, no other control
/// characters but the tab.
#[derive(Clone, Copy)]
pub struct Value<'a>(Inner<'a>);

#[derive(Clone, Copy)]
enum Inner<'a> {
    Bytes(&'a [u8]),
    Number(u64),
}

/// A header cannot carry that: it holds a line end or another control character.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a header cannot carry a control character")]
pub struct BadValue;

impl<'a> Value<'a> {
    /// Checks bytes from elsewhere.
    pub fn new(bytes: &'a [u8]) -> Result<Self, BadValue> {
        let fits = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        if bytes.iter().all(fits) { Ok(Self(Inner::Bytes(bytes))) } else { Err(BadValue) }
    }

    /// Words that stand in the source. What is no value is cut off where it begins not to be.
    pub const fn fixed(words: &'static str) -> Self {
        let bytes = words.as_bytes();
        let mut end = 0;
        while end < bytes.len() && matches!(bytes[end], b'\t' | b' '..=b'~') {
            end += 1;
        }
        Self(Inner::Bytes(bytes.split_at(end).0))
    }

    pub(crate) fn write(self, into: &mut Vec<u8>) {
        match self.0 {
            Inner::Bytes(bytes) => into.extend_from_slice(bytes),
            Inner::Number(number) => into.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        }
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self(Inner::Number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: Value<'_>) -> Vec<u8> {
        let mut text = Vec::new();
        value.write(&mut text);
        text
    }

    #[test]
    fn only_what_a_header_can_carry_is_a_value() {
        for good in ["", "a", "a\tb c~", "\u{e9}\u{4e2d}"] {
            assert_eq!(written(Value::new(good.as_bytes()).unwrap()), good.as_bytes());
        }
        for bad in ["a\r\nx: y", "\n", "a\0", "\x7f", "\x1b[31m"] {
            assert_eq!(Value::new(bad.as_bytes()).err(), Some(BadValue), "{bad:?}");
            assert_eq!(
                written(Value::fixed(bad)),
                written(Value::fixed(&bad[..bad.find(char::is_control).unwrap()]))
            );
        }
    }

    #[test]
    fn a_number_is_a_value() {
        assert_eq!(written(Value::from(0)), b"0");
        assert_eq!(written(Value::from(u64::MAX)), b"18446744073709551615");
    }
}
