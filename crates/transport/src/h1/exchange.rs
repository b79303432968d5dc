//! The body of a response on the connection it comes from.
//!
//! Knows when the connection is free again, and gives it back in the very poll in which the last
//! byte is handed out. Dropping an unfinished exchange closes the connection, which is how
//! HTTP/1.1 says that an answer is no longer wanted.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{
    body::{Decoder, Piece},
    head::Head,
    link::{Failure, Link},
};
use crate::{error::BodyError, pool::Shelf};

/// A response body being read.
pub(crate) struct Exchange {
    /// Gone when the body has ended, well or badly.
    link: Option<Box<Link>>,
    decoder: Decoder,
    /// Where the connection goes afterwards.
    shelf: Arc<Shelf>,
    reuse: Reuse,
    idle: Duration,
    ahead: Ahead,
}

/// What was found when it was looked for more behind a piece.
enum Ahead {
    /// It was not looked for.
    Unknown,
    /// Nothing. Whoever took the piece will be woken.
    Nothing,
    /// What a read gave, with the bytes already in the inbox.
    Read(io::Result<usize>),
}

#[derive(Clone, Copy)]
enum Reuse {
    Never,
    /// For as long as the upstream says, if it says.
    Within(Option<Duration>),
}

impl Exchange {
    /// Takes up the body that follows `head`. A response without a body gives its connection
    /// back at once.
    pub(crate) fn begin(
        link: Box<Link>,
        head: &mut Head,
        method: &http::Method,
        shelf: Arc<Shelf>,
        idle: Duration,
    ) -> Result<Self, Failure> {
        let plan = head.plan(method).map_err(|malformed| link.malformed(malformed))?;
        let reuse = if plan.reusable {
            // A second less than announced: the request must arrive before the time is over.
            Reuse::Within(head.keep_alive_secs().map(|secs| Duration::from_secs(secs.saturating_sub(1))))
        } else {
            Reuse::Never
        };
        let mut exchange =
            Self { link: Some(link), decoder: plan.decoder, shelf, reuse, idle, ahead: Ahead::Unknown };
        exchange.touch();
        if exchange.decoder.is_complete() {
            exchange.release();
        }
        Ok(exchange)
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = self.poll_piece(cx);
        match &polled {
            Poll::Ready(Some(Err(_))) => self.link = None,
            Poll::Ready(_) if self.decoder.is_complete() => self.release(),
            Poll::Ready(_) => self.look_ahead(cx),
            Poll::Pending => {}
        }
        polled
    }

    /// Reads on behind a piece, if that will most likely be for nothing: then its taker is spared asking through
    /// all that lies between him and this.
    fn look_ahead(&mut self, cx: &mut Context<'_>) {
        let Some(link) = self.link.as_mut().filter(|link| link.is_drained() && !link.is_uploading()) else {
            return;
        };
        self.ahead = match link.poll_fill(cx) {
            Poll::Ready(read) => Ahead::Read(read),
            Poll::Pending if link.poll_silence(self.idle, cx).is_pending() => Ahead::Nothing,
            Poll::Pending => Ahead::Unknown,
        };
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.decoder.is_exhausted()
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.ahead, Ahead::Nothing)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.decoder.remaining().map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let Some(link) = &mut self.link else {
                // Ended; trailers may have come with the last byte.
                return Poll::Ready(
                    self.decoder.take_trailers().map(|trailers| Ok(Frame::trailers(trailers))),
                );
            };
            match self.decoder.next(link.inbox()) {
                Ok(Some(Piece::Data(data))) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Some(Piece::Trailers(trailers))) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Ok(None) => {}
                Err(malformed) => return Poll::Ready(Some(Err(BodyError::Malformed(malformed)))),
            }
            if self.decoder.is_complete() {
                return Poll::Ready(None);
            }
            if link.is_uploading() {
                // A failing upload ends itself; what the upstream has to say still counts.
                let _ = link.poll_upload(cx);
            }
            let read = match std::mem::replace(&mut self.ahead, Ahead::Unknown) {
                Ahead::Read(read) => Poll::Ready(read),
                Ahead::Nothing | Ahead::Unknown => link.poll_fill(cx),
            };
            match read {
                Poll::Ready(Ok(0)) if self.decoder.close() => return Poll::Ready(None),
                Poll::Ready(Ok(0)) => {
                    let end = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Poll::Ready(Some(Err(BodyError::Cut(end.into()))));
                }
                Poll::Ready(Ok(_)) => link.touch(),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(BodyError::Cut(error.into())))),
                Poll::Pending => {
                    let silence = link.poll_silence(self.idle, cx);
                    return silence.map(|()| Some(Err(BodyError::Idle(self.idle))));
                }
            }
        }
    }

    fn touch(&mut self) {
        if let Some(link) = &mut self.link {
            link.touch();
        }
    }

    /// Gives the connection back, or closes it.
    fn release(&mut self) {
        let Some(link) = self.link.take() else { return };
        if let Reuse::Within(patience) = self.reuse
            && link.is_clean()
        {
            self.shelf.give_back(link, patience);
        }
    }
}
