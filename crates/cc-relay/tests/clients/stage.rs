//! Where a scenario plays: a simulated provider, perhaps the relay before it, and the tap that
//! clients talk to. Knows what must hold of every scenario, and judges it at the end.

use std::net::SocketAddr;
use std::time::Duration;

use relay_sim::{Organization, Record, Script, Settings, Sim};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::relay::Relay;
use crate::tap::Tap;
use crate::transcript::Exchange;

/// How a client reaches the provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Road {
    /// Straight, with a key of its own: what a client makes of the provider itself.
    Direct,
    /// Through the relay, with a key of the relay's.
    Relayed,
}

/// Both, in the order in which they are best read.
pub(crate) const ROADS: [Road; 2] = [Road::Direct, Road::Relayed];

/// What clients show the relay. The provider does not know it and must never see it.
const CLIENT_KEY: &str = "relay-client-3f9c1b7e";

/// A key that the provider knows and the relay does not.
const VISITOR: (&str, &str) = ("visitor", "sk-ant-api03-sim-visitor");

/// The relay's keys: name and secret, two of each organization.
pub(crate) const AMBER: [(&str, &str); 2] =
    [("amber-1", "sk-ant-api03-sim-amber-1"), ("amber-2", "sk-ant-api03-sim-amber-2")];
pub(crate) const BASIL: [(&str, &str); 2] =
    [("basil-1", "sk-ant-api03-sim-basil-1"), ("basil-2", "sk-ant-api03-sim-basil-2")];

/// How many keys the relay has.
pub(crate) const KEYS: usize = AMBER.len() + BASIL.len();

/// Headers that differ between the two sides of the relay by design: the credential, what belongs
/// to one connection, and the encodings, because a compressed stream cannot be watched. And the name that a relay
/// writes on what goes to another address than a provider's usual one, where another relay may be.
const CHANGED: [&str; 7] = [
    "host",
    "connection",
    "content-length",
    "accept-encoding",
    "x-api-key",
    "authorization",
    "x-cc-relay-via",
];

/// A stage.
pub(crate) struct Stage {
    road: Road,
    sim: Sim,
    tap: Tap,
    relay: Option<Relay>,
    home: TempDir,
    _provider: JoinSet<()>,
}

impl Stage {
    /// A stage with a provider that is well.
    pub(crate) async fn open(road: Road) -> Self {
        Self::with(road, Settings::default()).await
    }

    /// A stage with a provider of these settings; whose keys it has is decided here.
    pub(crate) async fn with(road: Road, settings: Settings) -> Self {
        let organizations = vec![
            Organization::open("amber", &AMBER),
            Organization::open("basil", &BASIL),
            Organization::open("visitors", &[VISITOR]),
        ];
        let sim = Sim::new(Settings { organizations, ..settings });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let provider = listener.local_addr().expect("a bound socket has an address");
        let mut serving = JoinSet::new();
        let served = sim.clone();
        serving.spawn(async move { served.listen(listener, std::future::pending()).await });
        let home = tempfile::tempdir().expect("a folder can be made");
        let relay = match road {
            Road::Direct => None,
            Road::Relayed => Some(Relay::start(&configuration(provider), home.path()).await),
        };
        let tap = Tap::before(relay.as_ref().map_or(provider, Relay::address)).await;
        Self { road, sim, tap, relay, home, _provider: serving }
    }

