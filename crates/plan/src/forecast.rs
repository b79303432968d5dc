//! What a configuration will make of a workload, and what would help most: the same run again, with one thing changed.

use std::time::Duration;

use relay_core::{Class, Usage};

use crate::estate::{AT_ONCE, Estate, N_METERS, TOKENS};
use crate::optimum::{Demand, Pool, float, optimum, pool_of};
use crate::workload::Workload;
use crate::world::{Choice, Outcome, Setting, World};

/// What is asked.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Who may be asked.
    pub estate: &'a Estate,
    /// What is asked of them.
    pub workload: &'a Workload,
    /// Of all chance that there is.
    pub seed: u64,
    /// Is told now and then which run it is, of how many, and how much time has passed in it.
    pub watch: &'a dyn Fn(usize, usize, Duration),
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// How it goes.
    pub outcome: Outcome,
    /// How much of what the limits could carry of such calls, at best, that is. None if there is no limit.
    pub of_optimum: Option<f64>,
    /// How it goes with keys that are taken in turn, whatever is in their caches. None if that makes no difference.
    pub in_turn: Option<Outcome>,
    /// What each limit gave, the fullest first.
    pub limits: Vec<Used>,
    /// What it would help to raise a limit, the best first; of those that are in use.
    pub raises: Vec<Raise>,
    /// Do any of these help enough to be told from chance?
    pub advice: Advice,
}

/// A limit, and how much of it was used.
#[derive(Clone, PartialEq, Debug)]
pub struct Used {
    /// The place of the organization that has it.
    pub organization: usize,
    /// The class of models.
    pub class: String,
    /// The place of the meter.
    pub meter: usize,
    /// Units a minute, or at once.
    pub limit: u64,
    /// What was taken of all that it could give in this time.
    pub part: f64,
}

/// A limit that is raised by a quarter, and what comes of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Raise {
    /// The place of the organization that has it.
    pub organization: usize,
    /// The place of the meter.
    pub meter: usize,
    /// Units a minute or at once, from and to.
    pub limit: (u64, u64),
    /// Calls a minute, without and with it.
    pub calls: (f64, f64),
    /// How long a call waits on average, without and with it.
    pub waits: (Duration, Duration),
}

/// What to do first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// No limit holds these calls back.
    Nothing,
    /// To raise the first of the limits lets more calls through.
    More,
    /// To raise the first of the limits lets calls wait less.
    Sooner,
}

/// No more limits than this are tried, and none that is used less.
const MOST_TRIED: usize = 8;
const LEAST_USED: f64 = 0.2;

/// A gain is told from chance if it is a tenth of what a quarter more would bring of a limit that all calls share.
const NOTICEABLE: f64 = 0.025;

/// Waiting is worth a word if it is so long on average, and is cut by a twentieth.
const LEAST_WAIT: Duration = Duration::from_millis(50);
const LESS_WAIT: f64 = 0.95;

impl Forecast {
    /// Foresees.
    pub fn of(question: &Question<'_>) -> Self {
        let Question { estate, workload, .. } = *question;
        let caches =
            estate.accounts.len() > 1 && workload.arrivals.iter().any(|it| it.conversation.is_some());
        let runs = 1 + usize::from(caches);
        let outcome = question.run(estate, (0, runs + MOST_TRIED));
        let limits = limits(estate, &outcome);
        let mut tried: Vec<(usize, usize)> = Vec::new();
        // Calls that come at once wait for limits of which little is used, all in all.
        let least = limits.first().map_or(0.0, |fullest| fullest.part.min(LEAST_USED));
        for Used { organization, meter, part, .. } in &limits {
            if *part >= least && tried.len() < MOST_TRIED && !tried.contains(&(*organization, *meter)) {
                tried.push((*organization, *meter));
            }
        }
        let held_back = outcome.is_refused() || outcome.waits.all.mean() > LEAST_WAIT;
        tried.truncate(if held_back { MOST_TRIED } else { 0 });
        let all = runs + tried.len();
        let in_turn = caches.then(|| question.in_turn((1, all)));
        let tries = tried.into_iter().enumerate();
        let mut raises: Vec<Raise> =
            tries.map(|(run, it)| question.raise(&outcome, it, (runs + run, all))).collect();
        let gain = |raise: &Raise| raise.calls.1 - raise.calls.0;
        raises.sort_by(|one, other| gain(other).total_cmp(&gain(one)).then(one.waits.1.cmp(&other.waits.1)));
        let advice = advise(&mut raises, estate.provider.organizations.len());
        let of_optimum = of_optimum(estate, workload, &outcome);
        Self { outcome, of_optimum, in_turn, limits, raises, advice }
    }
}

