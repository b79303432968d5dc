//! A report for people: what is assumed, what comes of it, and what to do first.

use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

use super::table::table;
use super::{Held, KindLine, Report};
use crate::estate::{AT_ONCE, Known};
use crate::forecast::{Advice, Raise, Used, meter_name};
use crate::optimum::float;
use crate::plot;
use crate::world::Served;
use relay_core::price::{PRICED, SOURCE};

/// So many limits are shown that could be raised.
const RAISES: usize = 4;

/// So many limits are shown, the fullest first.
const LIMITS: usize = 12;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "{}: {}; seed {}", self.configuration, self.workload, self.seed)?;
        self.assumptions(f)?;
        self.calls(f)?;
        self.figures(f)?;
        self.limits(f)?;
        self.keys(f)?;
        self.advice(f)?;
        writeln!(f)?;
        plot::lines(&self.forecast.outcome).iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl Report {
    fn assumptions(&self, f: &mut Formatter<'_>) -> Result {
        let said: Vec<_> = self.organizations.iter().filter_map(assumed).collect();
        if !said.is_empty() {
            writeln!(
                f,
                "\nassumed, where no limit is configured (`--assume-rpm`, `-itpm` and `-otpm` say otherwise)"
            )?;
            said.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }

    fn calls(&self, f: &mut Formatter<'_>) -> Result {
        let line = |kind: KindLine<'_>| {
            let KindLine { name, served, waits, told } = kind;
            let counts = [served.calls, served.answered, served.refused, served.given_up].map(grouped);
            let waits = [50, 99, 100].map(|part| span(waits.part(part)));
            let told =
                [50, 100].map(|part| if told.count() == 0 { "-".into() } else { span(told.part(part)) });
            [name.to_owned()].into_iter().chain(counts).chain(waits).chain(told).collect::<Vec<_>>()
        };
        let heads = [
            "calls",
            "came",
            "answered",
            "refusals",
            "given up",
            "waited p50",
            "p99",
            "max",
            "retry-after p50",
            "max",
        ];
        table(f, &heads, &self.kinds().chain([self.all()]).map(line).collect::<Vec<_>>())?;
        let outcome = &self.forecast.outcome;
        let (refused, sent) = (grouped(outcome.refused_upstream), several(outcome.requests, "request"));
        writeln!(f, "providers refused {refused} of {sent} for a limit")
    }

    fn figures(&self, f: &mut Formatter<'_>) -> Result {
        let outcome = &self.forecast.outcome;
        let usage = outcome.all().usage;
        let rate = |count: u64| plain(outcome.a_minute(count));
        let [input, read, output] = [usage.uncached_input(), usage.cache_read, usage.output].map(rate);
        writeln!(
            f,
            "\nthroughput   {} calls a minute for {}",
            plain(outcome.throughput()),
            span(outcome.lasted)
        )?;
        writeln!(f, "tokens       {input} in, {read} from caches and {output} out a minute")?;
        match (self.forecast.of_optimum, self.most_calls()) {
            (Some(part), Some(most)) => {
                writeln!(
                    f,
                    "optimum      {} of the {} calls a minute that these limits carry at best",
                    percent(part),
                    plain(most)
                )?;
            }
            _ => writeln!(f, "optimum      there is none: not all limits are known")?,
        }
        if let Some(kept) = outcome.kept() {
            writeln!(f, "caches       {} of the reads of one unlimited key are kept", percent(kept))?;
        }
        self.cost_line(f)?;
        if let Some(in_turn) = &self.forecast.in_turn {
            let all = in_turn.all();
            let kept = in_turn
                .kept()
                .map_or_else(String::new, |kept| format!("{} of the reads kept, ", percent(kept)));
            let (calls, refused) = (plain(in_turn.throughput()), several(all.refused, "refusal"));
            let dollars =
                self.dollars().map_or_else(String::new, |_| format!(", {}", each(&all, all.dollars)));
            writeln!(f, "round robin  {kept}{calls} calls a minute, {refused}{dollars}")?;
        }
        Ok(())
    }

    fn cost_line(&self, f: &mut Formatter<'_>) -> Result {
        let unpriced: Vec<_> = self.unpriced().collect();
        let unknown = if unpriced.is_empty() {
            String::new()
        } else {
            format!("; no price is known of {}", unpriced.join(", "))
        };
        match self.dollars() {
            Some(dollars) => {
                let cost = each(&self.forecast.outcome.all(), dollars);
                writeln!(f, "cost         {cost}{unknown}")?;
                writeln!(f, "prices       of {PRICED}, from {SOURCE}")
            }
            None => writeln!(f, "cost         unknown{unknown}"),
        }
    }

    fn limits(&self, f: &mut Formatter<'_>) -> Result {
        let line = |used: &Used| {
            let name = format!("{}, {}", self.used_name(used), used.class);
            let at_once = if used.meter == AT_ONCE { " at once" } else { "" };
            let limit = format!("{}{at_once}", grouped(used.limit));
            vec![name, limit, percent(used.part)]
        };
        let lines: Vec<_> = self.forecast.limits.iter().take(LIMITS).map(line).collect();
        if lines.is_empty() { Ok(()) } else { table(f, &["limit", "a minute", "used"], &lines) }?;
        match self.forecast.limits.len().saturating_sub(LIMITS) {
            0 => Ok(()),
            more => writeln!(f, "and {more} that are used less"),
        }
    }

    fn keys(&self, f: &mut Formatter<'_>) -> Result {
        let lines = self.keys.iter().map(|key| {
            let usage = key.usage;
            let counts = [key.answered, key.refused, usage.uncached_input(), usage.cache_read, usage.output];
            [key.name.clone()].into_iter().chain(counts.map(grouped)).collect()
        });
        table(f, &["key", "answered", "429", "in", "from caches", "out"], &lines.collect::<Vec<_>>())
    }

    fn advice(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "\nraise first: {}", self.first_name())?;
        if self.first().is_none() {
            let Some(fullest) = self.forecast.limits.first().filter(|fullest| fullest.part > 0.0) else {
                return Ok(());
            };
            let (name, times) = (self.used_name(fullest), plain(1.0 / fullest.part));
            return writeln!(f, "the first to bind would be {name}, at {times} times these calls");
        }
        let name = |raise: &Raise| {
            let (from, to) = raise.limit;
            format!("{} from {} to {}", self.limit_name(raise), grouped(from), grouped(to))
        };
        let cells = |name: String, calls: f64, wait: Duration| vec![name, plain(calls), span(wait)];
        let raises = self.forecast.raises.iter();
        let now = raises.clone().map(|it| cells("nothing".to_owned(), it.calls.0, it.waits.0)).take(1);
        let raised = raises.map(|it| cells(name(it), it.calls.1, it.waits.1)).take(RAISES);
        let lines: Vec<_> = now.chain(raised).collect();
        table(f, &["raised by a quarter or by one", "calls a minute", "waited on average"], &lines)
    }

    /// The limit to raise first, and what for.
    pub(super) fn first_name(&self) -> String {
        let what_for = match self.forecast.advice {
            Advice::More => "for more calls a minute",
            Advice::Sooner => "for shorter waits",
            Advice::Nothing => "",
        };
        match self.first() {
            Some(raise) => format!("{}, {what_for}", self.limit_name(raise)),
            None if self.forecast.outcome.is_refused() => {
                "nothing, for a quarter more of any limit would not help; `--burst` says how much they hold"
                    .to_owned()
            }
            None => "nothing, for no limit holds these calls back".to_owned(),
        }
    }

    fn limit_name(&self, raise: &Raise) -> String {
        format!("{} {}", self.holder(raise.organization), meter_name(raise.meter))
    }

    fn used_name(&self, used: &Used) -> String {
        format!("{} {}", self.holder(used.organization), meter_name(used.meter))
    }
}

