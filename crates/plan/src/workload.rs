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
    /// The conversation that begins with it, if it does.
    pub conversation: Option<usize>,
}

/// Agents that go on with conversations of their own: each turn says the whole history again, which is in the
/// provider's cache if the conversation was there a short while ago.
#[derive(Clone, Copy, Debug)]
pub struct Agents {
    /// How many there are.
    pub count: usize,
    /// Turns of each.
    pub turns: u32,
    /// Tokens that each turn adds to the prompt. The first has what its kind says.
    pub grows: u64,
    /// From an answer to the next turn, on average.
    pub pause: Duration,
}

impl Agents {
    /// The first turns, spread over that time.
    pub fn arrivals(&self, kind: usize, over: Duration, mut dice: Dice) -> Vec<Arrival> {
        let nanos = u64::try_from(over.as_nanos()).unwrap_or(u64::MAX);
        let mut arrivals: Vec<_> = (0..self.count)
            .map(|agent| {
                let after = Duration::from_nanos(dice.below(nanos));
                Arrival { after, kind, conversation: Some(agent) }
            })
            .collect();
        arrivals.sort_by_key(|arrival| arrival.after);
        arrivals
    }
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
            arrivals.push(Arrival { after, kind: kind.unwrap_or_default(), conversation: None });
            after += dice.pause(self.every);
        }
        arrivals
    }
}
