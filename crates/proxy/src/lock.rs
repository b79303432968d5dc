//! A lock that stays usable after somebody panicked under it. Refuses to know what it guards.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The thing itself, until this is dropped.
pub(crate) type Guard<'a, T> = MutexGuard<'a, T>;

/// Guards something that a panic leaves out of date at worst.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    /// Waits until nobody else has it.
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
