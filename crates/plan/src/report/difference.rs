//! Two reports side by side.

use std::fmt::{Display, Formatter, Result};

use serde_json::{Value, json};

use super::Report;
use super::text::{money, percent, plain, span};
use crate::float;

/// What another configuration makes of the same workload.
pub struct Difference<'a> {
    /// The one.
    pub before: &'a Report,
    /// The other.
    pub after: &'a Report,
}

/// A figure that both have.
struct Row {
    name: &'static str,
    /// What it is called where programs read it.
    json: &'static str,
    of: fn(&Report) -> Option<f64>,
    shown: fn(f64) -> String,
}

const ROWS: [Row; 10] = [
    Row {
        name: "calls a minute",
        json: "calls_per_minute",
        of: |it| Some(it.forecast.outcome.throughput()),
        shown: plain,
    },
    Row {
        name: "output tokens a minute",
        json: "output_tokens_per_minute",
        of: |it| Some(it.forecast.outcome.a_minute(it.forecast.outcome.all().usage.output)),
        shown: plain,
    },
    Row {
        name: "refusals",
        json: "refusals",
        of: |it| Some(float(it.forecast.outcome.all().refused)),
        shown: whole,
    },
    Row {
        name: "given up",
        json: "given_up",
        of: |it| Some(float(it.forecast.outcome.all().given_up)),
        shown: whole,
    },
    Row { name: "waited on average", json: "mean_wait_ms", of: |it| Some(waited(it, None)), shown: wait },
    Row {
        name: "waited, 50 % at most",
        json: "p50_wait_ms",
        of: |it| Some(waited(it, Some(50))),
        shown: wait,
    },
    Row {
        name: "waited, 99 % at most",
        json: "p99_wait_ms",
        of: |it| Some(waited(it, Some(99))),
        shown: wait,
    },
    Row {
        name: "cache reads kept",
        json: "cache_reads_kept",
        of: |it| it.forecast.outcome.kept(),
        shown: percent,
    },
    Row {
        name: "part of the optimum",
        json: "part_of_optimum",
        of: |it| it.forecast.of_optimum,
        shown: percent,
    },
    Row { name: "cost", json: "dollars", of: Report::dollars, shown: money },
];

fn whole(count: f64) -> String {
    plain(count).trim_end_matches(".0").to_owned()
}

fn waited(report: &Report, part: Option<usize>) -> f64 {
    let waits = &report.forecast.outcome.waits.all;
    part.map_or_else(|| waits.mean(), |part| waits.part(part)).as_secs_f64() * 1_000.0
}

fn wait(millis: f64) -> String {
    span(std::time::Duration::from_secs_f64(millis / 1_000.0))
}

impl Difference<'_> {
    /// Each figure before and after; null where it makes no sense.
    pub fn json(&self) -> Value {
        let row = |row: &Row| {
            (row.json.to_owned(), json!({"before": (row.of)(self.before), "after": (row.of)(self.after)}))
        };
        Value::Object(ROWS.iter().map(row).collect())
    }
}

impl Display for Difference<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "{} against {}", self.before.configuration, self.after.configuration)?;
        writeln!(f, "{:<26}{:>16}{:>16}{:>12}", "", "this", "other", "change")?;
        for Row { name, of, shown, .. } in &ROWS {
            let (before, after) = (of(self.before), of(self.after));
            let [this, other] = [before, after].map(|figure| figure.map_or_else(|| "-".to_owned(), shown));
            let line = format!("{name:<26}{this:>16}{other:>16}{:>12}", change(before, after));
            writeln!(f, "{}", line.trim_end())?;
        }
        let [this, other] = [self.before, self.after].map(Report::first_name);
        writeln!(f, "raise first, with this:   {this}")?;
        writeln!(f, "raise first, with other:  {other}")
    }
}

/// By how much it changes.
fn change(before: Option<f64>, after: Option<f64>) -> String {
    match (before, after) {
        (Some(before), Some(after)) if (after - before).abs() < 1e-9 => "=".to_owned(),
        (Some(before), Some(after)) if before.abs() > 1e-9 => {
            format!("{:+.1} %", (after / before - 1.0) * 100.0)
        }
        (None, None) => String::new(),
        _ => "new".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_in_hundredths_where_there_is_something_to_compare_with() {
        let table = [
            (Some(2.0), Some(2.0), "="),
            (Some(0.0), Some(0.0), "="),
            (Some(100.0), Some(125.0), "+25.0 %"),
            (Some(10.0), Some(0.0), "-100.0 %"),
            (Some(0.0), Some(3.0), "new"),
            (None, Some(3.0), "new"),
            (None, None, ""),
        ];
        for (before, after, expect) in table {
            assert_eq!(change(before, after), expect, "{before:?} and {after:?}");
        }
        assert_eq!(
            (whole(3.0), whole(12_345.0), wait(1_500.0)),
            ("3".into(), "12,345".into(), "1.5 s".into())
        );
    }
}
