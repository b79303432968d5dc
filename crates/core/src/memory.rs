//! What was learned, as plain values: what a restart must not forget. It knows what there is to remember; it refuses
//! to know where and how it is written down.
//!
//! Moments are moments, not spans: what has ended while nobody looked has ended, and nobody has to know for how long
//! nobody looked.

use std::time::Duration;

use crate::affinity::Conversation;
use crate::fleet::{Class, FNV_OFFSET, KeyId, ProviderId, fnv1a};
use crate::limits::Counted;
use crate::quota::UnifiedStatus;
use crate::state::Holder;
use crate::time::Time;
use crate::window::{Share, WindowName};

pub use crate::rest::Cause;

/// How far is remembered already. The default is nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    at: Time,
    owners: u64,
}

/// All that is to be remembered, as it was at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// When it was so.
    pub at: Time,
    /// The organizations and workspaces of keys of which anything is known.
    pub holders: Vec<HolderMemory>,
    /// Each key.
    pub keys: Vec<KeyMemory>,
    /// What calls of each class of models use.
    pub estimates: Vec<EstimateMemory>,
    /// Where conversations are, the one that was used last at the end.
    pub homes: Vec<HomeMemory>,
    /// Which key owns a file, a batch or a container, the one that was heard of last at the end.
    pub owners: Vec<(String, KeyId)>,
}

/// What is known of one who holds limits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HolderMemory {
    /// An organization, or a workspace.
    pub holder: Holder,
    /// As it names itself, once it has.
    pub name: Option<String>,
    /// What is held against it.
    pub rests: Vec<RestMemory>,
    /// Its limits.
    pub limits: Vec<LimitMemory>,
    /// How many calls it may have under way at once, as was found out, by the class of their models.
    pub calls: Vec<(Class, u32)>,
    /// The windows of its subscription.
    pub windows: Vec<WindowMemory>,
}

/// What is known of one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyMemory {
    /// Which one.
    pub key: KeyId,
    /// Made from its label: if it is another, so is the secret, and what was said of the old one is not true of it.
    pub secret: u64,
    /// The place of its organization among the holders, if anything is known of it.
    pub organization: Option<usize>,
    /// The place of its workspace among the holders, if anything is known of it.
    pub workspace: Option<usize>,
    /// What is held against it alone.
    pub rests: Vec<RestMemory>,
    /// The operator's own caps, and what is left of them. Their class has no name, for they are of all models.
    pub caps: Vec<LimitMemory>,
}

/// Something that is held against somebody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestMemory {
    /// For which models; none for all, or for those that the window is about.
    pub class: Option<Class>,
    /// The window that is used up, if it is held against him for that.
    pub window: Option<WindowName>,
    /// What.
    pub cause: Cause,
    /// When one call may ask all the same.
    pub probe_at: Time,
}

/// One limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LimitMemory {
    /// Of which models.
    pub class: Class,
    /// Of what.
    pub counted: Counted,
    /// How many a minute.
    pub per_minute: u64,
    /// How much its bucket holds, as the time that it takes to fill it.
    pub burst: Duration,
    /// When the bucket is full, if what was promised is taken and nothing more: this says what is left at any moment.
    pub full: Time,
}

/// One window of a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WindowMemory {
    /// Which one.
    pub name: WindowName,
    /// The models that it is about, where its name does not say that.
    pub class: Option<Class>,
    /// What was said of it last.
    pub status: Option<UnifiedStatus>,
    /// The most that was told of it.
    pub used: Option<Share>,
    /// When it is reset, or has been at the latest.
    pub ends: Time,
    /// Whether that moment was told.
    pub told: bool,
}

/// What calls of one class of models use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EstimateMemory {
    /// Which models.
    pub class: Class,
    /// When the last of them was seen.
    pub seen: Time,
    /// Their prompts are cached.
    pub caches: bool,
    /// How values are spread; each with a number that says of what.
    pub spreads: Vec<SpreadMemory>,
}

/// How values are spread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpreadMemory {
    /// Of what they are. It means the same in every version that reads it, or is not read.
    pub of: u32,
    /// What the values on each step weigh.
    pub bars: Vec<u32>,
    /// Of all values, as they weigh.
    pub sum: u64,
}

/// Where a conversation is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HomeMemory {
    /// Which one.
    pub conversation: Conversation,
    /// Whose key it was.
    pub provider: ProviderId,
    /// Which key.
    pub key: KeyId,
    /// Which models.
    pub class: Class,
    /// Tokens in the cache.
    pub cached: u64,
    /// Tokens of its last prompt.
    pub prompt: u64,
    /// The length of the body of that, in bytes.
    pub bytes: u64,
    /// They were written to live for an hour.
    pub long: bool,
    /// When it was used last.
    pub used: Time,
}

impl Mark {
    pub(crate) const fn new(at: Time, owners: u64) -> Self {
        Self { at, owners }
    }

    pub(crate) const fn at(self) -> Time {
        self.at
    }

    pub(crate) const fn owners(self) -> u64 {
        self.owners
    }
}

impl HolderMemory {
    /// One of whom nothing is known.
    pub const fn nothing(holder: Holder) -> Self {
        Self {
            holder,
            name: None,
            rests: Vec::new(),
            limits: Vec::new(),
            calls: Vec::new(),
            windows: Vec::new(),
        }
    }
}

impl KeyMemory {
    /// By what a secret of that label is told from others.
    pub fn secret(label: &str) -> u64 {
        fnv1a(FNV_OFFSET, label.as_bytes())
    }
}

impl Memory {
    /// The same, as if it had been so at that moment: every moment in it is moved as far as that. A clock that was put
    /// right, or one that stood still while the machine slept, is made up for like this.
    pub fn moved(mut self, at: Time) -> Self {
        let from = self.at;
        let to = |moment: Time| {
            if at >= from { moment + at.since(from) } else { moment.before(from.since(at)) }
        };
        let rests = |rests: &mut Vec<RestMemory>| {
            for rest in rests {
                rest.probe_at = to(rest.probe_at);
                if let Cause::Cooling { until } = &mut rest.cause {
                    *until = to(*until);
                }
            }
        };
        let limits = |limits: &mut Vec<LimitMemory>| {
            for limit in limits {
                limit.full = to(limit.full);
            }
        };
        for known in &mut self.holders {
            rests(&mut known.rests);
            limits(&mut known.limits);
            for window in &mut known.windows {
                window.ends = to(window.ends);
            }
        }
        for known in &mut self.keys {
            rests(&mut known.rests);
            limits(&mut known.caps);
        }
        for known in &mut self.estimates {
            known.seen = to(known.seen);
        }
        for known in &mut self.homes {
            known.used = to(known.used);
        }
        self.at = at;
        self
    }
}
