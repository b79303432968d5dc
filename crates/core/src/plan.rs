//! The attempts of one call: who may be asked, who has been, and what each answered.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::account::{ClassId, DomainId};
use crate::affinity::{Conversation, Stay};
use crate::fleet::{Class, ClientId, Fleet, KeyId, ProviderId};
use crate::limits::{Marks, Needs};
use crate::prefix::{Prefix, Spot};
use crate::price::Patience;
use crate::queue::Ticket;
use crate::quota::Gauge;
use crate::rest::Probe;
use crate::time::Time;
use crate::usage::Usage;
use crate::verdict::{Fault, Next, Verdict};

/// The most attempts one call may make, whatever happens. A backstop: every other rule ends a plan
/// long before this on any fleet of reasonable size.
pub const MOST_ATTEMPTS: usize = 32;

/// The first pause before a provider that was overloaded is asked again by the same call; doubles
/// each time. Claude Code itself begins with half a second.
pub const FIRST_BACK_OFF: Duration = Duration::from_millis(500);

/// What a call needs of whoever serves it.
#[derive(Clone, Debug)]
pub struct Need {
    /// The class of its model.
    pub class: Class,
    /// The name of its model as the client wrote it, for ownership by prefix.
    pub model: Option<String>,
    /// The providers that can carry it at all, by what their adapters offer.
    pub among: Vec<ProviderId>,
    /// The key that owns a file, batch or container which it names.
    pub pinned: Option<KeyId>,
    /// What a 404 says of.
    pub subject: Subject,
    /// Whose credential it goes with.
    pub credential: Whose,
    /// How large it is, if it counts against the limits of a class of models.
    pub size: Option<Size>,
    /// Which conversation it goes on with, if that is known.
    pub conversation: Option<Conversation>,
    /// What its prompt begins with, if that is to be cached.
    pub prefix: Option<Prefix>,
}

/// How large a call is, as far as that is known before it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    /// Of its body.
    pub bytes: u64,
    /// `max_tokens`.
    pub max_tokens: Option<u64>,
    /// Its answer comes as a stream.
    pub streams: bool,
    /// Nobody looks on: it is of a subagent.
    pub background: bool,
    /// About how many tokens its prompt has, where that was measured.
    pub measured: Option<u64>,
    /// Whose it is.
    pub client: ClientId,
    /// What it will take, if that is known: a call that was recorded is played again.
    pub foretold: Option<Foretold>,
}

/// What a call will take, as somebody knows who has seen it before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Foretold {
    /// Uncached input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Output tokens a second, at most; none if they come at once.
    pub pace: Option<u64>,
}

/// What a call is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A model: a 404 speaks of the whole provider.
    Model,
    /// Something that one organization owns: a 404 speaks of the key only.
    Property,
}

/// Whose credential a call goes with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// One of ours.
    Pool,
    /// The client's own, passed on.
    Client,
}

/// The attempts of one call.
#[derive(Debug)]
pub struct Plan {
    pub(crate) class: Class,
    pub(crate) subject: Subject,
    pub(crate) whose: Whose,
    pub(crate) size: Option<Size>,
    pub(crate) conversation: Option<Conversation>,
    pub(crate) prefix: Option<Prefix>,
    /// For how long what its conversation has cached is worth waiting.
    pub(crate) patience: Patience,
    pub(crate) pinned: Option<KeyId>,
    /// Who may be asked, in the order of the configuration.
    pub(crate) providers: Vec<ProviderId>,
    /// The last moment it may wait for.
    pub(crate) wait_until: Time,
    /// Keys not asked again, unless they are renewed.
    pub(crate) done: Vec<Done>,
    /// Providers not asked again.
    pub(crate) left: Vec<ProviderId>,
    /// Keys that this call lets rest, until when, and how often it has.
    pub(crate) backed_off: Vec<BackedOff>,
    /// Every answer so far.
    pub(crate) met: Vec<Met>,
    pub(crate) hops: u32,
    /// Its place in the queue, if it waits.
    pub(crate) ticket: Option<Ticket>,
    /// It stood in a line and was called: that was its turn.
    pub(crate) called: bool,
    /// How long it waits for others to write its prefix, if it has waited for any.
    pub(crate) gated_until: Option<Time>,
    /// What becomes of its conversation's prompt cache, as far as was decided.
    pub(crate) stay: Stay,
    /// The place of its class, once somebody has looked.
    pub(crate) class_id: Option<ClassId>,
    /// Room for the terms of the next lease: it is asked for here, where nobody holds a lock.
    pub(crate) room: Option<Box<Terms>>,
}

/// A key that one call does not ask again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Done {
    pub(crate) key: KeyId,
    /// How often it had been pardoned by then: renewed, it is another, which was not asked yet.
    pub(crate) pardons: u64,
}

