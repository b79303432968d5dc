//! A report as one JSON object. Its names stay as they are; what is added does not change the version.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Held, KindLine, Report};
use crate::estate::{AT_ONCE, Known, N_METERS};
use crate::forecast::{Advice, Raise, Used};
use crate::world::{Moment, Outcome, Served, Spans};
use relay_core::price::{PRICED, SOURCE};

/// The version of the shape.
const VERSION: u32 = 1;

/// What meters are called.
const METERS: [&str; N_METERS] = ["requests", "input_tokens", "output_tokens", "concurrency", "tokens"];

impl Report {
    /// Everything that is known.
    pub fn json(&self) -> Value {
        let outcome = &self.forecast.outcome;
        let all = outcome.all();
        json!({
            "version": VERSION,
            "configuration": self.configuration,
            "workload": self.workload,
            "seed": self.seed,
            "burst_ms": millis(self.burst),
            "organizations": self.organizations.iter().map(organization).collect::<Vec<_>>(),
            "notes": self.notes,
            "lasted_ms": millis(outcome.lasted),
            "calls": calls(&all),
            "requests": {"sent": outcome.requests, "refused_by_provider": outcome.refused_upstream},
            "wait_ms": spans(&outcome.waits.all, millis),
            "retry_after_s": spans(&outcome.told.all, seconds),
            "kinds": self.kinds().map(|kind| kind_line(&kind)).collect::<Vec<_>>(),
            "per_minute": {
                "calls": outcome.throughput(),
                "uncached_input_tokens": outcome.a_minute(all.usage.uncached_input()),
                "cache_read_tokens": outcome.a_minute(all.usage.cache_read),
                "output_tokens": outcome.a_minute(all.usage.output),
            },
            "cache_reads_kept": outcome.kept(),
            "round_robin": self.forecast.in_turn.as_ref().map(|in_turn| self.in_turn(in_turn)),
            "part_of_optimum": self.forecast.of_optimum,
            "most_calls_per_minute": self.most_calls(),
            "cost": self.cost(),
            "keys": self.key_lines(),
            "limits": self.forecast.limits.iter().map(|used| self.used(used)).collect::<Vec<_>>(),
            "raise_first": self.first().map(|raise| self.raise(raise)),
            "raises": self.forecast.raises.iter().map(|raise| self.raise(raise)).collect::<Vec<_>>(),
            "over_time": over_time(outcome),
        })
    }

    fn in_turn(&self, in_turn: &Outcome) -> Value {
        let all = in_turn.all();
        json!({
            "calls": calls(&all),
            "calls_per_minute": in_turn.throughput(),
            "mean_wait_ms": millis(in_turn.waits.all.mean()),
            "refused_by_provider": in_turn.refused_upstream,
            "cache_reads_kept": in_turn.kept(),
            "dollars": self.dollars().map(|_| all.dollars),
        })
    }

    fn cost(&self) -> Value {
        let models = self
            .models
            .iter()
            .map(|model| json!({"model": model.name, "answered": model.answered, "dollars": model.dollars}));
        json!({
            "dollars": self.dollars(),
            "prices_of": PRICED,
            "source": SOURCE,
            "models": models.collect::<Vec<_>>(),
        })
    }

    fn key_lines(&self) -> Vec<Value> {
        let line = |key: &super::KeyLine| {
            json!({
                "key": key.name,
                "organization": key.organization,
                "answered": key.answered,
                "refused_by_provider": key.refused,
                "uncached_input_tokens": key.usage.uncached_input(),
                "cache_read_tokens": key.usage.cache_read,
                "output_tokens": key.usage.output,
            })
        };
        self.keys.iter().map(line).collect()
    }

    fn used(&self, used: &Used) -> Value {
        json!({
            "organization": self.holder(used.organization),
            "class": used.class,
            "meter": METERS[used.meter],
            unit(used.meter): used.limit,
            "used": used.part,
        })
    }

    fn raise(&self, raise: &Raise) -> Value {
        let helps = match self.forecast.advice {
            Advice::Nothing => "nothing",
            Advice::More => "throughput",
            Advice::Sooner => "waiting",
        };
        json!({
            "organization": self.holder(raise.organization),
            "meter": METERS[raise.meter],
            format!("from_{}", unit(raise.meter)): raise.limit.0,
            format!("to_{}", unit(raise.meter)): raise.limit.1,
            "calls_per_minute": {"before": raise.calls.0, "after": raise.calls.1},
            "mean_wait_ms": {"before": millis(raise.waits.0), "after": millis(raise.waits.1)},
            "for": helps,
        })
    }
}

/// In what a limit is given.
const fn unit(meter: usize) -> &'static str {
    if meter == AT_ONCE { "at_once" } else { "per_minute" }
}

fn organization(held: &Held) -> Value {
    let from = |known: Known| match known {
        Known::Configured => "configuration",
        Known::Said => "argument",
        Known::StartTier => "start_tier",
        Known::Nowhere => "unknown",
    };
    let limit = |meter: usize| {
        let limit = json!({"per_minute": held.rates[meter], "from": from(held.known[meter])});
        (METERS[meter].to_owned(), limit)
    };
    json!({"organization": held.name, "limits": Value::Object((0..held.known.len()).map(limit).collect())})
}

fn calls(served: &Served) -> Value {
    json!({
        "came": served.calls,
        "answered": served.answered,
        "refusals": served.refused,
        "given_up": served.given_up,
    })
}

fn kind_line(kind: &KindLine<'_>) -> Value {
    json!({
        "kind": kind.name,
        "calls": calls(&kind.served),
        "wait_ms": spans(kind.waits, millis),
        "retry_after_s": spans(kind.told, seconds),
    })
}

/// Null if there are none.
fn spans(spans: &Spans, unit: fn(Duration) -> f64) -> Value {
    if spans.count() == 0 {
        return Value::Null;
    }
    let part = |hundredths: usize| unit(spans.part(hundredths));
    json!({
        "mean": unit(spans.mean()),
        "p50": part(50),
        "p95": part(95),
        "p99": part(99),
        "max": part(100),
    })
}

fn over_time(outcome: &Outcome) -> Value {
    let series = |of: &dyn Fn(&Moment) -> Value| outcome.moments.iter().map(of).collect::<Vec<_>>();
    json!({
        "step_ms": millis(outcome.step),
        "in_flight": series(&|moment| moment.in_flight.into()),
        "waiting": series(&|moment| moment.waiting.into()),
        "refused": series(&|moment| moment.refused.into()),
        "tightest_limit_left": series(&|moment| moment.lowest.into()),
    })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
