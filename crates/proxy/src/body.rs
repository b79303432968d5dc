//! Reads a client's body, up to a limit. It knows bytes, and refuses to know what they say.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::reject::Reject;
use crate::socket::Unread;

/// A client's body as it arrives. Once all of it was taken, there is nothing on its connection that nobody has read.
pub(crate) struct Arriving {
    body: Incoming,
    unread: Unread,
}

/// Reads a whole body. One that comes in a single chunk is not copied.
pub(crate) async fn read(mut body: Arriving, limit: u64) -> Result<Bytes, Reject> {
    let hint = body.size_hint();
    if hint.lower() > limit {
        return Err(Reject::TooLarge(limit));
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // W6 of the old program: a body that broke off was forwarded as if it were whole.
        let frame = frame.map_err(|_| Reject::Unreadable)?;
        let Ok(chunk) = frame.into_data() else { continue };
        let length = (first.len() + rest.len() + chunk.len()) as u64;
        if length > limit {
            return Err(Reject::TooLarge(limit));
        }
        if first.is_empty() && rest.is_empty() {
            first = chunk;
            continue;
        }
        if rest.is_empty() {
            let announced = usize::try_from(hint.exact().unwrap_or(length)).unwrap_or_default();
            rest.reserve(announced.max(first.len() + chunk.len()));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&chunk);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

impl Arriving {
    pub(crate) fn new(body: Incoming, unread: Unread) -> Self {
        let arriving = Self { body, unread };
        if arriving.body.is_end_stream() {
            arriving.unread.clear();
        } else {
            arriving.unread.note();
        }
        arriving
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.unread.clear();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that is passed on as it comes, up to a limit. It breaks off beyond it, and says so to whoever
/// kept its [`Overrun`].
pub(crate) struct Limited {
    body: Arriving,
    left: u64,
    overrun: Overrun,
}

/// Was a body longer than its limit?
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrun(Arc<AtomicBool>);

impl Overrun {
    pub(crate) fn happened(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The body was longer than its limit, or the client broke it off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the client's body broke off or was too long")]
pub(crate) struct BrokenOff;

impl Limited {
    /// None if the body announces itself as too long.
    pub(crate) fn new(body: Arriving, limit: u64) -> Result<(Self, Overrun), Reject> {
        if body.size_hint().lower() > limit {
            return Err(Reject::TooLarge(limit));
        }
        let overrun = Overrun::default();
        Ok((Self { body, left: limit, overrun: overrun.clone() }, overrun))
    }
}

impl Body for Limited {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Some(frame) = std::task::ready!(Pin::new(&mut self.body).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(|_| BrokenOff)?;
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(left) = self.left.checked_sub(length) else {
            self.overrun.0.store(true, Ordering::Release);
            return Poll::Ready(Some(Err(BrokenOff)));
        };
        self.left = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
