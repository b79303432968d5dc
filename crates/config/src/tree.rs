//! One tree for both formats: what was written, and where. It knows YAML and TOML; it knows no option.
//!
//! A leaf stays the text that was written. Whether `60` is a number or a word is decided by the option
//! that reads it, so that a secret made of digits keeps its leading zero.

mod toml;
mod yaml;

use std::fmt;
use std::path::Path;

use crate::problem::Problem;

/// How a configuration is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `.yaml`, `.yml`.
    Yaml,
    /// `.toml`.
    Toml,
}

/// A value and where it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A line and a column, both from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// What is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    /// Nothing, or YAML's `null`.
    Null,
    /// A text, a number, a boolean.
    Leaf(Leaf),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Map),
}

/// A text as written; it may hold a secret, so `Debug` prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// How a leaf is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    /// Without quotes: it may be a number or a boolean.
    Plain,
    /// In quotes, or as a block: a text for certain.
    Quoted,
}

/// A map in the order of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Map {
    pub(crate) entries: Vec<Entry>,
    /// Names are equal whatever their case: the old program read TOML so.
    pub(crate) any_case: bool,
}

/// A name of a map, where it is written, and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

/// A tree no deeper than this: the options need 6 levels.
const DEEPEST: usize = 64;

/// The tree of a text; what stands in the way of one otherwise.
pub(crate) fn parse(text: &str, format: Format) -> Result<Node, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = match format {
        Format::Yaml => yaml::parse(text)?,
        Format::Toml => toml::parse(text)?,
    };
    match root.value {
        Value::Map(_) => Ok(root),
        Value::Null => Ok(Node { value: Value::Map(Map { entries: Vec::new(), any_case: false }), ..root }),
        ref other => {
            Err(vec![problem(root.place, format!("must be a map of sections, is {}", other.sort()))])
        }
    }
}

/// The format of a file, by its extension, whatever its case.
pub fn format_of(path: &Path) -> Result<Format, Problem> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "yaml" | "yml" => Ok(Format::Yaml),
        "toml" => Ok(Format::Toml),
        _ => Err(Problem {
            path: String::new(),
            line: 0,
            column: 0,
            what: formless(path, extension),
            hint: Some("let its name end in `.yaml`, `.yml` or `.toml`".to_owned()),
        }),
    }
}

/// The complaint that nobody knows in which format a file of that name is.
fn formless(path: &Path, extension: &str) -> String {
    let path = path.display();
    if extension.is_empty() {
        format!("the name of `{path}` has no ending, which would say its format")
    } else {
        format!("`{path}` ends in `.{extension}`, which is no known format")
    }
}

