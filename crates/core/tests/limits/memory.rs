//! What a restart does not forget, and what it must not be misled by.

use std::time::Duration;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use relay_core::affinity::Stay;
use relay_core::memory::{Cause, KeyMemory, Mark, SpreadMemory};
use relay_core::{
    Counted, Exhausted, Extent, LONGEST_UNPROBED, Memory, Quota, Reason, Size, Text, Time, Unready, Usage,
    Verdict,
};

use crate::stage::{
    Stage, Told, about, at, capped, fleet, gauge, id, key, of_conversation, of_group, organization, says,
    sized, takes, unified, usage, with,
};
use crate::world::{Deed, Scene, Taking, World, deeds, settings};

const ALL: &[Taking] = &[Taking::AtOnce, Taking::Early];

/// When somebody may go, as far as he was told.
fn moment(told: &Told, now: Time) -> Option<Time> {
    match told {
        Told::Go(_) => Some(now),
        Told::Wait(until) | Told::No(Exhausted::Spent { until }) => Some(*until),
        Told::No(_) => None,
    }
}

proptest! {
    #![proptest_config(crate::thorough(2))]

    /// A level is remembered as a moment, in whole nanoseconds: so much later somebody may be let through.
    #[test]
    fn whoever_asks_after_a_restart_is_told_what_he_would_have_been_told_without_one(
        setting in settings(ALL),
        deeds in deeds(),
        down in 0_u64..100_000_000_000,
        later in 0_u64..100_000_000_000,
    ) {
        let mut world = World::after(&setting, &deeds);
        world.end();
        let memory = world.stage.memory();
        let mut old = world.stage;
        let mut new = Stage::new(old.fleet.clone());
        new.now = old.now + Duration::from_nanos(down);
        new.start_with(memory);
        (new.now, new.dice) = (new.now + Duration::from_nanos(later), old.dice);
        old.now = new.now;
        for label in old.fleet.providers[0].keys.iter().map(|key| key.label.clone()).collect::<Vec<_>>() {
            for need in [(1, 0), (100, 10), (5_000, 1_000), (40_000, 0), (0, 8_000)] {
                let need = |model| with(&label, about(model, takes(need.0, need.1)));
                for model in ["x", "y"] {
                    let (before, after) = (old.would(need(model)), new.would(need(model)));
                    let (before, after) = (moment(&before, old.now), moment(&after, new.now));
                    prop_assert_eq!(before.is_some(), after.is_some());
                    let late = after.zip(before).map(|(after, before)| (after.since(before), before.since(after)));
                    prop_assert!(
                        late.is_none_or(|(late, early)| early.is_zero() && late <= Duration::from_nanos(4)),
                        "{:?} was {:?}", after, before
                    );
                }
            }
        }
    }

    /// Of calls that a provider lets through: of one that it refuses late it is not known whether a level that was shown
    /// meanwhile counts it, with or without a restart.
    #[test]
    fn nothing_is_let_through_beyond_a_limit_whenever_the_relay_is_killed(
        setting in settings(ALL),
        before in deeds(),
        down in 0_u64..10_000_000_000,
        after in deeds(),
    ) {
        let before: Vec<_> = before.into_iter().map(Deed::not_refused).collect();
        let mut world = World::after(&setting, &before);
        world.restart(Duration::from_nanos(down));
        for deed in after.into_iter().map(Deed::not_refused) {
            world.happen(&deed);
        }
        for scene in world.scenes {
            if let Scene::Beyond(key, wish, bucket) = scene {
                prop_assert!(false, "{:?} let {:?} through although there was {:?}", key, wish, bucket);
            }
        }
    }

    #[test]
    fn what_was_recalled_is_told_again_in_the_same_words(setting in settings(ALL), deeds in deeds()) {
        let world = World::after(&setting, &deeds);
        let mut stage = world.stage;
        let memory = since(stage.memory(), stage.now);
        stage.start_with(memory.clone());
        prop_assert_eq!(since(stage.memory(), stage.now), memory);
    }

    /// Whatever a clock or a disk makes of what was written, nobody is locked out for longer than by what really happens.
    #[test]
    fn no_memory_however_wrong_locks_a_key_for_longer_than_its_caps(moments in proptest::collection::vec(any::<u64>(), 8)) {
        let mut stage = told_of_everything();
        let mut memory = stage.memory();
        let mut moments = moments.into_iter().cycle().map(|nanos| Time::from_epoch(Duration::from_nanos(nanos)));
        let mut next = || moments.next().expect("it is endless");
        memory.at = next();
        for holder in &mut memory.holders {
            for rest in &mut holder.rests {
                rest.probe_at = next();
                if let Cause::Cooling { until } = &mut rest.cause {
                    *until = next();
                }
            }
            for limit in &mut holder.limits {
                (limit.full, limit.per_minute) = (next(), next().since_epoch().subsec_nanos().into());
            }
            for window in &mut holder.windows {
                window.ends = next();
            }
        }
        for known in &mut memory.keys {
            for cap in &mut known.caps {
                cap.full = next();
            }
            for rest in &mut known.rests {
                rest.probe_at = next();
            }
        }
        stage.start_with(memory);
        let week = stage.now + Duration::from_hours(24 * 7);
        for rest in stage.key("a").held.iter().map(|(_, held)| held) {
            prop_assert!(matches!(rest, Unready::Cooling(until) | Unready::UsedUp(_, until) if *until <= week) || matches!(rest, Unready::Barred(_, probe) if *probe <= stage.now + LONGEST_UNPROBED));
        }
        // Of what its caps and limits allow at once it may have some again after a week.
        stage.now = week + Duration::from_mins(1);
        prop_assert!(matches!(stage.would(takes(1, 1)), Told::Go(_)));
    }
}

