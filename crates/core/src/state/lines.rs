//! The lines of those who wait for a limit: who joins, who is called, who may go before them.
//!
//! A later one may go before others only if that puts none of them off, for it needs what they leave: so large calls do
//! not starve, and small ones do not stand behind them.

use std::time::Duration;

use crate::account::{ClassId, Domain, DomainId};
use crate::concurrency::UNKNOWN;
use crate::estimate::Estimates;
use crate::fleet::ProviderId;
use crate::limits::{Backlog, Needs};
use crate::plan::{Plan, Size};
use crate::queue::{Rank, Spot, Ticket, Waiter};
use crate::rest::Readiness;
use crate::time::Time;

use super::State;
use super::survey::{Choice, Later, Survey, Wants};

/// So many of a line are looked at when it is asked who may go.
const MOST: usize = 64;

/// When it is looked again at somebody who was not reached.
const SOON: Duration = Duration::from_millis(10);

/// When it is looked again at what will never be, as things stand.
const NEVER: Duration = Duration::from_hours(1);

/// Is it worth to go from one line to the end of another? If that saves a quarter of the wait.
fn is_sooner(there: Time, here: Time, now: Time) -> bool {
    here.since(there) > here.since(now) / 4
}

/// What those need who come before somebody: of a domain, of the workspace of a key, and of the key.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a> {
    pub(super) domain: &'a Backlog,
    pub(super) room: &'a Backlog,
    pub(super) key: &'a Backlog,
}

impl Ahead<'_> {
    const NOBODY: Self = Self { domain: &Backlog::NONE, room: &Backlog::NONE, key: &Backlog::NONE };
}

impl State {
    /// May a call go with that key now, as if nobody waited?
    pub(super) fn admits(&self, key: usize, domain: DomainId, needs: &Needs, now: Time) -> bool {
        let caps = &self.keys.at(key).caps;
        let held = self.accounts.get(domain.account).domain(domain.class);
        let dared = |held: &Domain| needs.is_nothing() || caps.is_limited() || held.dares(now) <= now;
        let admitted = |held: &Domain| held.limits.admits(needs, &Backlog::NONE, now) && dared(held);
        let room = self.workspaces.get(self.keys.at(key).workspace).domain(domain.class);
        caps.admits(needs, &Backlog::NONE, now)
            && held.is_none_or(admitted)
            && room.is_none_or(|room| room.limits.admits(needs, &Backlog::NONE, now))
    }

    /// When a call may go with that key, behind those. None if never.
    pub(super) fn moment(
        &self,
        (key, domain): (usize, DomainId),
        needs: &Needs,
        ahead: Ahead<'_>,
        now: Time,
    ) -> Option<Time> {
        let standing = self.keys.at(key);
        let mut at = match standing.reserves {
            None => standing.caps.admissible_at(needs, ahead.key, now)?,
            Some(_) => standing.caps.likely_at(needs, ahead.key, self.span(domain.class), now)?,
        };
        if let Some(room) = self.workspaces.get(self.keys.at(key).workspace).domain(domain.class) {
            at = at.max(room.limits.admissible_at(needs, ahead.room, now)?);
        }
        let Some(held) = self.accounts.get(domain.account).domain(domain.class) else { return Some(at) };
        let at = at.max(held.limits.admissible_at(needs, ahead.domain, now)?);
        // What is not counted is not dared either.
        let dared =
            if needs.is_nothing() || self.keys.at(key).caps.is_limited() { now } else { held.dares(now) };
        Some(at.max(dared))
    }

    /// For how long a call for such models is under way, most likely.
    pub(super) fn span(&self, class: ClassId) -> Duration {
        self.estimates.get(&class).and_then(Estimates::span).unwrap_or(UNKNOWN)
    }

