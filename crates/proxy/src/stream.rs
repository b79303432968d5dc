//! The reply's body. Every chunk leaves in the same poll in which it came; silence is filled with
//! pings between events; what breaks upstream breaks here, and never looks like an end.
//!
//! The lease, the slot and the record of the exchange are inside, and end when it does: at the end
//! of the stream, at a cut, or when the client leaves, all by way of `Drop`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use relay_core::Usage;
use relay_telemetry::happening::End;
use relay_transport::{BodyError, Watchdog};
use relay_wire::refusal::PING;
use tokio::time::Instant;

use crate::attempt::Reply;
use crate::exchange::Exchange;
use crate::flush::{Chunk, Departures};
use crate::live::{Held, Live};
use crate::source::{Failure, Source};
use crate::watch::{Closing, Watch};

/// A lease is charged again after this many more output tokens: often enough for a long answer to be
/// seen by others while it flows, seldom enough that the lock is not taken for each event.
const CHARGE_EVERY: u64 = relay_core::PIECE;

/// Chunks that are there together are gathered up to about this many bytes: what one read from a socket
/// usually brings.
const GATHERED: usize = 16 << 10;

/// The body of a reply.
pub(crate) struct Flow {
    live: Arc<Live>,
    exchange: Arc<Exchange>,
    /// What was read of it before it was known to be the answer.
    first: VecDeque<Bytes>,
    rest: Option<Source>,
    /// What was met behind gathered chunks: an end, an error, trailers.
    met: Option<Met>,
    watch: Watch,
    held: Option<Held>,
    silence: Silence,
    charged: Usage,
    /// Of the answer, as far as it has come, with our pings.
    bytes: u64,
    /// Of HTTP/2. In HTTP/1 everything leaves before more is asked for.
    departures: Option<Arc<Departures>>,
    stage: Stage,
    /// The last chunk was all there is, and its taker will be woken when there is more or a ping is due.
    waiting: bool,
    /// The upstream's body has ended, and what it was has been noted.
    concluded: bool,
}

/// What comes behind chunks that were gathered.
enum Met {
    /// Nothing.
    End,
    /// Trailers, or a failure.
    Frame(Result<Frame<Bytes>, Failure>),
}

/// How far a reply has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// There is more to come.
    Flowing,
    /// It breaks off as soon as everything before that has gone.
    Aborting,
    /// All of it has come.
    Ended,
}

/// The upstream broke the answer off: the client's connection is broken off too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the upstream broke the answer off")]
pub struct Aborted;