/// The same in one order; whatever is full since some moment before is full now.
fn since(mut memory: Memory, now: Time) -> Memory {
    for holder in &mut memory.holders {
        holder.limits.sort_by(|one, other| one.class.cmp(&other.class));
    }
    let limits = memory.holders.iter_mut().flat_map(|holder| &mut holder.limits);
    let caps = memory.keys.iter_mut().flat_map(|key| &mut key.caps);
    for limit in limits.chain(caps) {
        limit.full = limit.full.max(now);
    }
    memory.estimates.sort_by(|one, other| one.class.cmp(&other.class));
    memory
}

/// One capped key, with an organization, a workspace, and limits of both; it rests for one model and is barred for
/// another.
fn told_of_everything() -> Stage {
    let mut stage = Stage::new(fleet(vec![capped("a", [Some(60), Some(100_000), Some(10_000)])]));
    let mut call = stage.go(takes(100, 10));
    let quota = Quota {
        workspace: Some("wrkspc_1".to_owned()),
        requests: gauge(60, 50),
        input: gauge(100_000, 90_000),
        output: gauge(20_000, 20_000),
        tokens: gauge(50_000, 49_000),
        unified: Some(unified(&[("5h", "allowed 0.25", 3_600), ("7d_x", "allowed_warning 0.75", 86_400)])),
        ..organization("org_1")
    };
    stage.learn(&mut call, &quota);
    stage.serve(call, usage(100, 10));
    let mut call = stage.go(about("used-up", takes(1, 0)));
    stage.learn(&mut call, &says(&[("7d_x", "rejected 1", 80_000)]));
    stage.judge(&mut call, Verdict::Spent { until: at(90_000) });
    let mut call = stage.go(about("spent", takes(1, 0)));
    stage.judge(&mut call, Verdict::Spent { until: at(90_000) });
    let mut call = stage.go(about("refused", takes(1, 0)));
    stage.judge(&mut call, Verdict::KeyBad(Extent::Class));
    stage
}

#[test]
fn organization_workspace_and_all_limits_are_known_after_a_restart() {
    let mut stage = told_of_everything();
    let (before, limits) = (stage.key("a"), stage.limits("a"));
    assert_eq!(before.workspace.as_deref(), Some("wrkspc_1"));
    assert!(limits.iter().any(|limit| limit.0 == Counted::Tokens), "{limits:?}");
    stage.restart();
    let after = stage.key("a");
    assert_eq!((after.organization, after.workspace), (before.organization, before.workspace));
    assert_eq!((after.held, stage.limits("a")), (before.held, limits));
    assert_eq!((after.windows.len(), after.windows), (3, before.windows));
}

