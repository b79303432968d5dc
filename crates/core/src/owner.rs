//! Which key owns a file, a batch or a container: a later call that names it must go there.

use std::collections::{BTreeMap, VecDeque};

use crate::fleet::KeyId;

/// The most that are remembered; the oldest are forgotten first. A forgotten one is found again by
/// asking key after key, for a 404 about a property is about the key.
const MOST: usize = 10_000;

/// What is known of who owns what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners {
    by_name: BTreeMap<String, KeyId>,
    order: VecDeque<String>,
}

impl Owners {
    /// That key owns it.
    pub(crate) fn note(&mut self, name: &str, key: KeyId) {
        if self.by_name.insert(name.to_owned(), key).is_none() {
            self.order.push_back(name.to_owned());
        }
        // One came at most, so one has to go at most.
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_name.remove(&oldest);
        }
    }

    /// Who owns it.
    pub(crate) fn of(&self, name: &str) -> Option<KeyId> {
        self.by_name.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ProviderId;

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
        assert_eq!(owners.by_name.len(), MOST);
    }
}
