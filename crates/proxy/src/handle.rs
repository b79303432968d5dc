//! The relay as others see it: build it, serve with it, ask how it is, let it end.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use relay_config::Config;
use relay_core::Report;
use relay_telemetry::{Recorder, happening};
use relay_transport::Transport;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::admit::Penalties;
use crate::announced;
use crate::clock::Clock;
use crate::identity::Identities;
use crate::keeper::{Found, Keeper};
use crate::keyring::{self, Fetched, Keyring, Run};
use crate::live::Live;
use crate::outgoing::strategy_name;
use crate::refusals::Refusals;
use crate::relay::Relay;
use crate::renew::{Begun, Commands, Renewal};
use crate::serve::Door;
use crate::slots::Slots;
use crate::snapshot::{Snapshot, Unusable};
use crate::stamp::Stamp;
use crate::tasks::Tasks;
use crate::tls::Certificate;
use crate::workers::Workers;

/// Commands that print keys sooner than this are waited for before the relay begins. No client waits so long for a
/// relay that is just being started.
const PROMPT: Duration = Duration::from_secs(1);

/// What a relay is built of, besides its configuration.
pub struct Parts {
    /// The one clock.
    pub clock: Arc<Clock>,
    /// Where its tasks run.
    pub tasks: Tasks,
    /// Who serves its connections; without them whoever accepts them does.
    pub workers: Option<Arc<Workers>>,
    /// How it reaches providers.
    pub transport: Transport,
    /// The file in which it keeps what it learned; without one, a restart forgets it.
    pub state: Option<PathBuf>,
    /// Where calls are recorded, without what was said.
    pub recorder: Option<Recorder>,
}

/// A relay.
#[derive(Clone)]
pub struct Handle {
    relay: Arc<Relay>,
    tasks: Tasks,
    workers: Option<Arc<Workers>>,
    renewal: Arc<Renewal>,
    keeper: Option<Arc<Keeper>>,
}

impl Handle {
    /// Builds a relay: fetches its secrets, takes its configuration over, and reads what was learned before. A secret that
    /// cannot be had is told in the log and left out until it can be; so is a file.
    pub async fn build(config: Config, parts: Parts) -> Result<Self, Unusable> {
        let Parts { clock, tasks, workers, transport, recorder, state } = parts;
        // Before they are read: what changes in between is seen at the first look.
        let (stamps, at) = (Stamp::of_all(&keyring::files(&config)).await, Instant::now());
        let identities = Arc::new(Identities::new());
        let mut first = Run::begin(&config, &identities);
        let found = async { Some(Found::look(state?).await) };
        let printed = tokio::time::timeout(PROMPT, first.printed());
        let (files, printed, found) = tokio::join!(Fetched::files(&config), printed, found);
        let (printed, first) = match printed {
            Ok(printed) => (printed, None),
            // The relay begins without them.
            Err(_) => (Fetched::default(), Some(first)),
        };
        for (key, error) in files.absent(&config).chain(printed.absent(&config)) {
            tracing::warn!(key, error = %relay_telemetry::chain(error), "a key is not there yet");
        }
        for key in first.iter().flat_map(|_| keyring::printed(&config)) {
            tracing::warn!(key, "its command still runs; calls for which there is no other key wait for it");
        }
        let refusals = Refusals::new(&config, first.is_some());
        let begun = Begun {
            stamps,
            commands: Commands::after(&printed, &config),
            at,
            first: Mutex::new(first),
            identities,
        };
        let keyring = Keyring::written(&config).with(&files).with(&printed);
        let snapshot = Snapshot::build(&config, &keyring, transport.clone())?;
        let live = Live::new(clock, tasks.clone());
        live.reconcile(&snapshot.fleet);
        announce(&config, &snapshot);
        let keeper = found.map(|found| Arc::new(found.keep(&live)));
        let relay = Arc::new(Relay {
            name: live.dice().uuid(),
            snapshot: ArcSwap::from_pointee(snapshot),
            live,
            slots: Slots::default(),
            penalties: Penalties::default(),
            refusals,
            draining: watch::channel(false).0,
            ends: AtomicBool::new(false),
            recorder,
        });
        let keyring = Mutex::new(keyring);
        if let Some(keeper) = &keeper {
            tasks.spawn("state", Arc::clone(keeper).run(relay.draining.subscribe()));
        }
        for announced in announced::all(&relay, &config) {
            tasks.spawn("announced limits", announced.run(relay.draining.subscribe()));
        }
        let renewal = Renewal { relay: Arc::clone(&relay), config, transport, keyring, begun };
        Ok(Self { relay, tasks, workers, renewal: Arc::new(renewal), keeper })
    }

    /// Could it be built? Its secrets are not fetched for that.
    pub fn check(config: &Config, transport: Transport) -> Result<(), Unusable> {
        Snapshot::build(config, &Keyring::written(config), transport).map(drop)
    }

    /// Accepts connections on a listener until the relay drains.
    pub fn listen(&self, listener: TcpListener, certificate: Option<Arc<Certificate>>) {
        self.tasks.spawn("listener", self.door().listen(listener, certificate));
    }

    /// Speaks HTTP on one connection until it ends.
    pub async fn serve<S>(&self, stream: S, peer: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.door().serve(stream, peer, "http").await;
    }

    /// Keeps keys and the certificate as their files and commands have them.
    pub fn keep_fresh(&self, certificate: Option<Arc<Certificate>>) {
        let renewal = Arc::clone(&self.renewal);
        self.tasks.spawn("renewal", renewal.run(certificate));
    }

    /// How many requests are being served.
    pub fn in_flight(&self) -> u32 {
        self.relay.slots.taken()
    }

    /// Everything that was learned, for operators.
    pub fn report(&self) -> Report {
        self.relay.live.report()
    }

    /// Lets no new request in, and waits until those that are served have ended. False if some had not
    /// by the deadline.
    pub async fn drain(&self, deadline: Duration) -> bool {
        self.relay.draining.send_replace(true);
        tokio::time::timeout(deadline, self.tasks.idle()).await.is_ok()
    }

    /// Cuts off what is still served. Requests end where they are served, as if their clients had left, and each writes
    /// its record. False if some had not by the deadline.
    pub async fn cut(&self, deadline: Duration) -> bool {
        self.relay.ends.store(true, Ordering::Relaxed);
        if let Some(workers) = &self.workers {
            workers.stop();
        }
        self.drain(deadline).await
    }

    /// Writes what was learned last. Afterwards nothing is kept any more, and another relay may use the file.
    pub async fn keep(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.finish().await;
        }
    }

    fn door(&self) -> Door {
        Door { relay: Arc::clone(&self.relay), tasks: self.tasks.clone(), workers: self.workers.clone() }
    }
}

/// One line for each pool.
fn announce(config: &Config, snapshot: &Snapshot) {
    for (provider, upstream) in config.providers.iter().zip(&snapshot.providers) {
        let keys = snapshot.fleet.provider(upstream.id).map_or(0, |provider| provider.keys.len());
        happening::pool_ready(&upstream.name, provider.kind.as_str(), keys, strategy_name(provider.pooling));
    }
}
