//! One try: prepare, send, read the head and a bounded piece of the body, and say what it means.
//! All failures are answers.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use relay_core::{Breakage, Exhausted, Quota, Time, Verdict};
use relay_headers::{Headers, Response, Value};
use relay_providers::{Credential, Head, Offer, Order, Piece, Unsupported};
use relay_transport::{BodyError, Kind, SendError};
use relay_wire::quota::Pool;
use relay_wire::{ErrorKind, refusal};

use crate::asked::Asked;
use crate::live::Held;
use crate::preview;
use crate::relay::{Journey, Relay};
use crate::snapshot::Upstream;
use crate::source::{Failure, Source};
use crate::via;
use crate::watch::{Events, Opening, Watch};

/// The most of a refusal that is read to understand it, in bytes. Real ones have hundreds; HTML pages
/// of proxies in between, some thousands.
const MOST_READ: usize = 256 << 10;

/// The most of a stream that is read to see how it begins, in bytes. No real first event has as many.
const MOST_UNBEGUN: usize = 1 << 20;

/// How long the rest of a refusal is waited for once its head is there. What it is says the status; the next key is
/// worth more than the last word.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(5);

/// What came back.
pub(crate) struct Answer {
    /// What it means.
    pub(crate) verdict: Verdict,
    /// The answer itself, if there was one.
    pub(crate) reply: Option<Reply>,
    /// For the log: never a whole body, never a secret.
    pub(crate) detail: String,
}

/// An answer whose head has been read, and perhaps the beginning of its body.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Headers,
    /// What was read of the body already.
    pub(crate) first: VecDeque<Bytes>,
    /// The rest of it; none if it was read whole.
    pub(crate) rest: Option<Source>,
    pub(crate) watch: Watch,
    /// Is the body other than what the headers announce, because it was decoded or translated?
    pub(crate) changed: bool,
}

impl Answer {
    fn broken(breakage: Breakage, detail: impl std::fmt::Display) -> Self {
        Self { verdict: Verdict::Broken(breakage), reply: None, detail: detail.to_string() }
    }

    /// It cannot be carried to that provider. If that is for what it asks, its client is told so, unless another can.
    fn unfit(unsupported: &Unsupported, provider: &str, asked: &Asked) -> Self {
        let detail = unsupported.to_string();
        let reply = matches!(unsupported, Unsupported::Field { .. } | Unsupported::Body).then(|| {
            let words = format!("{detail} (it would have been asked of `{provider}`)");
            let mut headers = Headers::default();
            headers.set("content-type", Value::fixed("application/json"));
            let status = StatusCode::BAD_REQUEST;
            let watch = watch(asked, status, &headers);
            let first = [refusal::write(ErrorKind::InvalidRequest, &words, None)].into();
            Reply { status, headers, first, rest: None, watch, changed: true }
        });
        Self { verdict: Verdict::Unfit, reply, detail }
    }
}

/// Asks one provider, with one credential.
pub(crate) async fn attempt(journey: &Journey, upstream: &Upstream, held: &mut Held) -> Answer {
    let Journey { relay, snapshot, asked, exchange, .. } = journey;
    let Some(credential) = newest(relay, upstream, asked, held) else {
        return Answer::broken(Breakage::Connect, "the key is gone");
    };
    let ask = asked.ask();
    let order = Order { ask, target: &upstream.target, credential: &credential, now: relay.live.now() };
    let mut prepared = match upstream.adapter.prepare(&order) {
        Ok(prepared) => prepared,
        Err(unsupported) => return Answer::unfit(&unsupported, &upstream.name, asked),
    };
    if upstream.may_be_a_relay {
        via::sign(&mut prepared.headers, ask.headers, &relay.name);
    }
    let request = match asked.request(prepared) {
        Ok(request) => request,
        Err(used_up) => return Answer::broken(Breakage::Cut, used_up),
    };
    let sent = snapshot.transport.send(&upstream.origin, request, upstream.deadlines).await;
    let Response { status, mut headers, body } = match sent {
        Ok(response) => response,
        Err(error) => return Answer::broken(breakage(&error), error),
    };
    exchange.note_answer(status, &headers, body.timings(), &snapshot.debug);
    let now = relay.live.now();
    let is_fast = asked.is_fast() && upstream.adapter.facts().offers(Offer::FastMode);
    let pool = if is_fast { Pool::Fast } else { Pool::Ordinary };
    let quota = relay_wire::quota::quota(&headers, pool, now);
    relay.live.learn(held, &quota, now);
    let translator = upstream.adapter.reply(&asked.ask(), status, &mut headers);
    let source = match Source::new(body, &headers, asked.is_watched(), translator) {
        Ok(source) => source,
        Err(error) => return Answer::broken(Breakage::Garbled, error),
    };
    let (watch, changed) = (watch(asked, status, &headers), source.is_changed());
    let reply = Reply { status, headers, first: VecDeque::new(), rest: Some(source), watch, changed };
    if asked.is_about_property() && status.is_redirection() {
        // What has not changed since, or lies elsewhere: whoever asked knows what to do.
        return Answer { verdict: Verdict::Refused, reply: Some(reply), detail: status.to_string() };
    }
    read_beginning(upstream, reply, &quota, now).await
}

