//! A client's connection as bytes: with which version of HTTP it begins, and how it is closed so that the last
//! answer is not lost. It refuses to know what is said on it.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::flush::Flushes;

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long what a client still sends is taken after its connection was closed from this side. These are the
/// defaults of nginx (`lingering_time`, `lingering_timeout`).
const LINGER: Duration = Duration::from_secs(30);

/// The same, while nothing comes.
const LINGER_IN_SILENCE: Duration = Duration::from_secs(5);

/// The most that is taken, in bytes: twice the largest file that the Anthropic API accepts.
const LINGER_FOR: usize = 1 << 30;

/// The versions of HTTP that a connection can begin with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Whether a client has sent, or is still sending, what nobody has read as part of a request. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unread(Arc<AtomicBool>);

/// A client's connection.
pub(crate) struct Socket<S> {
    stream: S,
    version: Version,
    /// What was read to find out the version.
    first: Vec<u8>,
    flushes: Flushes,
    unread: Unread,
    closing: Option<Pin<Box<Lingering>>>,
}

/// This side is closed, and the other is waited for.
struct Lingering {
    timer: Pin<Box<Sleep>>,
    until: Instant,
    left: usize,
}

impl Unread {
    /// Everything that came was read.
    pub(crate) fn clear(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Something comes, or will.
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_there(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl<S: AsyncRead + Unpin> Socket<S> {
    /// Waits for as much as it takes to know with which version the client begins.
    pub(crate) async fn open(mut stream: S) -> io::Result<Self> {
        let mut first = Vec::new();
        let mut version = Version::Http2;
        while first.len() < PREFACE.len() {
            let count = stream.read_buf(&mut first).await?;
            if count == 0 || !first.iter().zip(PREFACE).all(|(byte, expected)| byte == expected) {
                version = Version::Http1;
                break;
            }
        }
        Ok(Self::beginning(stream, version, first))
    }

    /// Takes the client to speak HTTP/1.
    pub(crate) fn http1(stream: S) -> Self {
        Self::beginning(stream, Version::Http1, Vec::new())
    }

    fn beginning(stream: S, version: Version, first: Vec<u8>) -> Self {
        let (flushes, unread) = (Flushes::default(), Unread::default());
        Self { stream, version, first, flushes, unread, closing: None }
    }

    /// With which version the client begins.
    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// How often what was written has left.
    pub(crate) fn flushes(&self) -> Flushes {
        self.flushes.clone()
    }

    /// Whether there is something that nobody has read.
    pub(crate) fn unread(&self) -> Unread {
        self.unread.clone()
    }
}

impl Lingering {
    fn new() -> Self {
        let now = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(now + LINGER_IN_SILENCE));
        Self { timer, until: now + LINGER, left: LINGER_FOR }
    }

    /// Takes what comes and drops it. Ready when the client has closed too, or was given enough time.
    fn poll<S: AsyncRead + Unpin>(&mut self, stream: &mut S, context: &mut Context<'_>) -> Poll<()> {
        let mut taken = [const { MaybeUninit::uninit() }; 16 << 10];
        while self.timer.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::uninit(&mut taken);
            let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
            let count = buffer.filled().len();
            self.left = self.left.saturating_sub(count);
            if read.is_err() || count == 0 || self.left == 0 {
                break;
            }
            let due = self.until.min(Instant::now() + LINGER_IN_SILENCE);
            self.timer.as_mut().reset(due);
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let count = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first[..count]);
            self.first.drain(..count);
            self.unread.note();
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.unread.note();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(context));
        self.flushes.note();
        Poll::Ready(flushed)
    }

    /// Closes this side. If the client is still sending, what it sends is taken for a while: a system that gets
    /// bytes for a closed connection answers with a reset, and a reset makes the client's system forget the
    /// answer that it has not read yet.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, version, unread, closing, .. } = self.get_mut();
        if closing.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
            if *version == Version::Http2 || !unread.is_there() {
                return Poll::Ready(Ok(()));
            }
        }
        let lingering = closing.get_or_insert_with(|| Box::pin(Lingering::new()));
        ready!(lingering.poll(stream, context));
        Poll::Ready(Ok(()))
    }
}
