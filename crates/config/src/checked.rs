//! The configuration as the rest of the program sees it: parsed, cross-referenced, complete.
//! There is no `Option` unless absence has a meaning, and nothing here can still be wrong.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use relay_core::{Families, Price, Second, Strategy};
use relay_providers::{Account, Identity, Kind, Secret};

use crate::show::shown_command;

/// A whole configuration that has passed every check.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// The listener and its limits.
    pub server: Server,
    /// Who may ask.
    pub auth: Auth,
    /// In which order providers are tried.
    pub routing: Routing,
    /// The providers that are enabled and can be served, in the order of the file.
    pub providers: Vec<Provider>,
    /// How long a call may wait.
    pub queue: Queue,
    /// What models cost, by name, before the prices that are known.
    pub prices: Vec<(String, Price)>,
    /// What a restart does not forget.
    pub state: State,
    /// What is logged, and where.
    pub log: Log,
}

/// The listener and its limits.
#[derive(Clone, PartialEq, Debug)]
pub struct Server {
    /// Where to listen.
    pub listen: Address,
    /// TLS on the listener; none means cleartext.
    pub tls: Option<Tls>,
    /// HTTP/2 as well as HTTP/1.1: by ALPN under TLS, by prior knowledge without.
    pub http2: bool,
    /// The most requests served at once; none means no limit.
    pub max_concurrent: Option<NonZeroU32>,
    /// The largest body of a message, in bytes; [`u64::MAX`] means no limit.
    pub max_body: u64,
    /// The largest body of a batch, in bytes; [`u64::MAX`] means no limit.
    pub max_batch_body: u64,
    /// The largest body of a file upload, in bytes; [`u64::MAX`] means no limit.
    pub max_file_body: u64,
    /// How long the head of a streaming answer is held back for a real event before it goes out with pings.
    pub head_after: Duration,
    /// How much silence in a stream is filled with a ping.
    pub ping_every: Duration,
    /// How long open requests may go on after the first signal to stop.
    pub drain: Duration,
}

/// A host and a port. The host is a name, an IPv4 or IPv6 address, or empty for every interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// Without brackets.
    pub host: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

impl Address {
    /// Can only this machine reach it? True for `localhost`, 127.0.0.0/8 and `::1`.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Is it every interface? True for an empty host, `0.0.0.0` and `::`.
    pub fn is_everywhere(&self) -> bool {
        self.host.is_empty()
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_unspecified())
    }

    /// Where a URL leads, if it has a host.
    pub fn of(url: &http::Uri) -> Option<Self> {
        let usual = if url.scheme_str() == Some("https") { 443 } else { 80 };
        let host = url.host()?.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        Some(Self { host, port: url.port_u16().unwrap_or(usual) })
    }

    /// Does whoever connects there from this machine reach a relay that listens on that? So far as can be told without
    /// asking for names.
    pub fn leads_to(&self, listen: &Self) -> bool {
        let is_same_host = self.host.eq_ignore_ascii_case(&listen.host);
        let is_this_machine = self.is_this_machine() && (listen.is_loopback() || listen.is_everywhere());
        self.port == listen.port && (is_same_host || is_this_machine)
    }

    /// Who connects to the unspecified address reaches himself, and `127.1` is a way to write an address.
    fn is_this_machine(&self) -> bool {
        if let Ok(address) = self.host.parse::<std::net::IpAddr>().map(|address| address.to_canonical()) {
            return address.is_loopback() || address.is_unspecified();
        }
        let digits = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        let short = self.host.starts_with("127.") && self.host.bytes().all(digits);
        short || self.host == "localhost" || self.host.ends_with(".localhost")
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// TLS on the listener. The files are read again when they change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Clients must show a certificate signed by one of these, PEM.
    pub client_ca: Option<PathBuf>,
}

/// Who may ask.
#[derive(Clone, PartialEq, Debug)]
pub struct Auth {
    /// The client keys that open the relay, by name. Each is accepted as `x-api-key`,
    /// as `Authorization: Bearer` and as `x-cc-relay-key`.
    pub clients: Vec<Client>,
    /// Client keys that are in files. Once read, they count as `clients` do.
    pub client_files: Vec<ClientFile>,
    /// `allow_bearer` without a `bearer_secret`: any bearer opens the relay.
    pub any_bearer: bool,
    /// The relay is meant to be open although others than this machine can reach it.
    pub open: bool,
    /// A subscription's own bearer (`sk-ant-oat…`) that the relay does not know goes to Anthropic as it is.
    pub passthrough: bool,
    /// What an open relay does with an `x-api-key` that it does not know.
    pub unknown_key: UnknownKey,
}

