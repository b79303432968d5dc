//! The body of a response, over whichever protocol it comes.
//!
//! Knows how to be polled. Polling it is what drives an HTTP/1.1 connection; dropping it is what
//! cancels the request.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::{error::BodyError, h1, h2, timings::Timings};

/// The body of a response. Every poll that finds bytes gives them out at once, uncopied. When the
/// last byte is given out the connection is already free for the next request. Dropping it
/// earlier closes the connection (HTTP/1.1) or resets the stream (HTTP/2).
pub struct Incoming {
    source: Source,
    timings: Timings,
}

enum Source {
    Http1(Box<h1::Exchange>),
    Http2(Box<h2::Streamed>),
}

impl Incoming {
    pub(crate) fn http1(exchange: h1::Exchange, timings: Timings) -> Self {
        Self { source: Source::Http1(Box::new(exchange)), timings }
    }

    pub(crate) fn http2(streamed: h2::Streamed, timings: Timings) -> Self {
        Self { source: Source::Http2(Box::new(streamed)), timings }
    }

    /// How the head of this response was come by.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// Whether the last piece was all there is, and whoever took it will be woken when there is more, or when it has
    /// not come in time: he need not ask again before that. It may be so too where this says no.
    pub fn is_waiting(&self) -> bool {
        match &self.source {
            Source::Http1(exchange) => exchange.is_waiting(),
            Source::Http2(_) => false,
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.source {
            Source::Http1(exchange) => exchange.poll_frame(cx),
            Source::Http2(streamed) => streamed.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Http1(exchange) => exchange.is_end_stream(),
            Source::Http2(streamed) => streamed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Http1(exchange) => exchange.size_hint(),
            Source::Http2(streamed) => streamed.size_hint(),
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("timings", &self.timings).finish_non_exhaustive()
    }
}
