//! The limits of one holder: requests, input and output, each with its meter, and how many calls there may be at once.
//!
//! It knows what a call needs of each, and what it costs to serve it here rather than elsewhere. It refuses to know
//! who the holder is.

mod cost;
mod needs;
mod shown;

use std::time::Duration;

use crate::concurrency::{Concurrency, SHORTEST};
use crate::fleet::Caps;
use crate::flow::Flows;
use crate::memory::LimitMemory;
use crate::meter::Meter;
use crate::quota::Gauge;
use crate::time::Time;

use self::shown::Shown;

pub(crate) use self::needs::{Backlog, Needs};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// Requests.
    Requests,
    /// Prompt tokens that were not read from the cache.
    Input,
    /// Output tokens, as they are produced.
    Output,
    /// Both kinds of tokens together, where one limit is for both: that of a workspace may be.
    Tokens,
}

/// Everything that is counted, in the order in which it is kept.
pub(crate) const COUNTED: [Counted; N_COUNTED] =
    [Counted::Requests, Counted::Input, Counted::Output, Counted::Tokens];

const N_COUNTED: usize = 4;

/// The same, with that first which costs most, most often.
const DEAREST: [Counted; N_COUNTED] = [Counted::Input, Counted::Output, Counted::Tokens, Counted::Requests];

/// Until it is known how much a bucket holds, it is taken to hold what this adds. Providers enforce limits also in
/// shorter slices than a minute (<https://platform.claude.com/docs/en/api/rate-limits>).
pub(crate) const PRIOR_BURST: Duration = Duration::from_secs(6);

/// The most that any bucket is taken to hold: what a minute adds, for that is how limits are written.
pub(crate) const LONGEST_BURST: Duration = Duration::from_mins(1);

/// The least: a bucket that refused although it was thought to have enough is taken to hold half as much. Whatever it is,
/// one unit is there when it is full.
const SHORTEST_BURST: Duration = Duration::from_millis(250);

/// When a bucket that was thought too large has not refused for so long, it is taken to hold a quarter more again: most
/// likely it was somebody else who had used it up. As long as limits are counted.
const CALM: Duration = Duration::from_mins(1);

/// Levels of tokens come rounded to the nearest thousand.
const ROUNDED: i64 = 500;

/// What one holder may use.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Limits {
    meters: [Meter; N_COUNTED],
    /// The calls under way, and how many may be.
    calls: Concurrency,
    /// Is anything limited? Most workspaces have no limits of their own, and there is no need to look for them.
    is_limited: bool,
    /// When they were last taken to hold another amount, since one of them refused.
    doubted: Option<Time>,
}

/// What a lease remembers of what had become of all that is counted when it was granted.
pub(crate) type Marks = [Mark; N_COUNTED];

/// The same of one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Mark {
    /// How much had been taken of it.
    taken: u64,
    /// How much of that might not have come to the provider by then.
    in_transit: u64,
    /// How much had been found to be there beyond what was thought.
    found: u64,
}

impl Limits {
    /// So many a minute from now on, and so many at once; none for what is not capped.
    pub(crate) fn cap(&mut self, caps: &Caps, now: Time) {
        let Caps { requests, input, output, tokens, at_once } = *caps;
        // A quota that is of all tokens, and of which answers are held back whole, is of a minute and nothing less.
        let caps =
            [(requests, PRIOR_BURST), (input, PRIOR_BURST), (output, PRIOR_BURST), (tokens, LONGEST_BURST)];
        for (meter, (cap, burst)) in self.meters.iter_mut().zip(caps) {
            match cap {
                Some(rate) => meter.limit(rate, burst, now),
                None => meter.unlimit(),
            }
        }
        self.tell(at_once);
    }

    /// So many may be under way at once, as somebody says who knows.
    pub(crate) fn tell(&mut self, at_once: Option<u32>) {
        self.calls.tell(at_once);
        self.look();
    }

    /// How many may be under way is not what it was found to be.
    pub(crate) fn forget_calls(&mut self) {
        self.calls.forget();
        self.look();
    }

    /// The calls under way, and how many may be.
    pub(crate) const fn calls(&self) -> &Concurrency {
        &self.calls
    }

    /// One was refused for want of room among those that are under way. False if none is: then that is not why.
    pub(crate) fn crowd(&mut self, now: Time) -> bool {
        let is_why = self.calls.refuse(now);
        self.look();
        is_why
    }

    /// One has ended that took so long; or they do, as far as is known.
    pub(crate) fn note(&mut self, took: Duration) {
        self.calls.note(took);
    }

    pub(crate) const fn of(&self, counted: Counted) -> &Meter {
        &self.meters[counted as usize]
    }

    pub(crate) const fn of_mut(&mut self, counted: Counted) -> &mut Meter {
        &mut self.meters[counted as usize]
    }

