//! The list itself.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use crate::value::Value;

/// Headers, in their order. A name may stand several times, and is the same name in any letters.
///
/// What was read stays where it was read; what is added here lies in a buffer of the list's own. Cloning shares the
/// former.
#[derive(Clone, Default)]
pub struct Headers {
    /// The head in which they came.
    read: Bytes,
    /// Names and values that were added.
    added: Vec<u8>,
    list: Vec<Place>,
}

/// Room for headers that will be added.
const ROOM: usize = 6;

/// What one of them takes, in bytes: `x-request-id` and a UUID, say.
const AVERAGE: usize = 48;

/// Where a header lies: from `read` on, and behind that in `added`.
#[derive(Clone, Copy)]
struct Place {
    name: u32,
    value: u32,
    value_length: u32,
    name_length: u16,
    secret: bool,
}

/// One header of a list.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    name: &'a [u8],
    value: &'a [u8],
    secret: bool,
}

/// What becomes of a header.
#[derive(Clone, Copy)]
pub enum Change<'v> {
    /// It stays as it is.
    Keep,
    /// It is left out.
    Drop,
    /// It has that value.
    To(Value<'v>),
}

impl<'a> Header<'a> {
    /// Its name, in the letters in which it came.
    pub const fn name(&self) -> &'a [u8] {
        self.name
    }

    /// Its value, without the blanks around it.
    pub const fn value(&self) -> &'a [u8] {
        self.value
    }

    /// Is its value a secret, which no table of a connection should keep?
    pub const fn is_secret(&self) -> bool {
        self.secret
    }

    /// Its name in small letters.
    pub fn lowercase(&self) -> Cow<'a, str> {
        let capital = self.name.iter().any(u8::is_ascii_uppercase);
        match std::str::from_utf8(self.name) {
            Ok(name) if !capital => Cow::Borrowed(name),
            _ => String::from_utf8_lossy(self.name).to_ascii_lowercase().into(),
        }
    }

    /// Its value, if it is text.
    pub fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.value).ok()
    }

    /// Has it that name, in whatever letters?
    #[inline]
    pub fn is(&self, name: &str) -> bool {
        same(self.name, name.as_bytes())
    }
}

/// The same name in whatever letters? Most that are have the same ones too, and most that are not begin otherwise.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    let letter = |name: &[u8]| name.first().map(|letter| letter | 0x20);
    a.len() == b.len() && letter(a) == letter(b) && (a == b || a.eq_ignore_ascii_case(b))
}

impl Headers {
    /// None yet, and room for so many.
    pub fn with_room_for(count: usize) -> Self {
        Self { list: Vec::with_capacity(count), ..Self::default() }
    }

