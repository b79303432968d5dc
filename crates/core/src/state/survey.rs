//! Who could serve a call now, whom it is, and if nobody could, when somebody will.

use std::borrow::Cow;

use crate::account::{ClassId, DomainId};
use crate::fleet::{Class, Key, Provider, ProviderId};
use crate::limits::{Counted, Needs};
use crate::plan::{Done, Plan, Whose};
use crate::rest::Readiness;
use crate::select::{Candidate, Select, Strategy};
use crate::time::{Roll, Time};

use super::State;

/// Who could serve a call now, and if nobody, when.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// When the first of those that rest is ready.
    pub(super) ready: Option<Time>,
    /// When, if nothing happens before, somebody may be asked: then, or as a probe before that.
    pub(super) next: Option<Time>,
    /// Somebody is barred.
    pub(super) barred: bool,
    /// When the first is ready of those that rest for another reason than a limit.
    pub(super) rested: Option<Time>,
    /// Where waiting for a limit would cost the others least.
    pub(super) later: Option<Later>,
    /// The same among those for whom nobody waits, and whose moment comes in time.
    pub(super) idle: Option<Later>,
}

/// Where a call may wait for a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Later {
    pub(super) at: Time,
    pub(super) cost: u64,
    pub(super) provider: ProviderId,
    pub(super) key: usize,
    pub(super) domain: DomainId,
}

/// Whom a call is given to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) provider: ProviderId,
    /// The place of its key; none for the client's own credential.
    pub(super) key: Option<usize>,
    pub(super) domain: DomainId,
    pub(super) needs: Needs,
}

/// What a call will need of whoever serves it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants<'a> {
    /// Where nothing of it is cached.
    pub(super) cold: &'a Needs,
    /// A key where its conversation is cached, and what it needs there.
    pub(super) warm: Option<(usize, Needs)>,
    /// So many tokens may its answer have.
    pub(super) most: u64,
}

/// Room for candidates.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Providers that could serve now, by place.
    pub(super) able: Vec<Candidate>,
    keys: Vec<Candidate>,
}

/// How it stands with one key.
pub(super) enum Look {
    /// It is not asked, or will never serve.
    Passed,
    /// It could serve now.
    Able,
    /// It could, but it is not its turn before then.
    Later(Time),
    /// It rests.
    Rests { ready: Option<Time>, next: Option<Time> },
}

impl State {
    /// Looks at everyone the plan may still ask. Providers who could serve now are put into `scratch`.
    pub(super) fn survey(
        &mut self,
        plan: &Plan,
        wants: &Wants<'_>,
        now: Time,
        scratch: &mut Scratch,
    ) -> Survey {
        let class = self.class(plan);
        let mut survey = Survey::default();
        scratch.able.clear();
        for (place, provider) in self.fleet.providers.iter().enumerate() {
            if !plan.providers.contains(&provider.id) || plan.left.contains(&provider.id) {
                continue;
            }
            let able = match plan.whose {
                Whose::Pool => self.survey_pool(plan, (place, class), wants, now, &mut survey),
                Whose::Client => {
                    let resting = plan.resting(provider.id, None, now);
                    survey.note(resting, resting);
                    survey.rested = survey.rested.into_iter().chain(resting).min();
                    resting.is_none()
                }
            };
            if able {
                // Looked at by one strategy only, and not for nothing.
                let compared = self.fleet.strategy == Strategy::LeastLoaded && self.fleet.providers.len() > 1;
                let pool = self.pools[place].iter().filter(|_| compared);
                let in_flight = pool.map(|key| self.keys.at(*key).in_flight).sum();
                let Provider { priority, weight, .. } = *provider;
                scratch.able.push(Candidate { place, priority, weight, in_flight });
            }
        }
        survey
    }

