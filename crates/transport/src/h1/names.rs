//! Names of headers that were seen before.
//!
//! A name that is in no standard costs memory each time it is read, and half of what clients and
//! providers send are such names, the same ones in every message. Refuses to know which they are.

use std::cell::RefCell;

use http::HeaderName;

/// How many names a thread remembers. Twice as many as a client and a provider use together.
const PLACES: usize = 128;

/// Longer names are not remembered, in bytes.
const LONGEST: usize = 64;

thread_local! {
    static SEEN: RefCell<[Option<HeaderName>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
}

/// The name that is written so. None if that is no name.
pub(super) fn name(written: &[u8]) -> Option<HeaderName> {
    let (Some(place), 1..=LONGEST) = (place(written), written.len()) else {
        return HeaderName::from_bytes(written).ok();
    };
    SEEN.with_borrow_mut(|seen| {
        let seen = seen.get_mut(place)?;
        if let Some(known) = seen.as_ref().filter(|known| is_written(known, written)) {
            return Some(known.clone());
        }
        let name = HeaderName::from_bytes(written).ok()?;
        *seen = Some(name.clone());
        Some(name)
    })
}

fn is_written(name: &HeaderName, written: &[u8]) -> bool {
    name.as_str().as_bytes().eq_ignore_ascii_case(written)
}

/// Where a name is remembered: told from others by its length, its last letters and one of its middle, whatever
/// their case.
fn place(written: &[u8]) -> Option<usize> {
    let letter = |at: usize| written.get(at).map(|letter| usize::from(letter | 0x20));
    let length = written.len();
    let last = letter(length.checked_sub(1)?)?;
    let before = letter(length.saturating_sub(3))?;
    let middle = letter(length / 2)?;
    Some((length * 31 + last * 7 + before * 17 + middle * 3) % PLACES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_whether_it_was_seen_or_not() {
        let long = "x".repeat(LONGEST + 1);
        for written in
            ["anthropic-beta", "Anthropic-Beta", "ANTHROPIC-BETA", "host", "x", &long, "x-a", "x-b"]
        {
            for _ in 0..3 {
                assert_eq!(name(written.as_bytes()), HeaderName::from_bytes(written.as_bytes()).ok());
            }
        }
    }

    #[test]
    fn what_is_no_name_is_none() {
        for written in ["", "a b", "a:", "a\n", "\u{e9}", "(x)"] {
            assert_eq!(name(written.as_bytes()), None, "{written:?}");
        }
        // Neither because of a name that is remembered in the same place.
        assert!(name(b"x-known").is_some());
        assert_eq!(name(b"x\rknown"), None);
    }

    #[test]
    fn names_that_are_used_together_seldom_share_a_place() {
        let used = [
            "host",
            "connection",
            "accept",
            "accept-encoding",
            "user-agent",
            "content-type",
            "content-length",
            "authorization",
            "x-api-key",
            "x-app",
            "anthropic-version",
            "anthropic-beta",
            "anthropic-dangerous-direct-browser-access",
            "x-stainless-arch",
            "x-stainless-lang",
            "x-stainless-os",
            "x-stainless-package-version",
            "x-stainless-retry-count",
            "x-stainless-runtime",
            "x-stainless-runtime-version",
            "x-stainless-timeout",
            "x-stainless-helper-method",
            "date",
            "transfer-encoding",
            "cache-control",
            "request-id",
            "anthropic-organization-id",
            "server",
            "cf-ray",
            "cf-cache-status",
            "via",
            "x-robots-tag",
            "retry-after",
            "x-should-retry",
            "strict-transport-security",
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ];
        let places: std::collections::BTreeSet<_> = used.iter().map(|name| place(name.as_bytes())).collect();
        assert!(used.len() - places.len() <= 8, "{} of {}", places.len(), used.len());
    }
}
