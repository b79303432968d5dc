//! YAML becomes a tree: anchors and merge keys are resolved, every duplicate key is a problem.
//!
//! It is built from the parser's events and not from a ready document, because a document keeps one
//! of two duplicates, stops at the first, and recurses as deep as its writer likes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::{DEEPEST, Entry, Leaf, Map, Node, Place, Style, Value, problem};
use crate::problem::Problem;

/// Aliases may stand for this many values in all, so that a small text cannot fill the memory.
const MOST_COPIES: usize = 100_000;

/// A tree under construction.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    root: Option<Node>,
    copies: usize,
    problems: Vec<Problem>,
}

/// A list or a map that has begun and not ended.
struct Open {
    place: Place,
    anchor: usize,
    held: Held,
}

enum Held {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, merges: Vec<Node>, key: Option<Key> },
}

/// A key whose value has not come yet.
struct Key {
    name: String,
    place: Place,
    merge: bool,
}

pub(super) fn parse(text: &str) -> Result<Node, Vec<Problem>> {
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder::default();
    while let Some(event) = parser.next_event() {
        let flow = match event {
            Ok((event, span)) => builder.take(event, place(span.start)),
            Err(error) => builder.stop(syntax(&error)),
        };
        if flow.is_break() {
            break;
        }
    }
    if builder.problems.is_empty() {
        let nothing = Node { place: Place { line: 1, column: 1 }, value: Value::Null };
        Ok(builder.root.unwrap_or(nothing))
    } else {
        Err(builder.problems)
    }
}

