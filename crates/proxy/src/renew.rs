//! Keeps what lies outside the configuration fresh: keys from files and commands, and the certificate.
//! A changed file is used within seconds, without a reload and without a request noticing.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use relay_config::Config;
use relay_config::checked::KeySource;
use relay_core::{KeyId, ProviderId};
use relay_transport::Transport;
use tokio::time::{Instant, MissedTickBehavior};

use crate::keyring::{Keyring, Renew};
use crate::relay::Relay;
use crate::serve::drained;
use crate::snapshot::Snapshot;
use crate::tls::Certificate;

/// How often the files are looked at. A look is one `stat` each; symbolic links that are swapped, editors
/// that rename and volumes that send no events are all seen.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Commands are not run again sooner than this after the last time, however many keys are refused.
const COMMANDS_EVERY: Duration = Duration::from_secs(30);

/// What is needed to take new secrets over.
pub(crate) struct Renewal {
    pub(crate) relay: Arc<Relay>,
    pub(crate) config: Config,
    pub(crate) transport: Transport,
    pub(crate) keyring: Mutex<Keyring>,
}

/// A file as it was last seen: when it was changed and how long it is. None if it is not there.
type Seen = Option<(SystemTime, u64)>;

impl Renewal {
    /// Looks, until the relay drains.
    pub(crate) async fn run(self: Arc<Self>, certificate: Option<Arc<Certificate>>) {
        let keys = self.key_files();
        let certificates: Vec<PathBuf> =
            certificate.iter().flat_map(|certificate| certificate.files()).map(Path::to_owned).collect();
        let mut known = (look(&keys).await, look(&certificates).await);
        let mut commands_at = Instant::now();
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut draining = self.relay.draining.subscribe();
        loop {
            tokio::select! {
                () = drained(&mut draining) => return,
                () = self.relay.refused.notified() => {
                    if commands_at.elapsed() >= COMMANDS_EVERY {
                        commands_at = Instant::now();
                        self.renew(Renew::Commands).await;
                    }
                }
                _ = ticks.tick() => {
                    let seen = (look(&keys).await, look(&certificates).await);
                    if seen.0 != known.0 {
                        self.renew(Renew::Files).await;
                    }
                    if let Some(certificate) = certificate.as_ref().filter(|_| seen.1 != known.1) {
                        renew_certificate(certificate);
                    }
                    known = seen;
                }
            }
        }
    }

    /// Fetches secrets anew; if any changed, requests see them from now on.
    pub(crate) async fn renew(&self, renew: Renew) {
        let before = self.keyring.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (after, absent) = before.renewed(&self.config, renew).await;
        for (key, error) in &absent {
            tracing::warn!(key, error = %chain(error), "a key is not there");
        }
        if after == before {
            return;
        }
        match Snapshot::build(&self.config, &after, self.transport.clone()) {
            Ok(snapshot) => {
                self.relay.live.reconcile(&snapshot.fleet);
                self.relay.snapshot.store(Arc::new(snapshot));
            }
            Err(error) => {
                tracing::error!(%error, "the renewed keys were not taken over");
                return;
            }
        }
        for (name, key) in self.changed(&before, &after) {
            self.relay.live.pardon(key);
            tracing::info!(key = name, "key renewed");
        }
        *self.keyring.lock().unwrap_or_else(PoisonError::into_inner) = after;
    }

    fn changed(&self, before: &Keyring, after: &Keyring) -> Vec<(String, KeyId)> {
        let providers = self.config.providers.iter().enumerate();
        let changed = providers.flat_map(|(index, provider)| {
            let id = ProviderId::of(&provider.name);
            let keys = provider.keys.iter().enumerate();
            keys.filter(move |(place, _)| before.secret(index, *place) != after.secret(index, *place))
                .map(move |(place, key)| (format!("{}.keys[{place}]", provider.name), key.id(id)))
        });
        changed.collect()
    }

    fn key_files(&self) -> Vec<PathBuf> {
        let keys = self.config.providers.iter().flat_map(|provider| &provider.keys);
        let files = keys.filter_map(|key| match &key.source {
            KeySource::File(path) => Some(path.clone()),
            KeySource::Value(_) | KeySource::Command(_) => None,
        });
        let clients = self.config.auth.client_files.iter().map(|client| client.path.clone());
        files.chain(clients).collect()
    }
}

fn renew_certificate(certificate: &Certificate) {
    match certificate.renew() {
        Ok(()) => tracing::info!("certificate renewed"),
        Err(error) => tracing::warn!(error = %chain(&error), "the changed certificate was not taken over"),
    }
}

async fn look(files: &[PathBuf]) -> Vec<Seen> {
    let mut seen = Vec::with_capacity(files.len());
    for file in files {
        let metadata = tokio::fs::metadata(file).await.ok();
        seen.push(metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len()))));
    }
    seen
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
