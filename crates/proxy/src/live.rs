//! The lock, the clock, the dice, the timers and the wakers around [`relay_core::State`].
//!
//! The whole state is under one lock, held for microseconds and never across an await. Nothing here decides anything.
//!
//! Refuses to know which lock, which clock and which runtime these are: `tests/interleavings` compiles this very file
//! with others, which try what threads can do to each other.

// Said, because it is looked for elsewhere when another crate compiles this file.
#[path = "live/locked.rs"]
mod locked;

use std::sync::{Arc, Weak};
use std::time::Duration;

use relay_core::memory::Mark;
use relay_core::{
    Around, Class, Count, Counted, Exhausted, Fleet, Holder, KeyId, Lease, Memory, Plan, Pool, ProviderId,
    Quota, Report, State, Stay, Step, Text, Ticket, Time, Usage, Verdict,
};
use relay_telemetry::happening;
use tokio::sync::{Notify, oneshot};

use crate::clock::{Clock, Dice};
use crate::lock::{Guard, Lock};
use crate::tasks::Tasks;

use self::locked::{Asked, Locked, News};

/// The state, shared by every request.
#[derive(Debug)]
pub(crate) struct Live {
    locked: Lock<Locked>,
    clock: Arc<Clock>,
    dice: Dice,
    tasks: Tasks,
    /// Heard by the one who calls those whose moment has come: the next moment is sooner than he thinks.
    sooner: Notify,
    /// Heard by the one who keeps what is known.
    told: Notify,
    me: Weak<Self>,
}

/// The right to one attempt. It gives itself back when it is dropped, with what was used so far.
#[derive(Debug)]
pub(crate) struct Held {
    live: Arc<Live>,
    lease: Option<Lease>,
    usage: Usage,
    /// What was streamed, once it was counted.
    text: Option<Text>,
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
            let (locked, sooner, told) = <(Lock<Locked>, Notify, Notify)>::default();
            Self { locked, clock, dice: Dice::seeded(), tasks, sooner, told, me: me.clone() }
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

