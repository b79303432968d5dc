//! Tasks that run beside requests. The one place that spawns, so that a drain can wait for all of them.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Starts tasks and knows when the last has ended. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    ended: Notify,
    /// They are some of these.
    whole: Option<Tasks>,
}

impl Tasks {
    /// Runs a task; its name is for the one who reads a backtrace.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_on(&Handle::current(), name, task);
    }

    /// The same in the runtime of this thread, if it has one. True if it runs.
    pub(crate) fn spawn_here(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> bool {
        let runtime = Handle::try_current();
        runtime.is_ok_and(|runtime| {
            self.spawn_on(&runtime, name, task);
            true
        })
    }

    /// The same in that runtime.
    pub(crate) fn spawn_on(
        &self,
        runtime: &Handle,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let running = (self.count(name), self.0.whole.as_ref().map(|whole| whole.count(name)));
        drop(runtime.spawn(async move {
            let _running = running;
            task.await;
        }));
    }

    /// One more runs, until that is dropped.
    fn count(&self, name: &'static str) -> Running {
        self.0.running.fetch_add(1, Ordering::AcqRel);
        Running(Arc::clone(&self.0), name)
    }

    /// Tasks among these that can also be waited for alone.
    pub(crate) fn some(&self) -> Self {
        let whole = Some(self.clone());
        Self(Arc::new(Shared { whole, ..Shared::default() }))
    }

    /// How many run now.
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::Acquire)
    }

    /// Waits until none runs.
    pub async fn idle(&self) {
        loop {
            let ended = self.0.ended.notified();
            if self.running() == 0 {
                return;
            }
            ended.await;
        }
    }
}

/// Counts a task down, also when it panics.
struct Running(Arc<Shared>, #[expect(dead_code, reason = "seen in a debugger")] &'static str);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    /// For the streams of an HTTP/2 connection.
    fn execute(&self, task: F) {
        self.spawn("h2", task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn idle_waits_for_the_last_task() {
        let tasks = Tasks::default();
        tasks.idle().await;
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn("one", async move {
            let _ = wait.await;
        });
        assert_eq!(tasks.running(), 1);
        assert!(futures_pending(tasks.idle()).await);
        go.send(()).unwrap();
        tasks.idle().await;
        assert_eq!(tasks.running(), 0);
    }

    #[tokio::test]
    async fn some_of_them_are_waited_for_alone_and_with_the_others() {
        let all = Tasks::default();
        let (some, others) = (all.some(), all.some());
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        some.spawn("one", async move {
            let _ = wait.await;
        });
        assert_eq!((all.running(), some.running(), others.running()), (1, 1, 0));
        others.idle().await;
        assert!(futures_pending(all.idle()).await);
        go.send(()).unwrap();
        some.idle().await;
        all.idle().await;
    }

    /// Is a future pending at its first poll?
    async fn futures_pending(future: impl Future<Output = ()>) -> bool {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending()))
            .await
    }
}
