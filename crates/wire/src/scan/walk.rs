//! From one entry of an object or an array to the next. It knows commas, colons and that a key is a
//! string; it refuses to know where a value ends, which is [`super::skip`]'s.

use std::ops::Range;

use super::skip::past_blanks;
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

impl Member<'_> {
    /// Is this its key? Escapes in the key are resolved.
    pub fn is(&self, name: &str) -> bool {
        self.place([name]).is_some()
    }

    /// Which of these its key is.
    fn place<const N: usize>(&self, names: [&str; N]) -> Option<usize> {
        let text = self.key.text();
        let plain = &text[1..text.len() - 1];
        // An escape is rare, and only worth resolving where one is.
        let resolved = if plain.contains(&b'\\') { Some(self.key.as_str()?) } else { None };
        let key = resolved.as_ref().map_or(plain, |key| key.as_bytes());
        names.iter().position(|name| name.as_bytes() == key)
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
    pub fn pick<const N: usize>(self, names: [&str; N]) -> Result<[Option<Value<'a>>; N], Malformed> {
        let mut picked = [None; N];
        for member in self {
            let member = member?;
            if let Some(place) = member.place(names) {
                picked[place] = Some(member.value);
            }
        }
        Ok(picked)
    }

    fn step(&mut self) -> Result<Option<Member<'a>>, Malformed> {
        let cursor = &mut self.cursor;
        if !cursor.advance(b'}')? {
            return Ok(None);
        }
        if cursor.peek()? != b'"' {
            return Err(Malformed::Unexpected { at: cursor.at });
        }
        let key = cursor.value()?;
        cursor.skip_blanks();
        if cursor.peek()? != b':' {
            return Err(Malformed::Unexpected { at: cursor.at });
        }
        cursor.at += 1;
        cursor.skip_blanks();
        let start = cursor.at;
        let value = cursor.value().inspect_err(|_| self.unfinished = Some((key, start)))?;
        Ok(Some(Member { key, value }))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<Member<'a>, Malformed>;

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

impl<'a> Elements<'a> {
    pub(super) fn inside(value: Value<'a>) -> Self {
        Self { cursor: Cursor::inside(value, Kind::Array) }
    }

    fn step(&mut self) -> Result<Option<Value<'a>>, Malformed> {
        if !self.cursor.advance(b']')? {
            return Ok(None);
        }
        self.cursor.value().map(Some)
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

    /// Goes to the beginning of the next entry; false at the closing bracket, after which there may
    /// only be white space.
    fn advance(&mut self, close: u8) -> Result<bool, Malformed> {
        self.skip_blanks();
        let byte = self.peek()?;
        if byte == close {
            self.at += 1;
            self.skip_blanks();
            self.stage = Stage::Done;
            if self.at < self.text.len() {
                return Err(Malformed::Unexpected { at: self.at });
            }
            return Ok(false);
        }
        if self.stage == Stage::Later {
            if byte != b',' {
                return Err(Malformed::Unexpected { at: self.at });
            }
            self.at += 1;
            self.skip_blanks();
        }
        self.stage = Stage::Later;
        Ok(true)
    }

    fn value(&mut self) -> Result<Value<'a>, Malformed> {
        let value = Value::at(self.text, self.at)?;
        self.at = value.text.len();
        Ok(value)
    }

    fn peek(&self) -> Result<u8, Malformed> {
        self.text.get(self.at).copied().ok_or(Malformed::Ended { at: self.text.len() })
    }

    fn skip_blanks(&mut self) {
        self.at = past_blanks(self.text, self.at);
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
        (Some(b':'), Some(b'"')) => Value::at(text, start).ok(),
        _ => None,
    }
}
