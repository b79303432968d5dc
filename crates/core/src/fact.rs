//! What one relay tells another, and what a restart must not forget. Facts merge in any order.

use std::collections::BTreeMap;

use crate::fleet::{Class, KeyId};
use crate::time::Time;

/// One thing learned about one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// The key.
    pub key: KeyId,
    /// The class of models it rests for.
    pub class: Class,
    /// Until when.
    pub until: Time,
}

/// Facts, merged. The later moment wins, so merging commutes, associates, and twice is once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Learned {
    rests: BTreeMap<(KeyId, Class), Time>,
}

impl Learned {
    /// Takes a fact in. True if it was news.
    pub fn merge(&mut self, fact: Fact) -> bool {
        let known = self.rests.entry((fact.key, fact.class)).or_insert(Time::EPOCH);
        let news = fact.until > *known;
        *known = fact.until.max(*known);
        news
    }

    /// All of them, in a fixed order.
    pub fn facts(&self) -> impl Iterator<Item = Fact> {
        self.rests.iter().map(|((key, class), until)| Fact { key: *key, class: class.clone(), until: *until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ProviderId;
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
    use std::time::Duration;

    fn facts() -> impl Strategy<Value = Vec<Fact>> {
        let fact = (0_u8..4, 0_u8..3, any::<u16>()).prop_map(|(key, class, until)| Fact {
            key: KeyId::of(ProviderId::of("p"), &[key]),
            class: Class::of(&format!("m{class}")),
            until: Time::from_epoch(Duration::from_secs(u64::from(until))),
        });
        proptest::collection::vec(fact, 0..20)
    }

    fn merged(facts: impl IntoIterator<Item = Fact>) -> Learned {
        let mut learned = Learned::default();
        for fact in facts {
            learned.merge(fact);
        }
        learned
    }

    proptest! {
        #[test]
        fn the_latest_moment_of_each_key_and_class_is_kept_and_only_a_later_one_is_news(facts in facts()) {
            let mut learned = Learned::default();
            let mut latest: BTreeMap<(KeyId, Class), Time> = BTreeMap::new();
            for fact in facts {
                let known = latest.entry((fact.key, fact.class.clone())).or_default();
                prop_assert_eq!(learned.merge(fact.clone()), fact.until > *known, "{:?} after {:?}", fact, known);
                *known = fact.until.max(*known);
            }
            let told: Vec<_> = learned.facts().map(|fact| ((fact.key, fact.class), fact.until)).collect();
            prop_assert_eq!(told, latest.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn facts_merge_in_any_order_and_twice_is_once(left in facts(), right in facts()) {
            let one = merged(left.iter().chain(&right).cloned());
            let other = merged(right.iter().chain(&left).cloned());
            prop_assert_eq!(&one, &other);
            let twice = merged(left.iter().chain(&right).chain(&left).cloned());
            prop_assert_eq!(&one, &twice);
            let mut again = one.clone();
            for fact in one.facts() {
                prop_assert!(!again.merge(fact), "no news in what is known");
            }
        }
    }
}