impl Auth {
    /// Is any credential asked for?
    pub fn asks(&self) -> bool {
        !self.clients.is_empty() || !self.client_files.is_empty() || self.any_bearer
    }
}

/// Someone who may ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// Its name in logs; `default` for `auth.api_key`, `bearer` for `auth.bearer_secret`.
    pub name: String,
    /// Its key.
    pub secret: Secret,
}

/// Someone who may ask, and whose key is in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientFile {
    /// Its name in logs.
    pub name: String,
    /// The file whose first line is its key.
    pub path: PathBuf,
}

/// What an open relay does with an `x-api-key` that it does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UnknownKey {
    /// `pool`: it is dropped and a key of the pool is used; without a pool it is passed on.
    #[default]
    Pool,
    /// `pass`: it goes to the Anthropic provider as it is.
    Pass,
}

/// What `anthropic-ratelimit-unified-*` headers of an answer describe.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UnifiedHeaders {
    /// `provider`: the plan of the key that answered, as the provider sent them.
    #[default]
    Provider,
    /// `pool`: all keys that could have answered.
    Pool,
}

/// In which order providers are tried.
#[derive(Clone, PartialEq, Debug)]
pub struct Routing {
    /// The strategy over providers.
    pub strategy: Strategy,
    /// `model_based`: filter by `prefixes` and `default_provider`, then go by failover.
    pub model_based: bool,
    /// Prefix of a model name, index into `Config::providers`; none if that provider is disabled.
    pub prefixes: Vec<(String, Option<usize>)>,
    /// Who serves a model that no prefix names: index into `Config::providers`.
    pub default_provider: Option<usize>,
    /// `x-cc-relay-*` headers that explain a decision are sent.
    pub debug: bool,
    /// What `anthropic-ratelimit-unified-*` headers describe.
    pub unified_headers: UnifiedHeaders,
    /// The beginning of a model's name, and the class of models whose limits it shares.
    pub model_classes: Vec<(String, String)>,
}

impl Routing {
    /// Which models share limits.
    pub fn families(&self) -> Families {
        Families::with(self.model_classes.iter().cloned())
    }
}

/// A provider that is enabled.
#[derive(Clone, PartialEq, Debug)]
pub struct Provider {
    /// Its name, unique.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// What its account is told apart by, if it is a cloud.
    pub account: Account,
    /// Where it is: scheme, authority, and perhaps a path and a query.
    pub base_url: http::Uri,
    /// The models it is listed with; for the listing only.
    pub models: Vec<String>,
    /// Model asked for, model sent. Names, and patterns with `*`.
    pub model_mapping: Vec<(String, String)>,
    /// Its keys, in the order of the file. May be empty: Anthropic by the client's own credential, a local Ollama.
    pub keys: Vec<Key>,
    /// How one of its keys is chosen.
    pub pooling: Strategy,
    /// Higher goes first.
    pub priority: u32,
    /// Its share; at least 1.
    pub weight: u32,
    /// When to give up on it.
    pub deadlines: Deadlines,
}

/// When to give up on an upstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadlines {
    /// Resolving, connecting and the TLS handshake together.
    pub connect: Duration,
    /// From the request to the head of the answer.
    pub first_byte: Duration,
    /// Without a byte while a body flows.
    pub idle: Duration,
}

/// A key of a provider.
#[derive(Clone, PartialEq, Debug)]
pub struct Key {
    /// Where its secret comes from.
    pub source: KeySource,
    /// The variable that a `key` was taken from, if it was.
    pub variable: Option<String>,
    /// The operator's own caps; zero means none.
    pub limits: Limits,
    /// 0 to 2, higher goes first.
    pub priority: u32,
    /// Its share; at least 1.
    pub weight: u32,
    /// Keys of the same group share their limits.
    pub limit_group: Option<String>,
    /// The workspace it belongs to.
    pub workspace: Option<String>,
    /// Where the key comes from with which the limits of its organization are asked for.
    pub admin: Option<AdminSource>,
}