    /// A look at each of them, without asking what it is.
    pub(crate) fn glance(&self) -> u64 {
        self.meters.iter().fold(u64::from(self.is_limited), |seen, meter| seen ^ meter.glance())
    }

    /// Is anything limited?
    pub(crate) const fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// Is anything limited by the minute?
    pub(crate) fn is_metered(&self) -> bool {
        self.meters.iter().any(|meter| meter.rate().is_some())
    }

    /// Some limit has come or gone.
    fn look(&mut self) {
        self.is_limited = self.calls.most().is_some() || self.is_metered();
    }

    /// May it go now, behind what is ahead of it?
    pub(crate) fn admits(&self, needs: &Needs, ahead: &Backlog, now: Time) -> bool {
        let admits =
            |counted: &Counted| self.of(*counted).admits(needs.get(*counted), ahead.of(*counted), now);
        !self.is_limited || self.calls.admits(ahead.n_calls) && COUNTED.iter().all(admits)
    }

    /// The first moment at which it may, if all goes as promised and nobody else comes; none if never.
    pub(crate) fn admissible_at(&self, needs: &Needs, ahead: &Backlog, now: Time) -> Option<Time> {
        COUNTED.iter().try_fold(self.calls.admissible_at(ahead.n_calls, now), |latest, counted| {
            let at = self.of(*counted).admissible_at(needs.get(*counted), ahead.of(*counted), now)?;
            Some(latest.max(at))
        })
    }

    /// The same where most of what is promised is going to be given back, when the calls end to which it was promised: they
    /// take so long, on average. It is not known, but likely, and no earlier than if nothing were promised.
    pub(crate) fn likely_at(
        &self,
        needs: &Needs,
        ahead: &Backlog,
        takes: Duration,
        now: Time,
    ) -> Option<Time> {
        let surely = self.admissible_at(needs, ahead, now)?;
        let meter = self.of(Counted::Tokens);
        let (need, open) = (needs.get(Counted::Tokens), self.calls.open());
        let held = meter.promised().units();
        let (Some(level), 1..) = (meter.level(now), open.min(u32::try_from(held).unwrap_or(u32::MAX))) else {
            return Some(surely);
        };
        let wanted = need.units.saturating_add(ahead.of(Counted::Tokens).units()).saturating_add(held);
        let missing = i128::from(wanted) - i128::from(level);
        // So many of those under way have to end, one after the other.
        let each = i128::from(held / u64::from(open)).max(1);
        let ends = u32::try_from((missing + each - 1) / each).unwrap_or(u32::MAX);
        let ended = now + (takes / open).max(SHORTEST).saturating_mul(ends);
        let alone = meter.admissible_alone(need, now)?;
        Some(surely.min(ended).max(alone))
    }

    /// What serving it here costs everybody else: for each limit, how long it takes to refill what it takes, the
    /// dearer the longer the backlog there is already. In nanoseconds of a limit, weighed. That is added to `cost`; if it
    /// is more than `most`, it does not matter how much more.
    pub(crate) fn add_cost(
        &self,
        mut cost: u64,
        needs: &Needs,
        ahead: &Backlog,
        most: u64,
        now: Time,
    ) -> u64 {
        if !self.is_limited {
            return cost;
        }
        for counted in DEAREST {
            if cost > most {
                break;
            }
            let units = needs.get(counted).units;
            let (wait, takes) = self.of(counted).backlog(units, ahead.of(counted), now);
            cost = cost.saturating_add(cost::weighed(takes, wait));
        }
        // Room for all calls together counts as much as a bucket that is taken to hold as much as any is at first.
        let calls = self.calls.backlog(ahead.n_calls, PRIOR_BURST);
        calls.map_or(cost, |(wait, takes)| cost.saturating_add(cost::weighed(takes, wait)))
    }

    /// How long it takes to refill what it takes, of all limits together, in nanoseconds.
    pub(crate) fn takes(&self, needs: &Needs) -> u64 {
        let of = |counted: Counted| self.of(counted).takes(needs.get(counted).units);
        COUNTED.into_iter().map(of).fold(0, u64::saturating_add)
    }

    /// When the last of them is full, if what is promised is taken and nothing more. None if nothing is limited.
    pub(crate) fn full(&self) -> Option<Time> {
        self.meters.iter().filter_map(Meter::full).max()
    }

    /// Those begin.
    pub(crate) fn promise(&mut self, backlog: &Backlog, now: Time) {
        self.calls.begin(backlog.n_calls, now);
        self.wanted(backlog).for_each(|(meter, flows)| meter.promise(flows));
    }

    /// Those have ended.
    pub(crate) fn release(&mut self, backlog: &Backlog) {
        self.calls.end(backlog.n_calls);
        self.wanted(backlog).for_each(|(meter, flows)| meter.release(flows));
    }

