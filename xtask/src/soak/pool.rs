//! `cargo xtask soak pool`: four keys of four organizations, each bound by another limit, and more asked of
//! them than they can carry. Knows the scenes and their order; refuses to know how each is played.
//!
//! The relay is the real program, the provider a simulated one with buckets of its own, and between
//! them and the clients are real sockets. Calls come whenever they like, whatever becomes of those
//! before them. Four scenes, each with a provider and a relay that have seen nothing before:
//!
//! * below capacity: how much later answers begin than without the relay;
//! * above it, with the limits in the relay's configuration: how much is carried of what could have been;
//! * the same without, after the relay had a while to learn them;
//! * one refusal after the other, each tried out: see [`retries`].
//!
//! The first is alone on the machine, since it measures time. The others measure limits, which the
//! machine has little to do with, and go side by side.

mod above;
mod below;
mod crowd;
mod events;
mod fluid;
mod foresight;
mod judge;
mod keys;
mod load;
mod provider;
mod question;
mod report;
mod retries;
mod stage;
mod tally;

use std::path::Path;
use std::time::Duration;

use relay_plan::Kind;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::program::Program;
use crate::say;
use crate::soak::pool::above::Above;
use crate::soak::pool::below::Below;
use crate::soak::pool::judge::{Bounds, Finding};
use crate::soak::pool::keys::Limits;
use crate::soak::pool::retries::Retries;
use crate::soak::{build, raise_descriptors};
use crate::workshop::Workshop;

/// Calls under way at once, at most: those that wait, those that are answered, and as many connections that are kept.
const MOST_CALLS: usize = 4_000;

/// What one soak was asked for.
#[derive(Clone, Debug)]
struct Order {
    times: Times,
    bounds: Bounds,
    /// Above capacity, so many times as much is asked as can be carried.
    overload: f64,
    seed: u64,
    profile: String,
}

/// How long everything takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    below: Duration,
    /// Until limits and needs are learned, and the buckets drained that were full at first.
    settles: Duration,
    /// What counts, behind that.
    window: Duration,
    /// How long a call may wait.
    max_wait: Duration,
}

impl Times {
    const LONG: Self = Self {
        below: Duration::from_mins(1),
        settles: Duration::from_mins(1),
        window: Duration::from_mins(4),
        max_wait: Duration::from_secs(30),
    };

    /// What one can wait for at each change: less than three minutes in all. The longest answers take thirteen seconds,
    /// so sooner than this nothing is learned and nobody has waited for long.
    const SHORT: Self = Self {
        below: Duration::from_secs(10),
        settles: Duration::from_secs(40),
        window: Duration::from_mins(1),
        max_wait: Duration::from_secs(30),
    };
}

impl Order {
    fn read(mut arguments: Arguments) -> Result<Self, Failure> {
        let (times, bounds) = if arguments.flag("--short") {
            (Times::SHORT, Bounds::SHORT)
        } else {
            (Times::LONG, Bounds::LONG)
        };
        let window = Duration::from_secs(arguments.option("--seconds", times.window.as_secs())?);
        let order = Self {
            times: Times { window, ..times },
            bounds,
            overload: arguments.option("--overload", 1.5)?,
            seed: arguments.option("--seed", 1)?,
            profile: arguments.option("--profile", "release".to_owned())?,
        };
        arguments.end()?;
        if window.is_zero() || !(1.0..=10.0).contains(&order.overload) {
            let problem = "at least a second is needed, and an overload between 1 and 10".to_owned();
            return Err(Failure::Usage { problem });
        }
        Ok(order)
    }
}

/// `cargo xtask soak pool`.
pub(super) fn run(workshop: &Workshop, arguments: Arguments) -> Result<(), Failure> {
    let words = arguments.words().to_vec();
    let order = Order::read(arguments)?;
    if order.profile == "release" && cfg!(debug_assertions) {
        return run_in_release(workshop, &words);
    }
    raise_descriptors(MOST_CALLS)?;
    let program = build(workshop, &order.profile)?;
    let folder = workshop.target.join("soak");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let soak = Soak { order: &order, program: &program, folder: &folder, kinds: &load::kinds() };
    let findings = runtime.map_err(Failure::connection("starting a runtime"))?.block_on(soak.play())?;
    match findings.iter().filter(|finding| !finding.holds).count() {
        0 => Ok(()),
        n => Err(Failure::findings("soak pool", n)),
    }
}

