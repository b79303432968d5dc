//! Who waits, for whom, and in which order.
//!
//! Whoever waits for a limit stands in the line of its domain; when it is his turn, what he needs is promised to him at
//! once, before he comes for it, so that nobody takes it meanwhile. Whoever waits for anything else waits for a moment.

use std::collections::BTreeMap;

use crate::account::DomainId;
use crate::fleet::{ClientId, ProviderId};
use crate::limits::{Backlog, Needs};
use crate::time::Time;
use crate::turns::Turns;

/// A place in the queue. Made only by [`crate::State::ask`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(u64);

/// Whose turn has come, and when to look again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Woken {
    /// These may ask again, in this order.
    pub tickets: Vec<Ticket>,
    /// When the next one's moment comes.
    pub next: Option<Time>,
}

/// Who comes before whom in a line: less is sooner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Rank {
    /// Those whom somebody waits for come before those whom nobody waits for.
    pub(crate) background: bool,
    /// Then by what their clients were given.
    pub(crate) turn: u64,
    /// Then as they came.
    pub(crate) ticket: Ticket,
}

/// One who waits for a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiter {
    pub(crate) provider: ProviderId,
    /// The place of the key that he will be given.
    pub(crate) key: usize,
    /// The class of its models in the workspace that the key had when he joined.
    pub(crate) room: DomainId,
    pub(crate) needs: Needs,
    /// Whose call it is.
    pub(crate) client: ClientId,
}

/// Those who wait for one domain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) waiting: BTreeMap<Rank, Waiter>,
    /// When the first of them may go, as it looked last; the epoch if that may have changed.
    pub(crate) moment: Time,
    turns: Turns,
}

/// Where one who waits stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spot {
    /// In the line of a domain.
    Line(DomainId, Rank),
    /// He was called: what he needs of that domain is promised to him.
    Called(DomainId, Waiter),
}

/// Everyone who waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    /// Those who wait for a moment, in the order in which they came.
    pauses: BTreeMap<Ticket, Time>,
    spots: BTreeMap<Ticket, Spot>,
    lines: BTreeMap<DomainId, Line>,
    issued: u64,
    /// How large the bodies are that wait with them, and all of them together, in bytes.
    bodies: BTreeMap<Ticket, u64>,
    bytes: u64,
}

impl Queue {
    fn issue(&mut self) -> Ticket {
        self.issued += 1;
        Ticket(self.issued)
    }

    /// A place until that moment.
    pub(crate) fn pause(&mut self, until: Time) -> Ticket {
        let ticket = self.issue();
        self.pauses.insert(ticket, until);
        ticket
    }

    /// A place in the line of a domain for somebody who may go at that moment, behind all who wait.
    pub(crate) fn join(
        &mut self,
        domain: DomainId,
        background: bool,
        waiter: Waiter,
        moment: Time,
    ) -> Ticket {
        let ticket = self.issue();
        let line = self.lines.entry(domain).or_default();
        let turn = line.turns.take(waiter.client, waiter.needs.tokens());
        let rank = Rank { background, turn, ticket };
        // Whoever comes before others may go earlier than that.
        let is_last = line.waiting.last_key_value().is_none_or(|(last, _)| *last < rank);
        line.moment = if is_last { line.moment.min(moment) } else { Time::EPOCH };
        line.waiting.insert(rank, waiter);
        self.spots.insert(ticket, Spot::Line(domain, rank));
        ticket
    }

    /// Where somebody stands, if he waits for a limit.
    pub(crate) fn spot(&self, ticket: Ticket) -> Option<Spot> {
        self.spots.get(&ticket).copied()
    }

    /// Is there room for one more who waits with a body of that size? Whoever waits holds memory.
    pub(crate) fn has_room(&self, bytes: u64, calls: Option<u64>, all: Option<u64>) -> bool {
        calls.is_none_or(|calls| (self.bodies.len() as u64) < calls)
            && all.is_none_or(|all| self.bytes.saturating_add(bytes) <= all)
    }

