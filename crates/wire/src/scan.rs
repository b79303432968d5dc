//! Where the members of a JSON object lie. It knows brackets, strings and commas, and gives byte
//! spans; it refuses to know what any member means, and builds no tree.
//!
//! It is strict where it walks and coarse where it skips: the members of the object being read (or
//! the elements of the array) must be well formed, while inside a value that is skipped only
//! strings are recognised and brackets matched. So it accepts all valid JSON within
//! [`MAX_DEPTH`], and some that is not; whoever needs the difference parses the span.

mod skip;
mod walk;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;
use thiserror::Error;

use self::skip::{Spelling, bracket_end, key_end, past_blanks, scalar_end, string_end};
pub(crate) use self::walk::string_after_colon;
pub use self::walk::{Elements, Member, Members, members};

/// How many levels of brackets a skipped value may have: one byte of the stack is kept for each, so
/// that skipping needs neither recursion nor the heap. `serde_json` stops at the same depth, counted from the root.
pub const MAX_DEPTH: usize = 128;

/// Why a text could not be walked. Every variant says at which byte of the document.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Malformed {
    /// The text does not begin with `{`.
    #[error("expected an object at byte {at}")]
    NotAnObject {
        /// Offset of the first byte that is not white space.
        at: usize,
    },
    /// A byte that cannot stand where it does.
    #[error("unexpected byte at {at}")]
    Unexpected {
        /// Its offset.
        at: usize,
    },
    /// The text ended before the value did.
    #[error("the text ends at byte {at}, inside a value")]
    Ended {
        /// The length of the text.
        at: usize,
    },
    /// More than [`MAX_DEPTH`] brackets were open at once.
    #[error("nested more than {MAX_DEPTH} levels deep at byte {at}")]
    TooDeep {
        /// Offset of the bracket that was one too many.
        at: usize,
    },
    /// More members than are kept at once, where they must be (see [`crate::edit::MAX_MEMBERS`]).
    #[error("too many members at byte {at}")]
    TooMany {
        /// Offset of the member that was one too many.
        at: usize,
    },
}

/// What sort of value a span holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number, in JSON's own grammar.
    Number,
    /// `true` or `false`.
    Boolean,
    /// `null`
    Null,
}

/// One value, as the place where it lies in its document. Copying it copies no text.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    /// The document from its beginning to the end of this value, so that offsets stay the document's.
    text: &'a [u8],
    start: usize,
    kind: Kind,
    /// How it is written, if that was looked at.
    spelling: Spelling,
}

impl<'a> Value<'a> {
    /// The one value that `document` is, with nothing but white space around it.
    pub fn read(document: &'a [u8]) -> Result<Self, Malformed> {
        let start = past_blanks(document, 0);
        let first = document.get(start).ok_or(Malformed::Ended { at: start })?;
        let value = Self::at(document, start, *first, &mut |_| {})?;
        match past_blanks(document, value.text.len()) {
            end if end == document.len() => Ok(value),
            at => Err(Malformed::Unexpected { at }),
        }
    }

    /// Which sort of value it is.
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// Where it lies in its document, in bytes; for a string with its quotes.
    pub const fn span(self) -> Range<usize> {
        self.start..self.text.len()
    }

    /// Its text as it stands in the document.
    pub fn text(self) -> &'a [u8] {
        &self.text[self.start..]
    }

    /// The characters of a string, with escapes resolved. `None` if it is no string, or none that
    /// can be decoded (not UTF-8, an unknown escape, half a surrogate pair).
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        if self.kind != Kind::String {
            return None;
        }
        let text = self.text();
        let inside = &text[1..text.len() - 1];
        if self.spelling == Spelling::Plain || memchr(b'\\', inside).is_none() {
            return std::str::from_utf8(inside).ok().map(Cow::Borrowed);
        }
        serde_json::from_slice::<String>(text).ok().map(Cow::Owned)
    }

    /// The value of a whole number that is not negative and has neither fraction nor exponent.
    pub fn as_u64(self) -> Option<u64> {
        if self.kind != Kind::Number {
            return None;
        }
        let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
        self.text().iter().try_fold(0_u64, |number, byte| number.checked_mul(10)?.checked_add(digit(byte)?))
    }

    /// The value of `true` or `false`.
    pub fn as_bool(self) -> Option<bool> {
        (self.kind == Kind::Boolean).then(|| self.text() == b"true")
    }

    /// The members, if it is an object; otherwise none at all.
    pub fn members(self) -> Members<'a> {
        Members::inside(self)
    }

    /// The elements, if it is an array; otherwise none at all.
    pub fn elements(self) -> Elements<'a> {
        Elements::inside(self)
    }

    /// The value of the member called `name`; of several, the last. `None` if there is none, or if
    /// this is not a well-formed object.
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        let [found] = self.pick([name]);
        found
    }

    /// The same for several names, in one pass.
    #[inline]
    pub fn pick<const N: usize>(self, names: [&str; N]) -> [Option<Value<'a>>; N] {
        self.members().pick(names).unwrap_or([None; N])
    }

    /// The value that begins at `start` with `first`. Every string in it, itself included, is shown to
    /// `each`, as its place.
    #[expect(clippy::inline_always, reason = "a call costs as much as what it does")]
    #[inline(always)]
    fn at(
        text: &'a [u8],
        start: usize,
        first: u8,
        each: &mut impl FnMut(Range<usize>),
    ) -> Result<Self, Malformed> {
        let (end, kind) = if first == b'"' {
            let end = string_end(text, start).ok_or(Malformed::Ended { at: text.len() })?;
            each(start..end);
            (end, Kind::String)
        } else {
            unquoted_end(text, start, first, each)?
        };
        Ok(Self { text: &text[..end], start, kind, spelling: Spelling::Any })
    }

    /// The key that begins at `start`.
    #[expect(clippy::inline_always, reason = "a call costs as much as what it does")]
    #[inline(always)]
    fn key_at(text: &'a [u8], start: usize, each: &mut impl FnMut(Range<usize>)) -> Result<Self, Malformed> {
        let (end, spelling) = key_end(text, start).ok_or(Malformed::Ended { at: text.len() })?;
        each(start..end);
        Ok(Self { text: &text[..end], start, kind: Kind::String, spelling })
    }
}

/// The offset after a value that is no string, and its kind.
#[inline(never)]
fn unquoted_end(
    text: &[u8],
    start: usize,
    first: u8,
    each: &mut impl FnMut(Range<usize>),
) -> Result<(usize, Kind), Malformed> {
    match first {
        b'{' => Ok((bracket_end(text, start, each)?, Kind::Object)),
        b'[' => Ok((bracket_end(text, start, each)?, Kind::Array)),
        _ => scalar_end(text, start),
    }
}

impl std::fmt::Debug for Value<'_> {
    /// Kind and place; never the text, which may be a client's prompt.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} at {:?}", self.kind, self.span())
    }
}
