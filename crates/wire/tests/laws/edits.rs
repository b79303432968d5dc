//! An edit touches nothing else.

use std::ops::Range;

use bytes::Bytes;
use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use relay_wire::scan::Value;
use relay_wire::{Edits, Outline};
use serde_json::value::RawValue;

use crate::json::{self, Pairs};

/// Do the two touch the same bytes, or does one put something into the other?
fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    match (one.is_empty(), other.is_empty()) {
        (true, true) => false,
        (true, false) => other.start < one.start && one.start < other.end,
        (false, true) => one.start < other.start && other.start < one.end,
        (false, false) => one.start < other.end && other.start < one.end,
    }
}

/// The edited text, byte by byte.
fn edited(document: &[u8], edits: &[(Range<usize>, Vec<u8>)]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        for (span, inserted) in edits {
            if span.is_empty() && span.start == at {
                text.extend_from_slice(inserted);
            }
        }
        if let Some((span, put)) = edits.iter().find(|(span, _)| !span.is_empty() && span.start == at) {
            text.extend_from_slice(put);
            at = span.end;
        } else if at < document.len() {
            text.push(document[at]);
            at += 1;
        } else {
            return text;
        }
    }
}

#[derive(Clone, Debug)]
enum Ask {
    Remove(&'static str),
    Set(&'static str, String),
    MoveLast(&'static str),
}

fn ask() -> impl Strategy<Value = Ask> {
    let name = || prop::sample::select(vec!["a", "b", "m", "x", "é\""]);
    prop_oneof![
        name().prop_map(Ask::Remove),
        (name(), json::value()).prop_map(|(name, value)| Ask::Set(name, value)),
        name().prop_map(Ask::MoveLast),
    ]
}

/// A member as the model keeps it: its name, its value, and whether it was touched.
#[derive(Clone, PartialEq, Debug)]
struct Entry {
    name: String,
    text: String,
    group: Group,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Group {
    Kept,
    Added,
    Last,
}

/// What asking means, on a list of members.
fn model(members: &Pairs, asked: &[Ask]) -> Vec<Entry> {
    let entry = |(name, raw): &(String, Box<RawValue>)| Entry {
        name: name.clone(),
        text: raw.get().to_owned(),
        group: Group::Kept,
    };
    let mut entries: Vec<Entry> = members.0.iter().map(entry).collect();
    for ask in asked {
        match ask {
            Ask::Remove(name) => entries.retain(|entry| entry.name != *name),
            Ask::Set(name, text) => {
                entries.retain(|entry| entry.name != *name || entry.group != Group::Added);
                let standing = entries.iter_mut().filter(|entry| entry.name == *name);
                let changed = standing.map(|entry| entry.text.clone_from(text)).count();
                if changed == 0 {
                    entries.push(Entry { name: (*name).to_owned(), text: text.clone(), group: Group::Added });
                }
            }
            Ask::MoveLast(name) => {
                let standing =
                    entries.iter_mut().filter(|entry| entry.name == *name && entry.group != Group::Added);
                standing.for_each(|entry| entry.group = Group::Last);
            }
        }
    }
    entries.sort_by_key(|entry| entry.group);
    entries
}

proptest! {
    #[test]
    fn spans_are_changed_and_nothing_else(
        document in prop::collection::vec(any::<u8>(), 0..24),
        asked in prop::collection::vec((0_usize..26, 0_usize..5, prop::collection::vec(any::<u8>(), 0..3)), 0..12),
    ) {
        let document = Bytes::from(document);
        let mut edits = Edits::new(&document);
        let mut made: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
        for (start, length, put) in asked {
            let span = start..start + length;
            let fits = span.end <= document.len() && !made.iter().any(|(other, _)| overlap(other, &span));
            prop_assert_eq!(edits.replace(span.clone(), put.clone()).is_ok(), fits, "{:?} among {:?}", span, made);
            if fits {
                made.push((span, put));
            }
        }
        let segments = edits.apply();
        let expect = edited(&document, &made);
        prop_assert_eq!(segments.to_bytes(), &expect);
        prop_assert_eq!((segments.len(), segments.is_empty()), (expect.len(), expect.is_empty()));

        // What was not touched is not even copied.
        let memory = document.as_ptr_range();
        let mut shared = 0;
        for part in &segments {
            prop_assert!(!part.is_empty());
            shared += if memory.contains(&part.as_ptr()) { part.len() } else { 0 };
        }
        let untouched = document.len() - made.iter().map(|(span, _)| span.len()).sum::<usize>();
        prop_assert_eq!(shared, untouched);
    }

    #[test]
    fn edit_touches_nothing_else(document in json::object(), asked in prop::collection::vec(ask(), 0..5)) {
        let expect = model(&serde_json::from_str(&document).unwrap(), &asked);

        let bytes = Bytes::from(document.clone());
        let mut outline = Outline::new(&bytes).unwrap();
        for ask in &asked {
            match ask {
                Ask::Remove(name) => outline.remove(name),
                Ask::Set(name, text) => outline.set(name, text.clone()),
                Ask::MoveLast(name) => outline.move_last(name),
            };
        }
        let edits = outline.edits();
        let result = edits.apply().to_bytes();
        let result = std::str::from_utf8(&result).unwrap();

        // It is JSON still, and says what was asked.
        let Pairs(pairs) = serde_json::from_str(result).unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(name, raw)| (name.as_str(), raw.get())).collect();
        let expect: Vec<_> =
            expect.iter().map(|entry| (entry.name.as_str(), entry.text.as_str())).collect();
        prop_assert_eq!(pairs, expect, "{}", result);

        // No edit reaches into a member of which nothing was asked.
        let is_asked = |name: &str| asked.iter().any(|ask| match ask {
            Ask::Remove(other) | Ask::Set(other, _) | Ask::MoveLast(other) => *other == name,
        });
        for member in Value::read(bytes.as_ref()).unwrap().members() {
            let member = member.unwrap();
            if !is_asked(&member.key.as_str().unwrap()) {
                prop_assert!(edits.spans().all(|span| !overlap(&span, &member.span())));
                prop_assert!(result.contains(&document[member.span()]));
            }
        }
        if asked.is_empty() {
            prop_assert!(edits.is_empty());
        }
    }

    #[test]
    fn a_span_that_is_moved_is_whole_at_its_new_place(
        document in prop::collection::vec(any::<u8>(), 1..24),
        places in (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let size = document.len() + 1;
        let (a, b, to) = (places.0.index(size), places.1.index(size), places.2.index(size));
        let span = a.min(b)..a.max(b);
        let bytes = Bytes::from(document.clone());
        let mut edits = Edits::new(&bytes);
        let inside = span.start < to && to < span.end;
        prop_assert_eq!(edits.relocate(span.clone(), to).is_err(), inside);
        let moved = [(span.clone(), Vec::new()), (to..to, document[span].to_vec())];
        let expect = if inside { document } else { edited(&document, &moved) };
        prop_assert_eq!(edits.apply().to_bytes(), expect);
    }
}
