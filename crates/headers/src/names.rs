//! A few names that are looked for together.

use crate::headers::{Header, same};

/// A set of names. Most headers are told not to be in it by their length together with their first letter.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    all: &'static [&'static str],
    /// For each length the first letters of the names that are so long, as bits, capital or not. Longer names share the
    /// last.
    letters: [u32; LENGTHS],
}

/// Lengths that are told apart: few names that are looked for have more letters.
const LENGTHS: usize = 32;

impl Names {
    /// These.
    pub const fn of(names: &'static [&'static str]) -> Self {
        let mut letters = [0; LENGTHS];
        let mut at = 0;
        while at < names.len() {
            letters[Self::length(names[at].as_bytes())] |= Self::letter(names[at].as_bytes());
            at += 1;
        }
        Self { all: names, letters }
    }

    /// Is the name of that header one of them?
    #[inline]
    pub fn have(&self, header: &Header<'_>) -> bool {
        let name = header.name();
        self.letters[Self::length(name)] & Self::letter(name) != 0 && self.look_for(name)
    }

    fn look_for(&self, name: &[u8]) -> bool {
        self.all.iter().any(|known| same(known.as_bytes(), name))
    }

    const fn length(name: &[u8]) -> usize {
        if name.len() < LENGTHS { name.len() } else { LENGTHS - 1 }
    }

    /// Capitals and small letters differ in a bit that does not count here.
    const fn letter(name: &[u8]) -> u32 {
        match name.first() {
            Some(first) => 1 << (*first & 31),
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::headers::Headers;

    #[test]
    fn names_are_found_in_any_letters_and_no_others() {
        const LONG: &str = "x-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789";
        const NAMES: Names = Names::of(&["te", "host", LONG]);
        let found = |name: &str| {
            let head = Bytes::from(name.to_owned());
            let headers = Headers::parsed(&head, [(&head[..], &b""[..])].into_iter()).unwrap();
            headers.iter().all(|header| NAMES.have(&header))
        };
        for name in ["te", "TE", "Host", LONG, &LONG.to_ascii_uppercase()] {
            assert!(found(name), "{name}");
        }
        for name in ["", "t", "ta", "ho", "hosts", "xost", &LONG[1..], &format!("{LONG}x")] {
            assert!(!found(name), "{name}");
        }
    }
}