/// The credential as it is now: the key may have been renewed while the call waited.
fn newest(relay: &Relay, upstream: &Upstream, asked: &Asked, held: &mut Held) -> Option<Credential> {
    let snapshot = relay.snapshot.load();
    let renewed = snapshot.upstream(upstream.id).and_then(|renewed| renewed.credential(asked, held));
    renewed.or_else(|| upstream.credential(asked, held))
}

/// Reads as much as is needed to say what the answer means. `now` is when its head came, from which on its words
/// about time count.
async fn read_beginning(upstream: &Upstream, mut reply: Reply, quota: &Quota, now: Time) -> Answer {
    let status = reply.status;
    let judged = |piece: Piece<'_>| upstream.adapter.judge(&Head { status, quota }, piece, now);
    if !status.is_success() {
        let body = match reply.read_refusal().await {
            Ok(body) => body,
            Err(error) => return Answer::broken(cut(&error), error),
        };
        let verdict = judged(Piece::Body(&body));
        return Answer { verdict, reply: Some(reply), detail: told(&status.to_string(), &body) };
    }
    if matches!(reply.watch, Watch::Stream(_)) {
        match reply.read_opening().await {
            Ok(Some(Opening::Begun)) => {}
            Ok(Some(Opening::Error(data))) => {
                let (verdict, detail) = (judged(Piece::Error(&data)), told("an error as first event", &data));
                return Answer { verdict, reply: Some(reply), detail };
            }
            Ok(None) => return Answer::broken(Breakage::Garbled, "a stream without an event"),
            Err(error) => return Answer::broken(cut(&error), error),
        }
    }
    if upstream.adapter.facts().errs_late && matches!(reply.watch, Watch::Message(_)) {
        if let Err(error) = reply.read_up_to(1).await {
            return Answer::broken(cut(&error), error);
        }
        let said = reply.said();
        if relay_wire::refusal::is_one(&said) {
            let (verdict, detail) =
                (judged(Piece::Error(&said)), told("an error in place of a message", &said));
            // If nobody else answers, the client hears what it is.
            let kind = relay_wire::refusal::read(&said).kind.and_then(|kind| ErrorKind::from_name(&kind));
            reply.status = kind.unwrap_or(ErrorKind::Api).status();
            return Answer { verdict, reply: Some(reply), detail };
        }
    }
    Answer { verdict: judged(Piece::Nothing), reply: Some(reply), detail: String::new() }
}

/// What came, with the provider's own words for it, if there are any.
fn told(what: &str, body: &[u8]) -> String {
    let refusal = relay_wire::refusal::read(body);
    let words = [refusal.kind, refusal.message].into_iter().flatten().map(|said| preview::words(&said));
    let words: Vec<_> = words.filter(|said| !said.is_empty()).collect();
    [&[what.to_owned()], &words[..]].concat().join(": ")
}

impl Reply {
    /// Reads until the first event that is not a ping. None if the stream ended before it.
    async fn read_opening(&mut self) -> Result<Option<Opening>, Failure> {
        loop {
            if let Watch::Stream(events) = &self.watch
                && let Some(opening) = Events::opening(events)
            {
                return Ok(Some(opening.clone()));
            }
            if !self.read_chunk().await? {
                return Ok(None);
            }
            if self.first.iter().map(Bytes::len).sum::<usize>() > MOST_UNBEGUN {
                // Whatever it is, it is no error.
                return Ok(Some(Opening::Begun));
            }
        }
    }

