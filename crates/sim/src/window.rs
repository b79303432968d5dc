//! The windows of a subscription: so many tokens in so long a time, told with every answer, and refused when they are
//! used up.
//!
//! No public page describes them. What the headers are called and what stands in them is taken from answers that users
//! published, among them the whole head of a 429 of 2 August 2026; what is counted, and how heavily, nobody knows: here
//! it is the tokens that also count against rates.

use std::time::Duration;

use crate::settings::Window;

/// From this part on a window warns: the threshold of the captured answers is `0.75`, and `1.0` once all is used.
const WARNS_FROM: u128 = 75;

/// The windows of one organization.
#[derive(Clone, Debug)]
pub(crate) struct Windows(Vec<Open>);

/// A window, and how it stands.
#[derive(Clone, Debug)]
struct Open {
    each: Window,
    used: u64,
    /// When it is reset; none as long as nothing was asked for since it was last.
    ends: Option<Duration>,
}

/// A window that is used up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct UsedUp {
    /// When it is reset.
    pub(crate) until: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Status {
    Allowed,
    Warning,
    Rejected,
}

impl Windows {
    pub(crate) fn new(windows: &[Window]) -> Self {
        Self(windows.iter().map(|each| Open { each: each.clone(), used: 0, ends: None }).collect())
    }

    /// A call comes. A window begins with the first since the last one ended.
    pub(crate) fn admit(&mut self, class: &str, now: Duration) -> Result<(), UsedUp> {
        let spent = self.counting(class, now).filter(|open| open.used >= open.each.tokens);
        let until = spent.filter_map(|open| open.ends).max();
        if let Some(until) = until {
            return Err(UsedUp { until });
        }
        self.begin(class, now);
        Ok(())
    }

    /// More was used, or turned out to be, than was thought.
    pub(crate) fn take(&mut self, class: &str, tokens: u64, now: Duration) {
        self.begin(class, now);
        for open in self.counting(class, now) {
            open.used += tokens;
        }
    }

    /// Less was used than was thought.
    pub(crate) fn give_back(&mut self, class: &str, tokens: u64, now: Duration) {
        for open in self.counting(class, now) {
            open.used = open.used.saturating_sub(tokens);
        }
    }

    fn begin(&mut self, class: &str, now: Duration) {
        for open in self.counting(class, now).filter(|open| open.ends.is_none()) {
            // Resets are whole seconds.
            let ends = now + open.each.length;
            open.ends = Some(Duration::from_secs(ends.as_secs() + u64::from(ends.subsec_nanos() > 0)));
        }
    }

    /// Those that count for a class, as they stand now.
    fn counting(&mut self, class: &str, now: Duration) -> impl Iterator<Item = &mut Open> {
        for open in self.0.iter_mut().filter(|open| open.ends.is_some_and(|ends| ends <= now)) {
            (open.used, open.ends) = (0, None);
        }
        self.0.iter_mut().filter(move |open| open.each.counts(class))
    }

    /// The headers of an answer about a class: those windows that count for it. None without a subscription.
    pub(crate) fn headers(&mut self, class: &str, now: Duration) -> Vec<(String, String)> {
        let counting: Vec<Open> = self.counting(class, now).map(|open| open.clone()).collect();
        // The worst decides, and the first where all is well.
        let Some(claimed) = counting.iter().rev().max_by_key(|open| open.status()) else { return Vec::new() };
        let mut headers = Vec::with_capacity(8 + counting.len() * 4);
        let mut put = |name: &str, value: String| {
            headers.push((format!("anthropic-ratelimit-unified-{name}"), value));
        };
        put("status", claimed.status().name().to_owned());
        put("reset", claimed.ends_or(now).as_secs().to_string());
        put("representative-claim", claimed.each.claim.clone());
        put("fallback-percentage", "0.5".to_owned());
        put("overage-status", "rejected".to_owned());
        put("overage-disabled-reason", "org_level_disabled".to_owned());
        for open in &counting {
            let name = &open.each.name;
            put(&format!("{name}-status"), open.status().name().to_owned());
            put(&format!("{name}-reset"), open.ends_or(now).as_secs().to_string());
            put(&format!("{name}-utilization"), open.utilization());
            if let Some(threshold) = open.status().threshold() {
                put(&format!("{name}-surpassed-threshold"), threshold.to_owned());
            }
        }
        headers
    }
}

