//! The most that the keys could carry, if calls could be cut into pieces and put wherever there is
//! room for them: a linear program. Refuses to know what really became of calls.

use std::time::Duration;

use relay_plan::{Kind, Pool, float, optimum_of, pools};
use relay_sim::{Gauge, Meter, Organization, Settings};

/// Calls are counted in so many parts.
pub(super) const PARTS: u64 = 1_000;

/// How many calls a second these organizations could carry for ever, each kind in its share.
pub(super) fn capacity(organizations: &[Organization], kinds: &[Kind]) -> f64 {
    let shares: Vec<u64> = kinds.iter().map(|kind| kind.share).collect();
    let pools = refilled(organizations, Duration::from_secs(1));
    let part = optimum_of(&pools, kinds, &shares).expect("every organization is limited");
    part * float(shares.iter().sum())
}

/// The most that could have been carried in a stretch of time: all that was in the buckets when it began, and all that
/// was refilled. Nobody could have done better.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most<'a> {
    pub(super) organizations: &'a [Organization],
    pub(super) before: &'a [Gauge],
    pub(super) lasts: Duration,
}

impl Most<'_> {
    /// Of so many calls of each kind, the greatest part that could have been served of all kinds alike.
    pub(super) fn part(&self, kinds: &[Kind], counts: &[u64]) -> f64 {
        // Of no calls at all one could serve any number of times as many.
        optimum_of(&self.pools(), kinds, counts).unwrap_or(f64::INFINITY)
    }

    /// What was carried, in [`PARTS`] by kind, as a share of the most that could have been in that mixture.
    pub(super) fn goodput(&self, kinds: &[Kind], carried: &[u64]) -> f64 {
        1.0 / self.part(kinds, carried) / float(PARTS)
    }

    fn pools(&self) -> Vec<Pool> {
        let mut pools = refilled(self.organizations, self.lasts);
        for (pool, organization) in pools.iter_mut().zip(self.organizations) {
            for gauge in self.before.iter().filter(|gauge| gauge.organization == organization.id) {
                if let Some(most) = &mut pool[place(gauge.meter)] {
                    *most += float(u64::try_from(gauge.level).unwrap_or_default());
                }
            }
        }
        pools
    }
}

/// What is refilled in that time.
fn refilled(organizations: &[Organization], lasts: Duration) -> Vec<Pool> {
    let mut organizations = organizations.to_vec();
    for organization in &mut organizations {
        organization.limit.burst = Duration::ZERO;
    }
    pools(&Settings { organizations, ..Settings::default() }, lasts)
}

/// The place of a limit in a [`Pool`].
const fn place(meter: Meter) -> usize {
    match meter {
        Meter::Requests => 0,
        Meter::Input => 1,
        Meter::Output => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::pool::keys;
    use crate::soak::pool::load;

    fn gauge(organization: &str, meter: Meter, level: i64) -> Gauge {
        let organization = organization.to_owned();
        let class = String::new();
        Gauge {
            organization,
            workspace: None,
            class,
            meter,
            per_minute: 0,
            capacity: 0,
            level,
            overshoot: 0,
            refused: 0,
        }
    }

    #[test]
    fn what_could_be_carried_and_was_is_all_of_it() {
        let (organizations, kinds) = (keys::organizations(), load::kinds());
        let capacity = capacity(&organizations, &kinds);
        assert!((10.0..30.0).contains(&capacity), "{capacity}");
        let lasts = Duration::from_mins(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some hundred thousand parts"
        )]
        let carried: Vec<u64> =
            kinds.iter().map(|kind| (capacity * 60.0 * float(kind.share * PARTS) / 9.0) as u64).collect();
        let most = Most { organizations: &organizations, before: &[], lasts };
        let share = most.goodput(&kinds, &carried);
        assert!((share - 1.0).abs() < 0.001, "{share}");
        let twice: Vec<u64> = carried.iter().map(|parts| parts * 2 / PARTS).collect();
        assert!((most.part(&kinds, &twice) - 0.5).abs() < 0.001);
        let halves: Vec<u64> = carried.iter().map(|parts| parts / 2).collect();
        let half = most.goodput(&kinds, &halves);
        assert!((half - 0.5).abs() < 0.001, "{half}");
    }

    #[test]
    fn what_was_there_beforehand_could_have_been_used() {
        let (organizations, kinds) = (keys::organizations(), load::kinds());
        let lasts = Duration::from_secs(20);
        let with = |before: &[Gauge]| {
            Most { organizations: &organizations, before, lasts }.goodput(&kinds, &[100_000, 0, 0])
        };
        let full = [gauge("requests", Meter::Requests, 12)];
        assert!(with(&full) < with(&[]));
        let others = [gauge("requests", Meter::Requests, -5), gauge("direct", Meter::Requests, 100)];
        assert!(
            (with(&others) - with(&[])).abs() < 1e-9,
            "debt is nobody's to spend, and others' levels are not ours"
        );
    }

    #[test]
    fn nothing_is_no_part_of_anything() {
        let organizations = keys::organizations();
        let most = Most { organizations: &organizations, before: &[], lasts: Duration::from_secs(20) };
        let share = most.goodput(&load::kinds(), &[0, 0, 0]);
        assert!(share.abs() < 1e-9, "{share}");
    }
}
