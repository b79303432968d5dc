//! The windows of subscriptions: who rests when one is used up, who is preferred as long as none is, and what the pool
//! looks like from outside.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use relay_core::{
    Event, LONGEST_UNPROBED, PoolWindow, Quota, Share, Time, Unified, UnifiedStatus, Unready, Verdict, Whose,
};

use crate::stage::{
    Call, START, Stage, Told, about, at, fleet, id, key, of_conversation, of_group, organization, says,
    takes, unified, usage, window, with,
};
use crate::thorough;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const OPUS: &str = "claude-opus-4";
const SONNET: &str = "claude-sonnet-4";

fn need(model: &str) -> relay_core::Need {
    about(model, takes(1_000, 10))
}

/// A key serves a call whose answer says that.
fn told(stage: &mut Stage, label: &str, model: &str, quota: &Quota) {
    let mut call = stage.go(with(label, need(model)));
    stage.learn(&mut call, quota);
    stage.serve(call, usage(1_000, 10));
}

/// A key refuses a call, and says that.
fn refuses(stage: &mut Stage, label: &str, model: &str, quota: &Quota, until: Time) {
    let mut call = stage.go(with(label, need(model)));
    stage.learn(&mut call, quota);
    assert!(!stage.judge(&mut call, Verdict::Spent { until }));
}

fn goes(stage: &mut Stage, model: &str) -> Told {
    stage.would(need(model))
}

#[test]
fn a_window_that_is_used_up_rests_its_account_for_all_that_it_counts_until_it_is_reset() {
    for (name, models) in [("5h", &[][..]), ("7d", &[]), ("7d_opus", &[SONNET]), ("7d_oi", &[SONNET, "m"])] {
        let mut stage = Stage::new(fleet(vec![key("a")]));
        // The answer asks to come again in a minute only.
        refuses(&mut stage, "a", OPUS, &says(&[(name, "rejected 1", 2 * HOUR)]), at(60_000));
        for model in [OPUS, SONNET, "m"] {
            let expect = if models.contains(&model) || (model == "m" && name == "7d_opus") {
                Told::Go(id("a"))
            } else {
                Told::No(relay_core::Exhausted::Spent { until: START + Duration::from_secs(2 * HOUR) })
            };
            assert_eq!(goes(&mut stage, model), expect, "{name} {model}");
        }
        assert!(stage.key("a").held.iter().any(|(_, held)| matches!(held, Unready::UsedUp(own, until)
            if *own == window(name) && *until == START + Duration::from_secs(2 * HOUR))));
        stage.now = START + Duration::from_secs(2 * HOUR);
        assert_eq!(goes(&mut stage, OPUS), Told::Go(id("a")), "{name}");
        assert_eq!(stage.key("a").held, []);
    }
}

#[test]
fn operators_hear_which_window_is_used_up() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    stage.state.take_events();
    refuses(&mut stage, "a", OPUS, &says(&[("7d", "rejected 1", DAY)]), at(60_000));
    let events = stage.state.take_events();
    let reset = START + Duration::from_secs(DAY);
    assert!(
        matches!(&events[..], [Event::KeyCooled { window: Some(own), until, .. }]
        if *own == window("7d") && *until == reset),
        "{events:?}"
    );
}

#[test]
fn keys_of_one_account_rest_together() {
    let mut stage = Stage::new(fleet(vec![of_group("a", "one"), of_group("b", "one"), key("c")]));
    refuses(&mut stage, "a", OPUS, &says(&[("5h", "rejected 1", HOUR)]), at(60_000));
    assert_eq!(goes(&mut stage, SONNET), Told::Go(id("c")));
    assert!(matches!(stage.would(with("b", need(SONNET))), Told::No(_)));
}

#[test]
fn a_refusal_that_is_no_windows_fault_rests_its_class_only() {
    let used = [("5h", "rejected 1", HOUR), ("7d", "allowed 0.5", DAY)];
    let paid =
        Quota { unified: Some(Unified { overage_in_use: true, ..unified(&used) }), ..Quota::default() };
    let throttle = says(&[("5h", "allowed 0.99", HOUR)]);
    for quota in [paid, throttle] {
        let mut stage = Stage::new(fleet(vec![key("a")]));
        refuses(&mut stage, "a", OPUS, &quota, at(30_000));
        assert_eq!(goes(&mut stage, SONNET), Told::Go(id("a")));
        assert_eq!(stage.key("a").held.len(), 1);
    }
}

