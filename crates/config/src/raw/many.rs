//! Options that hold several values of one type: lists, and maps whose names are the writer's own.

use crate::problem::Spot;
use crate::raw::read::{Reader, Shape};
use crate::raw::table::Form;
use crate::tree::{Node, Value};

/// A list. An item that could not be read is missing; that has been reported.
pub(crate) struct List<T> {
    pub(crate) spot: Spot,
    /// Every item was read.
    pub(crate) whole: bool,
    /// The items, each with its place.
    pub(crate) items: Vec<(Spot, T)>,
}

/// Names of the writer's own, each with a value, in the order of the file.
pub(crate) struct Named<T> {
    pub(crate) spot: Spot,
    /// The entries, each with its place.
    pub(crate) entries: Vec<(Spot, String, T)>,
}

impl<T: Shape> List<T> {
    fn take(reader: &mut Reader<'_>, node: Option<&Node>, spot: Spot) -> Self {
        let mut list = Self { spot, whole: true, items: Vec::new() };
        match node.map(|node| &node.value) {
            None => {}
            Some(Value::List(nodes)) => {
                for (index, node) in nodes.iter().enumerate() {
                    let at = list.spot.item(index).at(node.place.line, node.place.column);
                    match T::read(reader, node, &at) {
                        Some(item) => list.items.push((at, item)),
                        None => list.whole = false,
                    }
                }
            }
            Some(other) => {
                reader.findings.problem(&list.spot, format!("must be a list, is {}", other.sort()));
                list.whole = false;
            }
        }
        list
    }
}

impl<T: Shape> Shape for List<T> {
    type Slot = Self;

    fn form() -> Form {
        Form::List(Box::new(T::form()))
    }

    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self> {
        Some(Self::take(reader, Some(node), spot.clone()))
    }

    fn slot(reader: &mut Reader<'_>, node: Option<&Node>, spot: Spot) -> Self {
        Self::take(reader, node, spot)
    }
}

impl<T: Shape> Named<T> {
    fn take(reader: &mut Reader<'_>, node: Option<&Node>, spot: Spot) -> Self {
        let mut named = Self { spot, entries: Vec::new() };
        match node.map(|node| &node.value) {
            None => {}
            Some(Value::Map(map)) => {
                for entry in &map.entries {
                    let at = named.spot.child(&entry.name).at(entry.place.line, entry.place.column);
                    if entry.name.contains("${") {
                        let what = "is a name: variables are replaced in values only";
                        reader.findings.problem(&at, what).hint("write the name itself");
                    }
                    if let Some(value) = T::read(reader, &entry.node, &at) {
                        named.entries.push((at, entry.name.clone(), value));
                    }
                }
            }
            Some(other) => {
                reader.findings.problem(&named.spot, format!("must be a map, is {}", other.sort()));
            }
        }
        named
    }
}

impl<T: Shape> Shape for Named<T> {
    type Slot = Self;

    fn form() -> Form {
        Form::Map(Box::new(T::form()))
    }

    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self> {
        Some(Self::take(reader, Some(node), spot.clone()))
    }

    fn slot(reader: &mut Reader<'_>, node: Option<&Node>, spot: Spot) -> Self {
        Self::take(reader, node, spot)
    }
}
