//! The body of an HTTP/1.1 response, taken out of the bytes as they come.
//!
//! Knows the three framings of RFC 9112 sections 6 and 7, and looks ahead: framing that is already
//! here is consumed with the data before it, so that the end is known with the last byte. Copies
//! nothing. Refuses to know connections.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::head;
use crate::error::Malformed;

/// The digits of the largest size there is.
const MAX_SIZE_DIGITS: usize = 16;

/// The longest line that begins a chunk: its size, and room for extensions nobody reads.
const MAX_CHUNK_LINE: usize = 4 * 1024;

/// The largest trailer section, in bytes.
const MAX_TRAILERS: usize = 16 * 1024;

/// The largest number of trailers.
const MAX_TRAILER_LINES: usize = 64;

/// Where a body is.
pub(crate) struct Decoder {
    state: State,
    trailers: Option<HeaderMap>,
}

/// A piece of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    UntilClose,
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    End,
    /// The framing was wrong; what came before it was good.
    Broken(Malformed),
}

impl Decoder {
    /// A response without a body.
    pub(crate) fn empty() -> Self {
        Self::at(State::End)
    }

    pub(crate) fn length(length: u64) -> Self {
        Self::at(if length == 0 { State::End } else { State::Length(length) })
    }

    pub(crate) fn until_close() -> Self {
        Self::at(State::UntilClose)
    }

    pub(crate) fn chunked() -> Self {
        Self::at(State::ChunkSize)
    }

    fn at(state: State) -> Self {
        Self { state, trailers: None }
    }

    /// The next piece, if it is here. After it, the framing behind it has been consumed as far as
    /// it is here; what is wrong there is told by the next call, for the data before it is good.
    pub(crate) fn next(&mut self, inbox: &mut BytesMut) -> Result<Option<Piece>, Malformed> {
        self.settle(inbox);
        if let Some(data) = self.take_bytes(inbox) {
            self.settle(inbox);
            return Ok(Some(Piece::Data(data)));
        }
        match self.state {
            State::Broken(malformed) => Err(malformed),
            _ => Ok(self.take_trailers().map(Piece::Trailers)),
        }
    }

    /// Trailers that came with the last byte and are not yet given out.
    pub(crate) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    /// Whether the last byte of the body has been taken. Trailers may still be held.
    pub(crate) fn is_complete(&self) -> bool {
        self.state == State::End
    }

    /// Whether nothing more will be given.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.is_complete() && self.trailers.is_none()
    }

    /// The bytes still to come, where they are counted.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(remaining) => Some(remaining),
            State::End => Some(0),
            _ => None,
        }
    }

    /// The upstream has closed in order. Whether that is an end, rather than a cut.
    pub(crate) fn close(&mut self) -> bool {
        if self.state == State::UntilClose {
            self.state = State::End;
        }
        self.is_complete()
    }

    fn take_bytes(&mut self, inbox: &mut BytesMut) -> Option<Bytes> {
        match self.state {
            State::Length(limit) => {
                let size = available(limit, inbox)?;
                let left = limit - size as u64;
                self.state = if left == 0 { State::End } else { State::Length(left) };
                Some(inbox.split_to(size).freeze())
            }
            State::ChunkData(limit) => {
                let size = available(limit, inbox)?;
                Some(self.take_chunks(inbox, size, limit - size as u64))
            }
            State::UntilClose if !inbox.is_empty() => Some(inbox.split().freeze()),
            _ => None,
        }
    }

    /// The data of a chunk, `size` of it here and `left` not, with that of small chunks behind it: what came
    /// together leaves together. Their framing is closed up in place.
    fn take_chunks(&mut self, inbox: &mut BytesMut, size: usize, mut left: u64) -> Bytes {
        // Data lies up to `end`; everything up to `read` has been looked at.
        let (mut end, mut read) = (size, size);
        while left == 0
            && let Some((framing, size)) = small_chunk(inbox.get(read..).unwrap_or_default())
        {
            let begin = read + framing;
            let here = size.min(inbox.len() - begin);
            inbox.copy_within(begin..begin + here, end);
            (end, read) = (end + here, begin + here);
            left = (size - here) as u64;
        }
        self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData(left) };
        let data = inbox.split_to(end).freeze();
        inbox.advance(read - end);
        data
    }

    /// Consumes framing until data, or until more bytes are needed.
    fn settle(&mut self, inbox: &mut BytesMut) {
        while !inbox.is_empty() {
            match self.step(inbox) {
                Ok(Some(state)) => self.state = state,
                Ok(None) => return,
                Err(malformed) => {
                    self.state = State::Broken(malformed);
                    return;
                }
            }
        }
    }

    /// The state after the next piece of framing, if that is here.
    fn step(&mut self, inbox: &mut BytesMut) -> Result<Option<State>, Malformed> {
        Ok(match self.state {
            State::ChunkSize => take_chunk_size(inbox)?
                .map(|size| if size == 0 { State::Trailers } else { State::ChunkData(size) }),
            State::ChunkEnd => match inbox.get(..2) {
                Some(b"\r\n") => {
                    inbox.advance(2);
                    Some(State::ChunkSize)
                }
                Some(_) => return Err(Malformed::ChunkEnd),
                None => None,
            },
            State::Trailers => take_trailers(inbox)?.map(|trailers| {
                self.trailers = Some(trailers).filter(|trailers| !trailers.is_empty());
                State::End
            }),
            State::Length(_) | State::UntilClose | State::ChunkData(_) | State::End | State::Broken(_) => {
                None
            }
        })
    }
}

