//! The table of options as a page of the book.

use std::fmt::Write;

use crate::raw::table::{Form, Row};
use crate::reference::{caution, name_of};

const HEAD: &str = "\
# Configuration

This page is generated from the table of options.

A configuration is a YAML file (`.yaml`, `.yml`) or a TOML file (`.toml`) with the same options. `cc-relay` reads
the file that `--config` names, or else the one that `CC_RELAY_CONFIG` names, or else the first of these that
exists: `config.yaml`, `config.yml`, `config.toml` in the current folder; the same names in
`$XDG_CONFIG_HOME/cc-relay`, in `~/.config/cc-relay`, and in `/etc/cc-relay`. Without a file it listens on
127.0.0.1:8787 and asks the Anthropic API with `ANTHROPIC_API_KEY`, or with the credential of the client.

`cc-relay config validate` reports everything that is wrong with a file at once; `cc-relay config show` prints what it
means, with secrets masked, and without what follows the first word of a command.

## Variables

Variables are replaced in values, after the file was parsed: a value can hold anything and never changes the structure
of the file. Numbers and booleans may come from variables too. A variable that is not set is an error, except in a
provider that is not enabled.

| written | means |
| --- | --- |
| `${NAME}` | the environment variable `NAME` |
| `${NAME:-default}` | `default` if `NAME` is unset or empty |
| `$NAME` | the same as `${NAME}`, as in files of the old program |
| `$${` | a literal `${` |
| `$$NAME` | a literal `$NAME` |

In a `key_command` the variables are looked at in the same way, and left to the shell that runs the command, which replaces
them: it has the environment of the relay. So what is in a variable cannot change the command, and between single quotes
nothing is replaced. `$${` and `$$NAME` give the shell `${` and `$NAME`: variables of the command's own, such as
`k=$(pass show anthropic); echo $${k%:*}`.

Keys of the top level that begin with `x-` are yours: they are a place for YAML anchors.
";

pub(super) fn write(rows: &[Row]) -> String {
    let mut page = HEAD.to_owned();
    page += "\n## Sections\n\n";
    table(&mut page, rows);
    for row in rows {
        section(&mut page, row, row.name);
    }
    page
}

fn section(page: &mut String, row: &Row, path: &str) {
    let (about, dead) = match inner(&row.form) {
        Form::Section { about, dead, .. } => (about, *dead),
        _ => return,
    };
    let mark = if matches!(row.form, Form::List(_)) { "[]" } else { "" };
    let path = format!("{path}{mark}");
    let caution = caution(row.standing).filter(|_| !about.contains("no effect")).unwrap_or_default();
    page.push_str(&format!("\n## `{path}`\n\n{about} {caution}").trim_end().replace("  ", " "));
    page.push_str("\n\n");
    table(page, row.form.rows());
    if !dead.is_empty() {
        page.push_str("\nFiles of the old program may hold these, which never had an effect:\n\n");
        for (name, advice) in dead {
            writeln!(page, "- `{name}`: {advice}.").expect("a string can be written to");
        }
    }
    for row in row.form.rows() {
        section(page, row, &format!("{path}.{}", row.name));
    }
}

fn table(page: &mut String, rows: &[Row]) {
    page.push_str("| option | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for row in rows {
        let default = row.default.as_ref().map_or(String::new(), |default| format!("`{default}` "));
        let caution = caution(row.standing).filter(|_| !row.about.contains("no effect"));
        let about = caution.map_or_else(|| row.about.clone(), |caution| format!("{} {caution}", row.about));
        writeln!(page, "| `{}` | {} | {default}| {about} |", row.name, name_of(&row.form))
            .expect("a string can be written to");
    }
}

/// The form of the items of a list, and of anything else itself.
fn inner(form: &Form) -> &Form {
    match form {
        Form::List(form) => form,
        other => other,
    }
}
