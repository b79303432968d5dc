//! The way of a request onto the wire: head and body in as few writes as the system allows.
//!
//! Knows pieces, chunks and vectored writes. Refuses to know what comes back; whoever polls it
//! reads at the same time.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::Method;
use http_body::Body;
use relay_headers::Request;

use super::{
    SMALL,
    head::{self, Framing, Target},
};
use crate::{
    dial::Io,
    error::Cause,
    origin::Origin,
    request::{Content, Streaming},
};

/// The pieces given to one vectored write. Linux takes 1024; more than a few only cost stack.
const MAX_SLICES: usize = 16;

/// A request being written. Belongs to a connection and keeps its buffers for the next request.
#[derive(Default)]
pub(crate) struct Upload {
    /// The head, later the framing of chunks; written up to `at`, before `pieces`.
    outbox: Vec<u8>,
    at: usize,
    pieces: VecDeque<Bytes>,
    rest: Rest,
    /// Bytes the system took, of this request.
    written: u64,
}

/// Why an upload ended early.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// The connection takes no more.
    Io(io::Error),
    /// The body gives no more.
    Body(Cause),
}

/// What follows when everything buffered is written.
#[derive(Default)]
enum Rest {
    Stream(Streaming, Limit),
    Flush,
    Done,
    /// Ended before its end: by an error, or because the upstream answered first.
    #[default]
    Stopped,
}

/// How the length of a streamed body is said.
enum Limit {
    Counted(u64),
    /// Whether a chunk was written before.
    Chunked(Chunks),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chunks {
    None,
    Some,
}

impl Upload {
    /// Takes up a request. Nothing is written before the first poll.
    pub(crate) fn begin(
        &mut self,
        request: &Request<()>,
        origin: &Origin,
        target: Target<'_>,
        body: Content,
    ) {
        let framing = match body.length() {
            Some(0) if matches!(body, Content::Empty) && has_no_body(&request.method) => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        self.outbox.clear();
        self.pieces.clear();
        self.at = 0;
        self.written = 0;
        head::write(&mut self.outbox, request, origin, target, framing);
        self.rest = match body {
            Content::Empty => Rest::Flush,
            Content::Whole(bytes) if bytes.len() <= SMALL => {
                self.outbox.extend_from_slice(&bytes);
                Rest::Flush
            }
            Content::Whole(bytes) => {
                self.pieces.push_back(bytes);
                Rest::Flush
            }
            Content::Segments(segments) => {
                self.pieces.extend(segments.filter(|segment| !segment.is_empty()));
                Rest::Flush
            }
            Content::Stream(stream) => Rest::Stream(
                stream,
                match framing {
                    Framing::Length(length) => Limit::Counted(length),
                    _ => Limit::Chunked(Chunks::None),
                },
            ),
        };
    }

    /// Whether the whole request has been written.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.rest, Rest::Done)
    }

    /// Whether anything is still to be written.
    pub(crate) fn is_pending(&self) -> bool {
        !matches!(self.rest, Rest::Done | Rest::Stopped)
    }

    /// The bytes of this request the system has taken.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Writes no more.
    pub(crate) fn stop(&mut self) {
        self.rest = Rest::Stopped;
        self.pieces.clear();
    }

    /// Writes as much as can be written now. Ready when the upload is over; an error is told once.
    pub(crate) fn poll(&mut self, io: &mut dyn Io, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        if !self.is_pending() {
            return Poll::Ready(Ok(()));
        }
        let polled = self.poll_write(io, cx);
        if let Poll::Ready(Err(_)) = polled {
            self.stop();
        }
        polled
    }

    fn poll_write(&mut self, io: &mut dyn Io, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        loop {
            while self.at < self.outbox.len() || !self.pieces.is_empty() {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                let count = self.slices(&mut slices);
                let io = Pin::new(&mut *io);
                let written = match slices.get(..count).unwrap_or_default() {
                    [one] => io.poll_write(cx, one),
                    slices => io.poll_write_vectored(cx, slices),
                };
                match ready!(written).map_err(UploadError::Io)? {
                    0 => return Poll::Ready(Err(UploadError::Io(io::ErrorKind::WriteZero.into()))),
                    size => self.advance(size),
                }
            }
            match &mut self.rest {
                Rest::Done | Rest::Stopped => return Poll::Ready(Ok(())),
                Rest::Flush => {
                    ready!(Pin::new(&mut *io).poll_flush(cx)).map_err(UploadError::Io)?;
                    self.rest = Rest::Done;
                }
                Rest::Stream(stream, _) => match Pin::new(stream).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        // Trailers of a request are not passed on: no provider reads any.
                        if let Ok(data) = frame.into_data() {
                            self.push(data)?;
                        }
                    }
                    Poll::Ready(Some(Err(cause))) => return Poll::Ready(Err(UploadError::Body(cause))),
                    Poll::Ready(None) => self.finish()?,
                    Poll::Pending => {
                        // TLS may hold back what it was given; the peer may need it to go on.
                        let _ = Pin::new(&mut *io).poll_flush(cx).map_err(UploadError::Io)?;
                        return Poll::Pending;
                    }
                },
            }
        }
    }

    fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let outbox = self.outbox.get(self.at..).filter(|outbox| !outbox.is_empty());
        let pieces = outbox.into_iter().chain(self.pieces.iter().map(|piece| &piece[..]));
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut size: usize) {
        self.written += size as u64;
        let outbox = size.min(self.outbox.len() - self.at);
        self.at += outbox;
        size -= outbox;
        while let Some(piece) = self.pieces.front_mut() {
            if size < piece.len() {
                piece.advance(size);
                return;
            }
            size -= piece.len();
            self.pieces.pop_front();
        }
    }

    /// Takes up a piece of a streamed body; everything before it has been written.
    fn push(&mut self, data: Bytes) -> Result<(), UploadError> {
        let Rest::Stream(_, limit) = &mut self.rest else { return Ok(()) };
        if data.is_empty() {
            return Ok(());
        }
        match limit {
            Limit::Counted(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or_else(|| wrong_length("longer"))?;
            }
            Limit::Chunked(chunks) => {
                self.outbox.clear();
                self.at = 0;
                if *chunks == Chunks::Some {
                    self.outbox.extend_from_slice(b"\r\n");
                }
                *chunks = Chunks::Some;
                self.outbox.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
            }
        }
        self.pieces.push_back(data);
        Ok(())
    }

    /// The streamed body has ended.
    fn finish(&mut self) -> Result<(), UploadError> {
        let Rest::Stream(_, limit) = &self.rest else { return Ok(()) };
        match limit {
            Limit::Counted(0) => {}
            Limit::Counted(_) => return Err(wrong_length("shorter")),
            Limit::Chunked(chunks) => {
                self.outbox.clear();
                self.at = 0;
                self.outbox.extend_from_slice(match chunks {
                    Chunks::None => b"0\r\n\r\n",
                    Chunks::Some => b"\r\n0\r\n\r\n",
                });
            }
        }
        self.rest = Rest::Flush;
        Ok(())
    }
}

/// Methods whose requests say nothing of a body they do not have (RFC 9110 section 8.6).
fn has_no_body(method: &Method) -> bool {
    !matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

fn wrong_length(how: &str) -> UploadError {
    UploadError::Body(format!("the body is {how} than its `content-length`").into())
}
