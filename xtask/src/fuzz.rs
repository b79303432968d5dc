//! The property tests of the crates that read what strangers send, with many more cases than
//! in an ordinary run. Knows how many; refuses to know the properties.

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::workshop::Workshop;

/// The crates whose input comes from a network or from a file.
const CRATES: &[&str] = &["relay-core", "relay-wire", "relay-providers", "relay-config"];

/// proptest's own default is 256 cases; this many take minutes, not hours.
const DEFAULT_CASES: u32 = 50_000;

/// `cargo xtask fuzz`.
pub(crate) fn run(workshop: &Workshop, mut arguments: Arguments) -> Result<(), Failure> {
    let n_cases = arguments.option("--cases", DEFAULT_CASES)?;
    arguments.end()?;
    let tests = workshop.cargo().args(["test", "--release", "--no-fail-fast"]);
    let tests = CRATES.iter().fold(tests, |tests, name| tests.args(["--package", name]));
    tests.env("PROPTEST_CASES", n_cases.to_string()).run()
}
