//! The three deadlines of a request, and one lazily armed timer that watches them.
//!
//! Knows only Tokio's clock, so that paused time governs it. Refuses to register a timer for each
//! chunk: a deadline that moves on is noticed when the timer fires, not when it moves.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// How long each part of a request may take. None of them limits a body that flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From the start until a connection is usable: name, TCP, proxy tunnel, TLS.
    pub connect: Duration,
    /// From the last byte of the request that could be written until the head of the response.
    /// It therefore also ends an upload that the upstream stopped reading.
    pub first_byte: Duration,
    /// The longest silence inside a body.
    pub idle: Duration,
}

/// How soon a request and the end of an idle connection have met, if they did: a few round trips
/// over a bad line. A connection that ends later than this ends while the request is being served,
/// and not in the moment in which it was taken up.
pub(crate) const CLOSING_RACE: Duration = Duration::from_secs(3);

/// A timer that outlives requests. It is moved back only when it fires too early, and moved
/// forward only when the new deadline is nearer, so a connection in steady use never touches
/// the timer wheel.
#[derive(Debug, Default)]
pub struct Watchdog {
    timer: Option<Pin<Box<Sleep>>>,
    /// Whom the timer wakes, if it is armed.
    wakes: Option<Waker>,
}

impl Watchdog {
    /// Ready once `due` has passed; until then wakes the task in time. `None` is never due.
    pub fn poll(&mut self, due: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = due else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if due < timer.deadline() {
            timer.as_mut().reset(due);
            self.wakes = None;
        }
        let armed = self.wakes.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if armed && !timer.is_elapsed() {
            return Poll::Pending;
        }
        while timer.as_mut().poll(cx).is_ready() {
            if due <= Instant::now() {
                self.wakes = None;
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        if !armed {
            self.wakes = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watchdog_waits_for_the_deadline_as_it_is_now() {
        let start = Instant::now();
        let mut watchdog = Watchdog::default();
        let mut cx = Context::from_waker(Waker::noop());
        let after = |secs| Some(start + Duration::from_secs(secs));
        assert!(watchdog.poll(after(10), &mut cx).is_pending());
        // Moved back: the timer fires at 10 s and is armed anew.
        poll_fn(|cx| watchdog.poll(after(30), cx)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(30));
        // Moved forward, after having been armed for later.
        assert!(watchdog.poll(after(1000), &mut cx).is_pending());
        poll_fn(|cx| watchdog.poll(after(40), cx)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(40));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asked_last_is_woken_and_as_often_as_the_watchdog_is_used() {
        #[derive(Default)]
        struct Bell(AtomicUsize);
        impl Wake for Bell {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let start = Instant::now();
        let mut watchdog = Watchdog::default();
        for round in 1..=3 {
            let due = start + Duration::from_secs(10 * round);
            let bells = [(); 2].map(|()| Arc::new(Bell::default()));
            for bell in &bells {
                let waker = Waker::from(Arc::clone(bell));
                for _ in 0..3 {
                    assert!(watchdog.poll(Some(due), &mut Context::from_waker(&waker)).is_pending());
                }
            }
            tokio::time::sleep_until(due + Duration::from_millis(1)).await;
            assert_eq!(bells.each_ref().map(|bell| bell.0.load(Ordering::Relaxed)), [0, 1]);
            let waker = Waker::from(Arc::clone(&bells[1]));
            assert!(watchdog.poll(Some(due), &mut Context::from_waker(&waker)).is_ready());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_is_never_due_is_never_due() {
        let mut watchdog = Watchdog::default();
        assert!(watchdog.poll(None, &mut Context::from_waker(Waker::noop())).is_pending());
    }
}
