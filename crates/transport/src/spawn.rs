//! Where tasks come from: the caller, who must be able to wait for them.
//!
//! Knows nothing of runtimes. Two kinds of tasks are spawned in this crate: the driver of a shared
//! HTTP/2 connection (with hyper's tasks for request bodies on it), and one sweeper of idle
//! connections. A request over HTTP/1.1 spawns nothing.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

/// A task to be run to its end.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs tasks, each under a name that says what it does.
#[derive(Clone)]
pub struct Spawner(Arc<dyn Fn(&'static str, Task) + Send + Sync>);

impl Spawner {
    /// Spawns through `spawn`.
    pub fn new(spawn: impl Fn(&'static str, Task) + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }

    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        (self.0)(name, Box::pin(task));
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, task: F) {
        self.spawn("http2-request-body", task);
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawner")
    }
}
