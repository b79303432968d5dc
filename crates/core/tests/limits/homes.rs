//! A conversation stays where its prompt is cached, as long as waiting for that is worth it.

use std::time::Duration;

use relay_core::affinity::{Leaving, Stay};
use relay_core::{Breakage, Extent, Need, ProviderId, Usage, Verdict};

use crate::stage::{
    Stage, Told, about, at, capped, fleet, id, key, of_conversation, of_group, takes, usage, with,
};

/// Each of these is worth a ten-thousandth of a second of waiting.
const CACHED: u64 = 10_000;

/// The next turn: it adds so many tokens to what is cached.
fn turn(added: u64) -> Need {
    let mut need = of_conversation(1, takes(CACHED + added, 0));
    let size = need.size.as_mut().expect("the stage is set for it");
    size.bytes = 40_000 + added * 7 / 2 + 1;
    need
}

fn cached() -> Usage {
    Usage { cache_read: 4_000, cache_write: 6_000, ..Usage::ZERO }
}

/// Its first turn was served with that key, and wrote its cache there.
fn begins(stage: &mut Stage, label: &str) {
    let mut need = with(label, of_conversation(1, takes(CACHED, 0)));
    need.size.as_mut().expect("the stage is set for it").bytes = 40_000;
    let call = stage.go(need);
    stage.serve(call, cached());
}

/// Two keys with a hundred thousand input tokens at once; the conversation is at the second.
fn two() -> Stage {
    let caps = [None, Some(1_000_000), None];
    let mut stage = Stage::new(fleet(vec![capped("a", caps), capped("b", caps)]));
    begins(&mut stage, "b");
    stage.pass(60_000);
    stage
}

fn stays(stage: &mut Stage, need: Need) -> (Told, Option<Stay>) {
    let (mut call, told) = stage.arrive(need);
    let stay = call.lease.as_ref().map(|lease| lease.stay());
    // Nothing is counted of it.
    if call.lease.is_some() {
        assert!(!stage.judge(&mut call, Verdict::Broken(Breakage::Connect)));
    }
    stage.leave(call);
    (told, stay)
}

#[test]
fn a_conversation_goes_on_where_its_prompt_is_cached() {
    let mut stage = two();
    assert_eq!(stays(&mut stage, turn(10)), (Told::Go(id("b")), Some(Stay::Kept { tokens: CACHED })));
    // Another one, or none, begins wherever it is cheapest.
    assert_eq!(stays(&mut stage, of_conversation(2, turn(10))).1, Some(Stay::New));
    // Another model has a cache of its own.
    assert_eq!(stays(&mut stage, about("x", turn(10))).1, Some(Stay::New));
}

#[test]
fn it_needs_there_what_it_adds_to_what_is_cached() {
    let mut stage = two();
    // Nothing is left but a hundred tokens.
    let call = stage.go(with("b", takes(99_900, 0)));
    assert_eq!(stays(&mut stage, turn(99)).0, Told::Go(id("b")));
    stage.leave(call);
    stage.pass(60_000);
    let call = stage.go(with("b", takes(99_900, 0)));
    assert_eq!(stage.would(turn(150)), Told::Wait(at(120_003)), "fifty more than there are");
    stage.leave(call);
    // What its last prompt had beyond the cache is not cached either.
    stage.pass(60_000);
    let mut need = with("b", of_conversation(1, takes(CACHED, 0)));
    need.size.as_mut().expect("the stage is set for it").bytes = 40_000;
    let call = stage.go(need);
    stage.serve(call, Usage { input: 30, ..cached() });
    stage.pass(60_000);
    let call = stage.go(with("b", takes(99_900, 0)));
    assert!(matches!(stage.would(turn(75)), Told::Wait(_)));
    assert_eq!(stays(&mut stage, turn(65)).0, Told::Go(id("b")));
    stage.leave(call);
}

#[test]
fn it_waits_there_as_long_as_that_is_worth_it_and_goes_elsewhere_if_it_is_not() {
    let mut stage = two();
    // The second's tokens are used: a second brings 16,667.
    let call = stage.go(with("b", takes(100_000, 0)));
    stage.serve(call, usage(100_000 + 16_000, 0));
    let (mut call, told) = stage.arrive(turn(10));
    assert!(matches!(told, Told::Wait(until) if until > at(60_960) && until < at(60_962)), "{told:?}");
    stage.pass(970);
    assert_eq!(stage.woken(), [call.ticket.expect("the stage is set for it")]);
    assert_eq!(stage.ask(&mut call), Told::Go(id("b")));
    stage.leave(call);
    // For longer than a second it is cheaper to write all of it elsewhere.
    let mut stage = two();
    let call = stage.go(with("b", takes(100_000, 0)));
    stage.serve(call, usage(100_000 + 17_000, 0));
    let (told, stay) = stays(&mut stage, turn(10));
    assert_eq!(told, Told::Go(id("a")));
    assert!(
        matches!(stay, Some(Stay::Left { tokens: CACHED, why: Leaving::Dear(wait) }) if wait > Duration::from_secs(1))
    );
}

