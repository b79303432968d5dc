//! When a call is told to come back, and that this is true.

use std::time::Duration;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use relay_core::{Exhausted, Need, Time};

use crate::stage::{Stage, Told, capped, fleet, takes, usage};
use crate::world::{Deed, Scene, Setting, Taking, World, deeds, settings, wishes};

const AT_ONCE: &[Taking] = &[Taking::AtOnce];
const ALL: &[Taking] = &[Taking::AtOnce, Taking::Early];

/// What it is told now, alone; and if that is a moment, what it is told a nanosecond before it and then.
fn alone(stage: &mut Stage, need: &Need) -> Option<(Told, Told, Told)> {
    let told = stage.would(need.clone());
    let until = until(&told)?;
    stage.now = until.before(Duration::from_nanos(1));
    let early = stage.would(need.clone());
    stage.now = until;
    Some((told, early, stage.would(need.clone())))
}

fn until(told: &Told) -> Option<Time> {
    match told {
        Told::Wait(until) | Told::No(Exhausted::Spent { until }) => Some(*until),
        _ => None,
    }
}

proptest! {
    #![proptest_config(crate::thorough(2))]

    #[test]
    fn a_call_alone_is_granted_at_the_moment_that_it_was_told(setting in settings(AT_ONCE), deeds in deeds(), wish in wishes()) {
        let mut world = World::after(&setting, &deeds);
        world.end();
        let Some((_, _, then)) = alone(&mut world.stage, &wish.need()) else { return Ok(()) };
        prop_assert!(matches!(then, Told::Go(_)), "{:?}", then);
    }

    /// With one key there is nobody else whose turn may come before.
    #[test]
    fn and_not_a_nanosecond_before(setting in settings(AT_ONCE), deeds in deeds(), wish in wishes()) {
        let setting = Setting { keys: setting.keys[..1].to_vec(), ..setting };
        let mut world = World::after(&setting, &deeds);
        world.end();
        let Some((told, early, _)) = alone(&mut world.stage, &wish.need()) else { return Ok(()) };
        prop_assert_eq!(until(&early), until(&told));
    }

    /// Whoever may not wait is told the first moment of all keys.
    #[test]
    fn whoever_is_refused_is_told_the_first_moment_at_which_any_key_would_serve(
        setting in settings(AT_ONCE),
        deeds in deeds(),
        wish in wishes(),
    ) {
        let mut world = World::after(&setting, &deeds);
        world.end();
        world.stage.fleet.max_wait = Duration::ZERO;
        let Some((told, early, then)) = alone(&mut world.stage, &wish.need()) else { return Ok(()) };
        prop_assert!(matches!(told, Told::No(Exhausted::Spent { .. })), "{:?}", told);
        prop_assert_eq!(early, told);
        prop_assert!(matches!(then, Told::Go(_)), "{:?}", then);
    }

    /// Nor is it any other whose answer is slow, as long as nobody else's is under way.
    #[test]
    fn a_call_with_a_slow_answer_is_told_the_first_moment_too(
        rate in 60_u64..100_000,
        taken in 0_u64..20_000,
        output in 1_u64..20_000,
        pace in 1_u64..2_000,
    ) {
        let mut stage = Stage::new(fleet(vec![capped("a", [None, None, Some(rate)])]));
        let call = stage.go(takes(0, 1));
        stage.serve(call, usage(1, taken));
        let mut need = takes(0, output);
        need.size.as_mut().expect("the stage is set for it").foretold.as_mut().expect("the stage is set for it").pace = Some(pace);
        let Some((told, early, then)) = alone(&mut stage, &need) else { return Ok(()) };
        prop_assert!(matches!(then, Told::Go(_)), "{:?} after {:?}", then, told);
        prop_assert_eq!(until(&early), until(&told));
    }

    /// So the largest call is served in bounded time among however many small ones.
    #[test]
    fn nobody_is_served_later_than_he_was_told_whoever_comes_after_him(
        setting in settings(AT_ONCE),
        counted in 0_usize..3,
        deeds in deeds(),
    ) {
        // Where one thing is counted: of two, one is not refilled beyond full while the first in line waits for the
        // other. And with one key: of several, one whose line is too long may be the cheapest, and then it is only
        // looked again when another's moment comes.
        let limited = setting.limited_to(counted);
        let setting = Setting { keys: limited.keys[..1].to_vec(), ..limited };
        let mut world = World::after(&setting, &deeds);
        world.happen(&Deed::Pass(Duration::from_mins(30)));
        for scene in &world.scenes {
            // Those whom somebody waits for go before those whom nobody waits for, whenever they come.
            if let Scene::Served { at, told, background: false } = scene {
                // A bucket that became full gains nothing for the rest of that nanosecond.
                prop_assert!(*at <= *told + Duration::from_micros(1), "{:?} is after {:?}", at, told);
            }
        }
    }
}

proptest! {
    #![proptest_config(crate::thorough(8))]

    #[test]
    fn whoever_is_called_goes_and_in_the_end_nobody_waits(setting in settings(ALL), deeds in deeds()) {
        let only = setting.keys.len() == 1;
        let mut world = World::after(&setting, &deeds);
        for _ in 0..400 {
            if world.stage.state.report(world.stage.now).waiting == 0 {
                break;
            }
            world.answer_all();
            world.happen(&Deed::Pass(Duration::from_mins(2)));
        }
        for scene in &world.scenes {
            if let Scene::Told { called: true, told } = scene && only {
                prop_assert!(matches!(told, Told::Go(_)), "he was called, and told {:?}", told);
            }
        }
        prop_assert_eq!(world.stage.state.report(world.stage.now).waiting, 0);
    }
}
