//! The body of an answer as the relay reads it: what the transport gives, decoded if it is watched and
//! came compressed all the same.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use relay_headers::Headers;
use relay_transport::{BodyError, Incoming};

use crate::decode::{Coded, Decoder};

/// Where the bytes of an answer come from.
pub(crate) struct Source {
    body: Incoming,
    /// On the heap: few answers need one, and it is large.
    decoder: Option<Box<Decoder>>,
}

/// A watched answer is coded in a way that cannot be undone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the answer is compressed in a way that is not understood")]
pub(crate) struct Unreadable;

/// Why an answer's body did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The upstream broke it off.
    #[error(transparent)]
    Upstream(BodyError),
    /// It is not coded as its headers say.
    #[error("the answer cannot be decompressed")]
    Coding,
}

impl Source {
    /// Decodes only what is watched; everything else is passed on as it is.
    pub(crate) fn new(body: Incoming, headers: &Headers, watched: bool) -> Result<Self, Unreadable> {
        let decoder = match Coded::of(headers) {
            _ if !watched => None,
            Coded::Plain => None,
            Coded::Known(coding) => Some(Box::new(Decoder::new(coding).map_err(|_| Unreadable)?)),
            Coded::Unknown => return Err(Unreadable),
        };
        Ok(Self { body, decoder })
    }

    /// Is what comes out other than what the headers announce?
    pub(crate) const fn is_decoded(&self) -> bool {
        self.decoder.is_some()
    }

    /// Has everything come? Of what is decoded that is told by the next frame, for its end must be looked at.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.decoder.is_none() && self.body.is_end_stream()
    }

    /// Was the last frame all there is, and will whoever took it be woken when there is more?
    pub(crate) fn is_waiting(&self) -> bool {
        self.body.is_waiting()
    }

    /// The next frame.
    pub(crate) fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        loop {
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
            let (frame, decoder) = match (frame, &mut self.decoder) {
                (Some(Ok(frame)), Some(decoder)) => (frame, decoder),
                (None, decoder) => return Poll::Ready(decoder.take().and_then(|it| last(*it))),
                (frame, _) => return Poll::Ready(frame.map(|frame| frame.map_err(Failure::Upstream))),
            };
            // Trailers are about the body as it came, and would end what has no end yet.
            let Some(chunk) = frame.data_ref() else { continue };
            match decoder.push(chunk) {
                // A chunk may end in the middle of a block and add nothing yet.
                Ok(decoded) if decoded.is_empty() => {}
                Ok(decoded) => return Poll::Ready(Some(Ok(Frame::data(decoded)))),
                Err(_) => return Poll::Ready(Some(Err(Failure::Coding))),
            }
        }
    }
}

/// What comes when the body has ended: what was held back, or that it was no end.
fn last(decoder: Decoder) -> Option<Result<Frame<Bytes>, Failure>> {
    match decoder.finish() {
        Ok(rest) if rest.is_empty() => None,
        Ok(rest) => Some(Ok(Frame::data(rest))),
        Err(_) => Some(Err(Failure::Coding)),
    }
}
