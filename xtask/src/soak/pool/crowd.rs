//! The clients: each call is sent when it is due, whatever became of those before it. Knows HTTP
//! and what the end of an answer looks like; refuses to judge how long anything took.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use relay_plan::Kind;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout_at};

use crate::clock;
use crate::soak::pool::events::Events;
use crate::soak::pool::load::{Call, Manner};
use crate::soak::pool::question;

/// Where calls go, and with which key. Clones share their connections.
#[derive(Clone)]
pub(super) struct Door {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    key: String,
}

/// The time in which calls are made. All moments are counted from its beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub(super) begun: Instant,
    /// What has not ended by then is left.
    pub(super) until: Duration,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) call: Call,
    pub(super) sent: Duration,
    pub(super) fate: Fate,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its answer began then, and was whole as far as it was read.
    Answered { began: Duration },
    /// It was refused for want of capacity.
    Refused { at: Duration, retry_after: Option<Duration> },
    /// The same, in a stream whose head was out already: there is no place for a `retry-after` in it.
    RefusedLate { at: Duration },
    /// Neither: whatever this was, it must not be.
    Lost { why: String },
}

/// Calls under way, and those that have ended.
pub(super) struct Crowd {
    door: Door,
    session: Session,
    kinds: Vec<Kind>,
    under_way: JoinSet<Seen>,
    seen: Vec<Seen>,
}

impl Door {
    pub(super) fn new(address: SocketAddr, key: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, address, key: key.to_owned() }
    }

    /// Makes one call, and waits for the head of its answer.
    pub(super) async fn ask(&self, question: Bytes, session: Session) -> Result<Response<Incoming>, Fate> {
        let lost = |why: String| Err(Fate::Lost { why });
        match timeout_at(session.deadline(), self.client.request(self.request(question))).await {
            Err(_) => lost("no answer before the end".to_owned()),
            Ok(Err(error)) => lost(format!("no answer: {error}")),
            Ok(Ok(response)) => Ok(response),
        }
    }

    /// Makes one call, and follows it to its end.
    pub(super) async fn see(&self, question: Bytes, manner: Manner, session: Session) -> Fate {
        match self.ask(question, session).await {
            Ok(response) => follow(response, manner, session).await,
            Err(fate) => fate,
        }
    }

    fn request(&self, question: Bytes) -> Request<Full<Bytes>> {
        let request = Request::post(format!("http://{}/v1/messages", self.address))
            .header("content-type", "application/json")
            .header("anthropic-version", "2023-06-01")
            .header("x-api-key", &self.key)
            .body(Full::new(question));
        request.expect("an address and a key are visible characters")
    }
}

impl Session {
    /// How long it has gone on.
    pub(super) fn now(&self) -> Duration {
        clock::now() - self.begun
    }

    /// Waits for a moment of it.
    pub(super) async fn reaches(&self, moment: Duration) {
        sleep_until((self.begun + moment).into()).await;
    }

    fn deadline(&self) -> tokio::time::Instant {
        (self.begun + self.until).into()
    }
}

impl Crowd {
    pub(super) fn new(door: &Door, kinds: &[Kind], session: Session) -> Self {
        let (door, kinds) = (door.clone(), kinds.to_vec());
        Self { door, session, kinds, under_way: JoinSet::new(), seen: Vec::new() }
    }

    /// Makes these calls, each when it is due.
    pub(super) async fn send(&mut self, calls: &[Call]) {
        for (number, call) in calls.iter().enumerate() {
            // Made before it is due, so that its making is no part of its time.
            let question = question::body(&self.kinds[call.kind], call.manner, number);
            self.session.reaches(call.after).await;
            let (door, session, call) = (self.door.clone(), self.session, *call);
            self.under_way.spawn(async move {
                let sent = session.now();
                Seen { call, sent, fate: door.see(question, call.manner, session).await }
            });
            while let Some(seen) = self.under_way.try_join_next() {
                self.note(seen);
            }
        }
    }

    /// Waits until all have ended.
    pub(super) async fn end(mut self) -> Vec<Seen> {
        while let Some(seen) = self.under_way.join_next().await {
            self.note(seen);
        }
        self.seen
    }

    fn note(&mut self, seen: Result<Seen, tokio::task::JoinError>) {
        self.seen.push(seen.expect("a client does not panic, and nobody aborts it"));
    }
}

/// Follows an answer to its end.
pub(super) async fn follow(response: Response<Incoming>, manner: Manner, session: Session) -> Fate {
    match response.status() {
        StatusCode::OK if manner == Manner::Streamed => stream(response.into_body(), session).await,
        StatusCode::OK => whole(response.into_body(), session).await,
        StatusCode::TOO_MANY_REQUESTS => refused(response, session).await,
        status => Fate::Lost { why: format!("{status}: {}", words(response.into_body(), session).await) },
    }
}

/// Reads a stream to its end, or as long as the session lasts.
async fn stream(mut body: Incoming, session: Session) -> Fate {
    let (mut events, mut began) = (Events::default(), None);
    loop {
        let bytes = match timeout_at(session.deadline(), body.frame()).await {
            Err(_) if began.is_some() => break,
            Err(_) => return Fate::Lost { why: "only pings before the end".to_owned() },
            Ok(None) if events.ended => break,
            Ok(None | Some(Err(_))) => return Fate::Lost { why: "the stream was cut".to_owned() },
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        };
        events.read(&bytes);
        if events.began {
            began.get_or_insert_with(|| session.now());
        }
        match (events.error.take(), began) {
            (Some(error), None) if error.contains("rate_limit_error") => {
                return Fate::RefusedLate { at: session.now() };
            }
            (Some(why), _) => return Fate::Lost { why },
            (None, _) => {}
        }
    }
    Fate::Answered { began: began.unwrap_or_default() }
}

/// Reads an answer that comes whole.
async fn whole(body: Incoming, session: Session) -> Fate {
    let began = session.now();
    match timeout_at(session.deadline(), body.collect()).await {
        Ok(Ok(_)) => Fate::Answered { began },
        Ok(Err(_)) | Err(_) => Fate::Lost { why: "the answer was cut".to_owned() },
    }
}

/// Reads a refusal, so that its connection can be used again.
async fn refused(response: Response<Incoming>, session: Session) -> Fate {
    let at = session.now();
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let _words = words(response.into_body(), session).await;
    Fate::Refused { at, retry_after: header.map(Duration::from_secs) }
}

async fn words(body: Incoming, session: Session) -> String {
    let read = timeout_at(session.deadline(), body.collect()).await;
    let bytes = read.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
