//! What is asked of the relay: calls of three kinds, and when each of them comes. Knows sizes and
//! moments; refuses to know who is asked.

use std::time::Duration;

use relay_plan::{Arrival, Dice, Kind, Mix};
use relay_sim::Pace;

/// From a request to the head of its answer.
const LATENCY: Duration = Duration::from_millis(500);
/// The provider's pace: 240 tokens a second, as fast models have, so that long answers end while one waits.
pub(super) const PACE: Pace =
    Pace { first_event: LATENCY, between_events: Duration::from_millis(100), tokens_per_event: 24 };
/// Events of a stream which bring no text but come at the same pace: its beginning and end, and those of a block.
const OTHER_EVENTS: u32 = 4;
/// Of so many calls, one wants its answer whole.
const ONE_IN: u64 = 4;

/// A call, and when it comes after the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) after: Duration,
    /// The place of its kind.
    pub(super) kind: usize,
    pub(super) manner: Manner,
}

/// How an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Streamed,
    Whole,
}

/// Six short questions, two with a long prompt, one with a long answer.
pub(super) fn kinds() -> Vec<Kind> {
    let pace = Some(PACE.tokens_per_event * 1_000 / 100);
    let kind = |name, share, input, output| Kind { name, share, input, output, pace, latency: LATENCY };
    vec![kind("small", 6, 500, 150), kind("prompt", 2, 20_000, 200), kind("answer", 1, 800, 3_000)]
}

/// Calls that come for so long, so many a second on average, whatever becomes of those before them.
pub(super) fn schedule(kinds: &[Kind], per_second: f64, lasts: Duration, seed: u64) -> Vec<Call> {
    let every = Duration::from_secs(1).div_f64(per_second);
    let arrivals = Mix { kinds: kinds.to_vec(), every, lasts }.arrivals(Dice::seeded(seed));
    // Dice of its own, or when a call comes would decide how.
    let mut dice = Dice::seeded(!seed);
    let call = |Arrival { after, kind, .. }| Call { after, kind, manner: Manner::roll(&mut dice) };
    arrivals.into_iter().map(call).collect()
}

impl Manner {
    fn roll(dice: &mut Dice) -> Self {
        if dice.below(ONE_IN) == 0 { Self::Whole } else { Self::Streamed }
    }
}

impl Call {
    /// How long the provider takes to begin its answer, once it has the call.
    pub(super) fn time_to_head(&self, kind: &Kind) -> Duration {
        match self.manner {
            Manner::Streamed => LATENCY,
            Manner::Whole => LATENCY + PACE.between_events * deltas(kind),
        }
    }

    /// How long its answer then flows. One that comes whole comes, and is charged, at once.
    pub(super) fn flows_for(&self, kind: &Kind) -> Duration {
        match self.manner {
            Manner::Streamed => PACE.between_events * (deltas(kind) + OTHER_EVENTS),
            Manner::Whole => Duration::ZERO,
        }
    }
}

/// How long the longest answer takes from its call to its end.
pub(super) fn longest(kinds: &[Kind]) -> Duration {
    let deltas = kinds.iter().map(deltas).max().unwrap_or_default();
    LATENCY + PACE.between_events * (deltas + OTHER_EVENTS)
}

/// The pieces in which an answer comes.
fn deltas(kind: &Kind) -> u32 {
    u32::try_from(kind.output.div_ceil(PACE.tokens_per_event)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_as_often_as_they_shall_and_in_their_shares() {
        let kinds = kinds();
        let calls = schedule(&kinds, 20.0, Duration::from_secs(1_000), 1);
        assert!((19_000..21_000).contains(&calls.len()), "{}", calls.len());
        assert!(calls.is_sorted_by_key(|call| call.after));
        // Of a thousand.
        let part = |wanted: &dyn Fn(&Call) -> bool| {
            calls.iter().filter(|call| wanted(call)).count() * 1_000 / calls.len()
        };
        for (kind, wanted) in [667, 222, 111].into_iter().enumerate() {
            let found = part(&|call| call.kind == kind);
            assert!(found.abs_diff(wanted) <= 15, "{found} of kind {kind}");
        }
        assert!((235..=265).contains(&part(&|call| call.manner == Manner::Whole)));
        let whole_answers = |call: &Call| call.kind == 2 && call.manner == Manner::Whole;
        assert!(calls.iter().any(whole_answers), "which answers come whole does not depend on their kind");
    }

    #[test]
    fn the_same_seed_gives_the_same_calls() {
        let calls = |seed| schedule(&kinds(), 5.0, Duration::from_secs(10), seed);
        assert_eq!(calls(1), calls(1));
        assert_ne!(calls(1), calls(2));
    }

    #[test]
    fn an_answer_takes_as_long_as_the_provider_takes_to_write_it() {
        let answer = &kinds()[2];
        let call = |manner| Call { after: Duration::ZERO, kind: 2, manner };
        let times = |manner| (call(manner).time_to_head(answer), call(manner).flows_for(answer));
        assert_eq!(times(Manner::Streamed), (LATENCY, Duration::from_millis(12_900)));
        assert_eq!(times(Manner::Whole), (Duration::from_secs(13), Duration::ZERO));
        assert_eq!(longest(&kinds()), Duration::from_millis(13_400));
    }
}