#[test]
fn a_key_rests_for_what_is_left_and_is_asked_about_when_it_would_have_been() {
    let mut stage = Stage::new(fleet(vec![key("a"), key("b")]));
    let mut call = stage.go(with("a", takes(1, 0)));
    stage.judge(&mut call, Verdict::Spent { until: at(500_000) });
    let memory = stage.memory();
    stage.pass(100_000);
    stage.start_with(memory);
    let class = relay_core::Class::of("m");
    assert_eq!(stage.key("a").held, [(Some(class), Unready::Cooling(at(500_000)))]);
    assert_eq!(stage.would(with("a", takes(1, 0))), Told::Wait(at(300_000)), "not five minutes from now on");
    assert_eq!(stage.would(takes(1, 0)), Told::Go(id("b")));
}

#[test]
fn a_rest_that_ended_meanwhile_has_ended() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let mut call = stage.go(takes(1, 0));
    stage.judge(&mut call, Verdict::Spent { until: at(60_000) });
    let memory = stage.memory();
    stage.pass(60_000);
    stage.start_with(memory);
    assert_eq!(stage.key("a").held, []);
    stage.go(takes(1, 0));
}

#[test]
fn a_key_that_was_refused_twice_is_barred_for_longer_the_third_time() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    for wait in [30_000, 60_000, 120_000] {
        let mut call = stage.go(takes(1, 0));
        stage.judge(&mut call, Verdict::KeyBad(Extent::Key));
        stage.restart();
        let then = stage.now + Duration::from_millis(wait);
        assert_eq!(stage.key("a").held, [(None, Unready::Barred(Reason::Unaccepted, then))]);
        stage.pass(wait);
    }
    let call = stage.go(takes(1, 0));
    stage.serve(call, usage(1, 0));
    assert_eq!(stage.key("a").held, [], "what was held against it is disproved");
}

#[test]
fn of_a_key_whose_secret_is_another_nothing_is_recalled() {
    let mut stage = told_of_everything();
    let memory = stage.memory();
    stage.fleet.providers[0].keys[0].label = "another".to_owned();
    stage.start_with(memory);
    let key = stage.key("another");
    assert!(key.limits.iter().all(|limit| limit.holder.is_none()), "its own caps, and no other's");
    assert_eq!((key.held, key.organization, key.workspace), (vec![], None, None));
}

#[test]
fn what_keys_share_is_recalled_whichever_of_them_is_still_there() {
    for gone in 0..2 {
        let mut stage = Stage::new(fleet(vec![key("a"), key("b")]));
        for label in ["a", "b"] {
            let mut call = stage.go(with(label, takes(1, 0)));
            stage.learn(&mut call, &Quota { requests: gauge(60, 9), ..organization("org_1") });
            stage.serve(call, usage(1, 0));
        }
        let left = ["b", "a"][gone];
        let limits = stage.limits(left);
        let memory = stage.memory();
        assert_eq!(memory.holders.len(), 1, "it is told once: {memory:?}");
        stage.fleet.providers[0].keys.remove(gone);
        stage.start_with(memory);
        assert_eq!((stage.limits(left), limits.len()), (limits, 1));
    }
}

#[test]
fn a_group_whose_organization_nobody_has_named_is_recalled_whole() {
    let mut stage = Stage::new(fleet(vec![of_group("a", "g"), of_group("b", "g")]));
    let mut call = stage.go(with("a", takes(1, 0)));
    stage.learn(&mut call, &Quota { requests: gauge(60, 5), ..Quota::default() });
    stage.serve(call, usage(1, 0));
    let limits = stage.limits("b");
    stage.restart();
    assert_eq!((stage.limits("a"), stage.limits("b"), limits.len()), (limits.clone(), limits.clone(), 1));
    // Split, each is taken to have what both had: the next answers say how much it is.
    let memory = stage.memory();
    stage.fleet.providers[0].keys = vec![key("a"), key("b")];
    stage.start_with(memory);
    assert_eq!((stage.limits("a"), stage.limits("b")), (limits.clone(), limits));
}

