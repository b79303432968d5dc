//! One run: the relay's state on a virtual clock, calls that come, and a provider that judges.

mod call;
mod outcome;
mod turns;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use relay_core::{State, Ticket, Time};

use self::call::Call;
use crate::dice::Dice;
use crate::estate::Estate;
use crate::upstream::{Cache, Upstream};
use crate::workload::{Arrival, Workload};

pub use self::outcome::{ByKind, Carried, Moment, Outcome, Served, Spans};

/// What is played.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Who may be asked.
    pub estate: &'a Estate,
    /// What is asked.
    pub workload: &'a Workload,
    /// Is it known beforehand what a call will take?
    pub foretold: bool,
    /// Who is chosen.
    pub choice: Choice,
    /// Of all chance that there is.
    pub seed: u64,
    /// Is told now and then how far the run has come.
    pub watch: &'a dyn Fn(Duration),
}

/// How it is chosen who serves a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// As the relay does.
    Careful,
    /// In turn, at once, and the next one if one refuses: for comparison.
    InTurn,
}

impl<'a> Setting<'a> {
    /// As the relay works: it learns what calls take.
    pub fn new(estate: &'a Estate, workload: &'a Workload, seed: u64) -> Self {
        Self { estate, workload, foretold: false, choice: Choice::Careful, seed, watch: &|_| () }
    }
}

/// See the module.
pub struct World<'a> {
    setting: Setting<'a>,
    state: State,
    upstream: Upstream<'a>,
    /// What a single key without limits could read.
    ideal: Cache,
    begin: Time,
    now: Time,
    dice: Dice,
    /// Soonest first; in the order in which they were foreseen, if at once.
    ahead: BinaryHeap<Reverse<(Time, u64, Happening)>>,
    foreseen: u64,
    /// When it is looked who may go, next.
    look: Option<Time>,
    /// Those under way, by number.
    calls: BTreeMap<usize, Call>,
    came: usize,
    in_flight: u64,
    /// The relay refused so many since the last moment that was noted.
    refused: u64,
    /// Who waits for whose end, by their places in the workload.
    behind: BTreeMap<usize, Vec<usize>>,
    waiting: BTreeMap<Ticket, usize>,
    /// How many turns were taken.
    turns: usize,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Happening {
    /// A call of the workload comes.
    Arrives(usize),
    /// A call comes that is known already.
    Comes(usize),
    Wakes(usize),
    Looks,
    Begins(usize),
    Produces(usize),
    Ends(usize),
}

/// In so many moments a run is looked at.
const MOMENTS: u32 = 240;

impl<'a> World<'a> {
    /// A world in which nothing has happened.
    pub fn new(setting: Setting<'a>) -> Self {
        let Setting { estate, workload, .. } = setting;
        let begin = Time::from_epoch(estate.provider.epoch);
        let mut state = State::default();
        state.reconcile(&estate.fleet, begin);
        let length = match workload.lasts {
            Duration::MAX => Duration::from_hours(1),
            lasts => lasts.max(Duration::from_secs(1)),
        };
        let outcome = Outcome {
            kinds: vec![Served::default(); workload.kinds.len()],
            models: vec![Served::default(); workload.models.len()],
            waits: ByKind::of(workload.kinds.len()),
            told: ByKind::of(workload.kinds.len()),
            step: length / MOMENTS,
            ..Outcome::default()
        };
        Self {
            setting,
            state,
            upstream: Upstream::new(estate, &workload.models),
            ideal: Cache::default(),
            begin,
            now: begin,
            dice: Dice::seeded(setting.seed),
            ahead: BinaryHeap::new(),
            foreseen: 0,
            look: None,
            calls: BTreeMap::new(),
            came: 0,
            in_flight: 0,
            refused: 0,
            behind: BTreeMap::new(),
            waiting: BTreeMap::new(),
            turns: 0,
            outcome,
        }
    }

    /// Plays all calls to their end.
    pub fn play(mut self) -> Outcome {
        for (place, arrival) in self.setting.workload.arrivals.iter().enumerate() {
            match arrival.behind {
                None => self.foresee(self.now + arrival.after, Happening::Arrives(place)),
                Some(before) => self.behind.entry(before).or_default().push(place),
            }
        }
        while let Some(Reverse((at, _, happening))) = self.ahead.pop() {
            if happening == Happening::Looks && self.look != Some(at) {
                // It was foreseen again, for sooner.
                continue;
            }
            self.look_on(at);
            self.now = self.now.max(at);
            self.happen(happening);
            self.wake();
        }
        let report = self.state.report(self.now);
        let Self { mut outcome, upstream, now, .. } = self;
        outcome.open = report.providers.iter().flat_map(|it| &it.keys).map(|key| key.in_flight).sum();
        outcome.gauges = upstream.gauges(now);
        outcome.taken = upstream.taken();
        outcome.waits.sort();
        outcome.told.sort();
        outcome
    }

    /// Notes how it stands at each of the moments until then.
    fn look_on(&mut self, until: Time) {
        loop {
            let next = u32::try_from(self.outcome.moments.len()).unwrap_or(u32::MAX);
            let at = self.begin + self.outcome.step.saturating_mul(next);
            if at > until || next > MOMENTS * 8 {
                return;
            }
            self.outcome.moments.push(Moment {
                in_flight: self.in_flight,
                waiting: self.waiting.len() as u64,
                refused: std::mem::take(&mut self.refused),
                lowest: self.upstream.lowest(at.max(self.now)),
            });
            (self.setting.watch)(at.since(self.begin));
        }
    }

    fn foresee(&mut self, at: Time, happening: Happening) {
        self.foreseen += 1;
        self.ahead.push(Reverse((at, self.foreseen, happening)));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives(place) => {
                let call = self.know(self.setting.workload.arrivals[place], Some(place));
                self.comes(call);
            }
            Happening::Comes(call) => self.comes(call),
            Happening::Wakes(call) => {
                if self.calls.get(&call).is_some_and(|call| call.ticket.is_some()) {
                    self.ask(call);
                }
            }
            Happening::Looks => self.look = None,
            Happening::Begins(call) => self.begin(call),
            Happening::Produces(call) => self.produce(call),
            Happening::Ends(call) => self.end(call),
        }
    }

    /// A call is known from now on, by that number.
    fn know(&mut self, asked: Arrival, place: Option<usize>) -> usize {
        let number = self.came;
        self.came += 1;
        self.calls.insert(number, Call::new(asked, place, self.now));
        number
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
}

/// What lies further ahead than this does not happen.
const NEVER: Duration = Duration::from_mins(50);