/// What all calls cost, and how much that is for a thousand.
fn each(all: &Served, dollars: f64) -> String {
    let thousands = float(all.answered.max(1)) / 1_000.0;
    format!("{}, or {} for 1,000 calls", money(dollars), money(dollars / thousands))
}

/// What is assumed of an organization, if anything is.
fn assumed(held: &Held) -> Option<String> {
    let of = |known: Known| (0..held.known.len()).filter(move |meter| held.known[*meter] == known);
    let listed = |words: Vec<String>| if words.is_empty() { None } else { Some(words.join(", ")) };
    let rated = |known: Known| {
        let word = |meter: usize| match held.rates[meter] {
            Some(rate) => format!("{} {} a minute", grouped(rate), meter_name(meter)),
            None => format!("any number of {}", meter_name(meter)),
        };
        listed(of(known).map(word).collect())
    };
    let parts = [
        rated(Known::StartTier).map(|limits| format!("{limits}, as in Anthropic's Start tier")),
        rated(Known::Said).map(|limits| format!("{limits}, as you say")),
        listed(of(Known::Nowhere).map(|meter| meter_name(meter).to_owned()).collect())
            .map(|meters| format!("no limit of {meters}, for none is known")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { None } else { Some(format!("{}: {}", held.name, parts.join("; "))) }
}

/// A number with a comma between each three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of them, in words.
fn several(count: u64, one: &str) -> String {
    let many = if count == 1 { "" } else { "s" };
    format!("{} {one}{many}", grouped(count))
}

/// A rate as people read it.
pub(crate) fn plain(rate: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are positive and far below 64 bits"
    )]
    if rate >= 1_000.0 { grouped(rate.round() as u64) } else { format!("{rate:.1}") }
}

