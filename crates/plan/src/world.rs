//! One run: the relay's state on a virtual clock, calls that come, and a provider that judges.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use relay_core::{
    Ask, Class, Conversation, Exhausted, Fleet, Foretold, Key, KeyId, Lease, Need, PIECE, Plan, Provider,
    ProviderId, Quota, Size, State, Step, Strategy, Subject, Ticket, Time, Usage, Verdict, Whose,
};
use relay_sim::Settings;
use relay_sim::limiter::Gauge;

use crate::dice::Dice;
use crate::optimum::float;
use crate::upstream::{MODEL, Upstream};
use crate::workload::{Agents, Arrival, Kind};

/// What is played.
pub struct Setting<'a> {
    /// The provider's organizations; each of their keys is a key of the relay.
    pub provider: &'a Settings,
    /// How keys are chosen.
    pub strategy: Strategy,
    /// How long a call may wait.
    pub max_wait: Duration,
    /// The operator's own caps, by the place of the key.
    pub caps: &'a dyn Fn(usize) -> relay_core::Caps,
    /// Is it known beforehand what a call will take?
    pub foretold: bool,
    /// The kinds of calls.
    pub kinds: &'a [Kind],
    /// How conversations go on.
    pub agents: Option<Agents>,
    /// Is the relay told which conversation a call goes on with?
    pub told: bool,
}

/// What became of the calls of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Served {
    /// They came.
    pub came: u64,
    /// They were answered.
    pub answered: u64,
    /// They were refused by the relay.
    pub refused: u64,
    /// All that those who were answered had waited.
    pub waited: Duration,
}

/// How it went.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// By kind.
    pub kinds: Vec<Served>,
    /// Requests that the provider refused for a limit.
    pub refused_upstream: u64,
    /// Requests that the provider got.
    pub requests: u64,
    /// The provider's buckets.
    pub gauges: Vec<Gauge>,
    /// Leases that were open at the end.
    pub open: u32,
    /// Tokens of prompts that were read from a cache.
    pub cache_read: u64,
    /// Tokens that would have been read from the cache of a single key without limits.
    pub cache_best: u64,
}

impl Outcome {
    /// The part of all calls of a kind that was answered.
    pub fn part(&self, kind: usize) -> f64 {
        let Served { came, answered, .. } = self.kinds[kind];
        float(answered) / float(came.max(1))
    }

    /// The greatest debt of any bucket of the provider.
    pub fn overshoot(&self) -> u64 {
        self.gauges.iter().map(|gauge| gauge.overshoot).max().unwrap_or_default()
    }
}

/// See the module.
pub struct World<'a> {
    setting: &'a Setting<'a>,
    state: State,
    fleet: Fleet,
    upstream: Upstream<'a>,
    now: Time,
    dice: Dice,
    /// Soonest first; in the order in which they were foreseen, if at once.
    ahead: BinaryHeap<Reverse<(Time, u64, Happening)>>,
    foreseen: u64,
    /// When it is looked who may go, next.
    look: Option<Time>,
    calls: Vec<Call>,
    waiting: BTreeMap<Ticket, usize>,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Happening {
    Comes(usize),
    Wakes(usize),
    Looks,
    Begins(usize),
    Produces(usize),
}

struct Call {
    kind: usize,
    conversation: Option<usize>,
    turn: u32,
    /// Tokens of its prompt.
    prompt: u64,
    /// So many of them are in the cache of whoever serves it.
    cached: u64,
    came: Time,
    plan: Option<Plan>,
    ticket: Option<Ticket>,
    lease: Option<Lease>,
    usage: Usage,
}

impl<'a> World<'a> {
    /// A world in which nothing has happened.
    pub fn new(setting: &'a Setting<'a>, dice: Dice) -> Self {
        let start = setting.provider.epoch;
        let now = Time::from_epoch(start);
        let id = ProviderId::of("sim");
        let held = setting.provider.organizations.iter().flat_map(|held| &held.workspaces);
        let keys = held.flat_map(|held| &held.keys).enumerate().map(|(place, held)| {
            let own = KeyId::of(id, held.secret.as_bytes());
            Key { caps: (setting.caps)(place), ..Key::new(own, held.name.as_str()) }
        });
        let keys = keys.collect();
        let strategy = setting.strategy;
        let provider = Provider { id, name: "sim".to_owned(), keys, strategy, priority: 0, weight: 1 };
        let fleet = Fleet { providers: vec![provider], max_wait: setting.max_wait, ..Fleet::default() };
        let mut state = State::default();
        state.reconcile(&fleet, now);
        let kinds = vec![Served::default(); setting.kinds.len()];
        Self {
            setting,
            state,
            fleet,
            upstream: Upstream::new(setting.provider, id),
            now,
            dice,
            ahead: BinaryHeap::new(),
            foreseen: 0,
            look: None,
            calls: Vec::new(),
            waiting: BTreeMap::new(),
            outcome: Outcome { kinds, ..Outcome::default() },
        }
    }

