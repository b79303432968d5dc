//! The answer that begins with pings while attempts still go on. No client sees long silence, and
//! failing over stays possible while only pings have gone out.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use relay_core::Plan;
use relay_headers::Response;
use relay_telemetry::happening::End;
use relay_wire::refusal::PING;

use crate::exchange::Exchange;
use crate::flush::Chunk;
use crate::outgoing::{self, Outgoing};
use crate::reject::Reject;
use crate::relay::{Attempts, Committed, Journey};
use crate::slots::Slot;
use crate::stream::{Aborted, Flow, Silence};
use crate::watch::Watch;

/// A stream that has begun without an answer.
pub(crate) struct Late {
    exchange: Arc<Exchange>,
    state: State,
    silence: Silence,
    /// So many bytes were sent before anybody answered.
    sent: u64,
}

enum State {
    /// Attempts go on. The first ping goes out with the head.
    Asking { attempts: Attempts, opened: bool },
    /// Somebody answers.
    Flowing(Box<Flow>),
    /// Nobody did, and that has been said.
    Ended,
}

/// Attempts on; if nobody has answered when the head is due, it goes out without an answer.
pub(crate) async fn race(
    journey: Box<Journey>,
    plan: Plan,
    slot: Slot,
) -> Result<Response<Outgoing>, Reject> {
    let exchange = Arc::clone(&journey.exchange);
    let (head_after, ping_every) = (journey.snapshot.server.head_after, journey.snapshot.server.ping_every);
    let due = journey.relay.live.clock().instant(exchange.arrived() + head_after);
    let mut attempts = journey.attempts(plan);
    tokio::select! {
        biased;
        (journey, committed) = &mut attempts => Ok(outgoing::reply(&journey, slot, committed?)),
        () = tokio::time::sleep_until(due) => {
            let state = State::Asking { attempts, opened: false };
            let late = Late { exchange: Arc::clone(&exchange), state, silence: Silence::new(ping_every), sent: 0 };
            Ok(outgoing::late(late, &exchange, slot))
        }
    }
}

impl Late {
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, Aborted>>> {
        loop {
            match &mut self.state {
                State::Flowing(flow) => return flow.poll_frame(context),
                State::Ended => return Poll::Ready(None),
                State::Asking { attempts, opened } => {
                    if let Poll::Ready((journey, committed)) = attempts.as_mut().poll(context) {
                        match self.answered(&journey, committed) {
                            Some(error) => return self.send(error),
                            None => continue,
                        }
                    }
                    if std::mem::replace(opened, true) {
                        ready!(self.silence.poll(context));
                    }
                    self.silence.broken();
                    return self.send(Bytes::from_static(PING));
                }
            }
        }
    }

    /// Has all of it been sent?
    pub(crate) fn is_ended(&self) -> bool {
        match &self.state {
            State::Asking { .. } => false,
            State::Flowing(flow) => flow.is_ended(),
            State::Ended => true,
        }
    }

    /// The attempts have ended: with a stream, which flows from here, or with an error, which is the first event.
    fn answered(&mut self, journey: &Journey, committed: Result<Committed, Reject>) -> Option<Bytes> {
        let error = match committed {
            Ok(committed) if matches!(committed.reply.watch, Watch::Stream(_)) => {
                let every = journey.snapshot.server.ping_every;
                let Committed { reply, held } = committed;
                let flow = Flow::new(&journey.relay.live, &self.exchange, reply, held, (every, self.sent));
                self.state = State::Flowing(Box::new(flow));
                return None;
            }
            Ok(committed) => refusal(&committed).unwrap_or_else(|| Reject::Lost.event(self.exchange.id())),
            Err(reject) => reject.event(self.exchange.id()),
        };
        self.state = State::Ended;
        self.exchange.note_end(End::Error);
        Some(error)
    }

    /// Sends something of the relay's own.
    fn send(&mut self, chunk: Bytes) -> Poll<Option<Result<Frame<Chunk>, Aborted>>> {
        self.sent += chunk.len() as u64;
        self.exchange.note_bytes(self.sent);
        Poll::Ready(Some(Ok(Frame::data(Chunk::plain(chunk)))))
    }
}

/// A provider's refusal as an event: its own words, if they are one line of JSON or can be made one.
fn refusal(committed: &Committed) -> Option<Bytes> {
    let body = committed.reply.said();
    let words: &serde_json::value::RawValue = serde_json::from_slice(&body).ok()?;
    relay_wire::refusal::read(&body).kind?;
    // A line break in JSON is only ever space between tokens.
    let line = words.get().replace(['\n', '\r'], " ");
    Some(format!("event: error\ndata: {line}\n\n").into())
}
