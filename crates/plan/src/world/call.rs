//! The life of one call: it comes, asks, waits, is sent, is answered piece by piece, and what follows it comes.

use std::time::Duration;

use relay_core::{
    Ask, ClientId, Conversation, Exhausted, Foretold, KeyId, Lease, Need, PIECE, Plan, Prefix, Quota, Size,
    Step, Subject, Ticket, Time, Usage, Verdict, Whose,
};

use super::{Choice, Happening, World};
use crate::dice::Dice;
use crate::optimum::float;
use crate::upstream::{Refused, whole_seconds};
use crate::workload::Arrival;

/// A call under way.
pub(super) struct Call {
    pub(super) asked: Arrival,
    /// Its place in the workload, if it has one.
    place: Option<usize>,
    came: Time,
    /// It has not come back from being refused.
    first: bool,
    /// It was let go, last.
    sent: Time,
    /// Whose key it went with, last.
    key: Option<KeyId>,
    /// After how long a provider said to come back, last.
    pub(super) said: Option<Duration>,
    /// So many tokens of its prompt are in the cache of whoever serves it.
    cached: u64,
    plan: Option<Plan>,
    pub(super) ticket: Option<Ticket>,
    lease: Option<Lease>,
    usage: Usage,
}

impl Call {
    pub(super) const fn new(asked: Arrival, place: Option<usize>, came: Time) -> Self {
        let usage = Usage::ZERO;
        Self {
            asked,
            place,
            came,
            first: true,
            sent: came,
            key: None,
            said: None,
            cached: 0,
            plan: None,
            ticket: None,
            lease: None,
            usage,
        }
    }
}