impl Builder {
    /// Takes the next event; breaks when nothing sensible can follow.
    fn take(&mut self, event: Event<'_>, place: Place) -> ControlFlow<()> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                let mut second = problem(place, "a second document begins here");
                second.hint("keep one document");
                return self.stop(second);
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), place);
                return self.put(Node { place, value }, anchor, style);
            }
            Event::Alias(anchor) => return self.alias(anchor, place),
            Event::SequenceStart(anchor, tag) => {
                self.look_at_tag(tag.as_deref(), place);
                return self.begin(Open { place, anchor, held: Held::List(Vec::new()) });
            }
            Event::MappingStart(anchor, tag) => {
                self.look_at_tag(tag.as_deref(), place);
                let held = Held::Map { entries: Vec::new(), merges: Vec::new(), key: None };
                return self.begin(Open { place, anchor, held });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { place, anchor, held }) = self.open.pop() else {
                    return ControlFlow::Break(());
                };
                let value = match held {
                    Held::List(items) => Value::List(items),
                    Held::Map { entries, merges, .. } => Value::Map(self.merged(entries, merges)),
                };
                return self.put(Node { place, value }, anchor, ScalarStyle::Plain);
            }
        }
        ControlFlow::Continue(())
    }

    fn stop(&mut self, problem: Problem) -> ControlFlow<()> {
        self.problems.push(problem);
        ControlFlow::Break(())
    }

    /// A list or a map begins.
    fn begin(&mut self, open: Open) -> ControlFlow<()> {
        if self.open.len() == DEEPEST {
            return self.stop(problem(open.place, format!("is nested deeper than {DEEPEST} levels")));
        }
        if self.wants_key() {
            let sort = if matches!(open.held, Held::List(_)) { "list" } else { "map" };
            return self.stop(problem(open.place, format!("a {sort} cannot be a key")));
        }
        self.open.push(open);
        ControlFlow::Continue(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { held: Held::Map { key: None, .. }, .. }))
    }

    /// A scalar's value by its style and tag.
    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, place: Place) -> Value {
        let text_by_tag = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
        self.look_at_tag(tag, place);
        if style != ScalarStyle::Plain || text_by_tag {
            return Value::Leaf(Leaf { text: text.to_owned(), style: Style::Quoted });
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Value::Null,
            _ => Value::Leaf(Leaf { text: text.to_owned(), style: Style::Plain }),
        }
    }

    fn look_at_tag(&mut self, tag: Option<&Tag>, place: Place) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            let mut unknown = problem(place, format!("the tag `{tag}` has no meaning here"));
            unknown.path = self.path();
            unknown.hint("remove it");
            self.problems.push(unknown);
        }
    }

    fn alias(&mut self, anchor: usize, place: Place) -> ControlFlow<()> {
        let Some(node) = self.anchors.get(&anchor) else {
            let mut inside = problem(place, "an alias cannot stand inside its own anchor");
            inside.path = self.path();
            return self.stop(inside);
        };
        self.copies += size(node);
        if self.copies > MOST_COPIES {
            return self.stop(problem(place, format!("aliases stand for more than {MOST_COPIES} values")));
        }
        let node = node.clone();
        self.put(node, 0, ScalarStyle::Plain)
    }

    /// Puts a finished node where it belongs.
    fn put(&mut self, node: Node, anchor: usize, style: ScalarStyle) -> ControlFlow<()> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let path = self.path();
        match self.open.last_mut().map(|open| &mut open.held) {
            None => self.root = Some(node),
            Some(Held::List(items)) => items.push(node),
            Some(Held::Map { entries, merges, key }) => match key.take() {
                None => match node.value {
                    Value::Leaf(Leaf { text, .. }) => {
                        let merge = text == "<<" && style == ScalarStyle::Plain;
                        *key = Some(Key { name: text, place: node.place, merge });
                    }
                    Value::Null => *key = Some(Key { name: "~".to_owned(), place: node.place, merge: false }),
                    other => {
                        let sort = other.sort();
                        return self.stop(problem(node.place, format!("{sort} cannot be a key")));
                    }
                },
                Some(Key { merge: true, .. }) => merges.push(node),
                Some(Key { name, place, .. }) => {
                    if let Some(first) = entries.iter().find(|entry| entry.name == name) {
                        let first = first.place.line;
                        let mut twice = problem(place, format!("is given twice, first on line {first}"));
                        twice.path = path;
                        twice.hint("keep one of them");
                        self.problems.push(twice);
                    } else {
                        entries.push(Entry { name, place, node });
                    }
                }
            },
        }
        ControlFlow::Continue(())
    }

    /// A map with what its merge keys bring: its own keys win, then the earlier merge.
    fn merged(&mut self, mut entries: Vec<Entry>, merges: Vec<Node>) -> Map {
        for merge in merges {
            let place = merge.place;
            let sources = match merge.value {
                Value::List(items) => items,
                value => vec![Node { place, value }],
            };
            for source in sources {
                let Value::Map(map) = source.value else {
                    let what = format!("must be a map or a list of maps, is {}", source.value.sort());
                    let mut wrong = problem(source.place, what);
                    wrong.path = joined(self.path(), "<<");
                    self.problems.push(wrong);
                    continue;
                };
                for entry in map.entries {
                    if entries.iter().all(|own| own.name != entry.name) {
                        entries.push(entry);
                    }
                }
            }
        }
        Map { entries, any_case: false }
    }

    /// Where the next node belongs: `providers[1].keys`.
    fn path(&self) -> String {
        self.open.iter().fold(String::new(), |path, open| match &open.held {
            Held::List(items) => format!("{path}[{}]", items.len()),
            Held::Map { key: Some(key), .. } => joined(path, &key.name),
            Held::Map { key: None, .. } => path,
        })
    }
}

fn joined(path: String, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { path + "." + name }
}

/// How many values a node holds, itself included.
fn size(node: &Node) -> usize {
    match &node.value {
        Value::Null | Value::Leaf(_) => 1,
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(map) => 1 + map.entries.iter().map(|entry| size(&entry.node)).sum::<usize>(),
    }
}

fn place(marker: Marker) -> Place {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Place { line: number(marker.line().max(1)), column: number(marker.col() + 1) }
}

fn syntax(error: &ScanError) -> Problem {
    problem(place(*error.marker()), format!("is not YAML: {}", error.info()))
}
