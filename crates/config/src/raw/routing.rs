//! `routing`: in which order providers are tried, as written.

use relay_core::Strategy;

use crate::checked::UnifiedHeaders;
use crate::raw::leaf::{Choice, Flag, OneOf, Text};
use crate::raw::many::Named;
use crate::raw::table::section;

section! {
    /// In which order providers are tried.
    Routing {
        /// The strategy over providers. `model_based` chooses providers by `model_mapping` and `default_provider`,
        /// then goes by failover.
        strategy: OneOf<Order> = Order { strategy: Strategy::Failover, model_based: false };
        /// Answers say in `x-cc-relay-*` headers how they were routed.
        debug: Flag = false;
        /// What `anthropic-ratelimit-unified-*` headers of an answer describe, from which Claude Code takes its warnings
        /// of limits that are nearly used up. `provider`: the plan of the key that answered, as the provider sent them.
        /// `pool`: all keys that could have. What a provider did not send is not added.
        unified_headers: OneOf<UnifiedHeaders> = UnifiedHeaders::Provider;
        /// For `model_based`: the beginning of a model's name, and the provider that serves such models.
        /// The longest beginning decides.
        model_mapping: Named<Text> => "{ claude: anthropic, glm: zai }";
        /// For `model_based`: the provider of models that `model_mapping` does not name.
        default_provider: Text => "anthropic";
        /// Which models share limits: the beginning of a model's name, and a name for the class that it is of. The
        /// beginning ends where a part of the name does: `claude-opus` is one, `claude-op` and `claude-opus-` are none. The
        /// longest beginning decides. Without an entry, all `claude-opus-4…` are of one class, all `claude-sonnet-4…`
        /// of another, and any other model is a class of its own.
        model_classes: Named<Text> => "{ claude-opus-5: claude-opus-5 }";
    }
    dead {
        "failover_timeout" => "remove it; how long an attempt may take is set by `timeouts` of a provider";
    }
}

/// A strategy over providers, with or without the choice by model before it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Order {
    pub(crate) strategy: Strategy,
    pub(crate) model_based: bool,
}

/// A strategy over the keys of one provider.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Pick(pub(crate) Strategy);

impl Choice for Order {
    fn words() -> Vec<(&'static str, Self)> {
        let plain = |strategy| Self { strategy, model_based: false };
        vec![
            ("failover", plain(Strategy::Failover)),
            ("round_robin", plain(Strategy::RoundRobin)),
            ("weighted_round_robin", plain(Strategy::Weighted)),
            ("shuffle", plain(Strategy::Shuffle)),
            ("least_loaded", plain(Strategy::LeastLoaded)),
            ("weighted_failover", plain(Strategy::WeightedFailover)),
            ("model_based", Self { strategy: Strategy::Failover, model_based: true }),
        ]
    }
}

impl Choice for UnifiedHeaders {
    fn words() -> Vec<(&'static str, Self)> {
        vec![("provider", Self::Provider), ("pool", Self::Pool)]
    }
}

impl Choice for Pick {
    fn words() -> Vec<(&'static str, Self)> {
        vec![
            ("least_loaded", Self(Strategy::LeastLoaded)),
            ("round_robin", Self(Strategy::RoundRobin)),
            ("random", Self(Strategy::Random)),
            ("weighted", Self(Strategy::Weighted)),
            ("priority", Self(Strategy::Failover)),
        ]
    }
}
