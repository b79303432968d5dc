//! A conversation stays where its prompt cache is, as long as waiting for that costs less than to write it elsewhere.

use std::time::Duration;

use crate::account::DomainId;
use crate::affinity::{Leaving, Stay};
use crate::fleet::ProviderId;
use crate::limits::Needs;
use crate::plan::{Plan, Whose};
use crate::queue::{Spot, Ticket};
use crate::time::Time;

use super::State;
use super::survey::{Choice, Later, Look, Survey};

/// How it stands where a conversation was last.
pub(super) enum AtHome {
    /// It goes on there now.
    Now(Choice),
    /// It waits there, for that is worth it.
    Soon(Ticket, Time),
    /// It has no home, or goes elsewhere if somebody else is free.
    Away(Option<Warm>),
}

/// Where a conversation that may go elsewhere is cached.
#[derive(Clone, Copy)]
pub(super) struct Warm {
    pub(super) key: usize,
    /// What it needs there.
    pub(super) needs: Needs,
    /// Where and when it could go on there, if only that takes longer than its cache is worth by itself.
    dear: Option<(Later, Cache)>,
}

/// What a conversation has in a prompt cache.
#[derive(Clone, Copy)]
struct Cache {
    provider: ProviderId,
    tokens: u64,
    /// How long it is worth to wait for it.
    worth: Duration,
}

impl State {
    /// Does a call go on where its conversation was?
    pub(super) fn at_home(&mut self, plan: &mut Plan, needs: &Needs, now: Time) -> AtHome {
        let home = plan.conversation.and_then(|conversation| self.affinity.home(conversation));
        let Some(home) = home.filter(|_| plan.whose == Whose::Pool) else { return AtHome::Away(None) };
        let tokens = home.warm(&plan.class, now);
        let cache =
            Cache { provider: home.provider, tokens, worth: home.worth(&plan.class, plan.patience, now) };
        let (key, prompt, bytes) = (home.key, home.prompt, home.bytes);
        plan.stay = Stay::New;
        if tokens == 0 {
            return AtHome::Away(None);
        }
        plan.stay = Stay::Left { tokens, why: Leaving::Unable };
        let allowed = plan.providers.contains(&cache.provider) && !plan.left.contains(&cache.provider);
        let Some(key) = self.keys.place_of(key).filter(|_| allowed) else { return AtHome::Away(None) };
        let class = self.class(plan);
        // What was added since, and what was not cached then. Where a history was cut, it is as for anybody else.
        let added =
            plan.size.and_then(|size| size.bytes.checked_sub(bytes)).map(|bytes| self.tokens(class, bytes));
        let input = added.map(|added| (prompt - tokens.min(prompt)).saturating_add(added));
        let warm = input.map_or(*needs, |input| needs.with_input(input));
        let needs = self.as_counted(&warm, (needs, plan.most()), key).into_owned();
        let domain = self.domain(key, class);
        if let Some((ticket, Spot::Line(waits_for, rank))) = self.stands(plan)
            && waits_for == domain
        {
            let at = self.expected(domain, rank, now);
            if is_worth(plan, &cache, at, now) {
                return AtHome::Soon(ticket, at);
            }
            let later = Later { at, cost: 0, provider: cache.provider, key, domain };
            return AtHome::Away(Some(Warm { key, needs, dear: Some((later, cache)) }));
        }
        let look = self.look_in(plan, (cache.provider, key, domain), &needs, now);
        match look {
            Look::Able => {
                plan.stay = Stay::Kept { tokens };
                AtHome::Now(Choice { provider: cache.provider, key: Some(key), domain, needs })
            }
            Look::Later(at) if is_worth(plan, &cache, at, now) => {
                let later = Later { at, cost: 0, provider: cache.provider, key, domain };
                AtHome::Soon(self.wait_at_home(plan, &later, &needs), at)
            }
            _ => self.at_neighbours(plan, &cache, (key, domain), &needs, &look, now),
        }
    }

    /// A key that reads the same cache serves as well.
    fn at_neighbours(
        &mut self,
        plan: &mut Plan,
        cache: &Cache,
        (home, domain): (usize, DomainId),
        needs: &Needs,
        look: &Look,
        now: Time,
    ) -> AtHome {
        let provider = cache.provider;
        let near = self.pool_of(provider).iter().copied().filter(|key| *key != home).find(|key| {
            self.shares_cache(*key, home)
                && matches!(self.look(plan, (provider, *key, domain), needs, now), Look::Able)
        });
        if let Some(key) = near {
            plan.stay = Stay::Kept { tokens: cache.tokens };
            return AtHome::Now(Choice { provider, key: Some(key), domain, needs: *needs });
        }
        match *look {
            Look::Rests { ready: Some(ready), next } if is_worth(plan, cache, ready, now) => {
                self.leave(plan);
                let until = next.unwrap_or(ready);
                let ticket = self.queue.pause(until);
                plan.ticket = Some(ticket);
                AtHome::Soon(ticket, until)
            }
            Look::Later(at) => {
                let later = Later { at, cost: 0, provider, key: home, domain };
                AtHome::Away(Some(Warm { key: home, needs: *needs, dear: Some((later, *cache)) }))
            }
            _ => AtHome::Away(Some(Warm { key: home, needs: *needs, dear: None })),
        }
    }

