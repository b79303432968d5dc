//! What a lease reserves, takes, owes and gives back.

use std::time::Duration;

use relay_core::{Breakage, Counted, Extent, Holder, LimitReport, Quota, Size, Usage, Verdict};

use crate::stage::{Call, Stage, Told, at, capped, fleet, gauge, key, organization, sized, takes, usage};

/// 600 a minute are ten a second, and sixty at once.
const TEN: Option<u64> = Some(600);

/// A stage whose only key is capped at ten of everything a second.
fn ten() -> Stage {
    Stage::new(fleet(vec![capped("a", [TEN; 3])]))
}

/// How many requests, input and output tokens there are. What is more than that must wait.
fn left(stage: &mut Stage) -> [u64; 3] {
    let most = |stage: &mut Stage, need: &dyn Fn(u64) -> relay_core::Need| {
        (1..=60).take_while(|units| matches!(stage.would(need(*units)), Told::Go(_))).count() as u64
    };
    let (input, output) = (most(stage, &|units| takes(units, 0)), most(stage, &|units| takes(0, units)));
    let mut calls: Vec<Call> = Vec::new();
    while let Told::Go(_) = stage.would(takes(0, 0)) {
        calls.push(stage.go(takes(0, 0)));
        assert!(calls.len() <= 60, "more than it holds");
    }
    let requests = calls.len() as u64;
    for mut call in calls {
        // Nothing was counted of them.
        assert!(!stage.judge(&mut call, Verdict::Broken(Breakage::Connect)));
    }
    [requests, input, output]
}

#[test]
fn what_a_call_will_take_is_reserved_before_it_is_sent_and_given_back_if_it_is_not_taken() {
    let mut stage = ten();
    let call = stage.go(takes(40, 30));
    assert_eq!(left(&mut stage), [59, 20, 30]);
    let mut call = call;
    stage.begin(&mut call, usage(25, 0));
    assert_eq!(left(&mut stage), [59, 35, 30], "the prompt was shorter");
    stage.charge(&mut call, usage(25, 10));
    assert_eq!(left(&mut stage), [59, 35, 30]);
    stage.close(call, usage(25, 12));
    assert_eq!(left(&mut stage), [59, 35, 48], "the answer was shorter");
}

/// Guards the rule that nothing is given back twice.
#[test]
fn what_is_given_back_is_given_back_once() {
    let mut stage = ten();
    let mut call = stage.go(takes(20, 20));
    stage.begin(&mut call, usage(40, 0));
    stage.charge(&mut call, usage(40, 30));
    assert_eq!(left(&mut stage)[1..], [20, 0], "as long again is promised to a longer answer");
    // It turns out that all of it was counted too high.
    stage.charge(&mut call, usage(10, 5));
    assert_eq!(left(&mut stage)[1], 50);
    stage.charge(&mut call, usage(10, 5));
    stage.close(call, usage(10, 5));
    assert_eq!(left(&mut stage), [59, 50, 55]);
    let call = stage.go(takes(50, 0));
    stage.leave(call);
    assert_eq!(left(&mut stage), [58, 0, 55], "it was taken to have been counted");
}

/// Guards the rule that a debt is never forgiven.
#[test]
fn what_was_taken_beyond_is_a_debt_that_refill_repays_and_nothing_forgives() {
    let mut stage = ten();
    let call = stage.go(takes(10, 10));
    stage.serve(call, usage(100, 260));
    assert_eq!(left(&mut stage), [59, 0, 0]);
    assert_eq!(stage.would(takes(1, 0)), Told::Wait(at(4_100)));
    assert_eq!(stage.would(takes(0, 1)), Told::Wait(at(20_100)));
    // Nor does a reload, nor that others come and go.
    let fleet = stage.fleet.clone();
    stage.state.reconcile(&fleet, stage.now);
    let (call, _) = stage.wait(takes(30, 30));
    stage.leave(call);
    stage.pass(4_099);
    assert_eq!(stage.would(takes(1, 0)), Told::Wait(at(4_100)));
    stage.pass(1);
    assert!(matches!(stage.would(takes(1, 0)), Told::Go(_)));
    assert_eq!(stage.would(takes(0, 1)), Told::Wait(at(20_100)));
    stage.now = at(26_000);
    assert_eq!(left(&mut stage), [60, 60, 60]);
}

