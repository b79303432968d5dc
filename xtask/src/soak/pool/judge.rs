//! What is demanded, and whether what was found holds it. Knows bounds; refuses to measure or to print.

use std::time::Duration;

use relay_plan::float;

use crate::bench::statistics::permille;
use crate::soak::pool::above::Overload;
use crate::soak::pool::below::Added;
use crate::soak::pool::retries::Retry;

/// What is demanded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    /// So many thousandths of all answers begin so little later than without the relay.
    pub(super) added: (usize, Duration),
    /// The least that is carried, as a share of the most that could have been.
    pub(super) goodput: f64,
    /// The least that is served of each kind, as a share of what could have been served of all kinds alike.
    pub(super) fairness: f64,
    /// Of 1,000 requests, the provider refuses at most so many; and however few there were, one may always be.
    pub(super) refused: f64,
    /// Of 1,000 calls, at most so many are refused after they had been let wait so long that their head was out.
    pub(super) in_vain: f64,
    /// What `plan` foresees of calls that are served is off by at most so much.
    pub(super) foresight: f64,
    /// Whoever comes back when he was told to waits at most so long.
    pub(super) late: Duration,
    /// So many must have come back, or nothing is known of it.
    pub(super) retries: usize,
}

/// One demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) found: String,
    pub(super) demanded: String,
    pub(super) holds: bool,
}

impl Bounds {
    /// As is demanded of the relay when there is time to look.
    pub(super) const LONG: Self = Self {
        added: (990, Duration::from_millis(5)),
        goodput: 0.97,
        fairness: 0.95,
        refused: 1.0,
        in_vain: 10.0,
        foresight: 0.05,
        late: Duration::from_secs(1),
        retries: 10,
    };

    /// What some twenty seconds can show, on a machine that has other things to do as well. A single large call more or
    /// less is a hundredth of what is carried in that time, needs and limits were learned from a few dozen calls, and of
    /// the hundred calls by which the added time is measured the slowest are the machine's.
    pub(super) const SHORT: Self = Self {
        added: (500, Duration::from_millis(5)),
        goodput: 0.85,
        fairness: 0.75,
        refused: 5.0,
        in_vain: 30.0,
        foresight: 0.1,
        late: Duration::from_secs(2),
        retries: 1,
    };

    pub(super) fn of_added(&self, added: &Added) -> Vec<Finding> {
        let (quantile, most) = self.added;
        let [relayed, direct] = [&added.relayed, &added.direct].map(|all| permille(all, quantile));
        let more = relayed.saturating_sub(direct);
        vec![
            finding(
                format!("added to the first byte, p{}", float(quantile as u64) / 10.0),
                format!("{more:.1?}"),
                format!("less than {most:?}"),
                more < most && !added.relayed.is_empty(),
            ),
            none("calls that were not served", &added.failed),
        ]
    }

    pub(super) fn of_overload(&self, overload: &Overload) -> Vec<Finding> {
        let Overload { rows, fair, goodput, requests, refused, refusals, foresight, lost, .. } = overload;
        let least = rows.iter().map(|row| row.part() / fair).fold(f64::INFINITY, f64::min);
        let came: u64 = rows.iter().map(|row| row.came).sum();
        let of_1000 = |count: u64, all: u64| float(count) * 1_000.0 / float(all.max(1));
        let at_most = |most: f64| format!("at most {most:.0} of 1,000");
        vec![
            finding(
                "goodput, of the fluid optimum".to_owned(),
                percent(*goodput),
                format!("at least {}", percent(self.goodput)),
                *goodput >= self.goodput,
            ),
            finding(
                "served of each kind, of the same part of all".to_owned(),
                percent(least),
                format!("at least {}", percent(self.fairness)),
                least >= self.fairness,
            ),
            finding(
                "refused by the provider".to_owned(),
                format!("{:.1} of 1,000", of_1000(*refused, *requests)),
                at_most(self.refused),
                *refused <= 1 || of_1000(*refused, *requests) <= self.refused,
            ),
            finding(
                "refused after their head was out".to_owned(),
                format!("{:.1} of 1,000", of_1000(refusals.late, came)),
                at_most(self.in_vain),
                of_1000(refusals.late, came) <= self.in_vain,
            ),
            finding(
                "refused without `retry-after`".to_owned(),
                refusals.untold.to_string(),
                "none".to_owned(),
                refusals.untold == 0,
            ),
            finding(
                "calls that are served, as `plan` foresees them".to_owned(),
                format!("{:.0} for {:.0}", foresight.foreseen, foresight.seen),
                format!("off by at most {}", percent(self.foresight)),
                foresight.error() <= self.foresight,
            ),
            none("calls that were neither served nor refused", lost),
        ]
    }

