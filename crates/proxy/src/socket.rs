//! A client's connection as bytes: with which version of HTTP it begins, and what of HTTP/2 needs to be known of
//! it. It refuses to know what is said on it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::flush::Flushes;

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The versions of HTTP that a connection can begin with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Waits for as much as it takes to know with which version the client begins, and gives that back too.
pub(crate) async fn version<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<(Version, BytesMut)> {
    let mut first = BytesMut::new();
    while first.len() < PREFACE.len() {
        let count = stream.read_buf(&mut first).await?;
        if count == 0 || !first.iter().zip(PREFACE).all(|(byte, expected)| byte == expected) {
            return Ok((Version::Http1, first));
        }
    }
    Ok((Version::Http2, first))
}

/// A connection that counts how often what was written to it has left.
pub(crate) struct Socket<S> {
    stream: S,
    /// What was read of it already.
    first: BytesMut,
    flushes: Flushes,
}

impl<S> Socket<S> {
    pub(crate) fn new(stream: S, first: BytesMut) -> Self {
        Self { stream, first, flushes: Flushes::default() }
    }

    /// How often what was written has left.
    pub(crate) fn flushes(&self) -> Flushes {
        self.flushes.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..count]);
        self.first.advance(count);
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

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