    /// Could a provider serve now? If not, it is noted when.
    fn survey_pool(
        &self,
        plan: &Plan,
        (place, class): (usize, ClassId),
        wants: &Wants<'_>,
        now: Time,
        survey: &mut Survey,
    ) -> bool {
        let provider = self.fleet.providers[place].id;
        let mut able = false;
        for key in self.pools[place].iter().copied() {
            let (domain, needs) = (self.domain(key, class), self.wanted(wants, key));
            match self.look(plan, (provider, key, domain), &needs, now) {
                Look::Passed => {}
                Look::Able => {
                    able = true;
                    break;
                }
                Look::Later(at) => {
                    survey.note(Some(at), Some(at));
                    let cost = self.cost(key, domain, &needs, now);
                    let later = Later { at, cost, provider, key, domain };
                    let is_idle = self.queue.line(domain).is_none() && at <= plan.wait_until;
                    survey.later = Later::better(survey.later, later);
                    survey.idle = if is_idle { Later::better(survey.idle, later) } else { survey.idle };
                }
                Look::Rests { ready, next } => {
                    survey.note(ready, next);
                    survey.rested = survey.rested.into_iter().chain(ready).min();
                    survey.barred |= ready.is_none();
                }
            }
        }
        able
    }

    /// What a call needs of that key: less, if its conversation is cached there.
    pub(super) fn wanted<'w>(&self, wants: &'w Wants<'_>, key: usize) -> Cow<'w, Needs> {
        let needs = match &wants.warm {
            Some((home, warm)) if *home == key || self.shares_cache(key, *home) => warm,
            _ => wants.cold,
        };
        self.as_counted(needs, (wants.cold, wants.most), key)
    }

    /// The same as the provider of that key counts it. Where nothing is cached it needs `cold`, and its answer has `most`
    /// tokens at most.
    pub(super) fn as_counted<'w>(
        &self,
        needs: &'w Needs,
        (cold, most): (&Needs, u64),
        key: usize,
    ) -> Cow<'w, Needs> {
        match self.keys.at(key).reserves {
            None => Cow::Borrowed(needs),
            Some(weight) => Cow::Owned(needs.reserving(weight, most, cold.get(Counted::Input).units)),
        }
    }

    /// How it stands with one key, for that call.
    pub(super) fn look(
        &self,
        plan: &Plan,
        (provider, key, domain): (ProviderId, usize, DomainId),
        needs: &Needs,
        now: Time,
    ) -> Look {
        let standing = self.keys.at(key);
        let id = standing.id;
        if plan.done.contains(&Done { key: id, pardons: standing.pardons })
            || plan.pinned.is_some_and(|pinned| pinned != id)
        {
            return Look::Passed;
        }
        let resting = plan.resting(provider, Some(id), now);
        match (self.readiness(key, &plan.class, now), resting) {
            (Readiness::Ready | Readiness::Probe, None) => {
                self.look_at_limits(plan, (provider, key, domain), needs, now)
            }
            (Readiness::Ready | Readiness::Probe, resting) => Look::Rests { ready: resting, next: resting },
            (Readiness::Resting { ready, next }, resting) => {
                let rested = |moment: Time| resting.map_or(moment, |until| until.max(moment));
                Look::Rests { ready: ready.map(rested), next: next.map(rested) }
            }
        }
    }

    fn look_at_limits(
        &self,
        plan: &Plan,
        (provider, key, domain): (ProviderId, usize, DomainId),
        needs: &Needs,
        now: Time,
    ) -> Look {
        // Those who ask for other models wait for the same caps.
        let standing = self.keys.at(key);
        let is_wanted = standing.caps.is_limited() && !standing.ahead.is_empty();
        if !is_wanted && self.queue.line(domain).is_none() && self.admits(key, domain, needs, now) {
            return Look::Able;
        }
        match self.moment_in_line(plan, (provider, key, domain), needs, now) {
            None => Look::Passed,
            Some(at) if at <= now => Look::Able,
            Some(at) => Look::Later(at),
        }
    }

    /// Chooses a provider by the routing strategy, then one of its keys by the pooling strategy.
    pub(super) fn choose(
        &mut self,
        plan: &Plan,
        wants: &Wants<'_>,
        scratch: &mut Scratch,
        (now, roll): (Time, Roll),
    ) -> Option<Choice> {
        // Those that gave this call no trouble yet come first, whatever the strategy.
        let calm = |able: &Candidate| !plan.troubled(self.fleet.providers[able.place].id);
        if scratch.able.iter().any(calm) {
            scratch.able.retain(calm);
        }
        let select = self.among_providers.get_or_insert_with(|| Select::new(self.fleet.strategy));
        let place = scratch.able.get(next(select, plan, &scratch.able, roll)?)?.place;
        let provider = self.fleet.providers.get(place)?.id;
        let class = self.class(plan);
        if plan.whose == Whose::Client {
            let domain = DomainId { account: 0, class };
            return Some(Choice { provider, key: None, domain, needs: *wants.cold });
        }
        // Dice of its own, or the choice of the provider would decide that of the key.
        let roll = roll.again();
        let key = match self.fleet.providers[place].strategy {
            Strategy::LeastLoaded => self.cheapest(plan, (place, class), wants, (now, roll)),
            _ => self.select_key(plan, place, wants, &mut scratch.keys, (now, roll)),
        }?;
        let needs = self.wanted(wants, key).into_owned();
        Some(Choice { provider, key: Some(key), domain: self.domain(key, class), needs })
    }

    fn select_key(
        &mut self,
        plan: &Plan,
        place: usize,
        wants: &Wants<'_>,
        candidates: &mut Vec<Candidate>,
        (now, roll): (Time, Roll),
    ) -> Option<usize> {
        let class = self.class(plan);
        let (provider, pool) = (&self.fleet.providers[place], &self.pools[place]);
        candidates.clear();
        for (index, key) in pool.iter().copied().enumerate() {
            let (domain, needs) = (self.domain(key, class), self.wanted(wants, key));
            if matches!(self.look(plan, (provider.id, key, domain), &needs, now), Look::Able) {
                let Key { priority, weight, .. } = provider.keys[index];
                let in_flight = self.keys.at(key).in_flight;
                candidates.push(Candidate { place: index, priority, weight, in_flight });
            }
        }
        let select = self.among_keys.entry(provider.id).or_insert_with(|| Select::new(provider.strategy));
        // Whatever the strategy, a key of lower priority is for when those of a higher one cannot.
        let highest = candidates.iter().map(|candidate| candidate.priority).max()?;
        candidates.retain(|candidate| candidate.priority == highest);
        let chosen = next(select, plan, candidates, roll)?;
        Some(pool[candidates.get(chosen)?.place])
    }

    /// The domain that holds the limits of a key for a class.
    pub(super) fn domain(&self, key: usize, class: ClassId) -> DomainId {
        DomainId { account: self.accounts.now(self.keys.at(key).account), class }
    }

    /// The same in its workspace.
    pub(super) fn room(&self, key: usize, class: ClassId) -> DomainId {
        DomainId { account: self.workspaces.now(self.keys.at(key).workspace), class }
    }

    /// May a key be used, as far as anything is held against it or its organization?
    pub(super) fn readiness(&self, key: usize, class: &Class, now: Time) -> Readiness {
        let standing = self.keys.at(key);
        standing.rests.readiness(&self.accounts.get(standing.account).rests, class, now)
    }

    /// Would a call with that key be a probe?
    pub(super) fn is_probe(&self, key: usize, class: &Class, now: Time) -> bool {
        self.readiness(key, class, now) == Readiness::Probe
    }
}

