//! The keys, seen from both sides: what the provider allows their organizations, and what the
//! relay is told of them. Refuses to know what is asked with them.

use std::fmt::Write as _;
use std::time::Duration;

use relay_sim::{Limit, Memory, Organization, Settings};

use crate::bench::contestant::CLIENT_KEY;
use crate::soak::pool::load::PACE;

/// A full bucket holds what is refilled in this time.
const BURST: Duration = Duration::from_secs(6);

/// Each with the name of what binds it, requests, input tokens and output tokens a minute.
const KEYS: [(&str, u64, u64, u64); 4] = [
    ("requests", 120, 2_000_000, 400_000),
    ("input", 1_000, 400_000, 400_000),
    ("output", 1_000, 2_000_000, 60_000),
    ("mixed", 300, 800_000, 120_000),
];

/// The one who asks the provider himself. Nothing limits him.
const DIRECT: &str = "direct";

/// What the relay is told of the limits of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limits {
    /// Everything.
    Configured,
    /// Nothing: it learns them from answers.
    Learned,
}

impl Limits {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Learned => "learned",
        }
    }
}

/// A relay's configuration, but for where it listens and whom it asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    pub(super) limits: Limits,
    pub(super) max_wait: Duration,
}

/// The organizations whose keys the relay has, one key each.
pub(super) fn organizations() -> Vec<Organization> {
    let organization = |(name, requests, input, output)| {
        let limit = Limit::per_minute(requests, input, output, BURST);
        Organization { limit, ..Organization::open(name, &[(name, &secret(name))]) }
    };
    KEYS.map(organization).to_vec()
}

/// A provider of those and of the one who asks it directly.
pub(super) fn provider() -> Settings {
    let mut organizations = organizations();
    organizations.push(Organization::open(DIRECT, &[(DIRECT, &direct())]));
    // Nobody reads its records.
    Settings {
        organizations,
        pace: PACE,
        memory: Memory { records: 16, body_bytes: 0 },
        ..Settings::default()
    }
}

/// The credential of the one who asks the provider himself.
pub(super) fn direct() -> String {
    secret(DIRECT)
}

/// The configuration of a relay on that port before a provider on that one.
pub(super) fn configuration(wishes: Wishes, port: u16, provider: u16) -> String {
    let mut keys = String::new();
    for (name, requests, input, output) in KEYS {
        let key = secret(name);
        let limits = match wishes.limits {
            Limits::Configured => {
                format!(", rpm_limit: {requests}, itpm_limit: {input}, otpm_limit: {output}")
            }
            Limits::Learned => String::new(),
        };
        writeln!(keys, "      - {{ key: {key}{limits} }}").expect("writing to a String cannot fail");
    }
    let max_wait = wishes.max_wait.as_millis();
    format!(
        "\
server:
  listen: 127.0.0.1:{port}
  auth:
    api_key: {CLIENT_KEY}
providers:
  - name: sim
    type: anthropic
    enabled: true
    base_url: http://127.0.0.1:{provider}
    keys:
{keys}queue:
  max_wait_ms: {max_wait}
logging:
  level: info
  format: json
"
    )
}

fn secret(name: &str) -> String {
    format!("sk-ant-api03-{name}")
}

#[cfg(test)]
mod tests {
    use relay_config::Format;

    use super::*;

    #[test]
    fn the_relay_takes_its_configuration() {
        for limits in [Limits::Configured, Limits::Learned] {
            let wishes = Wishes { limits, max_wait: Duration::from_secs(8) };
            let text = configuration(wishes, 4_000, 5_000);
            let loaded = relay_config::load(&text, Format::Yaml, &|_| None).unwrap();
            assert!(loaded.notices.is_empty(), "{text}");
            assert_eq!(text.contains("rpm_limit: 120"), limits == Limits::Configured);
        }
    }
}
