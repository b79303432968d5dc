//! The tests: which runs there are, and in which order. Knows the runners and what the suites
//! are told; refuses to know what is tested.
//!
//! Nothing is skipped. A need that cannot be met is an error, and so is a test that was ignored.

use std::time::Duration;

use crate::arguments::Arguments;
use crate::clients::Clients;
use crate::clock;
use crate::failure::Failure;
use crate::needs;
use crate::program::Program;
use crate::say;
use crate::tally::Tally;
use crate::workshop::Workshop;

/// The package and the integration test which hold the suites of the real clients.
const CLIENT_SUITES: (&str, &str) = ("cc-relay", "clients");

/// Their suites are built only when asked for, so that a bare `cargo test` needs no client.
pub(crate) const WITH_CLIENTS: &str = "--features=cc-relay/clients";

/// No test may reach a real account, whatever the developer's shell has in its environment.
const OWNED_BY_THE_USER: &[&str] = &["ANTHROPIC_", "CLAUDE", "CC_RELAY"];

/// One run of a test runner.
struct Run {
    name: &'static str,
    program: Program,
}

/// What came of a run.
struct Outcome {
    name: &'static str,
    took: Duration,
    tally: Tally,
    result: Result<(), Failure>,
}

/// `cargo xtask test`.
pub(crate) fn run_all(workshop: &Workshop, arguments: Arguments) -> Result<(), Failure> {
    arguments.end()?;
    let begun = clock::now();
    needs::ensure(workshop)?;
    say::step("the real clients");
    let clients = Clients::pinned(workshop)?;
    say::note(&format!("ready after {:.0?}", begun.elapsed()));
    let runs = if workshop.find_program("cargo-nextest").is_some() {
        let tests = workshop.cargo().args([
            "nextest",
            "run",
            "--workspace",
            WITH_CLIENTS,
            "--no-fail-fast",
            "--no-tests",
            "pass",
        ]);
        let documents = workshop.cargo().args(["test", "--workspace", "--doc", "--no-fail-fast"]);
        vec![
            Run { name: "tests, with the real clients", program: tests },
            Run { name: "examples in the documents", program: documents },
        ]
    } else {
        let tests = workshop.cargo().args(["test", "--workspace", WITH_CLIENTS, "--no-fail-fast"]);
        vec![Run { name: "tests, with the real clients, and examples in the documents", program: tests }]
    };
    judge(run_each(workshop, &clients, runs))
}

/// `cargo xtask clients-newest`.
pub(crate) fn run_newest_clients(workshop: &Workshop, arguments: Arguments) -> Result<(), Failure> {
    arguments.end()?;
    needs::ensure(workshop)?;
    say::step("the newest clients");
    let clients = Clients::newest(workshop)?;
    let (package, suites) = CLIENT_SUITES;
    let program = workshop.cargo().args([
        "test",
        "--package",
        package,
        WITH_CLIENTS,
        "--test",
        suites,
        "--no-fail-fast",
    ]);
    judge(run_each(workshop, &clients, vec![Run { name: "suites of the newest clients", program }]))
}

fn run_each(workshop: &Workshop, clients: &Clients, runs: Vec<Run>) -> Vec<Outcome> {
    let run_one = |run: Run| {
        say::step(run.name);
        let told = clients
            .environment()
            .into_iter()
            .fold(run.program, |program, (name, path)| program.env(name, path));
        let scrubbed = workshop.variables_beginning_with(OWNED_BY_THE_USER).fold(told, Program::without_env);
        let (begun, mut tally) = (clock::now(), Tally::default());
        let result = scrubbed.run_read_along(&mut |line| tally.read(line));
        Outcome { name: run.name, took: begun.elapsed(), tally, result }
    };
    runs.into_iter().map(run_one).collect()
}

/// Prints the closing summary, and fails if anything did.
fn judge(outcomes: Vec<Outcome>) -> Result<(), Failure> {
    say::step("summary");
    let mut sum = Tally::default();
    for Outcome { name, took, tally, result } in &outcomes {
        let word = if result.is_ok() && tally.ignored == 0 { "ok" } else { "FAILED" };
        let Tally { passed, failed, ignored } = *tally;
        say::line(&format!(
            "{word:6}  {passed:5} passed  {failed:3} failed  {ignored:3} ignored  {took:6.0?}  {name}"
        ));
        sum.passed += passed;
        sum.failed += failed;
        sum.ignored += ignored;
    }
    if sum.failed + sum.ignored > 0 {
        return Err(Failure::Tests { failed: sum.failed, ignored: sum.ignored });
    }
    outcomes.into_iter().try_for_each(|outcome| outcome.result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(tally: Tally) -> Outcome {
        Outcome { name: "tests", took: Duration::from_secs(1), tally, result: Ok(()) }
    }

    #[test]
    fn an_ignored_test_is_a_failure() {
        let ignored = outcome(Tally { passed: 5, failed: 0, ignored: 1 });
        assert_eq!(judge(vec![ignored]).unwrap_err().to_string(), "0 failed and 1 ignored tests");
    }

    #[test]
    fn a_runner_that_breaks_off_is_a_failure_even_without_a_failed_test() {
        let broken = Outcome {
            result: Err(Failure::Output { line: "cargo test".to_owned(), problem: "cut".to_owned() }),
            ..outcome(Tally::default())
        };
        let passed = outcome(Tally { passed: 5, failed: 0, ignored: 0 });
        assert!(judge(vec![passed, broken]).is_err());
    }

    #[test]
    fn all_passed_is_a_success() {
        assert!(judge(vec![outcome(Tally { passed: 5, failed: 0, ignored: 0 })]).is_ok());
    }
}