    /// Plays those calls to their end.
    pub fn play(mut self, arrivals: &[Arrival]) -> Outcome {
        for Arrival { after, kind, conversation } in arrivals {
            self.come(self.now + *after, *kind, *conversation, 0);
        }
        while let Some(Reverse((at, _, happening))) = self.ahead.pop() {
            if happening == Happening::Looks && self.look != Some(at) {
                // It was foreseen again, for sooner.
                continue;
            }
            self.now = self.now.max(at);
            self.happen(happening);
            self.wake();
        }
        let report = self.state.report(self.now);
        self.outcome.open = report.providers.iter().flat_map(|it| &it.keys).map(|key| key.in_flight).sum();
        self.outcome.gauges = self.upstream.gauges(self.now);
        self.outcome
    }

    /// A call will come.
    fn come(&mut self, came: Time, kind: usize, conversation: Option<usize>, turn: u32) {
        self.foresee(came, Happening::Comes(self.calls.len()));
        let grown = self.setting.agents.map_or(0, |agents| agents.grows * u64::from(turn));
        let prompt = self.setting.kinds[kind].input + grown;
        self.calls.push(Call {
            kind,
            conversation,
            turn,
            prompt,
            cached: 0,
            came,
            plan: None,
            ticket: None,
            lease: None,
            usage: Usage::ZERO,
        });
    }

    /// A call is over: its conversation goes on.
    fn go_on(&mut self, call: usize) {
        let Call { kind, conversation, turn, .. } = self.calls[call];
        if let Some(agents) =
            self.setting.agents.filter(|agents| conversation.is_some() && turn + 1 < agents.turns)
        {
            let pause = self.dice.pause(agents.pause);
            self.come(self.now + pause, kind, conversation, turn + 1);
        }
    }

