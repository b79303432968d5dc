//! The environment of the process as a value: read once in `main.rs`, passed to whoever needs it. It knows
//! names and values, and refuses to know what any of them means. A value may be a secret: none is shown.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Every variable by its name.
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// These variables, of which the last counts if a name stands twice.
    pub(crate) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// The value of a variable as text. A value that is not Unicode counts as not set: nothing that is read
    /// as text could use it.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.0.get(OsStr::new(name))?.to_str().map(str::to_owned)
    }

    /// The value of the first of these variables that is set and not empty.
    pub(crate) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().filter_map(|name| self.text(name)).find(|value| !value.is_empty())
    }

    /// The value of a variable as a path, in whatever encoding. An empty one counts as not set.
    pub(crate) fn path(&self, name: &str) -> Option<&Path> {
        self.0.get(OsStr::new(name)).filter(|value| !value.is_empty()).map(Path::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_a_text_but_no_path() {
        let environment = Environment::new([("A".into(), "".into()), ("B".into(), "/b".into())]);
        assert_eq!(environment.text("A").as_deref(), Some(""));
        assert_eq!(environment.path("A"), None);
        assert_eq!(environment.path("B"), Some(Path::new("/b")));
        assert_eq!(environment.first(&["NONE", "A", "B"]).as_deref(), Some("/b"));
        assert_eq!(environment.first(&["NONE", "A"]), None);
    }
}
