//! How logging begins: which lines are written, how, and where.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use relay_core::Time;

use crate::line::Layout;
use crate::outlet::{Mouth, Outlet};
use crate::sink::{Guard, Sink, Target};

/// Tells the time. The shell has the one clock and lends it.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// What is written, how, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The least important level that is written.
    pub level: Level,
    /// How a line looks.
    pub format: Format,
    /// Where lines go.
    pub target: Target,
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

impl Level {
    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Error,
            1 => Self::Warn,
            2 => Self::Info,
            _ => Self::Debug,
        }
    }
}

/// How a line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// JSON lines.
    Json,
    /// For people, in colour on a terminal.
    Text,
}

/// Changes the level while the program runs.
#[derive(Clone, Debug)]
pub struct Switch(Arc<AtomicU8>);

impl Switch {
    /// From now on, this level.
    pub fn set(&self, level: Level) {
        self.0.store(level as u8, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Starts logging, once in a program. Lines are written until the guard is dropped.
pub fn init(settings: &Settings, clock: Clock) -> io::Result<(Switch, Guard)> {
    let (sink, guard) = Sink::open(&settings.target)?;
    let level = Arc::new(AtomicU8::new(settings.level as u8));
    let outlet =
        Outlet { mouth: Mouth::Sink(sink), layout: layout(settings), level: Arc::clone(&level), clock };
    // A second start, in a test that starts two, keeps the first.
    let _ = outlet.open();
    Ok((Switch(level), guard))
}

/// Starts logging in a test: every line goes to an ear as a person would read it, on the thread that writes it.
/// False if logging has been started before: then that stays.
#[must_use]
pub fn overhear(ear: fn(&str)) -> bool {
    let level = Arc::new(AtomicU8::new(Level::Debug as u8));
    let clock: Clock = Arc::new(|| Time::EPOCH);
    Outlet { mouth: Mouth::Ear(ear), layout: Layout::Plain, level, clock }.open().is_ok()
}

fn layout(settings: &Settings) -> Layout {
    let terminal = match settings.target {
        Target::Stdout => io::stdout().is_terminal(),
        Target::Stderr => io::stderr().is_terminal(),
        Target::File(_) => false,
    };
    match (settings.format, terminal) {
        (Format::Json, _) | (Format::Auto, false) => Layout::Json,
        (Format::Text, false) => Layout::Plain,
        (Format::Text | Format::Auto, true) => Layout::Coloured,
    }
}
