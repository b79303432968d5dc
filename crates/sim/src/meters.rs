//! The three meters of one holder and model class, and the headers that show them.
//!
//! It knows buckets and the names of the rate-limit headers
//! (<https://platform.claude.com/docs/en/api/rate-limits>); it refuses to know who holds what.

use std::time::Duration;

use crate::{bucket::Bucket, clock::rfc3339, settings::Limit};

/// Which of the three rates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meter {
    /// Requests a minute.
    Requests,
    /// Uncached input tokens a minute.
    Input,
    /// Output tokens a minute.
    Output,
}

/// Who holds a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// The organization.
    Organization,
    /// The workspace.
    Workspace,
}

/// Why a call is refused, and until when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shortage {
    /// The meter that is short the longest.
    pub meter: Meter,
    /// Its limit a minute.
    pub per_minute: u64,
    /// Whether it is the workspace's and not the organization's.
    pub holder: Holder,
    /// When the call would be admitted if nobody else came; `None` if never.
    pub until: Option<Duration>,
}

/// The meters which a limit has.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    requests: Option<Measured>,
    input: Option<Measured>,
    output: Option<Measured>,
    /// Calls that have begun and not ended, and how many may.
    under_way: u32,
    at_once: Option<u32>,
}

/// A bucket, and how often it refused.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) bucket: Bucket,
    pub(crate) refused: u64,
}

