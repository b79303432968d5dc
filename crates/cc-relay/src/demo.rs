//! The main job without any account: a simulated provider, the relay before it, a crowd of clients, and what
//! came of it. It knows who is on stage and the order of the show; how each does its part is below.

mod carried;
mod conversation;
mod crowd;
mod screen;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use relay_config::checked::Address;
use relay_config::{Config, Format};
use relay_proxy::{Clock, Tasks};
use relay_sim::{Memory, Pace, Settings, Sim};
use relay_transport::Origin;
use tokio::net::TcpListener;
use tokio::time::{Instant, interval};

use crate::app::listen::{Unbound, listen};
use crate::app::stop::Signals;
use crate::app::{App, Ground, reach};
use crate::demo::carried::Carried;
use crate::demo::crowd::{CLIENTS, Crowd, Seen};
use crate::demo::screen::{Screen, invitation, verdict};
use crate::environment::Environment;
use crate::report::{self, Exit, Explained, Failure, Outcome};

/// What is to be shown.
pub(crate) struct Wishes {
    /// For how long; until a signal if there is none.
    pub(crate) length: Option<Duration>,
    /// The port of the relay; if there is none, the usual one, or any if somebody has that.
    pub(crate) port: Option<u16>,
    /// What clients do by themselves.
    pub(crate) workload: Workload,
}

/// What clients do by themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// They talk for some seconds.
    Conversations,
    /// Nothing.
    None,
}

/// The port that the README and Claude Code's settings name.
const USUAL_PORT: u16 = 8787;

/// How long the clients talk, unless the show is shorter; and how much of it is left when they stop.
const WORKLOAD: Duration = Duration::from_secs(7);
const REST_OF_SHOW: Duration = Duration::from_secs(1);

/// How long what is under way may go on when the show is over.
const DRAIN: Duration = Duration::from_secs(2);

/// From one look at the numbers to the next.
const TICK: Duration = Duration::from_millis(100);

/// The demo cannot begin.
#[derive(Debug, thiserror::Error)]
enum Unstarted {
    /// The system does not let it.
    #[error("cannot start the demo")]
    System(#[from] io::Error),
    /// The port that was wished cannot be had.
    #[error(transparent)]
    Port(Unbound),
}

impl Explained for Unstarted {
    fn hint(&self) -> Option<String> {
        match self {
            Self::System(_) => None,
            // Of a configuration, from which the port of a relay comes otherwise, nobody spoke.
            Self::Port(unbound) if unbound.is_taken() => Some(
                "another program has it: `--port` takes another, and `--port 0` any that is free".to_owned(),
            ),
            Self::Port(unbound) => unbound.hint(),
        }
    }
}

/// Everybody who is on stage.
struct Stage {
    provider: Sim,
    relay: App,
    url: String,
    carried: Carried,
    signals: Signals,
    /// The log is written as long as this is there.
    _ground: Ground,
}

/// Why a scene is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cue {
    /// It came to its end.
    End,
    /// A signal asked for it.
    Signal,
}

/// Shows the relay at work.
pub(crate) async fn show(wishes: &Wishes) -> Outcome {
    let end = wishes.length.and_then(|length| Instant::now().checked_add(length));
    let mut stage = Stage::open(wishes.port).await?;
    let (mut cue, mut exit) = (Cue::End, Exit::Done);
    if wishes.workload == Workload::Conversations {
        let length = talk(wishes.length);
        report::tell(format_args!(
            "{CLIENTS} clients talk like Claude Code for {}.\n",
            said(length, wishes.length)
        ));
        let seen;
        (cue, seen) = stage.talk(length, end).await?;
        report::print(&verdict(&stage.carried, &seen, &stage.provider.report().buckets))?;
        exit = seen.exit();
    }
    if cue == Cue::End {
        report::print(&invitation(&stage.url))?;
        stage.serve(end).await?;
    }
    stage.relay.handle().drain(DRAIN).await;
    Ok(exit)
}

/// How long the clients talk in a show of that length: what they have asked by then is to come to its end in it.
fn talk(show: Option<Duration>) -> Duration {
    show.map_or(WORKLOAD, |show| WORKLOAD.min(show.saturating_sub(REST_OF_SHOW.min(show / 2))))
}

/// For how long they talk, and of how long a show, if that is why it is no longer.
fn said(talk: Duration, show: Option<Duration>) -> String {
    let tenths = |time: Duration| (time.as_secs_f64() * 10.0).round() / 10.0;
    match show {
        Some(show) if talk < WORKLOAD => {
            format!("{} s of {} s, and end what they have begun in the rest", tenths(talk), tenths(show))
        }
        _ => format!("{} s", tenths(talk)),
    }
}

impl Stage {
    async fn open(port: Option<u16>) -> Result<Self, Failure> {
        let signals = Signals::take().map_err(Unstarted::System)?;
        let port = match port {
            Some(port) => wished(port).await?,
            None => usual_port().await,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Unstarted::System)?;
        let address = listener.local_addr().map_err(Unstarted::System)?;
        let provider = Sim::new(settings());
        let served = provider.clone();
        // It ends with the program: nothing of it is worth waiting for.
        let serve = async move { served.listen(listener, std::future::pending()).await };
        Tasks::default().spawn("provider", serve);
        let config = configuration(provider.settings(), address, port)?;
        let ground = Ground::lay(&config)?;
        // No environment: the forward proxies that it may name are not for what is on this machine.
        let relay = App::start(config, &Environment::new([]), &ground).await?;
        let url = relay.urls().next().unwrap_or_default();
        let carried = Carried::by(&provider);
        let (n_organizations, n_keys) = carried.size();
        report::tell(format_args!(
            "A simulated provider at http://{address}, which knows {n_keys} keys of {n_organizations} organizations,\n\
             and the relay before it at {url}, which has them all."
        ));
        Ok(Self { provider, relay, url, carried, signals, _ground: ground })
    }

