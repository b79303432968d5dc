//! How a log line looks: JSON for machines, text for people. It knows fields, not where they come from.

use std::marker::PhantomData;
use std::time::Duration;

use crate::log::Level;
use crate::value;

/// How lines are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    /// One JSON object a line.
    Json,
    /// `HH:MM:SS LVL -> message key=value`.
    Plain,
    /// The same in colour.
    Coloured,
}

/// What can be written as a line.
pub(crate) trait Fields {
    /// Writes its message and then its fields, each a name and a value.
    fn write<S: Style>(&self, pen: &mut Pen<'_, S>);
}

/// Writes one line, ending in a newline. `time` is RFC 3339 in UTC.
pub(crate) fn write(line: &mut String, layout: Layout, level: Level, time: &str, fields: &impl Fields) {
    match layout {
        Layout::Json => write_as::<Json>(line, level, time, fields),
        Layout::Plain => write_as::<Plain>(line, level, time, fields),
        Layout::Coloured => write_as::<Coloured>(line, level, time, fields),
    }
}

fn write_as<S: Style>(line: &mut String, level: Level, time: &str, fields: &impl Fields) {
    S::begin(line, level, time);
    fields.write::<S>(&mut Pen { line, style: PhantomData });
    line.push_str(S::END);
}

/// The name of a field and what stands around it, in each layout: the compiler joins them, since the line of a
/// request has twenty. Made by [`name!`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    pub(crate) json: &'static str,
    pub(crate) plain: &'static str,
    pub(crate) coloured: &'static str,
}

/// A [`Name`].
macro_rules! name {
    ($name:literal) => {
        $crate::line::Name {
            json: concat!(",\"", $name, "\":"),
            plain: concat!(" ", $name, "="),
            coloured: concat!(" \x1b[2m", $name, "=\x1b[0m"),
        }
    };
}
pub(crate) use name;

/// Writes the fields of one line.
#[derive(Debug)]
pub(crate) struct Pen<'a, S> {
    line: &'a mut String,
    style: PhantomData<S>,
}

impl<S: Style> Pen<'_, S> {
    /// What happened.
    pub(crate) fn message(&mut self, words: &str) {
        S::message(self.line, words);
    }

    /// Begins a field. Its value comes next.
    #[inline]
    pub(crate) fn field(&mut self, name: Name) -> &mut Self {
        self.line.push_str(S::joined(name));
        self
    }

    /// Begins a field whose name is not known before. Its value comes next.
    pub(crate) fn field_called(&mut self, name: &str) -> &mut Self {
        S::name(self.line, name);
        self
    }

    /// Words.
    pub(crate) fn words(&mut self, words: &str) {
        S::words(self.line, words);
    }

    /// A number of things.
    pub(crate) fn count(&mut self, count: impl itoa::Integer) {
        self.line.push_str(itoa::Buffer::new().format(count));
    }

    /// A length of time: milliseconds to the microsecond.
    pub(crate) fn millis(&mut self, duration: Duration) {
        value::thousandths(self.line, u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// A number that is finite.
    pub(crate) fn number(&mut self, number: f64) {
        value::number(self.line, number);
    }

    /// Yes or no.
    pub(crate) fn truth(&mut self, truth: bool) {
        self.line.push_str(if truth { "true" } else { "false" });
    }
}

/// What a layout does with the parts of a line. A type for each, so that the compiler knows it where a line with
/// many fields is written.
pub(crate) trait Style {
    const END: &str;
    fn begin(line: &mut String, level: Level, time: &str);
    fn message(line: &mut String, words: &str);
    fn joined(name: Name) -> &'static str;
    fn name(line: &mut String, name: &str);
    fn words(line: &mut String, words: &str);
}

/// [`Layout::Json`].
#[derive(Debug)]
enum Json {}

impl Style for Json {
    const END: &str = "}\n";

    fn begin(line: &mut String, level: Level, time: &str) {
        let level = match level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        };
        push(line, ["{\"level\":\"", level, "\",\"time\":\"", time, "\""]);
    }

    fn message(line: &mut String, words: &str) {
        line.push_str(",\"message\":");
        value::quoted(line, words);
    }

    fn joined(name: Name) -> &'static str {
        name.json
    }

    fn name(line: &mut String, name: &str) {
        push(line, [",\"", name, "\":"]);
    }

    fn words(line: &mut String, words: &str) {
        value::quoted(line, words);
    }
}

/// [`Layout::Plain`].
#[derive(Debug)]
enum Plain {}

impl Style for Plain {
    const END: &str = "\n";

    fn begin(line: &mut String, level: Level, time: &str) {
        push(line, [clock(time), " ", short(level), " ->"]);
    }

    fn message(line: &mut String, words: &str) {
        push(line, [" ", words]);
    }

    fn joined(name: Name) -> &'static str {
        name.plain
    }

    fn name(line: &mut String, name: &str) {
        push(line, [" ", name, "="]);
    }

    fn words(line: &mut String, words: &str) {
        value::quoted_if_needed(line, words);
    }
}

/// [`Layout::Coloured`].
#[derive(Debug)]
enum Coloured {}

impl Style for Coloured {
    const END: &str = Plain::END;

    fn begin(line: &mut String, level: Level, time: &str) {
        // The colours of the old program: red, yellow, green, cyan.
        let colour = match level {
            Level::Error => "31",
            Level::Warn => "33",
            Level::Info => "32",
            Level::Debug => "36",
        };
        push(line, [clock(time), " \x1b[", colour, "m", short(level), "\x1b[0m ->"]);
    }

    fn message(line: &mut String, words: &str) {
        Plain::message(line, words);
    }

    fn joined(name: Name) -> &'static str {
        name.coloured
    }

    fn name(line: &mut String, name: &str) {
        push(line, [" \x1b[2m", name, "=\x1b[0m"]);
    }

    fn words(line: &mut String, words: &str) {
        Plain::words(line, words);
    }
}

/// The time of day of a moment in RFC 3339.
fn clock(time: &str) -> &str {
    time.get(11..19).unwrap_or(time)
}

const fn short(level: Level) -> &'static str {
    match level {
        Level::Error => "ERR",
        Level::Warn => "WRN",
        Level::Info => "INF",
        Level::Debug => "DBG",
    }
}

fn push<const N: usize>(line: &mut String, pieces: [&str; N]) {
    for piece in pieces {
        line.push_str(piece);
    }
}