/// A provider and clients that were not optimised would be measured along with the relay.
fn run_in_release(workshop: &Workshop, words: &[String]) -> Result<(), Failure> {
    workshop.cargo().args(["build", "--release", "--package", "xtask", "--package", "cc-relay"]).run()?;
    let program = Program::new(workshop.target.join("release/xtask")).inside(&workshop.root);
    program.args(["soak", "pool"]).args(words).run()
}

/// One soak.
#[derive(Clone, Copy)]
struct Soak<'a> {
    order: &'a Order,
    program: &'a Path,
    folder: &'a Path,
    kinds: &'a [Kind],
}

impl Soak<'_> {
    /// Plays all scenes, and gives everything that was demanded of them.
    async fn play(self) -> Result<Vec<Finding>, Failure> {
        let capacity = fluid::capacity(&keys::organizations(), self.kinds);
        say::line(&format!(
            "four keys, which could carry {capacity:.1} calls a second; relay built as `{}`",
            self.order.profile
        ));
        let mut findings = self.below(capacity).await?;
        let scenes = tokio::join!(
            self.above(capacity, Limits::Configured),
            self.above(capacity, Limits::Learned),
            self.retries(Limits::Configured),
            self.retries(Limits::Learned)
        );
        for found in [scenes.0?, scenes.1?, scenes.2?, scenes.3?] {
            findings.extend(found);
        }
        Ok(findings)
    }

    async fn below(self, capacity: f64) -> Result<Vec<Finding>, Failure> {
        let Order { times, bounds, seed, .. } = self.order;
        let below = Below { kinds: self.kinds, capacity, lasts: times.below, seed: *seed };
        let added = below.play(self.program, self.folder).await?;
        let findings = bounds.of_added(&added);
        let title = format!("at half of that, {:?}, each call twice", times.below);
        Ok(tell(&title, &report::of_added(&added), findings))
    }

    async fn above(self, capacity: f64, limits: Limits) -> Result<Vec<Finding>, Failure> {
        let Order { times, bounds, overload, seed, .. } = self.order;
        let above = Above {
            kinds: self.kinds,
            rate: capacity * overload,
            limits,
            max_wait: times.max_wait,
            settles: times.settles,
            lasts: times.window,
            seed: seed + 1,
        };
        let found = above.play((self.program, self.folder, &format!("above-{}", limits.name()))).await?;
        let findings = bounds.of_overload(&found);
        let title = format!(
            "{overload} times as much, limits {}, {:?} after {:?}",
            limits.name(),
            times.window,
            times.settles
        );
        Ok(tell(&title, &report::of_overload(&found), findings))
    }

    async fn retries(self, limits: Limits) -> Result<Vec<Finding>, Failure> {
        let Order { times, bounds, seed, .. } = self.order;
        let retries = Retries {
            kinds: self.kinds,
            limits,
            settles: times.settles,
            lasts: times.window,
            seed: seed + 2,
        };
        let found = retries.play((self.program, self.folder, &format!("retries-{}", limits.name()))).await?;
        let findings = bounds.of_retries(&found);
        let title = format!("refused and back again, limits {}", limits.name());
        Ok(tell(&title, &report::of_retries(&found, self.kinds), findings))
    }
}

/// Prints a scene in one piece, since others go on beside it.
fn tell(title: &str, text: &str, findings: Vec<Finding>) -> Vec<Finding> {
    say::line(&format!("\n{title}\n{text}\n{}", report::of_findings(&findings).trim_end()));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Order, Failure> {
        Order::read(Arguments::new(words.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn the_short_form_has_times_and_demands_of_its_own() {
        let (long, short) = (read(&[]).unwrap(), read(&["--short", "--profile", "dev"]).unwrap());
        assert_eq!((long.times, long.bounds), (Times::LONG, Bounds::LONG));
        assert_eq!((short.times, short.bounds, short.profile.as_str()), (Times::SHORT, Bounds::SHORT, "dev"));
        let own = read(&["--seconds", "100", "--overload", "2", "--seed", "7"]).unwrap();
        assert_eq!((own.times.window, own.seed), (Duration::from_secs(100), 7));
        assert_eq!(own.times.settles, Times::LONG.settles);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [["--seconds", "0"], ["--overload", "0.5"], ["--overload", "NaN"], ["--idle", "3"]] {
            assert!(matches!(read(&words), Err(Failure::Usage { .. })), "{words:?}");
        }
    }
}
