//! Server-sent events, cut into chunks anywhere. It knows lines, fields and where one event ends and
//! the next begins; it refuses to know what an event says.
//!
//! The format is the WHATWG's (HTML Living Standard, section 9.2), read as the Anthropic SDKs read
//! it: a block with an `event:` line and no `data:` is an event too. A block which the stream's end
//! cuts off is none.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use memchr::{memchr2, memchr2_iter, memrchr2};

/// The longest event that is read, in bytes before its closing blank line. Ours: the events that are
/// read for their content have hundreds of bytes, the longest real ones (a signature, a search
/// result) some hundred thousand; and it is what a hostile provider can make one stream hold.
pub const MAX_EVENT: usize = 1 << 20;

/// What the reader keeps allocated between events, in bytes: enough for an ordinary event that is cut,
/// little enough for ten thousand idle streams.
const KEPT: usize = 4096;

/// One event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event<'a> {
    /// The last `event:` line, or nothing.
    pub name: &'a [u8],
    /// The `data:` lines.
    pub data: Text<'a>,
    /// Where the event ends in the chunk that was fed, in bytes: after its blank line. All before it
    /// belongs to whole events.
    pub end: usize,
}

/// What an event carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Text<'a> {
    /// The values of its `data:` lines, joined by line feeds. Borrowed unless there are several.
    Whole(Cow<'a, [u8]>),
    /// It was longer than [`MAX_EVENT`] and was skipped. Its name is given if it stood before that.
    Oversized,
}