    /// The same, behind all who wait. If that is too late for it, then behind those only who do not come after it: nobody is
    /// refused for their sake. Otherwise it is not reckoned with, for whoever comes next may be one who comes before it.
    pub(super) fn moment_in_line(
        &self,
        plan: &Plan,
        (provider, key, domain): (ProviderId, usize, DomainId),
        needs: &Needs,
        now: Time,
    ) -> Option<Time> {
        let behind = self.moment_behind(key, domain, needs, now)?;
        let Size { background, client, .. } = plan.size.unwrap_or_default();
        let between = || self.queue.between(domain, background, client);
        let Some(rank) = Some(behind).filter(|at| *at > plan.wait_until).and_then(|_| between()) else {
            return Some(behind);
        };
        let room = self.room(key, domain.class);
        let waiter = Waiter { provider, key, room, needs: *needs, client };
        let before = self.queue.before(domain, rank);
        let (room, own) = self.narrower(domain, rank, &waiter);
        let at = self.moment((key, domain), needs, Ahead { domain: &before, room: &room, key: &own }, now);
        // Whoever has to go is told when he could come back behind everybody: the others go on meanwhile.
        at.filter(|at| *at <= plan.wait_until).or(Some(behind))
    }

    /// The same, behind all who wait.
    fn moment_behind(&self, key: usize, domain: DomainId, needs: &Needs, now: Time) -> Option<Time> {
        let standing = self.keys.at(key);
        let mut ahead = Ahead { key: &standing.ahead, ..Ahead::NOBODY };
        if let Some(held) = self.accounts.get(domain.account).domain(domain.class) {
            ahead.domain = &held.ahead;
        }
        if let Some(room) = self.workspaces.get(standing.workspace).domain(domain.class) {
            ahead.room = &room.ahead;
        }
        self.moment((key, domain), needs, ahead, now)
    }

    /// Calls those whose turn it is in the line of a domain: what they need is promised to them.
    pub(super) fn call_up(&mut self, domain: DomainId, now: Time, woken: &mut Vec<Ticket>) {
        let line = self.queue.line(domain).into_iter().flat_map(|line| &line.waiting);
        let line: Vec<_> = line.take(MOST).map(|(rank, waiter)| (*rank, *waiter)).collect();
        let mut ahead = Backlog::NONE;
        let mut next = None;
        for (rank, waiter) in &line {
            let (room, key) = self.narrower(domain, *rank, waiter);
            let ahead_of_him = Ahead { domain: &ahead, room: &room, key: &key };
            let at = self.moment((waiter.key, domain), &waiter.needs, ahead_of_him, now);
            if at.is_some_and(|at| at <= now) {
                self.call(domain, (*rank, *waiter), now, woken);
            } else {
                ahead.add(&waiter.needs);
                // When one behind him may go is not earlier, unless he needs other things.
                let at = at.unwrap_or(now + NEVER);
                next = Some(next.map_or(at, |next: Time| next.min(at)));
            }
        }
        if let Some(next) = next {
            self.queue.expect(domain, next);
        }
    }

    /// What those need who still wait before somebody: for his workspace, and for his key, whatever models they ask for.
    fn narrower(&self, domain: DomainId, rank: Rank, waiter: &Waiter) -> (Backlog, Backlog) {
        let (mut of_room, mut of_key) = (Backlog::NONE, Backlog::NONE);
        let room = waiter.room;
        let narrow = self.workspaces.get(room.account).domain(room.class);
        let narrow = narrow.is_some_and(|held| held.limits.is_limited());
        if narrow || self.keys.at(waiter.key).caps.is_limited() {
            // Turns are of one line; of others, those count who came before.
            let comes_before = |line: DomainId, other: Rank| {
                if line == domain {
                    other < rank
                } else {
                    (other.background, other.ticket) < (rank.background, rank.ticket)
                }
            };
            let lines = self.queue.lines_of(domain.account);
            let before = lines.flat_map(|(place, line)| {
                let before = line.waiting.iter().filter(move |(other, _)| comes_before(place, **other));
                before.take(MOST)
            });
            for (_, other) in before {
                if other.room == room {
                    of_room.add(&other.needs);
                }
                if other.key == waiter.key {
                    of_key.add(&other.needs);
                }
            }
        }
        (of_room, of_key)
    }

