//! How many calls are under way at once, where a provider limits that.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Union;
use relay_core::memory::Mark;
use relay_core::{Accounting, CallsReport, Caps, Class, Event, Exhausted, Key, Provider, Verdict};

use crate::stage::{
    Call, PROVIDER, Stage, Told, about, at, background, fleet, fleet_of, id, key, of_group, takes, taught,
    usage, with,
};
use crate::{stage, thorough};

/// A key with which so many calls may be under way at once.
fn at_once(label: &str, most: u32) -> Key {
    Key { caps: Caps { at_once: Some(most), ..Caps::default() }, ..key(label) }
}

/// Keys of a provider that allows so many, by models.
fn allowing(most: &'static [(&'static str, u32)], keys: Vec<Key>) -> Stage {
    let accounting = Accounting { at_once: most, ..Accounting::default() };
    Stage::new(fleet_of(Provider { accounting, ..Provider::new(PROVIDER, keys) }))
}

/// So many more calls of that kind as go.
fn all_that_go(stage: &mut Stage, need: &dyn Fn() -> relay_core::Need) -> Vec<Call> {
    let mut open = Vec::new();
    loop {
        let (call, told) = stage.arrive(need());
        if !matches!(told, Told::Go(_)) {
            stage.leave(call);
            return open;
        }
        open.push(call);
        assert!(open.len() < 1_000, "there is an end");
    }
}

fn one() -> relay_core::Need {
    takes(1, 1)
}

#[test]
fn no_more_go_than_may_and_the_next_goes_when_one_has_ended() {
    let mut stage = Stage::new(fleet(vec![at_once("a", 3)]));
    let mut open = all_that_go(&mut stage, &one);
    assert_eq!(open.len(), 3);
    let (waits, until) = stage.wait(one());
    assert!(until > stage.now);
    let (later, _) = stage.wait(one());
    assert_eq!(stage.woken(), []);
    stage.serve(open.remove(0), usage(1, 1));
    assert_eq!(
        stage.woken(),
        waits.ticket.into_iter().collect::<Vec<_>>(),
        "one has ended, and one is called"
    );
    // What he was called for is his.
    assert!(matches!(stage.would(one()), Told::Wait(_)));
    stage.leave(open.remove(0));
    assert_eq!(stage.woken(), later.ticket.into_iter().collect::<Vec<_>>());
    for mut call in [waits, later] {
        assert_eq!(stage.ask(&mut call), Told::Go(id("a")));
        open.push(call);
    }
    assert!(matches!(stage.would(one()), Told::Wait(_)));
}

#[test]
fn who_is_called_and_leaves_makes_room_for_the_next() {
    let mut stage = Stage::new(fleet(vec![at_once("a", 1)]));
    let open = stage.go(one());
    let (first, _) = stage.wait(one());
    let (second, _) = stage.wait(one());
    stage.serve(open, usage(1, 1));
    assert_eq!(stage.woken(), first.ticket.into_iter().collect::<Vec<_>>());
    stage.leave(first);
    assert_eq!(stage.woken(), second.ticket.into_iter().collect::<Vec<_>>());
}

#[test]
fn those_whom_somebody_waits_for_go_first() {
    let mut stage = Stage::new(fleet(vec![at_once("a", 1)]));
    let open = stage.go(one());
    let (_nobody_waits_for, _) = stage.wait(background(one()));
    let (somebody_waits_for, _) = stage.wait(one());
    stage.serve(open, usage(1, 1));
    assert_eq!(stage.woken(), somebody_waits_for.ticket.into_iter().collect::<Vec<_>>());
}

#[test]
fn it_is_told_when_the_next_ends_by_how_long_calls_take() {
    let mut stage = Stage::new(fleet(vec![at_once("a", 2)]));
    let call = stage.go(one());
    stage.pass(20_000);
    stage.serve(call, usage(1, 1));
    let _open = all_that_go(&mut stage, &one);
    // Two that take 20 s each.
    let (_first, until) = stage.wait(one());
    assert_eq!(until, at(30_000));
    let (_second, until) = stage.wait(one());
    assert_eq!(until, at(40_000));
}

#[test]
fn what_a_key_may_counts_for_all_models_and_what_an_account_may_for_each() {
    let mut stage = Stage::new(fleet(vec![at_once("a", 2)]));
    let _open = [stage.go(one()), stage.go(about("other", one()))];
    assert!(matches!(stage.would(about("third", one())), Told::Wait(_)));

    let mut stage = allowing(&[("m", 2), ("glm", 1)], vec![key("a")]);
    let _open = all_that_go(&mut stage, &one);
    assert_eq!(all_that_go(&mut stage, &|| about("glm-5.3", one())).len(), 1);
    assert_eq!(
        stage.key("a").calls.iter().map(|calls| (calls.most, calls.open)).collect::<Vec<_>>(),
        [(2, 2), (1, 1)]
    );
}