/// A key that one call lets rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BackedOff {
    pub(crate) key: Option<KeyId>,
    pub(crate) provider: ProviderId,
    pub(crate) until: Time,
    pub(crate) times: u32,
}

/// What one attempt met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Met {
    /// Who was asked.
    pub provider: ProviderId,
    /// With which key; none for the client's own credential.
    pub key: Option<KeyId>,
    /// What it answered.
    pub verdict: Verdict,
}

impl Fleet {
    /// The plan of a call that arrives now: who may be asked, and until when it may wait.
    pub fn plan(&self, need: Need, now: Time) -> Plan {
        let able = |id: &ProviderId| need.among.contains(id);
        let all = || self.providers.iter().map(|provider| provider.id).filter(able);
        let owner = need.model.as_deref().and_then(|model| self.ownership.owner(model));
        let providers = match owner.filter(able) {
            // What a key owns is found where the key is, whoever owns the model.
            Some(owner) if need.pinned.is_none() => vec![owner],
            _ => all().collect(),
        };
        let patience = self.prices.patience(need.model.as_deref(), self.second);
        Plan {
            class: need.class,
            subject: need.subject,
            whose: need.credential,
            size: need.size,
            conversation: need.conversation,
            prefix: need.prefix,
            patience,
            pinned: need.pinned,
            providers,
            wait_until: now + self.max_wait,
            done: Vec::new(),
            left: Vec::new(),
            backed_off: Vec::new(),
            // Most calls meet one answer, and whoever notes it holds a lock.
            met: Vec::with_capacity(1),
            hops: 0,
            ticket: None,
            called: false,
            gated_until: None,
            stay: Stay::New,
            class_id: None,
            room: Some(Box::default()),
        }
    }
}

impl crate::fleet::Ownership {
    /// Who owns a model: the longest prefix, else the default, else nobody in particular.
    pub fn owner(&self, model: &str) -> Option<ProviderId> {
        let prefixed = self.prefixes.iter().filter(|(prefix, _)| model.starts_with(prefix.as_str()));
        let longest = prefixed.max_by_key(|(prefix, _)| prefix.len()).map(|(_, owner)| *owner);
        longest.or(self.default)
    }
}

impl Plan {
    /// What every attempt so far met, in order.
    pub fn met(&self) -> &[Met] {
        &self.met
    }

    /// So many tokens its answer may have, if that is limited.
    pub(crate) fn most(&self) -> u64 {
        self.size.and_then(|size| size.max_tokens).unwrap_or_default()
    }

    /// The class of its model.
    pub const fn class(&self) -> &Class {
        &self.class
    }

    /// How the plan goes on after an answer that was not the one.
    pub(crate) fn go_on(&mut self, provider: ProviderId, asked: Option<Done>, next: Next, now: Time) -> Step {
        let key = asked.map(|asked| asked.key);
        match next {
            Next::Commit | Next::Stop => return Step::Stop,
            // Whatever short pause it names, this call asks it less and less often.
            Next::KeyOrWait => self.back_off(provider, key, None, now),
            Next::Key => self.drop_key(provider, asked),
            Next::Provider if self.subject == Subject::Property => self.drop_key(provider, asked),
            Next::Provider => self.left.push(provider),
            Next::Hop => {
                self.hops += 1;
                if self.hops > 1 {
                    return Step::Stop;
                }
                self.drop_key(provider, asked);
            }
            Next::BackOff(until) => self.back_off(provider, key, until, now),
            Next::Retry => {
                let broken =
                    |met: &&Met| met.provider == provider && matches!(met.verdict, Verdict::Broken(_));
                if self.met.iter().filter(broken).count() > 1 {
                    self.left.push(provider);
                } else {
                    self.drop_key(provider, asked);
                }
            }
        }
        Step::Again
    }

    /// That key is not asked again; without a key, nor is the provider.
    fn drop_key(&mut self, provider: ProviderId, asked: Option<Done>) {
        match asked {
            Some(asked) => self.done.push(asked),
            None => self.left.push(provider),
        }
    }

    /// This call lets that key rest: until the provider's own word, or twice as long as the last time.
    pub(crate) fn back_off(
        &mut self,
        provider: ProviderId,
        key: Option<KeyId>,
        until: Option<Time>,
        now: Time,
    ) {
        let known = self.backed_off.iter_mut().find(|known| known.provider == provider && known.key == key);
        let times = known.as_ref().map_or(0, |known| known.times);
        let pause = FIRST_BACK_OFF.saturating_mul(1 << times.min(16));
        let until = until.unwrap_or(Time::EPOCH).max(now + pause);
        match known {
            Some(known) => {
                known.until = until;
                known.times += 1;
            }
            None => self.backed_off.push(BackedOff { key, provider, until, times: 1 }),
        }
    }

