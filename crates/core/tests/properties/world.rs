//! A world in which a history happens: it plays clients, shell and clock around one `State`, and writes
//! down what it saw. It judges nothing; the properties do.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use relay_core::{
    Ask, Class, Exhausted, Fact, Fleet, KeyId, KeyReport, Lease, Met, Plan, ProviderId, Report, Roll, State,
    Step, Ticket, Time, Unready, Usage, Verdict,
};

use crate::fleets::{KEYS, PROVIDERS, class, key_id};
use crate::history::{Deed, History, Reply, Temper, Wish};

/// What was seen, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Scene {
    /// A call asked. The report is from just before.
    Asked { call: usize, at: Time, wish: Wish, last: Time, met: Vec<Met>, before: Report, answer: Answer },
    /// An answer of an upstream was judged.
    Judged { call: usize, at: Time, met: Met, before: Report, after: Report, turn: Turn },
    /// A lease was closed: the reply ended, or its client left.
    Closed { call: usize },
    /// A call that was told to wait did nothing else: asked one nanosecond early, and on time.
    Waited { until: Time, early: Answer, then: Answer },
    /// A call that was told when to come back did so, alone.
    Returned { until: Time, answer: Answer },
    /// How things stand after each event: leases open by key, and what the state says.
    Stands { at: Time, open: BTreeMap<KeyId, u32>, report: Report },
}

/// What a call was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// Go.
    Granted(ProviderId, Option<KeyId>),
    /// Not yet.
    Wait(Time),
    /// No.
    Exhausted(Exhausted),
}

/// How a call went on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// Committed.
    Commit,
    /// Asked again.
    Again,
    /// Stopped.
    Stop,
}

/// All keys that are configured.
pub(crate) fn keys_of(report: &Report) -> impl Iterator<Item = &KeyReport> {
    report.providers.iter().flat_map(|provider| &provider.keys)
}

/// All keys that are configured, by the places of their providers and their own.
pub(crate) fn places(report: &Report) -> Vec<(usize, usize)> {
    let all = (0..PROVIDERS.len()).flat_map(|provider| (0..KEYS.len()).map(move |key| (provider, key)));
    all.filter(|key| keys_of(report).any(|own| own.id == key_id(*key))).collect()
}

/// What is held against a key that bears on a class.
pub(crate) fn touching(report: &Report, key: KeyId, class: &Class) -> Vec<(Option<Class>, Unready)> {
    let held = keys_of(report).filter(|own| own.id == key).flat_map(|own| own.held.clone());
    held.filter(|(of, _)| of.as_ref().is_none_or(|of| of == class)).collect()
}

/// See the module.
#[derive(Debug)]
pub(crate) struct World {
    /// What is tested.
    pub(crate) state: State,
    /// The clock.
    pub(crate) now: Time,
    /// What was seen.
    pub(crate) scenes: Vec<Scene>,
    /// What is configured.
    pub(crate) fleet: Fleet,
    calls: Vec<Call>,
    dice: u64,
    times: usize,
}

#[derive(Debug)]
struct Call {
    wish: Wish,
    plan: Plan,
    /// The last moment it may wait for.
    last: Time,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Waiting(Ticket),
    Trying(Lease),
    Replying(Lease),
    Over,
}

impl World {
    /// A world with that fleet, in which nothing has happened.
    pub(crate) fn new(fleet: &Fleet, seed: u64) -> Self {
        let mut state = State::default();
        let now = Time::from_epoch(Duration::from_secs(1_000_000));
        state.reconcile(fleet, now);
        Self { state, now, scenes: Vec::new(), fleet: fleet.clone(), calls: Vec::new(), dice: seed, times: 1 }
    }

    /// All that was seen when that history happened and every lease was closed at its end.
    pub(crate) fn seen(history: &History) -> Vec<Scene> {
        let mut world = Self::after(history);
        world.end();
        world.scenes
    }

    /// The world after that history, with whatever is still under way.
    pub(crate) fn after(history: &History) -> Self {
        let mut world = Self::new(&history.fleets[0], history.seed);
        world.times = history.times;
        for deed in &history.deeds {
            world.happen(deed, &history.fleets);
        }
        world
    }

