//! Named exceptions from the rules. Knows the form of their list; refuses an exception without
//! a reason, and one which forgives nothing.
//!
//! A line is `<rule> <path> [<name>]: <reason>`; empty lines and lines with `#` are passed over.

use crate::failure::Failure;
use crate::tidy::{Finding, Rule};

/// The exceptions of the checkout.
#[derive(Debug)]
pub(super) struct Exceptions(Vec<Exception>);

#[derive(Debug)]
struct Exception {
    rule: Rule,
    path: String,
    subject: String,
}

impl Exceptions {
    /// `path` is where the list stands, for the error.
    pub(super) fn parse(text: &str, path: &str) -> Result<Self, Failure> {
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        let written = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let exceptions = written.map(|(number, line)| {
            parse_line(line).map_err(|problem| Failure::Malformed {
                path: path.to_owned(),
                problem: format!("line {number}: {problem}"),
            })
        });
        exceptions.collect::<Result<_, _>>().map(Self)
    }

    /// The findings that nobody excused, and the exceptions that excused nothing.
    pub(super) fn forgive(&self, findings: Vec<Finding>) -> (Vec<Finding>, Vec<String>) {
        let mut used = vec![false; self.0.len()];
        let mut left = Vec::new();
        for finding in findings {
            match self.0.iter().position(|exception| exception.covers(&finding)) {
                Some(place) => used[place] = true,
                None => left.push(finding),
            }
        }
        let unused = self.0.iter().zip(used).filter(|(_, used)| !used);
        (left, unused.map(|(exception, _)| exception.line()).collect())
    }
}

impl Exception {
    fn covers(&self, finding: &Finding) -> bool {
        self.rule == finding.rule && self.path == finding.path && self.subject == finding.subject
    }

    fn line(&self) -> String {
        format!("{} {} {}", self.rule.name(), self.path, self.subject).trim_end().to_owned()
    }
}

fn parse_line(line: &str) -> Result<Exception, String> {
    let (place, reason) = line.split_once(": ").ok_or("there is no reason behind `: `")?;
    if reason.trim().is_empty() {
        return Err("the reason is empty".to_owned());
    }
    let mut words = place.split_whitespace();
    let name = words.next().unwrap_or_default();
    let rule = Rule::ALL
        .iter()
        .find(|rule| rule.name() == name)
        .ok_or_else(|| format!("there is no rule `{name}`"))?;
    let path = words.next().ok_or("a path is missing")?.to_owned();
    let subject = words.next().unwrap_or_default().to_owned();
    match words.next() {
        None => Ok(Exception { rule: *rule, path, subject }),
        Some(word) => Err(format!("`{word}` is one word too many")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: Rule, path: &str, subject: &str) -> Finding {
        Finding { rule, path: path.to_owned(), line: 1, subject: subject.to_owned(), problem: String::new() }
    }

    #[test]
    fn an_exception_forgives_one_name_in_one_file() {
        let text = "# why\n\nfunction-length a.rs judge: one match, the table\n";
        let exceptions = Exceptions::parse(text, "list").unwrap();
        let (left, unused) = exceptions.forgive(vec![
            finding(Rule::FunctionLength, "a.rs", "judge"),
            finding(Rule::FunctionLength, "a.rs", "other"),
            finding(Rule::Name, "a.rs", "judge"),
        ]);
        assert_eq!(left.len(), 2);
        assert!(unused.is_empty());
    }

    #[test]
    fn an_exception_that_forgives_nothing_is_told() {
        let exceptions =
            Exceptions::parse("opening a.rs: generated\nname b.rs Data: spec\n", "list").unwrap();
        let (left, unused) = exceptions.forgive(Vec::new());
        assert!(left.is_empty());
        assert_eq!(unused, ["opening a.rs", "name b.rs Data"]);
    }

    #[test]
    fn a_line_without_a_reason_or_with_an_unknown_rule_is_refused() {
        let cases = [
            ("opening a.rs", "`list` is malformed: line 1: there is no reason behind `: `"),
            ("opening a.rs:  ", "`list` is malformed: line 1: there is no reason behind `: `"),
            ("beauty a.rs: ugly", "`list` is malformed: line 1: there is no rule `beauty`"),
            ("opening: why", "`list` is malformed: line 1: a path is missing"),
            ("name a.rs b c: why", "`list` is malformed: line 1: `c` is one word too many"),
        ];
        for (text, expected) in cases {
            assert_eq!(Exceptions::parse(text, "list").unwrap_err().to_string(), expected);
        }
    }
}
