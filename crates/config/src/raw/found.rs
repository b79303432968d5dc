//! The names of a section that is being read, sorted by the table: known, old, without effect, unknown.
//! It reports on names; what stands behind them is read elsewhere.

use crate::problem::Spot;
use crate::raw::Root;
use crate::raw::read::Reader;
use crate::raw::suggest::nearest;
use crate::raw::table::{Form, Row, Section, Standing};
use crate::tree::{Entry, Map, Node, Value};

/// The entries of a section that is being read, by the name of their option.
pub(crate) struct Found<'n> {
    entries: Vec<(&'static str, &'n Entry)>,
}

impl<'n> Found<'n> {
    /// The entry of that option, unless it is absent or `null`.
    pub(crate) fn node(&self, name: &str, section: &Spot) -> (Option<&'n Node>, Spot) {
        let spot = section.child(name);
        match self.entries.iter().find(|(known, _)| *known == name) {
            Some((_, entry)) => {
                let spot = spot.at(entry.place.line, entry.place.column);
                (Some(&entry.node).filter(|node| node.value != Value::Null), spot)
            }
            None => (None, spot),
        }
    }

    /// Sorts the entries of a section by its rows. Reports what is unknown, dead, old, or given twice.
    pub(crate) fn sort<S: Section>(reader: &mut Reader<'_>, node: Option<&'n Node>, spot: &Spot) -> Self {
        let mut found = Self { entries: Vec::new() };
        let map = match node.map(|node| &node.value) {
            None => return found,
            Some(Value::Map(map)) => map,
            Some(other) => {
                reader.findings.problem(spot, format!("must be a section, is {}", other.sort()));
                return found;
            }
        };
        let rows = S::rows();
        for row in &rows {
            found.take(reader, map, spot, row);
        }
        for entry in &map.entries {
            let at = spot.child(&entry.name).at(entry.place.line, entry.place.column);
            let same = |name: &str| {
                if map.any_case { name.eq_ignore_ascii_case(&entry.name) } else { name == entry.name }
            };
            let own_use = spot.path.is_empty() && entry.name.starts_with("x-");
            if own_use || rows.iter().any(|row| same(row.name)) {
                continue;
            }
            match S::DEAD.iter().find(|(name, _)| same(name)) {
                Some((_, advice)) => {
                    reader.findings.notice(&at, "has never had an effect, and has none now").hint(*advice);
                }
                None => unknown(reader, &at, &entry.name, &rows),
            }
        }
        found
    }

    fn take(&mut self, reader: &mut Reader<'_>, map: &'n Map, section: &Spot, row: &Row) {
        let spot = |entry: &Entry| section.child(row.name).at(entry.place.line, entry.place.column);
        let mut entries = map.named(row.name);
        let Some(first) = entries.next() else { return };
        if let Some(second) = entries.next() {
            let what = format!("is given twice, first on line {}", first.place.line);
            reader.findings.problem(&spot(second), what).hint("keep one of them");
        }
        if first.node.value != Value::Null {
            match row.standing {
                Standing::Current => {}
                Standing::Inert if matches!(row.form, Form::Section { .. }) => {}
                Standing::Inert => {
                    reader.findings.notice(&spot(first), "is checked, but has no effect in this version");
                }
                Standing::Old { what, hint } => reader.findings.notice(&spot(first), what).hint(hint),
            }
        }
        self.entries.push((row.name, first));
    }
}

/// Reports a name that no option of the section has.
fn unknown(reader: &mut Reader<'_>, spot: &Spot, name: &str, rows: &[Row]) {
    let meant = nearest(name, rows.iter().map(|row| row.name)).map(|near| format!("did you mean `{near}`?"));
    let elsewhere = || {
        let mut places = Vec::new();
        let root = Root::rows();
        collect_places(&root, "", name, &mut places);
        (!places.is_empty()).then(|| format!("it belongs in {}", places.join(" or ")))
    };
    let all = || {
        let names: Vec<_> = rows.iter().map(|row| format!("`{}`", row.name)).collect();
        format!("known here: {}", names.join(", "))
    };
    let exact = elsewhere();
    reader.findings.problem(spot, "unknown key").hint(meant.or(exact).unwrap_or_else(all));
}

/// Every section of the table that has an option of that name.
fn collect_places(rows: &[Row], path: &str, name: &str, places: &mut Vec<String>) {
    for row in rows {
        if row.name == name && row.standing == Standing::Current {
            places.push(if path.is_empty() { "the top level".to_owned() } else { format!("`{path}`") });
        }
        let mark = if matches!(row.form, Form::List(_)) { "[]" } else { "" };
        let inner = if path.is_empty() { row.name.to_owned() } else { format!("{path}.{}", row.name) } + mark;
        collect_places(row.form.rows(), &inner, name, places);
    }
}
