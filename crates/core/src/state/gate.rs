//! Of several calls that begin with the same prompt, which is cached nowhere yet where they go, one goes first.

use crate::estimate::Estimates;
use crate::plan::{Lease, Plan};
use crate::prefix::Spot;
use crate::queue::Ticket;
use crate::time::Time;
use crate::usage::Usage;

use super::State;
use super::survey::Choice;

impl State {
    /// Somebody writes the prefix of this call where it would go: then it waits for him, for so long, rather than to
    /// write it as well.
    pub(super) fn gate(&mut self, plan: &mut Plan, choice: &Choice, now: Time) -> Option<(Ticket, Time)> {
        let spot = self.spot(plan, choice)?;
        let written = self.prefixes.is_written(spot, now)?;
        // Once, however many there are who write it one after another.
        let patience = *plan.gated_until.get_or_insert(now + self.fleet.prefix_wait);
        let until = written.min(patience).min(plan.wait_until);
        if until <= now {
            return None;
        }
        let ticket = self.queue.pause(until);
        plan.ticket = Some(ticket);
        self.prefixes.wait(spot, ticket);
        Some((ticket, until))
    }

    /// A call is granted: if nobody can read its prefix there, it writes it.
    pub(super) fn mark(&mut self, plan: &Plan, choice: &Choice, now: Time) -> Option<(Spot, bool)> {
        let spot = self.spot(plan, choice)?;
        let writes = !self.prefixes.is_warm(spot, now) && self.prefixes.is_written(spot, now).is_none();
        if writes {
            self.prefixes.write(spot, now + self.fleet.prefix_wait);
        }
        Some((spot, writes))
    }

    /// Its answer has begun, and says what was read and written.
    pub(super) fn mark_begun(&mut self, prefix: Option<(Spot, bool)>, usage: &Usage, now: Time) {
        if let Some((spot, _)) = prefix {
            let waiting = self.prefixes.begun(spot, usage, now);
            self.hasten(waiting);
        }
    }

    /// It has ended, and may never have begun.
    pub(super) fn mark_ended(&mut self, lease: &Lease) {
        let begun = lease.book.as_ref().is_some_and(|book| book.begun.is_some());
        if let Some((spot, true)) = lease.prefix
            && !begun
        {
            let waiting = self.prefixes.given_up(spot);
            self.hasten(waiting);
        }
    }

    fn hasten(&mut self, tickets: Vec<Ticket>) {
        for ticket in tickets {
            self.queue.hasten(ticket);
        }
    }

    /// The prefix of a call where it would go, if that is worth a thought: it is to be cached, by somebody who has been
    /// seen to cache.
    fn spot(&mut self, plan: &Plan, choice: &Choice) -> Option<Spot> {
        let (prefix, key) = (plan.prefix?, choice.key?);
        let class = choice.domain.class;
        let caches = self.estimates.get(&class).is_some_and(Estimates::caches);
        let waits = caches && !self.fleet.prefix_wait.is_zero() && !plan.stay.is_kept();
        waits.then(|| Spot { room: self.room(key, class), prefix })
    }
}
