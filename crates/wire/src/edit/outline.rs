//! The members of an object, to be taken out, put in and moved with their commas. It knows the grammar
//! of an object; it refuses to know what a value says, and puts a new one in as it is given.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::Edits;
use crate::scan::{self, Malformed, Member};

/// How many members an object may have that is to be edited. Ours: a request has about twenty, and the
/// bound keeps a hostile one from taking twenty times its own memory.
pub const MAX_MEMBERS: usize = 4096;

/// The members of the object that a document is, to be changed by name. What is asked is turned into
/// [`Edits`] all at once at the end, so that the commas come out right in any combination.
#[derive(Clone)]
pub struct Outline<'a> {
    document: &'a Bytes,
    /// Offset after the opening brace.
    open: usize,
    entries: Vec<Entry<'a>>,
    added: Vec<(String, Bytes)>,
}

#[derive(Clone)]
struct Entry<'a> {
    member: Member<'a>,
    value: Option<Bytes>,
    place: Place,
}

/// Where a member goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Kept,
    Last,
    Gone,
}

impl<'a> Outline<'a> {
    /// The members of the object that `document` is.
    ///
    /// # Errors
    /// [`Malformed`] if it is not an object, or has more than [`MAX_MEMBERS`] members.
    pub fn new(document: &'a Bytes) -> Result<Self, Malformed> {
        let mut entries = Vec::new();
        for member in scan::members(document)? {
            let member = member?;
            if entries.len() == MAX_MEMBERS {
                return Err(Malformed::TooMany { at: member.span().start });
            }
            entries.push(Entry { member, value: None, place: Place::Kept });
        }
        let open = document.iter().position(|byte| *byte == b'{').map_or(0, |brace| brace + 1);
        Ok(Self { document, open, entries, added: Vec::new() })
    }

    /// Takes the member out, with its comma. A name that stands twice goes twice; one that does not
    /// stand there changes nothing. What [`Outline::set`] put there goes too.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.added.retain(|(added, _)| added != name);
        self.each(name, |entry| entry.place = Place::Gone)
    }

    /// Gives the member this value, which must be JSON text. If there is no such member, it is added
    /// after those that are there, but before those that are moved to the end. A name that stands
    /// twice is changed twice, so that no parser sees the old value.
    pub fn set(&mut self, name: &str, value: impl Into<Bytes>) -> &mut Self {
        let value = value.into();
        self.added.retain(|(added, _)| added != name);
        let stands = |entry: &Entry<'_>| entry.place != Place::Gone && entry.member.is(name);
        if self.entries.iter().any(stands) {
            return self.each(name, |entry| entry.value = Some(value.clone()));
        }
        self.added.push((name.to_owned(), value));
        self
    }

    /// What the member will be: what was set, or what stands there; of several that stand there the last, as in most
    /// parsers.
    pub fn value(&self, name: &str) -> Option<Bytes> {
        if let Some((_, value)) = self.added.iter().find(|(added, _)| added == name) {
            return Some(value.clone());
        }
        let entry = self.entries.iter().rfind(|entry| entry.place != Place::Gone && entry.member.is(name))?;
        let stands = || self.document.slice(entry.member.value.span());
        Some(entry.value.clone().unwrap_or_else(stands))
    }

    /// Moves the member behind all others, if it stands in the document. Several so moved keep their
    /// order among themselves.
    pub fn move_last(&mut self, name: &str) -> &mut Self {
        self.each(name, |entry| {
            if entry.place == Place::Kept {
                entry.place = Place::Last;
            }
        })
    }

    /// All that was asked, as a list of spans. Members that are already last are not moved.
    pub fn edits(&self) -> Edits {
        let mut edits = Edits::new(self.document);
        let is_at_end = self.is_moved_at_end();
        let stays = |entry: &&Entry<'_>| match entry.place {
            Place::Kept => true,
            Place::Last => is_at_end,
            Place::Gone => false,
        };
        self.cut_out(&mut edits, |entry| stays(&entry));
        for entry in self.entries.iter().filter(stays) {
            if let Some(value) = &entry.value {
                edits.place(entry.member.value.span(), vec![value.clone()]);
            }
        }

        let mut texts: Vec<Vec<Bytes>> =
            self.added.iter().map(|(name, value)| written(name, value)).collect();
        if let Some(first) = self.entries.iter().find(|entry| is_at_end && entry.place == Place::Last) {
            let pieces = texts.into_iter().flat_map(|text| [text, vec![COMMA]].concat()).collect();
            insert(&mut edits, first.member.span().start, pieces);
            return edits;
        }
        let moved = self.entries.iter().filter(|entry| entry.place == Place::Last);
        texts.extend(moved.map(|entry| self.carried(entry)));
        match self.entries.iter().rfind(stays) {
            Some(last) => {
                let pieces = texts.into_iter().flat_map(|text| [vec![COMMA], text].concat()).collect();
                insert(&mut edits, last.member.span().end, pieces);
            }
            None => insert(&mut edits, self.open, texts.join(&COMMA)),
        }
        edits
    }

    fn each(&mut self, name: &str, mut change: impl FnMut(&mut Entry<'_>)) -> &mut Self {
        self.entries.iter_mut().filter(|entry| entry.member.is(name)).for_each(&mut change);
        self
    }

    /// Does no member that stays where it is come after one that is to be moved?
    fn is_moved_at_end(&self) -> bool {
        self.entries
            .iter()
            .filter(|entry| entry.place != Place::Gone)
            .skip_while(|entry| entry.place == Place::Kept)
            .all(|entry| entry.place == Place::Last)
    }

    /// Takes out every run of members that do not stay. A run takes the comma after it along, or the
    /// one before it if nothing that stays comes after.
    fn cut_out(&self, edits: &mut Edits, stays: impl Fn(&Entry<'_>) -> bool) {
        let mut before = None;
        let mut run: Option<Range<usize>> = None;
        for entry in &self.entries {
            let span = entry.member.span();
            if stays(entry) {
                if let Some(run) = run.take() {
                    edits.place(run.start..span.start, Vec::new());
                }
                before = Some(span.end);
            } else {
                let start = run.map_or(span.start, |run| run.start);
                run = Some(start..span.end);
            }
        }
        if let Some(run) = run {
            edits.place(before.unwrap_or(run.start)..run.end, Vec::new());
        }
    }

    /// The pieces of a member that is put elsewhere.
    fn carried(&self, entry: &Entry<'_>) -> Vec<Bytes> {
        let span = entry.member.span();
        match &entry.value {
            Some(value) => {
                let key = span.start..entry.member.value.span().start;
                vec![self.document.slice(key), value.clone()]
            }
            None => vec![self.document.slice(span)],
        }
    }
}

impl fmt::Debug for Outline<'_> {
    /// How many members; never their text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} members, {} added", self.entries.len(), self.added.len())
    }
}

