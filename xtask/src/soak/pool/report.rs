//! What was found, as text. Knows columns; refuses to know what is good enough.

use std::fmt::{self, Write as _};
use std::time::Duration;

use relay_plan::Kind;
use relay_sim::Meter;

use crate::bench::statistics::permille;
use crate::soak::pool::above::{Debt, Overload, Shortage};
use crate::soak::pool::below::Added;
use crate::soak::pool::judge::{Finding, percent};
use crate::soak::pool::retries::Retry;

/// What was measured below capacity.
pub(super) fn of_added(added: &Added) -> String {
    let mut text = String::new();
    line(
        &mut text,
        format_args!("  {:<18}{:>8}{:>12}{:>12}{:>12}", "first byte after", "calls", "p50", "p90", "p99"),
    );
    for (name, times) in [("directly", &added.direct), ("through the relay", &added.relayed)] {
        let [p50, p90, p99] = [500, 900, 990].map(|quantile| brief(permille(times, quantile)));
        line(&mut text, format_args!("  {name:<18}{:>8}{p50:>12}{p90:>12}{p99:>12}", times.len()));
    }
    text
}

/// What was measured above capacity.
pub(super) fn of_overload(overload: &Overload) -> String {
    let mut text = String::new();
    line(
        &mut text,
        format_args!(
            "  {:<8}{:>8}{:>8}{:>10}{:>13}{:>12}{:>12}",
            "kind", "came", "served", "part", "waited: p50", "p90", "p99"
        ),
    );
    for row in &overload.rows {
        let [p50, p90, p99] = [500, 900, 990].map(|quantile| brief(permille(&row.waits, quantile)));
        let part = percent(row.part());
        line(
            &mut text,
            format_args!(
                "  {:<8}{:>8}{:>8}{part:>10}{p50:>13}{p90:>12}{p99:>12}",
                row.name, row.came, row.served
            ),
        );
    }
    line(&mut text, format_args!("  of all kinds alike, {} could have been served", percent(overload.fair)));
    line(
        &mut text,
        format_args!(
            "  the provider got {} requests and refused {} of them, and {} before",
            overload.requests, overload.refused, overload.refused_before
        ),
    );
    for Shortage { organization, meter, calls } in &overload.shortages {
        let units = units(*meter);
        line(&mut text, format_args!("  `{organization}` had too few {units} for {calls} of them"));
    }
    for Debt { organization, meter, most, capacity } in &overload.debts {
        let units = units(*meter);
        line(
            &mut text,
            format_args!("  `{organization}` owed at most {most} {units}; a full bucket holds {capacity}"),
        );
    }
    let told = &overload.refusals.told;
    line(
        &mut text,
        format_args!(
            "  the relay refused {} calls at once, and told them to come back after {} to {}",
            told.len(),
            brief(told.first().copied().unwrap_or_default()),
            brief(told.last().copied().unwrap_or_default())
        ),
    );
    line(
        &mut text,
        format_args!("  clients were late by {} (p99)", brief(permille(&overload.tardiness, 990))),
    );
    text
}

const fn units(meter: Meter) -> &'static str {
    match meter {
        Meter::Requests => "requests",
        Meter::Input => "input tokens",
        Meter::Output => "output tokens",
    }
}

/// Who came back.
pub(super) fn of_retries(retries: &[Retry], kinds: &[Kind]) -> String {
    let mut text = String::new();
    line(
        &mut text,
        format_args!("  {:<8}{:>6}{:>14}{:>14}{:>16}", "kind", "came", "told: least", "most", "waited: most"),
    );
    for (place, kind) in kinds.iter().enumerate() {
        let own: Vec<&Retry> = retries.iter().filter(|retry| retry.call.kind == place).collect();
        let told = || own.iter().filter_map(|retry| retry.told);
        let [least, most] = [told().min(), told().max()].map(shown);
        let waited = shown(own.iter().filter_map(|retry| retry.waited).max());
        line(&mut text, format_args!("  {:<8}{:>6}{least:>14}{most:>14}{waited:>16}", kind.name, own.len()));
    }
    text
}

/// What was demanded of it.
pub(super) fn of_findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { what, found, demanded, holds } in findings {
        let verdict = if *holds { "ok" } else { "MISSED" };
        line(&mut text, format_args!("  {verdict:<8}{what:<50}{found:>16}   {demanded}"));
    }
    text
}

fn shown(time: Option<Duration>) -> String {
    time.map_or("–".to_owned(), brief)
}

fn brief(time: Duration) -> String {
    format!("{time:.1?}")
}

fn line(text: &mut String, words: fmt::Arguments<'_>) {
    writeln!(text, "{words}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::pool::load::{Call, Manner, kinds};
    use crate::soak::pool::tally::{Refusals, Row};

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_overload_is_shown_with_its_kinds_and_debts() {
        let overload = Overload {
            rows: vec![Row {
                name: "small",
                came: 300,
                served: 200,
                waits: vec![Duration::from_millis(1_500)],
            }],
            fair: 0.667,
            requests: 200,
            refused: 1,
            shortages: vec![Shortage { organization: "input".to_owned(), meter: Meter::Input, calls: 1 }],
            debts: vec![Debt {
                organization: "mixed".to_owned(),
                meter: Meter::Output,
                most: 12,
                capacity: 6_000,
            }],
            refusals: Refusals { told: vec![seconds(30), seconds(31)], untold: 0, late: 0 },
            ..Overload::default()
        };
        assert_eq!(
            of_overload(&overload).lines().collect::<Vec<_>>(),
            [
                "  kind        came  served      part  waited: p50         p90         p99",
                "  small        300     200    66.7 %         1.5s        1.5s        1.5s",
                "  of all kinds alike, 66.7 % could have been served",
                "  the provider got 200 requests and refused 1 of them, and 0 before",
                "  `input` had too few input tokens for 1 of them",
                "  `mixed` owed at most 12 output tokens; a full bucket holds 6000",
                "  the relay refused 2 calls at once, and told them to come back after 30.0s to 31.0s",
                "  clients were late by 0.0ns (p99)",
            ]
        );
    }

    #[test]
    fn retries_are_shown_by_kind() {
        let call = Call { after: Duration::ZERO, kind: 1, manner: Manner::Streamed };
        let retries = [
            Retry { call, told: Some(seconds(6)), waited: Some(seconds(2)) },
            Retry { call, told: Some(seconds(7)), waited: None },
        ];
        let text = of_retries(&retries, &kinds());
        let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["small", "0", "–", "–", "–"]);
        assert_eq!(rows[1], ["prompt", "2", "6.0s", "7.0s", "2.0s"]);
    }

    #[test]
    fn what_does_not_hold_is_seen_at_once() {
        let finding = |holds| Finding {
            what: "this".to_owned(),
            found: "1".to_owned(),
            demanded: "none".to_owned(),
            holds,
        };
        let text = of_findings(&[finding(true), finding(false)]);
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[0].starts_with("  ok      this") && rows[1].starts_with("  MISSED  this"), "{text}");
    }
}