    /// Headers that were parsed: slices of `head`, which they keep. None if one is not a slice of it, or is longer
    /// than any header is.
    pub fn parsed<'h>(
        head: &'h Bytes,
        lines: impl ExactSizeIterator<Item = (&'h [u8], &'h [u8])>,
    ) -> Option<Self> {
        let mut list = Vec::with_capacity(lines.len() + ROOM);
        let begin = |slice: &[u8]| {
            // An empty value may be an empty slice of anywhere.
            if slice.is_empty() {
                return Some(0);
            }
            let begin = slice.as_ptr().addr().checked_sub(head.as_ptr().addr())?;
            (begin + slice.len() <= head.len()).then_some(begin)
        };
        for (name, value) in lines {
            list.push(Place {
                name: u32::try_from(begin(name)?).ok()?,
                value: u32::try_from(begin(value)?).ok()?,
                value_length: u32::try_from(value.len()).ok()?,
                name_length: u16::try_from(name.len()).ok()?,
                secret: false,
            });
        }
        Some(Self { read: head.clone(), added: Vec::new(), list })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> Iter<'_> {
        Iter { headers: self, list: self.list.iter() }
    }

    /// The values of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.list.iter().filter(move |place| self.is(**place, name)).map(|place| self.value(*place))
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.list.iter().find(|place| self.is(**place, name)).map(|place| self.value(*place))
    }

    /// The first value of that name, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Is there one of that name?
    pub fn has(&self, name: &str) -> bool {
        self.list.iter().any(|place| self.is(*place, name))
    }

    /// The members of a list that all values of that name make together (RFC 9110, section 5.6.1), without empty
    /// ones.
    pub fn members<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let members = self.all(name).flat_map(|value| value.split(|byte| *byte == b','));
        members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
    }

    /// The names of those which `connection` makes headers of one hop only (RFC 9110, section 7.6.1). Its usual
    /// members, `keep-alive` and `close`, name no header.
    pub fn of_one_hop(&self) -> impl Iterator<Item = &[u8]> {
        let usual =
            |name: &[u8]| name.eq_ignore_ascii_case(b"keep-alive") || name.eq_ignore_ascii_case(b"close");
        self.members("connection").filter(move |name| !usual(name))
    }

    /// Writes the lines of those that are kept, as HTTP/1.1 has them. What lay in one piece is copied in one piece.
    pub fn write(&self, out: &mut Vec<u8>, mut keeps: impl FnMut(Header<'_>) -> bool) {
        let mut run = 0..0;
        for place in &self.list {
            let header = place.header(&self.read, &self.added);
            if !keeps(header) {
                continue;
            }
            match self.line(*place) {
                Some(line) if line.start == run.end => run.end = line.end,
                line => {
                    out.extend_from_slice(self.read.get(run).unwrap_or_default());
                    if line.is_none() {
                        write_line(out, header.name, header.value);
                    }
                    run = line.unwrap_or(0..0);
                }
            }
        }
        out.extend_from_slice(self.read.get(run).unwrap_or_default());
    }

    /// Where a header lies as a line that could have been written here.
    fn line(&self, place: Place) -> Option<Range<usize>> {
        let (name, value) = (place.name as usize, place.value as usize);
        let (name_end, end) = (name + usize::from(place.name_length), value + place.value_length as usize);
        let usual =
            self.read.get(name_end..value) == Some(b": ") && self.read.get(end..end + 2) == Some(b"\r\n");
        usual.then_some(name..end + 2)
    }

    /// Adds one, behind the others.
    pub fn add<'v>(&mut self, name: &'static str, value: impl Into<Value<'v>>) {
        self.push_value(name, value.into(), false);
    }

    /// Adds one in place of those of that name.
    pub fn set<'v>(&mut self, name: &'static str, value: impl Into<Value<'v>>) {
        self.remove(name);
        self.push_value(name, value.into(), false);
    }

    /// The same with a secret.
    pub fn set_secret(&mut self, name: &'static str, value: Value<'_>) {
        self.remove(name);
        self.push_value(name, value, true);
    }

    /// Removes all of that name. Were there any?
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.list.len();
        if self.has(name) {
            self.retain(|header| !header.is(name));
        }
        self.list.len() < before
    }

    /// A list of those only, with room for more.
    pub fn kept(&self, mut keeps: impl FnMut(Header<'_>) -> bool) -> Self {
        let mut list = Vec::with_capacity(self.list.len() + ROOM);
        list.extend(self.list.iter().filter(|place| keeps(place.header(&self.read, &self.added))));
        Self { read: self.read.clone(), added: self.added.clone(), list }
    }

    /// Keeps those only.
    pub fn retain(&mut self, mut keeps: impl FnMut(Header<'_>) -> bool) {
        let Self { read, added, list } = self;
        list.retain(|place| keeps(place.header(read, added)));
    }

    /// Gives some of them another value, where it is, and leaves out others. The rest stays as it is, byte for byte.
    pub fn revise<'v>(&mut self, mut change: impl FnMut(Header<'_>) -> Change<'v>) {
        let mut places = std::mem::take(&mut self.list);
        places.retain_mut(|place| match change(place.header(&self.read, &self.added)) {
            Change::Keep => true,
            Change::Drop => false,
            Change::To(value) => {
                let (start, begin) = (self.added.len(), self.end());
                value.write(&mut self.added);
                let length = u32::try_from(self.added.len() - start);
                let Some((value, length)) = u32::try_from(begin).ok().zip(length.ok()) else { return false };
                (place.value, place.value_length) = (value, length);
                true
            }
        });
        self.list = places;
    }

    pub(crate) fn push(&mut self, name: &str, value: &[u8], secret: bool) {
        let (start, middle) = self.begin(name);
        self.added.extend_from_slice(value);
        self.note(start, middle, secret);
    }

    fn push_value(&mut self, name: &str, value: Value<'_>, secret: bool) {
        let (start, middle) = self.begin(name);
        value.write(&mut self.added);
        self.note(start, middle, secret);
    }

    /// Writes a name behind everything. Where it begins and ends.
    fn begin(&mut self, name: &str) -> (usize, usize) {
        if self.added.is_empty() {
            self.added.reserve(ROOM * AVERAGE);
        }
        let start = self.end();
        self.added.extend_from_slice(name.as_bytes());
        (start, self.end())
    }

    /// The place behind everything.
    fn end(&self) -> usize {
        self.read.len() + self.added.len()
    }

    /// What has been added lies from `name` to `value` and from there to the end. What is longer than any header can
    /// be is not added.
    fn note(&mut self, name: usize, value: usize, secret: bool) {
        let place = || {
            Some(Place {
                name: u32::try_from(name).ok()?,
                value: u32::try_from(value).ok()?,
                value_length: u32::try_from(self.end() - value).ok()?,
                name_length: u16::try_from(value - name).ok()?,
                secret,
            })
        };
        match place() {
            Some(place) => self.list.push(place),
            None => self.added.truncate(name - self.read.len()),
        }
    }

    fn is(&self, place: Place, name: &str) -> bool {
        usize::from(place.name_length) == name.len() && place.header(&self.read, &self.added).is(name)
    }

    fn value(&self, place: Place) -> &[u8] {
        place.header(&self.read, &self.added).value
    }
}

impl Place {
    fn header<'a>(self, read: &'a [u8], added: &'a [u8]) -> Header<'a> {
        let slice = |start: u32, length: usize| {
            let start = start as usize;
            let (from, start) = match start.checked_sub(read.len()) {
                None => (read, start),
                Some(start) => (added, start),
            };
            from.get(start..start + length).unwrap_or_default()
        };
        Header {
            name: slice(self.name, usize::from(self.name_length)),
            value: slice(self.value, self.value_length as usize),
            secret: self.secret,
        }
    }
}

/// Writes the line of a header.
pub fn write_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The headers of a list, one after the other.
pub struct Iter<'a> {
    headers: &'a Headers,
    list: std::slice::Iter<'a, Place>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.list.next().map(|place| place.header(&self.headers.read, &self.headers.added))
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = Header<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// In this order, with these values; the letters of names do not matter.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        let same =
            |(a, b): (Header<'_>, Header<'_>)| a.name.eq_ignore_ascii_case(b.name) && a.value == b.value;
        self.len() == other.len() && self.iter().zip(other).all(same)
    }
}

impl Eq for Headers {}

/// Names only: values may be secrets.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|header| String::from_utf8_lossy(header.name).into_owned()))
            .finish()
    }
}