#[test]
fn a_key_that_comes_late_is_known_as_it_was_and_of_those_who_came_before_nothing_is_held_anew() {
    let mut stage = Stage::new(fleet(vec![key("a"), key("b")]));
    for label in ["a", "b"] {
        let mut call = stage.go(with(label, of_conversation(7, takes(10_000, 0))));
        stage.learn(&mut call, &Quota { requests: gauge(60, 9), ..organization("org_1") });
        stage.serve(call, Usage { cache_write: 10_000, ..Usage::ZERO });
    }
    let (limits, both) = (stage.limits("b"), stage.fleet.clone());
    let mut call = stage.go(with("b", takes(1, 0)));
    stage.judge(&mut call, Verdict::KeyBad(Extent::Key));
    let mut call = stage.go(with("a", takes(1, 0)));
    stage.judge(&mut call, Verdict::Spent { until: at(60_000) });
    let (memory, held) = (stage.memory(), stage.key("b").held);
    assert_eq!(held.len(), 2, "its own, and its organization's");

    // Its command takes long. Meanwhile the other one finds that there is something left after all.
    stage.fleet.providers[0].keys.truncate(1);
    stage.start_with(memory);
    assert_eq!(stage.key("a").held.len(), 1);
    stage.pass(60_000);
    let call = stage.go(of_conversation(8, takes(10, 0)));
    stage.serve(call, Usage { cache_write: 10, ..Usage::ZERO });
    stage.fleet = both;
    let fleet = stage.fleet.clone();
    drop(stage.state.take_events());
    stage.state.reconcile(&fleet, stage.now);
    assert_eq!(stage.key("a").held, []);
    assert_eq!(stage.key("b").held, held[..1]);
    assert_eq!(stage.key("b").organization.as_deref(), Some("org_1"));
    assert_eq!(stage.key("b").limits, stage.key("a").limits);
    assert_eq!(stage.limits("b").len(), limits.len());
    assert!(stage.state.take_events().is_empty(), "that is no news");
    // Where its conversation was is known again, and told behind nobody.
    let homes: Vec<_> = stage.memory().homes.iter().map(|home| home.conversation.0).collect();
    assert_eq!(homes, [7, 8]);
    stage.state.reconcile(&fleet, stage.now);
    assert_eq!(stage.key("b").held, held[..1]);
}

#[test]
fn a_cap_that_is_overdrawn_stays_so_unless_the_operator_has_changed_it() {
    let mut stage = Stage::new(fleet(vec![capped("a", [None, Some(60_000), None])]));
    let call = stage.go(takes(6_000, 0));
    stage.serve(call, usage(66_000, 0));
    let memory = stage.memory();
    stage.start_with(memory.clone());
    assert_eq!(stage.would(takes(1_000, 0)), Told::Wait(at(61_000)));
    stage.fleet.providers[0].keys[0].caps.input = Some(120_000);
    stage.start_with(memory);
    assert_eq!(stage.would(takes(1_000, 0)), Told::Go(id("a")));
}

#[test]
fn a_clock_that_was_put_back_prolongs_nothing() {
    let mut stage = told_of_everything();
    let (memory, held) = (stage.memory(), stage.key("a").held);
    let back = Duration::from_hours(10);
    stage.now = stage.now.before(back);
    let mark = stage.start_with(memory);
    assert_eq!(mark, Mark::default(), "all of it is to be written anew");
    let shifted = |held: &Unready| match held {
        Unready::Cooling(until) => Unready::Cooling(until.before(back)),
        Unready::UsedUp(window, until) => Unready::UsedUp(*window, until.before(back)),
        Unready::Barred(reason, probe_at) => Unready::Barred(*reason, probe_at.before(back)),
    };
    let expect: Vec<_> = held.iter().map(|(class, held)| (class.clone(), shifted(held))).collect();
    assert_eq!(stage.key("a").held, expect);
    // A bucket is not waited for until the clock is again where it was.
    stage.pass(61_000);
    stage.go(takes(1, 1));
}