/// To write ten thousand tokens elsewhere keeps a limit busy for 0.6 seconds: with two keys one other conversation wants half
/// of that, and two want all. It was not reckoned with, and agents whose keys were busy now and then went from one to
/// the next, wrote their histories again and again, and got half of what the keys carry.
#[test]
fn the_more_others_there_are_the_longer_it_waits_before_it_uses_their_limits_up() {
    for (others, millis) in [(0, 1_000), (1, 1_300), (2, 1_600), (3, 1_600)] {
        let debt = millis * 1_000_000 / 60_000;
        for (debt, stays) in [(debt - 500, true), (debt + 500, false)] {
            let mut stage = two();
            for other in 0..others {
                let call = stage.go(with("a", of_conversation(10 + other, takes(0, 0))));
                stage.serve(call, Usage { cache_write: 1, ..Usage::ZERO });
            }
            let call = stage.go(with("b", takes(100_000, 0)));
            stage.serve(call, usage(100_000 + debt, 0));
            let (call, told) = stage.arrive(turn(10));
            let waits = matches!(told, Told::Wait(until) if until < at(60_000 + millis));
            assert_eq!(waits, stays, "{others} others, {debt} tokens: {told:?}");
            let stay = call.lease.as_ref().map(|lease| lease.stay());
            let dear = |stay| matches!(stay, Stay::Left { why: Leaving::Dear(_), .. });
            assert_eq!((told == Told::Go(id("a")), stay.is_some_and(dear)), (!stays, !stays), "{told:?}");
        }
    }
}

/// A key that nobody used stayed unused: each who thought of going there reckoned with others who would want it too, and
/// all waited for the other keys.
#[test]
fn what_nobody_has_wanted_for_a_while_is_no_reason_to_wait_at_home() {
    for (idle, waits) in [(0, true), (300, true), (500, false), (60_000, false)] {
        let mut stage = two();
        for other in 0..2 {
            let call = stage.go(with("a", of_conversation(10 + other, takes(0, 0))));
            stage.serve(call, Usage { cache_write: 1, ..Usage::ZERO });
        }
        stage.pass(idle);
        let call = stage.go(with("b", takes(100_000, 0)));
        // For 1.2 seconds: a second is what its cache is worth.
        stage.serve(call, usage(120_000, 0));
        let told = stage.arrive(turn(10)).1;
        assert_eq!(matches!(told, Told::Wait(_)), waits, "{idle}: {told:?}");
    }
}

/// Otherwise each who waits for longer than it is worth would count as much as his whole history, the line would look
/// many times as long as it is, and all would be refused who come to it, while hardly anything is used.
#[test]
fn where_nobody_is_free_it_waits_at_home_for_no_more_than_it_needs_there() {
    let mut stage = two();
    for (label, debt) in [("b", 17_000), ("a", 100_000)] {
        let call = stage.go(with(label, takes(100_000, 0)));
        stage.serve(call, usage(100_000 + debt, 0));
    }
    // 17,000 and the ten that are added, and not the ten thousand that are cached.
    let (mut first, told) = stage.arrive(turn(10));
    assert!(matches!(told, Told::Wait(until) if until > at(61_020) && until < at(61_023)), "{told:?}");
    // Whoever comes behind waits for that much longer.
    let other = stage.would(with("b", takes(1_000, 0)));
    assert!(matches!(other, Told::Wait(until) if until > at(61_080) && until < at(61_084)), "{other:?}");
    stage.pass(1_023);
    assert_eq!(stage.woken(), [first.ticket.expect("the stage is set for it")]);
    assert_eq!(stage.ask(&mut first), Told::Go(id("b")));
    assert_eq!(first.lease.as_ref().map(|lease| lease.stay()), Some(Stay::Kept { tokens: CACHED }));
    stage.leave(first);
}

