//! Random fleets, and the names by which tests speak of their providers, keys and classes.
//! It knows nothing of what happens to them.

use std::time::Duration;

use proptest::collection::vec;
use proptest::sample::{select, subsequence};
use proptest::strategy::{Just, Strategy as Generate, Union};
use relay_core::{Class, Fleet, Key, KeyId, Provider, ProviderId, Second, Strategy};

/// The providers a random fleet is made of.
pub(crate) const PROVIDERS: [&str; 4] = ["a", "b", "c", "d"];
/// The keys each of them may have.
pub(crate) const KEYS: [&str; 5] = ["1", "2", "3", "4", "5"];
/// The models that calls ask for; each is a class of its own.
pub(crate) const MODELS: [&str; 3] = ["x", "y", "z"];

/// Every strategy there is.
pub(crate) const STRATEGIES: [Strategy; 7] = [
    Strategy::Failover,
    Strategy::RoundRobin,
    Strategy::Weighted,
    Strategy::Shuffle,
    Strategy::Random,
    Strategy::LeastLoaded,
    Strategy::WeightedFailover,
];

/// The id of a provider by its place in [`PROVIDERS`].
pub(crate) fn provider_id(provider: usize) -> ProviderId {
    ProviderId::of(PROVIDERS[provider % PROVIDERS.len()])
}

/// The id of a key by its provider's place and its own.
pub(crate) fn key_id((provider, key): (usize, usize)) -> KeyId {
    KeyId::of(provider_id(provider), KEYS[key % KEYS.len()].as_bytes())
}

/// The class of a model by its place in [`MODELS`].
pub(crate) fn class(model: usize) -> Class {
    Class::of(MODELS[model % MODELS.len()])
}

/// Any fleet of up to four providers with up to five keys each, under any strategies. Half of them are
/// small, so that calls meet at the same keys.
pub(crate) fn fleets() -> impl Generate<Value = Fleet> {
    Union::new(vec![sized(PROVIDERS.len(), KEYS.len()), sized(2, 2)])
}

fn sized(n_providers: usize, n_keys: usize) -> impl Generate<Value = Fleet> {
    let places = subsequence((0..n_providers).collect::<Vec<_>>(), 1..=n_providers);
    let providers = places.prop_flat_map(move |places| {
        places.into_iter().map(|place| provider(place, n_keys)).collect::<Vec<_>>()
    });
    let waits = select(vec![0, 2, 30, 600, 3_600]).prop_map(Duration::from_secs);
    let seconds = select(vec![0, 1_000_000, 50_000_000, u64::MAX]).prop_map(Second);
    (providers, select(&STRATEGIES), waits, seconds).prop_map(|(providers, strategy, max_wait, second)| {
        Fleet {
            providers,
            strategy,
            max_wait,
            prefix_wait: Duration::from_secs(3),
            second,
            ..Fleet::default()
        }
    })
}

fn provider(place: usize, n_keys: usize) -> impl Generate<Value = Provider> {
    let keys = subsequence((0..n_keys).collect::<Vec<_>>(), 0..=n_keys);
    let shares = vec((0_u32..3, 0_u32..4), n_keys + 1);
    (Just(place), keys, select(&STRATEGIES), shares).prop_map(move |(place, keys, strategy, shares)| {
        Provider {
            strategy,
            priority: shares[n_keys].0,
            weight: shares[n_keys].1,
            ..Provider::new(
                PROVIDERS[place],
                keys.into_iter().zip(&shares).map(|(key, &share)| make_key(place, key, share)).collect(),
            )
        }
    })
}

fn make_key(provider: usize, key: usize, (priority, weight): (u32, u32)) -> Key {
    let label = format!("{}{}", PROVIDERS[provider], KEYS[key]);
    Key { priority, weight, ..Key::new(key_id((provider, key)), label) }
}

/// Two providers with two keys each, all alike.
pub(crate) fn square(among_providers: Strategy, among_keys: Strategy) -> Fleet {
    let providers = [0, 1].map(|place| Provider {
        strategy: among_keys,
        ..Provider::new(PROVIDERS[place], vec![make_key(place, 0, (0, 1)), make_key(place, 1, (0, 1))])
    });
    Fleet { providers: providers.to_vec(), strategy: among_providers, ..Fleet::default() }
}