    fn call(&mut self, domain: DomainId, (rank, waiter): (Rank, Waiter), now: Time, woken: &mut Vec<Ticket>) {
        self.queue.call(domain, rank);
        self.step_out(domain, &waiter);
        self.promise((waiter.key, domain, waiter.room), &waiter.needs, now);
        woken.push(rank.ticket);
    }

    /// He does not wait in the line of that domain any more.
    fn step_out(&mut self, domain: DomainId, waiter: &Waiter) {
        let room = waiter.room;
        self.accounts.get_mut(domain.account).domain_mut(domain.class).ahead.remove(&waiter.needs);
        self.workspaces.get_mut(room.account).domain_mut(room.class).ahead.remove(&waiter.needs);
        self.keys.at_mut(waiter.key).ahead.remove(&waiter.needs);
    }

    /// A place for a call that cannot go now: in the line of a domain, if it is a limit that it waits for, else until
    /// that moment. With when it should ask again, if it is not woken before.
    pub(super) fn queue_up(
        &mut self,
        plan: &mut Plan,
        wants: &Wants<'_>,
        survey: &Survey,
        until: Time,
        now: Time,
    ) -> (Ticket, Time) {
        let line = survey.line(plan);
        let is_left = |domain: DomainId, at: Time| {
            line.is_some_and(|later| later.domain != domain && is_sooner(later.at, at, now))
        };
        let kept = self.turn(plan, now).filter(|(_, domain, at)| !is_left(*domain, *at));
        let (ticket, until) = if let Some((ticket, _, at)) = kept {
            (ticket, at)
        } else {
            self.leave(plan);
            match line {
                Some(later) => (self.join(plan, &later, &self.wanted(wants, later.key)), later.at),
                None => (self.queue.pause(until), until),
            }
        };
        plan.ticket = Some(ticket);
        (ticket, until.min(plan.wait_until).max(now))
    }

    /// Where a call stands in a line already, and its moment, if that comes in time. Those who came after it do not put
    /// it off, however many they are by now.
    pub(super) fn turn(&self, plan: &Plan, now: Time) -> Option<(Ticket, DomainId, Time)> {
        let ticket = plan.ticket?;
        let Spot::Line(domain, rank) = self.queue.spot(ticket)? else { return None };
        let at = self.expected(domain, rank, now);
        (at <= plan.wait_until).then_some((ticket, domain, at))
    }

    /// When somebody who stands in a line may go, as things are.
    pub(super) fn expected(&self, domain: DomainId, rank: Rank, now: Time) -> Time {
        let waiter = self.queue.line(domain).and_then(|line| line.waiting.get(&rank));
        let before = self.queue.before(domain, rank);
        let at = waiter.and_then(|waiter| {
            let (room, key) = self.narrower(domain, rank, waiter);
            let ahead = Ahead { domain: &before, room: &room, key: &key };
            self.moment((waiter.key, domain), &waiter.needs, ahead, now)
        });
        // Whoever might go by now and was not called stands too far behind to have been looked at.
        at.map_or(now + NEVER, |at| if at > now { at } else { now + SOON })
    }

    /// A place in the line of a domain.
    pub(super) fn join(&mut self, plan: &Plan, later: &Later, needs: &Needs) -> Ticket {
        let Later { at, provider, key, domain, .. } = *later;
        let room = self.room(key, domain.class);
        self.accounts.get_mut(domain.account).domain_mut(domain.class).ahead.add(needs);
        self.workspaces.get_mut(room.account).domain_mut(room.class).ahead.add(needs);
        self.keys.at_mut(key).ahead.add(needs);
        let Size { background, client, .. } = plan.size.unwrap_or_default();
        self.queue.join(domain, background, Waiter { provider, key, room, needs: *needs, client }, at)
    }

