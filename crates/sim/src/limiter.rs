//! Who may still take how much: the buckets of every organization and workspace, per model class.
//!
//! These rules are written a second time, apart from the relay's own, so that they can judge it.
//! They know indices, classes and moments passed in; they refuse to know HTTP.

use std::{collections::HashMap, time::Duration};

use crate::{
    bucket::Bucket,
    meters::{Meters, later},
    settings::{Limit, Organization, Settings},
    window::{UsedUp, Windows},
};

pub use crate::meters::{Holder, Meter, Shortage};

/// Whose limits a call counts against, as places in the [`Settings`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Account {
    /// Place in `organizations`.
    pub organization: usize,
    /// Place in that organization's `workspaces`.
    pub workspace: usize,
    /// Place in that workspace's `keys`.
    pub key: usize,
}

/// One bucket, for a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gauge {
    /// The id of the organization.
    pub organization: String,
    /// The id of the workspace, if the limit is a workspace's.
    pub workspace: Option<String>,
    /// The model class.
    pub class: String,
    /// What it limits.
    pub meter: Meter,
    /// Units a minute.
    pub per_minute: u64,
    /// Whole units of a full bucket.
    pub capacity: u64,
    /// Whole units that are left; below zero in debt.
    pub level: i64,
    /// The greatest number of units ever taken beyond the bucket; 0 if never.
    pub overshoot: u64,
    /// How many calls this bucket refused.
    pub refused: u64,
}

/// All buckets.
#[derive(Debug)]
pub struct Limiter {
    organizations: Vec<Limits>,
    /// By organization, then workspace.
    workspaces: Vec<Vec<Limits>>,
    /// Token counts, by organization.
    token_counts: Vec<Option<Bucket>>,
    /// Of subscriptions, by organization.
    windows: Vec<Windows>,
}

/// What one holder has: the limits as configured, and a set of buckets per class seen.
#[derive(Debug)]
struct Limits {
    each: Limit,
    classes: Vec<(String, Limit)>,
    meters: HashMap<String, Meters>,
}

impl Limiter {
    /// Full buckets for everybody.
    pub fn new(settings: &Settings, now: Duration) -> Self {
        let counts = |organization: &Organization| {
            organization.token_counts.map(|rate| Bucket::new(rate, organization.limit.burst, now))
        };
        Self {
            organizations: settings.organizations.iter().map(Limits::of_organization).collect(),
            workspaces: settings
                .organizations
                .iter()
                .map(|organization| {
                    organization.workspaces.iter().map(|workspace| Limits::each(workspace.limit)).collect()
                })
                .collect(),
            token_counts: settings.organizations.iter().map(counts).collect(),
            windows: settings.organizations.iter().map(|it| Windows::new(&it.windows)).collect(),
        }
    }

    /// May a call of this class come, as far as windows are concerned?
    pub(crate) fn open(&mut self, account: Account, class: &str, now: Duration) -> Result<(), UsedUp> {
        self.windows[account.organization].admit(class, now)
    }

    /// Takes one request and `input` tokens, if every bucket concerned admits it. Output is
    /// admitted as long as one token of it is left.
    pub fn admit(
        &mut self,
        account: Account,
        class: &str,
        input: u64,
        now: Duration,
    ) -> Result<(), Shortage> {
        let mut worst: Option<Shortage> = None;
        for (holder, meters) in self.concerned(account, class, now) {
            if let Some(shortage) = meters.shortage(holder, input, now)
                && worst.as_ref().is_none_or(|worst| later(shortage.until, worst.until))
            {
                worst = Some(shortage);
            }
        }
        if let Some(shortage) = worst {
            return Err(shortage);
        }
        for (_, meters) in self.concerned(account, class, now) {
            meters.take(Meter::Requests, 1, now);
            meters.take(Meter::Input, input, now);
        }
        self.windows[account.organization].take(class, input, now);
        Ok(())
    }

    /// A call of this class begins, if not too many are under way. If it does, it is to be told when it [`leave`](Self::leave)s.
    pub fn enter(&mut self, account: Account, class: &str, now: Duration) -> bool {
        let has_room = self.concerned(account, class, now).all(|(_, meters)| meters.has_room());
        if has_room {
            self.concerned(account, class, now).for_each(|(_, meters)| meters.enter());
        }
        has_room
    }

