//! What operators see of the state: plain data, copied out in small pieces.

use crate::fleet::{Class, KeyId, ProviderId};
use crate::key::{Totals, Unready};
use crate::quota::Quota;
use crate::time::Time;

use super::State;

/// The state as operators see it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// In the order of the configuration.
    pub providers: Vec<ProviderReport>,
    /// How many calls wait for a key.
    pub waiting: usize,
}

/// One provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderReport {
    /// Which one.
    pub id: ProviderId,
    /// Its keys, in the order of the configuration.
    pub keys: Vec<KeyReport>,
}

/// One key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyReport {
    /// Which one.
    pub id: KeyId,
    /// Its label.
    pub label: String,
    /// Leases open now.
    pub in_flight: u32,
    /// What it has carried.
    pub totals: Totals,
    /// What is held against it; without a class it speaks of the whole key.
    pub held: Vec<(Option<Class>, Unready)>,
    /// What the headers of its answers said last.
    pub quota: Option<Quota>,
}

/// How many keys a provider has, and how many of them could serve now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// All of them.
    pub total: usize,
    /// Those neither cooling for the class nor barred.
    pub available: usize,
}

impl State {
    /// Everything, for operators.
    pub fn report(&self, now: Time) -> Report {
        let providers = self.fleet.providers.iter().map(|provider| ProviderReport {
            id: provider.id,
            keys: provider.keys.iter().map(|key| self.report_key(key.id, &key.label, now)).collect(),
        });
        Report { providers: providers.collect(), waiting: self.queue.len() }
    }

    /// How many keys that provider has for calls of that class.
    pub fn count(&self, provider: ProviderId, class: &Class, now: Time) -> Count {
        let Some(provider) = self.fleet.provider(provider) else { return Count::default() };
        let ready = |key: &&crate::fleet::Key| {
            let standing = self.keys.get(&key.id);
            standing.is_none_or(|standing| standing.is_ready(class, now))
        };
        Count { total: provider.keys.len(), available: provider.keys.iter().filter(ready).count() }
    }

    fn report_key(&self, id: KeyId, label: &str, now: Time) -> KeyReport {
        let standing = self.keys.get(&id);
        let held = standing.map(|it| it.held(now).map(|(class, what)| (class.cloned(), what)).collect());
        KeyReport {
            id,
            label: label.to_owned(),
            in_flight: standing.map_or(0, |standing| standing.in_flight),
            totals: standing.map_or_else(Totals::default, |standing| standing.totals),
            held: held.unwrap_or_default(),
            quota: self.quotas.get(&id).cloned(),
        }
    }
}
