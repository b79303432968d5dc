//! The lock of `src/lock.rs` as the checker sees it: whoever takes it or gives it back may be overtaken by anybody.

use std::sync::PoisonError;

use shuttle::sync::{Mutex, MutexGuard};

pub(crate) type Guard<'a, T> = MutexGuard<'a, T>;

#[derive(Debug, Default)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
