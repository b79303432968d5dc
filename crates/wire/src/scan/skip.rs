//! Where a value ends. It knows strings, brackets and scalars one at a time; it refuses to know what
//! stands before or after them.

use std::ops::Range;

use memchr::memchr;

use super::{Kind, MAX_DEPTH, Malformed};

/// The offset of the first byte from `at` on that is not JSON's white space.
#[inline]
pub(super) fn past_blanks(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// How a string is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Spelling {
    /// Without escapes: what stands between its quotes is what it says.
    Plain,
    /// Perhaps with escapes.
    Any,
}

/// The offset after the closing quote of the string whose opening quote is at `open`. `None` if the text
/// ends before.
#[inline]
pub(super) fn string_end(text: &[u8], open: usize) -> Option<usize> {
    // Most strings are so short that they end here, before a call would have begun.
    match near::<2, _>(text, open + 1, *b"\"\\") {
        Some(end) if text[end] == b'"' => Some(end + 1),
        _ => long_string_end(text, open + 1),
    }
}

/// The same for a string that is going to be compared, as keys are, and how it is written.
#[inline]
pub(super) fn key_end(text: &[u8], open: usize) -> Option<(usize, Spelling)> {
    match near::<4, _>(text, open + 1, *b"\"\\") {
        Some(end) if text[end] == b'"' => Some((end + 1, Spelling::Plain)),
        _ => Some((long_string_end(text, open + 1)?, Spelling::Any)),
    }
}

/// The same for a string of any length and spelling, whose text begins at `from`.
#[inline(never)]
fn long_string_end(text: &[u8], mut from: usize) -> Option<usize> {
    // Quotes alone are looked for, because escapes in prompts are mostly `\n`: a search that stops at
    // every backslash is slower. No backslash is counted twice, since a quote separates the runs.
    loop {
        let quote = match near::<8, _>(text, from, [b'"']) {
            Some(quote) => quote,
            None => from + memchr(b'"', text.get(from..)?)?,
        };
        from = quote + 1;
        if !is_escaped(text, quote) {
            return Some(from);
        }
    }
}

/// The offset of the first of these bytes, if it stands in the next `WORDS` times eight. So near, it is found
/// before a search like `memchr` would have begun.
#[inline]
fn near<const WORDS: usize, const N: usize>(text: &[u8], from: usize, bytes: [u8; N]) -> Option<usize> {
    let (words, _) = text.get(from..)?.as_chunks();
    let mut at = from;
    for word in words.iter().take(WORDS) {
        if let Some(place) = place_of(bytes, *word) {
            return Some(at + place);
        }
        at += word.len();
    }
    None
}

