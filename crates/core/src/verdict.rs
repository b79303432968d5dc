//! What an answer means: the table that everything else follows.
//!
//! | verdict | whose fault | key | breaker | plan |
//! | --- | --- | --- | --- | --- |
//! | [`Served`](Verdict::Served) | nobody | proven | success | commit |
//! | [`Refused`](Verdict::Refused) | client | | success | stop |
//! | [`Unfit`](Verdict::Unfit) | nobody | | nothing | next provider |
//! | [`Spent`](Verdict::Spent) | domain | cools | nothing | next domain, or wait |
//! | [`Throttled`](Verdict::Throttled) | domain | cools | nothing | next domain, or wait |
//! | [`Crowded`](Verdict::Crowded) | domain | fewer at once | nothing | next domain, or wait |
//! | [`AboutThisCall`](Verdict::AboutThisCall) | nobody | | nothing | one hop |
//! | [`OutOfMoney`](Verdict::OutOfMoney) | domain | barred | nothing | next domain |
//! | [`KeyBad`](Verdict::KeyBad) | key | barred | nothing | next key |
//! | [`Overloaded`](Verdict::Overloaded) | provider | | failure | next, or back off |
//! | [`Broken`](Verdict::Broken) | provider | | failure | next |

use crate::time::Time;

/// What an answer means. Failures to get an answer are answers too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// 2xx, and for a stream a first event that is not an error.
    Served,
    /// 400, 409, 413, 422 and the like: the request itself is at fault.
    Refused,
    /// 404, or the adapter cannot carry the call: this pair of provider and model does not fit.
    Unfit,
    /// 429: a quota is used up.
    Spent {
        /// When the provider says it will be there again.
        until: Time,
    },
    /// 429: too fast, though nothing is used up.
    Throttled {
        /// When to go on.
        until: Time,
    },
    /// 429: too many are under way at once.
    Crowded {
        /// When to go on, if none of those is ours.
        until: Time,
    },
    /// 429 that speaks of no limit: it is about this request and says nothing of the key.
    AboutThisCall,
    /// 402, or a spend cap.
    OutOfMoney,
    /// 401 and 403 for a key of ours.
    KeyBad(Extent),
    /// 529 and 503: the provider has too much to do.
    Overloaded {
        /// When it asks to be asked again.
        until: Option<Time>,
    },
    /// Any other 5xx, and every failure to get an answer at all.
    Broken(Breakage),
}

/// How much of a key a verdict speaks of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Extent {
    /// All of it.
    Key,
    /// This class of models only.
    Class,
}

/// How an upstream broke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Breakage {
    /// It answered with a 5xx.
    Status,
    /// No connection: name, TCP or TLS.
    Connect,
    /// The connection was cut before an answer.
    Cut,
    /// It took longer than a deadline.
    Late,
    /// What it sent was not HTTP, or not what was announced.
    Garbled,
}

/// What follows from a verdict. One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effect {
    /// Whose fault it is.
    pub fault: Fault,
    /// What the key suffers.
    pub key: Toll,
    /// What the provider has counted against its limits.
    pub spends: Spends,
    /// What a breaker hears.
    pub pulse: Pulse,
    /// How the plan goes on.
    pub next: Next,
}

/// What a provider counts against limits, whatever it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spends {
    /// Nothing: it refused before it counted, or was never reached.
    Nothing,
    /// The request.
    Request,
    /// The request, and most likely the prompt.
    Prompt,
}

/// Whose fault an answer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nobody's.
    Nobody,
    /// The client's: another key would say the same.
    Client,
    /// The limit domain's: its sibling keys share the trouble.
    Domain,
    /// The key's.
    Key,
    /// The provider's.
    Provider,
}

/// What a key suffers from a verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Toll {
    /// Nothing.
    Nothing,
    /// It is shown to work: what was held against it is forgotten.
    Proven,
    /// It rests, for this class of models, until then.
    Cools(Time),
    /// It has fewer calls at once, for this class of models; if it has none, it rests until then.
    Crowds(Time),
    /// It is out until a probe succeeds.
    Barred(Reason, Extent),
}

/// Why a key is barred.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// The provider does not accept it.
    Unaccepted,
    /// There is no money behind it.
    OutOfMoney,
}

/// What a breaker hears of a verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pulse {
    /// The provider is alive.
    Success,
    /// It says nothing about the provider's health. A probe must be given back all the same.
    Nothing,
    /// The provider failed.
    Failure,
}

/// How a plan goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// This is the answer.
    Commit,
    /// This is the answer, and it is a refusal.
    Stop,
    /// Another provider, or another key if the call is about something that one key owns.
    Provider,
    /// Another key; this one stays eligible once it has rested.
    KeyOrWait,
    /// Another key, not this one again.
    Key,
    /// Another key, once; after a second time the answer stands.
    Hop,
    /// Another key or provider; if there is none, the same after a pause.
    BackOff(Option<Time>),
    /// Another provider; where there is none, one other key of this one.
    Retry,
}