#[test]
fn an_answer_about_other_models_says_which_window_is_used_up_unless_what_goes_beyond_is_paid_for() {
    let used = [("5h", "allowed 0.1", HOUR), ("7d_opus", "rejected 1", DAY)];
    let mut stage = Stage::new(fleet(vec![key("a")]));
    told(&mut stage, "a", SONNET, &says(&used));
    assert!(matches!(goes(&mut stage, OPUS), Told::No(_)));
    assert_eq!(goes(&mut stage, SONNET), Told::Go(id("a")));

    let overage = Some(UnifiedStatus::Allowed);
    let paid = Quota { unified: Some(Unified { overage, ..unified(&used) }), ..Quota::default() };
    let mut stage = Stage::new(fleet(vec![key("a")]));
    told(&mut stage, "a", SONNET, &paid);
    assert_eq!(goes(&mut stage, OPUS), Told::Go(id("a")));
}

#[test]
fn who_is_served_all_the_same_does_not_rest() {
    // It goes on at the expense of somebody, and says so in a way of its own.
    let mut stage = Stage::new(fleet(vec![key("a")]));
    told(&mut stage, "a", OPUS, &says(&[("5h", "rejected 1", HOUR)]));
    assert_eq!(goes(&mut stage, OPUS), Told::Go(id("a")));
    assert_eq!(stage.key("a").held, []);
}

#[test]
fn who_hears_again_and_again_that_a_window_is_used_up_asks_about_it_all_the_same() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let used = says(&[("7d_opus", "rejected 1", DAY)]);
    for _ in 0..10 {
        told(&mut stage, "a", SONNET, &used);
        stage.pass(30_000);
    }
    assert_eq!(goes(&mut stage, OPUS), Told::Go(id("a")), "five minutes after the first word of it");
}

#[test]
fn a_probe_that_is_served_ends_the_rest_for_every_model() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    refuses(&mut stage, "a", OPUS, &says(&[("7d", "rejected 1", 5 * DAY)]), at(60_000));
    stage.pass(300_000);
    let probe = stage.go(need(SONNET));
    assert!(!matches!(goes(&mut stage, SONNET), Told::Go(_)), "one at a time");
    stage.serve(probe, usage(1_000, 10));
    assert_eq!(goes(&mut stage, SONNET), Told::Go(id("a")));
}

/// A window, its status and what is used of it, and in how many seconds it is reset.
type Said = (&'static str, &'static str, u64);

/// Two accounts, of which so much is used, with so much time left.
fn pair(one: &[Said], other: &[Said]) -> Stage {
    let mut stage = Stage::new(fleet(vec![key("a"), key("b")]));
    told(&mut stage, "a", "m", &Quota { unified: Some(unified(one)), ..organization("one") });
    told(&mut stage, "b", "m", &Quota { unified: Some(unified(other)), ..organization("other") });
    stage
}

#[test]
fn a_new_conversation_goes_where_more_would_expire_unused() {
    let table: [(&[Said], &[Said], &str); 6] = [
        // Half of each is used; of the second, with an hour to go.
        (&[("5h", "allowed 0.5", 4 * HOUR)], &[("5h", "allowed 0.5", HOUR)], "b"),
        // The weekly capacity of the first ends tomorrow.
        (&[("7d", "allowed 0.5", DAY)], &[("7d", "allowed 0.1", 6 * DAY)], "a"),
        // Nearly used up, and it is to last for days.
        (&[("7d", "allowed 0.97", 3 * DAY)], &[("7d", "allowed 0.6", 3 * DAY)], "b"),
        // The narrowest window counts.
        (
            &[("5h", "allowed 0.95", 3 * HOUR), ("7d", "allowed 0.1", DAY)],
            &[("5h", "allowed 0.4", 3 * HOUR), ("7d", "allowed 0.5", 3 * DAY)],
            "b",
        ),
        // What has been used up and does not refuse yet comes last.
        (&[("5h", "allowed_warning 1.01", HOUR)], &[("5h", "allowed 0.9", 4 * HOUR)], "b"),
        // A window of other models does not count.
        (
            &[("7d_opus", "allowed 0.99", 6 * DAY), ("7d", "allowed 0.5", DAY)],
            &[("7d", "allowed 0.5", 3 * DAY)],
            "a",
        ),
    ];
    for (one, other, expect) in table {
        let mut stage = pair(one, other);
        for _ in 0..5 {
            let call = stage.go(need("m"));
            assert_eq!(
                call.lease.as_ref().and_then(|lease| lease.key()),
                Some(id(expect)),
                "{one:?} {other:?}"
            );
            stage.serve(call, usage(1_000, 10));
        }
    }
}

