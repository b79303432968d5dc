//! The lock, the clock, the dice, the timers and the wakers around [`relay_core::State`].
//!
//! The whole state is under one mutex, held for microseconds and never across an await. Nothing
//! here decides anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use relay_core::{
    Around, Ask, Class, Count, Event, Exhausted, Fleet, KeyId, Lease, Plan, ProviderId, Quota, Report, State,
    Stay, Step, Ticket, Time, Usage, Verdict,
};
use relay_telemetry::happening;
use tokio::sync::{Notify, oneshot};

use crate::clock::{Clock, Dice};
use crate::tasks::Tasks;

/// The state, shared by every request.
#[derive(Debug)]
pub(crate) struct Live {
    inner: Mutex<Inner>,
    clock: Arc<Clock>,
    dice: Dice,
    tasks: Tasks,
    /// Heard by the one who calls those whose moment has come: the next moment is sooner than he thinks.
    sooner: Notify,
    me: Weak<Self>,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    fleet: Fleet,
    wakers: BTreeMap<Ticket, oneshot::Sender<()>>,
    /// When the next of those who wait may go; nothing while nobody waits.
    next: Option<Time>,
    /// When it is looked again who may go, if somebody looks.
    looks: Option<Time>,
}

/// The right to one attempt. It gives itself back when it is dropped, with what was used so far.
#[derive(Debug)]
pub(crate) struct Held {
    live: Arc<Live>,
    /// On the heap: it is moved with every step of a call, and is large.
    lease: Option<Box<Lease>>,
    usage: Usage,
}

/// How a call goes on; [`relay_core::Step`] with the lease held.
#[derive(Debug)]
pub(crate) enum Onward {
    /// This is the answer.
    Commit(Held),
    /// Ask again.
    Again,
    /// This answer, a refusal, is for the client.
    Stop,
}