/// How much of so many bytes is here, if any is.
fn available(limit: u64, inbox: &BytesMut) -> Option<usize> {
    let size = usize::try_from(limit).unwrap_or(usize::MAX).min(inbox.len());
    (0 < size).then_some(size)
}

/// The end of a chunk and the beginning of a small one that has data, if that is what follows and nothing about
/// it is unusual: how long that framing is, and the data. Of a large chunk, closing up would cost more than it
/// saves.
fn small_chunk(after: &[u8]) -> Option<(usize, usize)> {
    const SMALL: usize = 4 << 10;
    let line = after.strip_prefix(b"\r\n")?;
    let (digits, size) = leading_size(line);
    let rest = line.get(digits..).unwrap_or_default();
    // What begins must have begun with data: the rest is for whoever reads on.
    let begins = 2 < rest.len() && rest.starts_with(b"\r\n");
    let size = usize::try_from(size).ok()?;
    (begins && digits <= MAX_SIZE_DIGITS && (1..SMALL).contains(&size)).then_some((digits + 4, size))
}

/// The digits that this begins with, and what they say. Of more than [`MAX_SIZE_DIGITS`] only the number is right.
fn leading_size(text: &[u8]) -> (usize, u64) {
    let (mut digits, mut size) = (0, 0);
    for byte in text.iter().take(MAX_SIZE_DIGITS + 1) {
        let Some(value) = hex_value(*byte) else { break };
        (digits, size) = (digits + 1, (size << 4) | u64::from(value));
    }
    (digits, size)
}

fn take_chunk_size(inbox: &mut BytesMut) -> Result<Option<u64>, Malformed> {
    let (digits, size) = leading_size(inbox);
    let end = match inbox.get(digits..) {
        // By far the usual case.
        Some([b'\r', b'\n', ..]) => digits + 1,
        rest => match memchr::memchr(b'\n', rest.unwrap_or_default()) {
            Some(at) => digits + at,
            None if MAX_CHUNK_LINE < inbox.len() => return Err(Malformed::ChunkSize),
            None => return Ok(None),
        },
    };
    let extension =
        inbox.get(digits..end).and_then(|rest| rest.strip_suffix(b"\r")).ok_or(Malformed::ChunkSize)?;
    if !(1..=MAX_SIZE_DIGITS).contains(&digits) || MAX_CHUNK_LINE < end || !is_extension(extension) {
        return Err(Malformed::ChunkSize);
    }
    inbox.advance(end + 1);
    Ok(Some(size))
}

/// Whether this may follow the size of a chunk: blanks, then nothing or what a semicolon begins.
fn is_extension(text: &[u8]) -> bool {
    match text.iter().find(|byte| !matches!(byte, b' ' | b'\t')) {
        None => true,
        Some(first) => *first == b';' && !text.contains(&b'\r'),
    }
}

/// The value of an ASCII hexadecimal digit, if it is one.
fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn take_trailers(inbox: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
    // The empty line alone: by far the usual case.
    match inbox.get(..2) {
        Some(b"\r\n") => {
            inbox.advance(2);
            return Ok(Some(HeaderMap::new()));
        }
        Some(_) => {}
        None => return Ok(None),
    }
    let Some(end) = inbox.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if MAX_TRAILERS < inbox.len() { Err(Malformed::Trailers) } else { Ok(None) };
    };
    let section = inbox.split_to(end + 4).freeze();
    // `httparse` would take a line feed alone for the end of a line; hyper does not here.
    let alone =
        memchr::memchr_iter(b'\n', &section).any(|at| section.get(at.wrapping_sub(1)) != Some(&b'\r'));
    if MAX_TRAILERS < end || alone {
        return Err(Malformed::Trailers);
    }
    let mut lines = [httparse::EMPTY_HEADER; MAX_TRAILER_LINES];
    match httparse::parse_headers(&section, &mut lines) {
        Ok(httparse::Status::Complete((size, lines))) if size == section.len() => {
            head::parsed(&section, lines).map(|trailers| Some((&trailers).into())).ok_or(Malformed::Trailers)
        }
        _ => Err(Malformed::Trailers),
    }
}