    /// Its answer has ended, or its client has left.
    pub fn leave(&mut self, account: Account, class: &str, now: Duration) {
        self.concerned(account, class, now).for_each(|(_, meters)| meters.leave());
    }

    /// Replaces an estimate of input tokens by what it really was.
    pub fn correct(&mut self, account: Account, class: &str, estimate: u64, actual: u64, now: Duration) {
        for (_, meters) in self.concerned(account, class, now) {
            meters.take(Meter::Input, actual.saturating_sub(estimate), now);
            meters.give_back(Meter::Input, estimate.saturating_sub(actual), now);
        }
        let windows = &mut self.windows[account.organization];
        windows.take(class, actual.saturating_sub(estimate), now);
        windows.give_back(class, estimate.saturating_sub(actual), now);
    }

    /// Charges output tokens as they are produced.
    pub fn produce(&mut self, account: Account, class: &str, tokens: u64, now: Duration) {
        for (_, meters) in self.concerned(account, class, now) {
            meters.take(Meter::Output, tokens, now);
        }
        self.windows[account.organization].take(class, tokens, now);
    }

    /// Takes one token count of the organization's.
    pub fn count_tokens(&mut self, account: Account, now: Duration) -> Result<(), Shortage> {
        let Some(bucket) = &mut self.token_counts[account.organization] else { return Ok(()) };
        if bucket.admits(1, now) {
            bucket.take(1, now);
            return Ok(());
        }
        Err(Shortage {
            meter: Meter::Requests,
            per_minute: bucket.per_minute(),
            holder: Holder::Organization,
            until: bucket.admissible_at(1, now),
        })
    }

    /// The rate-limit headers of an answer. Token levels are rounded to thousands; `tokens` is the
    /// sum of input and output, of the workspace where that is tighter than the organization.
    pub fn headers(&mut self, account: Account, class: &str, now: Duration) -> Vec<(&'static str, String)> {
        let organization = self.organizations[account.organization].of(class, now);
        let workspace = self.workspaces[account.organization][account.workspace].of(class, now);
        organization.headers(workspace, now)
    }

    /// Those about the windows of its subscription.
    pub(crate) fn window_headers(
        &mut self,
        account: Account,
        class: &str,
        now: Duration,
    ) -> Vec<(String, String)> {
        self.windows[account.organization].headers(class, now)
    }

    /// Every bucket that was ever looked at, in the order of the settings and then of class names.
    pub fn gauges(&self, settings: &Settings, now: Duration) -> Vec<Gauge> {
        let mut gauges = Vec::new();
        for (place, organization) in settings.organizations.iter().enumerate() {
            self.organizations[place].report(&organization.id, None, now, &mut gauges);
            for (limits, workspace) in self.workspaces[place].iter().zip(&organization.workspaces) {
                limits.report(&organization.id, Some(&workspace.id), now, &mut gauges);
            }
        }
        gauges
    }

    /// How much is left in the emptiest bucket, as a part of a full one; 1 if there is none.
    pub fn lowest(&self, now: Duration) -> f64 {
        let holders = self.organizations.iter().chain(self.workspaces.iter().flatten());
        let meters = holders.flat_map(|limits| limits.meters.values());
        meters.map(|meters| meters.lowest(now)).fold(1.0, f64::min)
    }

    fn concerned(
        &mut self,
        account: Account,
        class: &str,
        now: Duration,
    ) -> impl Iterator<Item = (Holder, &mut Meters)> {
        let organization = self.organizations[account.organization].of(class, now);
        let workspace = self.workspaces[account.organization][account.workspace].of(class, now);
        [(Holder::Organization, organization), (Holder::Workspace, workspace)].into_iter()
    }
}

impl Limits {
    fn each(each: Limit) -> Self {
        Self { each, classes: Vec::new(), meters: HashMap::new() }
    }

    fn of_organization(organization: &Organization) -> Self {
        let classes =
            organization.class_limits.iter().map(|limit| (limit.class.clone(), limit.limit)).collect();
        Self { classes, ..Self::each(organization.limit) }
    }

    fn of(&mut self, class: &str, now: Duration) -> &mut Meters {
        if !self.meters.contains_key(class) {
            let own = self.classes.iter().find(|(name, _)| name == class).map(|(_, limit)| *limit);
            self.meters.insert(class.to_owned(), Meters::new(own.unwrap_or(self.each), now));
        }
        self.meters.get_mut(class).expect("it was inserted just now if it was missing")
    }

