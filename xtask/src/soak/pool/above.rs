//! Above capacity: what is carried, who waits, who is refused, and what the provider had to refuse.
//! Knows the order of one run; refuses to judge it.
//!
//! Counted is what happens in a window that begins when everything that is to be learned has been
//! learned and the buckets, full at first, are drained; and that ends with the last arrival.

use std::path::{Path, PathBuf};
use std::time::Duration;

use relay_plan::Kind;
use relay_sim::{Gauge, Meter};

use crate::clock;
use crate::failure::Failure;
use crate::soak::pool::crowd::{Crowd, Seen, Session};
use crate::soak::pool::fluid::Most;
use crate::soak::pool::foresight::Foresight;
use crate::soak::pool::keys::{self, Limits, Wishes};
use crate::soak::pool::load::{self, schedule};
use crate::soak::pool::provider::{Count, Provider};
use crate::soak::pool::stage::Stage;
use crate::soak::pool::tally::{self, Refusals, Row, Window};

/// How long beyond what it may wait a call is given to begin its answer.
const GRACE: Duration = Duration::from_secs(5);

/// What is played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Above<'a> {
    pub(super) kinds: &'a [Kind],
    /// Calls a second.
    pub(super) rate: f64,
    pub(super) limits: Limits,
    pub(super) max_wait: Duration,
    /// Before the window.
    pub(super) settles: Duration,
    pub(super) lasts: Duration,
    pub(super) seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Overload {
    pub(super) rows: Vec<Row>,
    /// The greatest part that could have been served of all kinds alike.
    pub(super) fair: f64,
    /// What was carried, as a share of the most that could have been.
    pub(super) goodput: f64,
    /// Requests that the provider got in the window, and those of them that it refused.
    pub(super) requests: u64,
    pub(super) refused: u64,
    /// For what, in the order of its buckets.
    pub(super) shortages: Vec<Shortage>,
    /// Those that it refused before.
    pub(super) refused_before: u64,
    /// What was ever owed to its buckets.
    pub(super) debts: Vec<Debt>,
    pub(super) refusals: Refusals,
    pub(super) foresight: Foresight,
    pub(super) lost: Vec<String>,
    /// How late the clients were, sorted.
    pub(super) tardiness: Vec<Duration>,
}

/// The most that was ever taken beyond a bucket. The provider counts output as it is produced, and so a call may take more
/// than was foreseen when it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Debt {
    pub(super) organization: String,
    pub(super) meter: Meter,
    pub(super) most: u64,
    /// What a full bucket holds.
    pub(super) capacity: u64,
}

/// How often a bucket had too little.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shortage {
    pub(super) organization: String,
    pub(super) meter: Meter,
    pub(super) calls: u64,
}

impl Shortage {
    /// All that came between two looks at the same buckets.
    fn between(before: &[Gauge], after: &[Gauge]) -> Vec<Self> {
        let of = |gauge: &Gauge| {
            let same =
                |known: &&Gauge| known.organization == gauge.organization && known.meter == gauge.meter;
            let calls = gauge.refused - before.iter().find(same).map_or(0, |known| known.refused);
            let shortage = Self { organization: gauge.organization.clone(), meter: gauge.meter, calls };
            (calls > 0).then_some(shortage)
        };
        after.iter().filter_map(of).collect()
    }
}

impl Debt {
    fn of(gauge: &Gauge) -> Option<Self> {
        let Gauge { organization, meter, overshoot, capacity, .. } = gauge;
        let debt =
            Self { organization: organization.clone(), meter: *meter, most: *overshoot, capacity: *capacity };
        (debt.most > 0).then_some(debt)
    }
}

impl Above<'_> {
    pub(super) async fn play(&self, place: (&Path, &Path, &str)) -> Result<Overload, Failure> {
        let wishes = Wishes { limits: self.limits, max_wait: self.max_wait };
        let stage = Stage::open(place, keys::provider(), wishes).await?;
        let window = Window { from: self.settles, to: self.settles + self.lasts };
        let calls = schedule(self.kinds, self.rate, window.to, self.seed);
        let until = window.to + self.max_wait + load::longest(self.kinds) + GRACE;
        let session = Session { begun: clock::now(), until };
        let mut crowd = Crowd::new(&stage.relay, self.kinds, session);
        let ((), counts) = tokio::join!(crowd.send(&calls), look(&stage.provider, session, window));
        let seen = crowd.end().await;
        let foresight = foresee(stage.recording.clone(), wishes, seen.clone()).await?;
        Ok(Overload { foresight, ..self.sum_up(&seen, &counts, window) })
    }

    fn sum_up(&self, seen: &[Seen], [before, after]: &[Count; 2], window: Window) -> Overload {
        let carried = tally::carried(seen, self.kinds, window);
        let most = Most { organizations: &keys::organizations(), before: &before.gauges, lasts: self.lasts };
        let rows = tally::rows(seen, self.kinds, window);
        let came: Vec<u64> = rows.iter().map(|row| row.came).collect();
        Overload {
            rows,
            fair: most.part(self.kinds, &came).min(1.0),
            goodput: most.goodput(self.kinds, &carried),
            requests: after.requests - before.requests,
            refused: after.refused - before.refused,
            shortages: Shortage::between(&before.gauges, &after.gauges),
            refused_before: before.refused,
            debts: after.gauges.iter().filter_map(Debt::of).collect(),
            refusals: tally::refusals(seen),
            lost: tally::losses(seen),
            tardiness: tally::tardiness(seen),
            ..Overload::default()
        }
    }
}

/// Beside the scenes that still go on.
async fn foresee(recording: PathBuf, wishes: Wishes, seen: Vec<Seen>) -> Result<Foresight, Failure> {
    let foreseen = tokio::task::spawn_blocking(move || Foresight::of(&recording, wishes, &seen));
    foreseen.await.map_err(|error| Failure::Measurement {
        doing: "foreseeing what was recorded".to_owned(),
        problem: error.to_string(),
    })?
}

/// What the provider has counted when a window begins and when it ends.
async fn look(provider: &Provider, session: Session, window: Window) -> [Count; 2] {
    session.reaches(window.from).await;
    let before = provider.count();
    session.reaches(window.to).await;
    [before, provider.count()]
}