impl Open {
    fn status(&self) -> Status {
        match self.percent() {
            100.. => Status::Rejected,
            WARNS_FROM.. => Status::Warning,
            _ => Status::Allowed,
        }
    }

    /// Cut off, not rounded.
    fn percent(&self) -> u128 {
        u128::from(self.used) * 100 / u128::from(self.each.tokens.max(1))
    }

    /// As captured: `0.0`, `0.02`, `0.9`, `1.0`.
    fn utilization(&self) -> String {
        let percent = self.percent();
        let text = format!("{}.{:02}", percent / 100, percent % 100);
        text.strip_suffix('0').map(str::to_owned).unwrap_or(text)
    }

    /// One that has not begun lasts from now on.
    fn ends_or(&self, now: Duration) -> Duration {
        self.ends.unwrap_or(now + self.each.length)
    }
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Warning => "allowed_warning",
            Self::Rejected => "rejected",
        }
    }

    fn threshold(self) -> Option<&'static str> {
        match self {
            Self::Allowed => None,
            Self::Warning => Some("0.75"),
            Self::Rejected => Some("1.0"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_795_000_000);

    fn windows() -> Windows {
        Windows::new(&[
            Window::five_hours(1_000),
            Window::seven_days(5_000),
            Window::of_family("opus", 2_000),
        ])
    }

    fn value(windows: &mut Windows, class: &str, name: &str, now: Duration) -> Option<String> {
        let full = format!("anthropic-ratelimit-unified-{name}");
        windows.headers(class, now).into_iter().find(|(found, _)| *found == full).map(|(_, value)| value)
    }

    #[test]
    fn a_window_begins_with_the_first_call_and_is_used_up_until_its_reset() {
        let (mut windows, later) = (windows(), START + Duration::from_mins(30));
        assert_eq!(windows.admit("claude-sonnet-5", later), Ok(()));
        windows.take("claude-sonnet-5", 940, later);
        assert_eq!(value(&mut windows, "claude-sonnet-5", "5h-utilization", later).as_deref(), Some("0.94"));
        assert_eq!(
            value(&mut windows, "claude-sonnet-5", "5h-status", later).as_deref(),
            Some("allowed_warning")
        );
        windows.take("claude-sonnet-5", 70, later);
        let until = later + Duration::from_hours(5);
        assert_eq!(windows.admit("claude-opus-5", later), Err(UsedUp { until }));
        for (name, expect) in [
            ("status", "rejected"),
            ("representative-claim", "five_hour"),
            ("5h-utilization", "1.01"),
            ("5h-surpassed-threshold", "1.0"),
            ("7d-utilization", "0.2"),
            ("7d-status", "allowed"),
            ("overage-status", "rejected"),
        ] {
            assert_eq!(
                value(&mut windows, "claude-sonnet-5", name, later).as_deref(),
                Some(expect),
                "{name}"
            );
        }
        let reset = value(&mut windows, "claude-sonnet-5", "reset", later);
        assert_eq!(reset, Some(until.as_secs().to_string()));
        assert_eq!(windows.admit("claude-opus-5", until), Ok(()));
        assert_eq!(value(&mut windows, "claude-sonnet-5", "5h-utilization", until).as_deref(), Some("0.0"));
    }

    #[test]
    fn a_window_of_a_family_counts_and_is_told_of_for_its_models_only() {
        let mut windows = windows();
        windows.take("claude-opus-5", 900, START);
        assert_eq!(
            value(&mut windows, "claude-opus-5", "7d_opus-utilization", START).as_deref(),
            Some("0.45")
        );
        assert_eq!(value(&mut windows, "claude-sonnet-5", "7d_opus-utilization", START), None);
        windows.give_back("claude-opus-5", 100, START);
        assert_eq!(
            value(&mut windows, "claude-opus-5", "7d_opus-utilization", START).as_deref(),
            Some("0.4")
        );
    }

    #[test]
    fn without_a_subscription_there_are_no_such_headers() {
        assert_eq!(Windows::new(&[]).headers("claude-opus-5", START), []);
    }
}
