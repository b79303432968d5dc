//! The provider's side of a run: its buckets, written apart from the relay's, and its prompt caches.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_core::{Class, KeyId, Quota, Time};
use relay_headers::{Headers, Value};
use relay_sim::limiter::{Account, Gauge, Limiter, Shortage};

use crate::estate::{Estate, N_METERS};
use crate::optimum::float;
use crate::workload::Arrival;

/// So long does a prompt live in a cache after it was used, if nothing else is asked for, and if that is
/// (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>).
const CACHED: Duration = Duration::from_mins(5);
const CACHED_LONG: Duration = Duration::from_hours(1);

/// After so long comes back who was refused for want of room. Nobody says when there will be some.
const CROWDED: Duration = Duration::from_secs(1);

/// A request was refused.
#[derive(Clone, Copy)]
pub(crate) struct Refused {
    /// When to come back.
    pub(crate) wait: Duration,
    /// Too many were under way at once.
    pub(crate) is_crowd: bool,
}

/// See the module.
pub(crate) struct Upstream<'a> {
    estate: &'a Estate,
    classes: Vec<Class>,
    limiter: Limiter,
    /// Of each workspace.
    caches: BTreeMap<(usize, usize), Cache>,
    /// Requests, uncached input, output, seconds under way, and tokens of both kinds as they are weighed, by organization and
    /// class.
    taken: BTreeMap<(usize, String), [f64; N_METERS]>,
}

/// What can be read of prompts: tokens, and until when; by model.
#[derive(Default)]
pub(crate) struct Cache {
    conversations: BTreeMap<(usize, u64), (u64, Time)>,
    prefixes: BTreeMap<(usize, u64), Time>,
}

impl Cache {
    /// How many tokens of a call's prompt can be read.
    pub(crate) fn reads(&self, call: &Arrival, now: Time) -> u64 {
        let fresh = |until: Time| now < until;
        let own = call.conversation.and_then(|it| self.conversations.get(&(call.model, it)));
        let own = own.filter(|(_, until)| fresh(*until)).map_or(0, |(tokens, _)| *tokens);
        let shared = call.prefix.filter(|prefix| {
            self.prefixes.get(&(call.model, prefix.number)).is_some_and(|until| fresh(*until))
        });
        let shared = shared.map_or(0, |prefix| prefix.tokens);
        own.max(shared).min(call.prompt - call.fresh)
    }

    /// The answer to a call has begun: its prompt can be read from now on.
    pub(crate) fn remember(&mut self, call: &Arrival, now: Time) {
        let until = now + if call.long { CACHED_LONG } else { CACHED };
        if let Some(conversation) = call.conversation {
            let own = (call.prompt - call.fresh, until);
            self.conversations.insert((call.model, conversation), own);
        }
        if let Some(prefix) = call.prefix {
            // Of several who asked for it, it lives as long as for who asked for most.
            let known = self.prefixes.entry((call.model, prefix.number)).or_insert(until);
            *known = until.max(*known);
        }
    }
}

impl<'a> Upstream<'a> {
    pub(crate) fn new(estate: &'a Estate, models: &[String]) -> Self {
        let limiter = Limiter::new(&estate.provider, estate.provider.epoch);
        let classes = models.iter().map(|model| estate.families.class(model)).collect();
        Self { estate, classes, limiter, caches: BTreeMap::new(), taken: BTreeMap::new() }
    }

    /// A request of that key. How many tokens of its prompt were in the cache.
    pub(crate) fn admit(&mut self, key: KeyId, call: &Arrival, now: Time) -> Result<u64, Refused> {
        let account = self.estate.accounts[&key];
        let cache = self.caches.entry((account.organization, account.workspace)).or_default();
        let cached = cache.reads(call, now);
        let input = call.prompt - cached;
        let class = self.classes[call.model].as_str();
        if !self.limiter.enter(account, class, now.since_epoch()) {
            return Err(Refused { wait: CROWDED, is_crowd: true });
        }
        let admitted = self.limiter.admit(account, class, input, now.since_epoch());
        if let Err(Shortage { until, .. }) = admitted {
            self.limiter.leave(account, class, now.since_epoch());
            let wait = until.map_or(Duration::from_mins(1), |at| at.saturating_sub(now.since_epoch()));
            return Err(Refused { wait: whole_seconds(wait), is_crowd: false });
        }
        self.take(account, call.model, [1.0, float(input), 0.0, 0.0, float(input)]);
        Ok(cached)
    }

    /// The answer to a call has begun: its prompt can be read from now on.
    pub(crate) fn remember(&mut self, key: KeyId, call: &Arrival, now: Time) {
        let account = self.estate.accounts[&key];
        self.caches.entry((account.organization, account.workspace)).or_default().remember(call, now);
    }

    /// Tokens of an answer are produced.
    pub(crate) fn produce(&mut self, key: KeyId, model: usize, tokens: u64, now: Time) {
        let account = self.estate.accounts[&key];
        self.limiter.produce(account, self.classes[model].as_str(), tokens, now.since_epoch());
        self.take(account, model, [0.0, 0.0, float(tokens), 0.0, float(tokens * self.estate.weight(key))]);
    }

    /// An answer has ended.
    pub(crate) fn end(&mut self, key: KeyId, model: usize, took: Duration, now: Time) {
        let account = self.estate.accounts[&key];
        self.limiter.leave(account, self.classes[model].as_str(), now.since_epoch());
        self.take(account, model, [0.0, 0.0, 0.0, took.as_secs_f64(), 0.0]);
    }

    fn take(&mut self, account: Account, model: usize, units: [f64; N_METERS]) {
        let class = self.classes[model].as_str().to_owned();
        let taken = self.taken.entry((account.organization, class)).or_default();
        for (taken, units) in taken.iter_mut().zip(units) {
            *taken += units;
        }
    }

    /// What the head of an answer says, as the relay reads it.
    pub(crate) fn quota(&mut self, key: KeyId, model: usize, now: Time) -> Quota {
        let account = self.estate.accounts[&key];
        let class = self.classes[model].as_str();
        let mut headers = Headers::default();
        for (name, value) in self.limiter.headers(account, class, now.since_epoch()) {
            headers.add(name, Value::new(value.as_bytes()).expect("digits and dates are visible"));
        }
        let organization = &self.estate.provider.organizations[account.organization];
        let workspace = &organization.workspaces[account.workspace];
        Quota {
            organization: Some(organization.id.clone()),
            workspace: Some(workspace.id.clone()),
            ..relay_wire::quota::quota(&headers, relay_wire::quota::Pool::Ordinary, now)
        }
    }

    /// How full its buckets are, and ever were.
    pub(crate) fn gauges(&self, now: Time) -> Vec<Gauge> {
        self.limiter.gauges(&self.estate.provider, now.since_epoch())
    }

    /// How much is left in the emptiest bucket: 1 if all are full, or there are none.
    pub(crate) fn lowest(&self, now: Time) -> f64 {
        self.limiter.lowest(now.since_epoch())
    }

    /// What was taken: requests, uncached input and output, by organization and class.
    pub(crate) fn taken(self) -> BTreeMap<(usize, String), [f64; N_METERS]> {
        self.taken
    }
}

/// As a `retry-after` says it: rounded up.
pub(crate) fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}
