//! Laws of what is kept and shared: a reload loses nothing that stays, facts merge.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use relay_core::memory::Mark;
use relay_core::{Fact, KeyId, Learned, Roll, Unready};

use crate::history::{Deed, History, histories};
use crate::world::{World, keys_of};

proptest! {
    #![proptest_config(crate::thorough())]

    #[test]
    fn what_comes_twice_comes_once_reloads_and_facts_alike(history in histories()) {
        let twice = History { times: 2, ..history.clone() };
        prop_assert_eq!(World::seen(&history), World::seen(&twice));
    }

    #[test]
    fn hearing_its_own_facts_again_changes_nothing(history in histories()) {
        let mut deaf = history.clone();
        for deed in &mut deaf.deeds {
            if matches!(deed, Deed::Echo) {
                *deed = Deed::Pass(Duration::ZERO);
            }
        }
        prop_assert_eq!(World::seen(&history), World::seen(&deaf));
    }

    #[test]
    fn a_reload_keeps_what_is_known_of_every_key_that_stays(history in histories()) {
        let mut world = World::after(&history);
        let before = world.state.report(world.now);
        for next in &history.fleets {
            world.state.reconcile(next, world.now);
            for key in keys_of(&world.state.report(world.now)) {
                // A key in use is never forgotten, even while it is not configured.
                if let Some(known) = keys_of(&before).find(|known| known.id == key.id && known.in_flight > 0) {
                    prop_assert_eq!(known, key);
                }
            }
        }
    }

    #[test]
    fn a_reload_of_the_same_fleet_changes_nothing(history in histories()) {
        let mut world = World::after(&history);
        let before = (world.state.report(world.now), world.state.export(world.now));
        world.state.reconcile(&world.fleet, world.now);
        prop_assert_eq!(before, (world.state.report(world.now), world.state.export(world.now)));
    }

    #[test]
    fn what_is_exported_is_when_used_up_quotas_are_there_again(history in histories()) {
        let world = World::after(&history);
        let mut expect = Learned::default();
        for key in keys_of(&world.state.report(world.now)) {
            for (class, unready) in &key.held {
                if let (Some(class), Unready::Cooling(until)) = (class, unready) {
                    expect.merge(Fact { key: key.id, class: class.clone(), until: *until });
                }
            }
        }
        prop_assert_eq!(exported(&world), expect);
    }

    #[test]
    fn a_relay_that_starts_again_holds_against_every_key_what_it_held_before(history in histories()) {
        let world = World::after(&history);
        let mut fresh = World::new(&world.fleet, 0);
        let (memory, _) = world.state.remember(Mark::default(), world.now);
        fresh.state.recall(memory.clone(), world.now, Roll(1));
        let (before, after) = (world.state.report(world.now), fresh.state.report(world.now));
        for (before, after) in keys_of(&before).zip(keys_of(&after)) {
            prop_assert_eq!(&before.held, &after.held);
        }
        // Told again in the same words, and recalled twice it is recalled once.
        prop_assert_eq!(&fresh.state.remember(Mark::default(), world.now).0.keys, &memory.keys);
        fresh.state.recall(memory, world.now, Roll(2));
        prop_assert_eq!(fresh.state.report(world.now), after);
    }

    #[test]
    fn what_one_relay_exports_another_exports_after_merging_it(history in histories()) {
        let world = World::after(&history);
        let exported = exported(&world);
        let mut fresh = World::new(&world.fleet, 0);
        for fact in exported.facts() {
            prop_assert!(fresh.state.merge(&fact, world.now), "{:?} is news", fact);
        }
        prop_assert_eq!(&fresh.state.export(world.now), &exported);
        for fact in exported.facts() {
            prop_assert!(!fresh.state.merge(&fact, world.now), "{:?} is no news any more", fact);
        }
        prop_assert_eq!(&fresh.state.export(world.now), &exported);
    }
}

/// What a world exports of the keys that are configured.
fn exported(world: &World) -> Learned {
    let configured: BTreeSet<KeyId> = keys_of(&world.state.report(world.now)).map(|key| key.id).collect();
    let mut exported = Learned::default();
    for fact in world.state.export(world.now).facts().filter(|fact| configured.contains(&fact.key)) {
        exported.merge(fact);
    }
    exported
}
