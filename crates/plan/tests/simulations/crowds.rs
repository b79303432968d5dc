//! Providers that limit how many calls are under way at once, and nothing else.

use std::time::Duration;

use relay_core::Caps;
use relay_plan::{Advice, Dice, Estate, Forecast, Kind, Mix, Outcome, Question, Workload, float};
use relay_sim::{Limit, Settings};

use crate::organization;

/// So many calls may each of the organizations have under way.
const MOST: [u32; 2] = [3, 8];

/// Short calls and long ones, of 7 s on average: three in two seconds are what eleven carry. `percent` of that come.
fn workload(percent: u32) -> Workload {
    let latency = Duration::from_millis(500);
    let kind = |name, output| Kind { name, share: 1, input: 1_000, output, pace: Some(50), latency };
    let every = Duration::from_millis(63_600) / percent;
    let mix =
        Mix { kinds: vec![kind("short", 150), kind("long", 500)], every, lasts: Duration::from_mins(20) };
    mix.workload(Dice::seeded(5))
}

/// With caps if the operator knows how many there may be.
fn estate(is_known: bool) -> Estate {
    let [one, other] = MOST.map(Limit::at_once);
    let organizations = vec![organization("one", one), organization("other", other)];
    let provider = Settings { organizations, ..Settings::default() };
    Estate::before(&provider, &|place| Caps {
        at_once: Some(MOST[place]).filter(|_| is_known),
        ..Caps::default()
    })
}

fn forecast(is_known: bool, percent: u32) -> Forecast {
    let (estate, workload) = (estate(is_known), workload(percent));
    Forecast::of(&Question { estate: &estate, workload: &workload, seed: 2, watch: &|_, _, _| () })
}

/// How much of the seconds that eleven calls have were used.
fn used(outcome: &Outcome) -> f64 {
    let seconds: f64 = outcome.taken.values().map(|taken| taken[3]).sum();
    seconds / (outcome.lasted.as_secs_f64() * float(u64::from(MOST.iter().sum::<u32>())))
}

#[test]
fn all_that_may_be_under_way_are_and_no_more() {
    let forecast = forecast(true, 150);
    let outcome = &forecast.outcome;
    assert_eq!((outcome.refused_upstream, outcome.open), (0, 0));
    assert!(used(outcome) > 0.97, "{:.3}", used(outcome));
    let [short, long] = [0, 1].map(|kind| outcome.part(kind));
    assert!((short / long - 1.0).abs() < 0.1, "each kind in proportion: {short:.3} and {long:.3}");
    let part = forecast.of_optimum.unwrap();
    assert!((0.97..=1.001).contains(&part), "{part:.3}");
}

#[test]
fn it_is_found_out_how_many_may_be_and_hardly_any_is_refused() {
    let outcome = forecast(false, 150).outcome;
    assert!(used(&outcome) > 0.95, "{:.3}", used(&outcome));
    let refused = float(outcome.refused_upstream) / float(outcome.requests);
    assert!(refused < 0.01, "{} of {} refused", outcome.refused_upstream, outcome.requests);
    assert_eq!(outcome.open, 0);
}

#[test]
fn below_what_they_carry_hardly_anybody_waits_and_nobody_is_refused() {
    let forecast = forecast(true, 60);
    assert_eq!(forecast.outcome.all().refused, 0);
    let wait = forecast.outcome.waits.all.mean();
    assert!(wait < Duration::from_millis(500), "{wait:?}");
}

#[test]
fn more_calls_at_once_are_to_be_allowed_where_that_is_what_holds_them_back() {
    let forecast = forecast(true, 150);
    let first = forecast.raises[0];
    assert_eq!((forecast.advice, first.meter), (Advice::More, 3), "{:?}", forecast.raises);
    assert_eq!((first.organization, first.limit), (1, (8, 10)));
    assert!(first.calls.1 / first.calls.0 > 1.1, "{first:?}");
    assert!(forecast.limits.iter().all(|used| used.meter == 3 && used.part > 0.95), "{:?}", forecast.limits);
}
