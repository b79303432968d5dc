//! What is wrong with a configuration, and what is merely worth knowing: where, what, and a hint.
//! It knows how a report looks; it knows no rule, and never holds the value of a secret or a variable.

use std::fmt;

/// Something that keeps a configuration from loading.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", self.line_of_text())]
pub struct Problem {
    /// The option: `providers[1].keys[0].key`. Empty when the text as a whole is meant.
    pub path: String,
    /// The line, from 1; 0 when there is none.
    pub line: u32,
    /// The column in characters, from 1; 0 when there is none.
    pub column: u32,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Something that loads, but perhaps does not mean what its writer thinks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// The option.
    pub path: String,
    /// The line, from 1; 0 when there is none.
    pub line: u32,
    /// The column in characters, from 1; 0 when there is none.
    pub column: u32,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Every problem of one configuration, in the order of its lines. Never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problems {
    /// The file they are in, as it is to be shown; empty when it has no name.
    pub file: String,
    /// The problems.
    pub list: Vec<Problem>,
}

/// Notices as they are shown to an operator: a table under one headline.
#[derive(Clone, Copy, Debug)]
pub struct Notices<'a> {
    /// The file they are about.
    pub file: &'a str,
    /// The notices.
    pub list: &'a [Notice],
}

/// A place in a configuration: the path of an option and where it is written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Spot {
    pub(crate) path: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Where options are written that name something of the machine, so that what is found out there can be told in the
/// same way as what is found in the text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places(Vec<Spot>);

/// What was found so far.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<Problem>,
    pub(crate) notices: Vec<Notice>,
}

/// One row of a report.
struct Row<'a> {
    path: &'a str,
    line: u32,
    what: &'a str,
    hint: Option<&'a str>,
}

impl Spot {
    /// The option `name` below this place, on the same line until it is known better.
    pub(crate) fn child(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { path, ..*self }
    }

    /// The item of that index below this place.
    pub(crate) fn item(&self, index: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), ..*self }
    }

    /// The same option, written there.
    pub(crate) fn at(self, line: u32, column: u32) -> Self {
        Self { line, column, ..self }
    }
}

impl Places {
    /// Those of these options, written or not.
    pub(crate) fn of<'a>(spots: impl IntoIterator<Item = &'a Spot>) -> Self {
        Self(spots.into_iter().cloned().collect())
    }

    /// A problem with the option of that path, which has a line if the option is written.
    pub fn problem(&self, path: &str, what: impl Into<String>, hint: &str) -> Problem {
        let spot = self.0.iter().find(|spot| spot.path == path);
        let (line, column) = spot.map_or((0, 0), |spot| (spot.line, spot.column));
        Problem { path: path.to_owned(), line, column, what: what.into(), hint: Some(hint.to_owned()) }
    }
}

impl Findings {
    /// Notes a problem; [`Problem::hint`] may follow.
    pub(crate) fn problem(&mut self, spot: &Spot, what: impl Into<String>) -> &mut Problem {
        let Spot { path, line, column } = spot.clone();
        self.problems.push(Problem { path, line, column, what: what.into(), hint: None });
        self.problems.last_mut().expect("one was pushed just now")
    }

    /// Notes what is worth knowing; [`Notice::hint`] may follow.
    pub(crate) fn notice(&mut self, spot: &Spot, what: impl Into<String>) -> &mut Notice {
        let Spot { path, line, column } = spot.clone();
        self.notices.push(Notice { path, line, column, what: what.into(), hint: None });
        self.notices.last_mut().expect("one was pushed just now")
    }
}

impl Problem {
    /// Adds what to do about it.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }

    fn row(&self) -> Row<'_> {
        Row { path: &self.path, line: self.line, what: &self.what, hint: self.hint.as_deref() }
    }

    fn line_of_text(&self) -> String {
        self.row().line_of_text()
    }
}

impl Notice {
    /// Adds what to do about it.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }

    /// The same of a text that nobody sees: its lines mean nothing.
    pub(crate) fn without_line(self) -> Self {
        Self { line: 0, column: 0, ..self }
    }

    fn row(&self) -> Row<'_> {
        Row { path: &self.path, line: self.line, what: &self.what, hint: self.hint.as_deref() }
    }
}

