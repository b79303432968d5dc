//! The one subscriber of the program: which lines are written, and how.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use relay_core::Time;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::line::{self, Layout};
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
    let layer = Lines { sink, layout: layout(settings), level: Arc::clone(&level), clock };
    let subscriber = tracing_subscriber::registry().with(layer);
    // A second start, in a test that starts two, keeps the first.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok((Switch(level), guard))
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

/// Writes events as lines.
struct Lines {
    sink: Sink,
    layout: Layout,
    level: Arc<AtomicU8>,
    clock: Clock,
}

impl Lines {
    fn least(&self) -> LevelFilter {
        match self.level.load(Ordering::Relaxed) {
            0 => LevelFilter::ERROR,
            1 => LevelFilter::WARN,
            2 => LevelFilter::INFO,
            _ => LevelFilter::DEBUG,
        }
    }
}

/// Of libraries, only what an operator should look at.
fn ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("relay") || *metadata.level() <= tracing::Level::WARN
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_event() && *metadata.level() <= self.least() && ours(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.least())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        thread_local! {
            static DESK: RefCell<Desk> = const { RefCell::new(Desk::new()) };
        }
        let now = (self.clock)();
        DESK.with_borrow_mut(|Desk { line, stamp }| {
            line.clear();
            line::write(line, self.layout, stamp.at(now), event);
            self.sink.write(line.as_bytes());
        });
    }
}

/// What a thread writes its lines with.
struct Desk {
    line: String,
    stamp: Stamp,
}

impl Desk {
    const fn new() -> Self {
        Self { line: String::new(), stamp: Stamp { second: u64::MAX, text: String::new() } }
    }
}

/// A moment as RFC 3339 in UTC, to the millisecond. All lines of a second share what stands before that.
struct Stamp {
    second: u64,
    text: String,
}

impl Stamp {
    fn at(&mut self, time: Time) -> &str {
        let since = time.since_epoch();
        if self.second != since.as_secs() {
            self.second = since.as_secs();
            let second = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
            let second = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::MAX);
            self.text = format!("{second:.0}");
        }
        // Writing to a `String` cannot fail.
        self.text.truncate(self.text.find(['.', 'Z']).unwrap_or(self.text.len()));
        let _ = write!(self.text, ".{:03}Z", since.subsec_millis());
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_rfc_3339() {
        let Desk { mut stamp, .. } = Desk::new();
        for (millis, expect) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (999, "1970-01-01T00:00:00.999Z"),
            (1_763_719_322_007, "2025-11-21T10:02:02.007Z"),
            (1_763_719_322_456, "2025-11-21T10:02:02.456Z"),
            (1_763_719_321_999, "2025-11-21T10:02:01.999Z"),
        ] {
            assert_eq!(stamp.at(Time::EPOCH + Duration::from_millis(millis)), expect);
        }
    }
}
