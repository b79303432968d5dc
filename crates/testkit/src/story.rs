//! A relay with scripted providers, told in one sentence.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use relay_config::Config;
use relay_core::{Report, Time};
use relay_proxy::{Clock, Handle, Parts, Tasks};
use relay_sim::Sim;
use relay_telemetry::{Guard, Recorder};
use relay_transport::{
    Connected, Dial, DialError, Dialing, Http2, Kind, Origin, Phase, Settings, Spawner, Timing, Transport,
    tls,
};
use tokio::io::DuplexStream;

use crate::client::{Answer, Client};
use crate::upstream::{Reply, Upstream};

/// What a pipe holds before its writer waits, in bytes.
const PIPE: usize = 256 << 10;

/// When stories begin, unless they say otherwise.
pub const BEGIN: Time = Time::from_epoch(Duration::from_secs(1_790_000_000));

/// A relay to be.
pub struct Story {
    providers: Vec<(String, Far, Vec<String>)>,
    unreachable: Vec<String>,
    /// Of those that do not speak as Anthropic does: their name, their type, and what it needs, as YAML.
    kinds: Vec<[String; 3]>,
    /// More of the configuration, as YAML at the top level.
    more: String,
    state: Option<PathBuf>,
    begin: Time,
    recorder: Option<Recorder>,
}

/// Begins a story.
pub fn story() -> Story {
    let (providers, unreachable, kinds, more) = Default::default();
    Story { providers, unreachable, kinds, more, state: None, begin: BEGIN, recorder: None }
}

impl Story {
    /// A provider with one key and this script.
    pub fn provider(self, name: &str, script: impl IntoIterator<Item = Reply>) -> Self {
        self.provider_with(name, 1, script)
    }

    /// A provider with that many keys, `sk-<name>-1` and so on, all served by one script.
    pub fn provider_with(mut self, name: &str, keys: usize, script: impl IntoIterator<Item = Reply>) -> Self {
        let keys = (1..=keys).map(|key| format!("{{ key: sk-{name}-{key} }}")).collect();
        self.providers.push((name.to_owned(), Far::Scripted(Upstream::new(script)), keys));
        self
    }

    /// A simulated provider, with all its keys.
    pub fn simulated(mut self, name: &str, sim: &Sim) -> Self {
        let workspaces = sim.settings().organizations.iter().flat_map(|holder| &holder.workspaces);
        let keys = workspaces.flat_map(|part| &part.keys).map(|key| format!("{{ key: {} }}", key.secret));
        self.providers.push((name.to_owned(), Far::Simulated(sim.clone()), keys.collect()));
        self
    }

    /// A provider whose address leads back to the relay.
    pub fn leading_back(mut self, name: &str) -> Self {
        let keys = vec![format!("{{ key: sk-{name}-1 }}")];
        self.providers.push((name.to_owned(), Far::Back(Arc::default()), keys));
        self
    }

    /// A provider with these keys, as a configuration writes them, all served by one script.
    pub fn provider_of(mut self, name: &str, keys: &[&str], script: impl IntoIterator<Item = Reply>) -> Self {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self.providers.push((name.to_owned(), Far::Scripted(Upstream::new(script)), keys));
        self
    }

    /// A provider whose address nobody listens on.
    pub fn unreachable(mut self, name: &str) -> Self {
        self.unreachable.push(name.to_owned());
        self.provider(name, [])
    }

    /// That provider is of that type, and has these options, each as a line of YAML.
    pub fn of_type(mut self, name: &str, kind: &str, options: &[&str]) -> Self {
        let lines: String = options.iter().flat_map(|option| ["    ", option, "\n"]).collect();
        self.kinds.push([name.to_owned(), kind.to_owned(), lines]);
        self
    }

    /// Each key of that provider has this as well, written as in a configuration.
    pub fn key_option(mut self, name: &str, option: &str) -> Self {
        let keys = self.providers.iter_mut().filter(|(known, ..)| known == name).flat_map(|(.., keys)| keys);
        for key in keys {
            *key = key.replacen('{', &format!("{{ {option},"), 1);
        }
        self
    }

    /// More of the configuration, as YAML at the top level.
    pub fn with(mut self, yaml: &str) -> Self {
        self.more.push_str(yaml);
        self.more.push('\n');
        self
    }