/// Reads events from chunks. Holds nothing while events lie whole in their chunks, and of a cut one
/// at most [`MAX_EVENT`] bytes.
#[derive(Clone, Default)]
pub struct Reader {
    /// The beginning of an unfinished block: all of it, or its first [`MAX_EVENT`] bytes.
    carry: Vec<u8>,
    /// The length in bytes of what has come of that block.
    len: usize,
    /// What has come of the unfinished line.
    line: Line,
    /// What has come of the unfinished block.
    block: Block,
    /// What has come of the stream.
    stream: Stream,
    /// How the last line ended.
    ending: Ending,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Line {
    #[default]
    Empty,
    Comment,
    Field,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Block {
    #[default]
    Empty,
    /// At least one whole line that is no comment.
    Begun,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Stream {
    /// A byte order mark may stand before what comes next.
    #[default]
    Fresh,
    Begun,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Ending {
    #[default]
    LineFeed,
    /// A carriage return with no line feed behind it.
    Return,
    /// A carriage return was the last byte of a chunk: a line feed may belong to it. If this stream
    /// has ended a line with a lone one before, none will.
    Cut { after: LineStyle },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineStyle {
    LineFeed,
    Return,
}

impl Event<'_> {
    /// The `data:` lines, joined by line feeds. `None` if they were too long to be read.
    pub fn text(&self) -> Option<&[u8]> {
        match &self.data {
            Text::Whole(text) => Some(text),
            Text::Oversized => None,
        }
    }
}

impl Reader {
    /// Takes the next chunk and gives every event that ends in it to `each`.
    ///
    /// Returns where in the chunk the last event, comment or blank line between events ended: what
    /// comes after that belongs to an event that is not whole. `None` if none ended.
    pub fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(Event<'_>)) -> Option<usize> {
        let mut at = self.join(chunk)?;
        // The unfinished block goes on from `from` in this chunk.
        let mut from = if self.len == 0 { at } else { 0 };
        let mut boundary = (from > 0).then_some(from);
        loop {
            if at == from && self.len == 0 {
                let end = usual(chunk, from, &mut each);
                if end > from {
                    (at, from, boundary) = (end, end, Some(end));
                    (self.ending, self.stream) = (Ending::LineFeed, Stream::Begun);
                }
            }
            if from == chunk.len() {
                return boundary;
            }
            let Some(found) = memchr2(b'\n', b'\r', &chunk[at..]) else { break };
            let end = at + found;
            let next = self.end_line(chunk, at, end);
            let ends = match (std::mem::take(&mut self.line), self.block) {
                (Line::Empty, Block::Begun) => {
                    self.give(&chunk[from..end], next, &mut each);
                    true
                }
                (Line::Empty | Line::Comment, Block::Empty) => true,
                (Line::Field, _) | (Line::Comment, Block::Begun) => {
                    self.block = Block::Begun;
                    false
                }
            };
            if ends {
                self.clear();
                from = next;
                boundary = Some(next);
            }
            at = next;
        }
        self.begin_line(chunk, at);
        self.keep(&chunk[from..]);
        boundary
    }

    /// Does everything that was fed end exactly between two events, so that another may be put here?
    ///
    /// Comments and blank lines between events do not matter. Between the two bytes of a `\r\n` it is
    /// not so. Before the first byte it is; but a byte order mark that comes after something was put
    /// there is none any more, and spoils the first line.
    pub fn at_boundary(&self) -> bool {
        let between_lines = self.line == Line::Empty && self.block == Block::Empty;
        between_lines && self.ending != Ending::Cut { after: LineStyle::LineFeed }
    }

    /// Where the first line of the chunk begins or goes on, past the rest of a `\r\n`. `None` if the
    /// chunk is empty.
    fn join(&mut self, chunk: &[u8]) -> Option<usize> {
        let first = chunk.first()?;
        if matches!(self.ending, Ending::Cut { .. }) {
            let whole = *first == b'\n';
            self.ending = if whole { Ending::LineFeed } else { Ending::Return };
            return Some(usize::from(whole));
        }
        Some(0)
    }

    /// Notes what sort of line begins at `at`, unless it has begun in an earlier chunk.
    fn begin_line(&mut self, chunk: &[u8], at: usize) {
        if self.line == Line::Empty {
            self.line = match chunk.get(at) {
                None => Line::Empty,
                Some(b':') => Line::Comment,
                Some(_) => Line::Field,
            };
        }
    }

    /// Ends the line that begins at `at` with the byte at `end`. Returns where the next one begins.
    fn end_line(&mut self, chunk: &[u8], at: usize, end: usize) -> usize {
        if end > at {
            self.begin_line(chunk, at);
        }
        let after = if self.ending == Ending::Return { LineStyle::Return } else { LineStyle::LineFeed };
        let (ending, length) = match (chunk[end], chunk.get(end + 1)) {
            (b'\n', _) => (Ending::LineFeed, 1),
            (_, Some(b'\n')) => (Ending::LineFeed, 2),
            (_, Some(_)) => (Ending::Return, 1),
            (_, None) => (Ending::Cut { after }, 1),
        };
        self.ending = ending;
        end + length
    }

    /// Gives the block whose last part is `rest` to `each`, if it is an event.
    fn give(&mut self, rest: &[u8], end: usize, each: &mut impl FnMut(Event<'_>)) {
        let block = if self.len == 0 {
            self.len = rest.len();
            rest
        } else {
            self.keep(rest);
            &self.carry
        };
        if self.len > MAX_EVENT {
            let read = self.stream.strip(&block[..MAX_EVENT]);
            let lines = &read[..memrchr2(b'\n', b'\r', read).unwrap_or(0)];
            let name = parse(lines).map_or(&[][..], |(name, _)| name);
            each(Event { name, data: Text::Oversized, end });
        } else if let Some((name, data)) = parse(self.stream.strip(block)) {
            each(Event { name, data: Text::Whole(data), end });
        }
    }

    /// Keeps what has come of an unfinished block.
    fn keep(&mut self, part: &[u8]) {
        let room = MAX_EVENT - self.carry.len();
        self.carry.extend_from_slice(&part[..part.len().min(room)]);
        self.len += part.len();
    }

    /// Forgets the block that has ended.
    fn clear(&mut self) {
        self.carry.clear();
        self.carry.shrink_to(KEPT);
        self.len = 0;
        self.block = Block::Empty;
        self.stream = Stream::Begun;
    }
}

impl std::fmt::Debug for Reader {
    /// How much is held; never the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of an unfinished event", self.len)
    }
}

impl Stream {
    /// The block without the byte order mark that may begin a stream.
    fn strip(self, block: &[u8]) -> &[u8] {
        match self {
            Self::Fresh => block.strip_prefix(b"\xef\xbb\xbf").unwrap_or(block),
            Self::Begun => block,
        }
    }
}

/// Gives the events that lie whole in `chunk` from `from` on and look as providers write them, one after the
/// other: a line with a name, one with data, a blank one, each ended by a line feed. Returns where the first begins
/// that is not whole or looks otherwise. Nearly all events are read here, at a third of the cost.
fn usual(chunk: &[u8], mut from: usize, each: &mut impl FnMut(Event<'_>)) -> usize {
    while let Some((name, data, length)) = two_lines(&chunk[from..]) {
        from += length;
        each(Event { name, data: Text::Whole(Cow::Borrowed(data)), end: from });
    }
    from
}

/// Name, data and length of the event with which `text` begins, if it is one of the usual look.
fn two_lines(text: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    /// The name that nearly all of them have: compared in fewer steps than its end is found in.
    const DELTA: &[u8; 20] = b"content_block_delta\n";
    let rest = text.strip_prefix(b"event: ")?;
    let name = if rest.starts_with(DELTA) { DELTA.len() - 1 } else { memchr2(b'\n', b'\r', rest)? };
    let (name, rest) = rest.split_at(name);
    let rest = rest.strip_prefix(b"\ndata: ")?;
    let (data, rest) = rest.split_at(memchr2(b'\n', b'\r', rest)?);
    let rest = rest.strip_prefix(b"\n\n")?;
    let length = text.len() - rest.len();
    (length <= MAX_EVENT).then_some((name, data, length))
}

/// The name and data of a block, if any line gives one of them.
fn parse(block: &[u8]) -> Option<(&[u8], Cow<'_, [u8]>)> {
    let mut name: Option<&[u8]> = None;
    let mut data: Option<Cow<'_, [u8]>> = None;
    let mut start = 0;
    for end in memchr2_iter(b'\n', b'\r', block).chain([block.len()]) {
        let line = &block[start..end];
        start = end + 1;
        if let Some(value) = field(line, b"data") {
            data = Some(data.map_or(Cow::Borrowed(value), |before| joined(before, value)));
        } else if let Some(value) = field(line, b"event") {
            name = Some(value);
        }
    }
    (name.is_some() || data.is_some()).then(|| (name.unwrap_or_default(), data.unwrap_or_default()))
}

/// The value of the line if its field is `name`: without the colon and one space.
fn field<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let rest = line.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

fn joined<'l>(before: Cow<'l, [u8]>, line: &[u8]) -> Cow<'l, [u8]> {
    let mut lines = before.into_owned();
    lines.push(b'\n');
    lines.extend_from_slice(line);
    Cow::Owned(lines)
}
