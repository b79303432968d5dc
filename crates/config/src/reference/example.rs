//! The table of options as a YAML file with comments.

use crate::raw::table::{Form, Row, Standing};
use crate::reference::caution;

/// What is written although it has no default, or another value than its default.
const ACTIVE: [&str; 6] = [
    "providers",
    "providers[].name",
    "providers[].type",
    "providers[].enabled",
    "providers[].keys",
    "providers[].keys[].key",
];

/// Lines are no longer than this, in characters.
const WIDTH: usize = 110;

const HEAD: &str = "\
# Every option of cc-relay, with its meaning and its default. Options that have no default, or no
# effect, are commented out. This file is generated; `cc-relay config init` writes a shorter one.
#
# ${NAME} is the environment variable NAME. ${NAME:-default} is `default` if NAME is unset or empty.
# $${ is a literal ${.
";

/// Where the next lines go: after this prefix, indented so much.
#[derive(Clone)]
struct Margin {
    prefix: String,
    indent: usize,
}

pub(super) fn write(rows: &[Row]) -> String {
    let mut lines = Vec::new();
    for row in rows {
        lines.push(String::new());
        option(row, "", &Margin { prefix: String::new(), indent: 0 }, &mut lines);
    }
    HEAD.to_owned() + &lines.join("\n") + "\n"
}

fn option(row: &Row, above: &str, margin: &Margin, lines: &mut Vec<String>) {
    let path = if above.is_empty() { row.name.to_owned() } else { format!("{above}.{}", row.name) };
    let active = is_active(row, &path);
    let about = match caution(row.standing) {
        Some(caution) => format!("{} {caution}", row.about),
        None => row.about.clone(),
    };
    for line in wrapped(&about, WIDTH - margin.width() - 2) {
        lines.push(margin.line(&format!("# {line}")));
    }
    let margin = if active || !margin.prefix.is_empty() { margin.clone() } else { margin.commented() };
    if row.form.rows().is_empty() {
        let sample = row.sample.filter(|_| row.default.is_none() || ACTIVE.contains(&path.as_str()));
        let value = sample.or(row.default.as_deref()).unwrap_or_default();
        lines.push(margin.line(&format!("{}: {value}", row.name)));
        return;
    }
    lines.push(margin.line(&format!("{}:", row.name)));
    if matches!(row.form, Form::List(_)) {
        let inner = margin.deeper(4);
        let first = lines.len();
        for row in row.form.rows() {
            option(row, &format!("{path}[]"), &inner, lines);
        }
        let dash = inner.width() - 2;
        lines[first].replace_range(dash..=dash, "-");
    } else {
        for row in row.form.rows() {
            option(row, &path, &margin.deeper(2), lines);
        }
    }
}

/// Is it written, and not only shown in a comment?
fn is_active(row: &Row, path: &str) -> bool {
    if row.standing != Standing::Current {
        return false;
    }
    let within = || row.form.rows().iter().any(|row| is_active(row, &format!("{path}.{}", row.name)));
    let section = matches!(row.form, Form::Section { .. }) && within();
    ACTIVE.contains(&path) || row.default.is_some() || section
}

/// A text in lines of that width.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

impl Margin {
    fn width(&self) -> usize {
        self.prefix.len() + self.indent
    }

    fn line(&self, text: &str) -> String {
        format!("{}{}{text}", self.prefix, " ".repeat(self.indent))
    }

    fn deeper(&self, by: usize) -> Self {
        Self { indent: self.indent + by, ..self.clone() }
    }

    /// The same column, behind a comment mark.
    fn commented(&self) -> Self {
        Self { prefix: " ".repeat(self.indent) + "# ", indent: 0 }
    }
}
