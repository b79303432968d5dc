//! The body of an answer as the relay reads it: what the transport gives, decoded if it is watched and
//! came compressed all the same, and turned into what Anthropic's would be.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use relay_headers::Headers;
use relay_providers::{Garbled, Translator};
use relay_transport::{BodyError, Incoming};

use crate::decode::{Coded, Decoder};

/// Where the bytes of an answer come from.
pub(crate) struct Source {
    body: Incoming,
    /// Few answers need one.
    changes: Option<Box<Changes>>,
}

/// What makes another body of it.
struct Changes {
    decoder: Option<Decoder>,
    translator: Option<Box<dyn Translator>>,
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
    /// It is not in the form that its head says.
    #[error(transparent)]
    Form(Garbled),
}

impl Source {
    /// Decodes only what is looked at; everything else is passed on as it is.
    pub(crate) fn new(
        body: Incoming,
        headers: &Headers,
        watched: bool,
        translator: Option<Box<dyn Translator>>,
    ) -> Result<Self, Unreadable> {
        let decoder = match Coded::of(headers) {
            _ if !watched && translator.is_none() => None,
            Coded::Plain => None,
            Coded::Known(coding) => Some(Decoder::new(coding).map_err(|_| Unreadable)?),
            Coded::Unknown => return Err(Unreadable),
        };
        let changes =
            (decoder.is_some() || translator.is_some()).then(|| Box::new(Changes { decoder, translator }));
        Ok(Self { body, changes })
    }

    /// Is what comes out other than what the headers announce?
    pub(crate) const fn is_changed(&self) -> bool {
        self.changes.is_some()
    }

    /// Has everything come? Of what is changed that is told by the next frame, for its end must be looked at.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.changes.is_none() && self.body.is_end_stream()
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
            let (frame, changes) = match (frame, &mut self.changes) {
                (Some(Ok(frame)), Some(changes)) => (frame, changes),
                (None, changes) => return Poll::Ready(changes.take().and_then(Changes::finish)),
                (frame, _) => return Poll::Ready(frame.map(|frame| frame.map_err(Failure::Upstream))),
            };
            // Trailers are about the body as it came, and would end what has no end yet.
            let Some(chunk) = frame.data_ref() else { continue };
            match changes.push(chunk) {
                // A chunk may end in the middle of a block and add nothing yet.
                Ok(changed) if changed.is_empty() => {}
                Ok(changed) => return Poll::Ready(Some(Ok(Frame::data(changed)))),
                Err(failure) => return Poll::Ready(Some(Err(failure))),
            }
        }
    }
}

impl Changes {
    fn push(&mut self, chunk: &Bytes) -> Result<Bytes, Failure> {
        let chunk = match &mut self.decoder {
            Some(decoder) => decoder.push(chunk).map_err(|_| Failure::Coding)?,
            None => chunk.clone(),
        };
        self.translate(chunk)
    }

    fn translate(&mut self, chunk: Bytes) -> Result<Bytes, Failure> {
        match &mut self.translator {
            Some(translator) if !chunk.is_empty() => translator.push(&chunk).map_err(Failure::Form),
            _ => Ok(chunk),
        }
    }

    /// What comes when the body has ended: what was held back, or that it was no end.
    fn finish(mut self: Box<Self>) -> Option<Result<Frame<Bytes>, Failure>> {
        let last = self.last();
        match last {
            Ok(last) if last.is_empty() => None,
            last => Some(last.map(Frame::data)),
        }
    }

    fn last(&mut self) -> Result<Bytes, Failure> {
        let rest = match self.decoder.take() {
            Some(decoder) => decoder.finish().map_err(|_| Failure::Coding)?,
            None => Bytes::new(),
        };
        let mut last = self.translate(rest)?;
        if let Some(translator) = &mut self.translator {
            let end = translator.finish().map_err(Failure::Form)?;
            last = if last.is_empty() { end } else { [last, end].concat().into() };
        }
        Ok(last)
    }
}
