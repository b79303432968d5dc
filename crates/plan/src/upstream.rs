//! The provider's side of a run: its buckets, written apart from the relay's, and its prompt caches.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_core::{KeyId, ProviderId, Quota, Time};
use relay_headers::{Headers, Value};
use relay_sim::Settings;
use relay_sim::limiter::{Account, Gauge, Limiter, Shortage};

/// The model that everybody asks for.
pub(crate) const MODEL: &str = "claude-opus-5";

/// A prompt lives so long in a cache after it was used.
const CACHED: Duration = Duration::from_mins(5);

/// See the module.
pub(crate) struct Upstream<'a> {
    settings: &'a Settings,
    limiter: Limiter,
    accounts: BTreeMap<KeyId, Account>,
    /// Tokens, and when they were used; by organization and conversation.
    caches: BTreeMap<(usize, usize), (u64, Time)>,
}

impl<'a> Upstream<'a> {
    pub(crate) fn new(settings: &'a Settings, id: ProviderId) -> Self {
        let mut accounts = BTreeMap::new();
        for (organization, held) in settings.organizations.iter().enumerate() {
            for (workspace, held) in held.workspaces.iter().enumerate() {
                for (key, held) in held.keys.iter().enumerate() {
                    let own = KeyId::of(id, held.secret.as_bytes());
                    accounts.insert(own, Account { organization, workspace, key });
                }
            }
        }
        let limiter = Limiter::new(settings, settings.epoch);
        Self { settings, limiter, accounts, caches: BTreeMap::new() }
    }

    /// A request of that key. How many tokens of its prompt were in the cache, or how many seconds to wait.
    pub(crate) fn admit(
        &mut self,
        key: KeyId,
        conversation: Option<usize>,
        prompt: u64,
        now: Time,
    ) -> Result<u64, Duration> {
        let account = self.accounts[&key];
        let cached = conversation.and_then(|conversation| {
            let (tokens, used) = self.caches.get(&(account.organization, conversation)).copied()?;
            (now.since(used) < CACHED).then_some(tokens)
        });
        let cached = cached.unwrap_or_default();
        let admitted = self.limiter.admit(account, MODEL, prompt - cached, now.since_epoch());
        admitted.map(|()| cached).map_err(|Shortage { until, .. }| {
            let wait = until.map_or(Duration::from_mins(1), |at| at.saturating_sub(now.since_epoch()));
            // Whole seconds, rounded up.
            Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
        })
    }

    /// The answer to a conversation has begun: its prompt can be read from now on.
    pub(crate) fn remember(&mut self, key: KeyId, conversation: usize, prompt: u64, now: Time) {
        self.caches.insert((self.accounts[&key].organization, conversation), (prompt, now));
    }

    /// Tokens of an answer are produced.
    pub(crate) fn produce(&mut self, key: KeyId, tokens: u64, now: Time) {
        self.limiter.produce(self.accounts[&key], MODEL, tokens, now.since_epoch());
    }

    /// What the head of an answer says, as the relay reads it.
    pub(crate) fn quota(&mut self, key: KeyId, now: Time) -> Quota {
        let account = self.accounts[&key];
        let mut headers = Headers::default();
        for (name, value) in self.limiter.headers(account, MODEL, now.since_epoch()) {
            headers.add(name, Value::new(value.as_bytes()).expect("digits and dates are visible"));
        }
        let organization = &self.settings.organizations[account.organization].id;
        Quota { organization: Some(organization.clone()), ..relay_wire::quota::quota(&headers, now) }
    }

    /// How full its buckets are, and ever were.
    pub(crate) fn gauges(&self, now: Time) -> Vec<Gauge> {
        self.limiter.gauges(self.settings, now.since_epoch())
    }
}
