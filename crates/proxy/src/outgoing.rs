//! What goes back to the client: the one body type of the server, and the heads of its answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use http_body::{Body, Frame, SizeHint};
use relay_core::{Class, Strategy};
use relay_telemetry::happening::End;

use crate::attempt::is_event_stream;
use crate::exchange::{Exchange, X_REQUEST_ID};
use crate::flush::Chunk;
use crate::late::Late;
use crate::live::Held;
use crate::reject::{REQUEST_ID, Reject};
use crate::relay::{Committed, Journey, Relay};
use crate::slots::Slot;
use crate::snapshot::Snapshot;
use crate::stream::{Aborted, Flow};

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The body of every answer.
pub struct Outgoing {
    part: Part,
    exchange: Arc<Exchange>,
    /// Held until the body has ended.
    slot: Option<Slot>,
}

enum Part {
    Whole(Bytes),
    Flow(Box<Flow>),
    Late(Box<Late>),
    Ended,
}

impl Outgoing {
    /// A body that is there already.
    pub(crate) fn whole(body: Bytes, exchange: &Arc<Exchange>) -> Self {
        Self { part: Part::Whole(body), exchange: Arc::clone(exchange), slot: None }
    }

    /// A reply as it flows.
    pub(crate) fn flow(flow: Flow, exchange: &Arc<Exchange>, slot: Slot) -> Self {
        Self { part: Part::Flow(Box::new(flow)), exchange: Arc::clone(exchange), slot: Some(slot) }
    }

    /// A reply that begins with pings while attempts still go on.
    pub(crate) fn late(late: Late, exchange: &Arc<Exchange>, slot: Slot) -> Self {
        Self { part: Part::Late(Box::new(late)), exchange: Arc::clone(exchange), slot: Some(slot) }
    }

    fn end(&mut self) {
        self.part = Part::Ended;
        self.slot = None;
    }
}

impl Body for Outgoing {
    type Data = Chunk;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, Aborted>>> {
        let frame = match &mut self.part {
            Part::Whole(body) => {
                let body = std::mem::take(body);
                self.exchange.note_end(End::Whole);
                self.end();
                return Poll::Ready(
                    Some(body)
                        .filter(|body| !body.is_empty())
                        .map(|body| Ok(Frame::data(Chunk::plain(body)))),
                );
            }
            Part::Flow(flow) => std::task::ready!(flow.poll_frame(context)),
            Part::Late(late) => std::task::ready!(late.poll_frame(context)),
            Part::Ended => None,
        };
        if !matches!(frame, Some(Ok(_))) {
            self.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.part, Part::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.part {
            Part::Whole(body) => SizeHint::with_exact(body.len() as u64),
            Part::Ended => SizeHint::with_exact(0),
            Part::Flow(_) | Part::Late(_) => SizeHint::default(),
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        // A body that says it is empty is not polled.
        if let Part::Whole(_) = self.part {
            self.exchange.note_end(End::Whole);
        }
    }
}

/// The relay's own no.
pub(crate) fn reject(reject: &Reject, exchange: &Arc<Exchange>) -> Response<Outgoing> {
    // The client's own id may not look like one of a request id; ours always may.
    reject.response(exchange.id()).map(|body| Outgoing::whole(body, exchange))
}

/// A page of the relay's own, as JSON.
pub(crate) fn page(body: Bytes, exchange: &Arc<Exchange>) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::whole(body, exchange));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(REQUEST_ID, exchange.id_header());
    response
}

/// A provider's answer, header for header.
pub(crate) fn reply(journey: &Journey, slot: Slot, committed: Committed) -> Response<Outgoing> {
    let Journey { relay, snapshot, exchange, class, .. } = journey;
    let Committed { mut reply, held } = committed;
    let mut response = Response::new(());
    *response.status_mut() = reply.head.status;
    let mut headers = std::mem::take(&mut reply.head.headers);
    clean(&mut headers);
    if reply.decoded {
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
    }
    if is_event_stream(&headers) {
        // Pings may be added.
        headers.remove(CONTENT_LENGTH);
        stream_headers(&mut headers);
    }
    explain(relay, snapshot, &mut headers, class, held.as_ref());
    *response.headers_mut() = headers;
    let flow = Flow::new(&relay.live, exchange, reply, held, snapshot.server.ping_every);
    response.map(|()| Outgoing::flow(flow, exchange, slot))
}