    fn foresee(&mut self, at: Time, happening: Happening) {
        self.foreseen += 1;
        self.ahead.push(Reverse((at, self.foreseen, happening)));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Comes(call) => {
                self.outcome.kinds[self.calls[call].kind].came += 1;
                self.calls[call].plan = Some(self.fleet.plan(self.need(call), self.now));
                self.ask(call);
            }
            Happening::Wakes(call) => {
                if self.calls[call].ticket.is_some() {
                    self.ask(call);
                }
            }
            Happening::Looks => self.look = None,
            Happening::Begins(call) => self.begin(call),
            Happening::Produces(call) => self.produce(call),
        }
    }

    /// Those whose turn has come ask again.
    fn wake(&mut self) {
        loop {
            let woken = self.state.wake(self.now);
            if woken.tickets.is_empty() {
                let sooner = |next: &Time| self.look.is_none_or(|look| *next < look);
                if let Some(next) = woken.next.filter(sooner).filter(|next| *next < self.now + NEVER) {
                    self.look = Some(next);
                    self.foresee(next, Happening::Looks);
                }
                return;
            }
            for ticket in woken.tickets {
                if let Some(call) = self.waiting.get(&ticket).copied() {
                    self.ask(call);
                }
            }
        }
    }

    fn need(&self, call: usize) -> Need {
        let kind = &self.setting.kinds[self.calls[call].kind];
        let conversation = self.calls[call].conversation.filter(|_| self.setting.told);
        let foretold = Foretold { input: kind.input, output: kind.output, pace: kind.pace };
        Need {
            class: Class::of(MODEL),
            model: Some(MODEL.to_owned()),
            among: vec![ProviderId::of("sim")],
            pinned: None,
            subject: Subject::Model,
            credential: Whose::Pool,
            size: Some(Size {
                bytes: self.calls[call].prompt * 4,
                max_tokens: Some(32_000),
                streams: true,
                background: false,
                foretold: self.setting.foretold.then_some(foretold),
            }),
            conversation: conversation.map(|conversation| Conversation(conversation as u64)),
            prefix: None,
        }
    }

    fn ask(&mut self, call: usize) {
        let roll = self.dice.roll();
        let Some(plan) = &mut self.calls[call].plan else { return };
        let asked = self.state.ask(plan, self.now, roll);
        if let Some(ticket) = self.calls[call].ticket.take() {
            self.waiting.remove(&ticket);
        }
        match asked {
            Ask::Granted(lease) => self.send(call, lease),
            Ask::Wait { ticket, until } => {
                self.calls[call].ticket = Some(ticket);
                self.waiting.insert(ticket, call);
                self.foresee(until, Happening::Wakes(call));
            }
            Ask::Exhausted(why) => {
                self.outcome.kinds[self.calls[call].kind].refused += 1;
                self.calls[call].plan = None;
                if let (Exhausted::Spent { until }, Some(_)) = (why, self.calls[call].conversation) {
                    // Its client comes back when it was told to.
                    let Call { kind, conversation, turn, .. } = self.calls[call];
                    self.come(until, kind, conversation, turn);
                }
            }
        }
    }

    /// The provider gets the request.
    fn send(&mut self, call: usize, mut lease: Lease) {
        self.outcome.requests += 1;
        let kind = &self.setting.kinds[self.calls[call].kind];
        let key = lease.key().expect("there is no other credential");
        let Call { conversation, prompt, .. } = self.calls[call];
        match self.upstream.admit(key, conversation, prompt, self.now) {
            Ok(cached) => {
                self.calls[call].cached = cached;
                self.calls[call].lease = Some(lease);
                self.foresee(self.now + kind.latency, Happening::Begins(call));
            }
            Err(wait) => {
                self.outcome.refused_upstream += 1;
                let quota = Quota { retry_after: Some(wait), ..self.upstream.quota(key, self.now) };
                self.state.learn(&mut lease, &quota, self.now);
                let Some(plan) = &mut self.calls[call].plan else { return };
                let verdict = Verdict::Spent { until: self.now + wait };
                match self.state.judge(plan, lease, verdict, self.now) {
                    Step::Again => self.ask(call),
                    Step::Commit(_) | Step::Stop => self.calls[call].plan = None,
                }
            }
        }
    }

    /// The answer begins.
    fn begin(&mut self, call: usize) {
        let kind = &self.setting.kinds[self.calls[call].kind];
        let Some(mut lease) = self.calls[call].lease.take() else { return };
        let key = lease.key().expect("there is no other credential");
        let quota = self.upstream.quota(key, self.now);
        self.state.learn(&mut lease, &quota, self.now);
        let Some(plan) = &mut self.calls[call].plan else { return };
        let Step::Commit(mut lease) = self.state.judge(plan, lease, Verdict::Served, self.now) else {
            return;
        };
        let Call { prompt, cached, conversation, turn, .. } = self.calls[call];
        let usage = match conversation {
            None => Usage { input: prompt, ..Usage::ZERO },
            Some(conversation) => {
                self.upstream.remember(key, conversation, prompt, self.now);
                self.outcome.cache_read += cached;
                if turn > 0 {
                    self.outcome.cache_best += prompt - self.setting.agents.map_or(0, |agents| agents.grows);
                }
                Usage { cache_read: cached, cache_write: prompt - cached, ..Usage::ZERO }
            }
        };
        self.state.charge(&mut lease, usage, self.now);
        let waited = self.now.since(self.calls[call].came).saturating_sub(kind.latency);
        let served = &mut self.outcome.kinds[self.calls[call].kind];
        (served.answered, served.waited) = (served.answered + 1, served.waited + waited);
        (self.calls[call].lease, self.calls[call].usage) = (Some(lease), usage);
        self.produce(call);
    }

    /// The next piece of an answer.
    fn produce(&mut self, call: usize) {
        let kind = &self.setting.kinds[self.calls[call].kind];
        let Some(mut lease) = self.calls[call].lease.take() else { return };
        let key = lease.key().expect("there is no other credential");
        let done = self.calls[call].usage.output;
        let piece = kind.pace.map_or(kind.output, |_| PIECE).min(kind.output - done);
        self.upstream.produce(key, piece, self.now);
        self.calls[call].usage.output += piece;
        let usage = self.calls[call].usage;
        if usage.output < kind.output {
            self.state.charge(&mut lease, usage, self.now);
            let pause = Duration::from_secs(1) * u32::try_from(PIECE).unwrap_or(u32::MAX)
                / u32::try_from(kind.pace.unwrap_or(1).max(1)).unwrap_or(u32::MAX);
            self.calls[call].lease = Some(lease);
            self.foresee(self.now + pause, Happening::Produces(call));
        } else {
            self.state.close(lease, usage, self.now);
            self.calls[call].plan = None;
            self.go_on(call);
        }
    }
}

/// What lies further ahead than this does not happen.
const NEVER: Duration = Duration::from_mins(50);
