//! An answer on its way to a client: its head, the framing of its body, and what of both is not yet
//! written.
//!
//! Knows RFC 9112 sections 4, 6 and 7. What is there together leaves in one write. Refuses to know
//! where a body comes from.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::StatusCode;
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use relay_headers::{Header, Headers, Names, write_line};

use crate::{dial::Io, h1};

/// The pieces given to one vectored write: the head or the beginning of a chunk, the data, and what
/// ends the chunk.
const MAX_SLICES: usize = 8;

/// The headers that are written here.
const OURS: Names = Names::of(&["connection", "transfer-encoding", "content-length"]);

/// How a client is told where an answer ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// There is nothing to end.
    None,
    /// So many bytes are still to come.
    Length(u64),
    Chunked,
    /// With the connection.
    UntilClose,
}

/// What an answer answers, and when.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// In seconds since 1970.
    pub(super) at: u64,
    /// `HEAD`, whose answer has no body.
    pub(super) head_only: bool,
    /// HTTP/1.0.
    pub(super) old: bool,
}

/// Whether a connection goes on after an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goes {
    On,
    Ends,
}

/// The data of a body does not have the length that its head says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WrongLength;

/// What is to be written. Belongs to a connection and keeps its buffer for the next answer.
pub(super) struct Outbox<D> {
    /// A head, or the beginning of a chunk; written up to `at`.
    text: Vec<u8>,
    at: usize,
    data: Option<D>,
    /// What follows the data.
    tail: &'static [u8],
    /// The text ends with data that was put behind it, which is waited for like data that was not.
    joined: bool,
    /// Whether what was written has been flushed.
    flushed: bool,
}

impl Framing {
    /// Of an answer with these headers, to a body of that length if it is known.
    pub(super) fn of(status: StatusCode, headers: &Headers, asked: Asked, length: Option<u64>) -> Self {
        let empty = asked.head_only
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let announced = || h1::content_length(headers).ok().flatten();
        match length.or_else(announced) {
            _ if empty => Self::None,
            Some(length) => Self::Length(length),
            None if asked.old => Self::UntilClose,
            None => Self::Chunked,
        }
    }
}

impl<D> Default for Outbox<D> {
    fn default() -> Self {
        Self { text: Vec::new(), at: 0, data: None, tail: &[], joined: false, flushed: true }
    }
}