    pub(super) fn of_retries(&self, retries: &[Retry]) -> Vec<Finding> {
        let is_true = |retry: &&Retry| retry.waited.is_some_and(|waited| waited <= self.late);
        let n_true = retries.iter().filter(is_true).count();
        vec![finding(
            format!("came back when told, and served within {:?}", self.late),
            format!("{n_true} of {}", retries.len()),
            format!("all, of at least {}", self.retries),
            n_true == retries.len() && n_true >= self.retries,
        )]
    }
}

/// A part of something.
pub(super) fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

fn finding(what: String, found: String, demanded: String, holds: bool) -> Finding {
    Finding { what, found, demanded, holds }
}

/// There must be none; of those that there are, the first says what it was.
fn none(what: &str, all: &[String]) -> Finding {
    let first = all.first().map(|why| format!(": {why}")).unwrap_or_default();
    finding(what.to_owned(), format!("{}{first}", all.len()), "none".to_owned(), all.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::pool::foresight::Foresight;
    use crate::soak::pool::load::{Call, Manner};
    use crate::soak::pool::tally::{Refusals, Row};

    fn broken(findings: &[Finding]) -> Vec<&str> {
        findings.iter().filter(|finding| !finding.holds).map(|finding| finding.what.as_str()).collect()
    }

    fn row(served: u64) -> Row {
        Row { name: "small", came: 1_000, served, waits: Vec::new() }
    }

    fn good() -> Overload {
        Overload {
            rows: vec![row(660), row(900)],
            fair: 0.66,
            goodput: 0.97,
            requests: 5_000,
            refused: 5,
            foresight: Foresight { foreseen: 1_500.0, seen: 1_560.0 },
            ..Overload::default()
        }
    }

    #[test]
    fn each_demand_is_judged_by_itself() {
        let judged = |overload: &Overload| {
            let findings = Bounds::LONG.of_overload(overload);
            broken(&findings).join("; ")
        };
        assert_eq!(judged(&good()), "");
        assert_eq!(judged(&Overload { goodput: 0.969, ..good() }), "goodput, of the fluid optimum");
        let starved = Overload { rows: vec![row(620), row(900)], ..good() };
        assert_eq!(judged(&starved), "served of each kind, of the same part of all");
        assert_eq!(judged(&Overload { refused: 6, ..good() }), "refused by the provider");
        assert_eq!(
            judged(&Overload { refused: 1, requests: 100, ..good() }),
            "",
            "one is no part of anything"
        );
        let late = Refusals { late: 21, ..Refusals::default() };
        assert_eq!(judged(&Overload { refusals: late, ..good() }), "refused after their head was out");
        let untold = Refusals { untold: 1, ..Refusals::default() };
        assert_eq!(judged(&Overload { refusals: untold, ..good() }), "refused without `retry-after`");
        let off = Foresight { foreseen: 1_640.0, seen: 1_560.0 };
        assert_eq!(
            judged(&Overload { foresight: off, ..good() }),
            "calls that are served, as `plan` foresees them"
        );
        let lost = Overload { lost: vec!["the stream was cut".to_owned()], ..good() };
        assert_eq!(judged(&lost), "calls that were neither served nor refused");
        assert!(
            Bounds::LONG.of_overload(&lost).iter().any(|finding| finding.found == "1: the stream was cut")
        );
    }

    #[test]
    fn what_was_never_measured_does_not_hold() {
        assert_eq!(broken(&Bounds::LONG.of_added(&Added::default())), ["added to the first byte, p99"]);
        assert_eq!(broken(&Bounds::SHORT.of_added(&Added::default())), ["added to the first byte, p50"]);
        assert_eq!(Bounds::SHORT.of_retries(&[]).iter().filter(|finding| finding.holds).count(), 0);
        assert!(!broken(&Bounds::LONG.of_overload(&Overload::default())).is_empty());
    }

    #[test]
    fn the_relay_adds_what_the_direct_way_does_not_have() {
        let times = |millis: u64| (0..1_000).map(|_| Duration::from_millis(millis)).collect::<Vec<_>>();
        let added = |millis| Added { relayed: times(millis), direct: times(2), failed: Vec::new() };
        assert!(broken(&Bounds::LONG.of_added(&added(6))).is_empty());
        assert_eq!(broken(&Bounds::LONG.of_added(&added(7))), ["added to the first byte, p99"]);
    }

    #[test]
    fn one_untrue_retry_after_is_one_too_many() {
        let call = Call { after: Duration::ZERO, kind: 0, manner: Manner::Whole };
        let told = Some(Duration::from_secs(6));
        let retry = |waited: Option<u64>| Retry { call, told, waited: waited.map(Duration::from_millis) };
        let mut retries = vec![retry(Some(3)); 10];
        assert!(broken(&Bounds::LONG.of_retries(&retries)).is_empty());
        for untrue in [Some(1_001), None] {
            retries[4] = retry(untrue);
            assert_eq!(broken(&Bounds::LONG.of_retries(&retries)).len(), 1, "{untrue:?}");
        }
    }
}
