//! Prompts that many calls begin with. A cache entry can be read only once the answer to the call that writes it has
//! begun (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>), so of several calls that come
//! together one writes it, and the others wait for that: else each would write it, and pay for it.
//!
//! It knows numbers by which prefixes are told apart, and where they are cached. It refuses to know what they say.

use std::collections::{BTreeMap, VecDeque};

use crate::account::DomainId;
use crate::affinity::LIFETIME;
use crate::queue::Ticket;
use crate::time::Time;

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
    /// It can be read until then.
    Warm(Time),
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
        matches!(self.spots.get(&spot), Some(Warmth::Warm(until)) if now < *until)
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

    /// An answer to a call with it has begun. Those who waited for that.
    pub(crate) fn begun(&mut self, spot: Spot, now: Time) -> Vec<Ticket> {
        let warm = Warmth::Warm(now + LIFETIME);
        match self.spots.get_mut(&spot).map(|known| std::mem::replace(known, warm)) {
            Some(Warmth::Written(_, waiting)) => waiting,
            Some(Warmth::Warm(_)) | None => Vec::new(),
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