impl<D: Buf> Outbox<D> {
    /// Takes up a head. `before` is what must go first.
    pub(super) fn head(
        &mut self,
        before: &[u8],
        (status, headers): (StatusCode, &Headers),
        asked: Asked,
        framing: Framing,
        goes: Goes,
    ) {
        self.clear();
        let text = &mut self.text;
        text.extend_from_slice(before);
        text.extend_from_slice(if asked.old { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
        text.extend_from_slice(status.as_str().as_bytes());
        text.push(b' ');
        // 529 has no name in any standard; none is said of it.
        text.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        text.extend_from_slice(b"\r\n");
        // Of no body only the length that it would have is told.
        let bare = framing == Framing::None && status != StatusCode::NO_CONTENT;
        let ours = |header: Header<'_>| OURS.have(&header) && !(bare && header.is("content-length"));
        headers.write(text, |header| !ours(header));
        match framing {
            Framing::Length(length) => number(text, length),
            Framing::Chunked => text.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Framing::None | Framing::UntilClose => {}
        }
        if goes == Goes::Ends {
            write_line(text, b"connection", b"close");
        } else if asked.old {
            write_line(text, b"connection", b"keep-alive");
        }
        if !headers.has("date") {
            with_date(asked.at, |date| write_line(text, b"date", date));
        }
        text.extend_from_slice(b"\r\n");
    }

    /// Takes up the next piece of a body; what came before has been written, but for a head.
    /// `last` says that it is the last one.
    pub(super) fn piece(&mut self, data: D, framing: &mut Framing, last: bool) -> Result<(), WrongLength> {
        let size = data.remaining();
        match framing {
            Framing::None => return Ok(()),
            Framing::UntilClose => {}
            Framing::Length(left) => *left = left.checked_sub(size as u64).ok_or(WrongLength)?,
            // A chunk without data would be the end.
            Framing::Chunked if size == 0 => {}
            Framing::Chunked => {
                self.begin_text();
                hexadecimal(&mut self.text, size);
                self.tail = b"\r\n";
            }
        }
        self.data = Some(data).filter(Buf::has_remaining);
        if last { self.end(framing) } else { Ok(()) }
    }

    /// Takes up the end of a body.
    pub(super) fn end(&mut self, framing: &Framing) -> Result<(), WrongLength> {
        match framing {
            Framing::Length(1..) => return Err(WrongLength),
            Framing::Chunked if self.tail.is_empty() => self.tail = b"0\r\n\r\n",
            Framing::Chunked => self.tail = b"\r\n0\r\n\r\n",
            Framing::None | Framing::Length(0) | Framing::UntilClose => {}
        }
        Ok(())
    }

    /// Takes up an answer that is here whole.
    pub(super) fn whole(&mut self, at: u64, head: (StatusCode, &Headers), body: &[u8]) {
        let asked = Asked { at, head_only: false, old: false };
        self.head(&[], head, asked, Framing::Length(body.len() as u64), Goes::Ends);
        self.text.extend_from_slice(body);
    }

    /// Whether the next piece can be taken up: nothing but a head or the beginning of a chunk is
    /// left.
    pub(super) fn takes_more(&self) -> bool {
        self.data.is_none() && self.tail.is_empty() && !self.joined
    }

    /// Writes until everything is written, and flushed.
    pub(super) fn poll_write(&mut self, io: &mut dyn Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.join_small();
        while self.at < self.text.len() || !self.takes_more() {
            self.flushed = false;
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = self.slices(&mut slices);
            let io = Pin::new(&mut *io);
            let written = match slices.get(..count).unwrap_or_default() {
                [one] => io.poll_write(cx, one),
                slices => io.poll_write_vectored(cx, slices),
            };
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.advance(written),
            }
        }
        if !self.flushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Puts little data, and what ends its chunk, behind the text before it.
    fn join_small(&mut self) {
        if self.at == self.text.len() || self.data.as_ref().is_some_and(|data| data.remaining() > h1::SMALL) {
            return;
        }
        if let Some(mut data) = self.data.take() {
            while data.has_remaining() {
                self.text.extend_from_slice(data.chunk());
                data.advance(data.chunk().len());
            }
            self.joined = true;
        }
        if !self.tail.is_empty() {
            self.text.extend_from_slice(self.tail);
            (self.tail, self.joined) = (&[], true);
        }
    }

    fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut count = 0;
        let text = self.text.get(self.at..).filter(|text| !text.is_empty());
        if let (Some(text), Some(slice)) = (text, slices.first_mut()) {
            *slice = IoSlice::new(text);
            count = 1;
        }
        let mut whole = true;
        if let (Some(data), Some(rest)) = (&self.data, slices.get_mut(count..MAX_SLICES - 1)) {
            let pieces = data.chunks_vectored(rest);
            let given: usize = rest.iter().take(pieces).map(|piece| piece.len()).sum();
            whole = given == data.remaining();
            count += pieces;
        }
        if let Some(slice) = slices.get_mut(count).filter(|_| whole && !self.tail.is_empty()) {
            *slice = IoSlice::new(self.tail);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut size: usize) {
        let text = size.min(self.text.len() - self.at);
        self.at += text;
        size -= text;
        self.joined &= self.at < self.text.len();
        if let Some(data) = &mut self.data {
            let some = size.min(data.remaining());
            data.advance(some);
            size -= some;
            if !data.has_remaining() {
                self.data = None;
            }
        }
        self.tail = self.tail.get(size..).unwrap_or_default();
    }

    /// Makes room for text behind what is already written.
    fn begin_text(&mut self) {
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        (self.at, self.data, self.tail, self.joined) = (0, None, &[], false);
    }
}

fn number(text: &mut Vec<u8>, length: u64) {
    write_line(text, b"content-length", itoa::Buffer::new().format(length).as_bytes());
}

/// The line that begins a chunk.
fn hexadecimal(text: &mut Vec<u8>, size: usize) {
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4);
    let digit = |place| b"0123456789abcdef"[(size >> (4 * place)) & 15];
    text.extend((0..digits).rev().map(digit));
    text.extend_from_slice(b"\r\n");
}

/// A moment, in seconds since 1970, as answers say it (RFC 9110 section 5.6.7). Written once a second and
/// thread.
fn with_date(now: u64, then: impl FnOnce(&[u8])) {
    thread_local! {
        static DATE: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    DATE.with_borrow_mut(|(second, text)| {
        if *second != now {
            (*second, *text) = (now, date(now));
        }
        then(text.as_bytes());
    });
}

/// A clock beyond the year 9999 says the last moment of it.
fn date(second: u64) -> String {
    let second = i64::try_from(second).unwrap_or(i64::MAX);
    let moment = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).unwrap_or_default()
}
