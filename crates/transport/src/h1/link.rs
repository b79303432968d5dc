//! One HTTP/1.1 connection to an upstream.
//!
//! Knows its buffers, and how to get from a request to the head of its response. Refuses to know
//! who owns it next.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::BytesMut;
use relay_headers::Request;
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::Instant,
};

use super::{
    head::{self, Head, Target},
    upload::{Upload, UploadError},
};
use crate::{
    deadline::{CLOSING_RACE, Deadlines, Watchdog},
    dial::Io,
    error::{Cause, Kind, Malformed, Phase, SendError},
    inbox::Inbox,
    origin::Origin,
    request::Content,
    stats::Open,
    timings::Handshake,
};

/// A connection, with what it learned when it was opened.
pub(crate) struct Link {
    io: Box<dyn Io>,
    inbox: Inbox,
    upload: Upload,
    watchdog: Watchdog,
    silence: Silence,
    /// Whether any byte came since the request began.
    heard: Heard,
    pub(crate) handshake: Handshake,
    _open: Open,
}

/// Since when no byte has moved: out while a head is awaited, in while a body flows. The clock is
/// read when there is nothing more to move, not for each movement.
#[derive(Clone, Copy)]
enum Silence {
    /// Bytes have moved since the clock was last read.
    Broken,
    Since(Instant),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    Something,
}

/// Why a connection gave no head.
pub(crate) struct Failure {
    pub(crate) error: SendError,
    /// Not a byte of a response came, and the connection ended soon: what happens when the
    /// upstream closes an idle connection in the moment it is taken up again.
    pub(crate) silent_end: bool,
}

impl Link {
    pub(crate) fn new(io: Box<dyn Io>, handshake: Handshake, open: Open) -> Self {
        Self {
            io,
            inbox: Inbox::with(BytesMut::new()),
            upload: Upload::default(),
            watchdog: Watchdog::default(),
            silence: Silence::Broken,
            heard: Heard::Nothing,
            handshake,
            _open: open,
        }
    }

    /// Whether an idle connection is still of use: nothing came on it, no end and no byte. Costs
    /// no system call unless something did.
    pub(crate) fn is_alive(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        // Nobody waits: the next exchange registers its own waker.
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(&mut self.io).poll_read(&mut cx, &mut buffer).is_pending()
    }

    /// Whether another request may follow the one just finished.
    pub(crate) fn is_clean(&self) -> bool {
        self.upload.is_done() && self.inbox.bytes.is_empty()
    }

    /// Sends a request and waits for the head of the response. An answer that comes before the
    /// request is written ends the upload, unless it is a success.
    pub(crate) async fn ask(
        &mut self,
        request: &Request<()>,
        origin: &Origin,
        target: Target<'_>,
        body: Content,
        deadlines: Deadlines,
    ) -> Result<Head, Failure> {
        self.upload.begin(request, origin, target, body);
        self.silence = Silence::Broken;
        self.heard = Heard::Nothing;
        self.inbox.begin();
        let mut scanned = 0;
        let mut broken = None;
        let head =
            std::future::poll_fn(|cx| self.poll_head(&mut scanned, &mut broken, deadlines.first_byte, cx))
                .await?;
        if self.upload.is_pending() && !head.status.is_success() {
            self.upload.stop();
        }
        Ok(head)
    }

    fn poll_head(
        &mut self,
        scanned: &mut usize,
        broken: &mut Option<io::Error>,
        patience: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, Failure>> {
        loop {
            match self.poll_upload(cx) {
                Poll::Ready(Err(UploadError::Body(cause))) => {
                    return Poll::Ready(Err(self.failure(Phase::Send, Kind::Body, Some(cause))));
                }
                // What the upstream said before it stopped listening is worth more than that it
                // did: read on, and report this only if nothing comes.
                Poll::Ready(Err(UploadError::Io(error))) => *broken = Some(error),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            match head::take(&mut self.inbox.bytes, scanned) {
                Ok(Some(head))
                    if head.is_interim() && head.status != http::StatusCode::SWITCHING_PROTOCOLS =>
                {
                    continue;
                }
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(malformed) => return Poll::Ready(Err(self.malformed(malformed))),
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(self.ended(broken.take(), None))),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.ended(broken.take(), Some(error)))),
                Poll::Pending => {
                    ready!(self.poll_silence(patience, cx));
                    return Poll::Ready(Err(self.failure(self.phase(), Kind::Timeout, None)));
                }
            }
        }
    }

    /// Goes on writing. Notes the time if bytes moved.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        let before = self.upload.written();
        let polled = self.upload.poll(&mut *self.io, cx);
        if before != self.upload.written() {
            self.silence = Silence::Broken;
        }
        polled
    }

    /// Reads once. Zero is the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = ready!(self.inbox.poll_fill(&mut *self.io, cx))?;
        if 0 < read {
            self.heard = Heard::Something;
        }
        Poll::Ready(Ok(read))
    }

    /// Ready when no byte has moved for the whole of `patience`.
    pub(super) fn poll_silence(&mut self, patience: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let since = match self.silence {
            Silence::Since(since) => since,
            Silence::Broken => Instant::now(),
        };
        self.silence = Silence::Since(since);
        self.watchdog.poll(since.checked_add(patience), cx)
    }

    /// A byte moved.
    pub(super) fn touch(&mut self) {
        self.silence = Silence::Broken;
    }

    pub(super) fn inbox(&mut self) -> &mut BytesMut {
        &mut self.inbox.bytes
    }

    pub(super) fn is_drained(&self) -> bool {
        self.inbox.is_drained()
    }

    pub(super) fn is_uploading(&self) -> bool {
        self.upload.is_pending()
    }

    fn phase(&self) -> Phase {
        if self.upload.is_done() { Phase::FirstByte } else { Phase::Send }
    }

    fn ended(&self, broken: Option<io::Error>, read: Option<io::Error>) -> Failure {
        let soon = match self.silence {
            Silence::Broken => true,
            Silence::Since(since) => since.elapsed() < CLOSING_RACE,
        };
        let silent_end = self.heard == Heard::Nothing && soon;
        let error = broken.or(read);
        let kind = error.as_ref().map_or(Kind::Closed, Kind::of_io);
        Failure { silent_end, ..self.failure(self.phase(), kind, error.map(Cause::from)) }
    }

    pub(super) fn malformed(&self, malformed: Malformed) -> Failure {
        self.failure(self.phase(), Kind::Protocol, Some(malformed.into()))
    }

    fn failure(&self, phase: Phase, kind: Kind, source: Option<Cause>) -> Failure {
        let error = SendError { phase, kind, sent: 0 < self.upload.written(), source };
        Failure { error, silent_end: false }
    }
}
