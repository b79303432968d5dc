//! The threads that serve connections. Each has a runtime of its own, and a connection stays with the thread to which
//! it was given: its socket, its buffers and the upstream connections that it uses are warm there and nowhere else.
//! ADR 0018 has what it costs when they wander.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Threads, each with a runtime. They end when this is dropped; connections that they still serve end with them.
#[derive(Debug)]
pub struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    /// The thread runs until this is taken or dropped.
    running: Mutex<Option<oneshot::Sender<()>>>,
}

/// A connection's place with a worker.
#[derive(Debug)]
pub(crate) struct Seat {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts that many.
    pub fn start(count: NonZeroUsize) -> io::Result<Self> {
        let started: io::Result<Vec<Worker>> = (0..count.get()).map(Worker::start).collect();
        started.map(Self)
    }

    /// One for every two processors that this process may use. The other half of the work is the system's, the
    /// clients' and the upstreams'; ADR 0018 has what more threads cost.
    pub fn one_for_two_processors() -> io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::start(NonZeroUsize::new(processors / 2).unwrap_or(NonZeroUsize::MIN))
    }

    /// Lets them end, and the connections that they serve with them, each on its thread and one after another.
    pub(crate) fn stop(&self) {
        for worker in &self.0 {
            drop(worker.running.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    /// A place with the worker that has the fewest connections.
    pub(crate) fn seat(&self) -> Option<Seat> {
        let least = self.0.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed))?;
        least.connections.fetch_add(1, Ordering::Relaxed);
        Some(Seat { runtime: least.runtime.clone(), connections: Arc::clone(&least.connections) })
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, stopped) = oneshot::channel();
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            runtime.block_on(until(stopped));
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, connections: Arc::default(), running: Mutex::new(Some(running)) })
    }
}

/// Ends when the sender is gone. Until then there is always a timer that is near: one that is set for later than the
/// next one is set for free, and one for sooner wakes the thread that sets it once more. All that requests set, for
/// deadlines and for pings, are for later than this.
async fn until(stopped: oneshot::Receiver<()>) {
    const NEAR: Duration = Duration::from_secs(5);
    let mut stopped = std::pin::pin!(stopped);
    while tokio::time::timeout(NEAR, &mut stopped).await.is_err() {}
}

impl Seat {
    /// Where the connection is served.
    pub(crate) const fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_and_places_are_given_back() {
        let workers = Workers::start(NonZeroUsize::new(3).unwrap()).unwrap();
        let seats: Vec<_> = (0..6).map(|_| workers.seat().unwrap()).collect();
        let taken = || workers.0.iter().map(|it| it.connections.load(Ordering::Relaxed)).collect::<Vec<_>>();
        assert_eq!(taken(), [2, 2, 2]);
        drop(seats);
        assert_eq!(taken(), [0, 0, 0]);
    }

    #[test]
    fn what_runs_with_a_worker_runs_on_its_thread() {
        let workers = Workers::start(NonZeroUsize::MIN).unwrap();
        let seat = workers.seat().unwrap();
        let (told, name) = std::sync::mpsc::channel();
        crate::Tasks::default().spawn_on(seat.runtime(), "name", async move {
            tokio::task::yield_now().await;
            let name = std::thread::current().name().map(str::to_owned);
            told.send(name).unwrap();
        });
        assert_eq!(name.recv().unwrap().as_deref(), Some("worker-0"));
    }

    #[test]
    fn workers_end_with_what_they_serve() {
        for end in [drop, |workers: Workers| workers.stop()] {
            let workers = Workers::start(NonZeroUsize::MIN).unwrap();
            let (dropped, is_dropped) = std::sync::mpsc::channel::<()>();
            crate::Tasks::default().spawn_on(workers.seat().unwrap().runtime(), "hangs", async move {
                let _dropped = dropped;
                std::future::pending::<()>().await;
            });
            end(workers);
            assert!(is_dropped.recv().is_err(), "its sender is gone");
        }
    }
}