    /// One thing happens, and those whose turn has come ask again.
    pub(crate) fn happen(&mut self, deed: &Deed, fleets: &[Fleet]) {
        match deed {
            Deed::Arrive(wish) => self.arrive(wish),
            Deed::Answer(which, reply) => self.answer(*which, *reply),
            Deed::Leave(which) => self.leave(*which),
            Deed::Charge(which, usage) => self.charge(*which, *usage),
            Deed::Close(which, usage) => self.close(*which, *usage),
            Deed::Pass(pause) => self.now = self.now + *pause,
            Deed::Reload(fleet) => {
                self.fleet = fleets[fleet % fleets.len()].clone();
                for _ in 0..self.times {
                    self.state.reconcile(&self.fleet, self.now);
                }
            }
            Deed::Pardon(key) => self.state.pardon(key_id(*key)),
            Deed::Merge(key, model, after) => {
                let fact = Fact { key: key_id(*key), class: class(*model), until: self.now + *after };
                for _ in 0..self.times {
                    self.state.merge(&fact, self.now);
                }
            }
            Deed::Echo => {
                for fact in self.state.export(self.now).facts() {
                    self.state.merge(&fact, self.now);
                }
            }
        }
        self.wake();
        self.stand();
    }

    /// Everybody leaves.
    pub(crate) fn end(&mut self) {
        for call in 0..self.calls.len() {
            self.end_call(call, Usage::ZERO);
        }
        self.stand();
    }

    /// A new call asks, alone, and gives back at once what it got.
    pub(crate) fn try_alone(&mut self, wish: &Wish) -> Answer {
        let mut plan = self.fleet.plan(wish.need(), self.now);
        let asked = self.state.ask(&mut plan, self.now, Roll(0));
        let answer = Answer::of(&asked);
        match asked {
            Ask::Granted(lease) => self.state.close(lease, Usage::ZERO, self.now),
            Ask::Wait { ticket, .. } => self.state.cancel(ticket),
            Ask::Exhausted(_) => {}
        }
        answer
    }

    fn arrive(&mut self, wish: &Wish) {
        let plan = self.fleet.plan(wish.need(), self.now);
        let last = self.now + self.fleet.max_wait;
        self.calls.push(Call { wish: wish.clone(), plan, last, phase: Phase::Over });
        self.ask(self.calls.len() - 1);
    }

    fn ask(&mut self, call: usize) {
        let asked = self.ask_once(call);
        let busy = self.calls[call].wish.temper == Temper::Busy;
        self.calls[call].phase = match asked {
            Ask::Granted(lease) => Phase::Trying(lease),
            Ask::Wait { ticket, .. } if busy => Phase::Waiting(ticket),
            Ask::Wait { ticket, until } => self.sit(call, ticket, until),
            Ask::Exhausted(Exhausted::Spent { until }) if !busy => self.come_back(call, until),
            Ask::Exhausted(_) => Phase::Over,
        };
    }

    /// Waits until the foretold moment, asking once a nanosecond early.
    fn sit(&mut self, call: usize, ticket: Ticket, until: Time) -> Phase {
        self.state.cancel(ticket);
        self.now = until.before(Duration::from_nanos(1));
        let early = self.ask_once(call);
        let early_answer = Answer::of(&early);
        match early {
            Ask::Granted(lease) => self.state.close(lease, Usage::ZERO, self.now),
            Ask::Wait { ticket, .. } => self.state.cancel(ticket),
            Ask::Exhausted(_) => {}
        }
        self.now = until;
        let then = self.ask_once(call);
        self.scenes.push(Scene::Waited { until, early: early_answer, then: Answer::of(&then) });
        match then {
            Ask::Granted(lease) => Phase::Trying(lease),
            Ask::Wait { ticket, .. } => Phase::Waiting(ticket),
            Ask::Exhausted(_) => Phase::Over,
        }
    }

    /// Comes back when told to, as a new call.
    fn come_back(&mut self, call: usize, until: Time) -> Phase {
        self.now = self.now.max(until);
        let wish = self.calls[call].wish.clone();
        let answer = self.try_alone(&wish);
        self.scenes.push(Scene::Returned { until, answer });
        Phase::Over
    }