    /// Clients talk for that long. What they have asked by then comes to its end, if the show goes on.
    async fn talk(&mut self, length: Duration, end: Option<Instant>) -> Result<(Cue, Seen), Failure> {
        let transport = reach::transport(&Environment::new([]))?;
        let origin = Origin::parse(&self.url).map_err(|error| Unstarted::System(io::Error::other(error)))?;
        let mut crowd = Crowd::gather(&transport, &origin);
        let mut screen = Screen::talking(length);
        let begun = Instant::now();
        let (mut cue, mut cut) = (Cue::End, end.and_then(|end| end.checked_add(DRAIN)));
        let mut ticks = interval(TICK);
        loop {
            tokio::select! {
                () = crowd.gone() => break,
                () = self.signals.over() => {
                    crowd.hush();
                    if std::mem::replace(&mut cue, Cue::Signal) == Cue::Signal {
                        break;
                    }
                    cut = Some(Instant::now() + DRAIN);
                }
                now = ticks.tick() => {
                    if now >= begun + length {
                        crowd.hush();
                    }
                    if cut.is_some_and(|cut| now >= cut) {
                        break;
                    }
                    self.look();
                    screen.show(now - begun, &crowd.seen(), &self.carried);
                }
            }
        }
        self.look();
        Ok((cue, crowd.seen()))
    }

    /// The relay serves whoever comes.
    async fn serve(&mut self, end: Option<Instant>) -> Result<(), Failure> {
        let before = self.carried.clone();
        let screen = Screen::serving();
        let mut ticks = interval(TICK);
        loop {
            tokio::select! {
                () = self.signals.over() => break,
                now = ticks.tick() => {
                    self.look();
                    screen.wait(&self.carried.since(&before));
                    if end.is_some_and(|end| now >= end) {
                        break;
                    }
                }
            }
        }
        drop(screen);
        self.look();
        let since = self.carried.since(&before);
        if since.requests() > 0 { report::print(&format!("\n{since}")) } else { Ok(()) }
    }

    fn look(&mut self) {
        self.carried.look(&self.provider, self.relay.handle());
    }
}

/// A provider of which the clients ask a little more than one organization gives: full buckets hold only
/// some seconds' worth, so that they are seen to run dry, and answers come several times as fast as real
/// ones, so that much is seen of them.
fn settings() -> Settings {
    let mut settings = Settings {
        pace: Pace {
            first_event: Duration::from_millis(200),
            between_events: Duration::from_millis(8),
            tokens_per_event: 6,
        },
        // Real time, so that its `date` and its resets can be read beside a clock.
        epoch: Clock::start().now().since_epoch(),
        // Nobody reads them, and the demo may stay up for long.
        memory: Memory { records: 256, body_bytes: 0 },
        ..Settings::demo()
    };
    for organization in &mut settings.organizations {
        let limit = &mut organization.limit;
        // Each key's first requests write the whole prompt into its cache.
        limit.input = limit.input.map(|input| input * 5);
        limit.burst = Duration::from_millis(1500);
    }
    settings
}

/// The relay before a provider of these settings at that address, said as a file.
fn configuration(settings: &Settings, provider: SocketAddr, port: u16) -> Result<Config, Failure> {
    let workspaces = settings.organizations.iter().flat_map(|organization| &organization.workspaces);
    let keys = workspaces.flat_map(|workspace| &workspace.keys);
    let keys: Vec<String> = keys.map(|key| format!("{{ key: {} }}", key.secret)).collect();
    let keys = keys.join(", ");
    // Keys that run out are seen in the table; in the log they would tear it.
    let text = format!(
        "server: {{ listen: 127.0.0.1:{port} }}\n\
         providers: [{{ name: sim, type: anthropic, enabled: true, base_url: 'http://{provider}', \
           pooling: {{ strategy: round_robin }}, keys: [{keys}] }}]\n\
         state: {{ enabled: false }}\n\
         logging: {{ level: error, output: stderr }}\n"
    );
    Ok(relay_config::load(&text, Format::Yaml, &|_| None)?.config)
}

/// The port that was wished, if it can be had: found out by taking it for a moment.
async fn wished(port: u16) -> Result<u16, Unstarted> {
    let address = Address { host: Ipv4Addr::LOCALHOST.to_string(), port };
    listen(&address).await.map_err(Unstarted::Port)?;
    Ok(port)
}

/// The usual port, or any if somebody has that: found out by taking it for a moment.
async fn usual_port() -> u16 {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, USUAL_PORT)).await {
        Ok(_) => USUAL_PORT,
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_talk_also_in_a_short_show_and_it_is_said_of_how_long_a_one() {
        let table = [
            (None, "7 s"),
            (Some(60_000), "7 s"),
            (Some(8_000), "7 s"),
            (Some(5_000), "4 s of 5 s, and end what they have begun in the rest"),
            (Some(1_000), "0.5 s of 1 s, and end what they have begun in the rest"),
            (Some(1_234), "0.6 s of 1.2 s, and end what they have begun in the rest"),
        ];
        for (show, expect) in table {
            let show = show.map(Duration::from_millis);
            assert_eq!(said(talk(show), show), expect, "{show:?}");
        }
    }
}