    fn report(&self, organization: &str, workspace: Option<&str>, now: Duration, gauges: &mut Vec<Gauge>) {
        let mut classes: Vec<_> = self.meters.iter().collect();
        classes.sort_by_key(|(class, _)| *class);
        for (class, meters) in classes {
            for meter in [Meter::Requests, Meter::Input, Meter::Output] {
                let Some(measured) = meters.get(meter) else { continue };
                gauges.push(Gauge {
                    organization: organization.to_owned(),
                    workspace: workspace.map(str::to_owned),
                    class: class.clone(),
                    meter,
                    per_minute: measured.bucket.per_minute(),
                    capacity: measured.bucket.capacity(),
                    level: measured.bucket.level(now),
                    overshoot: measured.bucket.overshoot(),
                    refused: measured.refused,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::{collection::vec, prop_assert, prop_assert_eq, proptest};

    use super::{Account, Holder, Limiter, Meter};
    use crate::settings::{ClassLimit, Limit, Organization, Settings, Workspace};

    const START: Duration = Duration::from_secs(1_795_000_000);
    const FIRST: Account = Account { organization: 0, workspace: 0, key: 0 };
    const SECOND: Account = Account { organization: 0, workspace: 1, key: 0 };

    fn settings(limit: Limit, narrower: Limit) -> Settings {
        let workspace = |id| Workspace { limit: narrower, ..Workspace::open(id, &[]) };
        let organization = Organization {
            limit,
            workspaces: vec![workspace("one"), Workspace::open("two", &[])],
            ..Organization::open("acme", &[])
        };
        Settings { organizations: vec![organization], ..Settings::default() }
    }

    fn minute(requests: u64, input: u64, output: u64) -> Limit {
        Limit::per_minute(requests, input, output, Duration::from_mins(1))
    }

    proptest! {
        /// What a refusal promises is true: at that moment, alone, the call is admitted.
        #[test]
        fn a_refused_call_is_admitted_when_it_was_told(
            burst in 1_u64..60,
            calls in vec((0_u64..3_000, 0_u64..40_000, 0_u64..9_000), 1..40),
        ) {
            let limit = Limit::per_minute(60, 100_000, 20_000, Duration::from_secs(burst));
            let settings = settings(limit, Limit::per_minute(30, 60_000, 15_000, Duration::from_secs(burst)));
            let mut limiter = Limiter::new(&settings, START);
            let mut now = START;
            for (pause, input, output) in calls {
                now += Duration::from_millis(pause);
                if let Err(shortage) = limiter.admit(FIRST, "class", input, now) {
                    let until = shortage.until.expect("every rate is above 0");
                    prop_assert!(until > now);
                    let just_before = until.saturating_sub(Duration::from_nanos(1));
                    prop_assert!(limiter.admit(FIRST, "class", input, just_before).is_err());
                    prop_assert_eq!(limiter.admit(FIRST, "class", input, until), Ok(()));
                    now = until;
                }
                limiter.produce(FIRST, "class", output, now);
            }
        }
    }

    #[test]
    fn workspaces_share_the_organization_and_classes_share_nothing() {
        let mut limiter = Limiter::new(&settings(minute(2, 1_000_000, 1_000_000), Limit::none()), START);
        assert_eq!(limiter.admit(FIRST, "opus", 10, START), Ok(()));
        assert_eq!(limiter.admit(SECOND, "opus", 10, START), Ok(()));
        assert!(limiter.admit(FIRST, "opus", 10, START).is_err());
        assert_eq!(limiter.admit(FIRST, "haiku", 10, START), Ok(()));
    }

    #[test]
    fn a_class_may_have_a_limit_of_its_own() {
        let mut settings = settings(minute(1, 1000, 1000), Limit::none());
        settings.organizations[0].class_limits =
            vec![ClassLimit { class: "haiku".into(), limit: minute(3, 1000, 1000) }];
        let mut limiter = Limiter::new(&settings, START);
        let admitted = |limiter: &mut Limiter, class| {
            (0..5).filter(|_| limiter.admit(FIRST, class, 1, START).is_ok()).count()
        };
        assert_eq!(admitted(&mut limiter, "opus"), 1);
        assert_eq!(admitted(&mut limiter, "haiku"), 3);
    }

    #[test]
    fn a_narrower_workspace_refuses_first_and_is_what_the_tokens_headers_show() {
        let mut limiter =
            Limiter::new(&settings(minute(100, 90_000, 90_000), minute(50, 10_000, 10_000)), START);
        limiter.admit(FIRST, "opus", 10_000, START).expect("the buckets are full");
        let shortage = limiter.admit(FIRST, "opus", 1, START).expect_err("the workspace has nothing left");
        assert_eq!((shortage.meter, shortage.holder), (Meter::Input, Holder::Workspace));
        assert_eq!(shortage.per_minute, 10_000);
        let headers = limiter.headers(FIRST, "opus", START);
        let value = |name: &str| {
            let full = format!("anthropic-ratelimit-{name}");
            headers.iter().find(|(found, _)| *found == full).map(|(_, value)| value.as_str())
        };
        assert_eq!(value("tokens-limit"), Some("20000"));
        assert_eq!(value("input-tokens-limit"), Some("90000"));
        assert_eq!(value("input-tokens-remaining"), Some("80000"));
        assert_eq!(value("requests-remaining"), Some("99"));
        assert_eq!(limiter.admit(SECOND, "opus", 1, START), Ok(()));
    }

    #[test]
    fn where_only_input_or_only_output_is_limited_no_header_speaks_of_both() {
        for (input, output) in [(Some(1_000), None), (None, Some(1_000)), (None, None)] {
            let limit = Limit { input, output, ..minute(1, 1, 1) };
            let mut limiter = Limiter::new(&settings(limit, Limit::none()), START);
            let headers = limiter.headers(FIRST, "opus", START);
            let has = |name: &str| headers.iter().any(|(found, _)| found.contains(name));
            assert!(!has("ratelimit-tokens"), "{headers:?}");
            assert_eq!((has("input-tokens"), has("output-tokens")), (input.is_some(), output.is_some()));
        }
    }

    #[test]
    fn an_estimate_is_corrected_in_both_directions_and_output_becomes_debt() {
        let settings = settings(minute(100, 10_000, 1000), Limit::none());
        let mut limiter = Limiter::new(&settings, START);
        limiter.admit(FIRST, "opus", 4000, START).expect("the buckets are full");
        limiter.correct(FIRST, "opus", 4000, 1000, START);
        limiter.admit(FIRST, "opus", 9000, START).expect("9,000 are left");
        limiter.correct(FIRST, "opus", 9000, 9500, START);
        limiter.produce(FIRST, "opus", 1200, START);
        let overshoot: Vec<_> =
            limiter.gauges(&settings, START).iter().map(|gauge| (gauge.meter, gauge.overshoot)).collect();
        assert_eq!(overshoot, [(Meter::Requests, 0), (Meter::Input, 500), (Meter::Output, 200)]);
        let levels: Vec<_> = limiter.gauges(&settings, START).iter().map(|gauge| gauge.level).collect();
        assert_eq!(levels, [98, -500, -200]);
        let shortage = limiter.admit(FIRST, "opus", 0, START).expect_err("the output is in debt");
        assert_eq!(shortage.meter, Meter::Output);
    }

    #[test]
    fn token_levels_are_rounded_to_thousands_and_reset_is_the_full_refill() {
        let settings = settings(minute(60, 60_000, 60_000), Limit::none());
        let mut limiter = Limiter::new(&settings, START);
        limiter.admit(FIRST, "opus", 30_400, START).expect("the buckets are full");
        let headers = limiter.headers(FIRST, "opus", START);
        assert!(headers.contains(&("anthropic-ratelimit-input-tokens-remaining", "30000".to_owned())));
        let full = crate::clock::rfc3339(START + Duration::from_secs(31));
        assert!(
            headers.contains(&("anthropic-ratelimit-input-tokens-reset", full.clone())),
            "{full} {headers:?}"
        );
        assert_eq!(headers.len(), 12);
    }

    #[test]
    fn token_counts_are_a_limit_of_their_own() {
        let mut settings = settings(minute(1, 1, 1), Limit::none());
        settings.organizations[0].token_counts = Some(2);
        let mut limiter = Limiter::new(&settings, START);
        limiter.admit(FIRST, "opus", 1, START).expect("the buckets are full");
        assert_eq!((0..5).filter(|_| limiter.count_tokens(SECOND, START).is_ok()).count(), 2);
    }
}