    /// Of what something is wanted, with how much.
    fn wanted<'a>(&'a mut self, backlog: &'a Backlog) -> impl Iterator<Item = (&'a mut Meter, &'a Flows)> {
        self.meters.iter_mut().zip(&backlog.flows).filter(|(_, flows)| !flows.is_nothing())
    }

    /// What has become of something so far.
    pub(crate) fn mark(&self, counted: Counted, now: Time) -> Mark {
        let meter = self.of(counted);
        Mark { taken: meter.taken(), in_transit: meter.in_transit(now), found: meter.found() }
    }

    /// What an answer's head says of one of these limits. The call was asked at `asked`, and `since` was taken by
    /// others and may not be in it yet, if that is known.
    ///
    /// The level that it shows is of some moment between `asked` and `now`, and rounded; so it proves an upper and a
    /// lower end, and the level is moved into what lies between. What was taken since the call was granted may or may
    /// not be in it already, so a stale or reordered answer proves little, and refills nothing.
    pub(crate) fn learn(
        &mut self,
        counted: Counted,
        gauge: &Gauge,
        since: Option<u64>,
        (asked, now): (Time, Time),
    ) {
        let rounded = if counted == Counted::Requests { 0 } else { ROUNDED };
        self.of_mut(counted).learn(&Shown { gauge, rounded, since, asked }, now);
        self.look();
    }

    /// Nothing is owed any more, and nobody was refused for want of room.
    pub(crate) fn forgive(&mut self, now: Time) {
        self.calls.forget();
        self.meters.iter_mut().for_each(|meter| meter.raise(0, now));
        self.look();
    }

    /// There is no limit of that any more.
    pub(crate) fn lift(&mut self, counted: Counted) {
        self.of_mut(counted).unlimit();
        self.look();
    }

    /// How much was taken of something since then but `own`, and how much before that may have come to the provider
    /// after it.
    pub(crate) fn since(&self, counted: Counted, marks: &Marks, own: u64) -> u64 {
        let (meter, mark) = (self.of(counted), &marks[counted as usize]);
        let since = meter.taken().saturating_sub(mark.taken).saturating_sub(own);
        since.saturating_add(mark.in_transit.min(meter.unseen()))
    }

    /// Gives back units that turned out not to be used; `full` is as for a [`Meter`]. What answers have shown to be there
    /// beyond what was thought, since the units were taken, may be these very units: so much is not given back again, to one
    /// of those who took them.
    pub(crate) fn give_back(
        &mut self,
        counted: Counted,
        units: u64,
        (marks, full): (&Marks, Time),
        now: Time,
    ) {
        let meter = self.of_mut(counted);
        let found = meter.explain(units, marks[counted as usize].found);
        meter.give_back(units - found, full, now);
    }

    /// It refused for want of capacity what was asked then, although it was thought to have enough. Of many calls that were
    /// sent before the first refusal, the others say nothing new of how much it holds.
    pub(crate) fn disappoint(&mut self, spent: impl Fn(Counted) -> bool, (asked, now): (Time, Time)) {
        let is_news = self.doubted.is_none_or(|doubted| doubted <= asked);
        for counted in COUNTED.into_iter().filter(|counted| spent(*counted)) {
            let meter = self.of_mut(counted);
            if let Some(burst) = meter.burst().filter(|_| is_news && meter.available(now) > Some(0)) {
                meter.set_burst((burst / 2).max(SHORTEST_BURST), now);
                self.doubted = Some(now);
            }
            self.of_mut(counted).lower(0, now);
        }
    }

    /// It served. After a while without a refusal its buckets are trusted a little more, up to what any is trusted at first;
    /// and a few more calls are dared at once, if they are wanted. True if they are.
    pub(crate) fn calm(&mut self, now: Time) -> bool {
        self.trust(now);
        let dares = self.calls.calm(now);
        if dares {
            self.look();
        }
        dares
    }

    fn trust(&mut self, now: Time) {
        if self.doubted.is_none_or(|doubted| now.since(doubted) < CALM) {
            return;
        }
        self.doubted = None;
        for meter in &mut self.meters {
            if let Some(burst) = meter.burst().filter(|burst| *burst < PRIOR_BURST) {
                meter.set_burst((burst + burst / 4).min(PRIOR_BURST), now);
                self.doubted = Some(now);
            }
        }
    }

    /// So many were found to be possible at once before a restart.
    pub(crate) fn recall_calls(&mut self, most: u32, now: Time) {
        self.calls.recall(most, now);
        self.look();
    }

    /// One of them was like that before a restart.
    pub(crate) fn recall(&mut self, known: &LimitMemory, now: Time) {
        self.of_mut(known.counted).recall(known.per_minute, known.burst, known.full, now);
        self.look();
    }

    pub(crate) fn absorb(&mut self, other: &Self, now: Time) {
        self.meters.iter_mut().zip(&other.meters).for_each(|(meter, other)| meter.absorb(other, now));
        self.calls.absorb(&other.calls);
        self.look();
    }
}
