//! Who could serve a call now, whom it is, and if nobody could, when somebody will.

use crate::fleet::{Key, KeyId, Provider, ProviderId};
use crate::key::Readiness;
use crate::plan::{Plan, Whose};
use crate::select::{Candidate, Select};
use crate::time::{Roll, Time};

use super::State;

/// Who could serve a call now, and if nobody, when.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Providers by place, each with its keys by place.
    pub(super) able: Vec<(usize, Vec<usize>)>,
    /// When the first of those that rest is ready.
    pub(super) ready: Option<Time>,
    /// When, if nothing happens before, somebody may be asked: then, or as a probe before that.
    pub(super) next: Option<Time>,
    /// Somebody is barred.
    pub(super) barred: bool,
}

impl State {
    /// Looks at everyone the plan may still ask.
    pub(super) fn survey(&self, plan: &Plan, now: Time) -> Survey {
        let mut survey = Survey::default();
        for (place, provider) in self.fleet.providers.iter().enumerate() {
            if !plan.providers.contains(&provider.id) || plan.left.contains(&provider.id) {
                continue;
            }
            let keys = match plan.whose {
                Whose::Pool => self.survey_keys(plan, provider, now, &mut survey),
                Whose::Client => match plan.resting(provider.id, None, now) {
                    None => vec![0],
                    resting => {
                        survey.note(resting, resting);
                        continue;
                    }
                },
            };
            if !keys.is_empty() {
                survey.able.push((place, keys));
            }
        }
        survey
    }

    fn survey_keys(&self, plan: &Plan, provider: &Provider, now: Time, survey: &mut Survey) -> Vec<usize> {
        let mut able = Vec::new();
        for (place, key) in provider.keys.iter().enumerate() {
            let done = plan.done.contains(&self.as_it_is(key.id));
            if done || plan.pinned.is_some_and(|pinned| pinned != key.id) {
                continue;
            }
            let standing = self.keys.get(&key.id);
            let readiness = standing.map_or(Readiness::Ready, |it| it.readiness(&plan.class, now));
            match (readiness, plan.resting(provider.id, Some(key.id), now)) {
                (Readiness::Ready | Readiness::Probe, None) => able.push(place),
                (Readiness::Ready | Readiness::Probe, resting) => survey.note(resting, resting),
                (Readiness::Resting { ready, next }, resting) => {
                    let rested = |moment: Time| resting.map_or(moment, |until| until.max(moment));
                    survey.note(ready.map(rested), next.map(rested));
                    survey.barred |= ready.is_none();
                }
            }
        }
        able
    }

    /// Chooses a provider by the routing strategy, then one of its keys by the pooling strategy.
    pub(super) fn choose(
        &mut self,
        plan: &Plan,
        survey: &Survey,
        roll: Roll,
    ) -> Option<(ProviderId, Option<KeyId>)> {
        // Those that gave this call no trouble yet come first, whatever the strategy.
        let calm = |(place, _): &&(usize, Vec<usize>)| !plan.troubled(self.fleet.providers[*place].id);
        let mut able: Vec<_> = survey.able.iter().filter(calm).collect();
        if able.is_empty() {
            able = survey.able.iter().collect();
        }
        let candidates: Vec<_> = able.iter().map(|(place, _)| self.provider_candidate(*place)).collect();
        let select = self.among_providers.get_or_insert_with(|| Select::new(self.fleet.strategy));
        let (place, keys) = able.get(select.pick(&candidates, roll)?)?;
        let provider = self.fleet.providers.get(*place)?;
        if plan.whose == Whose::Client {
            return Some((provider.id, None));
        }
        let candidates: Vec<_> = keys.iter().map(|place| self.key_candidate(provider, *place)).collect();
        let select = self.among_keys.entry(provider.id).or_insert_with(|| Select::new(provider.strategy));
        // Dice of its own, or the choice of the provider would decide that of the key.
        let place = keys.get(select.pick(&candidates, roll.again())?)?;
        Some((provider.id, Some(provider.keys.get(*place)?.id)))
    }

    fn provider_candidate(&self, place: usize) -> Candidate {
        let provider = &self.fleet.providers[place];
        let held = |key: &Key| self.keys.get(&key.id).map_or(0, |standing| standing.in_flight);
        let in_flight = provider.keys.iter().map(held).sum();
        Candidate { place, priority: provider.priority, weight: provider.weight, in_flight }
    }

    fn key_candidate(&self, provider: &Provider, place: usize) -> Candidate {
        let key = &provider.keys[place];
        let in_flight = self.keys.get(&key.id).map_or(0, |standing| standing.in_flight);
        Candidate { place, priority: key.priority, weight: key.weight, in_flight }
    }
}

impl Survey {
    /// Somebody rests, is ready at one moment, and may be asked at another.
    pub(super) fn note(&mut self, ready: Option<Time>, next: Option<Time>) {
        let earlier = |known: Option<Time>, moment: Option<Time>| known.into_iter().chain(moment).min();
        self.ready = earlier(self.ready, ready);
        self.next = earlier(self.next, next);
    }
}