#[test]
fn a_conversation_goes_on_with_its_key_while_its_cache_lives() {
    let begun = |stage: &mut Stage| {
        let call = stage.go(with("b", of_conversation(1, takes(10_000, 0))));
        stage.serve(call, Usage { cache_write: 10_000, ..Usage::ZERO });
        stage.memory()
    };
    for (down, expect) in
        [(0, Stay::Kept { tokens: 10_000 }), (299_999, Stay::Kept { tokens: 10_000 }), (300_000, Stay::New)]
    {
        let mut stage = Stage::new(fleet(vec![key("a"), key("b")]));
        let memory = begun(&mut stage);
        stage.pass(down);
        stage.start_with(memory);
        let call = stage.go(of_conversation(1, takes(10_010, 0)));
        assert_eq!(call.lease.as_ref().map(|lease| lease.stay()), Some(expect), "after {down} ms");
    }
    // What came from a clock that went ahead does not live longer for that.
    let mut stage = Stage::new(fleet(vec![key("a"), key("b")]));
    let mut memory = begun(&mut stage);
    memory.homes[0].used = at(1_000_000_000);
    stage.start_with(memory);
    stage.pass(300_000);
    let call = stage.go(of_conversation(1, takes(10_010, 0)));
    assert_eq!(call.lease.as_ref().map(|lease| lease.stay()), Some(Stay::New));
}

#[test]
fn what_calls_will_use_is_known_after_a_restart() {
    let size = Size { bytes: 40_000, max_tokens: Some(100_000), streams: true, ..Size::default() };
    let mut stage = Stage::new(fleet(vec![capped("a", [None, Some(10_000_000), Some(1_000_000)])]));
    for _ in 0..20 {
        let mut call = stage.go(sized(size));
        stage.begin(&mut call, usage(7_000, 0));
        stage.pass(10_000);
        stage.close(call, usage(7_000, 3_000));
    }
    stage.pass(60_000);
    let reserved = |stage: &mut Stage| {
        let call = stage.go(sized(size));
        let around = stage.state.around(call.lease.as_ref().expect("the stage is set for it"), stage.now);
        stage.leave(call);
        around.remaining
    };
    let memory = stage.memory();
    let known = reserved(&mut stage);
    stage.start_with(memory);
    assert_eq!(reserved(&mut stage), known);
    stage.start_with(Memory::default());
    assert_ne!(reserved(&mut stage), known, "without it they would be guessed");
}

#[test]
fn numbers_that_mean_nothing_are_passed_over() {
    let size = Size { bytes: 1_000, max_tokens: Some(500), streams: true, ..Size::default() };
    let mut stage = Stage::new(fleet(vec![capped("a", [None, Some(100_000), Some(100_000)])]));
    let mut call = stage.go(sized(size));
    stage.begin(&mut call, usage(300, 0));
    stage.close(call, usage(300, 100));
    let mut memory = stage.memory();
    let heavy = SpreadMemory { of: 0, bars: vec![u32::MAX; 97], sum: u64::MAX };
    let endless = SpreadMemory { of: 1, bars: [vec![200; 1], vec![0; 96]].concat(), sum: u64::MAX };
    let short = SpreadMemory { of: 16, bars: vec![1; 3], sum: 9 };
    let unknown = SpreadMemory { of: 9_999, bars: vec![1; 97], sum: 9 };
    memory.estimates[0].spreads = vec![heavy, endless, short, unknown];
    memory.keys[0].organization = Some(usize::MAX);
    memory.keys.push(KeyMemory { key: id("nobody"), ..memory.keys[0].clone() });
    stage.start_with(memory);
    stage.pass(60_000);
    stage.go(sized(size));
}