    fn ask_once(&mut self, index: usize) -> Ask {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let before = self.state.report(self.now);
        let call = &mut self.calls[index];
        let met = call.plan.met().to_vec();
        let asked = self.state.ask(&mut call.plan, self.now, Roll(self.dice));
        let answer = Answer::of(&asked);
        let (wish, last, at) = (call.wish.clone(), call.last, self.now);
        self.scenes.push(Scene::Asked { call: index, at, wish, last, met, before, answer });
        asked
    }

    fn answer(&mut self, which: usize, reply: Reply) {
        let Some(index) = self.nth(which, |phase| matches!(phase, Phase::Trying(_))) else { return };
        let Phase::Trying(lease) = mem::replace(&mut self.calls[index].phase, Phase::Over) else { return };
        self.judge(index, lease, reply.verdict(self.now));
    }

    fn judge(&mut self, index: usize, lease: Lease, verdict: Verdict) {
        let before = self.state.report(self.now);
        let call = &mut self.calls[index];
        let step = self.state.judge(&mut call.plan, lease, verdict, self.now);
        let met = *call.plan.met().last().expect("an answer that was judged was met");
        let (turn, phase) = match step {
            Step::Commit(lease) => (Turn::Commit, Phase::Replying(lease)),
            Step::Again => (Turn::Again, Phase::Over),
            Step::Stop => (Turn::Stop, Phase::Over),
        };
        call.phase = phase;
        let after = self.state.report(self.now);
        self.scenes.push(Scene::Judged { call: index, at: self.now, met, before, after, turn });
        if turn == Turn::Again {
            self.ask(index);
        }
    }

    fn leave(&mut self, which: usize) {
        if let Some(index) = self.nth(which, |phase| !matches!(phase, Phase::Over)) {
            self.end_call(index, Usage::ZERO);
        }
    }

    fn charge(&mut self, which: usize, usage: Usage) {
        let Some(index) = self.nth(which, |phase| matches!(phase, Phase::Replying(_))) else { return };
        if let Phase::Replying(lease) = &mut self.calls[index].phase {
            self.state.charge(lease, usage, self.now);
        }
    }

    fn close(&mut self, which: usize, usage: Usage) {
        if let Some(index) = self.nth(which, |phase| matches!(phase, Phase::Replying(_))) {
            self.end_call(index, usage);
        }
    }

    fn end_call(&mut self, index: usize, usage: Usage) {
        match mem::replace(&mut self.calls[index].phase, Phase::Over) {
            Phase::Trying(lease) | Phase::Replying(lease) => {
                self.state.close(lease, usage, self.now);
                self.scenes.push(Scene::Closed { call: index });
            }
            Phase::Waiting(ticket) => self.state.cancel(ticket),
            Phase::Over => {}
        }
    }

    fn wake(&mut self) {
        loop {
            let woken = self.state.wake(self.now);
            if woken.tickets.is_empty() {
                break;
            }
            for ticket in woken.tickets {
                let waits = |call: &Call| matches!(call.phase, Phase::Waiting(own) if own == ticket);
                if let Some(index) = self.calls.iter().position(waits) {
                    self.calls[index].phase = Phase::Over;
                    self.ask(index);
                }
            }
        }
    }

    fn stand(&mut self) {
        let mut open = BTreeMap::new();
        for call in &self.calls {
            if let Phase::Trying(lease) | Phase::Replying(lease) = &call.phase
                && let Some(key) = lease.key()
            {
                *open.entry(key).or_insert(0) += 1;
            }
        }
        self.scenes.push(Scene::Stands { at: self.now, open, report: self.state.report(self.now) });
    }

    /// The call that a number chooses among those in a phase.
    fn nth(&self, which: usize, wanted: impl Fn(&Phase) -> bool) -> Option<usize> {
        let all: Vec<_> = (0..self.calls.len()).filter(|&index| wanted(&self.calls[index].phase)).collect();
        all.get(which.checked_rem(all.len())?).copied()
    }
}

impl Answer {
    fn of(ask: &Ask) -> Self {
        match ask {
            Ask::Granted(lease) => Self::Granted(lease.provider(), lease.key()),
            Ask::Wait { until, .. } => Self::Wait(*until),
            Ask::Exhausted(exhausted) => Self::Exhausted(*exhausted),
        }
    }
}
