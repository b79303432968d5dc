//! A pool of keys as it might be configured, and what its provider says of itself. Knows numbers of an ordinary size;
//! refuses to know what is measured with them.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_core::{
    Caps, Class, Conversation, Fleet, Gauge, Key, KeyId, Need, Plan, Prefix, Provider, ProviderId, Quota,
    Size, State, Subject, Time, Usage, Whose,
};

use super::locked::Locked;

/// When all begins.
pub(super) const START: Time = Time::from_epoch(Duration::from_secs(1_795_000_000));

const MODEL: &str = "claude-opus-5";

/// What the keys are capped at together, a minute: requests, input, output. A call comes each twenty milliseconds, so
/// that a tenth of it is used.
const TOGETHER: [u64; 3] = [400_000, 400_000_000, 40_000_000];

/// Keys are as unlike each other as the tiers in which they are sold.
const SHARES: [u64; 4] = [1, 2, 4, 8];

/// A conversation of ordinary length, in bytes and in tokens; and what is added to it in one turn.
const BYTES: u64 = 40_000;
const PROMPT: u64 = 11_000;
const TURN: u64 = 500;

/// Output tokens of an answer.
pub(super) const ANSWER: u64 = 300;

/// A pool of keys, each of an organization of its own.
#[derive(Debug)]
pub(super) struct Pool {
    fleet: Fleet,
    provider: ProviderId,
    /// What the head of each key's answers says.
    quotas: BTreeMap<KeyId, Quota>,
}

impl Pool {
    pub(super) fn new(n_keys: u32) -> Self {
        let provider = ProviderId::of("anthropic");
        let shares = || (0..n_keys).zip(SHARES.iter().cycle());
        let whole: u64 = shares().map(|(_, share)| share).sum();
        let (mut keys, mut quotas) = (Vec::new(), BTreeMap::new());
        for (index, share) in shares() {
            let id = KeyId::of(provider, &index.to_le_bytes());
            let [requests, input, output] = TOGETHER.map(|together| together * share / whole);
            let caps = Caps {
                requests: Some(requests),
                input: Some(input),
                output: Some(output),
                ..Caps::default()
            };
            keys.push(Key { caps, ..Key::new(id, format!("{index:08x}")) });
            // The operator leaves half of what the organization may use to others.
            let [requests, input, output] = [requests, input, output].map(|cap| full(cap * 2));
            let organization = Some(format!("0b1e4b2e-0000-4000-8000-{index:012x}"));
            quotas.insert(id, Quota { organization, requests, input, output, ..Quota::default() });
        }
        let fleet = Fleet {
            providers: vec![Provider::new("anthropic", keys)],
            max_wait: Duration::from_secs(30),
            prefix_wait: Duration::from_secs(3),
            ..Fleet::default()
        };
        Self { fleet, provider, quotas }
    }

    /// The state that knows these keys, and nothing of them yet.
    pub(super) fn state(&self) -> State {
        let mut state = State::default();
        state.reconcile(&self.fleet, START);
        state
    }

    /// The same, as the proxy has it under its lock.
    pub(super) fn locked(&self) -> Locked {
        let mut locked = Locked::default();
        (locked.state, locked.fleet) = (self.state(), self.fleet.clone());
        locked
    }

    /// The plan of a call of that conversation.
    pub(super) fn plan(&self, conversation: Conversation, now: Time) -> Plan {
        let size = Size { bytes: BYTES, max_tokens: Some(32_000), streams: true, ..Size::default() };
        let need = Need {
            class: Class::of(MODEL),
            model: Some(MODEL.to_owned()),
            among: vec![self.provider],
            pinned: None,
            subject: Subject::Model,
            credential: Whose::Pool,
            size: Some(size),
            conversation: Some(conversation),
            // All have the same tools and system prompt.
            prefix: Some(Prefix(1)),
        };
        self.fleet.plan(need, now)
    }

    /// What the head of an answer says that comes at `now`: hardly anything is used, so the bucket is full again.
    pub(super) fn quota(&self, key: KeyId, now: Time) -> Quota {
        let mut quota = self.quotas.get(&key).cloned().unwrap_or_default();
        for gauge in [&mut quota.requests, &mut quota.input, &mut quota.output] {
            gauge.reset = Some(now);
        }
        quota
    }
}

/// What an answer uses, as soon as it begins: it reads what the last one wrote, if there was one.
pub(super) const fn begins(goes_on: bool) -> Usage {
    let (cache_read, cache_write) = if goes_on { (PROMPT - TURN, TURN) } else { (0, PROMPT) };
    Usage { input: 10, output: 1, cache_write, cache_write_long: 0, cache_read }
}

fn full(limit: u64) -> Gauge {
    Gauge { limit: Some(limit), remaining: Some(limit), reset: None }
}