/// The head of a stream that begins with pings.
pub(crate) fn late(late: Late, exchange: &Arc<Exchange>, slot: Slot) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::late(late, exchange, slot));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(REQUEST_ID, exchange.id_header());
    stream_headers(headers);
    response
}

/// What every answer carries.
pub(crate) fn finish(response: &mut Response<Outgoing>, exchange: &Exchange) {
    // Also if the provider sent one of its own: W60 of the old program sent both.
    response.headers_mut().insert(X_REQUEST_ID, exchange.id_header());
    if *exchange.method() == Method::HEAD {
        keep_head(response);
    }
    exchange.note_head(response.status().as_u16());
}

/// The length of the body that GET would get, and no body.
fn keep_head(response: &mut Response<Outgoing>) {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
    }
    response.body_mut().exchange.note_end(End::Whole);
    response.body_mut().end();
}

/// Does a header of an answer end here? Those of one hop do (RFC 9110, section 7.6.1), and what only the relay may
/// say.
fn ends_here(name: &str) -> bool {
    const HOP: [&str; 7] =
        ["connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade"];
    HOP.contains(&name) || name.starts_with("x-cc-relay-")
}

/// Removes what ends here.
fn clean(headers: &mut HeaderMap) {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|value| value.split(',')).map(str::trim);
    let mut ending: Vec<HeaderName> =
        named.filter(|name| !matches!(*name, "keep-alive" | "close")).flat_map(str::parse).collect();
    ending.extend(headers.keys().filter(|name| ends_here(name.as_str())).cloned());
    for name in &ending {
        headers.remove(name);
    }
}

/// Proxies in between must neither keep nor gather a stream.
fn stream_headers(headers: &mut HeaderMap) {
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, no-transform"));
}

/// Who answered, and, if asked for, why.
fn explain(relay: &Relay, snapshot: &Snapshot, headers: &mut HeaderMap, class: &Class, held: Option<&Held>) {
    const KEY_ID: HeaderName = HeaderName::from_static("x-cc-relay-key-id");
    const KEYS_TOTAL: HeaderName = HeaderName::from_static("x-cc-relay-keys-total");
    const KEYS_AVAILABLE: HeaderName = HeaderName::from_static("x-cc-relay-keys-available");
    const PROVIDER: HeaderName = HeaderName::from_static("x-cc-relay-provider");
    const STRATEGY: HeaderName = HeaderName::from_static("x-cc-relay-strategy");
    let Some(upstream) = held.and_then(Held::provider).and_then(|id| snapshot.upstream(id)) else { return };
    if let Some(key) = held.and_then(Held::key) {
        let count = relay.live.count(upstream.id, class);
        if let Some(label) = upstream.label_header(key) {
            headers.insert(KEY_ID, label.clone());
        }
        headers.insert(KEYS_TOTAL, number(count.total));
        headers.insert(KEYS_AVAILABLE, number(count.available));
    }
    if snapshot.explains {
        if let Ok(name) = HeaderValue::from_str(&upstream.name) {
            headers.insert(PROVIDER, name);
        }
        headers.insert(STRATEGY, HeaderValue::from_static(strategy_name(snapshot.fleet.strategy)));
    }
}

/// A number as a header. The usual ones, which are small, cost no memory.
fn number(number: usize) -> HeaderValue {
    const SMALL: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    SMALL.get(number).map_or_else(|| number.into(), |digit| HeaderValue::from_static(digit))
}

/// The name of a strategy over providers, as the configuration writes it.
pub(crate) const fn strategy_name(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Failover => "failover",
        Strategy::RoundRobin => "round_robin",
        Strategy::Weighted => "weighted_round_robin",
        Strategy::Shuffle => "shuffle",
        Strategy::Random => "random",
        Strategy::LeastLoaded => "least_loaded",
        Strategy::WeightedFailover => "weighted_failover",
    }
}