/// The place of the first of these bytes among eight, found in a few steps for all of them: a byte of zero is
/// the only one that borrows from its highest bit when one is taken away (and so do, for nothing, bytes
/// after it, which are not asked).
#[inline]
fn place_of<const N: usize>(bytes: [u8; N], word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGHEST: u64 = u64::from_le_bytes([0x80; 8]);
    let mut found = 0;
    for byte in bytes {
        let differences = u64::from_le_bytes(word) ^ u64::from_le_bytes([byte; 8]);
        found |= differences.wrapping_sub(ONES) & !differences & HIGHEST;
    }
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

/// Whether an odd number of backslashes stands before the byte at `at`.
#[inline]
fn is_escaped(text: &[u8], at: usize) -> bool {
    text[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The offset after the bracket that closes the one at `open`. Every string inside is shown to `each`, as
/// its place.
#[inline(never)]
pub(super) fn bracket_end(
    text: &[u8],
    open: usize,
    each: &mut impl FnMut(Range<usize>),
) -> Result<usize, Malformed> {
    // What closes the brackets that are open, the innermost last.
    let mut closing = [0; MAX_DEPTH];
    let mut depth = 0;
    let mut at = open;
    while let Some(byte) = text.get(at) {
        if !STOPS[usize::from(*byte)] {
            at += 1;
            continue;
        }
        match byte {
            b'"' => {
                let end = string_end(text, at).ok_or(Malformed::Ended { at: text.len() })?;
                each(at..end);
                at = end;
                continue;
            }
            b'{' | b'[' => {
                *closing.get_mut(depth).ok_or(Malformed::TooDeep { at })? =
                    if *byte == b'{' { b'}' } else { b']' };
                depth += 1;
            }
            _ => {
                depth -= 1;
                if closing[depth] != *byte {
                    return Err(Malformed::Unexpected { at });
                }
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
        }
        at += 1;
    }
    Err(Malformed::Ended { at: text.len() })
}

/// The bytes at which a look for a closing bracket stops.
const STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    let mut rest: &[u8] = b"\"{}[]";
    while let [stop, after @ ..] = rest {
        stops[*stop as usize] = true;
        rest = after;
    }
    stops
};

/// The offset after the number or literal that begins at `start`, and which of them it is.
pub(super) fn scalar_end(text: &[u8], start: usize) -> Result<(usize, Kind), Malformed> {
    let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
    let rest = &text[start..];
    // Most are whole numbers.
    let n_digits = digits(rest);
    if n_digits > 0 && (n_digits == 1 || rest[0] != b'0') && rest.get(n_digits).is_none_or(is_end) {
        return Ok((start + n_digits, Kind::Number));
    }
    let end = rest.iter().position(is_end).map_or(text.len(), |length| start + length);
    match &text[start..end] {
        b"true" | b"false" => Ok((end, Kind::Boolean)),
        b"null" => Ok((end, Kind::Null)),
        number if is_number(number) => Ok((end, Kind::Number)),
        _ if end == text.len() => Err(Malformed::Ended { at: end }),
        _ => Err(Malformed::Unexpected { at: start }),
    }
}

/// How many digits `text` begins with.
fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Is this a number by the grammar of RFC 8259, section 6?
fn is_number(text: &[u8]) -> bool {
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

    /// The same, one byte after the other.
    fn naive_end(text: &[u8], open: usize) -> Option<usize> {
        let mut at = open + 1;
        loop {
            match text.get(at)? {
                b'"' => return Some(at + 1),
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
    }

    fn check_end(text: &[u8], open: usize) {
        let expect = naive_end(text, open);
        assert_eq!(string_end(text, open), expect, "{}", text.escape_ascii());
        let key = key_end(text, open);
        assert_eq!(key.map(|(end, _)| end), expect, "{}", text.escape_ascii());
        if let Some((end, Spelling::Plain)) = key {
            assert!(!text[open..end].contains(&b'\\'), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_string_ends_at_its_quote_however_long_it_is() {
        for length in 0..150 {
            let plain = format!("[\"{}\"]{}", "x".repeat(length), " ".repeat(32)).into_bytes();
            check_end(&plain, 1);
            let spelling = if length < 32 { Spelling::Plain } else { Spelling::Any };
            assert_eq!(key_end(&plain, 1), Some((length + 3, spelling)), "{length}");
            for cut in 1..plain.len() {
                check_end(&plain[..cut], 1);
            }
            for at in 0..length {
                for piece in [&b"\\"[..], b"\\\"", b"\\\\", b"\\\\\"", b"\"", b"\\n"] {
                    let mut text = plain.clone();
                    text.splice(at + 2..at + 3, piece.iter().copied());
                    check_end(&text, 1);
                }
            }
        }
    }

    #[test]
    fn no_other_byte_is_taken_for_a_quote() {
        for byte in (0..=u8::MAX).filter(|byte| !b"\"\\".contains(byte)) {
            for length in [1, 7, 8, 9, 40, 80] {
                let text = [&b"\""[..], &vec![byte; length], b"\""].concat();
                assert_eq!(string_end(&text, 0), Some(length + 2), "{byte}");
                assert_eq!(key_end(&text, 0).unwrap().0, length + 2, "{byte}");
            }
            for place in 0..8 {
                let mut word = [byte; 8];
                assert_eq!(place_of([b'"'], word), None, "{byte}");
                word[place] = b'"';
                assert_eq!(place_of([b'"'], word), Some(place), "{byte}");
                assert_eq!(place_of(*b"\\\"", word), Some(place), "{byte}");
            }
        }
    }

    #[test]
    fn a_number_or_a_word_ends_where_something_else_may_begin() {
        let unexpected = Err(Malformed::Unexpected { at: 0 });
        for (text, expect) in [
            ("0", Ok((1, Kind::Number))),
            ("0,1", Ok((1, Kind::Number))),
            ("7]", Ok((1, Kind::Number))),
            ("10\n", Ok((2, Kind::Number))),
            ("-1.5e3}", Ok((6, Kind::Number))),
            ("true ", Ok((4, Kind::Boolean))),
            ("false,", Ok((5, Kind::Boolean))),
            ("null\t", Ok((4, Kind::Null))),
            ("01,", unexpected),
            ("00]", unexpected),
            ("1x,", unexpected),
            (",", unexpected),
            ("truely]", unexpected),
            ("01", Err(Malformed::Ended { at: 2 })),
            ("nul", Err(Malformed::Ended { at: 3 })),
        ] {
            assert_eq!(scalar_end(text.as_bytes(), 0), expect, "{text}");
        }
    }

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