/// The names of the headers of one meter: limit, remaining, reset.
type Names = [&'static str; 3];

const REQUESTS: Names = [
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
];
const INPUT: Names = [
    "anthropic-ratelimit-input-tokens-limit",
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-input-tokens-reset",
];
const OUTPUT: Names = [
    "anthropic-ratelimit-output-tokens-limit",
    "anthropic-ratelimit-output-tokens-remaining",
    "anthropic-ratelimit-output-tokens-reset",
];
const TIGHTEST: Names = [
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
];

impl Meters {
    pub(crate) fn new(limit: Limit, now: Duration) -> Self {
        let measured = |rate: Option<u64>| {
            rate.map(|rate| Measured { bucket: Bucket::new(rate, limit.burst, now), refused: 0 })
        };
        Self {
            requests: measured(limit.requests),
            input: measured(limit.input),
            output: measured(limit.output),
            under_way: 0,
            at_once: limit.at_once,
        }
    }

    /// May one more call be under way?
    pub(crate) fn has_room(&self) -> bool {
        self.at_once.is_none_or(|most| self.under_way < most)
    }

    pub(crate) const fn enter(&mut self) {
        self.under_way += 1;
    }

    pub(crate) const fn leave(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(crate) fn get(&self, meter: Meter) -> Option<&Measured> {
        match meter {
            Meter::Requests => self.requests.as_ref(),
            Meter::Input => self.input.as_ref(),
            Meter::Output => self.output.as_ref(),
        }
    }

    fn get_mut(&mut self, meter: Meter) -> Option<&mut Measured> {
        match meter {
            Meter::Requests => self.requests.as_mut(),
            Meter::Input => self.input.as_mut(),
            Meter::Output => self.output.as_mut(),
        }
    }

    pub(crate) fn take(&mut self, meter: Meter, units: u64, now: Duration) {
        if let Some(measured) = self.get_mut(meter) {
            measured.bucket.take(units, now);
        }
    }

    pub(crate) fn give_back(&mut self, meter: Meter, units: u64, now: Duration) {
        if let Some(measured) = self.get_mut(meter) {
            measured.bucket.give_back(units, now);
        }
    }

    /// The meter that is short the longest, if any is; it is noted that it refused.
    pub(crate) fn shortage(&mut self, holder: Holder, input: u64, now: Duration) -> Option<Shortage> {
        let mut worst: Option<Shortage> = None;
        for (meter, need) in [(Meter::Requests, 1), (Meter::Input, input), (Meter::Output, 1)] {
            let Some(measured) = self.get(meter) else { continue };
            if measured.bucket.admits(need, now) {
                continue;
            }
            let until = measured.bucket.admissible_at(need, now);
            if worst.as_ref().is_none_or(|worst| later(until, worst.until)) {
                worst = Some(Shortage { meter, per_minute: measured.bucket.per_minute(), holder, until });
            }
        }
        if let Some(shortage) = &worst
            && let Some(measured) = self.get_mut(shortage.meter)
        {
            measured.refused += 1;
        }
        worst
    }

    /// The headers of a holder, of whom a part has these narrower meters.
    pub(crate) fn headers(&self, narrower: &Self, now: Duration) -> Vec<(&'static str, String)> {
        let mut headers = Vec::with_capacity(12);
        if let Some(Measured { bucket, .. }) = &self.requests {
            let (level, full) = (bucket.remaining(now), bucket.full_at(now));
            push(&mut headers, REQUESTS, bucket.per_minute(), level, full);
        }
        push_tokens(&mut headers, INPUT, &[self.input.as_ref()], now);
        push_tokens(&mut headers, OUTPUT, &[self.output.as_ref()], now);
        let tightest = if narrower.tokens_left(now) < self.tokens_left(now) { narrower } else { self };
        // Where only one of them is limited, nothing limits both together.
        if let (Some(input), Some(output)) = (&tightest.input, &tightest.output) {
            push_tokens(&mut headers, TIGHTEST, &[Some(input), Some(output)], now);
        }
        headers
    }

    /// How much is left in the emptiest of them, as a part of a full one; 1 if there is none.
    #[expect(clippy::cast_precision_loss, reason = "a part, to be shown")]
    pub(crate) fn lowest(&self, now: Duration) -> f64 {
        let all = [&self.requests, &self.input, &self.output].into_iter().flatten();
        let left = |Measured { bucket, .. }: &Measured| {
            bucket.remaining(now).min(bucket.capacity()) as f64 / bucket.capacity().max(1) as f64
        };
        let room =
            self.at_once.map(|most| f64::from(most.saturating_sub(self.under_way)) / f64::from(most.max(1)));
        all.map(left).chain(room).fold(1.0, f64::min)
    }

    /// The scarcer of input and output tokens.
    fn tokens_left(&self, now: Duration) -> u64 {
        let left = |measured: &Option<Measured>| {
            measured.as_ref().map_or(u64::MAX, |measured| measured.bucket.remaining(now))
        };
        left(&self.input).min(left(&self.output))
    }
}

/// Whether the first moment is after the second; never is after every moment.
pub(crate) fn later(one: Option<Duration>, other: Option<Duration>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one > other,
        (one, other) => one.is_none() && other.is_some(),
    }
}

/// The sum of these meters, as one group of headers; nothing if there is none.
fn push_tokens(
    headers: &mut Vec<(&'static str, String)>,
    names: Names,
    meters: &[Option<&Measured>],
    now: Duration,
) {
    let buckets: Vec<&Bucket> = meters.iter().flatten().map(|measured| &measured.bucket).collect();
    if buckets.is_empty() {
        return;
    }
    let limit = buckets.iter().map(|bucket| bucket.per_minute()).sum();
    let left: u64 = buckets.iter().map(|bucket| bucket.remaining(now)).sum();
    let rounded = left.saturating_add(500) / 1000 * 1000;
    let full =
        buckets.iter().try_fold(now, |latest, bucket| bucket.full_at(now).map(|full| latest.max(full)));
    push(headers, names, limit, rounded.min(limit), full);
}

fn push(
    headers: &mut Vec<(&'static str, String)>,
    [limit_name, remaining_name, reset_name]: Names,
    limit: u64,
    remaining: u64,
    full_at: Option<Duration>,
) {
    headers.push((limit_name, limit.to_string()));
    headers.push((remaining_name, remaining.to_string()));
    if let Some(moment) = full_at {
        headers.push((reset_name, rfc3339(moment)));
    }
}
