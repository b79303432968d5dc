//! From one entry of an object or an array to the next. It knows commas, colons and that a key is a
//! string; it refuses to know where a value ends, which is [`super::skip`]'s.

use std::borrow::Cow;
use std::ops::Range;

use super::skip::{Spelling, past_blanks};
use super::{Kind, Malformed, Value};

/// One member of an object.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The key; always of [`Kind::String`].
    pub key: Value<'a>,
    /// The value.
    pub value: Value<'a>,
}

/// The members of an object, in the order in which they stand. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    cursor: Cursor<'a>,
    unfinished: Option<(Value<'a>, usize)>,
}

/// The elements of an array, in order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    cursor: Cursor<'a>,
}

/// A place between two entries of an object or array.
#[derive(Clone)]
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    First,
    Later,
    Done,
}

/// The members of the object that `document` is. They are looked for as the iterator is asked, in
/// one pass; what follows the object must be white space, and is an error of the last step if not.
pub fn members(document: &[u8]) -> Result<Members<'_>, Malformed> {
    let at = past_blanks(document, 0);
    match document.get(at) {
        Some(b'{') => Ok(Members { cursor: Cursor::open(document, at), unfinished: None }),
        Some(_) => Err(Malformed::NotAnObject { at }),
        None => Err(Malformed::Ended { at }),
    }
}

impl<'a> Member<'a> {
    /// Is this its key? Escapes in the key are resolved.
    pub fn is(&self, name: &str) -> bool {
        self.name().is_some_and(|own| *own == *name.as_bytes())
    }

    /// What its key says, with escapes resolved. `None` if they cannot be.
    #[inline]
    pub(crate) fn name(&self) -> Option<Cow<'a, [u8]>> {
        // An escape is rare, and only worth resolving where one is.
        if self.key.spelling == Spelling::Plain {
            let text = self.key.text();
            return Some(Cow::Borrowed(&text[1..text.len() - 1]));
        }
        Some(match self.key.as_str()? {
            Cow::Borrowed(name) => Cow::Borrowed(name.as_bytes()),
            Cow::Owned(name) => Cow::Owned(name.into_bytes()),
        })
    }

    /// Where key, colon and value lie together.
    pub const fn span(&self) -> Range<usize> {
        self.key.start..self.value.text.len()
    }
}

impl<'a> Members<'a> {
    pub(super) fn inside(value: Value<'a>) -> Self {
        Self { cursor: Cursor::inside(value, Kind::Object), unfinished: None }
    }

    /// After an error inside a member's value, which is how a text ends that was cut: that member's
    /// key, and all the text from where its value begins. So a piece of an answer can be read although
    /// its rest has not come.
    pub fn unfinished(&self) -> Option<(Value<'a>, &'a [u8])> {
        self.unfinished.map(|(key, start)| (key, self.cursor.text.get(start..).unwrap_or_default()))
    }

    /// The values of the members of these names that are still to come; of several, the last.
    #[inline]
    pub fn pick<const N: usize>(mut self, names: [&str; N]) -> Result<[Option<Value<'a>>; N], Malformed> {
        let mut picked = [None; N];
        while let Some(member) = self.step(&mut |_| {})? {
            let Some(own) = member.name() else { continue };
            if let Some(place) = names.iter().position(|name| *own == *name.as_bytes()) {
                picked[place] = Some(member.value);
            }
        }
        Ok(picked)
    }