impl Flow {
    /// A reply as it flows, behind so many bytes that have gone out before it.
    pub(crate) fn new(
        live: &Arc<Live>,
        exchange: &Arc<Exchange>,
        reply: Reply,
        held: Option<Held>,
        (ping_every, sent): (Duration, u64),
    ) -> Self {
        let Reply { first, rest, watch, .. } = reply;
        let bytes = sent + first.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        let mut flow = Self {
            live: Arc::clone(live),
            exchange: Arc::clone(exchange),
            first,
            rest,
            met: None,
            watch,
            held,
            silence: Silence::new(ping_every),
            charged: Usage::ZERO,
            bytes,
            departures: exchange.flushes().map(Departures::begin),
            stage: Stage::Flowing,
            waiting: false,
            concluded: false,
        };
        flow.look_for_end();
        flow
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, Aborted>>> {
        self.waiting = false;
        if let Some(chunk) = self.first.pop_front() {
            return self.send(chunk);
        }
        match self.stage {
            Stage::Flowing => {}
            Stage::Ended => return Poll::Ready(None),
            Stage::Aborting => {
                if let Some(departures) = &self.departures {
                    ready!(departures.poll_gone(context));
                }
                return Poll::Ready(Some(Err(Aborted)));
            }
        }
        match self.poll_source(context) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(chunk) => {
                    let chunk = self.gather(chunk, context);
                    self.bytes += chunk.len() as u64;
                    self.charge();
                    self.look_for_end();
                    let sent = self.send(chunk);
                    self.waiting = self.is_source_waiting() && !self.is_ping_due(context);
                    sent
                }
                Err(trailers) => Poll::Ready(Some(Ok(trailers.map_data(Chunk::plain)))),
            },
            Poll::Ready(Some(Err(error))) => {
                self.abort(match error {
                    Failure::Upstream(BodyError::Idle(_)) => End::Stalled,
                    Failure::Upstream(BodyError::Malformed(_)) | Failure::Coding | Failure::Form(_) => {
                        End::Garbled
                    }
                    Failure::Upstream(BodyError::Cut(_)) => End::Cut,
                });
                self.poll_frame(context)
            }
            Poll::Ready(None) => self.finish(context),
            Poll::Pending if self.is_ping_due(context) => {
                self.bytes += PING.len() as u64;
                self.send(Bytes::from_static(PING))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Has all of it been sent? Then its end goes with its last chunk, and not after it.
    pub(crate) fn is_ended(&self) -> bool {
        self.stage == Stage::Ended && self.first.is_empty()
    }

    /// Was the last chunk all there is, and will whoever took it be woken when that changes? Then he need not ask
    /// again before.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Does the upstream's body wait, with nothing met behind what it gave?
    fn is_source_waiting(&self) -> bool {
        self.met.is_none() && self.rest.as_ref().is_some_and(Source::is_waiting)
    }

    /// Has nothing been sent for so long that a ping is due, where one may be put? If not, the timer is set.
    fn is_ping_due(&mut self, context: &mut Context<'_>) -> bool {
        self.watch.at_boundary() && self.silence.poll(context).is_ready()
    }

    /// What the upstream has for us, or what was met when its chunks were gathered.
    fn poll_source(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match self.met.take() {
            Some(Met::End) => return Poll::Ready(None),
            Some(Met::Frame(frame)) => return Poll::Ready(Some(frame)),
            None => {}
        }
        match &mut self.rest {
            Some(source) => Pin::new(source).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    /// One chunk with those behind it that are there already. Nothing waits for anything: events that came
    /// together leave together, in one frame instead of fifty.
    fn gather(&mut self, first: Bytes, context: &mut Context<'_>) -> Bytes {
        self.watch.see(&first);
        let mut gathered = BytesMut::new();
        while first.len().max(gathered.len()) < GATHERED && !self.is_source_waiting() {
            match self.poll_source(context) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                    let Ok(chunk) = frame.into_data() else { break };
                    self.watch.see(&chunk);
                    if gathered.is_empty() {
                        gathered.reserve(GATHERED);
                        gathered.extend_from_slice(&first);
                    }
                    gathered.extend_from_slice(&chunk);
                }
                Poll::Ready(met) => {
                    self.met = Some(met.map_or(Met::End, Met::Frame));
                    break;
                }
            }
        }
        if gathered.is_empty() { first } else { gathered.freeze() }
    }

    fn send(&mut self, chunk: Bytes) -> Poll<Option<Result<Frame<Chunk>, Aborted>>> {
        self.silence.broken();
        let chunk = match &self.departures {
            Some(departures) => departures.chunk(chunk),
            None => Chunk::plain(chunk),
        };
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn charge(&mut self) {
        let usage = self.watch.usage();
        let grown = usage.output >= self.charged.output + CHARGE_EVERY;
        if grown || usage.uncached_input() != self.charged.uncached_input() {
            self.settle(usage);
        }
    }

    fn settle(&mut self, usage: Usage) {
        self.charged = usage;
        if let Some(text) = self.held.as_mut().and_then(|held| held.charge(usage)) {
            self.watch.is_like(text);
        }
    }

    /// Hyper does not ask for more of a body whose announced length is there: so its end is looked for
    /// with its last chunk, and not only waited for.
    fn look_for_end(&mut self) {
        let ended = match &self.met {
            Some(met) => matches!(met, Met::End),
            None => self.rest.as_ref().is_none_or(Source::is_end_stream),
        };
        if ended {
            self.conclude();
        }
    }

    /// The upstream's body has ended.
    fn finish(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Chunk>, Aborted>>> {
        self.conclude();
        self.poll_frame(context)
    }

    /// What the whole answer was, and what it cost. Nothing more will be used, whatever is still to be sent.
    fn conclude(&mut self) {
        self.concluded = true;
        self.rest = None;
        let (events, text) = (self.watch.events(), self.watch.text());
        let (closing, usage, container) = std::mem::replace(&mut self.watch, Watch::Nothing).close();
        if usage != Usage::ZERO {
            self.charged = usage;
        }
        if let Some(held) = self.held.take() {
            if let Some((name, key)) = container.zip(held.key()) {
                self.live.own(&name, key);
            }
            held.end(self.charged, text);
        }
        self.exchange.note_progress(self.charged, self.bytes, events);
        match closing {
            Closing::Cut => return self.abort(End::Cut),
            Closing::Error => self.exchange.note_end(End::Error),
            Closing::Whole => self.exchange.note_end(End::Whole),
        }
        self.stage = Stage::Ended;
    }

    /// Breaks off, once all that came before has left for the client.
    fn abort(&mut self, end: End) {
        self.exchange.note_end(end);
        self.rest = None;
        self.stage = Stage::Aborting;
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        if self.held.is_some() && !self.concluded {
            let usage = self.watch.usage();
            if usage != Usage::ZERO {
                self.settle(usage);
            }
            self.exchange.note_progress(self.charged, self.bytes, self.watch.events());
        }
    }
}

/// How long nothing has been sent, and when that calls for a ping. The clock is read when silence begins, not when
/// it ends.
pub(crate) struct Silence {
    every: Duration,
    since: Option<Instant>,
    watchdog: Watchdog,
}

impl Silence {
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, since: None, watchdog: Watchdog::default() }
    }

    /// Something is sent.
    pub(crate) fn broken(&mut self) {
        self.since = None;
    }

    /// Ready when nothing has been sent for that long.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.watchdog.poll(since.checked_add(self.every), context)
    }
}