impl Live {
    pub(crate) fn new(clock: Arc<Clock>, tasks: Tasks) -> Arc<Self> {
        Arc::new_cyclic(|me| {
            let (inner, sooner, dice) = (Mutex::default(), Notify::new(), Dice::seeded());
            Self { inner, clock, dice, tasks, sooner, me: me.clone() }
        })
    }

    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    pub(crate) fn dice(&self) -> &Dice {
        &self.dice
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Takes the right to try, waiting for it as long as the plan allows. With how long that was.
    pub(crate) async fn ask(self: &Arc<Self>, plan: &mut Plan) -> Result<(Held, Duration), Exhausted> {
        let mut since = None;
        // Given up when the client leaves, and not before the call has asked again: what was promised to whoever is
        // called is his until then.
        let mut place: Option<Place> = None;
        loop {
            let now = self.now();
            let (ticket, woken, until) = match self.ask_at(now, plan) {
                Asked::Granted(lease) => {
                    let held = Held { live: Arc::clone(self), lease: Some(lease), usage: Usage::ZERO };
                    return Ok((held, now.since(since.unwrap_or(now))));
                }
                Asked::Exhausted(why) => return Err(why),
                Asked::Wait(ticket, woken, until) => (ticket, woken, until),
            };
            since.get_or_insert(now);
            // Whoever keeps his place must not give it up.
            let place = match &mut place {
                Some(place) if place.ticket == ticket => place,
                other => other.insert(Place { live: Arc::clone(self), ticket }),
            };
            place.turn(woken, until).await;
        }
    }

    fn ask_at(&self, now: Time, plan: &mut Plan) -> Asked {
        let roll = self.dice.roll();
        let mut inner = self.lock();
        let asked = match inner.state.ask(plan, now, roll) {
            Ask::Granted(lease) => Asked::Granted(Box::new(lease)),
            Ask::Exhausted(why) => Asked::Exhausted(why),
            Ask::Wait { ticket, until } => {
                let (waker, woken) = oneshot::channel();
                inner.wakers.insert(ticket, waker);
                Asked::Wait(ticket, woken, until)
            }
        };
        // It may have given something up that others wait for.
        self.wake(&mut inner, now);
        asked
    }

    /// Wakes whose turn has come, and sees to it that the next ones are woken in time.
    fn wake(&self, inner: &mut Inner, now: Time) {
        inner.wake(now);
        match (inner.next, inner.looks) {
            (Some(next), Some(looks)) if next < looks => self.sooner.notify_one(),
            (Some(next), None) => {
                // Not where the last of it is dropped with its runtime: then nobody waits any more.
                if let (Some(me), Ok(runtime)) = (self.me.upgrade(), tokio::runtime::Handle::try_current()) {
                    inner.looks = Some(next);
                    self.tasks.spawn_on(&runtime, "queue", me.call_on_time());
                }
            }
            _ => {}
        }
    }

    /// Calls those who wait when their moments come, until nobody waits.
    async fn call_on_time(self: Arc<Self>) {
        /// What never comes is looked at now and then.
        const SELDOM: Duration = Duration::from_mins(1);
        loop {
            let moment = {
                let (mut inner, now) = (self.lock(), self.now());
                inner.wake(now);
                inner.looks = inner.next.map(|next| next.max(now + TICK).min(now + SELDOM));
                let Some(looks) = inner.looks else { return };
                self.clock.instant(looks)
            };
            tokio::select! {
                () = tokio::time::sleep_until(moment) => {}
                () = self.sooner.notified() => {}
            }
        }
    }

    /// What the head of an answer tells about limits.
    pub(crate) fn learn(&self, held: &mut Held, quota: &Quota) {
        if let Some(lease) = &mut held.lease {
            let now = self.now();
            self.change(now, |state| state.learn(lease, quota, now));
        }
    }

    /// What an answer means, and how to go on.
    pub(crate) fn judge(&self, plan: &mut Plan, mut held: Held, verdict: Verdict) -> Onward {
        let Some(lease) = held.lease.take() else { return Onward::Stop };
        let now = self.now();
        let step = self.change(now, |state| state.judge(plan, *lease, verdict, now));
        match step {
            Step::Commit(lease) => {
                held.lease = Some(Box::new(lease));
                Onward::Commit(held)
            }
            Step::Again => Onward::Again,
            Step::Stop => Onward::Stop,
        }
    }

    /// That key owns something of that name.
    pub(crate) fn own(&self, name: &str, key: KeyId) {
        self.lock().state.own(name, key);
    }

    /// Which key owns something of that name.
    pub(crate) fn owner(&self, name: &str) -> Option<KeyId> {
        self.lock().state.owner(name)
    }

    /// How many keys a provider has for calls of that class.
    pub(crate) fn count(&self, provider: ProviderId, class: &Class) -> Count {
        let now = self.now();
        self.lock().state.count(provider, class, now)
    }

    /// The limits around a call.
    pub(crate) fn around(&self, held: &Held) -> Around {
        let now = self.now();
        held.lease.as_deref().map_or_else(Around::default, |lease| self.lock().state.around(lease, now))
    }

    /// Takes over a new configuration.
    pub(crate) fn reconcile(&self, fleet: &Fleet) {
        self.lock().fleet = fleet.clone();
        let now = self.now();
        self.change(now, |state| state.reconcile(fleet, now));
    }

    /// Forgets what is held against a key.
    pub(crate) fn pardon(&self, key: KeyId) {
        self.change(self.now(), |state| state.pardon(key));
    }

    /// Everything, for operators.
    pub(crate) fn report(&self) -> Report {
        let now = self.now();
        self.lock().state.report(now)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic under the lock leaves a state that is at worst out of date by one call; refusing
        // every later request would be worse.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then wakes whose turn has come and says what happened.
    fn change<T>(&self, now: Time, change: impl FnOnce(&mut State) -> T) -> T {
        let mut inner = self.lock();
        let result = change(&mut inner.state);
        self.wake(&mut inner, now);
        let events = inner.state.take_events();
        if events.is_empty() {
            return result;
        }
        let named: Vec<_> = events.iter().map(|event| inner.name(event)).collect();
        drop(inner);
        for (event, (provider, key)) in events.iter().zip(named) {
            happening::key_event(event, &provider, &key, now);
        }
        result
    }
}

enum Asked {
    Granted(Box<Lease>),
    Wait(Ticket, oneshot::Receiver<()>, Time),
    Exhausted(Exhausted),
}

/// The shortest time from one look at who may go to the next.
const TICK: Duration = Duration::from_millis(1);

impl Inner {
    fn wake(&mut self, now: Time) {
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
    fn name(&self, event: &Event) -> (String, String) {
        let (Event::KeyCooled { provider, key, .. }
        | Event::KeyBarred { provider, key, .. }
        | Event::KeyBack { provider, key }) = event;
        let provider = self.fleet.provider(*provider);
        let key = provider.and_then(|provider| provider.keys.iter().find(|known| known.id == *key));
        let name = provider.map_or_else(String::new, |provider| provider.name.clone());
        (name, key.map_or_else(String::new, |key| key.label.clone()))
    }
}

/// A place in the queue. It is given up when it is dropped.
struct Place {
    live: Arc<Live>,
    ticket: Ticket,
}

impl Place {
    /// Waits until it is this call's turn, at the latest until that moment.
    async fn turn(&self, woken: oneshot::Receiver<()>, until: Time) {
        let moment = self.live.clock.instant(until);
        tokio::select! {
            _ = woken => {}
            () = tokio::time::sleep_until(moment) => {
                let now = self.live.now();
                self.live.wake(&mut self.live.lock(), now);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.live.now();
        let mut inner = self.live.lock();
        inner.wakers.remove(&self.ticket);
        inner.state.cancel(self.ticket);
        // Those behind him move up.
        self.live.wake(&mut inner, now);
    }
}

impl Held {
    /// Whom to ask.
    pub(crate) fn provider(&self) -> Option<ProviderId> {
        self.lease.as_deref().map(Lease::provider)
    }

    /// With which key; none for the client's own credential.
    pub(crate) fn key(&self) -> Option<KeyId> {
        self.lease.as_deref().and_then(Lease::key)
    }

    /// What becomes of its conversation's prompt cache.
    pub(crate) fn stay(&self) -> Stay {
        self.lease.as_deref().map_or(Stay::New, Lease::stay)
    }

    /// Tokens used so far.
    pub(crate) fn charge(&mut self, usage: Usage) {
        if usage == self.usage {
            return;
        }
        self.usage = usage;
        if let Some(lease) = &mut self.lease {
            let now = self.live.now();
            self.live.change(now, |state| state.charge(lease, usage, now));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            let (usage, now) = (self.usage, self.live.now());
            self.live.change(now, |state| state.close(*lease, usage, now));
        }
    }
}
