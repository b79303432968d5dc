//! Where a value ends. It knows strings, brackets and scalars one at a time; it refuses to know what
//! stands before or after them.

use memchr::memchr;

use super::{Kind, MAX_DEPTH, Malformed};

/// The offset of the first byte from `at` on that is not JSON's white space.
pub(super) fn past_blanks(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// The offset after the closing quote of the string whose opening quote is at `open`.
pub(super) fn string_end(text: &[u8], open: usize) -> Result<usize, Malformed> {
    let mut from = open + 1;
    // Quotes alone are looked for, because escapes in prompts are mostly `\n`: a search that stops
    // at every backslash is slower. No backslash is counted twice, since a quote separates the runs.
    while let Some(found) = memchr(b'"', &text[from..]) {
        let quote = from + found;
        if !is_escaped(text, quote) {
            return Ok(quote + 1);
        }
        from = quote + 1;
    }
    Err(Malformed::Ended { at: text.len() })
}

/// Whether an odd number of backslashes stands before the byte at `at`.
pub(crate) fn is_escaped(text: &[u8], at: usize) -> bool {
    text[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The offset after the bracket that closes the one at `open`.
pub(super) fn bracket_end(text: &[u8], open: usize) -> Result<usize, Malformed> {
    // The kinds of the open brackets as a stack of bits: one for an object, zero for an array.
    let mut kinds: u128 = 0;
    let mut depth = 0;
    let mut at = open;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'{' | b'[' => {
                if depth == MAX_DEPTH {
                    return Err(Malformed::TooDeep { at });
                }
                kinds = kinds << 1 | u128::from(*byte == b'{');
                depth += 1;
            }
            b'}' | b']' => {
                if kinds & 1 != u128::from(*byte == b'}') {
                    return Err(Malformed::Unexpected { at });
                }
                kinds >>= 1;
                depth -= 1;
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    Err(Malformed::Ended { at: text.len() })
}

/// The offset after the number or literal that begins at `start`, and which of them it is.
pub(super) fn scalar_end(text: &[u8], start: usize) -> Result<(usize, Kind), Malformed> {
    let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
    let end = text[start..].iter().position(is_end).map_or(text.len(), |length| start + length);
    match &text[start..end] {
        b"true" | b"false" => Ok((end, Kind::Boolean)),
        b"null" => Ok((end, Kind::Null)),
        number if is_number(number) => Ok((end, Kind::Number)),
        _ if end == text.len() => Err(Malformed::Ended { at: end }),
        _ => Err(Malformed::Unexpected { at: start }),
    }
}

/// Is this a number by the grammar of RFC 8259, section 6?
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text[0] == b'0') {
        return false;
    }
    let mut rest = &text[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let Some((b'e' | b'E', exponent)) = rest.split_first() {
        let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_grammar() {
        for number in ["0", "-0", "10", "1.5", "0.0", "1e5", "1E-05", "-12.5e+3"] {
            assert!(is_number(number.as_bytes()), "{number}");
        }
        for other in ["", "-", "01", "1.", ".5", "+1", "1e", "1e+", "0x1", "1.5.5", "1e5e5", "NaN", "1-"] {
            assert!(!is_number(other.as_bytes()), "{other}");
        }
    }
}
