//! The tasks of `src/tasks.rs` as the checker sees them: each is one of those that may overtake each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shuttle::future::{AbortHandle, yield_now};

/// Knows those that run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    count: usize,
    all: Vec<AbortHandle>,
}

impl Tasks {
    pub(crate) fn spawn_here(
        &self,
        _name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> bool {
        let place = Place::of(self);
        let task = shuttle::future::spawn(async move {
            let _place = place;
            task.await;
        });
        self.running_now().all.push(task.abort_handle());
        true
    }

    /// How many run now.
    pub(crate) fn running(&self) -> usize {
        self.running_now().count
    }

    /// All that run come to an end where they are.
    pub(crate) async fn end(&self) {
        let all = std::mem::take(&mut self.running_now().all);
        for task in &all {
            task.abort();
        }
        while !all.iter().all(AbortHandle::is_finished) {
            yield_now().await;
        }
    }

    /// Nobody takes this lock and then gives way, so it is no matter for the checker.
    fn running_now(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a task down, however it ends.
struct Place(Tasks);

impl Place {
    fn of(tasks: &Tasks) -> Self {
        tasks.running_now().count += 1;
        Self(tasks.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.running_now().count -= 1;
    }
}
