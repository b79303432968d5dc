//! All that is done while the lock is held, and nothing else: a verb of the state, then whoever's turn has come is woken,
//! and what happened is taken along. Refuses to know the lock itself, the clock and the dice.
//!
//! `cargo xtask bench decisions` measures this very file.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_core::{
    Ask, Class, Count, Event, Exhausted, Fleet, Lease, Plan, ProviderId, Roll, State, Ticket, Time,
};
use tokio::sync::oneshot;

/// Keys of pools up to this size are counted whenever that is asked.
const SMALL: usize = 32;

/// Those of a larger pool are counted no more often than this: each answer says how many there are.
const COUNTED_EVERY: Duration = Duration::from_millis(20);

/// So many pools and classes are remembered as they were counted.
const MOST_COUNTS: usize = 64;

/// What the lock guards.
#[derive(Debug, Default)]
pub(crate) struct Locked {
    pub(crate) state: State,
    /// Of the fleet, the names by which operators know what the state knows by number.
    pub(crate) fleet: Fleet,
    wakers: BTreeMap<Ticket, oneshot::Sender<()>>,
    /// When the next of those who wait may go; nothing while nobody waits.
    pub(crate) next: Option<Time>,
    /// When it is looked again who may go, if somebody looks.
    pub(crate) looks: Option<Time>,
    /// How many keys large pools had for calls of a class, and when that was counted; the newest last.
    counts: Vec<(ProviderId, Class, Time, Count)>,
}

/// [`Ask`], with the other end of a waker for whoever waits.
pub(crate) enum Asked {
    Granted(Lease),
    Wait(Ticket, oneshot::Receiver<()>, Time),
    Exhausted(Exhausted),
}

/// What happened to a key, as operators call it.
pub(crate) struct News {
    pub(crate) event: Event,
    pub(crate) provider: String,
    pub(crate) key: String,
}

impl Locked {
    /// Asks for the right to try. It may have given something up that others wait for, so they are woken.
    pub(crate) fn ask(&mut self, plan: &mut Plan, now: Time, roll: Roll) -> Asked {
        let asked = match self.state.ask(plan, now, roll) {
            Ask::Granted(lease) => Asked::Granted(lease),
            Ask::Exhausted(why) => Asked::Exhausted(why),
            Ask::Wait { ticket, until } => {
                let (waker, woken) = oneshot::channel();
                self.wakers.insert(ticket, waker);
                Asked::Wait(ticket, woken, until)
            }
        };
        self.wake(now);
        asked
    }

    /// Changes the state, then wakes whose turn has come. With what happened.
    pub(crate) fn change<T>(&mut self, now: Time, change: impl FnOnce(&mut State) -> T) -> (T, Vec<News>) {
        let result = change(&mut self.state);
        self.wake(now);
        let events = self.state.take_events();
        (result, events.into_iter().map(|event| self.name(event)).collect())
    }

    /// How many keys that provider has for calls of that class; of a large pool, a moment ago.
    pub(crate) fn count(&mut self, provider: ProviderId, class: &Class, now: Time) -> Count {
        let known = self.counts.iter().find(|(of, for_class, ..)| *of == provider && for_class == class);
        if let Some((.., at, count)) = known
            && now.since(*at) < COUNTED_EVERY
        {
            return *count;
        }
        let count = self.state.count(provider, class, now);
        if count.total > SMALL {
            self.counts.retain(|(of, for_class, ..)| *of != provider || for_class != class);
            if self.counts.len() == MOST_COUNTS {
                self.counts.remove(0);
            }
            self.counts.push((provider, class.clone(), now, count));
        }
        count
    }

    /// The client left while waiting. Those behind him move up.
    pub(crate) fn cancel(&mut self, ticket: Ticket, now: Time) {
        self.wakers.remove(&ticket);
        self.state.cancel(ticket);
        self.wake(now);
    }

    /// Wakes whose turn has come.
    pub(crate) fn wake(&mut self, now: Time) {
        let woken = self.state.wake(now);
        self.next = woken.next;
        for ticket in woken.tickets {
            if let Some(waker) = self.wakers.remove(&ticket) {
                // Nobody listens any more if the client left in this very moment.
                let _ = waker.send(());
            }
        }
    }

    /// What operators call the provider and the key of an event.
    fn name(&self, event: Event) -> News {
        let (Event::KeyCooled { provider, key, .. }
        | Event::KeyBarred { provider, key, .. }
        | Event::KeyPlaced { provider, key, .. }
        | Event::Crowded { provider, key, .. }
        | Event::KeyBack { provider, key }) = &event;
        let provider = self.fleet.provider(*provider);
        let key = provider.and_then(|provider| provider.keys.iter().find(|known| known.id == *key));
        let key = key.map_or_else(String::new, |key| key.label.clone());
        News { provider: provider.map_or_else(String::new, |provider| provider.name.clone()), key, event }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay_core::{Key, KeyId, Provider, Strategy};

    fn with_keys(count: usize) -> (Locked, ProviderId) {
        let id = ProviderId::of("p");
        let key = |index: usize| Key::new(KeyId::of(id, &index.to_le_bytes()), index.to_string());
        let keys = (0..count).map(key).collect();
        let strategy = Strategy::LeastLoaded;
        let provider = Provider { strategy, ..Provider::new("p", keys) };
        let mut locked = Locked::default();
        locked.state.reconcile(&Fleet { providers: vec![provider], ..Fleet::default() }, Time::EPOCH);
        (locked, id)
    }

    #[test]
    fn the_keys_of_a_large_pool_are_counted_now_and_then_and_those_of_a_small_one_always() {
        let class = Class::of("m");
        for (before, soon) in [(SMALL, SMALL - 1), (SMALL + 1, SMALL + 1)] {
            let (mut locked, id) = with_keys(before);
            assert_eq!(locked.count(id, &class, Time::EPOCH), Count { total: before, available: before });
            // As if one had gone.
            locked.state = with_keys(before - 1).0.state;
            assert_eq!(locked.count(id, &class, Time::EPOCH + COUNTED_EVERY / 2).total, soon);
            assert_eq!(locked.count(id, &class, Time::EPOCH + COUNTED_EVERY).total, before - 1);
        }
    }

    #[test]
    fn counts_of_many_classes_are_not_all_remembered() {
        let (mut locked, id) = with_keys(SMALL + 1);
        for name in 0..2 * MOST_COUNTS {
            locked.count(id, &Class::of(&name.to_string()), Time::EPOCH);
        }
        assert_eq!(locked.counts.len(), MOST_COUNTS);
        assert!(locked.counts.last().is_some_and(|(_, class, ..)| *class == Class::of("127")));
    }
}
