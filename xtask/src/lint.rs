//! All checks that run no test, in one list. Knows which and in which order; refuses to know
//! what they hold.

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::say;
use crate::suites::WITH_CLIENTS;
use crate::workshop::Workshop;
use crate::{generate, layers, tidy};

/// The program which reads `deny.toml`.
const CARGO_DENY: &str = "cargo-deny";

/// One check.
struct Check {
    name: &'static str,
    /// A program that is used where it is installed, and whose absence is said aloud.
    wants: Option<&'static str>,
    run: fn(&Workshop) -> Result<(), Failure>,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Held,
    Failed,
    NotChecked,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Held => "ok",
            Self::Failed => "FAILED",
            Self::NotChecked => "not checked",
        }
    }
}

/// The quickest first.
const CHECKS: &[Check] = &[
    Check {
        name: "format",
        wants: None,
        run: |workshop| workshop.cargo().args(["fmt", "--all", "--check"]).run(),
    },
    Check { name: "tidy", wants: None, run: tidy::check },
    Check { name: "layers", wants: None, run: layers::check },
    Check { name: "generated files", wants: None, run: generate::check },
    Check { name: "clippy", wants: None, run: clippy },
    Check { name: "rustdoc", wants: None, run: rustdoc },
    Check { name: "dependencies", wants: Some(CARGO_DENY), run: dependencies },
];

/// `cargo xtask lint`: runs every check, so that one run shows everything that is wrong.
pub(crate) fn run(workshop: &Workshop, arguments: Arguments) -> Result<(), Failure> {
    arguments.end()?;
    let outcomes: Vec<_> = CHECKS.iter().map(|check| (check.name, run_one(workshop, check))).collect();
    say::step("summary");
    for (name, outcome) in &outcomes {
        say::line(&format!("{:11}  {name}", outcome.word()));
    }
    let n_failed = outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Failed).count();
    if n_failed == 0 { Ok(()) } else { Err(Failure::findings("lint", n_failed)) }
}

fn run_one(workshop: &Workshop, check: &Check) -> Outcome {
    say::step(check.name);
    if let Some(program) = check.wants.filter(|program| workshop.find_program(program).is_none()) {
        say::note(&format!("not checked: {program} is not installed (`cargo install --locked {program}`)"));
        return Outcome::NotChecked;
    }
    match (check.run)(workshop) {
        Ok(()) => Outcome::Held,
        Err(failure) => {
            say::failure(&failure);
            Outcome::Failed
        }
    }
}

fn clippy(workshop: &Workshop) -> Result<(), Failure> {
    workshop
        .cargo()
        .args(["clippy", "--workspace", WITH_CLIENTS, "--all-targets", "--", "--deny", "warnings"])
        .run()
}

fn rustdoc(workshop: &Workshop) -> Result<(), Failure> {
    let document = workshop.cargo().args(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    document.env("RUSTDOCFLAGS", "--deny warnings").run()
}

/// `cargo xtask advisories`: known faults of what we use. Apart from the other checks, because
/// their database comes from a host that is no package registry, and cannot be reached from
/// everywhere.
pub(crate) fn run_advisories(workshop: &Workshop, arguments: Arguments) -> Result<(), Failure> {
    arguments.end()?;
    if workshop.find_program(CARGO_DENY).is_none() {
        return Err(Failure::Missing {
            what: vec![CARGO_DENY],
            hint: format!("cargo install --locked {CARGO_DENY}"),
        });
    }
    workshop.cargo().args(["deny", "check", "advisories"]).run()
}

/// Licences, sources and bans, by `deny.toml`. Building cargo-deny takes four to five minutes on
/// two cores, which is longer than all other checks together: hence only where it is installed.
fn dependencies(workshop: &Workshop) -> Result<(), Failure> {
    let check = workshop.cargo().args(["deny", "check", "--hide-inclusion-graph"]);
    check.args(["bans", "licenses", "sources"]).run()
}
