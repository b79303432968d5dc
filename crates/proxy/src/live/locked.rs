//! All that is done while the lock is held, and nothing else: a verb of the state, then whoever's turn has come is woken,
//! and what happened is taken along. Refuses to know the lock itself, the clock and the dice.
//!
//! `cargo xtask bench decisions` measures this very file.

use std::collections::BTreeMap;

use relay_core::{Ask, Event, Exhausted, Fleet, Lease, Plan, Roll, State, Ticket, Time};
use tokio::sync::oneshot;

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
        | Event::KeyBack { provider, key }) = &event;
        let provider = self.fleet.provider(*provider);
        let key = provider.and_then(|provider| provider.keys.iter().find(|known| known.id == *key));
        let key = key.map_or_else(String::new, |key| key.label.clone());
        News { provider: provider.map_or_else(String::new, |provider| provider.name.clone()), key, event }
    }
}
