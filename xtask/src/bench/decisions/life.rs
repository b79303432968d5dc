//! The lives of calls, one beside the other: each asks, is judged, flows and ends while others do. Knows in which order
//! a call does what; refuses to know how it is timed and what is made of that.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use relay_core::{Ask, Conversation, KeyId, Lease, Plan, Quota, Roll, State, Step, Time, Usage, Verdict};

use crate::failure::Failure;

use super::locked::{Asked, Locked};
use super::pool::{self, ANSWER, Pool, START};
use super::stopwatch::{Stopwatch, Times, Timing};

/// Conversations that are under way.
pub(super) const CONVERSATIONS: u64 = 10_000;

/// First placements in each round. With the conversations, which go on once in each, they fit into the time for which a
/// prompt cache lives.
const NEWCOMERS: u64 = 3_000;

/// A call comes this long after the one before.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// So many calls are timed together.
const BATCH: usize = 64;

/// How often a reply is charged after its beginning: with each piece, as the proxy does.
pub(super) const N_PIECES: usize = (ANSWER / relay_core::PIECE) as usize;

/// Who is asked.
pub(super) trait Desk {
    /// The right to try, if it may go now; whoever would have to wait goes away.
    fn ask(&mut self, plan: &mut Plan, now: Time, roll: Roll) -> Option<Lease>;
    /// Any other verb.
    fn change<T>(&mut self, now: Time, change: impl FnOnce(&mut State) -> T) -> T;
}

/// What a call does, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Verb {
    Ask,
    Learn,
    Judge,
    Begin,
    Piece,
    Close,
}

/// Does a call go on with a conversation, or begin one?
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Hit,
    First,
}

/// One call.
pub(super) struct Call {
    kind: Kind,
    plan: Plan,
    roll: Roll,
    came: Time,
    lease: Option<Lease>,
    quota: Quota,
    usage: Usage,
    spent: Duration,
}

/// Calls that came together.
struct Batch {
    timing: Timing,
    calls: Vec<Call>,
    /// Which conversations they go on with, by number.
    numbers: Vec<u64>,
    n_steps: usize,
}

/// What came of some calls.
#[derive(Debug, Default)]
pub(super) struct Lives {
    pub(super) verbs: [Times; Verb::ALL.len()],
    /// All verbs of one call together.
    pub(super) whole: Times,
    /// How many there were, and how many of them were not what they should be: they had to wait or, of those that went
    /// on, went elsewhere.
    pub(super) n_calls: usize,
    pub(super) n_strays: usize,
}

/// Calls that come, one after the other, and overlap.
pub(super) struct Traffic<D> {
    pub(super) desk: D,
    pub(super) pool: Pool,
    pub(super) now: Time,
    n_newcomers: u64,
    n_batches: usize,
    under_way: VecDeque<Batch>,
    /// Where each conversation was last.
    homes: Vec<Option<KeyId>>,
    took: Vec<Duration>,
}

impl Verb {
    pub(super) const ALL: [Self; 6] =
        [Self::Ask, Self::Learn, Self::Judge, Self::Begin, Self::Piece, Self::Close];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Learn => "learn",
            Self::Judge => "judge",
            Self::Begin => "charge: prompt",
            Self::Piece => "charge: piece",
            Self::Close => "close",
        }
    }
}

impl Kind {
    pub(super) const BOTH: [Self; 2] = [Self::Hit, Self::First];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hit => "affinity hit",
            Self::First => "first placement",
        }
    }
}

impl Call {
    /// One that goes on with the conversation of that number, or begins it.
    pub(super) fn new(pool: &Pool, (kind, number): (Kind, u64), came: Time) -> Self {
        // Spread over all numbers, as hashes are.
        let conversation = Conversation::of(&[b"session", &number.to_le_bytes()]);
        let Conversation(hash) = Conversation::of(&[&came.since_epoch().as_nanos().to_le_bytes()]);
        let usage = pool::begins(kind == Kind::Hit);
        let (plan, roll) = (pool.plan(conversation, came), Roll(hash));
        Self { kind, plan, roll, came, lease: None, quota: Quota::default(), usage, spent: Duration::ZERO }
    }