/// Where the secret of an Admin API key comes from.
#[derive(Clone, PartialEq, Debug)]
pub enum AdminSource {
    /// `limits_admin_key`: written in the file or taken from the environment.
    Value(Secret),
    /// `limits_admin_key_file`: the first line of a file, read for each look.
    File(PathBuf),
}

/// Where the secret of a key comes from.
#[derive(Clone, PartialEq)]
pub enum KeySource {
    /// `key`: written in the file or taken from the environment.
    Value(Secret),
    /// `key_file`: the first line of a file, read again whenever it changes.
    File(PathBuf),
    /// `key_command`: the first line that a command prints, run by the shell; run again after the key was refused.
    Command(String),
    /// No key is written: what the machine is to the cloud, asked for again before it runs out.
    Identity(Identity),
}

impl KeySource {
    /// Is something run for it, and run again when it is refused?
    pub const fn is_run(&self) -> bool {
        matches!(self, Self::Command(_) | Self::Identity(_))
    }
}

impl fmt::Debug for KeySource {
    /// Of a command no more than its program: a credential may stand in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(secret) => f.debug_tuple("Value").field(secret).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Command(command) => f.debug_tuple("Command").field(&shown_command(command)).finish(),
            Self::Identity(identity) => f.debug_tuple("Identity").field(identity).finish(),
        }
    }
}

/// The operator's own caps on a key, a minute; zero means none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Requests.
    pub requests: u64,
    /// Uncached input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Tokens of both kinds together.
    pub tokens: u64,
    /// Calls under way at once; not a minute.
    pub at_once: u32,
}

/// How long a call may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Queue {
    /// The longest wait for a key to become ready; zero means that nothing waits.
    pub max_wait: Duration,
    /// How long a call waits for another one to write the prefix that both have.
    pub cold_prefix_wait: Duration,
    /// So many calls may wait at once.
    pub max_calls: u64,
    /// Their bodies may be so large together, in bytes.
    pub max_bytes: u64,
    /// What a second of waiting is worth.
    pub second: Second,
}

/// What a restart does not forget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// What was learned is kept.
    pub enabled: bool,
    /// In that file; none for [the usual one](crate::discover::state).
    pub path: Option<PathBuf>,
}

/// What is logged, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// The least important level that is written.
    pub level: Level,
    /// How a line looks.
    pub format: Format,
    /// Where lines go.
    pub output: Output,
    /// What else is logged of a request.
    pub debug: DebugOptions,
}

/// How important a line is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// A bug or a loss of data.
    Error,
    /// An operator should look.
    Warn,
    /// A state changed, a request ended.
    Info,
    /// One line for each step of a request.
    Debug,
}

/// How a log line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// JSON lines.
    Json,
    /// For people, with colours on a terminal.
    Text,
}

/// Where log lines go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to, created with mode 0600.
    File(PathBuf),
}

/// What else is logged of a request, at level debug.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DebugOptions {
    /// The beginning of a body, with secrets removed.
    pub request_body: bool,
    /// The headers of the answer.
    pub response_headers: bool,
    /// DNS, connect, TLS and first-byte times.
    pub tls_metrics: bool,
    /// How much of a body, in bytes.
    pub max_body: usize,
}

impl DebugOptions {
    /// Everything, as `--debug` asks for.
    pub const ALL: Self =
        Self { request_body: true, response_headers: true, tls_metrics: true, max_body: Self::PREVIEW };

    /// How much of a body is logged unless something else is written, in bytes: as the old program did.
    pub const PREVIEW: usize = 1_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads_here(host: &str) -> bool {
        let url = format!("http://{host}:8787").parse().unwrap();
        let listen = Address { host: "127.0.0.1".to_owned(), port: 8787 };
        Address::of(&url).unwrap().leads_to(&listen)
    }

    #[test]
    fn this_machine_is_known_by_all_its_addresses() {
        for host in [
            "localhost",
            "LocalHost.",
            "a.localhost",
            "127.0.0.1",
            "127.8.9.10",
            "127.1",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(leads_here(host), "{host}");
        }
        for host in ["api.anthropic.com", "10.0.0.1", "127.example", "localhost.example", "[2001:db8::1]"] {
            assert!(!leads_here(host), "{host}");
        }
    }
}
