//! How many requests are served at once. A slot gives itself back when it is dropped.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts requests being served. The limit is an argument, so that a reload changes it at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots(Arc<AtomicU32>);

/// The right to be served.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicU32>);

impl Slots {
    /// A slot, unless as many as the limit are taken.
    pub(crate) fn take(&self, limit: Option<NonZeroU32>) -> Option<Slot> {
        let most = limit.map_or(u32::MAX, NonZeroU32::get);
        let more = |taken: u32| (taken < most).then_some(taken + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Slot(Arc::clone(&self.0)))
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_slots_as_the_limit_says_now() {
        let slots = Slots::default();
        let two = NonZeroU32::new(2);
        let first = slots.take(two).unwrap();
        let second = slots.take(two).unwrap();
        assert!(slots.take(two).is_none());
        assert!(slots.take(NonZeroU32::new(3)).is_some(), "the limit was raised");
        assert!(slots.take(None).is_some());
        drop((first, second));
        assert_eq!(slots.taken(), 0);
    }
}
