//! Who may depend on whom, held against what cargo sees. Knows how to compare and how to print;
//! the table itself is [`table`].

mod table;

use std::fmt::Write as _;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::layers::table::{Crate, LAYERS, Outside};
use crate::metadata::{Kind, Metadata, Package};
use crate::say;
use crate::workshop::{Workshop, write};

/// The document which shows the table.
pub(crate) const DOCUMENT: &str = "ARCHITECTURE.md";
const BEGIN: &str = "<!-- layers -->";
const END: &str = "<!-- /layers -->";

/// `cargo xtask layers`.
pub(crate) fn run(workshop: &Workshop, mut arguments: Arguments) -> Result<(), Failure> {
    let write_too = arguments.flag("--write");
    arguments.end()?;
    if write_too {
        write(&workshop.root.join(DOCUMENT), &document(workshop)?)?;
    }
    check(workshop)
}

/// Fails if a manifest breaks the table, or the document shows another one.
pub(crate) fn check(workshop: &Workshop) -> Result<(), Failure> {
    let mut findings = broken(LAYERS, &workshop.metadata);
    let shown = workshop.read(DOCUMENT)?;
    if shown != replace_section(&shown, &print(LAYERS))? {
        findings.push(format!("{DOCUMENT}: shows another table; run `cargo xtask layers --write`"));
    }
    for finding in &findings {
        say::wrong(finding);
    }
    if findings.is_empty() { Ok(()) } else { Err(Failure::findings("layers", findings.len())) }
}

/// The whole document, with the table as it is now.
pub(crate) fn document(workshop: &Workshop) -> Result<String, Failure> {
    replace_section(&workshop.read(DOCUMENT)?, &print(LAYERS))
}

/// Every way in which the manifests break the table.
fn broken(layers: &[Crate], metadata: &Metadata) -> Vec<String> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        match layers.iter().find(|one| one.package() == package.name) {
            Some(row) => findings.extend(broken_by(row, layers, package)),
            None => findings.push(format!("{}: is not in the table of layers", package.name)),
        }
    }
    let exists = |row: &Crate| metadata.packages.iter().any(|package| package.name == row.package());
    let gone = layers.iter().filter(|row| !exists(row));
    findings.extend(
        gone.map(|row| format!("{}: is in the table of layers, but not in the workspace", row.package())),
    );
    findings
}

fn broken_by(row: &Crate, layers: &[Crate], package: &Package) -> Vec<String> {
    let mut findings = Vec::new();
    let mut find = |words: String| findings.push(format!("{}: {words}", package.name));
    for dependency in &package.dependencies {
        let ours = layers.iter().find(|one| one.package() == dependency.name);
        let name = &dependency.name;
        match (ours, dependency.kind) {
            (_, Kind::Build) => {
                find(format!("has a build dependency (`{name}`), and no crate has a build script"));
            }
            (Some(used), Kind::Normal) if !row.uses.contains(&used.name) => {
                find(format!("must not use `{name}`"));
            }
            (Some(used), Kind::Dev)
                if !row.uses.contains(&used.name) && !row.tests_use.contains(&used.name) =>
            {
                find(format!("must not use `{name}` even in its tests"));
            }
            (None, Kind::Normal) if !row.outside.allows(name) => {
                find(format!("must not use the outside crate `{name}` ({})", row.outside));
            }
            _ => {}
        }
    }
    findings
}

/// The table in Markdown.
fn print(layers: &[Crate]) -> String {
    let mut text = String::from(
        "| crate | may use (ours) | its tests also | from outside | so that |\n| --- | --- | --- | --- | --- |\n",
    );
    for Crate { name, uses, tests_use, outside, so_that } in layers {
        let (uses, tests_use) = (list(uses), list(tests_use));
        writeln!(text, "| `{name}` | {uses} | {tests_use} | {outside} | {so_that} |")
            .expect("writing to a String cannot fail");
    }
    text
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "—".to_owned() } else { names.join(", ") }
}

