//! The rules of the house which neither the compiler nor clippy knows. Knows the list of rules,
//! runs each over the files of the checkout, and forgives what `xtask/exceptions.txt` names;
//! refuses to know how a rule is told broken.

mod bans;
mod exceptions;
mod length;
mod links;
mod mask;
mod names;
mod places;
mod source;
mod words;

use std::collections::BTreeMap;
use std::fmt;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::say;
use crate::tidy::exceptions::Exceptions;
use crate::tidy::source::Source;
use crate::workshop::{Workshop, has_extension};

/// The list of named exceptions, each with its reason.
const EXCEPTIONS: &str = "xtask/exceptions.txt";

/// A rule, by the name which an exception uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    /// A file opens with `//!`: what it knows, and what it refuses to know.
    Opening,
    /// A file has at most 500 lines of code, tests not counted.
    FileLength,
    /// A function has at most 60.
    FunctionLength,
    /// Words that say nothing are no names.
    Name,
    /// `foo.rs` beside `foo/`.
    ModFile,
    /// No test is ignored, expects a panic, sleeps; no code promises instead of doing.
    Word,
    /// A crate's own `clippy.toml` repeats the root's bans.
    Ban,
    /// A link between files leads somewhere.
    Link,
    /// No path of somebody's machine, and no address in the lock files of the clients.
    Place,
}

/// One place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    rule: Rule,
    path: String,
    /// Counted from 1; 0 when the whole file is meant.
    line: usize,
    /// The name an exception must give: of a function, of a type, or nothing.
    subject: String,
    problem: String,
}

/// What a tidy run has found.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<Finding>,
    /// Worth a thought, but allowed.
    hints: Vec<String>,
}

impl Rule {
    const ALL: &[Self] = &[
        Self::Opening,
        Self::FileLength,
        Self::FunctionLength,
        Self::Name,
        Self::ModFile,
        Self::Word,
        Self::Ban,
        Self::Link,
        Self::Place,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::FileLength => "file-length",
            Self::FunctionLength => "function-length",
            Self::Name => "name",
            Self::ModFile => "mod-file",
            Self::Word => "word",
            Self::Ban => "ban",
            Self::Link => "link",
            Self::Place => "place",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, path, line, problem, .. } = self;
        if *line == 0 {
            write!(formatter, "{path}: {problem} [{}]", rule.name())
        } else {
            write!(formatter, "{path}:{line}: {problem} [{}]", rule.name())
        }
    }
}

/// `cargo xtask tidy`.
pub(crate) fn run(workshop: &Workshop, arguments: Arguments) -> Result<(), Failure> {
    arguments.end()?;
    check(workshop)
}

/// Fails if a rule is broken without a named exception.
pub(crate) fn check(workshop: &Workshop) -> Result<(), Failure> {
    let texts = read_texts(workshop)?;
    let exceptions = Exceptions::parse(texts.get(EXCEPTIONS).map_or("", String::as_str), EXCEPTIONS)?;
    let report = inspect(&texts);
    for hint in &report.hints {
        say::note(hint);
    }
    let (findings, unused) = exceptions.forgive(report.findings);
    for finding in &findings {
        say::wrong(&finding.to_string());
    }
    for exception in &unused {
        say::wrong(&format!("{EXCEPTIONS}: `{exception}` forgives nothing; remove it"));
    }
    let n = findings.len() + unused.len();
    if n == 0 { Ok(()) } else { Err(Failure::findings("tidy", n)) }
}

/// All files of the checkout that are text, by their paths.
fn read_texts(workshop: &Workshop) -> Result<BTreeMap<String, String>, Failure> {
    let mut texts = BTreeMap::new();
    for path in workshop.files()? {
        let file = workshop.root.join(&path);
        let bytes = std::fs::read(&file).map_err(Failure::file("read", &file))?;
        if let Ok(text) = String::from_utf8(bytes) {
            texts.insert(path, text);
        }
    }
    Ok(texts)
}

fn inspect(texts: &BTreeMap<String, String>) -> Report {
    let mut report = Report::default();
    for (path, text) in texts.iter().filter(|(path, _)| has_extension(path, "rs")) {
        let source = Source::read(path, text);
        report.findings.extend(source.opening());
        report.findings.extend(source.mod_file());
        length::inspect(&source, &mut report);
        report.findings.extend(names::inspect(&source));
        report.findings.extend(words::inspect(&source));
    }
    report.findings.extend(bans::inspect(texts));
    report.findings.extend(links::inspect(texts));
    report.findings.extend(places::inspect(texts));
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(texts: &[(&str, &str)]) -> Vec<String> {
        let texts = texts.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect();
        inspect(&texts).findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_tidy_file_is_left_in_peace() {
        assert!(
            found(&[("crates/core/src/time.rs", "//! Time.\n\n/// A moment.\npub struct Time(u64);\n")])
                .is_empty()
        );
    }

    #[test]
    fn each_rule_about_source_is_asked() {
        let text = "pub mod helpers {}\n#[ignore]\nfn a() {}\n";
        assert_eq!(
            found(&[("crates/core/src/mod.rs", text)]),
            [
                "crates/core/src/mod.rs:1: does not open with `//!`: what it knows, and what it refuses to know [opening]",
                "crates/core/src/mod.rs: is called `mod.rs`; put `foo.rs` beside `foo/` [mod-file]",
                "crates/core/src/mod.rs:1: `helpers` has the word `helper` in its name, which says nothing [name]",
                "crates/core/src/mod.rs:2: `#[ignore]`: a test that does not run proves nothing [word]",
            ]
        );
    }

    #[test]
    fn rules_have_names_of_their_own() {
        let mut names: Vec<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Rule::ALL.len());
    }
}