    /// It keeps what it learns in that file.
    pub fn remembering(mut self, file: &Path) -> Self {
        self.state = Some(file.to_owned());
        self
    }

    /// It begins at that time.
    pub fn at(mut self, begin: Time) -> Self {
        self.begin = begin;
        self
    }

    /// Calls are recorded there, from the time on at which stories begin.
    pub fn recorded_into(mut self, out: Box<dyn std::io::Write + Send>) -> (Self, Guard) {
        let (recorder, guard) = Recorder::into(out, BEGIN).expect("a thread for the recorder");
        self.recorder = Some(recorder);
        (self, guard)
    }

    /// The relay, running.
    pub async fn start(self) -> Told {
        let config = self.config();
        let seen = Mutex::default();
        let upstreams: BTreeMap<_, _> = self
            .providers
            .iter()
            .map(|(name, upstream, _)| (format!("{name}.localhost"), upstream.clone()))
            .collect();
        let tasks = Tasks::default();
        // The upstreams' and the transport's tasks are not the relay's: a drain does not wait for them.
        let beside = Tasks::default();
        let spawner = Spawner::new({
            let beside = beside.clone();
            move |name, task| beside.spawn(name, task)
        });
        let mut reached = upstreams.clone();
        reached.retain(|host, _| !self.unreachable.contains(&host.replace(".localhost", "")));
        let pipes = Pipes { upstreams: reached, tasks: beside, dialled: seen };
        let transport = Transport::new(settings(spawner), Arc::new(pipes));
        let clock = Arc::new(Clock::at(self.begin));
        let (recorder, state) = (self.recorder, self.state);
        let parts = Parts { clock, tasks: tasks.clone(), workers: None, transport, recorder, state };
        let handle = Handle::build(config, parts).await.expect("the configuration of a story can be used");
        for far in upstreams.values() {
            if let Far::Back(back) = far {
                // It was made just now, and has not been set before.
                let _ = back.set(handle.clone());
            }
        }
        Told { handle, tasks, upstreams }
    }

    fn config(&self) -> Config {
        let mut yaml = String::from("server: { listen: \"127.0.0.1:0\" }\nproviders:\n");
        if self.more.contains("server:") {
            yaml = String::from("providers:\n");
        }
        for (name, far, keys) in &self.providers {
            let known = self.kinds.iter().find(|[known, ..]| known == name);
            let (kind, options) = known.map_or(("anthropic", ""), |[_, kind, options]| (kind, options));
            let provider = format!(
                "  - name: {name}\n    type: {kind}\n    enabled: true\n    base_url: http://{name}.localhost\n{options}"
            );
            yaml += &provider;
            // Who tells no script needs no order of keys.
            yaml.push_str(far.scripted().map_or("", |_| "    pooling: { strategy: round_robin }\n"));
            yaml.extend(["    keys: [", &keys.join(", "), "]\n"]);
        }
        yaml.push_str(&self.more);
        let loaded = relay_config::load(&yaml, relay_config::Format::Yaml, &|_| None);
        loaded
            .unwrap_or_else(|problems| unreachable!("the configuration of a story loads: {problems}\n{yaml}"))
            .config
    }
}

/// A relay as it runs.
pub struct Told {
    /// The relay itself.
    pub handle: Handle,
    tasks: Tasks,
    upstreams: BTreeMap<String, Far>,
}

/// Who is asked.
#[derive(Clone)]
enum Far {
    Scripted(Arc<Upstream>),
    Simulated(Sim),
    /// The relay that asks.
    Back(Arc<OnceLock<Handle>>),
}

impl Far {
    fn scripted(&self) -> Option<&Arc<Upstream>> {
        match self {
            Self::Scripted(upstream) => Some(upstream),
            Self::Simulated(_) | Self::Back(_) => None,
        }
    }
}

impl Told {
    /// A connection to the relay.
    pub async fn client(&self) -> Client {
        Client::new(self.connect()).await
    }

    /// The client's end of a pipe whose other end the relay serves.
    pub fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let handle = self.handle.clone();
        self.tasks.spawn("story", async move {
            handle.serve(theirs, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
        });
        ours
    }

    /// Asks for a stream, on a connection of its own.
    pub async fn ask(&self, words: &str) -> Answer {
        self.client().await.send(ask(words, Manner::Stream)).await
    }

