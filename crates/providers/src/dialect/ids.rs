//! Names of tool calls, which others make of any characters, and Anthropic of letters, digits, `_` and `-` only. Each has
//! one name on either side, and comes back as what it was.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What begins a character that Anthropic's names do not have: after it come two digits for each of its bytes, and `_`.
const MARK: &str = "_0x";

/// A name of another provider's, as Anthropic's could be.
pub(super) fn inward(id: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if id.bytes().all(is_plain) && !id.contains(MARK) {
        return Cow::Borrowed(id);
    }
    let mut name = String::with_capacity(id.len() + 16);
    for (at, byte) in id.bytes().enumerate() {
        if is_plain(byte) && !id[at..].starts_with(MARK) {
            name.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(name, "{MARK}{byte:02x}_");
        }
    }
    Cow::Owned(name)
}

/// A name for a call that has none, told apart by which it is of an answer, by the name of that, and by how long the request
/// was: conversations grow. OpenAI takes no names of more than 40 letters.
pub(super) fn given(answer: &str, asked: usize, nth: usize) -> String {
    const MOST: usize = 24;
    let answer = inward(answer);
    let answer = &answer[answer.len().saturating_sub(MOST)..];
    format!("call_{asked:x}_{nth}_{answer}")
}

/// The name that it was.
pub(super) fn outward(id: &str) -> Cow<'_, str> {
    if !id.contains(MARK) {
        return Cow::Borrowed(id);
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(id.len()), id);
    while let Some(at) = rest.find(MARK) {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        let digits =
            rest.get(MARK.len()..MARK.len() + 2).filter(|_| rest[MARK.len()..].get(2..3) == Some("_"));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let taken = if let Some(byte) = byte {
            bytes.push(byte);
            MARK.len() + 3
        } else {
            bytes.extend_from_slice(MARK.as_bytes());
            MARK.len()
        };
        rest = &rest[taken..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_or(Cow::Borrowed(id), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_name_comes_back_as_it_was(id in "([ -~]|_0x|é){1,40}") {
            let name = inward(&id);
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'), "{}", name);
            prop_assert_eq!(outward(&name).into_owned(), id);
        }

        #[test]
        fn whatever_a_client_says_is_some_name(id in any::<String>()) {
            outward(&id);
        }
    }

    #[test]
    fn ordinary_names_stay_and_others_are_spelled_out() {
        for (id, name) in [
            ("call_AbC-123", "call_AbC-123"),
            ("toolu_01A09q90qw90lq917835lq9", "toolu_01A09q90qw90lq917835lq9"),
            ("functions.Bash:0", "functions_0x2e_Bash_0x3a_0"),
            ("a_0x2e_b", "a_0x5f_0x2e_b"),
            ("", ""),
        ] {
            assert_eq!(inward(id), name, "{id}");
        }
        let name = given("chatcmpl-Ab:0123456789012345678901234567890", 200_000, 12);
        assert_eq!(name, "call_30d40_12_789012345678901234567890");
        assert_eq!((&*outward(&name), given("", 1, 0).as_str()), (&*name, "call_1_0_"));
        assert_eq!(outward("a_0xzz_b"), "a_0xzz_b", "nobody made that here");
    }
}