#[test]
fn keys_of_one_account_share_what_it_may_and_each_account_has_its_own() {
    let mut stage = allowing(&[("m", 3)], vec![of_group("a", "g"), of_group("b", "g"), key("c")]);
    let open = all_that_go(&mut stage, &one);
    assert_eq!(open.len(), 6);
    let with_c =
        open.iter().filter(|call| call.lease.as_ref().and_then(|lease| lease.key()) == Some(id("c")));
    assert_eq!(with_c.count(), 3);
}

#[test]
fn the_operator_knows_better_than_what_is_known_of_the_provider() {
    for most in [2, 9] {
        let mut stage = allowing(&[("m", 5)], vec![at_once("a", most)]);
        assert_eq!(all_that_go(&mut stage, &one).len(), most as usize);
    }
    // And may change his mind.
    let mut stage = allowing(&[("m", 2)], vec![at_once("a", 4)]);
    let open = all_that_go(&mut stage, &one);
    assert_eq!(open.len(), 4);
    stage.fleet.providers[0].keys = vec![key("a")];
    let (state, fleet, now) = (&mut stage.state, &stage.fleet, stage.now);
    state.reconcile(fleet, now);
    for call in open {
        stage.serve(call, usage(1, 1));
    }
    stage.go(one());
    stage.go(one());
    assert!(matches!(stage.would(one()), Told::Wait(_)), "what is known of the provider holds again");
}

#[test]
fn calls_that_take_nothing_count_as_well_where_a_key_is_capped() {
    let mut stage = Stage::new(fleet(vec![at_once("a", 1)]));
    let _open = stage.go(relay_core::Need { size: None, ..one() });
    assert!(matches!(stage.would(one()), Told::Wait(_)));
}

#[test]
fn a_call_costs_more_where_there_is_less_room() {
    let mut stage = Stage::new(fleet(vec![at_once("a", 2), at_once("b", 20)]));
    let open = all_that_go(&mut stage, &one);
    assert_eq!(open.len(), 22);
    let with_a = |calls: &[Call]| {
        let keys = calls.iter().filter_map(|call| call.lease.as_ref()?.key());
        keys.filter(|key| *key == id("a")).count()
    };
    assert_eq!([with_a(&open[..11]), with_a(&open[..18]), with_a(&open)], [0, 1, 2]);
}

#[test]
fn a_refusal_for_want_of_room_shows_how_many_may_be_and_the_key_does_not_rest() {
    let mut stage = taught(&stage::requests(stage::gauge(60_000, 60_000)));
    stage.state.take_events();
    let mut open: Vec<_> = (0..5).map(|_| stage.go(one())).collect();
    let mut sixth = stage.go(one());
    assert!(!stage.judge(&mut sixth, Verdict::Crowded { until: at(9_000) }));
    // It comes back after a moment, and waits for one of the five.
    let Told::Wait(moment) = stage.ask(&mut sixth) else { unreachable!("it may not go") };
    stage.now = moment;
    assert!(matches!(stage.ask(&mut sixth), Told::Wait(_)));
    assert_eq!(
        stage.state.take_events(),
        [Event::Crowded {
            provider: relay_core::ProviderId::of(PROVIDER),
            key: id("a"),
            class: Class::of("m"),
            most: 5
        }]
    );
    assert!(stage.key("a").held.is_empty());
    let shown = CallsReport {
        holder: Some(relay_core::Holder::Organization),
        class: Some(Class::of("m")),
        most: 5,
        open: 5,
    };
    assert_eq!(stage.key("a").calls, [shown]);
    stage.serve(open.remove(0), usage(1, 1));
    assert_eq!(stage.woken(), sixth.ticket.into_iter().collect::<Vec<_>>());
    assert_eq!(stage.ask(&mut sixth), Told::Go(id("a")));
    // As long as it serves, one more is dared in a minute.
    stage.pass(60_000);
    stage.begin(&mut sixth, usage(1, 0));
    assert_eq!(all_that_go(&mut stage, &one).len(), 1);
}

#[test]
fn of_a_burst_that_is_refused_in_part_as_many_are_left_as_were_not() {
    let mut stage = taught(&stage::requests(stage::gauge(60_000, 60_000)));
    let mut open: Vec<_> = (0..20).map(|_| stage.go(one())).collect();
    for mut call in open.drain(7..) {
        stage.judge(&mut call, Verdict::Crowded { until: at(9_000) });
    }
    assert_eq!(stage.key("a").calls.first().map(|calls| calls.most), Some(7));
}

