//! What was found of decisions, as a table or as JSON. Knows what was wanted; refuses to measure anything.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::{Value, json};

use super::contention::Contention;
use super::life::{CONVERSATIONS, Kind, Lives, Verb};
use super::stopwatch::{Spread, Times};

/// A median decision takes no longer.
const fn most(kind: Kind) -> Duration {
    match kind {
        Kind::Hit => Duration::from_micros(1),
        Kind::First => Duration::from_micros(2),
    }
}

/// Everything that was measured, by the number of keys.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// How long an empty interval appears to be.
    pub(super) empty: Duration,
    pub(super) n_threads: u32,
    /// Of the state alone.
    pub(super) decisions: BTreeMap<(u32, Kind), Lives>,
    /// As the proxy takes its lock.
    pub(super) holds: BTreeMap<(u32, Kind), Lives>,
    pub(super) contention: BTreeMap<u32, Contention>,
}

impl Findings {
    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let empty = self.empty.as_nanos();
        line(&mut text, format_args!("{CONVERSATIONS} conversations; all times in nanoseconds"));
        line(
            &mut text,
            format_args!(
                "p50: of batches of calls; p99 and max: of single calls, less {empty} for the clock itself"
            ),
        );
        line(
            &mut text,
            format_args!("\na decision, and all that the state does for one call\n{HEADINGS}   at most"),
        );
        for ((n_keys, kind), lives) in &self.decisions {
            let title = title(*n_keys, *kind);
            let wanted = most(*kind);
            let spread = lives.verbs[Verb::Ask as usize].spread();
            let held = if spread.p50 <= wanted { "held" } else { "MISSED" };
            let row = row(&format!("{title}: ask"), spread);
            line(&mut text, format_args!("{row}{:>10} {held}", wanted.as_nanos()));
            line(
                &mut text,
                format_args!("{}", self::row(&format!("{title}: whole life"), lives.whole.spread())),
            );
        }
        line(
            &mut text,
            format_args!(
                "\nhow long the lock is held: taken, verb, who is woken, what happened, given back\n{HEADINGS}"
            ),
        );
        for ((n_keys, kind), lives) in &self.holds {
            for verb in Verb::ALL {
                let title = format!("{}: {}", title(*n_keys, *kind), verb.name());
                line(&mut text, format_args!("{}", row(&title, lives.verbs[verb as usize].spread())));
            }
        }
        line(
            &mut text,
            format_args!(
                "\n{} threads, nine calls of ten going on with a conversation\n{HEADINGS}",
                self.n_threads
            ),
        );
        for (n_keys, contention) in &self.contention {
            let keys = keys(*n_keys);
            for (what, times) in contention.rows() {
                line(&mut text, format_args!("{}", row(&format!("{keys}: {what}"), times.spread())));
            }
            line(&mut text, format_args!("  {keys}: {:.0} lives a second", contention.lives_per_second));
        }
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        let lives = |all: &BTreeMap<(u32, Kind), Lives>| -> Vec<Value> {
            let one = |((n_keys, kind), lives): (&(u32, Kind), &Lives)| {
                let verbs =
                    Verb::ALL.map(|verb| (verb.name().to_owned(), spread(&lives.verbs[verb as usize])));
                json!({
                    "keys": n_keys, "kind": kind.name(), "calls": lives.n_calls, "strays": lives.n_strays,
                    "verbs": serde_json::Map::from_iter(verbs), "whole_life": spread(&lives.whole),
                })
            };
            all.iter().map(one).collect()
        };
        let contention = self.contention.iter().map(|(n_keys, contention)| {
            let rows = contention.rows().map(|(what, times)| (what.to_owned(), spread(times)));
            json!({
                "keys": n_keys, "threads": self.n_threads, "lives_per_second": contention.lives_per_second,
                "lock": serde_json::Map::from_iter(rows),
            })
        });
        let contention: Vec<Value> = contention.collect();
        json!({
            "unit": "ns", "clock": nanoseconds(self.empty), "conversations": CONVERSATIONS,
            "state_alone": lives(&self.decisions), "lock_held": lives(&self.holds), "contention": contention,
        })
        .to_string()
    }
}

impl Contention {
    fn rows(&self) -> [(&'static str, &Times); 3] {
        [("waiting for it", &self.waits), ("holding it", &self.holds), ("both", &self.both)]
    }
}

const HEADINGS: &str = "                                             p50       p99       max";

fn row(title: &str, spread: Spread) -> String {
    let [p50, p99, max] = [spread.p50, spread.p99, spread.max].map(|time| time.as_nanos());
    format!("  {title:<36}{p50:>10}{p99:>10}{max:>10}")
}

fn title(n_keys: u32, kind: Kind) -> String {
    format!("{}, {}", keys(n_keys), kind.name())
}

fn keys(n_keys: u32) -> String {
    format!("{n_keys} key{}", if n_keys == 1 { "" } else { "s" })
}

fn spread(times: &Times) -> Value {
    let Spread { p50, p99, max } = times.spread();
    json!({ "p50": nanoseconds(p50), "p99": nanoseconds(p99), "max": nanoseconds(max) })
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn line(text: &mut String, words: fmt::Arguments<'_>) {
    writeln!(text, "{words}").expect("writing to a String cannot fail");
}