    /// Where clients are to send their requests.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.tap.address())
    }

    /// What clients are to show.
    pub(crate) fn credential(&self) -> &'static str {
        match self.road {
            Road::Direct => VISITOR.1,
            Road::Relayed => CLIENT_KEY,
        }
    }

    /// A folder for the scenario's files.
    pub(crate) fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    /// Lets something go wrong at the provider.
    pub(crate) fn script(&self, script: Script) {
        self.sim.script(script);
    }

    /// What the clients asked and got.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.tap.exchanges()
    }

    /// What reached the provider.
    pub(crate) fn seen(&self) -> Vec<Record> {
        self.sim.seen()
    }

    /// What the provider answered, in the order in which it was asked; 0 where nothing was.
    pub(crate) fn statuses_upstream(&self) -> Vec<u16> {
        self.seen().iter().map(|record| record.status.map_or(0, |status| status.as_u16())).collect()
    }

    /// What the clients saw of that; 0 where no head came.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let answers = self.exchanges().into_iter().map(|exchange| exchange.answer);
        answers.map(|answer| answer.map_or(0, |answer| answer.status)).collect()
    }

    /// How long after the first record the last one came.
    pub(crate) fn span(&self) -> Duration {
        let seen = self.seen();
        let arrived: Vec<Duration> = seen.iter().map(|record| record.arrived).collect();
        arrived
            .last()
            .zip(arrived.first())
            .map_or(Duration::ZERO, |(last, first)| last.saturating_sub(*first))
    }

    /// What must hold of every scenario.
    pub(crate) fn judge(&self) {
        let (seen, exchanges) = (self.seen(), self.exchanges());
        assert!(!exchanges.is_empty(), "the client asked nothing");
        for record in &seen {
            self.judge_record(record, &exchanges);
            assert_eq!(record.thinking_dropped, 0, "a thought reached somebody who cannot read it");
        }
        for exchange in exchanges.iter().filter(|exchange| exchange.request.method == "POST") {
            let arrived = seen.iter().any(|record| is_copy(record, exchange));
            assert!(arrived, "what the client sent did not reach the provider: {:?}", exchange.request.path);
        }
        if let Some(relay) = &self.relay {
            let log = relay.log();
            for secret in AMBER.iter().chain(&BASIL).map(|(_, secret)| *secret).chain([CLIENT_KEY]) {
                assert!(!log.contains(secret), "a secret is in the log:\n{log}");
            }
        }
    }

    /// What reached the provider is what the client sent, but for what must differ.
    fn judge_record(&self, record: &Record, exchanges: &[Exchange]) {
        self.judge_credential(record);
        let sent: Vec<&Exchange> = exchanges.iter().filter(|exchange| is_copy(record, exchange)).collect();
        assert!(!sent.is_empty(), "the provider saw what no client sent: {} {}", record.method, record.path);
        let headers = record.headers.iter();
        let arrived = kept(headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))));
        let left = sent.iter().map(|exchange| {
            kept(exchange.request.headers.0.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        });
        let left: Vec<_> = left.collect();
        assert!(left.contains(&arrived), "headers changed on the way:\n{left:#?}\nbecame\n{arrived:#?}");
    }

    /// Only credentials that are the provider's own go there, one at a time.
    fn judge_credential(&self, record: &Record) {
        let shown = ["x-api-key", "authorization"].map(|name| record.header(name));
        let place = format!("{} {}", record.method, record.path);
        match self.road {
            Road::Direct => {
                let arrived = shown.iter().flatten().any(|value| value.ends_with(VISITOR.1));
                assert!(arrived, "the client's own key is missing: {place}");
            }
            Road::Relayed => {
                let leaked =
                    |value: &[u8]| value.windows(CLIENT_KEY.len()).any(|part| part == CLIENT_KEY.as_bytes());
                let in_headers = record.headers.iter().any(|(_, value)| leaked(value.as_bytes()));
                let in_body = leaked(record.body.as_deref().unwrap_or_default());
                assert!(!in_headers && !in_body, "what opens the relay reached the provider: {place}");
                let ours = AMBER.iter().chain(&BASIL).any(|(_, secret)| shown == [Some(*secret), None]);
                assert!(ours, "exactly one key of the pool goes upstream: {place}");
            }
        }
    }
}

impl Drop for Stage {
    /// A scenario that failed is told with what the provider and the relay saw of it.
    #[expect(clippy::print_stderr, reason = "the harness shows it beside the failure")]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for record in self.seen() {
            let (status, outcome) = (record.status, record.outcome);
            eprintln!("provider: {} {} {:?} {status:?} {outcome:?}", record.method, record.path, record.key);
        }
        if let Some(relay) = &self.relay {
            eprintln!("relay:\n{}", relay.log());
        }
    }
}

/// The configuration of a relay before that provider.
fn configuration(provider: SocketAddr) -> String {
    let secrets: Vec<&str> = AMBER.iter().chain(&BASIL).map(|(_, secret)| *secret).collect();
    let keys = secrets.join("\n      - key: ");
    format!(
        "server:
  listen: 127.0.0.1:0
  auth:
    clients:
      - name: tests
        key: {CLIENT_KEY}
providers:
  - name: sim
    type: anthropic
    enabled: true
    base_url: http://{provider}
    pooling:
      strategy: round_robin
    keys:
      - key: {keys}
logging:
  level: debug
  format: json
  output: stderr
"
    )
}

/// Is that record of this request?
fn is_copy(record: &Record, exchange: &Exchange) -> bool {
    let request = &exchange.request;
    record.method == *request.method
        && record.path == request.path
        && record.body.as_deref().unwrap_or_default() == request.body
}

/// The headers which the relay must not touch, in one order.
fn kept<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    let mut kept: Vec<_> = headers.filter(|(name, _)| !CHANGED.contains(name)).collect();
    kept.sort_unstable();
    kept
}
