//! TOML becomes a tree, in the order of the file; every syntax error is reported.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{DEEPEST, Entry, Leaf, Map, Node, Place, Style, Value, problem};
use crate::problem::Problem;

/// Turns byte offsets into lines and columns.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

pub(super) fn parse(text: &str) -> Result<Node, Vec<Problem>> {
    let lines = Lines::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors
        .iter()
        .map(|error| {
            let place = lines.place(error.span().map_or(0, |span| span.start));
            problem(place, format!("is not TOML: {}", error.message()))
        })
        .collect();
    if problems.is_empty() {
        let map = lines.map(document.get_ref(), 0, &mut problems);
        if problems.is_empty() {
            return Ok(Node { place: Place { line: 1, column: 1 }, value: Value::Map(map) });
        }
    }
    Err(problems)
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts[line - 1];
        let column = self.text.get(start..offset).map_or(1, |before| before.chars().count() + 1);
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Place { line: number(line), column: number(column) }
    }

    fn map(&self, table: &DeTable<'_>, depth: usize, problems: &mut Vec<Problem>) -> Map {
        let mut entries: Vec<(&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let entries = entries
            .into_iter()
            .map(|(name, value)| Entry {
                name: name.get_ref().to_string(),
                place: self.place(name.span().start),
                node: self.node(value, depth + 1, problems),
            })
            .collect();
        Map { entries, any_case: true }
    }

    fn node(&self, value: &Spanned<DeValue<'_>>, depth: usize, problems: &mut Vec<Problem>) -> Node {
        let place = self.place(value.span().start);
        if depth > DEEPEST {
            problems.push(problem(place, format!("is nested deeper than {DEEPEST} levels")));
            return Node { place, value: Value::Null };
        }
        let plain = |text: String| Value::Leaf(Leaf { text, style: Style::Plain });
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Leaf(Leaf { text: text.to_string(), style: Style::Quoted }),
            DeValue::Integer(number) => plain(number.to_string()),
            DeValue::Float(number) => plain(number.to_string()),
            DeValue::Boolean(boolean) => plain(boolean.to_string()),
            DeValue::Datetime(time) => plain(time.to_string()),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.node(item, depth + 1, problems)).collect())
            }
            DeValue::Table(table) => Value::Map(self.map(table, depth, problems)),
        };
        Node { place, value }
    }
}
