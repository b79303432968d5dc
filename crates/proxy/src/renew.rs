//! Keeps what lies outside the configuration fresh: keys from files and commands, and the certificate.
//! A changed file is used within seconds, without a reload and without a request noticing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use relay_config::Config;
use relay_core::ProviderId;
use relay_transport::Transport;
use tokio::time::{Instant, MissedTickBehavior};

use crate::identity::Identities;
use crate::keyring::{self, Fetched, Keyring, Run};
use crate::relay::Relay;
use crate::serve::drained;
use crate::snapshot::Snapshot;
use crate::stamp::Stamp;
use crate::tls::Certificate;

/// How often the files are looked at. A look is one `stat` each; symbolic links that are swapped, editors
/// that rename and volumes that send no events are all seen.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long a file that is gone or empty may be so before its key is given up: editors, and whoever replaces
/// a file in two steps, are through with it by then.
const REPLACING: Duration = Duration::from_millis(250);

/// Commands are not run again sooner than this after the last time, however many keys are refused.
const COMMANDS_EVERY: Duration = Duration::from_secs(30);

/// What is needed to take new secrets over.
pub(crate) struct Renewal {
    pub(crate) relay: Arc<Relay>,
    pub(crate) config: Config,
    pub(crate) transport: Transport,
    pub(crate) keyring: Mutex<Keyring>,
    pub(crate) begun: Begun,
}

/// How the sources of secrets were when the relay began.
pub(crate) struct Begun {
    /// The files, looked at before they were read.
    pub(crate) stamps: Vec<Stamp>,
    /// Some command failed.
    pub(crate) commands: Commands,
    /// When the commands were run.
    pub(crate) at: Instant,
    /// That run, if it was not waited for.
    pub(crate) first: Mutex<Option<Run>>,
    /// What the machine is to clouds.
    pub(crate) identities: Arc<Identities>,
}

/// Must commands be run again?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Commands {
    /// Not before a key is refused.
    Done,
    /// One of them has failed.
    Due,
}

impl Commands {
    /// After they have been run.
    pub(crate) fn after(fetched: &Fetched, config: &Config) -> Self {
        if fetched.absent(config).next().is_some() { Self::Due } else { Self::Done }
    }
}

impl Renewal {
    /// Follows everything, until the relay drains. What is under way then is given up.
    pub(crate) async fn run(self: Arc<Self>, certificate: Option<Arc<Certificate>>) {
        let mut draining = self.relay.draining.subscribe();
        tokio::select! {
            () = drained(&mut draining) => {}
            () = self.follow_commands() => {}
            () = self.follow_files() => {}
            () = follow_certificate(certificate) => {}
        }
        self.relay.refusals.give_up();
    }

    /// Looks at the files with keys, every now and then and when a key was refused.
    async fn follow_files(&self) {
        let files = keyring::files(&self.config);
        let mut known = self.begun.stamps.clone();
        let refusals = &self.relay.refusals;
        let (mut looks, mut refused) = (looks(), refusals.listen());
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                // The sender is here.
                _ = refused.changed() => {}
            }
            let upto = *refused.borrow_and_update();
            self.look_at(&files, &mut known).await;
            refusals.looked_at_files(upto);
        }
    }

    /// Takes over what the files hold, if they are not as they are known.
    async fn look_at(&self, files: &[PathBuf], known: &mut Vec<Stamp>) {
        let mut seen = Stamp::of_all(files).await;
        if seen == *known {
            return;
        }
        let mut fetched = Fetched::files(&self.config).await;
        if self.keyring().would_lose(&fetched) {
            tokio::time::sleep(REPLACING).await;
            seen = Stamp::of_all(files).await;
            fetched = Fetched::files(&self.config).await;
        }
        self.take_over(&fetched);
        *known = seen;
    }

    /// Runs commands again when a key was refused, or one of them has failed.
    async fn follow_commands(&self) {
        let (mut commands, mut last) = (self.begun.commands, self.begun.at);
        if !keyring::sources(&self.config).any(|(_, source)| source.is_run()) {
            return std::future::pending().await;
        }
        let refusals = &self.relay.refusals;
        let (mut refused, mut upto) = (refusals.listen(), 0);
        let first = self.begun.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut run) = first {
            let fetched = run.printed().await;
            commands = Commands::after(&fetched, &self.config);
            self.take_over(&fetched);
            upto = *refused.borrow();
            refusals.ran_commands(upto);
        }
        loop {
            if commands == Commands::Done {
                tokio::select! {
                    // The sender is here.
                    _ = refused.wait_for(|count| *count > upto) => {}
                    () = self.begun.identities.run_out() => {}
                }
            }
            let due = last + COMMANDS_EVERY;
            if Instant::now() < due {
                refusals.put_commands_off(Some(due));
                tokio::time::sleep_until(due).await;
                refusals.put_commands_off(None);
            }
            last = Instant::now();
            let fetched = Run::begin(&self.config, &self.begun.identities).printed().await;
            commands = Commands::after(&fetched, &self.config);
            self.take_over(&fetched);
            // What was refused meanwhile was one of the old ones.
            upto = *refused.borrow();
            refusals.ran_commands(upto);
        }
    }

    /// If any secret changed, requests see it from now on.
    fn take_over(&self, fetched: &Fetched) {
        for (key, error) in fetched.absent(&self.config) {
            tracing::warn!(key, error = %relay_telemetry::chain(error), "a key is not there");
        }
        let mut keyring = self.keyring();
        let after = keyring.clone().with(fetched);
        if after == *keyring {
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
        // After the swap: what is said of the old key from now on is known to be outdated.
        for (index, place) in keyring::sources(&self.config).map(|(place, _)| place) {
            let (before, now) = (keyring.secret(index, place), after.secret(index, place));
            if before != now {
                let provider = &self.config.providers[index];
                self.relay.live.pardon(provider.keys[place].id(ProviderId::of(&provider.name)));
                let key = keyring::name(&self.config, (index, place));
                if now.is_some() {
                    tracing::info!(key, "key renewed");
                } else {
                    tracing::warn!(key, "key given up");
                }
            }
        }
        *keyring = after;
    }

    fn keyring(&self) -> std::sync::MutexGuard<'_, Keyring> {
        self.keyring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the files of the certificate.
async fn follow_certificate(certificate: Option<Arc<Certificate>>) {
    let Some(certificate) = certificate else { return std::future::pending().await };
    let files: Vec<PathBuf> = certificate.files().map(Path::to_owned).collect();
    let mut known = certificate.stamps().to_vec();
    let mut looks = looks();
    loop {
        looks.tick().await;
        let seen = Stamp::of_all(&files).await;
        if seen == known {
            continue;
        }
        known = seen;
        match certificate.renew() {
            Ok(()) => tracing::info!("certificate renewed"),
            Err(error) => {
                tracing::warn!(error = %relay_telemetry::chain(&error), "the changed certificate was not taken over");
            }
        }
    }
}

fn looks() -> tokio::time::Interval {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}