    /// If it waited and has been called: with what it goes now. If it still stands in a line, it stays there.
    pub(super) fn answer_call(&mut self, plan: &mut Plan, ticket: Ticket, now: Time) -> Option<Choice> {
        if let Some(Spot::Line(domain, _)) = self.queue.spot(ticket) {
            let mut woken = std::mem::take(&mut self.woken);
            self.call_up(domain, now, &mut woken);
            woken.retain(|own| *own != ticket);
            self.woken = woken;
        }
        match self.queue.spot(ticket) {
            Some(Spot::Line(..)) => None,
            Some(Spot::Called(domain, waiter)) => {
                // What was promised to him is promised anew; but he has had his turn.
                plan.ticket = None;
                self.queue.leave(ticket);
                self.release((waiter.key, domain, waiter.room), &waiter.needs);
                let Waiter { provider, needs, client, .. } = waiter;
                let key = self.in_turn(plan, (provider, waiter.key), &needs, now);
                let ready =
                    matches!(self.readiness(key, &plan.class, now), Readiness::Ready | Readiness::Probe);
                plan.called = ready;
                if !ready {
                    self.queue.settle(domain, client, needs.tokens(), 0);
                }
                ready.then_some(Choice { provider, key: Some(key), domain: self.resolve(domain), needs })
            }
            None => {
                // It waited for a moment.
                self.leave(plan);
                None
            }
        }
    }

    /// Of the keys that are as good as that one, for they share its limits and its cache, the one whose turn it is. If all
    /// calls of a line went with the same, it would not come out what has become of the others.
    fn in_turn(&self, plan: &Plan, (provider, key): (ProviderId, usize), needs: &Needs, now: Time) -> usize {
        let turns = |key: usize| {
            let standing = self.keys.at(key);
            standing.totals.leases / u64::from(standing.weight.max(1))
        };
        let own = self.keys.at(key);
        let is_as_good = |other: &usize| {
            let standing = self.keys.at(*other);
            self.shares_cache(*other, key)
                && standing.priority == own.priority
                && (!standing.caps.is_limited() || standing.ahead.is_empty())
                && standing.caps.admits(needs, &Backlog::NONE, now)
                && matches!(self.readiness(*other, &plan.class, now), Readiness::Ready)
        };
        let others = self.pool_of(provider).iter().copied().filter(|other| *other != key).filter(is_as_good);
        others.min_by_key(|other| turns(*other)).filter(|other| turns(*other) < turns(key)).unwrap_or(key)
    }

    /// It does not wait any more.
    pub(super) fn leave(&mut self, plan: &mut Plan) {
        if let Some(ticket) = plan.ticket.take() {
            self.give_up(ticket);
        }
    }

    /// Gives a place up, and what was promised with it.
    pub(super) fn give_up(&mut self, ticket: Ticket) {
        match self.queue.leave(ticket) {
            None => {}
            Some((Spot::Line(domain, _), waiter)) => {
                self.step_out(domain, &waiter);
                self.freed(domain);
            }
            Some((Spot::Called(domain, _), waiter)) => {
                self.queue.settle(domain, waiter.client, waiter.needs.tokens(), 0);
                self.release((waiter.key, domain, waiter.room), &waiter.needs);
            }
        }
    }

    /// Is there room for one more who waits with so many bytes? For one whom somebody waits for those make room whom nobody
    /// waits for: they are told to come back.
    pub(super) fn has_room(&mut self, bytes: u64, background: bool) -> bool {
        let (calls, all) = (self.fleet.queue_calls, self.fleet.queue_bytes);
        while !self.queue.has_room(bytes, calls, all) {
            let last = self.queue.last_in_background().filter(|_| !background);
            let Some(ticket) = last else { return false };
            self.give_up(ticket);
            self.woken.push(ticket);
        }
        true
    }

    /// Everybody who waits looks again, as if he had just come.
    pub(super) fn dissolve(&mut self) {
        for ticket in self.queue.tickets() {
            let bytes = self.queue.carried(ticket);
            self.give_up(ticket);
            self.queue.wait_on(ticket);
            self.queue.carry(ticket, bytes);
        }
        self.queue.stir();
    }
}
