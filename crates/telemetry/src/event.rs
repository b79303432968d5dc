//! What is said through `tracing`: by libraries, and by us wherever a line is not written for every request.
//! It knows which of that is written; it refuses to know spans.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::line::{Fields, Pen, Style};
use crate::log::Level;
use crate::outlet::Outlet;

impl Subscriber for &'static Outlet {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= least(self) && ours(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(least(self))
    }

    fn event(&self, event: &Event<'_>) {
        self.write(level(*event.metadata().level()), self.now(), event);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        // None is enabled, so that nobody asks for a second one.
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Of libraries, only what an operator should look at.
fn ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("relay") || *metadata.level() <= tracing::Level::WARN
}

fn least(outlet: &Outlet) -> LevelFilter {
    match outlet.least() {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    }
}

/// There is no less important one than `Debug` here: `TRACE` is never enabled.
const fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG | tracing::Level::TRACE => Level::Debug,
    }
}

impl Fields for Event<'_> {
    fn write<S: Style>(&self, pen: &mut Pen<'_, S>) {
        self.record(&mut Visitor { pen });
    }
}

/// Writes the fields of an event as they come: the message first, as `tracing` has it.
struct Visitor<'a, 'line, S> {
    pen: &'a mut Pen<'line, S>,
}

impl<S: Style> Visit for Visitor<'_, '_, S> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.pen.message(value);
        } else {
            self.pen.field_called(field.name()).words(value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.pen.field_called(field.name()).count(value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.pen.field_called(field.name()).count(value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.pen.field_called(field.name()).truth(value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is not a number.
        if value.is_finite() {
            self.pen.field_called(field.name()).number(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU8;

    use relay_core::Time;

    use super::*;
    use crate::line::{Layout, name};
    use crate::outlet::Mouth;

    thread_local! {
        static HEARD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    struct Same;

    impl Fields for Same {
        fn write<S: Style>(&self, pen: &mut Pen<'_, S>) {
            pen.message("a key's standing \"changed\"");
            pen.field(name!("provider")).words("two words");
            pen.field(name!("key_id")).words("first");
            pen.field(name!("count")).count(7_u64);
            pen.field(name!("below")).count(-7_i64);
            pen.field(name!("rest_s")).number(0.25);
            pen.field(name!("known")).truth(true);
        }
    }

    #[test]
    fn what_is_said_through_tracing_looks_like_what_is_not() {
        for layout in [Layout::Json, Layout::Plain, Layout::Coloured] {
            let outlet: &'static Outlet = Box::leak(Box::new(Outlet {
                mouth: Mouth::Ear(|line| HEARD.with_borrow_mut(|heard| heard.push(line.to_owned()))),
                layout,
                level: Arc::new(AtomicU8::new(Level::Debug as u8)),
                clock: Arc::new(|| Time::EPOCH),
            }));
            tracing::subscriber::with_default(outlet, || {
                tracing::warn!(
                    provider = "two words",
                    key_id = "first",
                    count = 7_u64,
                    below = -7_i64,
                    rest_s = 0.25,
                    endless = f64::INFINITY,
                    known = true,
                    "a key's standing {:?}",
                    "changed"
                );
            });
            outlet.write(Level::Warn, Time::EPOCH, &Same);
            let heard = HEARD.take();
            assert_eq!(heard.len(), 2, "{heard:?}");
            assert_eq!(heard[0], heard[1]);
        }
    }
}