    /// He waits with a body of that size.
    pub(crate) fn carry(&mut self, ticket: Ticket, bytes: u64) {
        let known = self.bodies.insert(ticket, bytes);
        self.bytes = self.bytes.saturating_sub(known.unwrap_or_default()).saturating_add(bytes);
    }

    /// Does he wait with a body?
    pub(crate) fn is_carried(&self, ticket: Ticket) -> bool {
        self.bodies.contains_key(&ticket)
    }

    /// Of those whom nobody waits for and who wait with a body for a limit, the one who stands last in his line.
    pub(crate) fn last_in_background(&self) -> Option<Ticket> {
        let last = self.lines.values().filter_map(|line| line.waiting.last_key_value());
        let last = last.map(|(rank, _)| rank).filter(|rank| rank.background && self.is_carried(rank.ticket));
        last.max().map(|rank| rank.ticket)
    }

    /// How large that body is.
    pub(crate) fn carried(&self, ticket: Ticket) -> u64 {
        self.bodies.get(&ticket).copied().unwrap_or_default()
    }

    /// Gives a place up. Where he stood, if he waited for a limit, and what he needed.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Option<(Spot, Waiter)> {
        let carried = self.bodies.remove(&ticket);
        self.bytes = self.bytes.saturating_sub(carried.unwrap_or_default());
        self.pauses.remove(&ticket);
        let spot = self.spots.remove(&ticket)?;
        let waiter = match spot {
            Spot::Called(_, waiter) => waiter,
            Spot::Line(domain, rank) => {
                let waiter = self.step_out(domain, rank)?;
                self.settle(domain, waiter.client, waiter.needs.tokens(), 0);
                waiter
            }
        };
        Some((spot, waiter))
    }

    /// He is called.
    pub(crate) fn call(&mut self, domain: DomainId, rank: Rank) {
        if let Some(line) = self.lines.get_mut(&domain) {
            line.turns.reach(rank.turn);
        }
        if let Some(waiter) = self.step_out(domain, rank) {
            self.spots.insert(rank.ticket, Spot::Called(domain, waiter));
        }
    }

    fn step_out(&mut self, domain: DomainId, rank: Rank) -> Option<Waiter> {
        self.touch(domain.account);
        let line = self.lines.get_mut(&domain)?;
        let waiter = line.waiting.remove(&rank);
        if line.waiting.is_empty() {
            self.lines.remove(&domain);
        }
        waiter
    }

    /// Somebody goes past a line, which was not his turn: it counts.
    pub(crate) fn pass(&mut self, domain: DomainId, client: ClientId, tokens: u64) {
        if let Some(line) = self.lines.get_mut(&domain) {
            line.turns.take(client, tokens);
        }
    }

    /// What a client was given turned out to be so much.
    pub(crate) fn settle(&mut self, domain: DomainId, client: ClientId, given: u64, used: u64) {
        if let Some(line) = self.lines.get_mut(&domain) {
            line.turns.settle(client, given, used);
        }
    }

    /// Where somebody would stand who comes now, if it is not behind all others.
    pub(crate) fn between(&self, domain: DomainId, background: bool, client: ClientId) -> Option<Rank> {
        let line = self.lines.get(&domain)?;
        let rank = Rank { background, turn: line.turns.next(client), ticket: Ticket(u64::MAX) };
        line.waiting.last_key_value().is_some_and(|(last, _)| rank < *last).then_some(rank)
    }

    /// Does nobody wait, for anything?
    pub(crate) fn is_empty(&self) -> bool {
        self.pauses.is_empty() && self.lines.is_empty()
    }

    pub(crate) fn line(&self, domain: DomainId) -> Option<&Line> {
        self.lines.get(&domain)
    }

    /// The lines of all classes of an account.
    pub(crate) fn lines_of(&self, account: usize) -> impl Iterator<Item = (DomainId, &Line)> {
        self.lines
            .iter()
            .filter(move |(domain, _)| domain.account == account)
            .map(|(domain, line)| (*domain, line))
    }

    /// When the first in a line may go.
    pub(crate) fn expect(&mut self, domain: DomainId, moment: Time) {
        if let Some(line) = self.lines.get_mut(&domain) {
            line.moment = moment;
        }
    }

    /// Something changed at an account: whoever waits for it or for one of its keys may look again.
    pub(crate) fn touch(&mut self, account: usize) {
        let lines = self.lines.iter_mut().filter(|(domain, _)| domain.account == account);
        lines.for_each(|(_, line)| line.moment = Time::EPOCH);
    }

    /// The domains whose first may go by now.
    pub(crate) fn due(&self, now: Time) -> Option<DomainId> {
        self.lines.iter().find(|(_, line)| line.moment <= now).map(|(domain, _)| *domain)
    }

    /// What those need together who come before somebody.
    pub(crate) fn before(&self, domain: DomainId, rank: Rank) -> Backlog {
        let mut backlog = Backlog::NONE;
        let line = self.lines.get(&domain).into_iter().flat_map(|line| &line.waiting);
        line.take_while(|(own, _)| **own < rank).for_each(|(_, waiter)| backlog.add(&waiter.needs));
        backlog
    }

    /// An account turned out to be another one: those who wait for it wait there.
    pub(crate) fn move_all(&mut self, account: usize, into: usize) {
        let moved: Vec<_> = self.lines.keys().filter(|domain| domain.account == account).copied().collect();
        for domain in moved {
            let Some(line) = self.lines.remove(&domain) else { continue };
            let to = DomainId { account: into, ..domain };
            for rank in line.waiting.keys() {
                self.spots.insert(rank.ticket, Spot::Line(to, *rank));
            }
            let target = self.lines.entry(to).or_default();
            target.waiting.extend(line.waiting);
            target.turns.absorb(line.turns);
            target.moment = Time::EPOCH;
        }
    }

    /// All who wait for a limit.
    pub(crate) fn tickets(&self) -> Vec<Ticket> {
        self.spots.keys().copied().collect()
    }

    /// If he waits for a moment, it has come.
    pub(crate) fn hasten(&mut self, ticket: Ticket) {
        if let Some(until) = self.pauses.get_mut(&ticket) {
            *until = Time::EPOCH;
        }
    }

    /// Of those who wait longest for the same class elsewhere, the first who is not the next to go there.
    pub(crate) fn elsewhere(&self, domain: DomainId) -> Option<Ticket> {
        let others = self.lines.iter().filter(|(other, _)| other.class == domain.class && **other != domain);
        let (_, line) = others.max_by_key(|(_, line)| line.moment)?;
        let mut ranks = line.waiting.keys();
        let first = ranks.next();
        ranks.next().or(first).map(|rank| rank.ticket)
    }

    /// He waits for nothing but the next look.
    pub(crate) fn wait_on(&mut self, ticket: Ticket) {
        self.pauses.insert(ticket, Time::EPOCH);
    }

    /// Something became ready earlier than was foretold: all who wait may look again.
    pub(crate) fn stir(&mut self) {
        self.pauses.values_mut().for_each(|until| *until = Time::EPOCH);
        self.lines.values_mut().for_each(|line| line.moment = Time::EPOCH);
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        let lines = self.lines.values().map(|line| line.waiting.len());
        self.pauses.len() + lines.sum::<usize>()
    }

    /// Those whose moment has come.
    pub(crate) fn resume(&mut self, now: Time, woken: &mut Vec<Ticket>) {
        self.pauses.retain(|ticket, until| {
            let due = *until <= now;
            if due {
                woken.push(*ticket);
            }
            !due
        });
    }

    /// When to look again.
    pub(crate) fn next(&self) -> Option<Time> {
        let lines = self.lines.values().map(|line| line.moment);
        self.pauses.values().copied().chain(lines).min()
    }
}

#[cfg(test)]
mod tests;
