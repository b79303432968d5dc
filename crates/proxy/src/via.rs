//! Relays that lead to each other. A request that came back to where it was would go round until its client leaves.
//!
//! Each relay writes its name on what it sends to an address of the user's own choice, for only there can be another
//! relay; what a provider gets at its usual address has no sign of us. The name is new with every start and says
//! nothing of the machine.

use relay_headers::{Headers, Value};
use relay_providers::compatible::X_CC_RELAY_VIA;

/// More relays than this in a row are taken for a loop too: their names may have been cut off on the way.
const MOST: usize = 16;

/// Has a request been at this relay before?
pub(crate) fn is_back(came: &Headers, own: &str) -> bool {
    let mut relays = came.members(X_CC_RELAY_VIA);
    relays.by_ref().take(MOST).any(|relay| relay == own.as_bytes()) || relays.next().is_some()
}

/// Writes this relay's name behind those of the relays before it, on what has no name of a relay yet.
pub(crate) fn sign(sent: &mut Headers, came: &Headers, own: &str) {
    let mut relays = Vec::new();
    if came.has(X_CC_RELAY_VIA) {
        relays = came.members(X_CC_RELAY_VIA).flat_map(|relay| [relay, b", "]).collect::<Vec<_>>().concat();
    }
    relays.extend_from_slice(own.as_bytes());
    if let Ok(relays) = Value::new(&relays) {
        sent.add(X_CC_RELAY_VIA, relays);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(values: &[&'static str]) -> Headers {
        let mut headers = Headers::default();
        for value in values {
            headers.add(X_CC_RELAY_VIA, Value::fixed(value));
        }
        headers
    }

    #[test]
    fn who_signed_a_request_knows_it_again() {
        let mut headers = Headers::default();
        assert!(!is_back(&headers, "a"));
        for relay in ["a", "b", "c"] {
            let came = std::mem::take(&mut headers);
            sign(&mut headers, &came, relay);
        }
        assert_eq!(headers.text(X_CC_RELAY_VIA), Some("a, b, c"));
        for relay in ["a", "b", "c"] {
            assert!(is_back(&headers, relay), "{relay}");
        }
        assert!(!is_back(&headers, "d"));
    }

    #[test]
    fn names_are_found_however_the_list_is_written() {
        for values in [&["x,a"][..], &["x", "a ,y"], &[",, a"]] {
            assert!(is_back(&via(values), "a"), "{values:?}");
        }
        assert!(!is_back(&via(&["aa, ba", "a-"]), "a"));
        let mut sent = Headers::default();
        sign(&mut sent, &via(&["x,y", "z"]), "a");
        assert_eq!(sent.all(X_CC_RELAY_VIA).collect::<Vec<_>>(), [b"x, y, z, a"]);
    }

    #[test]
    fn a_row_of_relays_has_an_end() {
        let row = |length: usize| -> &'static str { vec!["r"; length].join(",").leak() };
        assert!(!is_back(&via(&[row(MOST)]), "a"));
        assert!(is_back(&via(&[row(MOST + 1)]), "a"));
    }
}