#[test]
fn accounts_that_are_about_as_strained_take_turns() {
    let mut stage = pair(&[("5h", "allowed 0.48", HOUR * 5 / 2)], &[("5h", "allowed 0.52", HOUR * 5 / 2)]);
    let mut went = Vec::new();
    for _ in 0..6 {
        let call = stage.go(need("m"));
        went.extend(call.lease.as_ref().and_then(|lease| lease.key()));
        stage.serve(call, usage(1_000, 10));
    }
    assert_eq!(went.iter().filter(|key| **key == id("a")).count(), 3);
}

#[test]
fn a_conversation_stays_where_its_cache_is_however_strained_that_is() {
    let mut stage = pair(&[("5h", "allowed 0.2", HOUR)], &[("5h", "allowed 0.9", HOUR)]);
    let begun = of_conversation(7, takes(50_000, 10));
    let call = stage.go(with("b", begun.clone()));
    stage.serve(call, relay_core::Usage { cache_write: 50_000, output: 10, ..relay_core::Usage::ZERO });
    assert_eq!(stage.would(begun), Told::Go(id("b")));
    assert_eq!(stage.would(takes(1_000, 10)), Told::Go(id("a")));
}

#[test]
fn windows_are_kept_over_a_reload_and_a_restart() {
    let mut stage = pair(&[("5h", "allowed 0.9", 4 * HOUR)], &[("5h", "allowed 0.1", HOUR)]);
    let before = stage.key("a").windows;
    let fleet = stage.fleet.clone();
    stage.state.reconcile(&fleet, stage.now);
    assert_eq!(stage.key("a").windows, before);
    stage.restart();
    assert_eq!(stage.key("a").windows, before);
    assert_eq!(goes(&mut stage, "m"), Told::Go(id("b")));
    let memory = stage.memory();
    stage.now = START + Duration::from_secs(5 * HOUR);
    stage.start_with(memory);
    assert_eq!(stage.key("a").windows, [], "it was reset meanwhile");
}

#[test]
fn of_two_that_turn_out_to_be_one_account_the_higher_share_counts() {
    let mut stage = Stage::new(fleet(vec![key("a"), key("b")]));
    told(&mut stage, "a", "m", &says(&[("5h", "allowed 0.3", HOUR)]));
    told(&mut stage, "b", "m", &says(&[("5h", "allowed 0.7", HOUR)]));
    told(&mut stage, "a", "m", &organization("one"));
    told(&mut stage, "b", "m", &organization("one"));
    for label in ["a", "b"] {
        assert_eq!(stage.key(label).windows[0].used, Some(Share(700_000)));
    }
}

fn pool(stage: &Stage, need: relay_core::Need) -> relay_core::Pool {
    let call: Call = stage.call(need);
    stage.state.pool(&call.plan, stage.now).expect("it is of the pool")
}

