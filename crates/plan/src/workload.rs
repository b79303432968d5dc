//! What is asked of the relay: calls of a few kinds, as they come.

use std::time::Duration;

use crate::dice::Dice;

/// One kind of call.
#[derive(Clone, Debug)]
pub struct Kind {
    /// What reports call it.
    pub name: &'static str,
    /// How many of all calls are of this kind, in relation to the others.
    pub share: u64,
    /// Uncached input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Output tokens a second; none if they come at once.
    pub pace: Option<u64>,
    /// From the request to the head of its answer.
    pub latency: Duration,
}

/// Calls of several kinds that come independently of each other, whatever becomes of them.
#[derive(Clone, Debug)]
pub struct Mix {
    /// The kinds.
    pub kinds: Vec<Kind>,
    /// The time from one call to the next, on average.
    pub every: Duration,
    /// For so long.
    pub lasts: Duration,
}

/// A call that comes.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When, after the beginning.
    pub after: Duration,
    /// The place of its kind.
    pub kind: usize,
}

impl Mix {
    /// All calls, in order.
    pub fn arrivals(&self, mut dice: Dice) -> Vec<Arrival> {
        let all = self.kinds.iter().map(|kind| kind.share).sum();
        let mut arrivals = Vec::new();
        let mut after = dice.pause(self.every);
        while after < self.lasts {
            let mut drawn = dice.below(all);
            let kind = self.kinds.iter().position(|kind| {
                let here = drawn < kind.share;
                drawn = drawn.saturating_sub(kind.share);
                here
            });
            arrivals.push(Arrival { after, kind: kind.unwrap_or_default() });
            after += dice.pause(self.every);
        }
        arrivals
    }
}
