//! Whether what was written to a client of HTTP/2 has left this program. Hyper drops what it has buffered when
//! a body breaks off; so a body that must break off waits until everything before that has gone. In HTTP/1 the
//! server writes everything before it asks a body for more.

use std::io::IoSlice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};

/// Counts how often the write buffer of a connection was handed to the system. Hyper flushes its stream when its
/// own buffer is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flushes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    count: AtomicU64,
    /// The bodies that wait: one, or of HTTP/2 several.
    waiting: Mutex<Vec<Waker>>,
    waiters: AtomicU64,
}

impl Flushes {
    /// One more.
    pub(crate) fn note(&self) {
        self.0.count.fetch_add(1, Ordering::AcqRel);
        if self.0.waiters.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.waiters.store(0, Ordering::Release);
        waiting.drain(..).for_each(Waker::wake);
    }

    fn count(&self) -> u64 {
        self.0.count.load(Ordering::Acquire)
    }

    /// Ready once it is so; looked at again after each flush.
    fn poll_until(&self, is_so: impl Fn() -> bool, context: &mut Context<'_>) -> Poll<()> {
        if is_so() {
            return Poll::Ready(());
        }
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        self.0.waiters.store(waiting.len() as u64, Ordering::Release);
        // A flush between the first look and the push has woken nobody.
        if is_so() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// The pieces of one answer on their way to the client. A flush alone does not say that they have gone: on a
/// connection of HTTP/2, those for which the client has no room yet stay behind.
#[derive(Debug)]
pub(crate) struct Departures {
    flushes: Flushes,
    /// Pieces that whoever writes them still holds.
    under_way: AtomicU64,
    /// The flush after which the last of them was let go of.
    since: AtomicU64,
}

/// A piece of an answer. Whoever has written it drops it, before or just after the flush with which it goes;
/// in either case another flush follows.
#[derive(Debug)]
pub struct Chunk {
    bytes: Bytes,
    of: Option<Arc<Departures>>,
}

impl Departures {
    /// Of an answer that begins now.
    pub(crate) fn begin(flushes: &Flushes) -> Arc<Self> {
        let (under_way, since) = (AtomicU64::new(0), AtomicU64::new(flushes.count()));
        Arc::new(Self { flushes: flushes.clone(), under_way, since })
    }

    /// One more piece.
    pub(crate) fn chunk(self: &Arc<Self>, bytes: Bytes) -> Chunk {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Chunk { bytes, of: Some(Arc::clone(self)) }
    }

    /// Ready once all of them have gone, and the head before them.
    pub(crate) fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        let gone = || {
            self.under_way.load(Ordering::Acquire) == 0
                && self.flushes.count() > self.since.load(Ordering::Acquire)
        };
        self.flushes.poll_until(gone, context)
    }
}

impl Chunk {
    /// One that nobody waits for.
    pub(crate) const fn plain(bytes: Bytes) -> Self {
        Self { bytes, of: None }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(departures) = &self.of {
            departures.since.store(departures.flushes.count(), Ordering::Release);
            departures.under_way.fetch_sub(1, Ordering::Release);
        }
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(departures: &Departures) -> bool {
        departures.poll_gone(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn an_answer_has_gone_when_its_last_piece_was_let_go_of_and_a_flush_came_after_that() {
        let flushes = Flushes::default();
        let departures = Departures::begin(&flushes);
        assert!(!gone(&departures), "its head has not");
        flushes.note();
        assert!(gone(&departures));
        let (first, last) = (departures.chunk("a".into()), departures.chunk("b".into()));
        drop(first);
        flushes.note();
        flushes.note();
        assert!(!gone(&departures), "the client has no room for it yet");
        drop(last);
        assert!(!gone(&departures));
        flushes.note();
        assert!(gone(&departures));
    }

    #[test]
    fn whoever_waits_is_woken_by_each_flush() {
        struct Bell(AtomicU64);
        impl std::task::Wake for Bell {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::AcqRel);
            }
        }
        let flushes = Flushes::default();
        let departures = Departures::begin(&flushes);
        let chunk = departures.chunk("a".into());
        let bell = Arc::new(Bell(AtomicU64::new(0)));
        let waker = Waker::from(Arc::clone(&bell));
        let mut context = Context::from_waker(&waker);
        for rung in 0..3 {
            assert_eq!(bell.0.load(Ordering::Acquire), rung);
            assert!(departures.poll_gone(&mut context).is_pending());
            assert!(departures.poll_gone(&mut context).is_pending(), "asking twice rings once");
            flushes.note();
        }
        drop(chunk);
        flushes.note();
        assert!(departures.poll_gone(&mut context).is_ready());
    }
}
