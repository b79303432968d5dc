//! Which limit to raise first, where the answer is obvious; and that an answer is the same each time.

use std::time::Duration;

use relay_core::Caps;
use relay_plan::{Advice, CLAUDE_CODE, Dice, Estate, Forecast, Kind, Mix, Question, Report, Workload};
use relay_sim::{Limit, Settings};

use crate::organization;

/// So many calls a minute of 1,000 tokens in and 100 out, for ten minutes.
fn calls(a_minute: u32) -> Workload {
    let latency = Duration::from_millis(500);
    let kind = Kind { name: "call", share: 1, input: 1_000, output: 100, pace: Some(60), latency };
    let mix =
        Mix { kinds: vec![kind], every: Duration::from_mins(1) / a_minute, lasts: Duration::from_mins(10) };
    mix.workload(Dice::seeded(1))
}

fn estate(limits: &[(&str, [u64; 3])]) -> Estate {
    let held = limits.iter().map(|(id, [requests, input, output])| {
        organization(id, Limit::per_minute(*requests, *input, *output, Duration::from_secs(6)))
    });
    let provider = Settings { organizations: held.collect(), ..Settings::default() };
    Estate::before(&provider, &|_| Caps::default())
}

fn forecast(estate: &Estate, workload: &Workload) -> Forecast {
    Forecast::of(&Question { estate, workload, seed: 3, watch: &|_, _, _| () })
}

#[test]
fn the_limit_that_is_short_is_to_be_raised_first() {
    const PLENTY: u64 = 10_000_000;
    // 120 calls a minute come.
    for (meter, limits) in
        [[80, PLENTY, PLENTY], [PLENTY, 80_000, PLENTY], [PLENTY, PLENTY, 8_000]].iter().enumerate()
    {
        let forecast = forecast(&estate(&[("only", *limits)]), &calls(120));
        let first = forecast.raises[0];
        assert_eq!((forecast.advice, first.meter), (Advice::More, meter), "{:?}", forecast.raises);
        let gain = first.calls.1 / first.calls.0;
        assert!((1.16..1.30).contains(&gain), "meter {meter}: {gain:.3}");
        let part = forecast.of_optimum.unwrap();
        assert!((0.9..=1.001).contains(&part), "meter {meter}: {part:.3}");
    }
}

/// Reckoned with one average call, keys of different shapes carried 135 % of what they could at best.
#[test]
fn no_more_is_carried_than_the_optimum_of_calls_that_differ() {
    let latency = Duration::from_millis(500);
    let kind = |name, input, output| Kind { name, share: 1, input, output, pace: Some(100), latency };
    let mix = Mix {
        kinds: vec![kind("prompt", 1_500, 20), kind("answer", 50, 400)],
        every: Duration::from_millis(200),
        lasts: Duration::from_mins(5),
    };
    let estate = estate(&[("input", [1_000, 120_000, 4_000]), ("output", [1_000, 10_000, 40_000])]);
    let part = forecast(&estate, &mix.workload(Dice::seeded(1))).of_optimum.unwrap();
    assert!((0.8..=1.001).contains(&part), "{part:.3}");
}

#[test]
fn where_there_is_room_for_all_nothing_is_to_be_raised() {
    let forecast = forecast(&estate(&[("only", [1_000, 1_000_000, 100_000])]), &calls(120));
    assert_eq!(forecast.advice, Advice::Nothing);
    assert_eq!(forecast.outcome.all().refused, 0);
    let part = forecast.of_optimum.unwrap();
    assert!((part - 0.12).abs() < 0.02, "{part:.3}");
}

#[test]
fn a_limit_that_only_makes_calls_wait_is_to_be_raised_for_that() {
    let forecast = forecast(&estate(&[("only", [125, 10_000_000, 1_000_000])]), &calls(120));
    assert_eq!(forecast.advice, Advice::Sooner, "{:?}", forecast.raises);
    assert_eq!(forecast.raises[0].meter, 0);
    assert!(forecast.raises[0].waits.1 < forecast.raises[0].waits.0);
}

#[test]
fn the_same_question_has_the_same_answer_and_another_seed_another() {
    let estate = estate(&[("one", [100, 100_000, 20_000]), ("two", [100, 200_000, 20_000])]);
    let told = |seed: u64| {
        let lasts = Duration::from_mins(10);
        let workload = CLAUDE_CODE.workload(3, "claude-opus-5-5", lasts, Dice::seeded(seed));
        let question = Question { estate: &estate, workload: &workload, seed, watch: &|_, _, _| () };
        let report = Report::new(Forecast::of(&question), (&estate, &workload), "it", seed);
        (report.to_string(), report.json().to_string(), report.svg())
    };
    assert_eq!(told(1), told(1));
    assert_ne!(told(1).2, told(2).2);
}

/// What is read from caches is paid for as such, and more limits are never worse by much.
#[test]
fn another_configuration_is_set_against_this_one() {
    let workload = CLAUDE_CODE.workload(2, "claude-opus-5-5", Duration::from_mins(10), Dice::seeded(1));
    let report = |name: &str, limits: [u64; 3]| {
        let estate = estate(&[("only", limits)]);
        Report::new(forecast(&estate, &workload), (&estate, &workload), name, 3)
    };
    let (small, large) =
        (report("small", [20, 400_000, 40_000]), report("large", [2_000, 4_000_000, 400_000]));
    let both = relay_plan::report::Difference { before: &small, after: &large };
    let json = both.json();
    let calls = |side: &str| json["calls_per_minute"][side].as_f64().unwrap();
    assert!(calls("after") > calls("before") * 1.2, "{json}");
    let text = both.to_string();
    assert!(text.starts_with("small against large\n") && text.contains("calls a minute"), "{text}");
    assert!(large.dollars().unwrap() > 0.0 && large.unpriced().next().is_none());
}

/// A quota of Bedrock was not looked at: no limit was known, and nothing was to be raised.
#[test]
fn a_limit_of_all_tokens_together_is_to_be_raised_where_it_is_short() {
    let latency = Duration::from_millis(500);
    let kind = Kind { name: "call", share: 1, input: 1_000, output: 100, pace: Some(60), latency };
    let mix = Mix { kinds: vec![kind], every: Duration::from_millis(500), lasts: Duration::from_mins(10) };
    // 120 calls a minute come, and each counts 1,000 and five times 100.
    let mut estate = Estate::before(
        &Settings { organizations: vec![organization("only", Limit::none())], ..Settings::default() },
        &|_| Caps { tokens: Some(120_000), ..Caps::default() },
    );
    estate.fleet.providers[0].accounting.reserves = Some(5);
    let forecast = forecast(&estate, &mix.workload(Dice::seeded(1)));
    let first = forecast.raises[0];
    assert_eq!((forecast.advice, first.meter, first.limit), (Advice::More, 4, (120_000, 150_000)));
    assert!((1.15..1.30).contains(&(first.calls.1 / first.calls.0)), "{first:?}");
    let part = forecast.of_optimum.unwrap();
    assert!((0.9..=1.001).contains(&part), "{part:.3}");
    assert_eq!(forecast.limits[0].meter, 4);
}
