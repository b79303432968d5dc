//! Laws of choice: shares are fair, and no ready key is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;
use relay_core::{Ask, Fleet, KeyId, Roll, Strategy, Usage};

use crate::fleets::{KEYS, PROVIDERS, STRATEGIES, fleets, key_id, square};
use crate::history::{Deed, Wish, anyone};
use crate::world::{World, places};

proptest! {
    #![proptest_config(crate::thorough())]

    #[test]
    fn round_robin_is_fair_within_one_over_the_keys_of_the_highest_priority_that_are_ready(
        fleet in fleets(),
        resting in vec(any::<bool>(), PROVIDERS.len() * KEYS.len()),
        provider in 0..PROVIDERS.len(),
        rolls in vec(any::<u64>(), 1..40),
    ) {
        let mut fleet = fleet;
        for provider in &mut fleet.providers {
            provider.strategy = Strategy::RoundRobin;
        }
        let rests = |(provider, key): (usize, usize)| resting[provider * KEYS.len() + key];
        let mut world = World::new(&fleet, 0);
        let all = places(&world.state.report(world.now));
        for key in all.iter().copied().filter(|key| rests(*key)) {
            world.happen(&Deed::Merge(key, 0, Duration::from_mins(1)), &[]);
        }
        let ready = all.into_iter().filter(|key| key.0 == provider && !rests(*key));
        let ready: BTreeSet<KeyId> = ready.map(key_id).collect();
        let keys = fleet.providers.iter().flat_map(|provider| &provider.keys);
        let keys: Vec<_> = keys.filter(|key| ready.contains(&key.id)).collect();
        let highest = keys.iter().map(|key| key.priority).max();
        let first = keys.iter().filter(|key| Some(key.priority) == highest);
        let mut counts: BTreeMap<KeyId, u32> = first.map(|key| (key.id, 0)).collect();
        for roll in rolls {
            let Some(key) = ask(&mut world, &fleet, &Wish { among: vec![provider], ..anyone() }, roll) else { break };
            *counts.get_mut(&key).unwrap() += 1;
        }
        let (least, most) = (counts.values().min(), counts.values().max());
        prop_assert!(most.zip(least).is_none_or(|(most, least)| most - least <= 1), "{:?}", counts);
    }

    #[test]
    fn round_robin_over_providers_is_fair_within_one_too(keys in select(&STRATEGIES), rolls in vec(any::<u64>(), 1..40)) {
        let fleet = square(Strategy::RoundRobin, keys);
        let mut world = World::new(&fleet, 0);
        let mut counts = [0_u32; 2];
        for roll in rolls {
            let key = ask(&mut world, &fleet, &anyone(), roll).unwrap();
            counts[usize::from([key_id((1, 0)), key_id((1, 1))].contains(&key))] += 1;
        }
        prop_assert!(counts[0].abs_diff(counts[1]) <= 1, "{:?}", counts);
    }

    #[test]
    fn a_strategy_that_spreads_leaves_no_ready_key_out(
        providers in select(&SPREADING),
        keys in select(&SPREADING),
        rolls in vec(any::<u64>(), 120),
    ) {
        let fleet = square(providers, keys);
        let mut world = World::new(&fleet, 0);
        let used: BTreeSet<_> = rolls.iter().filter_map(|roll| ask(&mut world, &fleet, &anyone(), *roll)).collect();
        prop_assert_eq!(used.len(), 4, "{:?}", used);
    }
}

/// Those under which every candidate has its share, also when nothing is in flight.
const SPREADING: [Strategy; 5] = [
    Strategy::RoundRobin,
    Strategy::Weighted,
    Strategy::Shuffle,
    Strategy::Random,
    Strategy::WeightedFailover,
];

/// Which key a call gets. It ends at once.
fn ask(world: &mut World, fleet: &Fleet, wish: &Wish, roll: u64) -> Option<KeyId> {
    let mut plan = fleet.plan(wish.need(), world.now);
    let Ask::Granted(lease) = world.state.ask(&mut plan, world.now, Roll(roll)) else { return None };
    let key = lease.key();
    world.state.close(lease, Usage::ZERO, world.now);
    key
}
