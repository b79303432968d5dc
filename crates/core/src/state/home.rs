//! A conversation stays where its prompt cache is, as long as waiting for that costs less than to write it elsewhere.

use std::time::Duration;

use crate::limits::Needs;
use crate::plan::{Plan, Whose};
use crate::queue::{Spot, Ticket};
use crate::time::Time;

use super::State;
use super::survey::{Choice, Later, Look};

/// How it stands where a conversation was last.
pub(super) enum AtHome {
    /// It goes on there now.
    Now(Choice),
    /// It waits there, for that is worth it.
    Soon(Ticket, Time),
    /// It has no home, or goes elsewhere.
    Away,
}

impl State {
    /// Does a call go on where its conversation was?
    pub(super) fn at_home(&mut self, plan: &mut Plan, needs: &Needs, now: Time) -> AtHome {
        let home = plan.conversation.and_then(|conversation| self.affinity.home(conversation));
        let Some(home) = home.filter(|_| plan.whose == Whose::Pool) else { return AtHome::Away };
        let (provider, warm, worth) =
            (home.provider, home.warm(&plan.class, now), home.worth(&plan.class, now));
        let (prompt, bytes) = (home.prompt, home.bytes);
        let allowed = plan.providers.contains(&provider) && !plan.left.contains(&provider);
        let Some(key) = self.keys.place_of(home.key).filter(|_| allowed && warm > 0) else {
            return AtHome::Away;
        };
        if !self.fleet.provider(provider).is_some_and(|listed| listed.has(self.keys.at(key).id)) {
            return AtHome::Away;
        }
        let class = self.classes.id(&plan.class);
        let domain = self.domain(key, class);
        // What was added since, and what was not cached then. Where a history was cut, it is as for anybody else.
        let added =
            plan.size.and_then(|size| size.bytes.checked_sub(bytes)).map(|bytes| self.tokens(class, bytes));
        let input = added.map(|added| (prompt - warm.min(prompt)).saturating_add(added));
        let needs = input.map_or(*needs, |input| needs.with_input(input));
        if let Some(ticket) = plan.ticket
            && let Some(Spot::Line(waits_for, rank)) = self.queue.spot(ticket)
            && waits_for == domain
        {
            let at = self.expected(domain, rank, now);
            return if is_worth(plan, at, worth, now) { AtHome::Soon(ticket, at) } else { AtHome::Away };
        }
        match self.look(plan, (provider, key, domain), &needs, now) {
            Look::Able => AtHome::Now(Choice { provider, key: Some(key), domain, needs }),
            Look::Later(at) if is_worth(plan, at, worth, now) => {
                let later = Later { at, cost: 0, provider, key, domain };
                self.leave(plan);
                let ticket = self.join(plan, &later, &needs);
                plan.ticket = Some(ticket);
                AtHome::Soon(ticket, at)
            }
            Look::Rests { ready: Some(ready), next } if is_worth(plan, ready, worth, now) => {
                self.leave(plan);
                let until = next.unwrap_or(ready);
                let ticket = self.queue.pause(until);
                plan.ticket = Some(ticket);
                AtHome::Soon(ticket, until)
            }
            Look::Later(_) | Look::Rests { .. } | Look::Passed => AtHome::Away,
        }
    }
}

/// Is it worth to wait until then?
fn is_worth(plan: &Plan, at: Time, worth: Duration, now: Time) -> bool {
    at <= plan.wait_until && at.since(now) <= worth
}
