//! `health`: circuit breakers and health checks, as the old program's files write them.

use std::time::Duration;

use crate::raw::leaf::{Flag, Whole};
use crate::raw::server::DAY;
use crate::raw::table::section;
use crate::raw::unit::Millis;

/// A counter of the old program has 32 bits.
const MOST: u64 = u32::MAX as u64;

section! {
    /// Circuit breakers and health checks of providers. They are checked, and have no effect in this version.
    ["has no effect yet: its options are checked by being read"]
    Breakers {
        /// Probes of providers whose breaker is open.
        health_check: HealthCheck;
        /// When a provider is left alone for a while.
        circuit_breaker: CircuitBreaker;
    }
    dead {
        "check_interval_seconds" => "the interval of health checks is `health_check.interval_ms`";
        "triggers" => "remove it";
    }
}

section! {
    /// Probes of providers whose breaker is open.
    ["has no effect yet: its options are checked by being read"]
    HealthCheck {
        /// Whether providers are probed.
        enabled: Flag = true;
        /// How often; 0 means 10000.
        interval_ms: Millis<0, DAY> = Duration::from_secs(10);
    }
}

section! {
    /// When a provider is left alone for a while.
    ["has no effect yet: its options are checked by being read"]
    CircuitBreaker {
        /// Failures in a row that open the breaker; 0 means 5.
        failure_threshold: Whole<0, MOST> = 5_u64;
        /// How long it stays open; 0 means 30000.
        open_duration_ms: Millis<0, DAY> = Duration::from_secs(30);
        /// Successful probes that close it; 0 means 3.
        half_open_probes: Whole<0, MOST> = 3_u64;
    }
    dead {
        "recovery_timeout_seconds" => "how long a breaker stays open is `open_duration_ms`";
        "triggers" => "remove it";
    }
}
