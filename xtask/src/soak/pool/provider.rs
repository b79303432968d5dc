//! The simulated provider behind a real socket, in a thread of its own. Knows how it is started,
//! looked at and stopped; refuses to know who asks it.

use std::net::{Ipv4Addr, TcpListener};
use std::thread::{self, JoinHandle};

use relay_sim::{Gauge, Settings, Sim};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// A provider, stopped when this is dropped.
pub(super) struct Provider {
    sim: Sim,
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What it has counted so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Count {
    /// Requests of all keys.
    pub(super) requests: u64,
    /// Those that it refused for a limit.
    pub(super) refused: u64,
    /// Its buckets.
    pub(super) gauges: Vec<Gauge>,
}

impl Provider {
    pub(super) fn start(settings: Settings) -> Result<Self, Failure> {
        let doing = || Failure::connection("starting a provider");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(doing())?;
        listener.set_nonblocking(true).map_err(doing())?;
        let port = listener.local_addr().map_err(doing())?.port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(doing())?;
        let sim = Sim::new(settings);
        let (stop, stopped) = oneshot::channel();
        let served = sim.clone();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                // It was bound just now, and only a runtime that is shut down would refuse it.
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = served.listen(listener, std::future::pending()) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { sim, port, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn count(&self) -> Count {
        let report = self.sim.report();
        let sum = |of: fn(&relay_sim::Totals) -> u64| report.keys.iter().map(|key| of(&key.totals)).sum();
        Count {
            requests: sum(|totals| totals.requests),
            refused: sum(|totals| totals.rate_limited),
            gauges: report.buckets,
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // Whoever is gone already need not be told.
        let _gone = self.stop.take().is_some_and(|stop| stop.send(()).is_err());
        let _panicked = self.thread.take().is_some_and(|thread| thread.join().is_err());
    }
}
