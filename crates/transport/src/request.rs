//! The body of a request: bytes in memory, which can be sent again, or a stream, which cannot.
//!
//! Knows pieces and lengths. Refuses to know what the bytes mean.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};

use crate::error::Cause;

/// What is sent after the head of a request.
///
/// A body in memory is a list of segments, so that an edit in the middle of a large body copies
/// nothing. Such a body is [replayable](Self::replay): it may be sent a second time, on a fresh
/// connection, when a pooled one turns out to be dead.
#[derive(Default)]
pub struct RequestBody(Content);

/// A body whose bytes are not yet here.
pub(crate) type Streaming = UnsyncBoxBody<Bytes, Cause>;

#[derive(Default)]
pub(crate) enum Content {
    #[default]
    Empty,
    Whole(Bytes),
    Segments(Segments),
    Stream(Streaming),
}

#[derive(Clone)]
pub(crate) struct Segments {
    all: Arc<[Bytes]>,
    next: usize,
}

impl RequestBody {
    /// No body at all.
    pub fn empty() -> Self {
        Self(Content::Empty)
    }

    /// A body that is read while it is sent. It has a `content-length` where its size hint is
    /// exact, and is chunked otherwise. It is never sent on a pooled HTTP/1.1 connection, which
    /// might be dead, for it could not be sent again.
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Cause>,
    {
        Self(Content::Stream(body.map_err(Into::into).boxed_unsync()))
    }

    /// The same body once more, unless it is a stream.
    pub fn replay(&self) -> Option<Self> {
        match &self.0 {
            Content::Empty => Some(Self(Content::Empty)),
            Content::Whole(bytes) => Some(Self(Content::Whole(bytes.clone()))),
            Content::Segments(segments) => Some(Self(Content::Segments(segments.clone()))),
            Content::Stream(_) => None,
        }
    }

    /// The number of bytes, where it is known.
    pub fn length(&self) -> Option<u64> {
        self.0.length()
    }

    /// Whether there is no body at all.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Content::Empty)
    }

    pub(crate) fn into_content(self) -> Content {
        self.0
    }
}

impl Content {
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Whole(bytes) => Some(bytes.len() as u64),
            Self::Segments(segments) => Some(segments.remaining()),
            Self::Stream(stream) => stream.size_hint().exact(),
        }
    }
}

impl Segments {
    fn remaining(&self) -> u64 {
        self.all.iter().skip(self.next).map(|segment| segment.len() as u64).sum()
    }
}

impl Iterator for Segments {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let segment = self.all.get(self.next)?.clone();
        self.next += 1;
        Some(segment)
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self(Content::Whole(bytes))
    }
}

impl From<Vec<Bytes>> for RequestBody {
    fn from(segments: Vec<Bytes>) -> Self {
        Self(Content::Segments(Segments { all: segments.into(), next: 0 }))
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(length) => write!(f, "RequestBody({length} bytes)"),
            None => f.write_str("RequestBody(stream)"),
        }
    }
}

/// As HTTP/2 takes it: one data frame a segment.
impl Body for RequestBody {
    type Data = Bytes;
    type Error = Cause;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cause>>> {
        let content = &mut self.get_mut().0;
        let next = match content {
            Content::Empty => None,
            Content::Whole(_) => match std::mem::take(content) {
                Content::Whole(bytes) if !bytes.is_empty() => Some(bytes),
                _ => None,
            },
            Content::Segments(segments) => segments.find(|segment| !segment.is_empty()),
            Content::Stream(stream) => return Pin::new(stream).poll_frame(cx),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Stream(stream) => stream.is_end_stream(),
            content => content.length() == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Stream(stream) => stream.size_hint(),
            content => SizeHint::with_exact(content.length().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(texts: &[&'static str]) -> RequestBody {
        RequestBody::from(texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn segments_are_one_body_and_can_be_sent_again() {
        let body = segments(&["he", "", "llo"]);
        let again = body.replay().unwrap();
        assert_eq!(body.length(), Some(5));
        for body in [body, again] {
            assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
        }
    }

    #[tokio::test]
    async fn a_stream_cannot_be_sent_again() {
        let body = RequestBody::stream(http_body_util::Full::new(Bytes::from_static(b"hello")));
        assert!(body.replay().is_none());
        assert_eq!(body.length(), Some(5));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
    }

    #[test]
    fn bodies_do_not_show_their_bytes() {
        assert_eq!(format!("{:?}", RequestBody::from(Bytes::from_static(b"secret"))), "RequestBody(6 bytes)");
    }
}
