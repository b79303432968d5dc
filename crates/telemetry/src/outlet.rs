//! The one way out for lines, for the whole program: what is said through `tracing`, and what is written for every
//! request and must cost little. It knows when a line is written, and refuses to know what stands in it.

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use relay_core::Time;

use crate::line::{self, Fields, Layout};
use crate::log::{Clock, Level};
use crate::sink::Sink;

static OUTLET: OnceLock<Outlet> = OnceLock::new();

/// Writes lines that are important enough.
pub(crate) struct Outlet {
    pub(crate) mouth: Mouth,
    pub(crate) layout: Layout,
    /// The least important [`Level`] that is written.
    pub(crate) level: Arc<AtomicU8>,
    pub(crate) clock: Clock,
}

/// Where a line goes.
pub(crate) enum Mouth {
    Sink(Sink),
    /// A test listens.
    Ear(fn(&str)),
}

impl Outlet {
    /// Makes it the one of the program, if there is none yet.
    pub(crate) fn open(self) -> Result<(), Self> {
        OUTLET.set(self)?;
        if let Some(outlet) = OUTLET.get() {
            // It fails if somebody else listens to `tracing`: then what is said there is theirs.
            let _ = tracing::subscriber::set_global_default(outlet);
        }
        Ok(())
    }

    /// The least important level that is written.
    pub(crate) fn least(&self) -> Level {
        Level::from_number(self.level.load(Ordering::Relaxed))
    }

    pub(crate) fn now(&self) -> Time {
        (self.clock)()
    }

    /// Writes a line, important or not.
    pub(crate) fn write(&self, level: Level, time: Time, fields: &impl Fields) {
        thread_local! {
            static DESK: Cell<Desk> = const { Cell::new(Desk::new()) };
        }
        // Away from its place while it is in use: a field that logs while it is written finds another, as does a
        // thread that ends.
        let mut desk = DESK.try_with(Cell::take).unwrap_or_default();
        let Desk { line, stamp } = &mut desk;
        line.clear();
        line::write(line, self.layout, level, stamp.at(time), fields);
        match &self.mouth {
            Mouth::Sink(sink) => sink.write(line.as_bytes()),
            Mouth::Ear(hear) => hear(line),
        }
        let _ = DESK.try_with(|place| place.set(desk));
    }
}

/// Writes a line, if it is important enough.
pub(crate) fn write(level: Level, time: Time, fields: &impl Fields) {
    if let Some(outlet) = OUTLET.get().filter(|outlet| level <= outlet.least()) {
        outlet.write(level, time, fields);
    }
}

/// What a thread writes its lines with.
#[derive(Default)]
struct Desk {
    line: String,
    stamp: Stamp,
}

impl Desk {
    const fn new() -> Self {
        Self { line: String::new(), stamp: Stamp { second: 0, text: String::new() } }
    }
}

/// A moment as RFC 3339 in UTC, to the millisecond. All lines of a second share what stands before that.
#[derive(Default)]
struct Stamp {
    second: u64,
    /// Empty at first.
    text: String,
}

impl Stamp {
    fn at(&mut self, time: Time) -> &str {
        const FRACTION: &str = ".000Z";
        let since = time.since_epoch();
        if self.second != since.as_secs() || self.text.is_empty() {
            self.second = since.as_secs();
            let second = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
            let second = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::MAX);
            self.text = format!("{second:.0}");
            self.text.truncate(self.text.len() - "Z".len());
            self.text.push_str(FRACTION);
        }
        self.text.truncate(self.text.len() - "000Z".len());
        // With a thousand more it has its leading zeros.
        self.text.push_str(&itoa::Buffer::new().format(1_000 + since.subsec_millis())[1..]);
        self.text.push('Z');
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