    /// Its answer arrives.
    pub(super) fn answered(&mut self, pool: &Pool, now: Time) {
        if let Some(key) = self.key() {
            self.quota = pool.quota(key, now);
        }
    }

    fn key(&self) -> Option<KeyId> {
        self.lease.as_ref().and_then(|lease| lease.key())
    }

    pub(super) fn apply<D: Desk>(&mut self, verb: Verb, desk: &mut D, now: Time) {
        if verb == Verb::Ask {
            self.lease = desk.ask(&mut self.plan, self.came, self.roll);
            return;
        }
        let Self { plan, quota, usage, .. } = self;
        let Some(mut lease) = self.lease.take() else { return };
        self.lease = match verb {
            Verb::Ask | Verb::Learn => {
                desk.change(now, |state| state.learn(&mut lease, quota, now));
                Some(lease)
            }
            Verb::Judge => match desk.change(now, |state| state.judge(plan, lease, Verdict::Served, now)) {
                Step::Commit(lease) => Some(lease),
                Step::Again | Step::Stop => None,
            },
            Verb::Begin | Verb::Piece => {
                if verb == Verb::Piece {
                    usage.output += relay_core::PIECE;
                }
                desk.change(now, |state| state.charge(&mut lease, *usage, now));
                Some(lease)
            }
            Verb::Close => {
                usage.output = ANSWER;
                desk.change(now, |state| state.close(lease, *usage, now));
                None
            }
        };
    }
}

impl<D: Desk> Traffic<D> {
    /// With all conversations under way, and everything as large as it will be.
    pub(super) fn open(desk: D, pool: Pool) -> Result<Self, Failure> {
        let homes = vec![None; usize::try_from(CONVERSATIONS).unwrap_or_default()];
        let mut traffic = Self {
            desk,
            pool,
            now: START,
            n_newcomers: 0,
            n_batches: 0,
            under_way: VecDeque::new(),
            homes,
            took: Vec::new(),
        };
        let untimed = Stopwatch { empty: Duration::ZERO };
        let mut begun = Lives::default();
        traffic.pass(&all(Kind::First), &untimed, &mut begun);
        for kind in Kind::BOTH.into_iter().cycle().take(4) {
            traffic.run(kind, &untimed)?;
        }
        Ok(traffic)
    }

    /// One round of calls of that kind.
    pub(super) fn run(&mut self, kind: Kind, stopwatch: &Stopwatch) -> Result<Lives, Failure> {
        let mut lives = Lives::default();
        let numbers: Vec<_> = match kind {
            Kind::Hit => all(kind),
            Kind::First => {
                let first = CONVERSATIONS + self.n_newcomers;
                self.n_newcomers += NEWCOMERS;
                (first..first + NEWCOMERS).map(|number| (kind, number)).collect()
            }
        };
        self.pass(&numbers, stopwatch, &mut lives);
        if lives.n_strays * 50 > lives.n_calls {
            let problem = format!(
                "{} of {} calls had to wait or went elsewhere: they are no {}",
                lives.n_strays,
                lives.n_calls,
                kind.name()
            );
            return Err(Failure::Measurement { doing: "measuring decisions".to_owned(), problem });
        }
        Ok(lives)
    }

    fn pass(&mut self, all: &[(Kind, u64)], stopwatch: &Stopwatch, lives: &mut Lives) {
        for some in all.chunks(BATCH) {
            let begun = self.now;
            let calls =
                some.iter().zip(1_u32..).map(|(call, nth)| Call::new(&self.pool, *call, begun + PAUSE * nth));
            let calls: Vec<_> = calls.collect();
            self.now = begun + PAUSE * u32::try_from(calls.len()).unwrap_or_default();
            self.n_batches += 1;
            let timing = if self.n_batches.is_multiple_of(2) { Timing::Together } else { Timing::Single };
            let numbers = some.iter().map(|(_, number)| *number).collect();
            self.under_way.push_back(Batch { timing, calls, numbers, n_steps: 0 });
            self.go_on(stopwatch, lives);
        }
        while !self.under_way.is_empty() {
            self.now = self.now + PAUSE * 64;
            self.go_on(stopwatch, lives);
        }
    }

