//! Reads a client's body, up to a limit. It knows bytes, and refuses to know what they say.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use relay_transport::server::{Inbound, InboundError};
use tokio::time::Sleep;

use crate::reject::Reject;
use crate::unread::Unread;

/// How long a client may be silent in the middle of a body. As long as it may take over a head: a client that
/// has vanished must not hold its place for ever, and one on a bad line must not lose its request.
const SILENCE: Duration = Duration::from_mins(2);

/// A client's body as it arrives.
pub(crate) struct Arriving {
    way: Way,
    /// How much of it had come when the client was last waited for, and the time since.
    patience: Option<(u64, Pin<Box<Sleep>>)>,
}

/// By which version of HTTP it comes.
enum Way {
    Http1(Inbound),
    Http2(Unread),
}

/// Reads a whole body. One that comes in one piece is not copied.
pub(crate) async fn read(mut body: Arriving, limit: u64) -> Result<Bytes, Reject> {
    let hint = body.size_hint();
    if hint.lower() > limit {
        return Err(Reject::TooLarge(limit));
    }
    if let Way::Http1(inbound) = &mut body.way {
        inbound.whole();
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // W6 of the old program: a body that broke off was forwarded as if it were whole.
        let frame = frame.map_err(|missing| match missing {
            Missing::BrokenOff => Reject::Unreadable,
            Missing::Silent => Reject::Slow,
        })?;
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

/// Why no more of a body arrives.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Missing {
    /// The client broke it off, or it is not framed as it should be.
    #[error("the body broke off")]
    BrokenOff,
    /// The client fell silent in the middle of it.
    #[error("the body stopped coming")]
    Silent,
}

impl From<Inbound> for Arriving {
    fn from(body: Inbound) -> Self {
        Self { way: Way::Http1(body), patience: None }
    }
}

impl From<Unread> for Arriving {
    fn from(body: Unread) -> Self {
        Self { way: Way::Http2(body), patience: None }
    }
}

impl From<InboundError> for Missing {
    fn from(_: InboundError) -> Self {
        Self::BrokenOff
    }
}

impl From<hyper::Error> for Missing {
    fn from(_: hyper::Error) -> Self {
        Self::BrokenOff
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Missing;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Missing>>> {
        let (frame, received) = match &mut self.way {
            Way::Http1(body) => {
                let frame = Pin::new(&mut *body).poll_frame(context);
                (frame.map(|frame| frame.map(|frame| frame.map_err(Missing::from))), body.received())
            }
            Way::Http2(body) => {
                let frame = Pin::new(body).poll_frame(context);
                (frame.map(|frame| frame.map(|frame| frame.map_err(Missing::from))), 0)
            }
        };
        if frame.is_ready() {
            self.patience = None;
            return frame;
        }
        let fresh = || (received, Box::pin(tokio::time::sleep(SILENCE)));
        let patience = self.patience.get_or_insert_with(fresh);
        if patience.0 != received {
            *patience = fresh();
        }
        patience.1.as_mut().poll(context).map(|()| Some(Err(Missing::Silent)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.way {
            Way::Http1(body) => body.is_end_stream(),
            Way::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.way {
            Way::Http1(body) => body.size_hint(),
            Way::Http2(body) => body.size_hint(),
        }
    }
}

/// A body that is passed on as it comes, up to a limit. It breaks off beyond it, and says so to whoever
/// kept its [`Fate`].
pub(crate) struct Limited {
    body: Arriving,
    left: u64,
    fate: Fate,
}

/// What became of a body that was passed on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate(Arc<Mutex<Option<Fault>>>);

/// What a client did wrong with its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It was longer than its limit.
    TooLong,
    /// It stopped coming.
    Silent,
    /// It broke off.
    BrokenOff,
}

impl Fate {
    /// The client's fault, if it was that.
    pub(crate) fn fault(&self) -> Option<Fault> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seal(&self, fault: Fault) -> Spoilt {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        Spoilt
    }
}

/// The body did not come to its end, by the client's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the client's body broke off, stopped coming or was too long")]
pub(crate) struct Spoilt;

impl Limited {
    /// None if the body announces itself as too long.
    pub(crate) fn new(body: Arriving, limit: u64) -> Result<(Self, Fate), Reject> {
        if body.size_hint().lower() > limit {
            return Err(Reject::TooLarge(limit));
        }
        let fate = Fate::default();
        Ok((Self { body, left: limit, fate: fate.clone() }, fate))
    }
}

impl Body for Limited {
    type Data = Bytes;
    type Error = Spoilt;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Spoilt>>> {
        let Some(frame) = std::task::ready!(Pin::new(&mut self.body).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(Missing::Silent) => return Poll::Ready(Some(Err(self.fate.seal(Fault::Silent)))),
            Err(Missing::BrokenOff) => return Poll::Ready(Some(Err(self.fate.seal(Fault::BrokenOff)))),
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(left) = self.left.checked_sub(length) else {
            return Poll::Ready(Some(Err(self.fate.seal(Fault::TooLong))));
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