    /// Asks for a message, on a connection of its own.
    pub async fn ask_whole(&self, words: &str) -> Answer {
        self.client().await.send(ask(words, Manner::Whole)).await
    }

    /// Sends any request, on a connection of its own.
    pub async fn send(&self, request: Request<Bytes>) -> Answer {
        self.client().await.send(request).await
    }

    /// The upstream behind a provider.
    pub fn upstream(&self, name: &str) -> &Arc<Upstream> {
        let upstream = self.upstreams[&format!("{name}.localhost")].scripted();
        upstream.expect("it has a script")
    }

    /// The providers that were asked, in the order in which they were.
    pub fn asked(&self) -> Vec<String> {
        let mut all: Vec<_> = Vec::new();
        let scripted = self.upstreams.iter().filter_map(|(name, far)| Some((name, far.scripted()?)));
        for (name, upstream) in scripted {
            let name = name.trim_end_matches(".localhost");
            all.extend(upstream.seen().into_iter().map(|seen| (seen.at, name.to_owned())));
        }
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, name)| name).collect()
    }

    /// The keys that a provider was asked with, in order.
    pub fn keys(&self, name: &str) -> Vec<String> {
        let seen = self.upstream(name).seen();
        seen.iter().map(|seen| seen.header("x-api-key").unwrap_or_default().to_owned()).collect()
    }

    /// What operators see.
    pub fn report(&self) -> Report {
        self.handle.report()
    }

    /// The number of leases that are open.
    pub fn in_flight(&self) -> u32 {
        let report = self.report();
        report.providers.iter().flat_map(|provider| &provider.keys).map(|key| key.in_flight).sum()
    }
}

/// How an answer is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// As a stream.
    Stream,
    /// As one message.
    Whole,
}

/// A request as Claude Code makes it.
pub fn ask(words: &str, manner: Manner) -> Request<Bytes> {
    let stream = manner == Manner::Stream;
    let body = format!(
        "{{\"model\":\"claude-opus-5-5\",\"messages\":[{{\"role\":\"user\",\"content\":\"{words}\"}}],\"max_tokens\":128000,\"stream\":{stream}}}"
    );
    post("/v1/messages?beta=true", body)
}

/// A request with a body.
pub fn post(path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    let request = Request::post(path)
        .header("host", "127.0.0.1:8787")
        .header("content-type", "application/json")
        .header("anthropic-version", "2023-06-01")
        .header("anthropic-beta", "claude-code-20250219,effort-2025-11-24");
    request.body(body.into()).expect("the parts of a story's request are valid")
}

/// A request without a body.
pub fn get(path: &str) -> Request<Bytes> {
    let request = Request::get(path).header("host", "127.0.0.1:8787");
    request.body(Bytes::new()).expect("the parts of a story's request are valid")
}

/// A transport that speaks plain HTTP/1.1 only.
fn settings(spawner: Spawner) -> Settings {
    let tls = tls::client(tls::Roots::Bundled).expect("the bundled roots are valid");
    Settings {
        spawner,
        tls,
        http2: Http2::Never,
        idle_timeout: Duration::from_mins(1),
        max_idle: 16,
        proxy: None,
    }
}

/// Reaches upstreams by pipes in place of sockets.
struct Pipes {
    upstreams: BTreeMap<String, Far>,
    tasks: Tasks,
    dialled: Mutex<Vec<String>>,
}

impl Dial for Pipes {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
        Box::pin(async move {
            self.dialled.lock().unwrap_or_else(PoisonError::into_inner).push(origin.host().to_owned());
            let Some(upstream) = self.upstreams.get(origin.host()) else {
                return Err(DialError { phase: Phase::Connect, kind: Kind::Refused, source: None });
            };
            let (ours, theirs) = tokio::io::duplex(PIPE);
            match upstream.clone() {
                Far::Scripted(upstream) => self.tasks.spawn("upstream", upstream.serve(theirs)),
                Far::Simulated(sim) => {
                    self.tasks.spawn("upstream", async move { sim.serve(theirs).await });
                }
                Far::Back(back) => {
                    let relay = back.get().expect("it was built before it was asked").clone();
                    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
                    self.tasks.spawn("upstream", async move { relay.serve(theirs, peer).await });
                }
            }
            Ok(Connected { io: Box::new(ours), timing: Timing::default() })
        })
    }
}