#[test]
fn whoever_waits_at_home_leaves_it_when_that_is_not_worth_it_any_more() {
    let mut stage = two();
    let mut other = stage.go(with("b", takes(100_000, 0)));
    stage.begin(&mut other, usage(116_000, 0));
    let (mut call, told) = stage.arrive(turn(10));
    assert!(matches!(told, Told::Wait(_)));
    let first = call.ticket;
    stage.pass(100);
    assert!(matches!(stage.ask(&mut call), Told::Wait(_)));
    assert_eq!(call.ticket, first, "he keeps his place");
    // It turns out that far more was taken.
    stage.charge(&mut other, usage(200_000, 0));
    assert_eq!(stage.ask(&mut call), Told::Go(id("a")));
    assert_eq!(stage.state.report(stage.now).waiting, 0);
}

#[test]
fn nobody_waits_at_home_for_longer_than_he_may() {
    let mut stage = two();
    stage.fleet.max_wait = Duration::from_millis(500);
    let call = stage.go(with("b", takes(100_000, 0)));
    stage.serve(call, usage(116_000, 0));
    assert_eq!(stays(&mut stage, turn(10)).0, Told::Go(id("a")));
}

#[test]
fn a_cache_that_was_not_used_for_five_minutes_is_no_home() {
    let mut stage = two();
    stage.now = at(299_999);
    assert_eq!(stays(&mut stage, turn(10)).0, Told::Go(id("b")));
    let mut stage = two();
    stage.now = at(300_000);
    assert_eq!(stays(&mut stage, turn(10)), (Told::Go(id("a")), Some(Stay::New)));
}

#[test]
fn a_conversation_of_which_nothing_was_cached_has_no_home() {
    let mut stage = two();
    let mut call = stage.go(with("b", turn(0)));
    stage.begin(&mut call, usage(10_000, 0));
    stage.close(call, usage(10_000, 0));
    assert_eq!(stays(&mut stage, turn(10)), (Told::Go(id("a")), Some(Stay::New)));
}

#[test]
fn a_key_that_rests_for_a_moment_is_awaited_and_one_that_rests_longer_or_is_barred_is_left() {
    for (verdict, expect) in [
        (Verdict::Throttled { until: at(60_900) }, Told::Wait(at(60_900))),
        (Verdict::Throttled { until: at(62_000) }, Told::Go(id("a"))),
        (Verdict::KeyBad(Extent::Key), Told::Go(id("a"))),
    ] {
        let mut stage = two();
        let mut call = stage.go(with("b", takes(1, 0)));
        assert!(!stage.judge(&mut call, verdict));
        let (mut call, told) = stage.arrive(turn(10));
        assert_eq!(told, expect, "{verdict:?}");
        if let Told::Wait(until) = told {
            stage.now = until;
            assert_eq!(stage.woken(), [call.ticket.expect("the stage is set for it")]);
            assert_eq!(stage.ask(&mut call), Told::Go(id("b")));
        } else {
            let stay = call.lease.as_ref().expect("the stage is set for it").stay();
            assert!(matches!(stay, Stay::Left { tokens: CACHED, .. }), "{stay:?}");
        }
    }
}

#[test]
fn a_key_that_is_gone_or_that_may_not_be_asked_is_no_home() {
    let mut stage = two();
    let elsewhere = Need { among: vec![ProviderId::of("q")], ..turn(10) };
    assert!(matches!(stage.would(elsewhere), Told::No(_)));
    assert_eq!(stays(&mut stage, with("a", turn(10))).0, Told::Go(id("a")));
    // It has a lease, so it is remembered.
    let call = stage.go(with("b", takes(1, 0)));
    stage.fleet.providers[0].keys.truncate(1);
    let fleet = stage.fleet.clone();
    stage.state.reconcile(&fleet, stage.now);
    let (told, stay) = stays(&mut stage, turn(10));
    assert_eq!(told, Told::Go(id("a")));
    assert_eq!(stay, Some(Stay::Left { tokens: CACHED, why: Leaving::Unable }));
    stage.leave(call);
    assert_eq!(stays(&mut stage, turn(10)).0, Told::Go(id("a")));
}

#[test]
fn another_key_of_the_same_organization_reads_the_same_cache() {
    let mut stage = Stage::new(fleet(vec![key("a"), of_group("b", "g"), of_group("c", "g")]));
    begins(&mut stage, "b");
    let mut call = stage.go(with("b", takes(1, 0)));
    assert!(!stage.judge(&mut call, Verdict::KeyBad(Extent::Key)));
    let (told, stay) = stays(&mut stage, turn(10));
    assert_eq!(told, Told::Go(id("c")));
    assert_eq!(stay, Some(Stay::Kept { tokens: CACHED }));
}

