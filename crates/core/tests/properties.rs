//! The laws of the core, each held against random histories: random fleets under every strategy,
//! calls, answers, clients that leave, reloads, pardons and facts, with time moving on between them.

#[path = "properties/fleets.rs"]
mod fleets;
#[path = "properties/history.rs"]
mod history;
#[path = "properties/world.rs"]
mod world;

#[path = "properties/leases.rs"]
mod leases;

#[path = "properties/keys.rs"]
mod keys;

#[path = "properties/waits.rs"]
mod waits;

#[path = "properties/inventory.rs"]
mod inventory;

#[path = "properties/fairness.rs"]
mod fairness;

use proptest::prelude::ProptestConfig;

/// How the laws are held: what failed is printed whole, and nothing is written beside the sources.
/// `PROPTEST_CASES` asks for more than the usual number of cases.
fn thorough() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}