    /// Somebody else is free. Does a conversation wait where its cache is all the same? To write it anew elsewhere costs
    /// money, and keeps a limit busy that others will want: for as long as that takes, if there are others.
    pub(super) fn stays(
        &mut self,
        plan: &mut Plan,
        warm: Option<&Warm>,
        choice: &Choice,
        now: Time,
    ) -> Option<(Ticket, Time)> {
        let Warm { key, needs, dear } = warm?;
        let ((later, cache), other) = ((*dear)?, choice.key?);
        if self.shares_cache(*key, other) {
            return None;
        }
        let worth = self.worth_beside(
            &cache,
            (*key, later.domain, needs),
            (other, choice.domain, &choice.needs),
            now,
        );
        if !is_worth(plan, &Cache { worth, ..cache }, later.at, now) {
            return None;
        }
        Some((self.wait_at_home(plan, &later, needs), later.at))
    }

    /// Nobody is free, and it would wait elsewhere as well. Then what counts is for how much longer it would wait at home.
    pub(super) fn waits_at_home(
        &mut self,
        plan: &mut Plan,
        warm: Option<&Warm>,
        survey: &Survey,
        cold: &Needs,
        now: Time,
    ) -> Option<(Ticket, Time)> {
        let Warm { key, needs, dear } = warm?;
        let ((later, cache), elsewhere) = ((*dear)?, survey.line(plan)?);
        if later.at > plan.wait_until || self.shares_cache(*key, elsewhere.key) {
            return None;
        }
        let there = (elsewhere.key, elsewhere.domain, cold);
        let worth = self.worth_beside(&cache, (*key, later.domain, needs), there, now);
        // Who stands in a line there already is not behind himself.
        let stands = self.turn(plan, now).filter(|(_, domain, _)| *domain != later.domain);
        let longer = later.at.since(stands.map_or(elsewhere.at, |(.., at)| at.min(elsewhere.at)));
        if longer > worth {
            plan.stay = Stay::Left { tokens: cache.tokens, why: Leaving::Dear(longer) };
            return None;
        }
        plan.stay = Stay::Kept { tokens: cache.tokens };
        Some((self.wait_at_home(plan, &later, needs), later.at))
    }

    /// A place in the line of its home, if it does not stand there already.
    fn wait_at_home(&mut self, plan: &mut Plan, later: &Later, needs: &Needs) -> Ticket {
        if let Some((ticket, Spot::Line(domain, _))) = self.stands(plan)
            && domain == later.domain
        {
            return ticket;
        }
        self.leave(plan);
        let ticket = self.join(plan, later, needs);
        plan.ticket = Some(ticket);
        ticket
    }

    /// Where a call stands, if it waits for a limit.
    fn stands(&self, plan: &Plan) -> Option<(Ticket, Spot)> {
        plan.ticket.and_then(|ticket| Some((ticket, self.queue.spot(ticket)?)))
    }

    /// How long it is worth to wait at home, where it keeps limits busy for so long, rather than to go where it keeps them
    /// busy for longer. What those have given while nobody wanted it does not count.
    fn worth_beside(
        &mut self,
        cache: &Cache,
        home: (usize, DomainId, &Needs),
        elsewhere: (usize, DomainId, &Needs),
        now: Time,
    ) -> Duration {
        let [here, there] = [home, elsewhere].map(|(key, domain, needs)| self.takes(key, domain, needs));
        let idle = self.idle(elsewhere.0, elsewhere.1, now);
        let wanted = self.wanted_by_others(there.saturating_sub(idle).saturating_sub(here), now);
        cache.worth.saturating_add(Duration::from_nanos(wanted))
    }

    /// Of so much time of a limit, how much others are going to want: all of it, if there is another conversation for each
    /// key; in proportion, if there are fewer.
    fn wanted_by_others(&mut self, nanos: u64, now: Time) -> u64 {
        let others = self.affinity.count(now).saturating_sub(1);
        let keys = self.pools.iter().map(|pool| pool.len() as u64).sum::<u64>().max(1);
        let part = u128::from(nanos) * u128::from(others.min(keys)) / u128::from(keys);
        u64::try_from(part).unwrap_or(u64::MAX)
    }

    /// How it stands with a key, if its provider still has it.
    fn look_in(
        &self,
        plan: &Plan,
        (provider, key, domain): (ProviderId, usize, DomainId),
        needs: &Needs,
        now: Time,
    ) -> Look {
        if self.keys.at(key).is_listed {
            self.look(plan, (provider, key, domain), needs, now)
        } else {
            Look::Passed
        }
    }

    /// Whoever leaves a cache and is given a key that reads it after all has kept it.
    pub(super) fn settle_stay(&self, plan: &Plan, choice: &Choice) -> Stay {
        let Stay::Left { tokens, .. } = plan.stay else { return plan.stay };
        let home = plan.conversation.and_then(|conversation| self.affinity.home(conversation));
        let place = home.and_then(|home| self.keys.place_of(home.key));
        match (choice.key, place) {
            (Some(key), Some(home)) if self.shares_cache(key, home) => Stay::Kept { tokens },
            _ => plan.stay,
        }
    }

    /// Do two keys read the same cache? Those of one workspace do; where nobody speaks of workspaces, those of one
    /// organization (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>).
    pub(super) fn shares_cache(&self, one: usize, other: usize) -> bool {
        let (one, other) = (self.keys.at(one), self.keys.at(other));
        let known = |workspace: usize| !self.workspaces.get(workspace).is_nameless();
        let workspaces = self.workspaces.now(one.workspace) == self.workspaces.now(other.workspace);
        self.accounts.now(one.account) == self.accounts.now(other.account)
            && (workspaces || !known(one.workspace) && !known(other.workspace))
    }
}

/// Is it worth to wait until then?
fn is_worth(plan: &mut Plan, cache: &Cache, at: Time, now: Time) -> bool {
    let wait = at.since(now);
    let worth = at <= plan.wait_until && wait <= cache.worth;
    let tokens = cache.tokens;
    plan.stay = if worth { Stay::Kept { tokens } } else { Stay::Left { tokens, why: Leaving::Dear(wait) } };
    worth
}