/// It went elsewhere to save a twentieth of a second, and paid for its cache once more.
#[test]
fn where_nobody_is_free_it_counts_for_how_much_longer_it_would_wait_at_home() {
    let table = [(50, true), (900, true), (1_100, false), (4_000, false)];
    for (longer, stays_home) in table {
        let caps = [Some(10), None, None];
        let mut stage = Stage::new(fleet(vec![capped("a", caps), capped("b", caps)]));
        begins(&mut stage, "b");
        // A request comes in each six seconds; `a` has the next one a little sooner.
        stage.pass(6_000_u64.saturating_sub(longer));
        let taken = stage.go(with("a", takes(1, 0)));
        stage.serve(taken, usage(1, 0));
        stage.pass(longer);
        let taken = stage.go(with("b", takes(1, 0)));
        stage.serve(taken, usage(1, 0));
        let (mut call, told) = stage.arrive(turn(10));
        let Told::Wait(until) = told else { unreachable!("{told:?}") };
        let home = stage.now + Duration::from_secs(6);
        assert_eq!(
            until,
            if stays_home { home } else { home.before(Duration::from_millis(longer)) },
            "{longer}"
        );
        stage.now = until;
        let label = if stays_home { "b" } else { "a" };
        assert_eq!(stage.ask(&mut call), Told::Go(id(label)), "{longer}");
        let left = Stay::Left { tokens: CACHED, why: Leaving::Dear(Duration::from_millis(longer)) };
        let stay = call.lease.as_ref().map(|lease| lease.stay());
        assert_eq!(stay, Some(if stays_home { Stay::Kept { tokens: CACHED } } else { left }), "{longer}");
    }
}

/// The title of a session, say: asked beside its conversation, of the same model, and nothing of it is cached.
#[test]
fn a_small_thing_that_is_asked_beside_a_conversation_does_not_make_it_forget_where_it_is() {
    let mut stage = two();
    for (bytes, minutes, knows) in [(19_999, 0, true), (20_000, 0, false), (19_999, 6, false)] {
        begins(&mut stage, "b");
        stage.pass(minutes * 60_000);
        let mut beside = with("a", of_conversation(1, takes(100, 0)));
        beside.size.as_mut().expect("the stage is set for it").bytes = bytes;
        let call = stage.go(beside);
        stage.serve(call, usage(100, 0));
        let home = stage.memory().homes.pop().unwrap();
        assert_eq!(home.key, id(if knows { "b" } else { "a" }), "{bytes} after {minutes} min");
        let stay = stays(&mut stage, turn(10)).1;
        assert_eq!(stay, Some(if knows { Stay::Kept { tokens: CACHED } } else { Stay::New }), "{bytes}");
    }
}

/// What either key's answers say of itself: its organization, and its workspace there.
type Says = Option<(&'static str, Option<&'static str>)>;

#[test]
fn keys_of_one_workspace_read_one_cache_and_where_nobody_speaks_of_those_keys_of_one_organization() {
    let table: [(Says, Says, bool); 7] = [
        (None, None, false),
        (Some(("o", None)), None, false),
        (Some(("o", None)), Some(("o", None)), true),
        (Some(("o", None)), Some(("p", None)), false),
        (Some(("o", Some("w"))), Some(("o", Some("w"))), true),
        (Some(("o", Some("w"))), Some(("o", Some("x"))), false),
        (Some(("o", Some("w"))), Some(("o", None)), false),
    ];
    for (one, other, shares) in table {
        let mut stage = Stage::new(fleet(vec![key("a"), key("b")]));
        for (label, says) in [("a", one), ("b", other)] {
            let Some((organization, workspace)) = says else { continue };
            let mut call = stage.go(with(label, takes(1, 0)));
            let named = |name: &str| Some(name.to_owned());
            let quota = relay_core::Quota {
                organization: named(organization),
                workspace: workspace.and_then(named),
                ..relay_core::Quota::default()
            };
            stage.learn(&mut call, &quota);
            stage.serve(call, usage(1, 0));
        }
        begins(&mut stage, "a");
        let mut call = stage.go(with("a", takes(1, 0)));
        assert!(!stage.judge(&mut call, Verdict::KeyBad(Extent::Key)));
        let stay = stays(&mut stage, turn(10)).1;
        let left = Stay::Left { tokens: CACHED, why: Leaving::Unable };
        let expect = if shares { Stay::Kept { tokens: CACHED } } else { left };
        assert_eq!(stay, Some(expect), "{one:?} {other:?}");
    }
}