    /// Takes the right to try, waiting for it as long as the plan allows. With how long that was. If it must be waited for,
    /// `waits` is told from when on.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        plan: &mut Plan,
        waits: impl Fn(Time),
    ) -> Result<(Held, Duration), Exhausted> {
        let mut since = None;
        // Given up when the client leaves, and not before the call has asked again: what was promised to whoever is
        // called is his until then.
        let mut place: Option<Place> = None;
        loop {
            let now = self.now();
            let (ticket, woken, until) = match self.ask_at(now, plan) {
                Ok(held) => return Ok((held, now.since(since.unwrap_or(now)))),
                Err(NotNow::Exhausted(why)) => return Err(why),
                Err(NotNow::Wait(ticket, woken, until)) => (ticket, woken, until),
            };
            since.get_or_insert_with(|| {
                waits(now);
                now
            });
            // Whoever keeps his place must not give it up.
            let place = match &mut place {
                Some(place) if place.ticket == ticket => place,
                other => other.insert(Place { live: Arc::clone(self), ticket }),
            };
            place.turn(woken, until).await;
        }
    }

    fn ask_at(self: &Arc<Self>, now: Time, plan: &mut Plan) -> Result<Held, NotNow> {
        let roll = self.dice.roll();
        let asked = self.with(|locked| locked.ask(plan, now, roll));
        match asked {
            Asked::Granted(lease) => {
                let (usage, text) = (Usage::ZERO, None);
                Ok(Held { live: Arc::clone(self), lease: Some(lease), usage, text })
            }
            Asked::Wait(ticket, woken, until) => Err(NotNow::Wait(ticket, woken, until)),
            Asked::Exhausted(why) => Err(NotNow::Exhausted(why)),
        }
    }

    /// Takes the lock, does something that may wake others, and sees to it that the next ones are woken in time.
    fn with<T>(&self, change: impl FnOnce(&mut Locked) -> T) -> T {
        let mut locked = self.lock();
        let result = change(&mut locked);
        match (locked.next, locked.looks) {
            (Some(next), Some(looks)) if next < looks => self.sooner.notify_one(),
            (Some(next), None) => {
                // Not where the last of it is dropped with its runtime: then nobody waits any more.
                if let Some(me) = self.me.upgrade()
                    && self.tasks.spawn_here("queue", me.call_on_time())
                {
                    locked.looks = Some(next);
                }
            }
            _ => {}
        }
        result
    }

    /// Calls those who wait when their moments come, until nobody waits.
    async fn call_on_time(self: Arc<Self>) {
        /// What never comes is looked at now and then.
        const SELDOM: Duration = Duration::from_mins(1);
        let mut lookout = Lookout(Some(&self));
        loop {
            let looks = {
                let (mut locked, now) = (self.lock(), self.now());
                locked.wake(now);
                locked.looks = locked.next.map(|next| next.max(now + TICK).min(now + SELDOM));
                locked.looks
            };
            let Some(looks) = looks else { return lookout.relieve() };
            tokio::select! {
                biased;
                () = self.sooner.notified() => {}
                () = self.clock.reached(looks) => {}
            }
        }
    }

    /// What the head of an answer that came then tells about limits.
    pub(crate) fn learn(&self, held: &mut Held, quota: &Quota, now: Time) {
        if let Some(lease) = &mut held.lease {
            self.change(now, |state| state.learn(lease, quota, now));
        }
    }

    /// What an answer means, and how to go on.
    pub(crate) fn judge(&self, plan: &mut Plan, mut held: Held, verdict: Verdict) -> Onward {
        let Some(lease) = held.lease.take() else { return Onward::Stop };
        let now = self.now();
        let step = self.change(now, |state| state.judge(plan, lease, verdict, now));
        match step {
            Step::Commit(lease) => {
                held.lease = Some(lease);
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

    /// Is a prompt for such models to be measured?
    pub(crate) fn wants_measure(&self, class: &Class) -> bool {
        self.lock().state.wants_measure(class)
    }

    /// How many tokens such models count, most likely, where so many are measured.
    pub(crate) fn reckon(&self, class: &Class, measured: u64) -> u64 {
        self.lock().state.reckon(class, measured)
    }

    /// How many keys a provider has for calls of that class; of a large pool, a moment ago.
    pub(crate) fn count(&self, provider: ProviderId, class: &Class) -> Count {
        let now = self.now();
        self.lock().count(provider, class, now)
    }

    /// The pool that a call could go to; none if it goes with the client's own credential.
    pub(crate) fn pool(&self, plan: &Plan) -> Option<Pool> {
        let now = self.now();
        self.lock().state.pool(plan, now)
    }

    /// The limits around a call.
    pub(crate) fn around(&self, held: &Held) -> Around {
        let now = self.now();
        held.lease.as_ref().map_or_else(Around::default, |lease| self.lock().state.around(lease, now))
    }

    /// Takes over a new configuration.
    pub(crate) fn reconcile(&self, fleet: &Fleet) {
        let names = fleet.clone();
        self.lock().fleet = names;
        let now = self.now();
        self.change(now, |state| state.reconcile(fleet, now));
    }

    /// What is new since that mark, as the wall clock tells its moments; and the next mark.
    pub(crate) fn remember(&self, since: Mark) -> (Memory, Mark) {
        let (memory, mark) = {
            let now = self.now();
            self.lock().state.remember(since, now)
        };
        (memory.moved(self.clock.wall()), mark)
    }

    /// Takes in what was known before a restart.
    pub(crate) fn recall(&self, memory: Memory) -> Mark {
        let (now, roll) = (self.now(), self.dice.roll());
        self.change(now, |state| state.recall(memory, now, roll))
    }

    /// The provider says which limits the organization of a key has, or its workspace there. False if there is no such
    /// key.
    pub(crate) fn announce(
        &self,
        key: KeyId,
        holder: Holder,
        limits: &[(Class, Counted, Option<u64>)],
    ) -> bool {
        let now = self.now();
        self.change(now, |state| state.announce(key, holder, limits, now))
    }

    /// Forgets what is held against a key.
    pub(crate) fn pardon(&self, key: KeyId) {
        self.change(self.now(), |state| state.pardon(key));
    }

    /// An operator says so: what it owes is forgiven too, and that is not lost if the relay is killed.
    pub(crate) fn reset(&self, key: KeyId) {
        let now = self.now();
        self.change(now, |state| state.reset(key, now));
        self.told.notify_one();
    }

    /// When an operator has said something that is not to be forgotten.
    pub(crate) async fn is_told(&self) {
        self.told.notified().await;
    }

    /// Everything, for operators.
    pub(crate) fn report(&self) -> Report {
        let now = self.now();
        self.lock().state.report(now)
    }

    fn lock(&self) -> Guard<'_, Locked> {
        // A panic under the lock leaves a state that is at worst out of date by one call; refusing
        // every later request would be worse.
        self.locked.lock()
    }

    /// Changes the state, wakes whose turn has come, and says what happened.
    fn change<T>(&self, now: Time, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, news) = self.with(|locked| locked.change(now, change));
        for News { event, provider, key } in &news {
            happening::key_event(event, provider, key, now);
        }
        result
    }
}

