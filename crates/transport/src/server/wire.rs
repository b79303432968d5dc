//! A client's connection, as its requests and their bodies share it.
//!
//! Knows who reads: the body of a request while there is one, and whoever serves the connection
//! otherwise, if only to see the client leave. Both do so in their own poll: no task, no channel.
//! Refuses to know what is read.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::io::ReadBuf;

use crate::{
    dial::Io,
    error::Malformed,
    h1::{Decoder, Piece},
    inbox::Inbox,
};

/// The most of further requests that is kept while one is answered, in bytes: a head of usual length, with a body of the
/// same kind.
const MOST_AHEAD: usize = 16 * 1024;

/// Room for what may be the client's end, in bytes: most often nothing comes, and it costs nothing.
const GLANCE: usize = 512;

/// What a client is told that waits to be told to send its body.
const INVITATION: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection that its server and the body of its request share.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Wire>>);

/// A connection.
pub(super) struct Wire {
    pub(super) io: Box<dyn Io>,
    pub(super) inbox: Inbox,
    /// Of the body of the request that is being served.
    decoder: Decoder,
    /// What is still to be written of the invitation to send it, before it is waited for.
    invitation: &'static [u8],
    /// Who serves the connection, if he waits for the end of that body.
    server: Option<Waker>,
    /// Rings when the client says something or leaves, if it is listened to.
    bell: Option<Arc<Bell>>,
}

/// Tells whether a connection has had anything to read since it was last read in vain. Asking this costs a tenth
/// of reading in vain again, and a client is looked for with each event that it is sent.
struct Bell {
    rang: AtomicBool,
    server: Waker,
}

/// The body of a request.
pub struct Inbound(Source);

enum Source {
    /// It came with the head, or has all been taken.
    Here(Bytes),
    /// It is on its way.
    Coming { shared: Shared, received: u64, wanted: Wanted },
}

/// How a body is given out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    AsItComes,
    Whole,
}

