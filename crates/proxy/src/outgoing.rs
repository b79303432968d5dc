//! What goes back to the client: the one body type of the server, and the heads of its answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Method;
use http_body::{Body, Frame, SizeHint};
use relay_core::{Around, Class, Counted, Leaving, Stay, Strategy};
use relay_headers::{Header, Headers, Names, Response, Value};
use relay_telemetry::happening::End;

use crate::attempt::is_event_stream;
use crate::exchange::{Exchange, X_REQUEST_ID};
use crate::flush::Chunk;
use crate::late::Late;
use crate::live::Held;
use crate::reject::{REQUEST_ID, Reject};
use crate::relay::{Committed, Journey};
use crate::slots::Slot;
use crate::stream::{Aborted, Flow};

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

    /// Whether whoever took the last frame need not ask again before he is woken.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(&self.part, Part::Flow(flow) if flow.is_waiting())
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
                self.exchange.note_bytes(body.len() as u64);
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
        match &self.part {
            Part::Whole(_) => false,
            Part::Flow(flow) => flow.is_ended(),
            Part::Late(late) => late.is_ended(),
            Part::Ended => true,
        }
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
    response.headers.add("content-type", Value::fixed("application/json"));
    response.headers.add(REQUEST_ID, exchange.id_header());
    response
}

/// How many tokens a request has, most likely. Whoever wants to know whether anybody has counted can see it.
pub(crate) fn estimate(tokens: u64, exchange: &Arc<Exchange>) -> Response<Outgoing> {
    let mut response = page(format!("{{\"input_tokens\":{tokens}}}").into(), exchange);
    response.headers.add("x-cc-relay-estimated", Value::fixed("true"));
    response
}

/// A provider's answer, header for header.
pub(crate) fn reply(journey: &Journey, slot: Slot, committed: Committed) -> Response<Outgoing> {
    let Journey { relay, exchange, .. } = journey;
    let Committed { mut reply, held } = committed;
    let (status, mut headers) = (reply.status, std::mem::take(&mut reply.headers));
    clean(&mut headers);
    if reply.changed {
        headers.remove("content-encoding");
        headers.remove("content-length");
    }
    if is_event_stream(&headers) {
        // Pings may be added.
        headers.remove("content-length");
        stream_headers(&mut headers);
    }
    if let Some(held) = &held {
        explain(journey, &mut headers, held);
    }
    let flow = Flow::new(&relay.live, exchange, reply, held, (journey.snapshot.server.ping_every, 0));
    Response { status, headers, body: Outgoing::flow(flow, exchange, slot) }
}

/// The head of a stream that begins with pings.
pub(crate) fn late(late: Late, exchange: &Arc<Exchange>, slot: Slot) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::late(late, exchange, slot));
    response.headers.add("content-type", Value::fixed("text/event-stream; charset=utf-8"));
    response.headers.add(REQUEST_ID, exchange.id_header());
    stream_headers(&mut response.headers);
    response
}

/// What every answer carries.
pub(crate) fn finish(response: &mut Response<Outgoing>, exchange: &Exchange) {
    // Also if the provider sent one of its own: W60 of the old program sent both.
    response.headers.set(X_REQUEST_ID, exchange.id_header());
    if *exchange.method() == Method::HEAD {
        keep_head(response);
    }
    exchange.note_head(response.status.as_u16());
}

/// The length of the body that GET would get, and no body.
fn keep_head(response: &mut Response<Outgoing>) {
    if let Some(length) = response.body.size_hint().exact()
        && !response.headers.has("content-length")
    {
        response.headers.add("content-length", length);
    }
    response.body.exchange.note_end(End::Whole);
    response.body.end();
}

/// Removes what ends here: the headers of one hop (RFC 9110, section 7.6.1), and what only the relay may say.
fn clean(headers: &mut Headers) {
    const HOP: Names = Names::of(&[
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]);
    const OURS: &[u8] = b"x-cc-relay-";
    let named: Vec<Vec<u8>> = headers.of_one_hop().map(<[u8]>::to_vec).collect();
    headers.retain(|header: Header<'_>| {
        let ours = header.name().get(..OURS.len()).is_some_and(|name| name.eq_ignore_ascii_case(OURS));
        let hop = HOP.have(&header);
        !ours && !hop && !named.iter().any(|name| name.eq_ignore_ascii_case(header.name()))
    });
}

/// Proxies in between must neither keep nor gather a stream.
fn stream_headers(headers: &mut Headers) {
    headers.set("x-accel-buffering", Value::fixed("no"));
    if !headers.has("cache-control") {
        headers.add("cache-control", Value::fixed("no-cache, no-transform"));
    }
}

/// Who answered, how long that was waited for, whether a conversation left its cache; and, if asked for, what else
/// there is to know of the choice.
fn explain(journey: &Journey, headers: &mut Headers, held: &Held) {
    let Journey { relay, snapshot, exchange, class, .. } = journey;
    let Some(upstream) = held.provider().and_then(|id| snapshot.upstream(id)) else { return };
    if held.key().is_some() {
        let count = relay.live.count(upstream.id, class);
        if let Ok(label) = Value::new(upstream.label(&relay.snapshot.load(), held).as_bytes()) {
            headers.add("x-cc-relay-key-id", label);
        }
        headers.add("x-cc-relay-keys-total", count.total as u64);
        headers.add("x-cc-relay-keys-available", count.available as u64);
    }
    let waited = exchange.waited();
    if !waited.is_zero() {
        headers.add("x-cc-relay-queue-wait-ms", u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
    }
    if let Some(words) = stay_words(held.stay(), snapshot.explains)
        && let Ok(words) = Value::new(words.as_bytes())
    {
        headers.add("x-cc-relay-conversation", words);
    }
    if !snapshot.explains {
        return;
    }
    if let Ok(name) = Value::new(upstream.name.as_bytes()) {
        headers.add("x-cc-relay-provider", name);
    }
    headers.add("x-cc-relay-strategy", Value::fixed(strategy_name(snapshot.fleet.strategy)));
    explain_limits(&relay.live.around(held), class, headers);
}

/// Whose limits it counts against, and what is left of them.
fn explain_limits(around: &Around, class: &Class, headers: &mut Headers) {
    let holder = around.holder.as_deref().unwrap_or("unknown");
    if let Ok(domain) = Value::new(format!("{holder}/{}", class.as_str()).as_bytes()) {
        headers.add("x-cc-relay-limit-domain", domain);
    }
    for (counted, left) in &around.remaining {
        let name = match counted {
            Counted::Requests => "x-cc-relay-remaining-requests",
            Counted::Input => "x-cc-relay-remaining-input-tokens",
            Counted::Output => "x-cc-relay-remaining-output-tokens",
            Counted::Tokens => "x-cc-relay-remaining-tokens",
        };
        headers.add(name, *left);
    }
    if let Some(left) = around.calls {
        headers.add("x-cc-relay-remaining-concurrency", u64::from(left));
    }
}

/// What became of a conversation's prompt cache, if it left it, or if it is asked for.
pub(crate) fn stay_words(stay: Stay, always: bool) -> Option<String> {
    match stay {
        Stay::New => None,
        Stay::Kept { tokens } => always.then(|| format!("kept {tokens} cached tokens")),
        Stay::Left { tokens, why } => Some(match why {
            Leaving::Unable => format!("left {tokens} cached tokens: no key that reads them can serve"),
            Leaving::Dear(wait) => {
                let (seconds, tenths) = (wait.as_secs(), wait.subsec_millis() / 100);
                format!("left {tokens} cached tokens: they would have cost a wait of {seconds}.{tenths} s")
            }
        }),
    }
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
