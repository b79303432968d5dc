//! What keys carry, on a virtual clock, as a simulated provider judges it.

use relay_sim::{Limit, Organization};

mod agents;
mod crowds;
mod day;
mod forecasts;
mod mixed;

/// An organization with one key and that limit.
fn organization(id: &str, limit: Limit) -> Organization {
    Organization { limit, ..Organization::open(id, &[(id, &format!("sk-ant-api03-{id}"))]) }
}
