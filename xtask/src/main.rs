//! The one front door of the workshop: each task of building, checking and measuring is a row
//! of [`TASKS`]. Refuses to know how any of them works.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage.

mod arguments;
mod bench;
mod clients;
mod clock;
mod failure;
mod fuzz;
mod generate;
mod guide;
mod layers;
mod lint;
mod metadata;
mod needs;
mod program;
mod say;
mod soak;
mod suites;
mod tally;
mod tidy;
mod workshop;

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::workshop::{Environment, Workshop};

/// One task.
struct Task {
    name: &'static str,
    usage: &'static str,
    summary: &'static str,
    run: fn(&Workshop, Arguments) -> Result<(), Failure>,
}

/// All tasks, in the order in which a newcomer meets them.
const TASKS: &[Task] = &[
    Task {
        name: "test",
        usage: "",
        summary: "install what the tests need, then run every test there is",
        run: suites::run_all,
    },
    Task {
        name: "lint",
        usage: "",
        summary: "format, clippy, rustdoc, tidy, layers, generated files, licences",
        run: lint::run,
    },
    Task {
        name: "tidy",
        usage: "",
        summary: "hold the rules of the house which no compiler knows",
        run: tidy::run,
    },
    Task {
        name: "layers",
        usage: "[--write]",
        summary: "hold the table of who may depend on whom",
        run: layers::run,
    },
    Task {
        name: "generate",
        usage: "[--check]",
        summary: "write the generated files, or check that they are up to date",
        run: generate::run,
    },
    Task {
        name: "bench",
        usage: "[--rounds N] [--seconds N] [--only direct,nginx,bare,relay] [--about TEXT] [--json]",
        summary: "compare the relay with nginx and with a bare proxy",
        run: bench::run,
    },
    Task {
        name: "soak",
        usage: soak::USAGE,
        summary: "hold thousands of idle streams; ask half as much again as four keys can carry",
        run: soak::run,
    },
    Task {
        name: "fuzz",
        usage: "[--cases N]",
        summary: "run the property tests of the pure crates with many more cases",
        run: fuzz::run,
    },
    Task {
        name: "advisories",
        usage: "",
        summary: "ask for known faults of what we use (needs cargo-deny and its database)",
        run: lint::run_advisories,
    },
    Task {
        name: "clients-newest",
        usage: "",
        summary: "run the suites of the real clients with their newest versions",
        run: suites::run_newest_clients,
    },
    Task {
        name: "bench-upstream",
        usage: "PORT",
        summary: "a provider with canned answers (started by bench and soak)",
        run: bench::upstream::run,
    },
    Task {
        name: "bench-bare",
        usage: "PORT UPSTREAM",
        summary: "a proxy that does nothing else (started by bench)",
        run: bench::bare::run,
    },
];

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(name) = words.next().filter(|name| !matches!(name.as_str(), "help" | "--help" | "-h")) else {
        say::line(&usage());
        return ExitCode::SUCCESS;
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        say::wrong(&format!("there is no task `{name}`\n\n{}", usage()));
        return ExitCode::from(2);
    };
    let result = Workshop::open(environment())
        .and_then(|workshop| (task.run)(&workshop, Arguments::new(words.collect())));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure @ Failure::Usage { .. }) => {
            say::failure(&failure);
            say::wrong(&format!("usage: cargo xtask {} {}", task.name, task.usage));
            ExitCode::from(2)
        }
        Err(failure) => {
            say::failure(&failure);
            ExitCode::FAILURE
        }
    }
}

fn usage() -> String {
    let rows = TASKS.iter().map(|task| {
        let call = format!("{} {}", task.name, task.usage);
        format!("  {}\n      {}\n", call.trim_end(), task.summary)
    });
    format!("cargo xtask <task>\n\n{}", rows.collect::<String>())
}

/// The environment, read once; everything below is handed what it needs.
fn environment() -> Environment {
    Environment::new(std::env::vars_os())
}