    /// Until when this call lets that key rest, if it does now.
    pub(crate) fn resting(&self, provider: ProviderId, key: Option<KeyId>, now: Time) -> Option<Time> {
        let known = self.backed_off.iter().find(|known| known.provider == provider && known.key == key);
        known.map(|known| known.until).filter(|until| *until > now)
    }

    /// Has this call met trouble at that provider?
    pub(crate) fn troubled(&self, provider: ProviderId) -> bool {
        self.met.iter().any(|met| met.provider == provider && met.verdict.effect().fault == Fault::Provider)
    }
}

/// The right to make one attempt. It is made only by [`crate::State::ask`], cannot be copied, and is
/// used up by `judge` or `close`: so every lease ends exactly once.
#[derive(Debug)]
#[must_use = "a lease that is forgotten holds its key for ever"]
pub struct Lease(Box<Terms>);

/// What a lease is of. On the heap: it is handed on with every step of a call, and is large.
#[derive(Debug, Default)]
pub struct Terms {
    pub(crate) provider: ProviderId,
    pub(crate) key: Option<KeyId>,
    pub(crate) class: Class,
    pub(crate) size: Option<Size>,
    pub(crate) conversation: Option<Conversation>,
    /// Of its key.
    pub(crate) probe: Probe,
    /// Of the organization that holds its limits.
    pub(crate) account_probe: Probe,
    /// How often its key had been pardoned by then.
    pub(crate) pardons: u64,
    pub(crate) since: Time,
    pub(crate) stay: Stay,
    /// Its prefix where it goes, and whether it is the one that writes it.
    pub(crate) prefix: Option<(Spot, bool)>,
    pub(crate) used: Usage,
    /// What it is promised of its limits. None without a key.
    pub(crate) book: Option<Book>,
}

/// What a lease is promised, and what of it has been taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Book {
    pub(crate) key: usize,
    pub(crate) domain: DomainId,
    /// The class of its models in the workspace of its key.
    pub(crate) room: DomainId,
    /// What it may still take.
    pub(crate) needs: Needs,
    /// What was taken of its request and of its prompt: at first what they were thought to be.
    pub(crate) request: u64,
    pub(crate) input: u64,
    /// What its prompt was thought to be when it was sent.
    pub(crate) sent: u64,
    /// The same with its answer: what its client was given.
    pub(crate) given: u64,
    /// When the first of the buckets would have been full, had it not been sent: of requests, and of its prompt.
    pub(crate) full: (Time, Time),
    /// So much was taken when it was sent, until the provider has shown a sign of it.
    pub(crate) unseen: (u64, u64),
    /// Of its domain, and for all tokens together of its room, before that had been taken.
    pub(crate) marks: Marks,
    /// When the provider began to answer.
    pub(crate) begun: Option<Time>,
    /// It is known what the provider counted.
    pub(crate) counted: bool,
    /// What its head said of input, and of all tokens, until it is known how much it took.
    pub(crate) shown: Option<(Gauge, Gauge)>,
}

impl Deref for Lease {
    type Target = Terms;

    fn deref(&self) -> &Terms {
        &self.0
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Terms {
        &mut self.0
    }
}

impl Lease {
    pub(crate) const fn of(terms: Box<Terms>) -> Self {
        Self(terms)
    }

    /// It has ended; there is room for another.
    pub(crate) fn into_room(self) -> Box<Terms> {
        self.0
    }
}

impl Terms {
    /// Whom to ask.
    pub const fn provider(&self) -> ProviderId {
        self.provider
    }

    /// With which key; none for the client's own credential.
    pub const fn key(&self) -> Option<KeyId> {
        self.key
    }

    /// When it was granted.
    pub const fn since(&self) -> Time {
        self.since
    }

    /// What an answer says it used, as far as that can be believed.
    pub(crate) fn plausible(&self, usage: Usage) -> Usage {
        usage.plausible(self.size.and_then(|size| size.max_tokens))
    }

    /// What becomes of its conversation's prompt cache.
    pub const fn stay(&self) -> Stay {
        self.stay
    }
}

/// How a call goes on after an answer. After `Commit` there is no way back to asking: a reply which
/// has begun cannot be retried.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// This is the answer; the lease lives until its body ends.
    Commit(Lease),
    /// Ask again.
    Again,
    /// This answer, a refusal, is for the client.
    Stop,
}

/// Why nobody serves a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exhausted {
    /// Nothing that is configured can carry it.
    Nobody,
    /// Every key that could rests; the first is ready then, which is later than the call may wait.
    Spent {
        /// A retry at that moment is served if nobody else came.
        until: Time,
    },
    /// Keys are not accepted, or have no money behind them.
    Barred,
    /// What a provider said is the best answer there is.
    Words,
    /// Every provider has too much to do.
    Overloaded,
    /// No provider could be reached, or it failed.
    Broken,
    /// A provider took longer than its deadline.
    Late,
}