impl Question<'_> {
    fn run(&self, estate: &Estate, (run, runs): (usize, usize)) -> Outcome {
        let watch = |at| (self.watch)(run, runs, at);
        World::new(Setting { watch: &watch, ..Setting::new(estate, self.workload, self.seed) }).play()
    }

    /// Keys taken in turn, whatever they have in their caches.
    fn in_turn(&self, (run, runs): (usize, usize)) -> Outcome {
        let watch = |at| (self.watch)(run, runs, at);
        let setting = Setting::new(self.estate, self.workload, self.seed);
        World::new(Setting { watch: &watch, choice: Choice::InTurn, ..setting }).play()
    }

    fn raise(&self, before: &Outcome, (organization, meter): (usize, usize), run: (usize, usize)) -> Raise {
        let raised = self.estate.raised(organization, meter);
        let after = self.run(&raised, run);
        let rate = |estate: &Estate| estate.rate(organization, meter).unwrap_or_default();
        Raise {
            organization,
            meter,
            limit: (rate(self.estate), rate(&raised)),
            calls: (before.throughput(), after.throughput()),
            waits: (before.waits.all.mean(), after.waits.all.mean()),
        }
    }
}

/// Which of them to take first: it is put before the others.
fn advise(raises: &mut [Raise], holders: usize) -> Advice {
    let Some(best) = raises.first() else { return Advice::Nothing };
    let share = float(holders.max(1) as u64);
    if best.calls.1 > best.calls.0 * (1.0 + NOTICEABLE / share) {
        return Advice::More;
    }
    raises.sort_by_key(|raise| raise.waits.1);
    let Some(best) = raises.first() else { return Advice::Nothing };
    let less = best.waits.1.as_secs_f64() < best.waits.0.as_secs_f64() * LESS_WAIT;
    if less && best.waits.0 > LEAST_WAIT { Advice::Sooner } else { Advice::Nothing }
}

/// What each limit gave, the fullest first.
fn limits(estate: &Estate, outcome: &Outcome) -> Vec<Used> {
    let mut limits = Vec::new();
    for ((organization, class), taken) in &outcome.taken {
        let rates = estate.rates(*organization, class);
        let gives = pool_of(rates, estate.limit(*organization, class).burst, outcome.lasted);
        for meter in 0..N_METERS {
            let (Some(limit), Some(gives)) = (rates[meter], gives[meter]) else { continue };
            let part = taken[meter] / gives.max(1.0);
            let (organization, class) = (*organization, class.clone());
            limits.push(Used { organization, class, meter, limit, part });
        }
    }
    limits.sort_by(|one, other| other.part.total_cmp(&one.part));
    limits
}

/// How much of what could be carried of such calls was. Calls that are alike count as they were on average, with what
/// they would have read from the cache of a single key.
fn of_optimum(estate: &Estate, workload: &Workload, outcome: &Outcome) -> Option<f64> {
    let lost = outcome.cache_best.saturating_sub(outcome.cache_read);
    let written: u64 = outcome.models.iter().map(|served| served.usage.cache_write).sum();
    let spared = 1.0 - float(lost.min(written)) / float(written.max(1));
    let weight = float(estate.accounts.keys().map(|key| estate.weight(*key)).max().unwrap_or(1));
    let classes: Vec<_> = workload.models.iter().map(|model| estate.families.class(model)).collect();
    let demand = |((model, _), (count, usage, took)): (&(usize, _), &(u64, Usage, Duration))| {
        let (count, output) = (float(*count), float(usage.output));
        let input = float(usage.input) + float(usage.cache_write) * spared;
        let class = classes.iter().position(|class| *class == classes[*model]).unwrap_or(*model);
        Demand {
            needs: [
                1.0,
                input / count,
                output / count,
                took.as_secs_f64() / count,
                (input + output * weight) / count,
            ],
            count,
            class,
        }
    };
    let demands: Vec<Demand> = outcome.alike.iter().map(demand).collect();
    let holder = |place: usize| -> Vec<Pool> {
        let pool = |class: &Class| {
            let burst = estate.limit(place, class.as_str()).burst;
            pool_of(estate.rates(place, class.as_str()), burst, outcome.lasted)
        };
        classes.iter().map(pool).collect()
    };
    optimum(&together((0..estate.provider.organizations.len()).map(holder)), &demands).map(|part| 1.0 / part)
}

/// Holders with the same limits carry together what one with all of them would, if calls can be cut into pieces. It is
/// far quicker to reckon with one.
fn together(holders: impl Iterator<Item = Vec<Pool>>) -> Vec<Vec<Pool>> {
    let mut alike: Vec<(Vec<Pool>, u64)> = Vec::new();
    for pools in holders {
        match alike.iter_mut().find(|(known, _)| *known == pools) {
            Some((_, count)) => *count += 1,
            None => alike.push((pools, 1)),
        }
    }
    let times = |pool: Pool, count: u64| pool.map(|most| most.map(|most| most * float(count)));
    alike
        .into_iter()
        .map(|(pools, count)| pools.into_iter().map(|pool| times(pool, count)).collect())
        .collect()
}

/// What reports call a meter.
pub(crate) fn meter_name(meter: usize) -> &'static str {
    match meter {
        1 => "input tokens",
        2 => "output tokens",
        AT_ONCE => "calls at once",
        TOKENS => "tokens",
        _ => "requests",
    }
}
