//! What became of many calls, counted. Knows kinds, moments and fates; refuses to know what is good enough.

use std::time::Duration;

use relay_plan::{Kind, float};

use crate::soak::pool::crowd::{Fate, Seen};
use crate::soak::pool::fluid::PARTS;

/// A stretch of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

/// What became of the calls of one kind that came in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) came: u64,
    pub(super) served: u64,
    /// How long those who were served had waited, sorted.
    pub(super) waits: Vec<Duration>,
}

/// What the relay told those whom it refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusals {
    /// How long each was told to wait, sorted.
    pub(super) told: Vec<Duration>,
    /// They were told nothing.
    pub(super) untold: u64,
    /// They had been let wait, and their stream had begun, before it turned out to be in vain.
    pub(super) late: u64,
}

impl Row {
    /// The part of them that was served.
    pub(super) fn part(&self) -> f64 {
        float(self.served) / float(self.came.max(1))
    }
}

impl Window {
    fn holds(self, moment: Duration) -> bool {
        (self.from..self.to).contains(&moment)
    }

    /// How much of what flows evenly from `began` for so long flows in it, in [`PARTS`].
    fn part(self, began: Duration, lasts: Duration) -> u64 {
        if lasts.is_zero() {
            return u64::from(self.holds(began)) * PARTS;
        }
        let inside = (began + lasts).min(self.to).saturating_sub(began.max(self.from));
        let parts = inside.as_nanos() * u128::from(PARTS) / lasts.as_nanos();
        u64::try_from(parts).unwrap_or(PARTS)
    }
}

/// What became of those that came in a window, by kind.
pub(super) fn rows(seen: &[Seen], kinds: &[Kind], window: Window) -> Vec<Row> {
    let mut rows: Vec<Row> = kinds.iter().map(|kind| Row { name: kind.name, ..Row::default() }).collect();
    for Seen { call, sent, fate } in seen.iter().filter(|seen| window.holds(seen.sent)) {
        let row = &mut rows[call.kind];
        row.came += 1;
        if let Fate::Answered { began } = fate {
            row.served += 1;
            let waited = began.saturating_sub(*sent);
            row.waits.push(waited.saturating_sub(call.time_to_head(&kinds[call.kind])));
        }
    }
    for row in &mut rows {
        row.waits.sort_unstable();
    }
    rows
}

/// How much was carried in a window, by kind: of an answer that flowed only partly in it, that part.
pub(super) fn carried(seen: &[Seen], kinds: &[Kind], window: Window) -> Vec<u64> {
    let mut carried = vec![0; kinds.len()];
    for Seen { call, fate, .. } in seen {
        if let Fate::Answered { began } = fate {
            carried[call.kind] += window.part(*began, call.flows_for(&kinds[call.kind]));
        }
    }
    carried
}

/// What all those were told who were refused.
pub(super) fn refusals(seen: &[Seen]) -> Refusals {
    let mut refusals = Refusals::default();
    for Seen { fate, .. } in seen {
        match fate {
            Fate::Refused { retry_after: Some(wait), .. } => refusals.told.push(*wait),
            Fate::Refused { retry_after: None, .. } => refusals.untold += 1,
            Fate::RefusedLate { .. } => refusals.late += 1,
            Fate::Answered { .. } | Fate::Lost { .. } => {}
        }
    }
    refusals.told.sort_unstable();
    refusals
}

/// Why calls were lost.
pub(super) fn losses(seen: &[Seen]) -> Vec<String> {
    let why = |seen: &Seen| match &seen.fate {
        Fate::Lost { why } => Some(why.clone()),
        Fate::Answered { .. } | Fate::Refused { .. } | Fate::RefusedLate { .. } => None,
    };
    seen.iter().filter_map(why).collect()
}

/// How much later than it was due each call was sent, sorted.
pub(super) fn tardiness(seen: &[Seen]) -> Vec<Duration> {
    let mut late: Vec<Duration> = seen.iter().map(|seen| seen.sent.saturating_sub(seen.call.after)).collect();
    late.sort_unstable();
    late
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::pool::load::{Call, Manner, kinds};

    const WINDOW: Window = Window { from: Duration::from_secs(10), to: Duration::from_secs(20) };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn seen(kind: usize, manner: Manner, sent: u64, fate: Fate) -> Seen {
        let sent = seconds(sent);
        Seen { call: Call { after: sent, kind, manner }, sent, fate }
    }

    fn answered(millis: u64) -> Fate {
        Fate::Answered { began: Duration::from_millis(millis) }
    }

    #[test]
    fn calls_count_by_when_they_came_and_work_by_when_it_was_done() {
        let refused = Fate::Refused { at: seconds(12), retry_after: Some(seconds(9)) };
        let all = [
            seen(0, Manner::Streamed, 9, answered(10_100)),
            seen(0, Manner::Streamed, 12, answered(14_500)),
            seen(0, Manner::Streamed, 12, refused),
            // 12.9 s long, of which 6.45 are in the window.
            seen(2, Manner::Streamed, 13, answered(13_550)),
            seen(1, Manner::Whole, 19, answered(20_400)),
        ];
        let rows = rows(&all, &kinds(), WINDOW);
        assert_eq!([0, 1, 2].map(|kind| (rows[kind].came, rows[kind].served)), [(2, 1), (1, 1), (1, 1)]);
        assert_eq!(rows[0].waits, [seconds(2)]);
        assert_eq!(carried(&all, &kinds(), WINDOW), [2_000, 0, 500]);
        assert_eq!(refusals(&all), Refusals { told: vec![seconds(9)], untold: 0, late: 0 });
        assert!(losses(&all).is_empty());
    }

    #[test]
    fn what_went_wrong_is_told() {
        let lost = Fate::Lost { why: "the stream was cut".to_owned() };
        let untold = Fate::Refused { at: seconds(1), retry_after: None };
        let all = [lost, untold, Fate::RefusedLate { at: Duration::ZERO }]
            .map(|fate| seen(0, Manner::Whole, 1, fate));
        assert_eq!(losses(&all), ["the stream was cut"]);
        assert_eq!(refusals(&all), Refusals { told: Vec::new(), untold: 1, late: 1 });
    }

    #[test]
    fn a_client_that_is_late_is_found_out() {
        let mut late = seen(0, Manner::Whole, 3, Fate::RefusedLate { at: Duration::ZERO });
        late.sent += Duration::from_millis(40);
        assert_eq!(
            tardiness(&[late, seen(0, Manner::Whole, 3, Fate::RefusedLate { at: Duration::ZERO })]),
            [Duration::ZERO, Duration::from_millis(40)]
        );
    }
}