/// Whose turn it is. Another attempt of the same call goes to whoever is next, and takes no turn of the next call.
fn next(select: &mut Select, plan: &Plan, candidates: &[Candidate], roll: Roll) -> Option<usize> {
    if plan.met.is_empty() { select.pick(candidates, roll) } else { select.clone().pick(candidates, roll) }
}

impl Later {
    /// Where it would cost the others less; among equals, where its moment comes sooner.
    fn better(known: Option<Self>, other: Self) -> Option<Self> {
        known.into_iter().chain([other]).min_by_key(|later| (later.cost, later.at))
    }
}

impl Survey {
    /// Where a call waits for a limit, if it does: where that costs the others least. If its moment comes too late
    /// there, it comes too late: elsewhere it would take the place of those who belong there. But where nobody waits
    /// there is nobody whose place it could take.
    pub(super) fn line(&self, plan: &Plan) -> Option<Later> {
        self.later.filter(|later| later.at <= plan.wait_until).or(self.idle)
    }

    /// Somebody rests, is ready at one moment, and may be asked at another.
    pub(super) fn note(&mut self, ready: Option<Time>, next: Option<Time>) {
        let earlier = |known: Option<Time>, moment: Option<Time>| known.into_iter().chain(moment).min();
        self.ready = earlier(self.ready, ready);
        self.next = earlier(self.next, next);
    }
}
