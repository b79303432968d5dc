//! The log of a configuration: its slice, in the words of `relay_telemetry`.

use std::io;
use std::sync::Arc;

use relay_config::checked::{self, Log, Output};
use relay_proxy::Clock;
use relay_telemetry::{Format, Guard, Level, Settings, Target};

use crate::report::Explained;

/// A log that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the log to {0}")]
pub(crate) struct Unloggable(String, #[source] io::Error);

impl Explained for Unloggable {}

/// Starts the log. Its lines are written until the guard goes.
pub(crate) fn start(log: &Log, clock: Arc<Clock>) -> Result<Guard, Unloggable> {
    let settings = settings(log);
    let started = relay_telemetry::init(&settings, Arc::new(move || clock.now()));
    let (_, guard) = started.map_err(|cause| Unloggable(place(&log.output), cause))?;
    Ok(guard)
}

/// Could it be written?
pub(crate) fn check(log: &Log) -> io::Result<()> {
    settings(log).target.check()
}

fn settings(log: &Log) -> Settings {
    let level = match log.level {
        checked::Level::Error => Level::Error,
        checked::Level::Warn => Level::Warn,
        checked::Level::Info => Level::Info,
        checked::Level::Debug => Level::Debug,
    };
    let format = match log.format {
        checked::Format::Auto => Format::Auto,
        checked::Format::Json => Format::Json,
        checked::Format::Text => Format::Text,
    };
    let target = match &log.output {
        Output::Stdout => Target::Stdout,
        Output::Stderr => Target::Stderr,
        Output::File(path) => Target::File(path.clone()),
    };
    Settings { level, format, target }
}

pub(crate) fn place(output: &Output) -> String {
    match output {
        Output::Stdout => "standard output".to_owned(),
        Output::Stderr => "standard error".to_owned(),
        Output::File(path) => format!("`{}`", path.display()),
    }
}
