//! How many connections there are, counted where they begin and end.
//!
//! Knows numbers only.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// The connections of a [`Transport`](crate::Transport) at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections open now, in use or idle.
    pub open: usize,
    /// Of these, those which carry nothing now.
    pub idle: usize,
    /// Connections opened since the start.
    pub opened: u64,
    /// Requests sent on a connection that had carried one before, since the start.
    pub reused: u64,
}

/// The counters behind [`Stats`]; idle connections are counted where they lie.
#[derive(Default)]
pub(crate) struct Census {
    open: AtomicUsize,
    opened: AtomicU64,
    reused: AtomicU64,
}

/// Held by each connection while it is open.
pub(crate) struct Open(Arc<Census>);

impl Census {
    pub(crate) fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Relaxed);
        self.opened.fetch_add(1, Relaxed);
        Open(self.clone())
    }

    pub(crate) fn note_reuse(&self) {
        self.reused.fetch_add(1, Relaxed);
    }

    pub(crate) fn stats(&self, idle: usize) -> Stats {
        Stats {
            open: self.open.load(Relaxed),
            idle,
            opened: self.opened.load(Relaxed),
            reused: self.reused.load(Relaxed),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}
