//! `cargo xtask soak`: what the relay holds for long, and at its limits. Each soak is a row of
//! [`SOAKS`]; refuses to know how any of them works.

mod pool;
mod streams;

use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::workshop::Workshop;

/// One soak.
struct Soak {
    name: &'static str,
    run: fn(&Workshop, Arguments) -> Result<(), Failure>,
}

const SOAKS: &[Soak] = &[Soak { name: "streams", run: streams::run }, Soak { name: "pool", run: pool::run }];

/// How each is called.
pub(crate) const USAGE: &str = "streams [--streams N] [--idle SECONDS] [--profile dev|release]
       pool [--short] [--seconds N] [--overload TIMES] [--seed N] [--profile dev|release]";

/// Descriptors for everything but the calls' own connections.
const SPARE_DESCRIPTORS: u64 = 512;

/// `cargo xtask soak`.
pub(crate) fn run(workshop: &Workshop, mut arguments: Arguments) -> Result<(), Failure> {
    let what: String = arguments.word("WHAT")?;
    let Some(soak) = SOAKS.iter().find(|soak| soak.name == what) else {
        return Err(Failure::Usage { problem: format!("cannot soak `{what}`") });
    };
    (soak.run)(workshop, arguments)
}

/// Builds the relay, and says where the program is.
fn build(workshop: &Workshop, profile: &str) -> Result<PathBuf, Failure> {
    let folder = match profile {
        "dev" => "debug",
        "release" => "release",
        other => return Err(Failure::Usage { problem: format!("there is no profile `{other}`") }),
    };
    workshop.cargo().args(["build", "--package", "cc-relay", "--profile", profile]).run()?;
    Ok(workshop.target.join(folder).join("cc-relay"))
}

/// Each call is a connection of ours, and one of the relay, which inherits our limit.
fn raise_descriptors(n_calls: usize) -> Result<(), Failure> {
    let needed = u64::try_from(n_calls).unwrap_or(u64::MAX).saturating_add(SPARE_DESCRIPTORS);
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        let problem =
            format!("{needed} descriptors are needed, and `ulimit -Hn` permits {:?}", limit.maximum);
        return Err(Failure::Measurement { doing: "preparing".to_owned(), problem });
    }
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit { current: Some(needed), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).map_err(|error| Failure::Connection {
            doing: "raising the limit of descriptors".to_owned(),
            source: error.into(),
        })?;
    }
    Ok(())
}