impl World<'_> {
    pub(super) fn comes(&mut self, number: usize) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        let asked = call.asked;
        (call.came, call.said) = (self.now, None);
        if std::mem::take(&mut call.first) {
            self.outcome.come(&asked);
        }
        match self.setting.choice {
            Choice::InTurn => self.take_turn(number),
            Choice::Careful => {
                let need = self.need(&asked);
                let plan = self.setting.estate.fleet.plan(need, self.now);
                if let Some(call) = self.calls.get_mut(&number) {
                    call.plan = Some(plan);
                }
                self.ask(number);
            }
        }
    }

    fn need(&self, asked: &Arrival) -> Need {
        let model = &self.setting.workload.models[asked.model];
        // What is in a cache depends on who serves it, so nobody knows that beforehand.
        let known = self.setting.foretold && asked.conversation.is_none();
        let foretold = Foretold { input: asked.prompt, output: asked.output, pace: asked.pace };
        Need {
            class: self.setting.estate.families.class(model),
            model: Some(model.clone()),
            among: self.setting.estate.fleet.providers.iter().map(|provider| provider.id).collect(),
            pinned: None,
            subject: Subject::Model,
            credential: Whose::Pool,
            size: Some(Size {
                measured: None,
                bytes: asked.bytes,
                max_tokens: asked.max_tokens,
                streams: asked.pace.is_some(),
                background: asked.background,
                client: ClientId::default(),
                foretold: known.then_some(foretold),
            }),
            conversation: asked.conversation.map(Conversation),
            prefix: asked.prefix.map(|prefix| Prefix(prefix.number)),
        }
    }

    pub(super) fn ask(&mut self, number: usize) {
        let roll = self.dice.roll();
        let Some(call) = self.calls.get_mut(&number) else { return };
        let Some(plan) = &mut call.plan else { return };
        let asked = self.state.ask(plan, self.now, roll);
        if let Some(ticket) = call.ticket.take() {
            self.waiting.remove(&ticket);
        }
        match asked {
            Ask::Granted(lease) => {
                self.send(number, lease);
            }
            Ask::Wait { ticket, until } => {
                call.ticket = Some(ticket);
                self.waiting.insert(ticket, number);
                self.foresee(until, Happening::Wakes(number));
            }
            Ask::Exhausted(why) => self.refuse(number, why),
        }
    }

    /// The relay says no: in its own words, or in those of the provider that was asked last.
    pub(super) fn refuse(&mut self, number: usize, why: Exhausted) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        call.plan = None;
        let Call { asked, came, said, .. } = *call;
        let late = asked.pace.is_some() && self.now.since(came) >= self.setting.estate.head_after;
        let told = match why {
            _ if late => None,
            Exhausted::Spent { until } => Some(whole_seconds(until.since(self.now))),
            _ => said,
        };
        self.refused += 1;
        self.outcome.refuse(&asked, told);
        let pause = told.unwrap_or(AT_ONCE);
        if pause > self.setting.workload.patience {
            self.outcome.give_up(&asked);
            return self.over(number);
        }
        // Chance of its own, so that two runs differ by what is changed alone.
        let mut chance =
            Dice::seeded(self.setting.seed ^ (number as u64).wrapping_mul(0xff51_afd7_ed55_8ccd));
        let later = pause * u32::try_from(chance.below(251)).unwrap_or_default() / 1_000;
        self.foresee(self.now + pause + later, Happening::Comes(number));
    }

    /// The provider gets the request.
    pub(super) fn request(&mut self, number: usize, key: KeyId) -> Result<(), Refused> {
        self.outcome.requests += 1;
        let Some(call) = self.calls.get_mut(&number) else { return Ok(()) };
        (call.sent, call.key) = (self.now, Some(key));
        match self.upstream.admit(key, &call.asked, self.now) {
            Ok(cached) => {
                call.cached = cached;
                self.in_flight += 1;
                let head = self.now + call.asked.latency;
                self.foresee(head, Happening::Begins(number));
                Ok(())
            }
            Err(refused) => {
                call.said = Some(refused.wait);
                self.outcome.refused_upstream += 1;
                self.outcome.keys.entry(key).or_default().refused += 1;
                Err(refused)
            }
        }
    }

    fn send(&mut self, number: usize, mut lease: Lease) {
        let key = lease.key().expect("there is no other credential");
        let refused = self.request(number, key).err();
        let Some(call) = self.calls.get_mut(&number) else { return };
        let Some(Refused { wait, is_crowd }) = refused else {
            call.lease = Some(lease);
            return;
        };
        let said = self.upstream.quota(key, call.asked.model, self.now);
        let quota = Quota { retry_after: Some(wait), ..said };
        self.state.learn(&mut lease, &quota, self.now);
        let Some(plan) = &mut call.plan else { return };
        let until = self.now + wait;
        let verdict = if is_crowd { Verdict::Crowded { until } } else { Verdict::Spent { until } };
        match self.state.judge(plan, lease, verdict, self.now) {
            Step::Again => self.ask(number),
            Step::Commit(_) | Step::Stop => self.refuse(number, Exhausted::Words),
        }
    }

    /// The answer begins.
    pub(super) fn begin(&mut self, number: usize) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        let Some(key) = call.key else { return };
        let (asked, cached) = (call.asked, call.cached);
        if let (Some(mut lease), Some(plan)) = (call.lease.take(), &mut call.plan) {
            let quota = self.upstream.quota(key, asked.model, self.now);
            self.state.learn(&mut lease, &quota, self.now);
            let Step::Commit(lease) = self.state.judge(plan, lease, Verdict::Served, self.now) else {
                return;
            };
            call.lease = Some(lease);
        }
        call.usage = if asked.conversation.is_none() && asked.prefix.is_none() {
            Usage { input: asked.prompt, ..Usage::ZERO }
        } else {
            let best = self.ideal.reads(&asked, call.sent);
            self.ideal.remember(&asked, self.now);
            self.upstream.remember(key, &asked, self.now);
            (self.outcome.cache_read, self.outcome.cache_best) =
                (self.outcome.cache_read + cached, self.outcome.cache_best + best);
            let cache_write = asked.prompt - asked.fresh - cached;
            let cache_write_long = if asked.long { cache_write } else { 0 };
            Usage { input: asked.fresh, output: 0, cache_write, cache_write_long, cache_read: cached }
        };
        if let Some(lease) = &mut call.lease {
            self.state.charge(lease, call.usage, self.now);
        }
        let waited = call.sent.since(call.came);
        self.outcome.serve(&asked, key, waited);
        self.produce(number);
    }

    /// The next piece of an answer: it is there when the time begins that it takes.
    pub(super) fn produce(&mut self, number: usize) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        let Some(key) = call.key else { return };
        let asked = call.asked;
        let left = asked.output - call.usage.output;
        let piece = asked.pace.map_or(asked.output, |_| PIECE).min(left);
        call.usage.output += piece;
        self.upstream.produce(key, asked.model, piece, self.now);
        let then = self.now + flowing(piece, asked.pace);
        if piece == left && then == self.now {
            return self.end(number);
        }
        if let Some(lease) = &mut call.lease {
            self.state.charge(lease, call.usage, self.now);
        }
        let next = if piece < left { Happening::Produces(number) } else { Happening::Ends(number) };
        self.foresee(then, next);
    }

    /// The answer has ended.
    pub(super) fn end(&mut self, number: usize) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        let Some(key) = call.key else { return };
        let (asked, usage, took) = (call.asked, call.usage, self.now.since(call.sent));
        if let Some(lease) = call.lease.take() {
            self.state.close(lease, usage, self.now);
        }
        self.in_flight -= 1;
        let price = self.setting.estate.fleet.prices.of(&self.setting.workload.models[asked.model]);
        let nanodollars = price.map(|price| price.call(&usage)).unwrap_or_default();
        let dollars = float(u64::try_from(nanodollars).unwrap_or(u64::MAX)) / 1e9;
        self.upstream.end(key, asked.model, took, self.now);
        self.outcome.end(&asked, key, (usage, dollars), (took, self.now.since(self.begin)));
        self.over(number);
    }

    /// A call is over: what waits for that comes.
    fn over(&mut self, number: usize) {
        let Some(call) = self.calls.remove(&number) else { return };
        for place in call.place.and_then(|place| self.behind.remove(&place)).into_iter().flatten() {
            let after = self.setting.workload.arrivals[place].after;
            self.foresee(self.now + after, Happening::Arrives(place));
        }
        let agents = self.setting.workload.agents;
        if let Some((pause, next)) = agents.and_then(|agents| agents.next(&call.asked, self.setting.seed)) {
            let at = self.now + pause;
            if at.since(self.begin) <= self.setting.workload.lasts {
                let next = self.know(next, None);
                self.foresee(at, Happening::Comes(next));
            }
        }
    }
}

/// Who is not told when to come back does so after this time: Claude Code 2.1 waits for half a second and up to a
/// quarter more.
const AT_ONCE: Duration = Duration::from_millis(500);

/// How long it takes to produce so many tokens.
fn flowing(tokens: u64, pace: Option<u64>) -> Duration {
    pace.map_or(Duration::ZERO, |pace| {
        Duration::from_nanos(tokens.saturating_mul(1_000_000_000) / pace.max(1))
    })
}