    /// Each batch under way does its next step.
    fn go_on(&mut self, stopwatch: &Stopwatch, lives: &mut Lives) {
        for mut batch in std::mem::take(&mut self.under_way) {
            match batch.n_steps {
                0 => {
                    self.apply(&mut batch, Verb::Ask, stopwatch, lives);
                    self.check(&batch, lives);
                }
                1 => {
                    batch.calls.iter_mut().for_each(|call| call.answered(&self.pool, self.now));
                    for verb in [Verb::Learn, Verb::Judge, Verb::Begin] {
                        self.apply(&mut batch, verb, stopwatch, lives);
                    }
                }
                step if step < 2 + N_PIECES => self.apply(&mut batch, Verb::Piece, stopwatch, lives),
                _ => {
                    self.apply(&mut batch, Verb::Close, stopwatch, lives);
                    let spent: Vec<_> = batch.calls.iter().map(|call| call.spent).collect();
                    lives.whole.note(batch.timing, &spent);
                    continue;
                }
            }
            batch.n_steps += 1;
            self.under_way.push_back(batch);
        }
    }

    fn apply(&mut self, batch: &mut Batch, verb: Verb, stopwatch: &Stopwatch, lives: &mut Lives) {
        let Self { desk, now, took, .. } = self;
        stopwatch.each(batch.timing, &mut batch.calls, |call| call.apply(verb, desk, *now), took);
        lives.verbs[verb as usize].note(batch.timing, took);
        batch.calls.iter_mut().zip(took).for_each(|(call, took)| call.spent += *took);
    }

    /// Are they what they should be?
    fn check(&mut self, batch: &Batch, lives: &mut Lives) {
        for (call, number) in batch.calls.iter().zip(&batch.numbers) {
            let key = call.key();
            let home = usize::try_from(*number).ok().and_then(|number| self.homes.get_mut(number));
            let moves = home.is_some_and(|home| std::mem::replace(home, key) != key);
            let strays = moves && call.kind == Kind::Hit;
            lives.n_calls += 1;
            lives.n_strays += usize::from(strays || key.is_none());
        }
    }
}

/// All conversations, in an order in which no neighbours meet: this has no factor in common with their number.
fn all(kind: Kind) -> Vec<(Kind, u64)> {
    (0..CONVERSATIONS).map(|turn| (kind, turn * 7_919 % CONVERSATIONS)).collect()
}

impl Lives {
    pub(super) fn join(&mut self, others: Self) {
        self.verbs.iter_mut().zip(others.verbs).for_each(|(own, other)| own.join(other));
        self.whole.join(others.whole);
        self.n_calls += others.n_calls;
        self.n_strays += others.n_strays;
    }
}

impl Desk for State {
    fn ask(&mut self, plan: &mut Plan, now: Time, roll: Roll) -> Option<Lease> {
        match State::ask(self, plan, now, roll) {
            Ask::Granted(lease) => Some(lease),
            Ask::Wait { ticket, .. } => {
                self.cancel(ticket);
                None
            }
            Ask::Exhausted(_) => None,
        }
    }

    fn change<T>(&mut self, _: Time, change: impl FnOnce(&mut State) -> T) -> T {
        change(self)
    }
}

/// As the proxy does it: the lock is taken for each verb, and what happened is told when it is free again.
#[expect(clippy::mut_mutex_lock, reason = "it is taken because that is what is measured")]
impl Desk for Mutex<Locked> {
    fn ask(&mut self, plan: &mut Plan, now: Time, roll: Roll) -> Option<Lease> {
        let lock = || self.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = lock().ask(plan, now, roll);
        match asked {
            Asked::Granted(lease) => Some(lease),
            Asked::Wait(ticket, ..) => {
                lock().cancel(ticket, now);
                None
            }
            Asked::Exhausted(_) => None,
        }
    }

    fn change<T>(&mut self, now: Time, change: impl FnOnce(&mut State) -> T) -> T {
        self.lock().unwrap_or_else(PoisonError::into_inner).change(now, change).0
    }
}
