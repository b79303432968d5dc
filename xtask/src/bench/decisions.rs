//! `cargo xtask bench decisions`: what it costs to decide which key serves a call, how long the lock is held for that,
//! and how threads get in each other's way. Knows what is compared and in which order; refuses to know how a call lives
//! and how it is timed.
//!
//! The state is the production one, and so is all that is done under its lock: that file of the proxy is compiled into
//! this program as it is. Only time is not the real one, or no limit of an ordinary size would admit so many calls.
//!
//! A clock that takes as long to read as a decision takes cannot time one. So medians are of batches, each read twice
//! for all of its calls; 99th percentiles and maxima are of single calls, less what an empty interval takes.

mod contention;
mod findings;
mod life;
#[path = "../../../crates/proxy/src/live/locked.rs"]
#[expect(dead_code, reason = "nobody waits here, so nobody gives up waiting")]
mod locked;
mod pool;
mod stopwatch;

use std::sync::Mutex;

use crate::arguments::Arguments;
use crate::bench::measure;
use crate::failure::Failure;
use crate::program::Program;
use crate::say;
use crate::workshop::Workshop;

use self::contention::Crowd;
use self::findings::Findings;
use self::life::{Desk, Kind, Traffic};
use self::pool::Pool;
use self::stopwatch::Stopwatch;

/// How many keys the pools have.
const POOLS: &[u32] = &[1, 10, 1_000];

/// What one run was asked for.
struct Order {
    n_rounds: usize,
    n_threads: u32,
    as_json: bool,
}

/// `cargo xtask bench decisions`.
pub(super) fn run(workshop: &Workshop, mut arguments: Arguments) -> Result<(), Failure> {
    let words = arguments.words().to_vec();
    let order = Order {
        n_rounds: arguments.option("--rounds", 10)?,
        n_threads: arguments.option("--threads", 8)?,
        as_json: arguments.flag("--json"),
    };
    arguments.end()?;
    if order.n_rounds == 0 || order.n_threads == 0 {
        return Err(Failure::Usage { problem: "at least one round and one thread are needed".to_owned() });
    }
    if cfg!(debug_assertions) {
        workshop.cargo().args(["build", "--release", "--package", "xtask"]).run()?;
        let program = Program::new(workshop.target.join("release/xtask")).inside(&workshop.root);
        return program.args(["bench", "decisions"]).args(words).run();
    }
    say::note(&format!("load of the machine before: {} (idle is best)", measure::load()?));
    let findings = measure_all(&order)?;
    say::line(&if order.as_json { findings.json() } else { findings.text() });
    Ok(())
}

fn measure_all(order: &Order) -> Result<Findings, Failure> {
    let stopwatch = Stopwatch::calibrate();
    let mut findings = Findings { empty: stopwatch.empty, n_threads: order.n_threads, ..Findings::default() };
    let mut alone = open_all(Pool::state)?;
    let mut locked = open_all(|pool| Mutex::new(pool.locked()))?;
    // Round by round, so that a machine which grows slower meanwhile does so for all.
    for round in 1..=order.n_rounds {
        say::step(&format!("round {round} of {}", order.n_rounds));
        for kind in Kind::BOTH {
            for (traffic, n_keys) in alone.iter_mut().zip(POOLS) {
                findings.decisions.entry((*n_keys, kind)).or_default().join(traffic.run(kind, &stopwatch)?);
            }
            for (traffic, n_keys) in locked.iter_mut().zip(POOLS) {
                findings.holds.entry((*n_keys, kind)).or_default().join(traffic.run(kind, &stopwatch)?);
            }
        }
    }
    for (traffic, n_keys) in locked.iter().zip(POOLS) {
        say::step(&format!("{} threads, {n_keys} keys", order.n_threads));
        let crowd = Crowd::new(traffic, order.n_threads);
        findings.contention.insert(*n_keys, crowd.run(&stopwatch)?);
    }
    Ok(findings)
}

/// One for each pool, with all conversations under way.
fn open_all<D: Desk>(desk: fn(&Pool) -> D) -> Result<Vec<Traffic<D>>, Failure> {
    let open = |n_keys: &u32| {
        let pool = Pool::new(*n_keys);
        Traffic::open(desk(&pool), pool)
    };
    POOLS.iter().map(open).collect()
}
