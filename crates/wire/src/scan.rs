//! Where the members of a JSON object lie. It knows brackets, strings and commas, and gives byte
//! spans; it refuses to know what any member means, and builds no tree.
//!
//! It is strict where it walks and coarse where it skips: the members of the object being read (or
//! the elements of the array) must be well formed, while inside a value that is skipped only
//! strings are recognised and brackets matched. So it accepts all valid JSON within
//! [`MAX_DEPTH`], and some that is not; whoever needs the difference parses the span.

mod skip;

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;
use thiserror::Error;

pub(crate) use self::skip::is_escaped;
use self::skip::{bracket_end, past_blanks, scalar_end, string_end};

/// How many levels of brackets a skipped value may have: one bit is kept for each, so that skipping
/// needs neither recursion nor memory. `serde_json` stops at the same depth, counted from the root.
pub const MAX_DEPTH: u32 = u128::BITS;

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
}

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

impl<'a> Value<'a> {
    /// The one value that `document` is, with nothing but white space around it.
    pub fn read(document: &'a [u8]) -> Result<Self, Malformed> {
        let value = Self::at(document, past_blanks(document, 0))?;
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
        if memchr(b'\\', inside).is_none() {
            return std::str::from_utf8(inside).ok().map(Cow::Borrowed);
        }
        serde_json::from_slice::<String>(text).ok().map(Cow::Owned)
    }

    /// The value of a whole number that is not negative and has neither fraction nor exponent.
    pub fn as_u64(self) -> Option<u64> {
        if self.kind != Kind::Number {
            return None;
        }
        std::str::from_utf8(self.text()).ok()?.parse().ok()
    }

    /// The value of `true` or `false`.
    pub fn as_bool(self) -> Option<bool> {
        (self.kind == Kind::Boolean).then(|| self.text() == b"true")
    }

    /// The members, if it is an object; otherwise none at all.
    pub fn members(self) -> Members<'a> {
        Members { cursor: Cursor::inside(self, Kind::Object), unfinished: None }
    }

    /// The elements, if it is an array; otherwise none at all.
    pub fn elements(self) -> Elements<'a> {
        Elements { cursor: Cursor::inside(self, Kind::Array) }
    }

    /// The value of the member called `name`; of several, the last. `None` if there is none, or if
    /// this is not a well-formed object.
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        let [found] = self.pick([name]);
        found
    }

    /// The same for several names, in one pass.
    pub fn pick<const N: usize>(self, names: [&str; N]) -> [Option<Value<'a>>; N] {
        self.members().pick(names).unwrap_or([None; N])
    }

    /// The value that begins at `start`.
    fn at(text: &'a [u8], start: usize) -> Result<Self, Malformed> {
        let (end, kind) = match text.get(start) {
            Some(b'"') => (string_end(text, start)?, Kind::String),
            Some(b'{') => (bracket_end(text, start)?, Kind::Object),
            Some(b'[') => (bracket_end(text, start)?, Kind::Array),
            Some(_) => scalar_end(text, start)?,
            None => return Err(Malformed::Ended { at: text.len() }),
        };
        Ok(Self { text: &text[..end], start, kind })
    }
}

