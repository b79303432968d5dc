//! What was set in Claude Code's settings, and what it replaced, so that it can be taken back. It knows how
//! that is written beside the settings, and refuses to know when.

use serde::{Deserialize, Serialize};

use crate::cc::document::Shape;

/// What `remove` must know. Values are JSON text, exactly as it stands in the settings.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    version: u32,
    /// What the settings were before; [`Shape::Absent`] if there was no file.
    pub(crate) settings: Shape,
    /// What their `env` was before.
    pub(crate) env: Shape,
    /// The variables that were set.
    pub(crate) variables: Vec<Entry>,
}

/// A variable that was set.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: String,
    /// The value that was set.
    pub(crate) set: String,
    /// The value that stood there before; none if there was none.
    pub(crate) replaced: Option<String>,
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// It is not one.
    #[error("it is not what `cc-relay config cc init` writes")]
    Malformed(#[source] serde_json::Error),
    /// Another program wrote it.
    #[error("its version is {0}, and this program knows version {VERSION}")]
    Version(u32),
}

/// The version that is written.
const VERSION: u32 = 1;

impl Record {
    /// Nothing was set yet in settings of these shapes.
    pub(crate) const fn new(settings: Shape, env: Shape) -> Self {
        Self { version: VERSION, settings, env, variables: Vec::new() }
    }

    /// Reads a record.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unusable> {
        let record: Self = serde_json::from_slice(bytes).map_err(Unusable::Malformed)?;
        if record.version == VERSION { Ok(record) } else { Err(Unusable::Version(record.version)) }
    }

    /// The text to be written.
    pub(crate) fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain texts and lists are always JSON");
        text.push('\n');
        text
    }

    /// What is known of a variable.
    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.variables.iter().find(|entry| entry.name == name)
    }

    /// The variables of which it holds what the user had set.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().filter(|entry| entry.replaced.is_some()).map(|entry| entry.name.as_str())
    }

    /// Notes a variable in place of what was noted of it before.
    pub(crate) fn note(&mut self, entry: Entry) {
        match self.variables.iter_mut().find(|noted| noted.name == entry.name) {
            Some(noted) => *noted = entry,
            None => self.variables.push(entry),
        }
    }

    /// Forgets a variable.
    pub(crate) fn forget(&mut self, name: &str) {
        self.variables.retain(|entry| entry.name != name);
    }
}

impl std::fmt::Debug for Record {
    /// The names of the variables; never their values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.variables.iter().map(|entry| &entry.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let mut record = Record::new(Shape::Full, Shape::Empty(" \n".to_owned()));
        let secret = "\"sk-secret\"".to_owned();
        record.note(Entry { name: "A".to_owned(), set: "\"1\"".to_owned(), replaced: None });
        record.note(Entry { name: "B".to_owned(), set: secret.clone(), replaced: Some(secret) });
        record
    }

    #[test]
    fn a_record_that_was_written_can_be_read() {
        let record = record();
        assert_eq!(Record::read(record.text().as_bytes()).unwrap(), record);
    }

    #[test]
    fn a_variable_is_noted_once() {
        let mut record = record();
        record.note(Entry { name: "A".to_owned(), set: "2".to_owned(), replaced: None });
        assert_eq!(record.entry("A").unwrap().set, "2");
        assert_eq!(record.variables.len(), 2);
        record.forget("A");
        assert!(record.entry("A").is_none());
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let other = record().text().replace("\"version\": 1", "\"version\": 2");
        assert!(matches!(Record::read(other.as_bytes()), Err(Unusable::Version(2))));
        for text in ["", "{}", "null", "{\"version\":1,\"settings\":\"full\",\"env\":\"full\"}"] {
            assert!(matches!(Record::read(text.as_bytes()), Err(Unusable::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn no_value_is_shown() {
        assert_eq!(format!("{:?}", record()), r#"["A", "B"]"#);
    }
}
