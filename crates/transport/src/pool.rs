//! Connections waiting for the next request.
//!
//! Knows, for each origin, the idle HTTP/1.1 connections (the last one used is the first one
//! taken, so that the others may grow old) and the shared HTTP/2 ones. A lock is held for
//! the few instructions it takes to push or pop, never while anything is awaited. Refuses to know
//! how connections are opened. There is no cap on open connections.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    sync::Notify,
    time::Instant,
};

use crate::{
    forward_proxy::ForwardProxy,
    h1::Link,
    h2::{Shared, Slot},
    origin::Origin,
    spawn::Spawner,
    stats::{Census, Stats},
    timings::{Age, Protocol},
};

/// All shelves.
pub(crate) struct Pool {
    /// A few; looked through, for that costs less than a hash.
    shelves: Mutex<Vec<Arc<Shelf>>>,
    pub(crate) census: Arc<Census>,
    limits: Limits,
    spawner: Spawner,
    /// Whether a sweeper runs; and what ends its sleep.
    sweeping: AtomicBool,
    emptied: Arc<Notify>,
}

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) idle_timeout: Duration,
    /// For each origin.
    pub(crate) max_idle: usize,
}

/// The connections of one origin, as one runtime has them.
pub(crate) struct Shelf {
    pub(crate) origin: Origin,
    /// The runtime whose tasks may use them.
    home: Id,
    /// The proxy before it, found once.
    pub(crate) proxy: Option<ForwardProxy>,
    contents: Mutex<Contents>,
    /// What the origin was found to speak.
    speaks: AtomicU8,
    /// Held while a connection is opened that others may be able to share.
    pub(crate) opening: Arc<tokio::sync::Mutex<()>>,
    pool: Weak<Pool>,
    limits: Limits,
}

/// A connection that can take a request now.
pub(crate) enum Ready {
    Link(Box<Link>, Age),
    Slot(Slot, Age),
}

/// Which pooled connections a request may go out on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    Any,
    /// No idle HTTP/1.1 connection, for it may turn out to be dead.
    Certain,
}

#[derive(Default)]
struct Contents {
    /// The oldest in front.
    idle: VecDeque<Idle>,
    shared: Vec<Arc<Shared>>,
}

struct Idle {
    link: Box<Link>,
    until: Instant,
}

const UNKNOWN: u8 = 0;
const HTTP1: u8 = 1;
const HTTP2: u8 = 2;

impl Pool {
    pub(crate) fn new(limits: Limits, spawner: Spawner) -> Arc<Self> {
        Arc::new(Self {
            shelves: Mutex::default(),
            census: Arc::default(),
            limits,
            spawner,
            sweeping: AtomicBool::new(false),
            emptied: Arc::default(),
        })
    }

    /// The shelf of an origin; made when first asked for.
    pub(crate) fn shelf(
        self: &Arc<Self>,
        origin: &Origin,
        proxy: impl FnOnce() -> Option<ForwardProxy>,
    ) -> Arc<Shelf> {
        // A connection is watched over by the runtime in which it was opened: elsewhere every byte of it would
        // wake two threads.
        let home = Handle::current().id();
        let mut shelves = lock(&self.shelves);
        if let Some(shelf) = shelves.iter().find(|shelf| shelf.home == home && shelf.origin == *origin) {
            return shelf.clone();
        }
        let shelf = Arc::new(Shelf {
            origin: origin.clone(),
            home,
            proxy: proxy(),
            contents: Mutex::default(),
            speaks: AtomicU8::new(UNKNOWN),
            opening: Arc::default(),
            pool: Arc::downgrade(self),
            limits: self.limits,
        });
        shelves.push(shelf.clone());
        shelf
    }

    pub(crate) fn stats(&self) -> Stats {
        let idle = lock(&self.shelves).iter().map(|shelf| shelf.idle()).sum();
        self.census.stats(idle)
    }

    /// Closes what carries nothing, and lets shared connections end with their last stream.
    pub(crate) fn close_idle(&self) {
        let emptied: Vec<Contents> =
            lock(&self.shelves).iter().map(|shelf| std::mem::take(&mut *lock(&shelf.contents))).collect();
        // Sockets are closed here, outside the locks.
        drop(emptied);
        self.emptied.notify_one();
    }

    /// Makes sure that idle connections are closed in time although no request comes.
    fn ensure_sweeper(self: &Arc<Self>) {
        if !self.sweeping.load(Ordering::SeqCst) && !self.sweeping.swap(true, Ordering::SeqCst) {
            let (pool, emptied) = (Arc::downgrade(self), self.emptied.clone());
            self.spawner.spawn("connection-sweeper", sweep(pool, emptied));
        }
    }