/// Puts the table between the two markers of the document.
fn replace_section(document: &str, section: &str) -> Result<String, Failure> {
    let missing = |marker: &str| Failure::Malformed {
        path: DOCUMENT.to_owned(),
        problem: format!("the line `{marker}` is missing, where the table of layers belongs"),
    };
    let (before, rest) = document.split_once(BEGIN).ok_or_else(|| missing(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| missing(END))?;
    Ok(format!("{before}{BEGIN}\n{section}{END}{after}"))
}

impl std::fmt::Display for Outside {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Only([]) => formatter.write_str("nothing"),
            Self::Only(names) => write!(formatter, "only {}", names.join(", ")),
            Self::Never([]) => formatter.write_str("anything"),
            Self::Never(names) => write!(formatter, "never {}", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    const SAMPLE: &[Crate] = &[
        Crate { name: "core", uses: &[], tests_use: &[], outside: Outside::Only(&[]), so_that: "replayed" },
        Crate {
            name: "wire",
            uses: &["core"],
            tests_use: &[],
            outside: Outside::Only(&["bytes"]),
            so_that: "fuzzed",
        },
        Crate {
            name: "proxy",
            uses: &["core", "wire"],
            tests_use: &["testkit"],
            outside: Outside::Never(&["clap"]),
            so_that: "apart",
        },
        Crate {
            name: "testkit",
            uses: &["proxy"],
            tests_use: &[],
            outside: Outside::Never(&[]),
            so_that: "proven",
        },
    ];

    fn package(name: &str, dependencies: &[(&str, Kind)]) -> Package {
        let dependencies =
            dependencies.iter().map(|&(name, kind)| Dependency { name: name.to_owned(), kind }).collect();
        Package { name: name.to_owned(), dependencies }
    }

    /// The findings when one package of an otherwise right workspace has these dependencies.
    fn findings(name: &str, dependencies: &[(&str, Kind)]) -> Vec<String> {
        let names = ["relay-core", "relay-wire", "relay-proxy", "relay-testkit"];
        let packages =
            names.map(|one| package(one, if one == name { dependencies } else { &[] })).into_iter().collect();
        broken(SAMPLE, &Metadata { root: "/".into(), target: "/target".into(), packages })
    }

    #[test]
    fn what_the_table_allows_is_silent() {
        assert!(findings("relay-core", &[("proptest", Kind::Dev)]).is_empty());
        assert!(findings("relay-wire", &[("relay-core", Kind::Normal), ("bytes", Kind::Normal)]).is_empty());
        assert!(findings("relay-proxy", &[("relay-testkit", Kind::Dev), ("hyper", Kind::Normal)]).is_empty());
    }

    #[test]
    fn what_the_table_forbids_is_named() {
        let cases: &[(&str, &str, Kind, &str)] = &[
            ("relay-core", "relay-wire", Kind::Normal, "relay-core: must not use `relay-wire`"),
            (
                "relay-core",
                "tokio",
                Kind::Normal,
                "relay-core: must not use the outside crate `tokio` (nothing)",
            ),
            (
                "relay-wire",
                "serde",
                Kind::Normal,
                "relay-wire: must not use the outside crate `serde` (only bytes)",
            ),
            (
                "relay-wire",
                "relay-testkit",
                Kind::Dev,
                "relay-wire: must not use `relay-testkit` even in its tests",
            ),
            ("relay-proxy", "relay-testkit", Kind::Normal, "relay-proxy: must not use `relay-testkit`"),
            (
                "relay-proxy",
                "clap",
                Kind::Normal,
                "relay-proxy: must not use the outside crate `clap` (never clap)",
            ),
            (
                "relay-testkit",
                "cc",
                Kind::Build,
                "relay-testkit: has a build dependency (`cc`), and no crate has a build script",
            ),
        ];
        for &(name, dependency, kind, expected) in cases {
            assert_eq!(findings(name, &[(dependency, kind)]), [expected]);
        }
    }

    #[test]
    fn a_crate_outside_the_table_and_a_row_without_a_crate_are_named() {
        let packages =
            vec![package("relay-core", &[]), package("relay-common", &[]), package("relay-wire", &[])];
        let metadata = Metadata { root: "/".into(), target: "/target".into(), packages };
        assert_eq!(
            broken(SAMPLE, &metadata),
            [
                "relay-common: is not in the table of layers",
                "relay-proxy: is in the table of layers, but not in the workspace",
                "relay-testkit: is in the table of layers, but not in the workspace",
            ]
        );
    }

    #[test]
    fn the_section_is_replaced_and_nothing_else() {
        let before = "# Map\n<!-- layers -->\nold\n<!-- /layers -->\nrest\n";
        let after = "# Map\n<!-- layers -->\nnew\n<!-- /layers -->\nrest\n";
        assert_eq!(replace_section(before, "new\n").unwrap(), after);
        assert_eq!(replace_section(after, "new\n").unwrap(), after);
        let error = replace_section("# Map\n<!-- layers -->\n", "new\n").unwrap_err();
        assert!(error.to_string().contains("`<!-- /layers -->` is missing"), "{error}");
    }

    #[test]
    fn the_table_is_printed_row_by_row() {
        let printed = print(&SAMPLE[1..3]);
        assert_eq!(
            printed.lines().skip(2).collect::<Vec<_>>(),
            [
                "| `wire` | core | — | only bytes | fuzzed |",
                "| `proxy` | core, wire | testkit | never clap | apart |",
            ]
        );
    }

    #[test]
    fn a_crate_may_use_only_crates_above_it_in_the_table() {
        for (place, row) in LAYERS.iter().enumerate() {
            for name in row.uses {
                assert!(
                    LAYERS[..place].iter().any(|above| above.name == *name),
                    "`{}` uses `{name}`, which does not stand above it",
                    row.name
                );
            }
        }
    }
}