#[test]
fn a_cap_that_is_changed_by_a_reload_keeps_what_was_taken_and_one_that_is_gone_limits_nothing() {
    let mut stage = ten();
    let call = stage.go(takes(40, 0));
    stage.serve(call, usage(40, 0));
    stage.fleet.providers[0].keys[0].caps.input = Some(1_200);
    let fleet = stage.fleet.clone();
    stage.state.reconcile(&fleet, stage.now);
    assert_eq!(left(&mut stage)[1], 20);
    assert_eq!(stage.would(takes(30, 0)), Told::Wait(at(500)), "twenty a second now");
    stage.fleet.providers[0].keys[0].caps.input = None;
    let fleet = stage.fleet.clone();
    stage.state.reconcile(&fleet, stage.now);
    assert!(matches!(stage.would(takes(1_000_000, 0)), Told::Go(_)));
}

#[test]
fn what_a_provider_counts_depends_on_what_it_answers() {
    let nothing = [60, 60, 60];
    let (request, prompt) = ([59, 60, 60], [59, 20, 60]);
    for (verdict, expect) in [
        (Verdict::Refused, request),
        (Verdict::Unfit, request),
        (Verdict::AboutThisCall, request),
        (Verdict::Overloaded { until: None }, request),
        (Verdict::Broken(Breakage::Connect), nothing),
        (Verdict::Broken(Breakage::Cut), prompt),
        (Verdict::Broken(Breakage::Late), prompt),
    ] {
        let mut stage = ten();
        let mut call = stage.go(takes(40, 30));
        assert!(!stage.judge(&mut call, verdict));
        assert_eq!(left(&mut stage), expect, "{verdict:?}");
    }
    // Of one whose client left before there was an answer, nobody knows.
    let mut stage = ten();
    let call = stage.go(takes(40, 30));
    stage.leave(call);
    assert_eq!(left(&mut stage), prompt);
    // One that was not accepted was not counted.
    let mut stage = ten();
    let mut call = stage.go(takes(40, 30));
    assert!(!stage.judge(&mut call, Verdict::KeyBad(Extent::Key)));
    stage.state.pardon(stage.fleet.providers[0].keys[0].id);
    assert_eq!(left(&mut stage), nothing);
}

/// A key that had answered with ten minutes' worth looked healthy, and a reset did nothing about it.
#[test]
fn what_a_key_owes_is_shown_and_forgiven_when_an_operator_says_so() {
    let mut stage = Stage::new(fleet(vec![capped("a", [None, Some(6_000), TEN])]));
    let owed = |stage: &Stage| {
        let shown = |limit: &LimitReport| {
            (limit.holder, limit.class.clone(), limit.counted, limit.available, limit.owed, limit.owes_for)
        };
        stage.key("a").limits.iter().map(shown).collect::<Vec<_>>()
    };
    let of_key = |counted, available, owed, seconds| {
        (None, None, counted, available, owed, Duration::from_secs(seconds))
    };
    let nothing = of_key(Counted::Input, 600, 0, 0);
    assert_eq!(owed(&stage), [nothing.clone(), of_key(Counted::Output, 60, 0, 0)]);
    let call = stage.go(takes(0, 1));
    stage.serve(call, usage(0, 160));
    assert_eq!(owed(&stage), [nothing.clone(), of_key(Counted::Output, 0, 100, 10)]);
    let (waits, until) = stage.wait(takes(0, 1));
    assert_eq!(until, at(10_100));
    // As it was renewed, say: what its calls took was taken.
    stage.state.pardon(stage.fleet.providers[0].keys[0].id);
    assert_eq!(stage.would(takes(0, 1)), Told::Wait(at(10_200)));
    stage.state.reset(stage.fleet.providers[0].keys[0].id, stage.now);
    assert_eq!(owed(&stage), [nothing, of_key(Counted::Output, 0, 0, 0)]);
    stage.pass(100);
    assert_eq!(stage.woken(), [waits.ticket.expect("it waits")]);
    // What an organization owes, and one of its workspaces.
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let mut call = stage.go(takes(1, 1));
    let quota = Quota { output: gauge(600, 0), tokens: gauge(600, 0), ..organization("o") };
    stage.learn(&mut call, &quota);
    stage.serve(call, usage(1, 600));
    let of = |stage: &Stage| stage.key("a").limits.iter().map(|it| (it.holder, it.owed)).collect::<Vec<_>>();
    assert_eq!(of(&stage), [(Some(Holder::Organization), 1_100), (Some(Holder::Workspace), 1_100)]);
    stage.state.reset(stage.fleet.providers[0].keys[0].id, stage.now);
    assert_eq!(of(&stage), [(Some(Holder::Organization), 0), (Some(Holder::Workspace), 0)]);
}

