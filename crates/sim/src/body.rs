//! The body of an answer: frames at their pace, and an end which may be no good one.
//!
//! It knows Tokio's clock and the record it charges; it refuses to know what the frames mean.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::{entry::Entry, record::Outcome, serve::Line};

/// How long a broken body waits before it breaks, so that what came before it is on the wire.
const GRACE: Duration = Duration::from_millis(5);

/// A piece of a body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    /// Output tokens which it brings.
    pub(crate) tokens: u64,
    /// How long after the piece before it.
    pub(crate) wait: Duration,
}

/// How a body ends when its pieces are gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// As it should.
    Whole,
    /// As if it should; a script made it so.
    Short,
    /// Never.
    Hang,
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
}

/// A script closed or reset the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the simulated provider broke the connection as it was told")]
pub(crate) struct Broken;

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    pieces: VecDeque<Piece>,
    ending: Ending,
    /// The length that was promised in the head.
    length: Option<u64>,
    /// Runs before the next piece, or before a broken end.
    sleep: Option<Pin<Box<Sleep>>>,
    waited: bool,
    entry: Option<Entry>,
    line: Line,
}

impl AnswerBody {
    pub(crate) fn new(pieces: VecDeque<Piece>, ending: Ending, entry: Option<Entry>, line: Line) -> Self {
        let mut body = Self { pieces, ending, length: None, sleep: None, waited: false, entry, line };
        body.end_if_over();
        body
    }

    /// The same with a promised length.
    pub(crate) fn with_length(self, length: u64) -> Self {
        Self { length: Some(length), ..self }
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(mut entry) = self.entry.take() {
            entry.end(outcome);
        }
    }

    fn hand_over(&mut self, piece: Piece) -> Bytes {
        self.waited = false;
        if let Some(entry) = &self.entry {
            entry.produce(piece.tokens);
        }
        self.end_if_over();
        piece.bytes
    }

    fn end_if_over(&mut self) {
        if self.is_end_stream() {
            let good = self.ending == Ending::Whole;
            self.end(if good { Outcome::Finished } else { Outcome::Broken });
        }
    }

    /// How long to wait before the next step, if that was not done yet.
    fn pause(&self) -> Option<Duration> {
        let wait = match self.pieces.front() {
            Some(piece) => piece.wait,
            None => GRACE,
        };
        (!self.waited && !wait.is_zero()).then_some(wait)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let body = self.get_mut();
        if body.is_end_stream() {
            return Poll::Ready(None);
        }
        if body.pieces.is_empty() && body.ending == Ending::Hang {
            return Poll::Pending;
        }
        if let Some(pause) = body.pause() {
            body.sleep.get_or_insert_with(|| Box::pin(sleep(pause)));
        }
        if let Some(sleep) = &mut body.sleep {
            ready!(sleep.as_mut().poll(context));
            (body.sleep, body.waited) = (None, true);
        }
        if let Some(piece) = body.pieces.pop_front() {
            let bytes = body.hand_over(piece);
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if body.ending == Ending::Reset {
            body.line.reset_on_close();
        }
        body.end(Outcome::Broken);
        Poll::Ready(Some(Err(Broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && matches!(self.ending, Ending::Whole | Ending::Short)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