impl std::fmt::Debug for Value<'_> {
    /// Kind and place; never the text, which may be a client's prompt.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} at {:?}", self.kind, self.span())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(document: &str) -> Result<Vec<(String, Kind, String)>, Malformed> {
        members(document.as_bytes())?
            .map(|member| {
                let Member { key, value } = member?;
                let text = std::str::from_utf8(value.text()).unwrap();
                assert_eq!(&document[value.span()], text);
                Ok((key.as_str().unwrap().into_owned(), value.kind(), text.to_owned()))
            })
            .collect()
    }

    #[test]
    fn members_are_given_with_kind_and_text() {
        let document =
            " {\"a\" : [1, {\"b\":\"}\"}] ,\n\"c\":\"\\\"]\",\"d\":-0.5e+7,\"e\":null , \"f\":true\t} ";
        let expect = [
            ("a", Kind::Array, "[1, {\"b\":\"}\"}]"),
            ("c", Kind::String, "\"\\\"]\""),
            ("d", Kind::Number, "-0.5e+7"),
            ("e", Kind::Null, "null"),
            ("f", Kind::Boolean, "true"),
        ];
        let expect = expect.map(|(key, kind, text)| (key.to_owned(), kind, text.to_owned()));
        assert_eq!(keys(document).unwrap(), expect);
        assert_eq!(keys("{ }").unwrap(), []);
    }

    #[test]
    fn every_fault_says_where_it_lies() {
        for (document, expect) in [
            ("", Malformed::Ended { at: 0 }),
            ("  ", Malformed::Ended { at: 2 }),
            (" 1", Malformed::NotAnObject { at: 1 }),
            ("{", Malformed::Ended { at: 1 }),
            ("{}{", Malformed::Unexpected { at: 2 }),
            ("{,}", Malformed::Unexpected { at: 1 }),
            ("{1:2}", Malformed::Unexpected { at: 1 }),
            (r#"{"a"}"#, Malformed::Unexpected { at: 4 }),
            (r#"{"a":}"#, Malformed::Unexpected { at: 5 }),
            (r#"{"a":1 "b":2}"#, Malformed::Unexpected { at: 7 }),
            (r#"{"a":1,}"#, Malformed::Unexpected { at: 7 }),
            (r#"{"a":1,"#, Malformed::Ended { at: 7 }),
            (r#"{"a":1"#, Malformed::Ended { at: 6 }),
            (r#"{"a":tru"#, Malformed::Ended { at: 8 }),
            (r#"{"a":tru}"#, Malformed::Unexpected { at: 5 }),
            (r#"{"a":"\""#, Malformed::Ended { at: 8 }),
            (r#"{"a":[1}"#, Malformed::Unexpected { at: 7 }),
            (r#"{"a":{"b":1]"#, Malformed::Unexpected { at: 11 }),
        ] {
            assert_eq!(keys(document), Err(expect), "{document}");
        }
    }

    #[test]
    fn after_an_error_there_is_nothing_more() {
        let mut members = members(br#"{"a":1,,"b":2}"#).unwrap();
        assert!(members.next().unwrap().is_ok());
        assert_eq!(members.next().unwrap().unwrap_err(), Malformed::Unexpected { at: 7 });
        assert!(members.next().is_none());

        let list = Value::read(b"[1,,2]").unwrap();
        let mut elements = list.elements();
        assert!(elements.next().unwrap().is_ok());
        assert_eq!(elements.next().unwrap().unwrap_err(), Malformed::Unexpected { at: 3 });
        assert!(elements.next().is_none());
    }

    #[test]
    fn a_cut_value_is_given_as_far_as_it_came() {
        let mut members = members(br#"{"a":1,"error": {"type":"x"#).unwrap();
        assert!(members.next().unwrap().is_ok());
        assert!(members.unfinished().is_none());
        assert_eq!(members.next().unwrap().unwrap_err(), Malformed::Ended { at: 26 });
        let (key, piece) = members.unfinished().unwrap();
        assert_eq!(key.as_str().unwrap(), "error");
        assert_eq!(piece, br#"{"type":"x"#);
    }

    #[test]
    fn depth_is_bounded_and_the_bound_is_exact() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let deepest = MAX_DEPTH as usize;
        assert!(keys(&nested(deepest)).is_ok());
        assert_eq!(keys(&nested(deepest + 1)), Err(Malformed::TooDeep { at: 5 + deepest }));
    }

    #[test]
    fn a_value_is_read_only_as_what_it_is() {
        let value = |text: &'static str| Value::read(text.as_bytes()).unwrap();
        assert_eq!(value("18446744073709551615").as_u64(), Some(u64::MAX));
        for other in ["18446744073709551616", "-1", "1.0", "1e2", "\"1\"", "null", "[1]"] {
            assert_eq!(value(other).as_u64(), None, "{other}");
        }
        assert_eq!(value("true").as_bool(), Some(true));
        assert_eq!(value("false").as_bool(), Some(false));
        assert_eq!(value("\"true\"").as_bool(), None);
        assert_eq!(value(r#""\u00e9\n\ud83d\ude00""#).as_str().unwrap(), "é\n😀");
        assert_eq!(value(r#""\ud83d""#).as_str(), None);
        assert_eq!(value(r#""\x""#).as_str(), None);
        assert_eq!(value("null").as_str(), None);
        assert_eq!(Value::read(b"\"\xff\"").unwrap().as_str(), None);
    }

    #[test]
    fn a_nested_value_keeps_the_offsets_of_its_document() {
        let document = r#"{"a":[{"b":"x"},{"b":"y"}]}"#;
        let list = Value::read(document.as_bytes()).unwrap().get("a").unwrap();
        let spans: Vec<_> =
            list.elements().map(|element| element.unwrap().get("b").unwrap().span()).collect();
        assert_eq!(spans, [11..14, 21..24]);
        assert_eq!(&document[spans[1].clone()], "\"y\"");
    }

    #[test]
    fn entries_of_another_kind_are_none() {
        let document = Value::read(br#"{"a":[1],"a":2}"#).unwrap();
        assert_eq!(document.elements().count(), 0);
        assert_eq!(document.get("b").map(Value::kind), None);
        assert_eq!(document.get("a").map(Value::kind), Some(Kind::Number));
        assert_eq!(Value::read(b"[1]").unwrap().members().count(), 0);
        assert_eq!(Value::read(b"1").unwrap().elements().count(), 0);
        assert_eq!(
            Value::read(br#"{"a":[1,{"b":1,}]}"#).unwrap().get("a").unwrap().get("b").map(Value::kind),
            None
        );
    }

    #[test]
    fn a_document_is_one_value_and_blanks() {
        assert_eq!(Value::read(b" 7 ").unwrap().span(), 1..2);
        assert_eq!(Value::read(b"7 7").unwrap_err(), Malformed::Unexpected { at: 2 });
        assert_eq!(Value::read(b" ").unwrap_err(), Malformed::Ended { at: 1 });
    }

    #[test]
    fn nothing_of_the_text_is_shown() {
        let value = Value::read(br#"{"prompt":"secret"}"#).unwrap();
        assert_eq!(format!("{value:?}"), "Object at 0..19");
        let members = "Members { cursor: First at 1 of 19, unfinished: None }";
        assert_eq!(format!("{:?}", value.members()), members);
    }
}