#[test]
fn whoever_is_refused_alone_was_refused_for_the_sake_of_others_and_rests() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let mut call = stage.go(one());
    assert!(!stage.judge(&mut call, Verdict::Crowded { until: at(2_000) }));
    assert_eq!(stage.ask(&mut call), Told::Wait(at(2_000)));
    assert_eq!(stage.key("a").calls, []);
}

#[test]
fn another_key_serves_what_one_has_no_room_for() {
    let mut stage = Stage::new(fleet(vec![at_once("a", 1), key("b")]));
    let _open = stage.go(with("a", one()));
    assert_eq!(stage.would(one()), Told::Go(id("b")));
}

#[test]
fn what_was_found_out_is_remembered_and_what_was_told_is_told_again() {
    let mut stage = taught(&stage::requests(stage::gauge(60_000, 60_000)));
    let mut open: Vec<_> = (0..4).map(|_| stage.go(one())).collect();
    let mut last = open.pop().expect("there are four");
    stage.judge(&mut last, Verdict::Crowded { until: at(9_000) });
    for call in open {
        stage.serve(call, usage(1, 1));
    }
    let memory = stage.state.remember(Mark::default(), stage.now).0;
    assert_eq!(memory.holders[0].calls, [(Class::of("m"), 3)]);
    stage.restart();
    assert_eq!(all_that_go(&mut stage, &one).len(), 3);

    let mut stage = allowing(&[("m", 2)], vec![key("a")]);
    let call = stage.go(one());
    stage.serve(call, usage(1, 1));
    assert!(stage.state.remember(Mark::default(), stage.now).0.holders.is_empty(), "nothing was learned");
    stage.restart();
    assert_eq!(all_that_go(&mut stage, &one).len(), 2);
}

