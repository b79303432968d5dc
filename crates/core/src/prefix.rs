//! Prompts that many calls begin with. A cache entry can be read only once the answer to the call that writes it has
//! begun (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>), so of several calls that come
//! together one writes it, and the others wait for that: else each would write it, and pay for it.
//!
//! It knows numbers by which prefixes are told apart, and where they are cached. It refuses to know what they say.

use std::collections::{BTreeMap, VecDeque};

use crate::account::DomainId;
use crate::affinity::lifetime;
use crate::queue::Ticket;
use crate::time::Time;
use crate::usage::Usage;

/// The most prefixes that are remembered, with where they are; those that were used longest ago are forgotten first.
const MOST: usize = 10_000;

/// The beginning of a prompt, told apart from others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix(pub u64);

/// A prefix at a workspace, for a class of models.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Spot {
    pub(crate) room: DomainId,
    pub(crate) prefix: Prefix,
}

/// How it stands with a prefix.
#[derive(Clone, Debug)]
enum Warmth {
    /// It can be read until then. What is cached for an hour lives so long again when it is read.
    Warm { until: Time, long: bool },
    /// Somebody writes it, and these wait for him.
    Written(Time, Vec<Ticket>),
}

/// All prefixes that are cached, or being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefixes {
    spots: BTreeMap<Spot, Warmth>,
    /// In the order in which they were written.
    order: VecDeque<Spot>,
}

impl Prefixes {
    /// Somebody writes it, at the latest until then, and nobody can read it yet.
    pub(crate) fn is_written(&self, spot: Spot, now: Time) -> Option<Time> {
        match self.spots.get(&spot) {
            Some(Warmth::Written(until, _)) if now < *until => Some(*until),
            _ => None,
        }
    }

    /// Can it be read?
    pub(crate) fn is_warm(&self, spot: Spot, now: Time) -> bool {
        matches!(self.spots.get(&spot), Some(Warmth::Warm { until, .. }) if now < *until)
    }

    /// Somebody begins to write it, and is waited for until then.
    pub(crate) fn write(&mut self, spot: Spot, until: Time) {
        if self.spots.insert(spot, Warmth::Written(until, Vec::new())).is_none() {
            self.order.push_back(spot);
        }
        while self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.spots.remove(&oldest);
        }
    }

    /// He waits until it is written.
    pub(crate) fn wait(&mut self, spot: Spot, ticket: Ticket) {
        if let Some(Warmth::Written(_, waiting)) = self.spots.get_mut(&spot) {
            waiting.push(ticket);
        }
    }

    /// An answer to a call with it has begun, and says what was read and written. Those who waited for that.
    pub(crate) fn begun(&mut self, spot: Spot, usage: &Usage, now: Time) -> Vec<Ticket> {
        let Some(known) = self.spots.get_mut(&spot) else { return Vec::new() };
        let before = matches!(known, Warmth::Warm { long: true, .. });
        // It is what prompts begin with: if anything was read, it was.
        let long = if usage.cache_read > 0 { before } else { usage.cache_write_long > 0 };
        match std::mem::replace(known, Warmth::Warm { until: now + lifetime(long), long }) {
            Warmth::Written(_, waiting) => waiting,
            Warmth::Warm { .. } => Vec::new(),
        }
    }

    /// Whoever wrote it did not come so far. Those who waited for him.
    pub(crate) fn given_up(&mut self, spot: Spot) -> Vec<Ticket> {
        match self.spots.get_mut(&spot) {
            Some(Warmth::Written(until, waiting)) => {
                *until = Time::EPOCH;
                std::mem::take(waiting)
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Class;
    use std::time::Duration;

    const T: Time = Time::from_epoch(Duration::from_secs(1_000));

    fn spot(prefix: usize) -> Spot {
        let class = crate::account::Classes::default().id(&Class::of("m"));
        Spot { room: DomainId { account: 0, class }, prefix: Prefix(prefix as u64) }
    }

    #[test]
    fn a_prefix_is_being_written_until_its_moment() {
        let mut prefixes = Prefixes::default();
        let until = T + Duration::from_secs(3);
        prefixes.write(spot(1), until);
        assert_eq!(prefixes.is_written(spot(1), T), Some(until));
        assert_eq!(prefixes.is_written(spot(1), until), None);
        assert_eq!(prefixes.is_written(spot(2), T), None);
    }

    #[test]
    fn a_prefix_that_is_cached_for_an_hour_is_warm_for_so_long_after_it_was_read() {
        let minutes = |count| T + Duration::from_mins(count);
        let written = |cache_write_long| Usage { cache_write: 9, cache_write_long, ..Usage::ZERO };
        let read = Usage { cache_read: 9, ..Usage::ZERO };
        for (cache_write_long, lives) in [(0, 5), (9, 60)] {
            let mut prefixes = Prefixes::default();
            prefixes.write(spot(1), T);
            prefixes.begun(spot(1), &written(cache_write_long), T);
            assert!(prefixes.is_warm(spot(1), minutes(lives - 1)));
            assert!(!prefixes.is_warm(spot(1), minutes(lives)));
            prefixes.begun(spot(1), &read, minutes(4));
            assert!(prefixes.is_warm(spot(1), minutes(lives + 3)));
            assert!(!prefixes.is_warm(spot(1), minutes(lives + 4)));
            // Written anew, for less.
            prefixes.begun(spot(1), &written(0), minutes(5));
            assert!(!prefixes.is_warm(spot(1), minutes(10)));
        }
    }

    #[test]
    fn of_too_many_prefixes_those_that_were_written_first_are_forgotten() {
        let mut prefixes = Prefixes::default();
        (0..MOST + 2).for_each(|prefix| prefixes.write(spot(prefix), T + lifetime(false)));
        let known = |prefix| prefixes.is_written(spot(prefix), T).is_some();
        assert_eq!([0, 1, 2, MOST + 1].map(known), [false, false, true, true]);
        assert_eq!(prefixes.spots.len(), MOST);
    }
}
