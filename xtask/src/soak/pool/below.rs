//! Below capacity: what the relay adds to the time until an answer begins. Each call is made twice,
//! past the relay and through it, so that both meet the same provider and the same machine. Refuses
//! to judge it.

use std::path::Path;
use std::time::Duration;

use relay_plan::Kind;

use crate::clock;
use crate::failure::Failure;
use crate::soak::pool::crowd::{Crowd, Fate, Seen, Session};
use crate::soak::pool::keys::{self, Limits, Wishes};
use crate::soak::pool::load::{self, Call, schedule};
use crate::soak::pool::stage::Stage;
use crate::soak::pool::tally::losses;

/// Of what the keys can carry, so much is asked.
const LOAD: f64 = 0.5;
/// The second of two equal calls comes so much later: the first is through, and the machine as it was.
const TWIN: Duration = Duration::from_millis(25);
/// How long a call may wait. Below capacity none should.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// The first calls open connections, and nobody knows yet how large such calls are.
const WARM_UP: Duration = Duration::from_secs(3);

/// What is played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Below<'a> {
    pub(super) kinds: &'a [Kind],
    /// Calls a second that the keys could carry.
    pub(super) capacity: f64,
    pub(super) lasts: Duration,
    pub(super) seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Added {
    /// How long each answer took to begin, beyond the time that the provider takes for it, sorted.
    pub(super) relayed: Vec<Duration>,
    pub(super) direct: Vec<Duration>,
    /// Calls that were not answered.
    pub(super) failed: Vec<String>,
}

impl Below<'_> {
    pub(super) async fn play(&self, program: &Path, folder: &Path) -> Result<Added, Failure> {
        let wishes = Wishes { limits: Limits::Configured, max_wait: MAX_WAIT };
        let stage = Stage::open((program, folder, "below"), keys::provider(), wishes).await?;
        let calls = schedule(self.kinds, self.capacity * LOAD, WARM_UP + self.lasts, self.seed);
        let twins: Vec<Call> = calls.iter().map(|call| Call { after: call.after + TWIN, ..*call }).collect();
        let until = WARM_UP + self.lasts + TWIN + MAX_WAIT + load::longest(self.kinds);
        let session = Session { begun: clock::now(), until };
        let mut past = Crowd::new(&stage.direct, self.kinds, session);
        let mut through = Crowd::new(&stage.relay, self.kinds, session);
        tokio::join!(past.send(&calls), through.send(&twins));
        let (direct, relayed) = tokio::join!(past.end(), through.end());
        let mut failed = losses(&direct);
        failed.extend(losses(&relayed));
        let refused = |seen: &&Seen| matches!(seen.fate, Fate::Refused { .. } | Fate::RefusedLate { .. });
        failed.extend(relayed.iter().filter(refused).map(|seen| format!("refused: {seen:?}")));
        Ok(Added { relayed: self.beyond(&relayed), direct: self.beyond(&direct), failed })
    }

    fn beyond(&self, seen: &[Seen]) -> Vec<Duration> {
        let warm = seen.iter().filter(|seen| seen.sent >= WARM_UP);
        let mut beyond: Vec<Duration> = warm
            .filter_map(|Seen { call, sent, fate }| match fate {
                Fate::Answered { began } => {
                    let waited = began.saturating_sub(*sent);
                    Some(waited.saturating_sub(call.time_to_head(&self.kinds[call.kind])))
                }
                Fate::Refused { .. } | Fate::RefusedLate { .. } | Fate::Lost { .. } => None,
            })
            .collect();
        beyond.sort_unstable();
        beyond
    }
}