pub(crate) fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

pub(crate) fn money(dollars: f64) -> String {
    format!("${dollars:.2}")
}

/// A duration as people read it.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) if duration < Duration::from_millis(1) => "0 s".to_owned(),
        (0, 0, 0) => format!("{} ms", duration.as_millis()),
        (0, 0, _) => format!("{:.1} s", duration.as_secs_f64()),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::Known::{Configured, Nowhere, Said, StartTier};

    #[test]
    fn numbers_are_written_for_people() {
        let table = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        for (number, expect) in table {
            assert_eq!(grouped(number), expect);
        }
        let table =
            [(0, "0 s"), (40, "40 ms"), (1_500, "1.5 s"), (61_000, "1 min 1 s"), (3_660_000, "1 h 1 min")];
        for (millis, expect) in table {
            assert_eq!(span(Duration::from_millis(millis)), expect);
        }
        assert_eq!((plain(12.34), plain(12_345.6)), ("12.3".to_owned(), "12,346".to_owned()));
    }

    #[test]
    fn what_is_assumed_is_told_and_what_is_configured_is_not() {
        let held = |known: [Known; 3], rates: [Option<u64>; 3]| Held { name: "it".to_owned(), rates, known };
        let table = [
            (held([Configured; 3], [Some(1); 3]), None),
            (
                held([Nowhere; 3], [None; 3]),
                Some("it: no limit of requests, input tokens, output tokens, for none is known"),
            ),
            (
                held([Configured, StartTier, Said], [Some(1), Some(2_000), Some(3)]),
                Some(
                    "it: 2,000 input tokens a minute, as in Anthropic's Start tier; 3 output tokens a minute, as you say",
                ),
            ),
            (
                held([Said, Configured, Nowhere], [None, Some(1), None]),
                Some("it: any number of requests, as you say; no limit of output tokens, for none is known"),
            ),
        ];
        for (held, expect) in table {
            assert_eq!(assumed(&held).as_deref(), expect);
        }
    }
}
