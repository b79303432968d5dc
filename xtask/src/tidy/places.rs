//! Places that exist on one machine only. Knows the folders in which people keep their work,
//! and the lock files in which package managers note where they fetched from; refuses to know
//! any machine by name.

use std::collections::BTreeMap;

use crate::tidy::{Finding, Rule};

/// First folders of absolute paths that are somebody's own.
const PERSONAL: &[&str] = &["home", "Users", "root", "work"];

/// A home that is nobody's, for examples.
const NOBODY: (&str, &str) = ("home", "/user");

/// The lock files of the clients, and what begins an address in them. A lock without addresses
/// works with every registry.
const LOCK: &str = "package-lock.json";
const ADDRESS: &str = "\"resolved\":";

pub(super) fn inspect(texts: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in texts {
        let is_lock = path.ends_with(LOCK);
        for (number, line) in text.lines().enumerate() {
            let mut find = |subject: &str, problem: String| {
                let (path, subject) = (path.clone(), subject.to_owned());
                findings.push(Finding { rule: Rule::Place, path, line: number + 1, subject, problem });
            };
            if is_lock && line.contains(ADDRESS) {
                find("", "names where a package was fetched from".to_owned());
            }
            for folder in PERSONAL.iter().filter(|folder| has_path(line, folder)) {
                find(folder, format!("names a path below `{folder}`, which exists on one machine only"));
            }
        }
    }
    findings
}

/// Whether an absolute path begins with this folder. In `a/home/b`, `/homes` and `x.com/home`
/// it is another folder, or none of the root.
fn has_path(line: &str, folder: &str) -> bool {
    let is_part =
        |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | '~' | '}' | '/' | '*');
    line.match_indices(folder).any(|(start, _)| {
        let Some(before) = line[..start].strip_suffix('/') else { return false };
        let behind = &line[start + folder.len()..];
        if let Some(rest) = behind.strip_prefix(NOBODY.1)
            && folder == NOBODY.0
            && !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-')
        {
            return false;
        }
        let ends = behind.is_empty()
            || !behind.starts_with(|letter| is_part(letter) && letter != '/' && letter != '.');
        ends && !before.ends_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Put together here, so that this very file names no such path.
    fn path(folder: &str, rest: &str) -> String {
        format!("/{folder}{rest}")
    }

    #[test]
    fn paths_of_somebodys_machine_are_found() {
        for (folder, rest) in [
            ("home", "/ann/x"),
            ("work", ""),
            ("Users", "/bob"),
            ("root", "/.cargo"),
            ("home", "/users"),
            ("work", "."),
        ] {
            let line = format!("see `{}` there", path(folder, rest));
            assert!(PERSONAL.iter().any(|one| has_path(&line, one)), "{line}");
        }
    }

    #[test]
    fn other_paths_are_left_in_peace() {
        for line in [
            path("workspace", ""),
            path("homes", "/x"),
            path("home", "/user/project"),
            path("home", "/user"),
            format!("docs{}", path("work", "/a.md")),
            format!("https://example.com{}", path("home", "")),
            format!("${{HOME}}{}", path("work", "")),
            format!("~{}", path("work", "")),
            "homework, at work".to_owned(),
        ] {
            assert!(!PERSONAL.iter().any(|one| has_path(&line, one)), "{line}");
        }
    }

    #[test]
    fn a_lock_file_names_no_address() {
        let text = "{\n  \"resolved\": \"https://example.com/a.tgz\"\n}\n".to_owned();
        let findings = inspect(&[("tests/node/package-lock.json".to_owned(), text.clone())].into());
        assert_eq!(
            findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["tests/node/package-lock.json:2: names where a package was fetched from [place]"]
        );
        assert!(inspect(&[("other.json".to_owned(), text)].into()).is_empty());
    }
}
