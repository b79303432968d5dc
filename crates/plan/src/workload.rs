//! What is asked of the relay: calls with all that they will take, as they come.

mod agents;
mod replay;

use std::time::Duration;

use crate::dice::Dice;

pub use self::agents::{Agents, CLAUDE_CODE, Profile, Then};
pub use self::replay::{Left, Replay};

/// What is asked in one run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Workload {
    /// What reports call it.
    pub name: String,
    /// The models that are asked for.
    pub models: Vec<String>,
    /// What reports call the kinds of calls.
    pub kinds: Vec<String>,
    /// The calls that come, whatever becomes of others.
    pub arrivals: Vec<Arrival>,
    /// How conversations go on by themselves, if they do.
    pub agents: Option<Agents>,
    /// No call comes later than this, but for those that were refused and come back.
    pub lasts: Duration,
    /// A call that is refused comes back when it was told to, or up to a quarter later, if it was told to within so
    /// long. Otherwise it is given up, and what would follow it follows.
    pub patience: Duration,
}

/// A call that comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When: after the beginning, or after the call that it waits for has ended.
    pub after: Duration,
    /// The place of the call that it waits for.
    pub behind: Option<usize>,
    /// The place of its kind.
    pub kind: usize,
    /// The place of its model.
    pub model: usize,
    /// The conversation that it goes on with.
    pub conversation: Option<u64>,
    /// Its place in the conversation, from 0 on.
    pub turn: u32,
    /// What it begins with, as many others do.
    pub prefix: Option<Shared>,
    /// Nobody looks on.
    pub background: bool,
    /// It may have so many output tokens.
    pub max_tokens: Option<u64>,
    /// The length of its body.
    pub bytes: u64,
    /// Tokens of its prompt.
    pub prompt: u64,
    /// So many of them are never cached.
    pub fresh: u64,
    /// What it writes to the cache lives for an hour, and not for five minutes.
    pub long: bool,
    /// Output tokens.
    pub output: u64,
    /// Output tokens a second; none if they come at once.
    pub pace: Option<u64>,
    /// From the request to the head of its answer.
    pub latency: Duration,
}

/// The beginning of a prompt that many calls have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shared {
    /// Which one it is.
    pub number: u64,
    /// How many tokens it has.
    pub tokens: u64,
}

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

/// Bytes of a body that make a token, where nothing else is known: English text and code have about four.
pub(crate) const BYTES_A_TOKEN: u64 = 4;

/// What Claude Code asks for at most with the older models.
const MAX_TOKENS: u64 = 32_000;

/// Claude Code 2.1 comes back after a `retry-after` of up to a minute, in that time or up to a quarter more, and gives
/// up at once if it is longer; the SDKs do much the same.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The model that is asked for where it makes no difference.
pub const ANY_MODEL: &str = "claude-opus-5-5";

impl Kind {
    /// A call of that kind, of which nothing is cached.
    pub(crate) fn arrival(&self, kind: usize, after: Duration) -> Arrival {
        Arrival {
            after,
            behind: None,
            kind,
            model: 0,
            conversation: None,
            turn: 0,
            prefix: None,
            background: false,
            max_tokens: Some(MAX_TOKENS),
            bytes: self.input * BYTES_A_TOKEN,
            prompt: self.input,
            fresh: self.input,
            long: false,
            output: self.output,
            pace: self.pace,
            latency: self.latency,
        }
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
            let kind = kind.unwrap_or_default();
            arrivals.push(self.kinds[kind].arrival(kind, after));
            after += dice.pause(self.every);
        }
        arrivals
    }

    /// All of it as a workload.
    pub fn workload(&self, dice: Dice) -> Workload {
        Workload {
            name: "a mix of calls".to_owned(),
            models: vec![ANY_MODEL.to_owned()],
            kinds: self.kinds.iter().map(|kind| kind.name.to_owned()).collect(),
            arrivals: self.arrivals(dice),
            agents: None,
            lasts: self.lasts,
            patience: Duration::ZERO,
        }
    }
}
