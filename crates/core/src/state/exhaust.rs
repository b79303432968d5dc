//! When nobody serves a call: which of several reasons is the most useful to the client.

use crate::plan::{Exhausted, Plan};
use crate::verdict::{Breakage, Fault, Verdict};

use super::survey::Survey;

impl Plan {
    /// Nobody can be asked now, nor soon enough. A retry that will help comes before one that may, and
    /// that before none; a provider's own words come before a bare failure of ours.
    pub(super) fn exhausted(&self, survey: &Survey) -> Exhausted {
        let met = |wanted: fn(Verdict) -> bool| self.met.iter().any(|met| wanted(met.verdict));
        if met(|verdict| matches!(verdict, Verdict::Overloaded { .. })) {
            return Exhausted::Overloaded;
        }
        if let Some(until) = survey.ready {
            return Exhausted::Spent { until };
        }
        if met(|verdict| matches!(verdict, Verdict::Broken(Breakage::Late))) {
            return Exhausted::Late;
        }
        if met(|verdict| verdict.effect().fault == Fault::Provider) {
            return Exhausted::Broken;
        }
        if met(|verdict| matches!(verdict, Verdict::Unfit | Verdict::AboutThisCall | Verdict::OutOfMoney)) {
            return Exhausted::Words;
        }
        // What is left are keys that were not accepted, and keys that a reload has taken away.
        let barred = survey.barred || met(|verdict| matches!(verdict, Verdict::KeyBad(_)));
        if barred { Exhausted::Barred } else { Exhausted::Nobody }
    }
}