#[test]
fn what_is_refused_twice_is_asked_for_twice_as_seldom() {
    let mut stage = taught(&stage::requests(stage::gauge(60_000, 60_000)));
    let mut open: Vec<_> = (0..3).map(|_| stage.go(one())).collect();
    let mut third = open.pop().expect("there are three");
    stage.judge(&mut third, Verdict::Crowded { until: stage.now });
    let mut refused = Vec::new();
    // For an hour a call is served every second, and the provider allows two at once.
    for second in 0..3_600 {
        stage.pass(1_000);
        let call = open.remove(0);
        stage.serve(call, usage(1, 1));
        for mut call in all_that_go(&mut stage, &one) {
            if open.len() < 2 {
                open.push(call);
            } else {
                refused.push(second);
                stage.judge(&mut call, Verdict::Crowded { until: stage.now + Duration::from_secs(5) });
            }
        }
    }
    assert!(refused.len() < 9, "{refused:?}");
    assert!(refused.windows(3).skip(2).all(|three| three[2] - three[1] > three[1] - three[0]), "{refused:?}");
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Arrive(bool),
    Serve(usize),
    Leave(usize),
    GiveUp(usize),
    Refuse(usize),
    Pass(u64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = Union::new_weighted(vec![
        (4, any::<bool>().prop_map(Deed::Arrive).boxed()),
        (3, (0_usize..50).prop_map(Deed::Serve).boxed()),
        (1, (0_usize..50).prop_map(Deed::Leave).boxed()),
        (1, (0_usize..50).prop_map(Deed::GiveUp).boxed()),
        (1, (0_usize..50).prop_map(Deed::Refuse).boxed()),
        (2, (0_u64..90_000).prop_map(Deed::Pass).boxed()),
    ]);
    proptest::collection::vec(deed, 0..120)
}

/// Whoever is woken asks.
fn wake(stage: &mut Stage, open: &mut Vec<Call>, waiting: &mut Vec<Call>) {
    loop {
        let woken = stage.woken();
        if woken.is_empty() {
            return;
        }
        for ticket in woken {
            let Some(place) = waiting.iter().position(|call| call.ticket == Some(ticket)) else { continue };
            let mut call = waiting.remove(place);
            match stage.ask(&mut call) {
                Told::Go(_) => open.push(call),
                Told::Wait(_) => waiting.push(call),
                Told::No(_) => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(thorough(2))]

    /// Whatever happens, no more are under way than may be, whoever can go is told so, and in the end all have ended.
    #[test]
    fn no_more_are_ever_under_way_than_may_be_and_nobody_sleeps_who_could_go(
        most in (1_u32..4, 1_u32..4, 1_u32..8),
        deeds in deeds(),
    ) {
        let keys = vec![
            Key { group: Some("g".to_owned()), ..at_once("a", most.0) },
            Key { group: Some("g".to_owned()), ..at_once("b", most.1) },
            at_once("c", most.2),
        ];
        let mut stage = Stage::new(fleet(keys));
        let (mut open, mut waiting): (Vec<Call>, Vec<Call>) = (Vec::new(), Vec::new());
        for deed in deeds {
            let among = |place: usize, count: usize| (count > 0).then(|| place % count);
            match deed {
                Deed::Arrive(unwatched) => {
                    let (call, told) = stage.arrive(if unwatched { background(one()) } else { one() });
                    match told {
                        Told::Go(_) => open.push(call),
                        Told::Wait(_) => waiting.push(call),
                        Told::No(why) => prop_assert!(matches!(why, Exhausted::Spent { .. }), "{why:?}"),
                    }
                }
                Deed::Serve(place) => if let Some(place) = among(place, open.len()) {
                    let call = open.remove(place);
                    stage.serve(call, usage(1, 1));
                },
                Deed::Leave(place) => if let Some(place) = among(place, open.len()) {
                    let call = open.remove(place);
                    stage.leave(call);
                },
                Deed::GiveUp(place) => if let Some(place) = among(place, waiting.len()) {
                    let call = waiting.remove(place);
                    stage.leave(call);
                },
                Deed::Refuse(place) => if let Some(place) = among(place, open.len()) {
                    let mut call = open.remove(place);
                    let until = stage.now + Duration::from_secs(5);
                    stage.judge(&mut call, Verdict::Crowded { until });
                    match stage.ask(&mut call) {
                        Told::Go(_) => open.push(call),
                        Told::Wait(_) => waiting.push(call),
                        Told::No(_) => {}
                    }
                },
                Deed::Pass(millis) => stage.pass(millis),
            }
            wake(&mut stage, &mut open, &mut waiting);
            let of = |label: &str| {
                open.iter().filter(|call| call.lease.as_ref().and_then(|it| it.key()) == Some(id(label))).count()
            };
            for (label, most) in [("a", most.0), ("b", most.1), ("c", most.2)] {
                let report = stage.key(label);
                prop_assert!(of(label) <= most as usize, "{label}: {} of {most}", of(label));
                let own = report.calls.iter().find(|calls| calls.holder.is_none());
                prop_assert_eq!(own.map(|calls| calls.open as usize), Some(of(label)));
            }
        }
        // All end, and each who waits goes in his turn.
        for _ in 0..200 {
            for call in open.drain(..) {
                stage.leave(call);
            }
            wake(&mut stage, &mut open, &mut waiting);
            if open.is_empty() {
                stage.pass(5_000);
            }
        }
        prop_assert!(waiting.is_empty(), "{} wait for nothing", waiting.len());
        for label in ["a", "b", "c"] {
            prop_assert!(stage.key(label).calls.iter().all(|calls| calls.open == 0));
        }
    }
}

/// A relay that had found three went on with three although its operator said six.
#[test]
fn what_was_found_is_forgotten_when_the_operator_says_how_many_there_are_and_by_a_reset() {
    let found_three = |keys: Vec<Key>| {
        let mut stage = taught(&stage::requests(stage::gauge(60_000, 60_000)));
        let mut open: Vec<_> = (0..4).map(|_| stage.go(one())).collect();
        let mut last = open.pop().expect("there are four");
        stage.judge(&mut last, Verdict::Crowded { until: stage.now });
        for call in open {
            stage.serve(call, usage(1, 1));
        }
        stage.fleet.providers[0].keys = keys;
        stage
    };
    let mut stage = found_three(vec![at_once("a", 6)]);
    stage.restart();
    assert_eq!(all_that_go(&mut stage, &one).len(), 6);

    let mut stage = found_three(vec![key("a")]);
    let (state, now) = (&mut stage.state, stage.now);
    state.reset(id("a"), now);
    assert_eq!(stage.key("a").calls, []);
}

/// After a restart calls were refused, for each was taken to be under way for ten seconds.
#[test]
fn how_long_calls_take_is_known_after_a_restart() {
    let mut stage = Stage::new(fleet(vec![at_once("a", 2)]));
    for _ in 0..10 {
        let call = stage.go(one());
        stage.pass(6_000);
        stage.serve(call, usage(1, 1));
    }
    stage.restart();
    let _open = all_that_go(&mut stage, &one);
    let (_waits, until) = stage.wait(one());
    let wait = until.since(stage.now).as_millis();
    assert!((3_000..4_000).contains(&wait), "two that take six seconds each: {wait}");
}
