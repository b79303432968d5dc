//! `cargo xtask bench`: one run compares no proxy at all, nginx, a bare proxy and the relay, each
//! in processes of their own. Knows what is compared and in which order; refuses to know how it
//! is measured. With a word more, [`decisions`] are measured instead, in this process.
//!
//! Rounds are interleaved (all proxies, then all again) and medians printed, so that a machine
//! which grows slower meanwhile does so for everybody.

mod answer;
pub(crate) mod bare;
pub(crate) mod contestant;
mod decisions;
pub(crate) mod delay;
mod listen;
mod load;
pub(crate) mod measure;
mod nginx;
pub(crate) mod process;
mod report;
pub(crate) mod statistics;
pub(crate) mod upstream;

use std::time::Duration;

use crate::arguments::Arguments;
use crate::bench::contestant::{Contestant, Contestants};
use crate::bench::delay::Paced;
use crate::bench::load::Load;
use crate::bench::report::{Case, DelayCase, Report};
use crate::bench::upstream::Reply;
use crate::failure::Failure;
use crate::program::Program;
use crate::say;
use crate::workshop::Workshop;

/// Sizes of the request's body in bytes: a short question, a conversation, a long one.
const BODIES: &[usize] = &[2 * 1024, 20 * 1024, 1024 * 1024];
const CONNECTIONS: &[usize] = &[1, 32];
/// Streams at once when delay and cost of events are measured: one, some, and as many as keep a machine busy.
const PACED_STREAMS: &[usize] = &[1, 32, 300];
/// How long paced streams run in each round: at 50 events a second and stream, some 150 of each.
const PACED_ROUND: Duration = Duration::from_secs(4);

/// What one run of the bench was asked for.
struct Order {
    n_rounds: usize,
    round: Duration,
    contestants: Vec<Contestant>,
    /// Only what has this in its title.
    about: String,
    as_json: bool,
}

/// `cargo xtask bench`.
pub(crate) fn run(workshop: &Workshop, mut arguments: Arguments) -> Result<(), Failure> {
    if arguments.words().first().is_some_and(|what| what == "decisions") {
        arguments.word::<String>("WHAT")?;
        return decisions::run(workshop, arguments);
    }
    let words = arguments.words().to_vec();
    let seconds = arguments.option("--seconds", 2)?;
    let contestants =
        Contestant::parse_list(&arguments.option("--only", "direct,nginx,bare,relay".to_owned())?)?;
    let order = Order {
        n_rounds: arguments.option("--rounds", 3)?,
        round: Duration::from_secs(seconds),
        contestants,
        about: arguments.option("--about", String::new())?,
        as_json: arguments.flag("--json"),
    };
    arguments.end()?;
    if order.n_rounds == 0 || seconds == 0 {
        return Err(Failure::Usage { problem: "at least one round of one second is needed".to_owned() });
    }
    if cfg!(debug_assertions) {
        return run_in_release(workshop, &order, &words);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let report =
        runtime.map_err(Failure::connection("starting a runtime"))?.block_on(measure(workshop, &order))?;
    say::line(&if order.as_json { report.json() } else { report.text() });
    Ok(())
}

/// In each round all take turns so often: what else the machine does then falls on all of them alike.
const TURNS: u32 = 4;

/// Measuring unoptimised programs would measure the wrong thing.
fn run_in_release(workshop: &Workshop, order: &Order, words: &[String]) -> Result<(), Failure> {
    let build = workshop.cargo().args(["build", "--release", "--package", "xtask"]);
    if order.contestants.contains(&Contestant::Relay) {
        build.args(["--package", "cc-relay"]).run()?;
    } else {
        build.run()?;
    }
    Program::new(workshop.target.join("release/xtask")).inside(&workshop.root).arg("bench").args(words).run()
}

async fn measure(workshop: &Workshop, order: &Order) -> Result<Report, Failure> {
    say::note(&format!("load of the machine before: {} (idle is best)", measure::load()?));
    let contestants = Contestants::start(workshop, &order.contestants).await?;
    let mut report = Report::default();
    for reply in [Reply::Json, Reply::Burst] {
        for &body in BODIES {
            for &n_connections in CONNECTIONS {
                let case = Case { reply, body, n_connections };
                if !case.to_string().contains(&order.about) {
                    continue;
                }
                say::step(&case.to_string());
                measure_case(&contestants, order, case, &mut report).await?;
            }
        }
    }
    for &n_streams in PACED_STREAMS {
        let case = DelayCase { n_streams };
        if !case.to_string().contains(&order.about) {
            continue;
        }
        say::step(&case.to_string());
        for _ in 0..order.n_rounds {
            for (contestant, entry) in contestants.all() {
                let paced = Paced { address: entry.address(Reply::Paced), n_streams, time: PACED_ROUND };
                report.add_delays(case, contestant, &paced.run(|| entry.usage()).await?);
            }
        }
    }
    Ok(report)
}

async fn measure_case(
    contestants: &Contestants,
    order: &Order,
    case: Case,
    report: &mut Report,
) -> Result<(), Failure> {
    for turn in (0..order.n_rounds).flat_map(|_| 0..TURNS) {
        let mut all: Vec<_> = contestants.all().collect();
        // Nobody is always the one who comes after another.
        if turn % 2 == 1 {
            all.reverse();
        }
        for (contestant, entry) in all {
            let load = Load::new(entry.address(case.reply), case.reply, case.body, case.n_connections);
            let measured = load.run(order.round / TURNS, || entry.usage()).await?;
            report.add(case, contestant, &measured);
        }
    }
    Ok(())
}
