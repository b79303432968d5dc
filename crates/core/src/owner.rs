//! Which key owns a file, a batch or a container: a later call that names it must go there.

use std::collections::{BTreeMap, VecDeque};

use crate::fleet::KeyId;

/// The most that are remembered; the oldest are forgotten first. A forgotten one is found again by
/// asking key after key, for a 404 about a property is about the key.
const MOST: usize = 10_000;

/// What is known of who owns what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners {
    /// Who owns it, and by which note.
    by_name: BTreeMap<String, (KeyId, u64)>,
    /// In the order in which they were noted; some more than once.
    order: VecDeque<(u64, String)>,
    /// How many were ever noted.
    noted: u64,
}

impl Owners {
    /// That key owns it.
    pub(crate) fn note(&mut self, name: &str, key: KeyId) {
        if self.of(name) == Some(key) {
            return;
        }
        self.by_name.insert(name.to_owned(), (key, self.noted));
        self.order.push_back((self.noted, name.to_owned()));
        self.noted += 1;
        // One came, so one has to go.
        if self.order.len() > MOST
            && let Some((noted, oldest)) = self.order.pop_front()
            && self.by_name.get(&oldest).is_some_and(|(_, last)| *last == noted)
        {
            self.by_name.remove(&oldest);
        }
    }

    /// How many were ever noted.
    pub(crate) const fn noted(&self) -> u64 {
        self.noted
    }

    /// Those that were noted since there were so many, the oldest first.
    pub(crate) fn remember(&self, since: u64) -> Vec<(String, KeyId)> {
        let new = usize::try_from(self.noted.saturating_sub(since)).unwrap_or(usize::MAX);
        let new = self.order.iter().skip(self.order.len().saturating_sub(new));
        let current = new.filter_map(|(noted, name)| {
            let (key, last) = self.by_name.get(name)?;
            (last == noted).then(|| (name.clone(), *key))
        });
        current.collect()
    }

    /// Who owns it.
    pub(crate) fn of(&self, name: &str) -> Option<KeyId> {
        self.by_name.get(name).map(|(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ProviderId;

    #[test]
    fn only_what_is_new_is_told_again_and_what_changed_is_new() {
        let key = |name: &str| KeyId::of(ProviderId::of("p"), name.as_bytes());
        let mut owners = Owners::default();
        for name in ["one", "two", "three"] {
            owners.note(name, key("a"));
        }
        let seen = owners.noted();
        assert_eq!(owners.remember(0).len(), 3);
        assert_eq!(owners.remember(seen), []);
        owners.note("two", key("a"));
        owners.note("one", key("b"));
        assert_eq!(owners.remember(seen), [("one".to_owned(), key("b"))]);
        let names: Vec<_> = owners.remember(0).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["two", "three", "one"], "each once, as it was noted last");
    }

    #[test]
    fn the_newest_are_remembered_and_their_number_is_bounded() {
        let key = |name: &str| KeyId::of(ProviderId::of("p"), name.as_bytes());
        let mut owners = Owners::default();
        for index in 0..MOST + 5 {
            owners.note(&format!("file_{index}"), key("a"));
        }
        assert_eq!(owners.of("file_4"), None);
        assert_eq!(owners.of("file_5"), Some(key("a")));
        owners.note("file_5", key("b"));
        assert_eq!(owners.of("file_5"), Some(key("b")));
        assert_eq!(owners.of("file_6"), Some(key("a")));
        owners.note("file_new", key("a"));
        assert_eq!(
            (owners.of("file_5"), owners.of("file_6")),
            (Some(key("b")), None),
            "as it was noted last"
        );
        assert!(owners.by_name.len() <= MOST && owners.order.len() <= MOST);
    }
}
