//! The wiring: a configuration becomes a relay that listens, and a signal ends it. The only place that sees
//! the whole configuration, and that knows how the crates are put together.

pub(crate) mod listen;
mod log;
pub(crate) mod machine;
pub(crate) mod reach;
mod record;
pub(crate) mod stop;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use relay_config::checked::State;
use relay_config::{Config, discover};
use relay_proxy::{Certificate, Clock, Handle, Parts, Tasks, Unusable, UnusableCertificate, Workers};
use relay_telemetry::{Guard, Recorder};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::app::stop::{Signals, Stop};
use crate::environment::Environment;
use crate::find::Found;
use crate::report::{Exit, Explained, Failure, Outcome};

/// A relay that listens.
pub(crate) struct App {
    handle: Handle,
    config: Config,
    bound: Vec<SocketAddr>,
}

/// What begins before the relay does, and outlives it.
pub(crate) struct Ground {
    clock: Arc<Clock>,
    recorder: Option<Recorder>,
    /// What was recorded is written when this goes.
    recording: Option<Guard>,
    /// What was logged is written when this goes: after everything that logs.
    _log: Guard,
}

/// A relay that cannot start.
#[derive(Debug, thiserror::Error)]
enum Unstarted {
    /// The system gives no threads, or no signals.
    #[error("cannot start")]
    System(#[source] io::Error),
    /// The certificate of the listener cannot be used.
    #[error("cannot offer TLS")]
    Certificate(#[source] UnusableCertificate),
    /// A provider cannot be asked, whatever comes.
    #[error("cannot serve the configuration")]
    Provider(#[source] Unusable),
}

impl Explained for Unstarted {}

/// Threads for everything that waits.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Ok(Builder::new_multi_thread().enable_all().build().map_err(Unstarted::System)?)
}

/// The certificate of the listener, if it has one.
fn certificate(config: &Config) -> Result<Option<Certificate>, Failure> {
    let server = &config.server;
    let certificate = server.tls.as_ref().map(|tls| Certificate::read(tls, server.http2)).transpose();
    Ok(certificate.map_err(Unstarted::Certificate)?)
}

/// Everything that a relay of this configuration would fail at; but for what only who serves takes hold of, its port.
pub(crate) fn check(found: &Found, environment: &Environment) -> Result<(), Failure> {
    machine::look(found)?;
    let transport = reach::transport(environment)?;
    Ok(Handle::check(&found.config, transport).map_err(Unstarted::Provider)?)
}

impl Ground {
    /// Starts the clock and the log. To be called within a runtime.
    pub(crate) fn lay(config: &Config) -> Result<Self, Failure> {
        let clock = Arc::new(Clock::start());
        let log = log::start(&config.log, Arc::clone(&clock))?;
        Ok(Self { clock, recorder: None, recording: None, _log: log })
    }

    /// Records what is asked into that file from now on. One that cannot be written keeps nobody from serving.
    pub(crate) fn record(&mut self, path: &Path) -> Result<(), Failure> {
        let file = path.display();
        if let Some((recorder, guard)) = record::open(path, &self.clock)? {
            (self.recorder, self.recording) = (Some(recorder), Some(guard));
            tracing::info!(target: LOG, %file, "recording sizes and times, and nothing that is said");
        }
        Ok(())
    }
}

/// Runs the relay of a configuration until a signal ends it.
pub(crate) async fn serve(config: Config, environment: &Environment, ground: &Ground) -> Outcome {
    let mut signals = Signals::take().map_err(Unstarted::System)?;
    let app = tokio::select! {
        app = App::start(config, environment, ground) => app?,
        // A command that fetches a key may take its time.
        stop = signals.stop() => return Ok(Exit::Signal(stop.number())),
    };
    Ok(app.run(signals).await)
}

impl App {
    /// Builds the relay of a configuration, and listens.
    pub(crate) async fn start(
        config: Config,
        environment: &Environment,
        ground: &Ground,
    ) -> Result<Self, Failure> {
        let server = &config.server;
        let certificate = certificate(&config)?.map(Arc::new);
        // Before the relay is built: a port that is taken is told at once, not after the key commands ran.
        let listeners = listen::listen(&server.listen).await?;
        let parts = Parts {
            clock: Arc::clone(&ground.clock),
            tasks: Tasks::default(),
            workers: Some(Arc::new(Workers::one_for_two_processors().map_err(Unstarted::System)?)),
            transport: reach::transport(environment)?,
            state: state(&config.state, environment),
            recorder: ground.recorder.clone(),
        };
        let handle = Handle::build(config.clone(), parts).await.map_err(Unstarted::Provider)?;
        let bound = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>();
        let bound = bound.map_err(Unstarted::System)?;
        for listener in listeners {
            handle.listen(listener, certificate.clone());
        }
        handle.keep_fresh(certificate);
        let app = Self { handle, config, bound };
        for address in &app.bound {
            tracing::info!(target: LOG, %address, url = app.url(*address), "listening");
        }
        Ok(app)
    }

    /// The relay itself.
    pub(crate) const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Where clients of this machine reach it: one address for each listener.
    pub(crate) fn urls(&self) -> impl Iterator<Item = String> {
        self.bound.iter().map(|address| self.url(*address))
    }

    /// The address to be given to clients of this machine.
    fn url(&self, bound: SocketAddr) -> String {
        let scheme = if self.config.server.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", listen::reached(bound))
    }

    /// Serves until a signal, and then until the last request has ended, the time for that is up, or a
    /// second signal came.
    pub(crate) async fn run(self, mut signals: Signals) -> Exit {
        let signal = signals.stop().await;
        let drain = self.config.server.drain;
        let (in_flight, drain_s) = (self.handle.in_flight(), drain.as_secs_f64());
        tracing::info!(target: LOG, signal = signal.name(), in_flight, drain_s, "draining");
        let drained = tokio::select! {
            drained = self.handle.drain(drain) => drained,
            second = signals.stop() => return self.end_at_once(second).await,
        };
        if drained {
            self.handle.keep().await;
            tracing::info!(target: LOG, "stopped");
        } else {
            let in_flight = self.handle.in_flight();
            self.handle.cut(MOMENT).await;
            self.handle.keep().await;
            tracing::warn!(target: LOG, in_flight, "stopped before every request had ended");
        }
        Exit::Done
    }

    /// Whoever is in a hurry waits for a moment at most: so that what is cut off is in the log, in the recording, and in
    /// what is learned.
    async fn end_at_once(&self, signal: Stop) -> Exit {
        let in_flight = self.handle.in_flight();
        self.handle.cut(MOMENT / 2).await;
        let kept = tokio::time::timeout(MOMENT / 2, self.handle.keep());
        if kept.await.is_err() {
            tracing::warn!(target: LOG, "what was learned last is not kept: the disk is not fast enough");
        }
        tracing::warn!(target: LOG, signal = signal.name(), in_flight, "stopped at once");
        Exit::Signal(signal.number())
    }
}

/// So long what is cut off has for its last words. It takes microseconds, unless the machine has other things to do.
const MOMENT: Duration = Duration::from_secs(1);

/// The file in which what is learned is kept, if it is: the one that is named, or the usual one.
pub(crate) fn state_path(state: &State, environment: &Environment) -> Option<PathBuf> {
    let usual = || discover::state(environment.path("XDG_STATE_HOME"), environment.path("HOME"));
    state.path.clone().or_else(usual).filter(|_| state.enabled)
}

/// The same for whoever serves, who hears if there is none although there should be.
fn state(state: &State, environment: &Environment) -> Option<PathBuf> {
    let path = state_path(state, environment);
    if path.is_none() && state.enabled {
        let hint = "`state.path` names a file";
        tracing::info!(target: LOG, hint, "nobody is at home here: a restart forgets what was learned");
    }
    path
}

/// What our log lines say they are from: the log writes all levels of what begins like this.
pub(crate) const LOG: &str = "relay";