impl Verdict {
    /// The table.
    pub const fn effect(self) -> Effect {
        let (fault, key, spends, pulse, next) = match self {
            Self::Served => (Fault::Nobody, Toll::Proven, Spends::Prompt, Pulse::Success, Next::Commit),
            Self::Refused => (Fault::Client, Toll::Nothing, Spends::Request, Pulse::Success, Next::Stop),
            Self::Unfit => (Fault::Nobody, Toll::Nothing, Spends::Request, Pulse::Nothing, Next::Provider),
            Self::Spent { until } | Self::Throttled { until } => {
                (Fault::Domain, Toll::Cools(until), Spends::Nothing, Pulse::Nothing, Next::KeyOrWait)
            }
            Self::Crowded { until } => {
                (Fault::Domain, Toll::Crowds(until), Spends::Nothing, Pulse::Nothing, Next::KeyOrWait)
            }
            Self::AboutThisCall => (Fault::Nobody, Toll::Nothing, Spends::Request, Pulse::Nothing, Next::Hop),
            Self::OutOfMoney => {
                let toll = Toll::Barred(Reason::OutOfMoney, Extent::Key);
                (Fault::Domain, toll, Spends::Nothing, Pulse::Nothing, Next::Key)
            }
            Self::KeyBad(extent) => {
                let toll = Toll::Barred(Reason::Unaccepted, extent);
                (Fault::Key, toll, Spends::Nothing, Pulse::Nothing, Next::Key)
            }
            Self::Overloaded { until } => {
                (Fault::Provider, Toll::Nothing, Spends::Request, Pulse::Failure, Next::BackOff(until))
            }
            Self::Broken(Breakage::Connect) => {
                (Fault::Provider, Toll::Nothing, Spends::Nothing, Pulse::Failure, Next::Retry)
            }
            Self::Broken(_) => (Fault::Provider, Toll::Nothing, Spends::Prompt, Pulse::Failure, Next::Retry),
        };
        Effect { fault, key, spends, pulse, next }
    }

    /// The verdict for a call that carries the client's own credential: what a provider says of that
    /// credential is for the client to hear.
    pub const fn for_own_credential(self) -> Self {
        match self {
            Self::Spent { .. }
            | Self::Throttled { .. }
            | Self::Crowded { .. }
            | Self::AboutThisCall
            | Self::OutOfMoney
            | Self::KeyBad(_) => Self::Refused,
            other => other,
        }
    }

    /// One word for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Refused => "refused",
            Self::Unfit => "unfit",
            Self::Spent { .. } => "spent",
            Self::Throttled { .. } => "throttled",
            Self::Crowded { .. } => "crowded",
            Self::AboutThisCall => "about_this_call",
            Self::OutOfMoney => "out_of_money",
            Self::KeyBad(_) => "key_bad",
            Self::Overloaded { .. } => "overloaded",
            Self::Broken(Breakage::Status) => "broken",
            Self::Broken(Breakage::Connect) => "unreachable",
            Self::Broken(Breakage::Cut) => "cut",
            Self::Broken(Breakage::Late) => "late",
            Self::Broken(Breakage::Garbled) => "garbled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const T: Time = Time::from_epoch(Duration::from_secs(100));

    #[test]
    fn the_table_of_verdicts() {
        let table = [
            (Verdict::Served, Fault::Nobody, Toll::Proven, Spends::Prompt, Pulse::Success, Next::Commit),
            (Verdict::Refused, Fault::Client, Toll::Nothing, Spends::Request, Pulse::Success, Next::Stop),
            (Verdict::Unfit, Fault::Nobody, Toll::Nothing, Spends::Request, Pulse::Nothing, Next::Provider),
            (
                Verdict::Spent { until: T },
                Fault::Domain,
                Toll::Cools(T),
                Spends::Nothing,
                Pulse::Nothing,
                Next::KeyOrWait,
            ),
            (
                Verdict::Throttled { until: T },
                Fault::Domain,
                Toll::Cools(T),
                Spends::Nothing,
                Pulse::Nothing,
                Next::KeyOrWait,
            ),
            (
                Verdict::Crowded { until: T },
                Fault::Domain,
                Toll::Crowds(T),
                Spends::Nothing,
                Pulse::Nothing,
                Next::KeyOrWait,
            ),
            (
                Verdict::AboutThisCall,
                Fault::Nobody,
                Toll::Nothing,
                Spends::Request,
                Pulse::Nothing,
                Next::Hop,
            ),
            (
                Verdict::OutOfMoney,
                Fault::Domain,
                Toll::Barred(Reason::OutOfMoney, Extent::Key),
                Spends::Nothing,
                Pulse::Nothing,
                Next::Key,
            ),
            (
                Verdict::KeyBad(Extent::Class),
                Fault::Key,
                Toll::Barred(Reason::Unaccepted, Extent::Class),
                Spends::Nothing,
                Pulse::Nothing,
                Next::Key,
            ),
            (
                Verdict::Overloaded { until: Some(T) },
                Fault::Provider,
                Toll::Nothing,
                Spends::Request,
                Pulse::Failure,
                Next::BackOff(Some(T)),
            ),
            (
                Verdict::Broken(Breakage::Cut),
                Fault::Provider,
                Toll::Nothing,
                Spends::Prompt,
                Pulse::Failure,
                Next::Retry,
            ),
        ];
        for (verdict, fault, key, spends, pulse, next) in table {
            assert_eq!(verdict.effect(), Effect { fault, key, spends, pulse, next }, "{verdict:?}");
        }
    }

    #[test]
    fn a_429_is_never_the_providers_fault() {
        for verdict in [
            Verdict::Spent { until: T },
            Verdict::Throttled { until: T },
            Verdict::Crowded { until: T },
            Verdict::AboutThisCall,
        ] {
            assert_ne!(verdict.effect().fault, Fault::Provider);
            assert_ne!(verdict.effect().pulse, Pulse::Failure);
        }
    }

    #[test]
    fn what_is_said_of_the_clients_own_credential_is_for_the_client() {
        for verdict in [
            Verdict::Spent { until: T },
            Verdict::Throttled { until: T },
            Verdict::Crowded { until: T },
            Verdict::AboutThisCall,
            Verdict::OutOfMoney,
            Verdict::KeyBad(Extent::Key),
        ] {
            assert_eq!(verdict.for_own_credential(), Verdict::Refused);
        }
        assert_eq!(Verdict::Unfit.for_own_credential(), Verdict::Unfit);
    }
}
