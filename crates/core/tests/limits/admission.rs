//! What is let through, and what is left when it has ended.

use std::time::Duration;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use relay_core::Exhausted;

use crate::stage::{Told, takes, with};
use crate::world::{Deed, Limit, Scene, Setting, Taking, World, deeds, settings};

const ALL: &[Taking] = &[Taking::AtOnce, Taking::Early];

proptest! {
    #![proptest_config(crate::thorough(1))]

    /// Guards, among others, the rule that nothing is given back twice: what is refunded once too often is admitted
    /// once too often.
    #[test]
    fn nothing_is_let_through_beyond_a_limit_whatever_happens(setting in settings(ALL), deeds in deeds()) {
        for scene in World::after(&setting, &deeds).scenes {
            if let Scene::Beyond(key, wish, bucket) = scene {
                prop_assert!(false, "{:?} let {:?} through although there was {:?}", key, wish, bucket);
            }
        }
    }

    #[test]
    fn what_was_promised_and_not_taken_is_there_again_at_the_exact_moment(
        setting in settings(ALL),
        deeds in deeds(),
    ) {
        // Their own caps only, for nobody but they themselves knows how full those are.
        let nothing = Limit { rates: [None; 3], burst: Duration::from_secs(6) };
        let setting = Setting { organizations: vec![nothing; 3], ..setting };
        // What a provider turns out not to have counted is given back when it says so, and no bucket is more than full.
        let deeds: Vec<_> = deeds.into_iter().map(Deed::not_refused).collect();
        let mut world = World::after(&setting, &deeds);
        world.end();
        let report = world.stage.state.report(world.stage.now);
        prop_assert_eq!(report.waiting, 0);
        prop_assert!(report.providers[0].keys.iter().all(|key| key.in_flight == 0));
        let now = world.stage.now;
        for (place, _) in setting.keys.iter().enumerate().filter(|(_, (_, caps))| *caps != [None; 3]) {
            world.stage.now = now;
            let label = &world.stage.fleet.providers[0].keys[place].label.clone();
            let held = world.caps(place).map(|bucket| bucket.map(|bucket| bucket.capacity()));
            let full = world.caps(place).iter_mut().flatten().map(|bucket| bucket.admits_at(u64::MAX, now)).max();
            // Whatever is not capped may be had without end.
            let all = takes(held[1].unwrap_or(1_000_000), held[2].unwrap_or(1_000_000));
            let expect = [(1, held[1].unwrap_or(1_000_000)), (2, held[2].unwrap_or(1_000_000)), (0, 1)];
            let expect = expect.map(|(meter, units)| world.caps(place)[meter].as_mut().map_or(now, |it| it.admits_at(units, now)));
            let expect = expect.into_iter().max().expect("the stage is set for it");
            let told = world.stage.would(with(label, all.clone()));
            if expect == now {
                prop_assert!(matches!(told, Told::Go(_)));
            } else {
                prop_assert!(told == Told::Wait(expect) || told == Told::No(Exhausted::Spent { until: expect }), "{told:?} is not {expect:?}");
            }
            // All requests that a full bucket holds go at once, and none more.
            world.stage.now = full.expect("the stage is set for it");
            if let Some(most) = held[0] {
                let calls: Vec<_> = (0..most).map(|_| world.stage.go(with(label, takes(0, 0)))).collect();
                prop_assert!(!matches!(world.stage.would(with(label, takes(0, 0))), Told::Go(_)), "more than {most}");
                for call in calls {
                    world.stage.leave(call);
                }
            }
        }
    }
}
