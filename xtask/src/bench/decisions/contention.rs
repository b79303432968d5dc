//! Threads that want the lock at the same time. Knows how long each waits for it and holds it; refuses to know what for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use relay_core::{Lease, Plan, Roll, State, Time};

use crate::clock;
use crate::failure::Failure;

use super::life::{CONVERSATIONS, Call, Desk, Kind, N_PIECES, PAUSE, Traffic, Verb};
use super::locked::{Asked, Locked};
use super::pool::Pool;
use super::stopwatch::{Stopwatch, Times, Timing};

/// Lives that each thread leads in one run.
const LIVES: u64 = 5_000;

/// One call in so many begins a conversation.
const FIRST: u64 = 10;

/// Each thread has so many calls open, for each charge of theirs.
const OPEN: usize = 8;

/// Threads that share one state.
pub(super) struct Crowd<'a> {
    locked: &'a Mutex<Locked>,
    pool: &'a Pool,
    n_threads: u32,
    start: Time,
    /// Calls so far.
    n_came: AtomicU64,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Contention {
    /// Whole lives in a second, while nobody looks at a clock.
    pub(super) lives_per_second: f64,
    /// How long a thread waits for the lock, and how long it holds it then, of all verbs alike.
    pub(super) waits: Times,
    pub(super) holds: Times,
    pub(super) both: Times,
}

/// The lock, and a look at the clock before it is taken, while it is held, and after it.
struct Watched<'a> {
    locked: &'a Mutex<Locked>,
    stopwatch: Option<&'a Stopwatch>,
    seen: Contention,
}

impl<'a> Crowd<'a> {
    pub(super) fn new(traffic: &'a Traffic<Mutex<Locked>>, n_threads: u32) -> Self {
        let Traffic { desk, pool, now, .. } = traffic;
        Self { locked: desk, pool, n_threads, start: *now, n_came: AtomicU64::new(0) }
    }

    /// Twice: to count lives, and to look at each verb.
    pub(super) fn run(&self, stopwatch: &Stopwatch) -> Result<Contention, Failure> {
        let (took, _) = self.run_once(None)?;
        let (_, seen) = self.run_once(Some(stopwatch))?;
        let n_lives = f64::from(self.n_threads) * f64::from(u32::try_from(LIVES).unwrap_or(u32::MAX));
        Ok(Contention { lives_per_second: n_lives / took.as_secs_f64(), ..seen })
    }

    fn run_once(&self, stopwatch: Option<&Stopwatch>) -> Result<(Duration, Contention), Failure> {
        let barrier = Barrier::new(usize::try_from(self.n_threads).unwrap_or(usize::MAX));
        let live = |number| {
            barrier.wait();
            let begun = clock::now();
            let mut watched = Watched { locked: self.locked, stopwatch, seen: Contention::default() };
            self.live(number, &mut watched);
            (begun, clock::now(), watched.seen)
        };
        let parts: Vec<_> = std::thread::scope(|scope| {
            let live = &live;
            let threads: Vec<_> =
                (0..self.n_threads).map(|number| scope.spawn(move || live(number))).collect();
            threads.into_iter().map(|thread| thread.join().ok()).collect()
        });
        let mut seen = Contention::default();
        let (mut begun, mut ended): (Option<Instant>, Option<Instant>) = (None, None);
        for part in parts {
            let (from, to, part) = part.ok_or_else(|| Failure::Measurement {
                doing: "measuring contention".to_owned(),
                problem: "a thread ended before its time".to_owned(),
            })?;
            begun = begun.into_iter().chain([from]).min();
            ended = ended.max(Some(to));
            seen.join(part);
        }
        let took = ended.zip(begun).map(|(ended, begun)| ended.duration_since(begun));
        Ok((took.unwrap_or_default(), seen))
    }

    /// What one thread does.
    fn live(&self, thread: u32, desk: &mut Watched<'_>) {
        let mut open: VecDeque<Call> = VecDeque::new();
        for turn in 0..LIVES {
            let nth = self.n_came.fetch_add(1, Ordering::Relaxed);
            let now = self.start + PAUSE * u32::try_from(nth).unwrap_or(u32::MAX);
            let number = turn * u64::from(self.n_threads) + u64::from(thread);
            let which = if turn % FIRST == 0 {
                // Of a number that nobody had.
                (Kind::First, u64::MAX - nth)
            } else {
                (Kind::Hit, number % CONVERSATIONS)
            };
            let mut call = Call::new(self.pool, which, now);
            call.apply(Verb::Ask, desk, now);
            call.answered(self.pool, now);
            for verb in [Verb::Learn, Verb::Judge, Verb::Begin] {
                call.apply(verb, desk, now);
            }
            for piece in 1..=N_PIECES {
                if let Some(older) =
                    open.len().checked_sub(piece * OPEN).and_then(|place| open.get_mut(place))
                {
                    older.apply(Verb::Piece, desk, now);
                }
            }
            open.push_back(call);
            if open.len() > (N_PIECES + 1) * OPEN
                && let Some(mut oldest) = open.pop_front()
            {
                oldest.apply(Verb::Close, desk, now);
            }
        }
        let now = self.start + PAUSE * u32::try_from(self.n_came.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        for mut call in open {
            call.apply(Verb::Close, desk, now);
        }
    }
}

impl Watched<'_> {
    fn with<T>(&mut self, verb: impl FnOnce(&mut Locked) -> T) -> T {
        let lock =
            || -> MutexGuard<'_, Locked> { self.locked.lock().unwrap_or_else(PoisonError::into_inner) };
        let Some(stopwatch) = self.stopwatch else { return verb(&mut lock()) };
        let came = clock::now();
        let mut guard = lock();
        let waited = stopwatch.since(came);
        let took = clock::now();
        let result = verb(&mut guard);
        drop(guard);
        let held = stopwatch.since(took);
        self.seen.waits.note(Timing::Single, &[waited]);
        self.seen.holds.note(Timing::Single, &[held]);
        self.seen.both.note(Timing::Single, &[waited + held]);
        result
    }
}

impl Desk for Watched<'_> {
    fn ask(&mut self, plan: &mut Plan, now: Time, roll: Roll) -> Option<Lease> {
        match self.with(|locked| locked.ask(plan, now, roll)) {
            Asked::Granted(lease) => Some(lease),
            Asked::Wait(ticket, ..) => {
                self.with(|locked| locked.cancel(ticket, now));
                None
            }
            Asked::Exhausted(_) => None,
        }
    }

    fn change<T>(&mut self, now: Time, change: impl FnOnce(&mut State) -> T) -> T {
        self.with(|locked| locked.change(now, change)).0
    }
}

impl Contention {
    fn join(&mut self, other: Self) {
        self.waits.join(other.waits);
        self.holds.join(other.holds);
        self.both.join(other.both);
    }
}
