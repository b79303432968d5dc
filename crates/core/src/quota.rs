//! What the head of an answer says about limits. It knows values, not header names: those are `wire`'s.

use std::time::Duration;

use crate::limits::Counted;
use crate::time::Time;
use crate::window::{Share, WindowName};

/// What one answer's headers tell about limits and who holds them. Every part may be missing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Quota {
    /// `anthropic-organization-id`: who really holds the limits.
    pub organization: Option<String>,
    /// `anthropic-workspace-id`: a narrower limit inside it, and the scope of the prompt cache.
    pub workspace: Option<String>,
    /// Requests a minute.
    pub requests: Gauge,
    /// Uncached input tokens a minute.
    pub input: Gauge,
    /// Output tokens a minute.
    pub output: Gauge,
    /// The tightest token limit in force, whichever that is.
    pub tokens: Gauge,
    /// The subscription's windows.
    pub unified: Option<Unified>,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// `x-should-retry`.
    pub should_retry: Option<bool>,
}

/// One bucket as its headers show it: a level rounded by the provider, not an exact number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gauge {
    /// What the bucket holds when full.
    pub limit: Option<u64>,
    /// What it held when the provider saw the request; token counts are rounded to 1,000.
    pub remaining: Option<u64>,
    /// When it will be full again.
    pub reset: Option<Time>,
}

impl Gauge {
    /// Did any of its headers arrive?
    pub const fn is_known(&self) -> bool {
        self.limit.is_some() || self.remaining.is_some() || self.reset.is_some()
    }
}

/// `anthropic-ratelimit-unified-*`: the windows of a subscription.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Unified {
    /// `-status`.
    pub status: Option<UnifiedStatus>,
    /// `-reset`.
    pub reset: Option<Time>,
    /// `-representative-claim`: which window decided, as the provider names it.
    pub claim: Option<String>,
    /// The windows that it speaks of.
    pub windows: Vec<WindowReading>,
    /// `-overage-status`: may usage beyond the windows be paid for?
    pub overage: Option<UnifiedStatus>,
    /// `-overage-in-use`: is this call's?
    pub overage_in_use: bool,
}

/// One window, as an answer tells of it. Every part but the name may be missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowReading {
    /// Which one.
    pub name: WindowName,
    /// `-status`.
    pub status: Option<UnifiedStatus>,
    /// `-utilization`.
    pub used: Option<Share>,
    /// `-reset`.
    pub reset: Option<Time>,
}

/// `anthropic-ratelimit-unified-status`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnifiedStatus {
    /// `allowed`.
    Allowed,
    /// `allowed_warning`.
    Warning,
    /// `rejected`.
    Rejected,
}

impl WindowReading {
    /// Nothing but its name.
    pub const fn of(name: WindowName) -> Self {
        Self { name, status: None, used: None, reset: None }
    }
}

impl Unified {
    /// Does it refuse? Where it does not say so itself, its windows do.
    pub fn is_rejected(&self) -> bool {
        let rejected = |status: Option<UnifiedStatus>| status == Some(UnifiedStatus::Rejected);
        match self.status {
            Some(_) => rejected(self.status),
            None => self.windows.iter().any(|window| rejected(window.status)),
        }
    }

    /// When what it refuses is there again, as far as it says.
    fn rejected_until(&self) -> Option<Time> {
        let spent = self.windows.iter().filter(|window| window.status == Some(UnifiedStatus::Rejected));
        self.reset.or_else(|| spent.filter_map(|window| window.reset).max()).filter(|_| self.is_rejected())
    }

    /// May usage beyond a window that is used up be paid for?
    pub(crate) fn has_overage(&self) -> bool {
        let allowed = matches!(self.overage, Some(UnifiedStatus::Allowed | UnifiedStatus::Warning));
        self.overage_in_use || allowed
    }
}

impl Quota {
    /// What a newer answer says. Not every answer says whose it is; what was said once stays true.
    pub(crate) fn renew(&mut self, newer: &Self) {
        let Self {
            organization,
            workspace,
            requests,
            input,
            output,
            tokens,
            unified,
            retry_after,
            should_retry,
        } = newer;
        if organization.is_some() {
            self.organization.clone_from(organization);
        }
        self.workspace.clone_from(workspace);
        self.unified.clone_from(unified);
        (self.requests, self.input, self.output, self.tokens) = (*requests, *input, *output, *tokens);
        (self.retry_after, self.should_retry) = (*retry_after, *should_retry);
    }

    /// What it says of one limit.
    pub(crate) const fn gauge(&self, counted: Counted) -> &Gauge {
        match counted {
            Counted::Requests => &self.requests,
            Counted::Input => &self.input,
            Counted::Output => &self.output,
            Counted::Tokens => &self.tokens,
        }
    }

    /// What it says of all tokens together, if that is a limit of its own: of a workspace, and less than what its
    /// organization has of input and output.
    pub(crate) fn narrower(&self) -> Gauge {
        let both =
            self.input.limit.zip(self.output.limit).map(|(input, output)| input.saturating_add(output));
        let own = self.tokens.limit.zip(both).is_none_or(|(tokens, both)| tokens < both);
        if own { self.tokens } else { Gauge::default() }
    }

    /// Does it speak of limits at all? A 429 that does not is about the request, not the key.
    pub const fn speaks_of_limits(&self) -> bool {
        self.retry_after.is_some()
            || self.unified.is_some()
            || self.requests.is_known()
            || self.input.is_known()
            || self.output.is_known()
            || self.tokens.is_known()
    }

    /// Does it say that something is used up: a bucket at zero, or a window that rejected?
    pub fn says_spent(&self) -> bool {
        let empty = |gauge: &Gauge| gauge.remaining == Some(0);
        let rejected = self.unified.as_ref().is_some_and(Unified::is_rejected);
        rejected || empty(&self.requests) || empty(&self.input) || empty(&self.output) || empty(&self.tokens)
    }

    /// When what is used up will be there again, as far as it says: the latest of the empty buckets' resets.
    pub fn reset(&self) -> Option<Time> {
        let buckets = [&self.requests, &self.input, &self.output, &self.tokens];
        let bucket = buckets
            .into_iter()
            .filter(|gauge| gauge.remaining == Some(0))
            .filter_map(|gauge| gauge.reset)
            .max();
        let window = self.unified.as_ref().and_then(Unified::rejected_until);
        bucket.max(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_there_again_when_the_last_of_the_windows_that_refuse_is_reset() {
        let at = |seconds| Time::from_epoch(std::time::Duration::from_secs(seconds));
        let window = |name, status, reset| WindowReading {
            status: Some(status),
            reset: Some(at(reset)),
            ..WindowReading::of(WindowName::of(name).unwrap())
        };
        let windows = vec![
            window("5h", UnifiedStatus::Rejected, 100),
            window("7d", UnifiedStatus::Rejected, 300),
            window("7d_opus", UnifiedStatus::Allowed, 500),
        ];
        let unified = Some(Unified { windows, ..Unified::default() });
        assert_eq!(Quota { unified, ..Quota::default() }.reset(), Some(at(300)));
    }

    #[test]
    fn only_what_is_less_than_both_together_is_a_limit_of_its_own() {
        let limit = |limit| Gauge { limit: Some(limit), ..Gauge::default() };
        for (tokens, is_own) in [(29, true), (30, false), (31, false)] {
            let quota =
                Quota { input: limit(20), output: limit(10), tokens: limit(tokens), ..Quota::default() };
            assert_eq!(quota.narrower() == limit(tokens), is_own, "{tokens}");
        }
    }
}