/// Somebody looks who may go. If he ends before nobody waits, for he panicked or his runtime has gone, the next one who
/// changes anything sends another.
struct Lookout<'a>(Option<&'a Live>);

impl Lookout<'_> {
    /// Nobody waits, and that is known: another may have been sent already.
    fn relieve(&mut self) {
        self.0 = None;
    }
}

impl Drop for Lookout<'_> {
    fn drop(&mut self) {
        if let Some(live) = self.0 {
            live.lock().looks = None;
        }
    }
}

/// Why a call does not go now.
enum NotNow {
    Wait(Ticket, oneshot::Receiver<()>, Time),
    Exhausted(Exhausted),
}

/// The shortest time from one look at who may go to the next.
const TICK: Duration = Duration::from_millis(1);

/// A place in the queue. It is given up when it is dropped.
struct Place {
    live: Arc<Live>,
    ticket: Ticket,
}

impl Place {
    /// Waits until it is this call's turn, at the latest until that moment.
    async fn turn(&self, woken: oneshot::Receiver<()>, until: Time) {
        tokio::select! {
            biased;
            _ = woken => {}
            () = self.live.clock.reached(until) => {
                let now = self.live.now();
                self.live.with(|locked| locked.wake(now));
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.live.now();
        self.live.with(|locked| locked.cancel(self.ticket, now));
    }
}

impl Held {
    /// Whom to ask.
    pub(crate) fn provider(&self) -> Option<ProviderId> {
        self.lease.as_ref().map(|lease| lease.provider())
    }

    /// With which key; none for the client's own credential.
    pub(crate) fn key(&self) -> Option<KeyId> {
        self.lease.as_ref().and_then(|lease| lease.key())
    }

    /// What becomes of its conversation's prompt cache.
    pub(crate) fn stay(&self) -> Stay {
        self.lease.as_ref().map_or(Stay::New, |lease| lease.stay())
    }

    /// It ends, with what was used all told, and what was streamed of it, if that was counted.
    pub(crate) fn end(mut self, usage: Usage, text: Option<Text>) {
        (self.usage, self.text) = (usage, text);
    }

    /// Tokens used so far. What texts like its answer are, if that is known by now.
    pub(crate) fn charge(&mut self, usage: Usage) -> Option<Text> {
        if usage == self.usage {
            return None;
        }
        self.usage = usage;
        let (lease, now) = (self.lease.as_mut()?, self.live.now());
        Some(self.live.change(now, |state| {
            state.charge(lease, usage, now);
            state.text(lease)
        }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            let (usage, text, now) = (self.usage, self.text, self.live.now());
            self.live.change(now, |state| {
                if let Some(text) = text {
                    state.note_text(&lease, text);
                }
                state.close(lease, usage, now);
            });
        }
    }
}