#[test]
fn a_pool_has_used_the_mean_of_what_its_accounts_have_and_serves_as_long_as_one_does() {
    let mut stage =
        pair(&[("5h", "allowed 0.9", HOUR), ("7d", "allowed 0.2", DAY)], &[("5h", "allowed 0.1", 2 * HOUR)]);
    let seconds = |seconds| Some(START + Duration::from_secs(seconds));
    let five =
        |used, reset, is_spent| PoolWindow { name: window("5h"), used: Some(Share(used)), reset, is_spent };
    let known = pool(&stage, need("m"));
    assert!(known.serves);
    assert_eq!(known.window(window("5h")), Some(&five(500_000, seconds(HOUR), false)));
    assert_eq!(known.window(window("7d")).and_then(|window| window.used), Some(Share(200_000)));

    refuses(&mut stage, "b", "m", &says(&[("5h", "rejected 1.2", 2 * HOUR)]), at(1_000));
    let known = pool(&stage, need("m"));
    assert!(known.serves);
    assert_eq!(
        known.window(window("5h")),
        Some(&five(950_000, seconds(2 * HOUR), false)),
        "what comes back is b's"
    );

    refuses(&mut stage, "a", "m", &says(&[("5h", "rejected 1", HOUR)]), at(1_000));
    let known = pool(&stage, need("m"));
    assert_eq!((known.serves, known.ready), (false, seconds(HOUR)));
    assert_eq!(known.window(window("5h")), Some(&five(1_000_000, seconds(HOUR), true)));

    stage.now = START + Duration::from_secs(HOUR);
    let known = pool(&stage, need("m"));
    assert!(known.serves);
    assert_eq!(known.window(window("5h")), Some(&five(500_000, seconds(2 * HOUR), false)), "a's was reset");

    let own = relay_core::Need { credential: Whose::Client, ..need("m") };
    assert_eq!(stage.state.pool(&stage.call(own).plan, stage.now), None);
}

proptest! {
    #![proptest_config(thorough(2))]

    /// However answers overtake each other: as long as it is the same window, what is known to be used of it is never less
    /// than what any answer has told.
    #[test]
    fn stale_never_raises(
        answers in vec((0_usize..6, 0_u32..1_100, 0_u64..50), 1..20),
    ) {
        let mut stage = Stage::new(fleet(vec![key("a")]));
        let mut calls: Vec<Option<Call>> = (0..6).map(|_| {
            stage.pass(1_000);
            Some(stage.go(takes(1, 1)))
        }).collect();
        let mut most = 0;
        for (place, used, jitter) in answers {
            let Some(call) = calls[place].as_mut() else { continue };
            let told = format!("allowed {}", f64::from(used) / 1_000.0);
            stage.learn(call, &says(&[("5h", &told, HOUR + jitter)]));
            most = most.max(used * 1_000);
            prop_assert_eq!(stage.key("a").windows[0].used, Some(Share(most)));
        }
        // The next window begins when an answer says so that was asked for later; an answer of the old one that comes
        // after that changes nothing.
        stage.now = START + Duration::from_secs(HOUR / 2);
        let mut newest = stage.go(takes(1, 1));
        stage.learn(&mut newest, &says(&[("5h", "allowed 0.01", 4 * HOUR)]));
        prop_assert_eq!(stage.key("a").windows[0].used, Some(Share(10_000)));
        for call in calls.iter_mut().flatten() {
            stage.learn(call, &says(&[("5h", "allowed 0", HOUR)]));
            stage.learn(call, &says(&[("5h", "allowed 1", HOUR)]));
            prop_assert_eq!(stage.key("a").windows[0].used, Some(Share(10_000)));
        }
    }

    /// Whatever a provider says of windows, a key that is refused is asked again after no more than the cap, and rests for
    /// no longer than the longest window there is.
    #[test]
    fn nobody_is_locked_for_longer_than_the_caps(
        resets in vec((0_usize..4, 0_u64..u64::from(u32::MAX)), 1..8),
        pause in 0_u64..400,
    ) {
        let mut stage = Stage::new(fleet(vec![key("a")]));
        for (name, reset) in resets {
            let Told::Go(_) = goes(&mut stage, OPUS) else {
                stage.pass(pause * 1_000);
                continue;
            };
            let name = ["5h", "7d", "7d_opus", "300d_odd"][name];
            let until = START + Duration::from_secs(reset);
            refuses(&mut stage, "a", OPUS, &says(&[(name, "rejected 1", reset)]), until);
            let (soon, week) = (stage.now + LONGEST_UNPROBED, stage.now + Duration::from_hours(24 * 7));
            for (_, held) in stage.key("a").held {
                prop_assert!(matches!(held, Unready::Cooling(until) | Unready::UsedUp(_, until) if until <= week));
            }
            let now = std::mem::replace(&mut stage.now, soon);
            prop_assert_eq!(goes(&mut stage, OPUS), Told::Go(id("a")));
            stage.now = now;
        }
    }
}