impl Problems {
    /// All of them, sorted by line; those without a line come last.
    pub fn new(mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| (problem.line == 0, problem.line, problem.column));
        Self { file: String::new(), list }
    }

    /// The same problems of a text that nobody sees: its lines mean nothing.
    pub(crate) fn without_lines(mut self) -> Self {
        for problem in &mut self.list {
            (problem.line, problem.column) = (0, 0);
        }
        self
    }

    /// The same problems, said to be in that file.
    pub fn in_file(self, file: impl Into<String>) -> Self {
        Self { file: file.into(), ..self }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.row().line_of_text())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.list.len() == 1 { "problem" } else { "problems" };
        write!(f, "error: {} {word} in {}", self.list.len(), shown(&self.file))?;
        table(f, &self.list.iter().map(Problem::row).collect::<Vec<_>>())
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Notices<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.list.len() == 1 { "notice" } else { "notices" };
        write!(f, "note: {} {word} on {}", self.list.len(), shown(self.file))?;
        table(f, &self.list.iter().map(Notice::row).collect::<Vec<_>>())
    }
}

impl Row<'_> {
    /// The path as it is shown; the text as a whole has none.
    fn place(&self) -> &str {
        if self.path.is_empty() { "(file)" } else { self.path }
    }

    fn line_of_text(&self) -> String {
        let line = if self.line == 0 { String::new() } else { format!(" line {}", self.line) };
        let hint = self.hint.map_or(String::new(), |hint| format!(" (hint: {hint})"));
        format!("{}{line}: {}{hint}", self.place(), self.what)
    }
}

fn shown(file: &str) -> &str {
    if file.is_empty() { "the configuration" } else { file }
}

/// Rows below a headline: path, line and text in columns, the hint on a line of its own.
fn table(f: &mut fmt::Formatter<'_>, rows: &[Row<'_>]) -> fmt::Result {
    let lines: Vec<String> = rows
        .iter()
        .map(|row| if row.line == 0 { String::new() } else { format!("line {}", row.line) })
        .collect();
    let path_width = rows.iter().map(|row| row.place().chars().count()).max().unwrap_or(0);
    let line_width = lines.iter().map(String::len).max().unwrap_or(0);
    for (row, line) in rows.iter().zip(&lines) {
        write!(f, "\n  {:path_width$}   ", row.place())?;
        if line_width > 0 {
            write!(f, "{line:line_width$}   ")?;
        }
        f.write_str(row.what)?;
        if let Some(hint) = row.hint {
            write!(f, "\n      hint: {hint}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        let mut findings = Findings::default();
        let root = Spot::default();
        let key = root.child("providers").item(1).child("keys").item(0).child("key").at(14, 12);
        findings
            .problem(&key, "environment variable `ZAI_API_KEY` is not set")
            .hint("export it before starting, or remove the provider `zai`");
        findings.problem(&root.child("routing").child("stategy").at(3, 3), "unknown key");
        findings.problem(&root.child("providers"), "no provider is enabled");
        findings
    }

    #[test]
    fn problems_are_a_table_in_the_order_of_lines() {
        let problems = Problems::new(findings().problems).in_file("config.yaml");
        let expect = "\
error: 3 problems in config.yaml
  routing.stategy            line 3    unknown key
  providers[1].keys[0].key   line 14   environment variable `ZAI_API_KEY` is not set
      hint: export it before starting, or remove the provider `zai`
  providers                            no provider is enabled";
        assert_eq!(problems.to_string(), expect);
    }

    #[test]
    fn one_problem_alone_is_one_line() {
        let problem = &findings().problems[0];
        let expect = "providers[1].keys[0].key line 14: environment variable `ZAI_API_KEY` is not set \
                      (hint: export it before starting, or remove the provider `zai`)";
        assert_eq!(problem.to_string(), expect);
    }

    #[test]
    fn a_problem_without_lines_and_file_is_said_plainly() {
        let mut findings = Findings::default();
        findings.problem(&Spot::default(), "is not a map");
        let problems = Problems::new(findings.problems);
        assert_eq!(problems.to_string(), "error: 1 problem in the configuration\n  (file)   is not a map");
    }
}