    /// The next member, as the iterator gives it. Every string that is passed, of whatever level, is shown
    /// to `each`, as its place: who looks for one needs no second look at the text.
    #[inline]
    pub(crate) fn next_showing(
        &mut self,
        each: &mut impl FnMut(Range<usize>),
    ) -> Option<Result<Member<'a>, Malformed>> {
        if self.cursor.stage == Stage::Done {
            return None;
        }
        let step = self.step(each);
        if step.is_err() {
            self.cursor.stage = Stage::Done;
        }
        step.transpose()
    }

    #[inline]
    fn step(&mut self, each: &mut impl FnMut(Range<usize>)) -> Result<Option<Member<'a>>, Malformed> {
        let cursor = &mut self.cursor;
        match cursor.advance(b'}')? {
            None => return Ok(None),
            Some(b'"') => {}
            Some(_) => return Err(Malformed::Unexpected { at: cursor.at }),
        }
        let key = Value::key_at(cursor.text, cursor.at, each)?;
        cursor.at = key.text.len();
        if cursor.token()? != b':' {
            return Err(Malformed::Unexpected { at: cursor.at });
        }
        cursor.at += 1;
        let start = past_blanks(cursor.text, cursor.at);
        let value = cursor.value(each).inspect_err(|_| self.unfinished = Some((key, start)))?;
        Ok(Some(Member { key, value }))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<Member<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_showing(&mut |_| {})
    }
}

impl<'a> Elements<'a> {
    pub(super) fn inside(value: Value<'a>) -> Self {
        Self { cursor: Cursor::inside(value, Kind::Array) }
    }

    fn step(&mut self) -> Result<Option<Value<'a>>, Malformed> {
        if self.cursor.advance(b']')?.is_none() {
            return Ok(None);
        }
        self.cursor.value(&mut |_| {}).map(Some)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Value<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.stage == Stage::Done {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.cursor.stage = Stage::Done;
        }
        step.transpose()
    }
}

impl<'a> Cursor<'a> {
    /// Just inside the bracket at `open`.
    const fn open(text: &'a [u8], open: usize) -> Self {
        Self { text, at: open + 1, stage: Stage::First }
    }

    /// Inside `value` if it is of this kind; at the end of everything if not.
    fn inside(value: Value<'a>, kind: Kind) -> Self {
        let stage = if value.kind == kind { Stage::First } else { Stage::Done };
        Self { text: value.text, at: value.start + 1, stage }
    }

    /// Goes to the next entry and gives its first byte; none at the closing bracket, after which there may
    /// only be white space.
    #[inline]
    fn advance(&mut self, close: u8) -> Result<Option<u8>, Malformed> {
        let mut byte = self.token()?;
        if byte == close {
            self.stage = Stage::Done;
            self.at = past_blanks(self.text, self.at + 1);
            if self.at < self.text.len() {
                return Err(Malformed::Unexpected { at: self.at });
            }
            return Ok(None);
        }
        if self.stage == Stage::Later {
            if byte != b',' {
                return Err(Malformed::Unexpected { at: self.at });
            }
            self.at += 1;
            byte = self.token()?;
        }
        self.stage = Stage::Later;
        Ok(Some(byte))
    }

    /// Goes over the value that is next.
    #[expect(clippy::inline_always, reason = "a call costs as much as what it does")]
    #[inline(always)]
    fn value(&mut self, each: &mut impl FnMut(Range<usize>)) -> Result<Value<'a>, Malformed> {
        let first = self.token()?;
        let value = Value::at(self.text, self.at, first, each)?;
        self.at = value.text.len();
        Ok(value)
    }

    /// The next byte that is not white space. Stays before it.
    #[inline]
    fn token(&mut self) -> Result<u8, Malformed> {
        self.at = past_blanks(self.text, self.at);
        self.text.get(self.at).copied().ok_or(Malformed::Ended { at: self.text.len() })
    }
}

impl std::fmt::Debug for Cursor<'_> {
    /// The place; never the text, which may be a client's prompt.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} at {} of {}", self.stage, self.at, self.text.len())
    }
}

/// The string after the colon that is expected at `at`, where a key has just ended. `None` if there is
/// no colon, or another sort of value; only a string, so that what is read is never read twice.
pub(crate) fn string_after_colon(text: &[u8], at: usize) -> Option<Value<'_>> {
    let colon = past_blanks(text, at);
    let start = past_blanks(text, colon + 1);
    match (text.get(colon), text.get(start)) {
        (Some(b':'), Some(b'"')) => Value::at(text, start, b'"', &mut |_| {}).ok(),
        _ => None,
    }
}
