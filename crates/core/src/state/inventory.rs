//! Taking over a new configuration, and trading what was learned with others and with the past.

use crate::fact::{Fact, Learned};
use crate::fleet::{Fleet, Key, KeyId, Provider};
use crate::key::Standing;
use crate::rest::Unready;
use crate::select::Select;
use crate::time::Time;

use super::State;

impl State {
    /// Takes over a new configuration, keeping what is still true: a key that is still there keeps its
    /// standing, a strategy that did not change keeps its cursor. Doing it twice is doing it once.
    pub fn reconcile(&mut self, fleet: &Fleet, now: Time) {
        if self.fleet.strategy != fleet.strategy {
            self.among_providers = None;
        }
        self.among_keys.retain(|id, select: &mut Select| {
            fleet.provider(*id).is_some_and(|provider| provider.strategy == select.strategy())
        });
        self.fleet = fleet.clone();
        self.keys.unlist();
        self.accounts.domains_mut().for_each(|domain| domain.is_told = false);
        let pool = |state: &mut Self, provider: &Provider| {
            provider.keys.iter().map(|key| state.take_in(key, provider.accounting.reserves, now)).collect()
        };
        self.pools = fleet.providers.iter().map(|provider| pool(self, provider)).collect();
        self.dissolve();
        for key in self.keys.ids() {
            self.forget_if_gone(key);
        }
        self.claim(now);
    }

    /// The place of a key, with the caps that it has now.
    fn take_in(&mut self, key: &Key, reserves: Option<u64>, now: Time) -> usize {
        let (accounts, workspaces) = (&mut self.accounts, &mut self.workspaces);
        let place = self.keys.place(key.id, || {
            (accounts.begin(key.group.as_deref()), workspaces.begin(key.workspace.as_deref()))
        });
        let standing = self.keys.at_mut(place);
        standing.is_listed = true;
        (standing.priority, standing.weight, standing.reserves) = (key.priority, key.weight, reserves);
        standing.caps.cap(&key.caps, now);
        place
    }

    /// Takes in what another relay, or this one before a restart, knew of a key. True if it was news.
    pub fn merge(&mut self, fact: &Fact, now: Time) -> bool {
        let known = self.fleet.providers.iter().any(|provider| provider.has(fact.key));
        if !known || fact.until <= now {
            return false;
        }
        // What is known already must not be heard as if it were new: each time would put the next probe off.
        let heard = |own: &Fact| own.class == fact.class && own.until >= fact.until;
        if self.learned(fact.key, now).iter().any(heard) {
            return false;
        }
        let Some(standing) = self.keys.get(fact.key) else { return false };
        self.accounts.get_mut(standing.account).rests.cool(&fact.class, fact.until, now);
        true
    }

    /// What other relays should know, and a restart must not forget.
    pub fn export(&self, now: Time) -> Learned {
        let mut all = Learned::default();
        for key in self.keys.ids() {
            for fact in self.learned(key, now) {
                all.merge(fact);
            }
        }
        all
    }

    fn learned(&self, key: KeyId, now: Time) -> Vec<Fact> {
        let Some(standing) = self.keys.get(key) else { return Vec::new() };
        let shared = &self.accounts.get(standing.account).rests;
        let held = standing.rests.held(now).chain(shared.held(now));
        let facts = held.filter_map(|(class, unready)| match (class, unready) {
            (Some(class), Unready::Cooling(until)) => Some(Fact { key, class: class.clone(), until }),
            _ => None,
        });
        facts.collect()
    }

    /// A key that is no longer configured is forgotten when its last lease has ended.
    pub(super) fn forget_if_gone(&mut self, key: KeyId) {
        let idle = |standing: &Standing| standing.in_flight == 0 && !standing.is_listed;
        if self.keys.get(key).is_some_and(idle) {
            self.keys.forget(key);
            self.quotas.remove(&key);
        }
    }
}

impl Provider {
    /// Is that one of its keys?
    pub fn has(&self, key: KeyId) -> bool {
        self.keys.iter().any(|own| own.id == key)
    }
}
