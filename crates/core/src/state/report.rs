//! What operators see of the state: plain data, copied out in small pieces.

use std::time::Duration;

use crate::fleet::{Class, KeyId, ProviderId};
use crate::key::Totals;
use crate::limits::{COUNTED, Counted};
use crate::quota::Quota;
use crate::rest::{Readiness, Unready};
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
    /// The organization that holds its limits, once an answer has named it.
    pub organization: Option<String>,
    /// The limits that are known, of its organization's; those that keys share are told with each of them.
    pub limits: Vec<LimitReport>,
}

/// One limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LimitReport {
    /// Of which models.
    pub class: Class,
    /// What is counted.
    pub counted: Counted,
    /// How many a minute.
    pub per_minute: u64,
    /// How many minutes' worth it holds when full, as a time.
    pub burst: Duration,
    /// How many are neither used nor promised; 0 in debt.
    pub available: u64,
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
            let place = self.keys.place_of(key.id);
            place.is_none_or(|place| {
                matches!(self.readiness(place, class, now), Readiness::Ready | Readiness::Probe)
            })
        };
        Count { total: provider.keys.len(), available: provider.keys.iter().filter(ready).count() }
    }

    fn report_limits(&self, account: usize, now: Time) -> Vec<LimitReport> {
        let domains = self.accounts.get(account).domains();
        let all = domains
            .flat_map(|(class, domain)| COUNTED.map(|counted| (class, domain.limits.of(counted), counted)));
        let known = all.filter_map(|(class, meter, counted)| {
            let (per_minute, burst) = meter.rate().zip(meter.burst())?;
            let class = self.classes.name(class);
            Some(LimitReport { class, counted, per_minute, burst, available: meter.available(now)? })
        });
        known.collect()
    }

    fn report_key(&self, id: KeyId, label: &str, now: Time) -> KeyReport {
        let standing = self.keys.get(id);
        let held = standing.map(|it| {
            let shared = &self.accounts.get(it.account).rests;
            let own: Vec<_> = it.rests.held(now).collect();
            let others = shared.held(now).filter(|held| !own.contains(held));
            own.iter().copied().chain(others).map(|(class, what)| (class.cloned(), what)).collect()
        });
        KeyReport {
            id,
            label: label.to_owned(),
            in_flight: standing.map_or(0, |standing| standing.in_flight),
            totals: standing.map_or_else(Totals::default, |standing| standing.totals),
            held: held.unwrap_or_default(),
            quota: self.quotas.get(&id).cloned(),
            organization: standing.and_then(|it| self.accounts.get(it.account).organization.clone()),
            limits: standing.map_or_else(Vec::new, |it| self.report_limits(it.account, now)),
        }
    }
}
