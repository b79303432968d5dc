//! The body of a request over HTTP/2 that nobody reads to its end, because the request was refused before.
//!
//! A stream whose body is dropped is reset behind its answer. That is how it should be (RFC 9113, section 8.1), but
//! curl, up to 8.0 at least, forgets the answer then and tells of the reset. So what the client still sends is taken
//! as long as it is from clients of HTTP/1.1.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use relay_transport::server::{LINGER, LINGER_IN_SILENCE};
use tokio::time::Instant;

use crate::tasks::Tasks;

/// A body over HTTP/2. If it is dropped before its end, the rest of it is taken.
pub(crate) struct Unread {
    /// None once it broke off, or was handed to whoever takes the rest.
    body: Option<Incoming>,
    tasks: Tasks,
}

impl Unread {
    pub(crate) fn new(body: Incoming, tasks: Tasks) -> Self {
        Self { body: Some(body), tasks }
    }
}

impl Body for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.tasks.spawn_here("unread body", take(body));
        }
    }
}

/// Takes what comes and drops it.
async fn take(mut body: Incoming) {
    let until = Instant::now() + LINGER;
    loop {
        let due = until.min(Instant::now() + LINGER_IN_SILENCE);
        let Ok(Some(Ok(_))) = tokio::time::timeout_at(due, body.frame()).await else { return };
    }
}