const COMMA: Bytes = Bytes::from_static(b",");

/// `text` as a JSON string, quotes included.
pub fn quoted(text: &str) -> Bytes {
    serde_json::Value::from(text).to_string().into()
}

fn written(name: &str, value: &Bytes) -> Vec<Bytes> {
    vec![quoted(name), Bytes::from_static(b":"), value.clone()]
}

fn insert(edits: &mut Edits, at: usize, pieces: Vec<Bytes>) {
    if !pieces.is_empty() {
        edits.place(at..at, pieces);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlined(document: &'static str, ask: impl Fn(&mut Outline<'_>)) -> String {
        let document = Bytes::from_static(document.as_bytes());
        let mut outline = Outline::new(&document).unwrap();
        ask(&mut outline);
        String::from_utf8(outline.edits().apply().to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_member_goes_with_its_comma() {
        for (document, names, expect) in [
            (r#"{"a":1, "b":2, "c":3}"#, &["a"][..], r#"{"b":2, "c":3}"#),
            (r#"{"a":1, "b":2, "c":3}"#, &["b"], r#"{"a":1, "c":3}"#),
            (r#"{"a":1, "b":2, "c":3 }"#, &["c"], r#"{"a":1, "b":2 }"#),
            (r#"{ "a":1 }"#, &["a"], "{  }"),
            (r#"{"a":1, "b":2, "c":3}"#, &["a", "b"], r#"{"c":3}"#),
            (r#"{"a":1, "b":2, "c":3}"#, &["c", "b"], r#"{"a":1}"#),
            (r#"{"a":1, "b":2, "c":3}"#, &["a", "c"], r#"{"b":2}"#),
            (r#"{"a":1, "b":2, "c":3}"#, &["b", "a", "c"], "{}"),
            (r#"{"a":1, "b":2, "a":3}"#, &["a"], r#"{"b":2}"#),
            (r#"{"a":1, "b":2}"#, &["x"], r#"{"a":1, "b":2}"#),
            (r#"{"\u0061":1, "b":2}"#, &["a"], r#"{"b":2}"#),
        ] {
            let edited = outlined(document, |outline| {
                for name in names {
                    outline.remove(name);
                }
            });
            assert_eq!(edited, expect, "{document} without {names:?}");
        }
    }

    #[test]
    fn a_member_is_set_where_it_stands_or_added() {
        for (document, expect) in [
            (r#"{"a":1, "b" : 2, "c":3}"#, r#"{"a":1, "b" : [], "c":3}"#),
            (r#"{"b":1, "b":2}"#, r#"{"b":[], "b":[]}"#),
            (r#"{"a":1 }"#, r#"{"a":1,"b":[] }"#),
            ("{ }", r#"{"b":[] }"#),
            (" {}", r#" {"b":[]}"#),
        ] {
            let edited = outlined(document, |outline| {
                outline.set("b", "0").set("b", "[]");
            });
            assert_eq!(edited, expect, "{document}");
        }
    }

    #[test]
    fn a_member_is_moved_behind_all_others() {
        for (document, expect) in [
            (r#"{"m":[1], "a":1, "b":2}"#, r#"{"a":1, "b":2,"m":[1]}"#),
            (r#"{"a":1, "m":[1], "b":2}"#, r#"{"a":1, "b":2,"m":[1]}"#),
            (r#"{"a":1, "m":[1] }"#, r#"{"a":1, "m":[1] }"#),
            (r#"{"m":[1]}"#, r#"{"m":[1]}"#),
            (r#"{"a":1}"#, r#"{"a":1}"#),
            (r#"{"m":[1], "a":1, "m":[2], "b":2}"#, r#"{"a":1, "b":2,"m":[1],"m":[2]}"#),
            (r#"{"a":1, "m":[1], "m":[2]}"#, r#"{"a":1, "m":[1], "m":[2]}"#),
        ] {
            let edited = outlined(document, |outline| {
                outline.move_last("m");
            });
            assert_eq!(edited, expect, "{document}");
        }
    }

    #[test]
    fn all_of_it_at_once_keeps_the_commas_right() {
        for (document, expect) in [
            (r#"{"model":"x", "m":[1], "a":1, "stream":true}"#, r#"{"a":1,"v":"1","m":[]}"#),
            (r#"{"model":"x", "a":1, "stream":true, "m":[1]}"#, r#"{"a":1, "v":"1","m":[]}"#),
            (r#"{"m":[1], "a":1}"#, r#"{"a":1,"v":"1","m":[]}"#),
            (r#"{"m":[1], "model":"x"}"#, r#"{"v":"1","m":[]}"#),
            (r#"{"model":"x", "m":[1], "stream":true}"#, r#"{"v":"1","m":[]}"#),
            (r#"{"m":[1]}"#, r#"{"v":"1","m":[]}"#),
        ] {
            let edited = outlined(document, |outline| {
                outline.move_last("m").set("m", "[]").set("v", quoted("1")).remove("model").remove("stream");
            });
            assert_eq!(edited, expect, "{document}");
        }
        let edited = outlined(r#"{"model":"x", "stream":true}"#, |outline| {
            outline.remove("model").remove("stream").set("v", "1").set("w", "2");
        });
        assert_eq!(edited, r#"{"v":1,"w":2}"#);
    }

    #[test]
    fn the_last_word_on_a_member_counts() {
        let again = |outline: &mut Outline<'_>| {
            outline.remove("a").set("a", "2").set("n", "3").remove("n").remove("b").move_last("b");
        };
        assert_eq!(outlined(r#"{"a":1,"b":1,"c":1}"#, again), r#"{"c":1,"a":2}"#);
    }

    #[test]
    fn a_name_is_written_as_json() {
        let edited = outlined("{}", |outline| {
            outline.set("a\"\n", quoted("\\é"));
        });
        assert_eq!(edited, r#"{"a\"\n":"\\é"}"#);
    }

    #[test]
    fn an_outline_of_no_object_is_refused() {
        assert_eq!(Outline::new(&Bytes::from_static(b"[]")).err(), Some(Malformed::NotAnObject { at: 0 }));
        assert_eq!(Outline::new(&Bytes::from_static(b"{")).err(), Some(Malformed::Ended { at: 1 }));
    }

    #[test]
    fn only_so_many_members_are_edited() {
        let object = |count: usize| Bytes::from(format!("{{{}}}", vec!["\"\":0"; count].join(",")));
        assert!(Outline::new(&object(MAX_MEMBERS)).is_ok());
        let at = 1 + MAX_MEMBERS * "\"\":0,".len();
        assert_eq!(Outline::new(&object(MAX_MEMBERS + 1)).err(), Some(Malformed::TooMany { at }));
    }

    #[test]
    fn nothing_of_a_body_is_shown() {
        let document = Bytes::from_static(br#"{"prompt":"secret"}"#);
        let mut outline = Outline::new(&document).unwrap();
        outline.set("prompt", quoted("secret")).set("secret", "1");
        let edits = outline.edits();
        assert_eq!(format!("{edits:?}"), "[10..18 becomes 8 bytes, 18..18 becomes 11 bytes]");
        assert_eq!(format!("{:?}", edits.apply()), "[10, 8, 1, 8, 1, 1, 1]");
        assert_eq!(format!("{outline:?}"), "1 members, 1 added");
    }
}
