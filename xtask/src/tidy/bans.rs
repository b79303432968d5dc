//! The bans of `clippy.toml`. A crate's own file replaces the root's, it is not merged
//! (observed with clippy 1.95), so it must repeat every line of it. Refuses to know which bans
//! there are.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::tidy::{Finding, Rule};

const ROOT: &str = "clippy.toml";

pub(super) fn inspect(texts: &BTreeMap<String, String>) -> Vec<Finding> {
    let Some(root) = texts.get(ROOT) else { return Vec::new() };
    let root = match read(root) {
        Ok(settings) => settings,
        Err(problem) => return vec![finding(ROOT, problem)],
    };
    let own = texts.iter().filter(|(path, _)| path.ends_with(&format!("/{ROOT}")));
    own.flat_map(|(path, text)| match read(text) {
        Ok(settings) => {
            let missing = root.difference(&settings);
            missing.map(|one| finding(path, format!("does not repeat {one} of the root's"))).collect()
        }
        Err(problem) => vec![finding(path, problem)],
    })
    .collect()
}

fn finding(path: &str, problem: String) -> Finding {
    Finding { rule: Rule::Ban, path: path.to_owned(), line: 0, subject: String::new(), problem }
}

/// Each setting in words. Of a ban only the path counts: the reason may be the crate's own.
fn read(text: &str) -> Result<BTreeSet<String>, String> {
    let table = DeTable::parse(text).map_err(|error| error.message().to_owned())?;
    let written = |value: &Spanned<DeValue<'_>>| text[value.span()].to_owned();
    let mut settings = BTreeSet::new();
    for (name, value) in table.get_ref() {
        let name = name.get_ref();
        if let DeValue::Array(bans) = value.get_ref() {
            let paths = bans.iter().map(|ban| path_of(ban).unwrap_or_else(|| written(ban)));
            settings.extend(paths.map(|path| format!("the ban `{path}` of `{name}`")));
        } else {
            settings.insert(format!("`{name} = {}`", written(value)));
        }
    }
    Ok(settings)
}

/// A ban is written as a path, or as a table which has one.
fn path_of(ban: &Spanned<DeValue<'_>>) -> Option<String> {
    let path = match ban.get_ref() {
        DeValue::Table(table) => table.get("path")?.get_ref(),
        path => path,
    };
    path.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(root: &str, own: &str) -> Vec<String> {
        let texts = [("clippy.toml", root), ("crates/core/clippy.toml", own)];
        let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        inspect(&texts).iter().map(ToString::to_string).collect()
    }

    const ROOT_TEXT: &str = "allow-unwrap-in-tests = true\ndisallowed-methods = [\n  { path = \"a::b\", reason = \"c\" },\n  \"d::e\",\n]\n";

    #[test]
    fn a_file_that_repeats_everything_and_adds_more_passes() {
        let own = "allow-unwrap-in-tests = true\ndisallowed-methods = [\n  \"a::b\", { path = \"d::e\", reason = \"own\" }, \"f::g\",\n]\n";
        assert!(problems(ROOT_TEXT, own).is_empty());
    }

    #[test]
    fn what_is_not_repeated_is_named() {
        let own = "allow-unwrap-in-tests = false\ndisallowed-methods = [\"a::b\"]\n";
        assert_eq!(
            problems(ROOT_TEXT, own),
            [
                "crates/core/clippy.toml: does not repeat `allow-unwrap-in-tests = true` of the root's [ban]",
                "crates/core/clippy.toml: does not repeat the ban `d::e` of `disallowed-methods` of the root's [ban]",
            ]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_finding() {
        assert_eq!(problems(ROOT_TEXT, "disallowed-methods = [").len(), 1);
    }
}