#[test]
fn how_many_tokens_texts_have_is_learned_by_class_and_survives_a_restart() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    // Its thoughts are not shown, so there are more tokens than bytes.
    let of_thinker = Text { bytes: 100_000, tokens: 400_000 };
    let mut call = stage.go(about("thinker", takes(10, 10)));
    stage.begin(&mut call, usage(10, 0));
    let lease = call.lease.as_ref().unwrap();
    assert_eq!(stage.state.text(lease), Text::SEED);
    stage.state.note_text(lease, of_thinker);
    let learned = stage.state.text(lease).tokens_in(1_000);
    assert!((3_800..=4_000).contains(&learned), "{learned}");
    stage.close(call, usage(10, 10));
    // A provider who cannot count does not count for much.
    let mut need = about("absurd", takes(10, 10));
    need.size.as_mut().unwrap().max_tokens = Some(4_000);
    let call = stage.go(need);
    let lease = call.lease.as_ref().unwrap();
    stage.state.note_text(lease, Text { bytes: 1_000, tokens: u64::MAX });
    assert!(stage.state.text(lease).tokens_in(1_000) <= 1_000);
    stage.leave(call);
    let like = |stage: &mut Stage, model: &str| {
        let call = stage.go(about(model, takes(10, 10)));
        let text = stage.state.text(call.lease.as_ref().unwrap());
        stage.leave(call);
        text.tokens_in(1_000)
    };
    assert_eq!([like(&mut stage, "thinker"), like(&mut stage, "other")], [learned, 250]);
    let mut memory = stage.memory();
    stage.start_with(memory.clone());
    assert_eq!([like(&mut stage, "thinker"), like(&mut stage, "other")], [learned, 250]);
    // What makes no sense is not believed.
    for (bars, sum) in [(vec![], 5), (vec![0], 5), (vec![5, 5], 5), (vec![u32::MAX], 5), (vec![5], u64::MAX)]
    {
        let text = memory.estimates.iter_mut().flat_map(|known| &mut known.spreads);
        text.filter(|spread| spread.of == 2)
            .for_each(|spread| (spread.bars, spread.sum) = (bars.clone(), sum));
        stage.start_with(memory.clone());
        assert_eq!(like(&mut stage, "thinker"), 250, "{bars:?} {sum}");
    }
}

#[test]
fn only_what_is_new_is_told_again() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let turn = |stage: &mut Stage, conversation, model: &str| {
        let call = stage.go(about(model, of_conversation(conversation, takes(10, 0))));
        stage.serve(call, usage(10, 1));
        stage.pass(1_000);
    };
    turn(&mut stage, 1, "x");
    turn(&mut stage, 2, "y");
    stage.state.own("file_1", id("a"));
    let (all, mark) = stage.state.remember(Mark::default(), stage.now);
    assert_eq!((all.homes.len(), all.estimates.len(), all.owners.len()), (2, 2, 1));
    stage.pass(1);
    let (none, mark) = stage.state.remember(mark, stage.now);
    assert_eq!((none.homes, none.estimates, none.owners), (vec![], vec![], vec![]));
    assert_eq!((none.keys, none.holders), (all.keys.clone(), all.holders.clone()), "as nothing has happened");
    stage.pass(1);
    turn(&mut stage, 2, "x");
    stage.state.own("file_2", id("a"));
    let (new, _) = stage.state.remember(mark, stage.now);
    assert_eq!(new.homes.iter().map(|home| home.conversation.0).collect::<Vec<_>>(), [2]);
    assert_eq!(new.estimates.iter().map(|known| known.class.as_str()).collect::<Vec<_>>(), ["x"]);
    assert_eq!(new.owners, [("file_2".to_owned(), id("a"))]);
    // And after a restart nothing is new but what is new.
    let mark = stage.start_with(all);
    stage.pass(1);
    let (none, _) = stage.state.remember(mark, stage.now);
    assert_eq!((none.homes, none.estimates, none.owners), (vec![], vec![], vec![]));
    assert_eq!(stage.state.owner("file_1"), Some(id("a")));
}

#[test]
fn names_that_clients_made_up_long_ago_are_forgotten() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    for model in 0..300 {
        let call = stage.go(about(&format!("model{model}"), takes(10, 0)));
        stage.serve(call, usage(10, 1));
        stage.pass(1_000);
    }
    let memory = stage.memory();
    assert_eq!(memory.estimates.len(), 300);
    stage.start_with(memory.clone());
    let kept: Vec<_> = stage.memory().estimates.into_iter().map(|known| known.class).collect();
    assert!(kept.len() == 200 && !kept.contains(&relay_core::Class::of("model99")), "{kept:?}");
    assert!(kept.contains(&relay_core::Class::of("model299")), "the last ones");
    stage.now = stage.now + Duration::from_hours(24 * 31);
    stage.start_with(memory);
    assert_eq!(stage.memory().estimates.len(), 0);
}

#[test]
fn moments_are_moved_together() {
    let stage = told_of_everything();
    let memory = stage.memory();
    let there = memory.clone().moved(stage.now + Duration::from_hours(3));
    assert_ne!(there, memory);
    assert_eq!(there.moved(stage.now), memory);
    assert_eq!(memory.clone().moved(Time::EPOCH).at, Time::EPOCH);
}
