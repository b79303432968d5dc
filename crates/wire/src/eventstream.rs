//! AWS event streams, cut into chunks anywhere: frames with headers, a payload and two checksums. It knows frames; it
//! refuses to know what one says.
//!
//! The format is `application/vnd.amazon.eventstream`
//! (<https://smithy.io/2.0/aws/amazon-eventstream.html>): total length, length of the headers, CRC-32 of these eight
//! bytes, headers, payload, CRC-32 of all before it; numbers are big-endian, and the CRC is the one of gzip (IEEE).

use std::fmt;

use thiserror::Error;

/// The longest frame that is read, in bytes: 16 MiB of payload, 128 KiB of headers and what surrounds them, which is
/// what the format allows.
pub const MAX_FRAME: usize = (16 << 20) + (128 << 10) + OVERHEAD;

/// Lengths and the first checksum.
const PRELUDE: usize = 12;

/// The last checksum.
const TRAILER: usize = 4;

const OVERHEAD: usize = PRELUDE + TRAILER;

/// What the reader keeps allocated between frames, in bytes: enough for an ordinary frame that is cut.
const KEPT: usize = 4096;

/// What comes is no event stream. Nothing can be read after it, for it is not known where the next frame begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BadFrame {
    /// Its lengths cannot be.
    #[error("a frame of the event stream has an impossible length")]
    Length,
    /// A checksum is wrong.
    #[error("a frame of the event stream is damaged")]
    Checksum,
    /// Its headers do not fill their room, or are of a type that does not exist.
    #[error("the headers of a frame of the event stream are malformed")]
    Headers,
}

/// One frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    headers: &'a [u8],
    /// What it carries.
    pub payload: &'a [u8],
}

/// Reads frames from chunks. Holds nothing while frames lie whole in their chunks, and of a cut one at most
/// [`MAX_FRAME`] bytes.
#[derive(Clone, Default)]
pub struct Reader {
    /// The beginning of an unfinished frame.
    carry: Vec<u8>,
}

impl<'a> Frame<'a> {
    /// The value of the header of that name, if it is a text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let found =
            Headers(self.headers).find_map(|header| header.ok().filter(|(own, _)| *own == name.as_bytes()));
        std::str::from_utf8(found?.1?).ok()
    }
}

impl fmt::Debug for Frame<'_> {
    /// Its lengths; never its content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of headers, {} of payload", self.headers.len(), self.payload.len())
    }
}

impl Reader {
    /// Takes the next chunk and gives every frame that ends in it to `each`.
    ///
    /// # Errors
    /// [`BadFrame`], once all frames before the bad one have been given.
    pub fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(Frame<'_>)) -> Result<(), BadFrame> {
        let mut rest = chunk;
        while !self.carry.is_empty() {
            // What is missing of the prelude, and then of the frame.
            let wanted = length(&self.carry)?.unwrap_or(PRELUDE);
            let missing = (wanted - self.carry.len()).min(rest.len());
            let (more, after) = rest.split_at(missing);
            self.carry.extend_from_slice(more);
            rest = after;
            if length(&self.carry)? != Some(self.carry.len()) {
                if rest.is_empty() {
                    return Ok(());
                }
                continue;
            }
            let whole = std::mem::take(&mut self.carry);
            each(frame(&whole)?);
            if whole.capacity() <= KEPT {
                self.carry = whole;
                self.carry.clear();
            }
        }
        while let Some(length) = length(rest)?.filter(|length| *length <= rest.len()) {
            let (whole, after) = rest.split_at(length);
            each(frame(whole)?);
            rest = after;
        }
        self.carry.extend_from_slice(rest);
        Ok(())
    }

    /// Has the last frame come to its end?
    pub fn is_whole(&self) -> bool {
        self.carry.is_empty()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of an unfinished frame", self.carry.len())
    }
}

/// The length of the frame that begins there, once its prelude has come.
fn length(frame: &[u8]) -> Result<Option<usize>, BadFrame> {
    let Some(prelude) = frame.first_chunk::<PRELUDE>() else { return Ok(None) };
    let (total, headers, checksum) = (word(prelude, 0), word(prelude, 4), word(prelude, 8));
    if crc32fast::hash(&prelude[..8]) != checksum {
        return Err(BadFrame::Checksum);
    }
    let (total, headers) = (total as usize, headers as usize);
    if !(OVERHEAD..=MAX_FRAME).contains(&total) || headers > total - OVERHEAD {
        return Err(BadFrame::Length);
    }
    Ok(Some(total))
}

/// A frame that is there from its first byte to its last.
fn frame(whole: &[u8]) -> Result<Frame<'_>, BadFrame> {
    let (body, trailer) = whole.split_at(whole.len() - TRAILER);
    if crc32fast::hash(body) != word(trailer, 0) {
        return Err(BadFrame::Checksum);
    }
    let (headers, payload) = body[PRELUDE..].split_at(word(body, 4) as usize);
    if Headers(headers).any(|header| header.is_err()) {
        return Err(BadFrame::Headers);
    }
    Ok(Frame { headers, payload })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_be_bytes(*word))
}

/// Names of headers with their values, of those that are texts.
struct Headers<'a>(&'a [u8]);

impl<'a> Iterator for Headers<'a> {
    type Item = Result<(&'a [u8], Option<&'a [u8]>), BadFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let header = one_header(&mut self.0);
        if header.is_none() {
            self.0 = &[];
        }
        Some(header.ok_or(BadFrame::Headers))
    }
}

/// A name with its length before it, a type, and a value of the length that the type has, or that stands before it.
fn one_header<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let name = usize::from(take(rest, 1)?[0]);
    let name = take(rest, name)?;
    let kind = take(rest, 1)?[0];
    let length = match kind {
        // True and false.
        0 | 1 => 0,
        // Numbers of one, two, four and eight bytes, and a moment.
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        // Bytes and texts.
        6 | 7 => usize::from(u16::from_be_bytes(*take(rest, 2)?.first_chunk()?)),
        // A UUID.
        9 => 16,
        _ => return None,
    };
    let value = take(rest, length)?;
    Some((name, (kind == 7).then_some(value)))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests;