impl Value {
    /// What kind of thing it is, with its article. Never what is in it.
    pub(crate) fn sort(&self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Leaf(Leaf { style: Style::Quoted, .. }) => "a text",
            Self::Leaf(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl Map {
    /// Every entry of that name; more than one only if they differ in case.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| self.same(&entry.name, name))
    }

    fn same(&self, left: &str, right: &str) -> bool {
        if self.any_case { left.eq_ignore_ascii_case(right) } else { left == right }
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leaf({:?}, ..)", self.style)
    }
}

/// A problem of the text, not of an option.
fn problem(place: Place, what: impl Into<String>) -> Problem {
    Problem { path: String::new(), line: place.line, column: place.column, what: what.into(), hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, proptest};

    /// A tree in one line: quoted leaves in quotes, plain ones bare.
    fn outline(node: &Node) -> String {
        match &node.value {
            Value::Null => "~".to_owned(),
            Value::Leaf(Leaf { text, style: Style::Plain }) => text.clone(),
            Value::Leaf(Leaf { text, style: Style::Quoted }) => format!("{text:?}"),
            Value::List(items) => format!("[{}]", items.iter().map(outline).collect::<Vec<_>>().join(", ")),
            Value::Map(map) => {
                let entries: Vec<_> = map
                    .entries
                    .iter()
                    .map(|entry| format!("{}@{}: {}", entry.name, entry.place.line, outline(&entry.node)))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    fn check(text: &str, format: Format, expect: &str) {
        let said = match parse(text, format) {
            Ok(node) => outline(&node),
            Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        };
        assert_eq!(said, expect, "{text}");
    }

    #[test]
    fn a_yaml_text_becomes_a_tree_with_lines() {
        check("a: 1\nb:\n  - x\n  - 'y'\n", Format::Yaml, r#"{a@1: 1, b@2: [x, "y"]}"#);
        check("a:\nb: ~\nc: null\nd: ''", Format::Yaml, r#"{a@1: ~, b@2: ~, c@3: ~, d@4: ""}"#);
        check("a: 0123\nb: !!str 5\n1: yes", Format::Yaml, r#"{a@1: 0123, b@2: "5", 1@3: yes}"#);
        check("a: |\n  two\n  lines\n", Format::Yaml, r#"{a@1: "two\nlines\n"}"#);
        check("\u{feff}a: 1", Format::Yaml, "{a@1: 1}");
        check("a: 1\r\nb: 2\r\n", Format::Yaml, "{a@1: 1, b@2: 2}");
    }

    #[test]
    fn an_empty_text_is_an_empty_map() {
        for text in ["", "\n", "# only a comment\n", "---\n", "---\n...\n", "~"] {
            check(text, Format::Yaml, "{}");
        }
        check("# only a comment\n", Format::Toml, "{}");
    }

    #[test]
    fn anchors_and_merges_are_resolved() {
        check("a: &x [1, 2]\nb: *x", Format::Yaml, "{a@1: [1, 2], b@2: [1, 2]}");
        check(
            "x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\n",
            Format::Yaml,
            "{x@1: {a@1: 1, b@1: 2}, y@2: {b@4: 3, a@1: 1}}",
        );
        check(
            "x: &x {a: 1}\ny: &y {a: 2, c: 3}\nz:\n  <<: [*x, *y]\n",
            Format::Yaml,
            "{x@1: {a@1: 1}, y@2: {a@2: 2, c@2: 3}, z@3: {a@1: 1, c@2: 3}}",
        );
        check(
            "z:\n  <<: 5\n",
            Format::Yaml,
            "z.<< line 2: must be a map or a list of maps, is a single value",
        );
    }

    #[test]
    fn every_duplicate_is_reported_with_both_lines() {
        check(
            "a: 1\nb:\n  c: 1\n  c: 2\na: 2\n",
            Format::Yaml,
            "b.c line 4: is given twice, first on line 3 (hint: keep one of them)\n\
             a line 5: is given twice, first on line 1 (hint: keep one of them)",
        );
    }

    #[test]
    fn what_is_no_configuration_is_said_where_it_is() {
        check(
            "a: 1\n---\nb: 2\n",
            Format::Yaml,
            "(file) line 2: a second document begins here (hint: keep one document)",
        );
        check("- a\n", Format::Yaml, "(file) line 1: must be a map of sections, is a list");
        check("? [a, b]\n: c\n", Format::Yaml, "(file) line 1: a list cannot be a key");
        check("a: &x [*x]\n", Format::Yaml, "a[0] line 1: an alias cannot stand inside its own anchor");
        check(
            "a: !secret x\n",
            Format::Yaml,
            "a line 1: the tag `!secret` has no meaning here (hint: remove it)",
        );
        let deep = format!("a: {}", "[".repeat(80));
        assert!(parse(&deep, Format::Yaml).is_err_and(|problems| problems[0].what.contains("64 levels")));
    }

    #[test]
    fn an_alias_that_explodes_is_refused() {
        let level = |level: usize| {
            let inside = if level == 0 { "x".to_owned() } else { format!("*a{}", level - 1) };
            format!("a{level}: &a{level} [{}]", vec![inside; 10].join(", "))
        };
        let text = (0..9).map(level).collect::<Vec<_>>().join("\n");
        let problems = parse(&text, Format::Yaml).expect_err("a billion values");
        assert_eq!(problems[0].what, "aliases stand for more than 100000 values");
    }

    #[test]
    fn a_toml_text_becomes_the_same_tree() {
        check(
            "[b]\ny = \"q\"\nx = 0x10\n[[l]]\nn = 1_000\n[[l]]\nt = true\n",
            Format::Toml,
            r#"{b@1: {y@2: "q", x@3: 0x10}, l@4: [{n@5: 1000}, {t@7: true}]}"#,
        );
    }

    #[test]
    fn every_syntax_error_of_toml_is_reported() {
        let problems = parse("a = \nb = 1\nb = 2\n", Format::Toml).expect_err("two errors");
        let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [1, 3], "{problems:?}");
    }

    #[test]
    fn the_extension_decides() {
        assert_eq!(format_of(Path::new("/a/config.YML")), Ok(Format::Yaml));
        assert_eq!(format_of(Path::new("config.toml")), Ok(Format::Toml));
        let problem = format_of(Path::new("config.json")).expect_err("no such format");
        assert_eq!(problem.what, "`config.json` ends in `.json`, which is no known format");
    }

    #[test]
    fn a_name_without_an_ending_is_said_to_have_none() {
        for path in ["/dev/stdin", "config", "config.", "/etc/.yaml", "a.d/config"] {
            let problem = format_of(Path::new(path)).expect_err("it says no format");
            let expect = format!("the name of `{path}` has no ending, which would say its format");
            assert_eq!(problem.what, expect);
        }
    }

    #[test]
    fn a_leaf_is_never_printed() {
        let node = parse("key: sk-hidden", Format::Yaml).expect("it parses");
        assert!(!format!("{node:?}").contains("sk-hidden"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_tree_or_a_problem(text in any::<String>()) {
            for format in [Format::Yaml, Format::Toml] {
                let outcome = parse(&text, format);
                prop_assert!(outcome.map_or_else(|problems| !problems.is_empty(), |_| true));
            }
        }

        #[test]
        fn any_text_of_yaml_marks_is_a_tree_or_a_problem(text in "[-a:?&*!|>%@\"'{}\\[\\],#~<\n \t]{0,60}") {
            let outcome = parse(&text, Format::Yaml);
            prop_assert!(outcome.map_or_else(|problems| !problems.is_empty(), |_| true));
        }
    }
}
