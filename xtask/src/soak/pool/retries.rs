//! Is a `retry-after` true? It says when a call is served if nobody else comes; and so it can be tried only
//! where nobody else does. Here calls come one after the other until one is refused. Those before
//! it still wait, and go before it; but none is made after it until it has come back, at exactly
//! the moment that it was told. Under a load that goes on, somebody else would always be first.
//! Refuses to judge what it found.

use std::path::Path;
use std::time::Duration;

use hyper::StatusCode;
use relay_plan::Kind;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clock;
use crate::failure::Failure;
use crate::soak::pool::crowd::{Door, Fate, Session, follow};
use crate::soak::pool::keys::{self, Limits, Wishes};
use crate::soak::pool::load::{Call, schedule};
use crate::soak::pool::question;
use crate::soak::pool::stage::Stage;

/// How long a call may wait: so long is each round, and a little.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Whoever is not refused by then is not refused at once.
const SOON: Duration = Duration::from_millis(20);
/// The number of whoever comes back: no other has it.
const NOBODY: usize = usize::MAX;
/// How long beyond that the last answers are given.
const GRACE: Duration = Duration::from_secs(30);

/// What is played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retries<'a> {
    pub(super) kinds: &'a [Kind],
    pub(super) limits: Limits,
    /// Before anything counts: nobody knows yet how large such calls are.
    pub(super) settles: Duration,
    pub(super) lasts: Duration,
    pub(super) seed: u64,
}

/// One who came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    pub(super) call: Call,
    /// How long he was told to stay away; none if he was not told.
    pub(super) told: Option<Duration>,
    /// How long he then waited; none if he was not served.
    pub(super) waited: Option<Duration>,
}

impl Retries<'_> {
    pub(super) async fn play(&self, place: (&Path, &Path, &str)) -> Result<Vec<Retry>, Failure> {
        let wishes = Wishes { limits: self.limits, max_wait: MAX_WAIT };
        let stage = Stage::open(place, keys::provider(), wishes).await?;
        let end = self.settles + self.lasts;
        let session = Session { begun: clock::now(), until: end + GRACE };
        // Only which calls there are matters, and not when they come.
        let calls = schedule(self.kinds, 1_000.0, Duration::from_secs(10), self.seed);
        let (mut retries, mut under_way) = (Vec::new(), JoinSet::new());
        for (number, call) in calls.iter().cycle().enumerate() {
            if session.now() >= end {
                break;
            }
            let question = question::body(&self.kinds[call.kind], call.manner, number);
            let (door, call) = (stage.relay.clone(), *call);
            under_way.spawn(async move { (number, door.see(question, call.manner, session).await) });
            if let Some((at, told)) = refused(&mut under_way, number).await {
                let under_way = (session, &mut under_way);
                let retry = self.come_back(&stage.relay, call, (at, told), under_way).await;
                if at >= self.settles {
                    retries.push(retry);
                }
            }
        }
        Ok(retries)
    }

    /// A refused call comes back at its moment. Its answer is read on beside whatever comes next.
    async fn come_back(
        &self,
        relay: &Door,
        call: Call,
        (at, told): (Duration, Option<Duration>),
        (session, under_way): (Session, &mut JoinSet<(usize, Fate)>),
    ) -> Retry {
        let Some(wait) = told else { return Retry { call, told, waited: None } };
        let kind = &self.kinds[call.kind];
        let question = question::body(kind, call.manner, NOBODY);
        session.reaches(at + wait).await;
        let sent = session.now();
        let asked = relay.ask(question, session).await;
        let waited = match asked {
            Ok(response) if response.status() == StatusCode::OK => {
                let waited = session.now().saturating_sub(sent).saturating_sub(call.time_to_head(kind));
                under_way.spawn(async move { (NOBODY, follow(response, call.manner, session).await) });
                Some(waited)
            }
            Ok(_) | Err(_) => None,
        };
        Retry { call, told, waited }
    }
}

/// Is that call refused at once? When, and what it was told.
async fn refused(
    under_way: &mut JoinSet<(usize, Fate)>,
    number: usize,
) -> Option<(Duration, Option<Duration>)> {
    while let Ok(Some(ended)) = timeout(SOON, under_way.join_next()).await {
        let (ended, fate) = ended.expect("a client does not panic, and nobody aborts it");
        if let Fate::Refused { at, retry_after } = fate
            && ended == number
        {
            return Some((at, retry_after));
        }
    }
    None
}