    /// Sweeps. When to come back; `None` to leave, another sweeper being started when needed.
    fn next_sweep(&self) -> Option<Instant> {
        if let Some(next) = self.sweep(Instant::now()) {
            return Some(next);
        }
        self.sweeping.store(false, Ordering::SeqCst);
        // Something may have come between looking and saying so: it found a sweeper running.
        let next = self.sweep(Instant::now())?;
        (!self.sweeping.swap(true, Ordering::SeqCst)).then_some(next)
    }

    /// Drops what has been idle too long. When to come back, if anything is left.
    fn sweep(&self, now: Instant) -> Option<Instant> {
        let mut next = None;
        let mut dropped = Vec::new();
        lock(&self.shelves).retain(|shelf| {
            let left = shelf.sweep(now, &mut dropped);
            next = [next, left].into_iter().flatten().min();
            // Forgotten when empty, unless somebody is about to use it.
            left.is_some() || 1 < Arc::strong_count(shelf)
        });
        next
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.emptied.notify_one();
    }
}

/// Sweeps until the pool is empty or gone.
async fn sweep(pool: Weak<Pool>, emptied: Arc<Notify>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.next_sweep()) {
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = emptied.notified() => {}
        }
    }
}

impl Shelf {
    /// A connection that can take a request now, if there is one.
    pub(crate) fn take(&self, wants: Wants, now: Instant) -> Option<Ready> {
        if self.speaks.load(Ordering::Relaxed) == HTTP2
            && let Some(slot) = self.take_slot()
        {
            return Some(Ready::Slot(slot, Age::Reused));
        }
        if wants == Wants::Certain {
            return None;
        }
        loop {
            let mut idle = lock(&self.contents).idle.pop_back()?;
            if now < idle.until && idle.link.is_alive() {
                return Some(Ready::Link(idle.link, Age::Reused));
            }
        }
    }

    /// Room on a shared connection, if there is any.
    pub(crate) fn take_slot(&self) -> Option<Slot> {
        let mut contents = lock(&self.contents);
        contents.shared.retain(|shared| shared.is_usable());
        contents.shared.iter().find_map(Shared::slot)
    }

    /// Takes an idle connection in, for as long as the upstream is said to keep it.
    pub(crate) fn give_back(&self, link: Box<Link>, patience: Option<Duration>) {
        let timeout =
            patience.map_or(self.limits.idle_timeout, |patience| patience.min(self.limits.idle_timeout));
        let Some(pool) = self.pool.upgrade() else { return };
        if timeout.is_zero() || self.limits.max_idle == 0 {
            return;
        }
        let until = Instant::now() + timeout;
        let crowded = {
            let mut contents = lock(&self.contents);
            contents.idle.push_back(Idle { link, until });
            if self.limits.max_idle < contents.idle.len() { contents.idle.pop_front() } else { None }
        };
        drop(crowded);
        pool.ensure_sweeper();
    }

    /// Takes a new shared connection in.
    pub(crate) fn share(&self, shared: Arc<Shared>) {
        lock(&self.contents).shared.push(shared);
        if let Some(pool) = self.pool.upgrade() {
            pool.ensure_sweeper();
        }
    }

    /// Remembers what the origin speaks.
    pub(crate) fn learn(&self, protocol: Protocol) {
        let speaks = match protocol {
            Protocol::Http1 => HTTP1,
            Protocol::Http2 => HTTP2,
        };
        self.speaks.store(speaks, Ordering::Relaxed);
    }

    /// Whether the origin is known to speak HTTP/1.1.
    pub(crate) fn speaks_http1(&self) -> bool {
        self.speaks.load(Ordering::Relaxed) == HTTP1
    }

    fn idle(&self) -> usize {
        let contents = lock(&self.contents);
        contents.idle.len() + contents.shared.iter().filter(|shared| shared.idle_since().is_some()).count()
    }

    fn sweep(&self, now: Instant, dropped: &mut Vec<Idle>) -> Option<Instant> {
        let mut contents = lock(&self.contents);
        let (kept, old) = std::mem::take(&mut contents.idle).into_iter().partition(|idle| now < idle.until);
        contents.idle = kept;
        dropped.extend::<VecDeque<Idle>>(old);
        let timeout = self.limits.idle_timeout;
        let ends = |shared: &Arc<Shared>| shared.idle_since().map_or(now, |since| since) + timeout;
        contents.shared.retain(|shared| shared.is_usable() && now < ends(shared));
        contents.idle.iter().map(|idle| idle.until).chain(contents.shared.iter().map(ends)).min()
    }
}

/// A panic elsewhere while holding one of these locks leaves no half-made state: each is one push
/// or pop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