/// Why a body did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum InboundError {
    /// The client closed or lost its connection.
    #[error("the client's body broke off")]
    Cut(#[source] io::Error),
    /// Its framing is wrong.
    #[error("the client's body is not framed as it should be")]
    Malformed(#[from] Malformed),
}

impl Shared {
    pub(super) fn new(io: Box<dyn Io>, first: BytesMut) -> Self {
        let inbox = Inbox::with(first);
        let decoder = Decoder::empty();
        let invitation = &[];
        Self(Arc::new(Mutex::new(Wire { io, inbox, decoder, invitation, server: None, bell: None })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Wire> {
        // Whoever panicked did so between two steps, each of which leaves a whole state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody but the server has it: the body was dropped.
    pub(super) fn is_ours(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// The body of a request whose head has been taken out of the inbox.
    pub(super) fn body(&self, decoder: Decoder, waits: bool) -> Inbound {
        let mut wire = self.lock();
        wire.decoder = decoder;
        wire.invitation = &[];
        // Others have read since it was hung up.
        wire.bell = None;
        if let Some(here) = wire.whole() {
            return Inbound(Source::Here(here));
        }
        if waits {
            wire.invitation = INVITATION;
        }
        drop(wire);
        Inbound(Source::Coming { shared: self.clone(), received: 0, wanted: Wanted::AsItComes })
    }
}

impl Wire {
    /// Reads once. Zero is the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.inbox.poll_fill(&mut *self.io, cx)
    }

    /// Whether the body of the request that is being served has come to its end.
    pub(super) fn is_read(&self) -> bool {
        self.decoder.is_complete()
    }

    /// Takes what is here of a body that nobody wants. Whether that was all.
    pub(super) fn skip(&mut self) -> bool {
        while let Ok(Some(_)) = self.decoder.next(&mut self.inbox.bytes) {}
        self.is_read()
    }

    /// The answer begins: no invitation may come any more. What is left of one that has begun must
    /// go first.
    pub(super) fn answer_begins(&mut self) -> &'static [u8] {
        let left = std::mem::take(&mut self.invitation);
        if left.len() < INVITATION.len() { left } else { &[] }
    }

    /// Ready when the client has left, or has said that it sends no more: who shuts his half of a connection down is
    /// taken to have left, as by most servers. What it sends unasked is kept for later, as far as there is room; who
    /// sends more than that is not seen to leave before that is read.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_read() {
            // The body sees it, and says so when there is no more to see.
            self.server = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.bell.as_ref().is_some_and(|bell| bell.is_silent(cx)) {
            return Poll::Pending;
        }
        let bell = Arc::new(Bell { rang: AtomicBool::new(false), server: cx.waker().clone() });
        self.bell = Some(Arc::clone(&bell));
        let waker = Waker::from(bell);
        let mut listening = Context::from_waker(&waker);
        while self.inbox.bytes.len() < MOST_AHEAD {
            let mut glance = [const { MaybeUninit::uninit() }; GLANCE];
            let mut glance = ReadBuf::uninit(&mut glance);
            let read = ready!(Pin::new(&mut *self.io).poll_read(&mut listening, &mut glance));
            if read.is_err() || glance.filled().is_empty() {
                return Poll::Ready(());
            }
            self.inbox.bytes.extend_from_slice(glance.filled());
        }
        Poll::Pending
    }

    /// The whole rest of the body, if its length is known and it is here.
    fn whole(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.decoder.remaining()?).ok()?;
        if self.inbox.bytes.len() < length {
            return None;
        }
        self.decoder = Decoder::empty();
        Some(if length == 0 { Bytes::new() } else { self.inbox.take(length) })
    }

    /// Makes room for a body that is awaited whole.
    fn expect_whole(&mut self) {
        let missing = self.decoder.remaining().unwrap_or_default();
        let missing = missing.saturating_sub(self.inbox.bytes.len() as u64);
        self.inbox.expect(usize::try_from(missing).unwrap_or(usize::MAX));
    }

    /// The next piece of the body, if it is here.
    fn piece(&mut self) -> Result<Option<Bytes>, Malformed> {
        loop {
            return Ok(match self.decoder.next(&mut self.inbox.bytes)? {
                Some(Piece::Data(data)) => Some(data),
                // Nobody reads those of a request.
                Some(Piece::Trailers(_)) => continue,
                None => None,
            });
        }
    }

    /// The next piece of the body, or all of it. None at its end.
    fn poll_body(
        &mut self,
        wanted: Wanted,
        received: &mut u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, InboundError>> {
        let whole = wanted == Wanted::Whole && self.decoder.remaining().is_some();
        loop {
            let piece = if whole { self.whole() } else { self.piece()? };
            if self.is_read() {
                self.tell_server(cx);
                return Poll::Ready(Ok(piece));
            }
            if piece.is_some() {
                return Poll::Ready(Ok(piece));
            }
            if whole {
                self.expect_whole();
            }
            ready!(self.poll_invite(cx)).map_err(InboundError::Cut)?;
            match ready!(self.poll_fill(cx)).map_err(InboundError::Cut)? {
                0 => return Poll::Ready(Err(InboundError::Cut(io::ErrorKind::UnexpectedEof.into()))),
                count => *received += count as u64,
            }
        }
    }

    /// Tells a client that waits for it to send its body.
    fn poll_invite(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.invitation.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.invitation.is_empty() {
            let written = ready!(Pin::new(&mut *self.io).poll_write(cx, self.invitation))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.invitation = self.invitation.get(written..).unwrap_or_default();
        }
        // What TLS holds back goes with the next write, or when there is room again.
        let _ = Pin::new(&mut *self.io).poll_flush(cx)?;
        Poll::Ready(Ok(()))
    }

    /// The body has been read: whoever serves the connection looks for the client from here on.
    fn tell_server(&mut self, cx: &mut Context<'_>) {
        if let Some(server) = self.server.take()
            && !server.will_wake(cx.waker())
        {
            server.wake();
        }
    }
}

impl Bell {
    /// Whether it has not rung, and would be heard by whoever asks.
    fn is_silent(&self, cx: &Context<'_>) -> bool {
        !self.rang.load(Ordering::Acquire) && self.server.will_wake(cx.waker())
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.server.wake_by_ref();
    }
}

impl Inbound {
    /// From here on it is given out in one piece, if its length is known: bytes that come apart
    /// are then not copied to be put together.
    pub fn whole(&mut self) {
        if let Source::Coming { wanted, .. } = &mut self.0 {
            *wanted = Wanted::Whole;
        }
    }

    /// How many bytes have come since it was first asked for: whether a client that is waited for
    /// does anything.
    pub fn received(&self) -> u64 {
        match &self.0 {
            Source::Here(bytes) => bytes.len() as u64,
            Source::Coming { received, .. } => *received,
        }
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = InboundError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, InboundError>>> {
        let (polled, ended) = match &mut self.0 {
            Source::Here(bytes) => {
                let bytes = std::mem::take(bytes);
                return Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))));
            }
            Source::Coming { shared, received, wanted, .. } => {
                let mut wire = shared.lock();
                let polled = ready!(wire.poll_body(*wanted, received, cx));
                let ended = polled.is_err() || wire.is_read();
                (polled, ended)
            }
        };
        if ended {
            // What comes after it belongs to the next request.
            self.0 = Source::Here(Bytes::new());
        }
        Poll::Ready(polled.transpose().map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Source::Here(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Here(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Coming { shared, .. } => {
                shared.lock().decoder.remaining().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}