    /// Reads a refusal, up to a bound and for a while; the rest stays to be passed on.
    async fn read_refusal(&mut self) -> Result<Bytes, Failure> {
        match tokio::time::timeout(REFUSAL_PATIENCE, self.read_up_to(MOST_READ)).await {
            // The status says what it is, however much of its words can be read.
            Ok(Err(Failure::Coding | Failure::Form(_))) => self.rest = None,
            Ok(read) => read?,
            Err(_) => {}
        }
        Ok(self.said())
    }

    /// What was read of the body, in one piece.
    pub(crate) fn said(&self) -> Bytes {
        match self.first.len() {
            1 => self.first[0].clone(),
            _ => self.first.iter().flatten().copied().collect(),
        }
    }

    /// Reads on until that many bytes of the body are there, or all of it.
    pub(crate) async fn read_up_to(&mut self, most: usize) -> Result<(), Failure> {
        while self.first.iter().map(Bytes::len).sum::<usize>() < most && self.read_chunk().await? {}
        Ok(())
    }

    /// Does it say so itself, in the words of the API? Then it is what a client of that provider would have heard.
    pub(crate) fn says(&self, why: Exhausted) -> bool {
        if let Watch::Stream(events) = &self.watch
            && let Some(Opening::Error(data)) = Events::opening(events)
        {
            let kind = relay_wire::refusal::read(data).kind;
            let overloaded = kind.as_deref() == Some("overloaded_error");
            return kind.is_some() && overloaded == (why == Exhausted::Overloaded);
        }
        let overloaded = matches!(self.status.as_u16(), 503 | 529);
        let status = match why {
            Exhausted::Overloaded => overloaded,
            _ => self.status.is_server_error() && !overloaded,
        };
        status && self.is_read() && relay_wire::refusal::read(&self.said()).kind.is_some()
    }

    /// Has all of the body been read?
    pub(crate) fn is_read(&self) -> bool {
        self.rest.as_ref().is_none_or(Source::is_end_stream)
    }

    /// Reads one chunk. False at the end.
    async fn read_chunk(&mut self) -> Result<bool, Failure> {
        let Some(source) = &mut self.rest else { return Ok(false) };
        let frame = poll_fn(|context| Pin::new(&mut *source).poll_frame(context)).await;
        let Some(frame) = frame.transpose()? else {
            self.rest = None;
            return Ok(false);
        };
        if let Ok(chunk) = frame.into_data() {
            self.watch.see(&chunk);
            self.first.push_back(chunk);
        }
        Ok(true)
    }
}

fn watch(asked: &Asked, status: StatusCode, headers: &Headers) -> Watch {
    if !asked.is_watched() || !status.is_success() {
        Watch::Nothing
    } else if is_event_stream(headers) {
        Watch::Stream(Box::default())
    } else {
        Watch::Message(crate::watch::Message::default())
    }
}

/// Is it a stream of events? Parameters of the media type do not matter.
pub(crate) fn is_event_stream(headers: &Headers) -> bool {
    const MEDIA: &[u8] = b"text/event-stream";
    let media = headers.get("content-type").map(<[u8]>::trim_ascii_start);
    media.and_then(|media| media.split_at_checked(MEDIA.len())).is_some_and(|(media, rest)| {
        media.eq_ignore_ascii_case(MEDIA) && matches!(rest, [] | [b';' | b' ' | b'\t', ..])
    })
}

/// How a failure to get an answer reads.
fn breakage(error: &SendError) -> Breakage {
    match error.kind {
        Kind::Timeout => Breakage::Late,
        Kind::Protocol => Breakage::Garbled,
        _ if error.sent => Breakage::Cut,
        _ => Breakage::Connect,
    }
}

fn cut(error: &Failure) -> Breakage {
    match error {
        Failure::Upstream(BodyError::Idle(_)) => Breakage::Late,
        Failure::Upstream(BodyError::Malformed(_)) | Failure::Coding | Failure::Form(_) => Breakage::Garbled,
        Failure::Upstream(BodyError::Cut(_)) => Breakage::Cut,
    }
}
