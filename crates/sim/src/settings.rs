//! What a simulated provider is told before it starts: who may ask, how much, and of what.
//!
//! Plain values with public fields. Nothing here is looked up, read from a file or checked
//! against a clock.

use std::{fmt, time::Duration};

use crate::models::{Model, known_models};

/// Everything a [`Sim`](crate::Sim) is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who holds limits, with their workspaces and keys.
    pub organizations: Vec<Organization>,
    /// The models on offer; by default [`known_models`].
    pub models: Vec<Model>,
    /// How fast answers come; by default at once.
    pub pace: Pace,
    /// Changes every answer and every id; the same seed and request give the same answer.
    pub seed: u64,
    /// What the clock shows at [`Sim::new`](crate::Sim::new), since the Unix epoch.
    pub epoch: Duration,
    /// Values of `anthropic-beta` which are refused; every other value is accepted.
    pub denied_betas: Vec<String>,
    /// Scheme and authority for URLs in answers (`results_url` of a batch); by default `http://`
    /// and the request's own `host`.
    pub public_url: Option<String>,
    /// How long a batch is in progress; by default it has ended when it is next looked at.
    pub batch_time: Duration,
    /// How the input of a call is estimated before it is known.
    pub estimate: Estimate,
    /// How much is remembered of what was seen.
    pub memory: Memory,
}

/// Who holds limits: several keys of one organization share them.
#[derive(Clone, Debug)]
pub struct Organization {
    /// As in `anthropic-organization-id`.
    pub id: String,
    /// The limit of every model class that has none of its own; each class has its own buckets.
    pub limit: Limit,
    /// Limits of single model classes.
    pub class_limits: Vec<ClassLimit>,
    /// Token counts a minute, a limit of its own; `None` for no limit.
    pub token_counts: Option<u64>,
    /// The windows of its subscription, if it has one.
    pub windows: Vec<Window>,
    /// The scopes of prompt caches, with the keys.
    pub workspaces: Vec<Workspace>,
    /// Admin API keys: what they open is the list of limits, and no message.
    pub admin_keys: Vec<Key>,
}

/// One window of a subscription: so many tokens in so long a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// The middle of the names of its headers.
    pub name: String,
    /// What `representative-claim` calls it.
    pub claim: String,
    /// How long it lasts, from the first call on.
    pub length: Duration,
    /// How many tokens it has: uncached input, cache writes and output.
    pub tokens: u64,
    /// A part of the names of the model classes that it counts; none for all.
    pub family: Option<String>,
}

/// A part of an organization: the scope of the prompt cache, perhaps with narrower limits.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// As in `anthropic-workspace-id`.
    pub id: String,
    /// Narrower limits, for every model class; [`Limit::none`] for none.
    pub limit: Limit,
    /// The credentials.
    pub keys: Vec<Key>,
}

/// A credential. A secret which begins with `sk-ant-oat` is an OAuth token.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// What scripts and reports call it.
    pub name: String,
    /// What a client sends. It is never printed.
    pub secret: String,
}

/// Continuous limits; `None` is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Requests a minute.
    pub requests: Option<u64>,
    /// Uncached input tokens and cache writes a minute.
    pub input: Option<u64>,
    /// Output tokens a minute.
    pub output: Option<u64>,
    /// Calls under way at once, until their answers have ended; not a minute.
    pub at_once: Option<u32>,
    /// How much of a rate a full bucket holds; 60 s is one minute's worth.
    pub burst: Duration,
}

/// A limit for one model class.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClassLimit {
    /// As in [`Model::class`].
    pub class: String,
    /// The limit.
    pub limit: Limit,
}

/// How fast answers come, on Tokio's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// From the request to the head and first event of the answer.
    pub first_event: Duration,
    /// From one event to the next.
    pub between_events: Duration,
    /// Output tokens in one delta; at least 1.
    pub tokens_per_event: u64,
}

/// How the input of a call is estimated when it is admitted. It is corrected when its answer begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Estimate {
    /// As it will be: what is refused is refused for good reason.
    Exact,
    /// From the length of the body, less what will be read from the cache: too high by the syntax
    /// of the JSON, and by far for images.
    BodyLength,
}

/// How much is remembered of what was seen. The oldest goes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Records of requests.
    pub records: usize,
    /// Bytes of request bodies, over all records.
    pub body_bytes: usize,
}

impl Limit {
    /// No limit at all.
    pub const fn none() -> Self {
        Self { requests: None, input: None, output: None, at_once: None, burst: Duration::from_mins(1) }
    }

    /// Limits a minute whose buckets hold what `burst` adds.
    pub const fn per_minute(requests: u64, input: u64, output: u64, burst: Duration) -> Self {
        Self { requests: Some(requests), input: Some(input), output: Some(output), at_once: None, burst }
    }

    /// So many calls at once, and as many a minute as come.
    pub const fn at_once(most: u32) -> Self {
        Self { at_once: Some(most), ..Self::none() }
    }
}

