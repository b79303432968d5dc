//! The clock and the dice of `src/clock.rs` as the checker sees them: time stands still until somebody moves it on, and
//! every roll is the same in every run.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use relay_core::{Roll, Time};

/// When everything begins.
pub(crate) const START: Time = Time::from_epoch(Duration::from_secs(1_000_000));

/// A clock that shows what it was last moved to.
#[derive(Debug)]
pub(crate) struct Clock(Mutex<Hands>);

#[derive(Debug)]
struct Hands {
    now: Time,
    alarms: BTreeMap<(Time, u64), Waker>,
    n_alarms: u64,
    /// Whoever moves it waits for somebody who waits for it.
    mover: Option<Waker>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let hands = Hands { now: START, alarms: BTreeMap::new(), n_alarms: 0, mover: None };
        Self(Mutex::new(hands))
    }

    pub(crate) fn now(&self) -> Time {
        self.hands().now
    }

    pub(crate) fn wall(&self) -> Time {
        self.now()
    }

    /// Waits until that moment has come.
    pub(crate) fn reached(&self, time: Time) -> Reached<'_> {
        Reached { clock: self, time, number: None }
    }

    /// Waits until somebody waits for a moment.
    pub(crate) async fn wanted(&self) {
        std::future::poll_fn(|context| {
            let mut hands = self.hands();
            if hands.alarms.is_empty() {
                hands.mover = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Moves it on to the first moment that anybody waits for, but not by more than that.
    pub(crate) fn step(&self, most: Duration) {
        let due: Vec<_> = {
            let mut hands = self.hands();
            let Some((first, _)) = hands.alarms.keys().next().copied() else { return };
            let now = first.min(hands.now + most).max(hands.now);
            hands.now = now;
            let later = hands.alarms.split_off(&(now, u64::MAX));
            std::mem::replace(&mut hands.alarms, later).into_values().collect()
        };
        for waker in due {
            waker.wake();
        }
    }

    /// Nobody takes this lock and then gives way, so it is no matter for the checker.
    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Clock::reached`].
#[derive(Debug)]
pub(crate) struct Reached<'a> {
    clock: &'a Clock,
    time: Time,
    number: Option<u64>,
}

impl Future for Reached<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut hands = self.clock.hands();
        if hands.now >= self.time {
            return Poll::Ready(());
        }
        let number = self.number.unwrap_or_else(|| {
            hands.n_alarms += 1;
            hands.n_alarms
        });
        hands.alarms.insert((self.time, number), context.waker().clone());
        let mover = hands.mover.take();
        drop(hands);
        self.number = Some(number);
        if let Some(mover) = mover {
            mover.wake();
        }
        Poll::Pending
    }
}

impl Drop for Reached<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.clock.hands().alarms.remove(&(self.time, number));
        }
    }
}

/// Dice that begin anew in every run.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn seeded() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn roll(&self) -> Roll {
        Roll(self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst))
    }
}