#[test]
fn an_answer_that_is_longer_than_was_thought_is_promised_as_much_again_up_to_its_most() {
    let mut stage = ten();
    let mut need = takes(0, 10);
    need.size.as_mut().expect("the stage is set for it").max_tokens = Some(24);
    let mut call = stage.go(need);
    stage.begin(&mut call, usage(1, 0));
    stage.charge(&mut call, usage(1, 9));
    assert_eq!(left(&mut stage)[2], 50, "one is left of what was promised");
    stage.charge(&mut call, usage(1, 10));
    assert_eq!(left(&mut stage)[2], 40, "ten more");
    stage.charge(&mut call, usage(1, 15));
    assert_eq!(left(&mut stage)[2], 40);
    stage.charge(&mut call, usage(1, 21));
    assert_eq!(left(&mut stage)[2], 36, "it may not be longer than 24");
    stage.close(call, usage(1, 21));
    assert_eq!(left(&mut stage)[2], 39);
}

#[test]
fn what_a_slow_answer_will_take_is_held_back_no_earlier_than_it_is_taken() {
    let mut stage = Stage::new(fleet(vec![capped("a", [None, None, Some(60_000)])]));
    let slow = |units, pace| {
        let mut need = takes(0, units);
        need.size
            .as_mut()
            .expect("the stage is set for it")
            .foretold
            .as_mut()
            .expect("the stage is set for it")
            .pace = Some(pace);
        need
    };
    // A thousand a second, and 6,000 at once: ten answers of a hundred a second may go on for ever.
    let calls: Vec<_> = (0..10).map(|_| stage.go(slow(50_000, 100))).collect();
    // One more takes all that is left within a minute.
    stage.go(slow(5_000, 100));
    assert!(!matches!(stage.would(slow(50_000, 1_000)), Told::Go(_)));
    for call in calls {
        stage.close(call, Usage::ZERO);
    }
    stage.go(slow(50_000, 900));
}

#[test]
fn whoever_waits_is_called_when_a_call_before_him_gives_something_back() {
    let mut stage = ten();
    let mut first = stage.go(takes(60, 60));
    let (second, _) = stage.wait(takes(30, 0));
    let (third, _) = stage.wait(takes(20, 30));
    assert_eq!(stage.woken(), []);
    stage.begin(&mut first, usage(40, 0));
    assert_eq!(stage.woken(), [], "twenty are not enough");
    stage.charge(&mut first, usage(25, 0));
    assert_eq!(
        stage.woken(),
        [second.ticket.expect("the stage is set for it")],
        "it turned out to be even less"
    );
    stage.leave(second);
    assert_eq!(stage.woken(), [], "there is no output for it yet");
    stage.close(first, usage(25, 20));
    assert_eq!(stage.woken(), [third.ticket.expect("the stage is set for it")]);
}

#[test]
fn what_calls_will_need_is_learned_from_what_they_needed() {
    let mut stage = ten();
    stage.fleet.providers[0].keys[0].caps = relay_core::Caps {
        requests: Some(6_000),
        input: Some(600_000),
        output: Some(600_000),
        ..relay_core::Caps::default()
    };
    let fleet = stage.fleet.clone();
    stage.state.reconcile(&fleet, at(0));
    // It holds more now, but there is no more in it yet.
    assert!(matches!(stage.would(takes(60, 0)), Told::Go(_)));
    assert_eq!(stage.would(takes(70, 0)), Told::Wait(at(1)));
    stage.pass(60_000);
    let size = Size { bytes: 35_000, max_tokens: Some(4_000), ..Size::default() };
    // Nothing is known: two bytes of seven make a token, and an answer has a thousand.
    let most = |stage: &mut Stage| {
        let call = stage.go(sized(size));
        let found = [
            (0..=600)
                .take_while(|hundreds| matches!(stage.would(takes(hundreds * 100, 0)), Told::Go(_)))
                .count(),
            (0..=600)
                .take_while(|hundreds| matches!(stage.would(takes(0, hundreds * 100)), Told::Go(_)))
                .count(),
        ];
        (call, found.map(|hundreds| 60_000 - 100 * (hundreds as u64 - 1)))
    };
    let (mut call, needs) = most(&mut stage);
    assert_eq!(needs, [10_000, 1_000]);
    for _ in 0..20 {
        stage.begin(&mut call, Usage { input: 1_000, cache_write: 2_500, cache_read: 3_500, ..Usage::ZERO });
        stage.close(
            call,
            Usage { input: 1_000, cache_write: 2_500, cache_read: 3_500, output: 300, ..Usage::ZERO },
        );
        stage.pass(60_000);
        call = stage.go(sized(size));
    }
    stage.leave(call);
    stage.pass(60_000);
    // What of the prompt is in a cache is not known of this one.
    let (_, [input, output]) = most(&mut stage);
    assert!((7_000..=8_800).contains(&input), "{input}");
    assert!((300..=400).contains(&output), "{output}");
}