impl Pace {
    /// Everything at once, eight tokens in an event.
    pub const fn at_once() -> Self {
        Self { first_event: Duration::ZERO, between_events: Duration::ZERO, tokens_per_event: 8 }
    }
}

impl Organization {
    /// An organization without limits, with one workspace for these keys (name, secret).
    pub fn open(id: &str, keys: &[(&str, &str)]) -> Self {
        Self {
            id: id.to_owned(),
            limit: Limit::none(),
            class_limits: Vec::new(),
            token_counts: None,
            windows: Vec::new(),
            workspaces: vec![Workspace::open(&format!("wrkspc_{id}"), keys)],
            admin_keys: Vec::new(),
        }
    }

    /// The limit of a model class.
    pub(crate) fn limit_of(&self, class: &str) -> &Limit {
        let own = self.class_limits.iter().find(|own| own.class == class);
        own.map_or(&self.limit, |own| &own.limit)
    }
}

impl Window {
    /// Five hours, of all models.
    pub fn five_hours(tokens: u64) -> Self {
        Self { length: Duration::from_hours(5), ..Self::week("5h", "five_hour", tokens, None) }
    }

    /// A week, of all models.
    pub fn seven_days(tokens: u64) -> Self {
        Self::week("7d", "seven_day", tokens, None)
    }

    /// A week, of those models.
    pub fn of_family(family: &str, tokens: u64) -> Self {
        Self::week(&format!("7d_{family}"), &format!("seven_day_{family}"), tokens, Some(family))
    }

    fn week(name: &str, claim: &str, tokens: u64, family: Option<&str>) -> Self {
        let (name, claim, family) = (name.to_owned(), claim.to_owned(), family.map(str::to_owned));
        Self { name, claim, length: Duration::from_hours(7 * 24), tokens, family }
    }

    pub(crate) fn counts(&self, class: &str) -> bool {
        self.family.as_deref().is_none_or(|family| class.contains(family))
    }
}

impl Workspace {
    /// A workspace without limits of its own, with these keys (name, secret).
    pub fn open(id: &str, keys: &[(&str, &str)]) -> Self {
        let keys =
            keys.iter().map(|&(name, secret)| Key { name: name.into(), secret: secret.into() }).collect();
        Self { id: id.to_owned(), limit: Limit::none(), keys }
    }
}

impl Settings {
    /// Four keys of two organizations, with limits that a small workload reaches.
    ///
    /// The first organization has one workspace, the second two. Every model class has 600
    /// requests, 400,000 input and 80,000 output tokens a minute; the second organization has
    /// half of it. A full bucket holds six seconds' worth.
    pub fn demo() -> Self {
        let burst = Duration::from_secs(6);
        let amber = Organization {
            limit: Limit::per_minute(600, 400_000, 80_000, burst),
            token_counts: Some(2000),
            workspaces: vec![Workspace::open(
                "wrkspc_01SimAmberMain",
                &[("amber-1", "sk-ant-api03-sim-amber-1"), ("amber-2", "sk-ant-api03-sim-amber-2")],
            )],
            ..Organization::open("5f0c1d2e-aaaa-4aaa-8aaa-000000000001", &[])
        };
        let basil = Organization {
            limit: Limit::per_minute(300, 200_000, 40_000, burst),
            token_counts: Some(2000),
            workspaces: vec![
                Workspace::open("wrkspc_01SimBasilOne", &[("basil-1", "sk-ant-api03-sim-basil-1")]),
                Workspace::open("wrkspc_01SimBasilTwo", &[("basil-2", "sk-ant-api03-sim-basil-2")]),
            ],
            ..Organization::open("5f0c1d2e-bbbb-4bbb-8bbb-000000000002", &[])
        };
        Self { organizations: vec![amber, basil], ..Self::default() }
    }
}

impl Default for Settings {
    /// One organization without limits and one key (`sk-ant-api03-sim`), answers at once, a clock
    /// that starts on 20 November 2026, and room for 10,000 records and 256 MB of bodies.
    fn default() -> Self {
        let only =
            Organization::open("5f0c1d2e-0000-4000-8000-000000000000", &[("only", "sk-ant-api03-sim")]);
        Self {
            organizations: vec![only],
            models: known_models(),
            pace: Pace::at_once(),
            seed: 0,
            // Days from 1970 to 20 November 2026.
            epoch: Duration::from_hours(20_777 * 24),
            denied_betas: Vec::new(),
            public_url: None,
            batch_time: Duration::ZERO,
            estimate: Estimate::Exact,
            memory: Memory { records: 10_000, body_bytes: 256 * 1024 * 1024 },
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Key").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn the_demo_has_four_keys_of_two_organizations_and_prints_no_secret() {
        let settings = Settings::demo();
        let keys: Vec<_> = settings
            .organizations
            .iter()
            .flat_map(|organization| &organization.workspaces)
            .flat_map(|workspace| &workspace.keys)
            .collect();
        assert_eq!((settings.organizations.len(), keys.len()), (2, 4));
        let printed = format!("{settings:?}");
        assert!(printed.contains("amber-1") && keys.iter().all(|key| !printed.contains(&key.secret)));
    }
}
