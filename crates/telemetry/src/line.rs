//! How a log line looks: JSON for machines, text for people. It knows fields, not where they come from.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

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

/// Writes one event, ending in a newline. `time` is RFC 3339 in UTC.
pub(crate) fn write(line: &mut String, layout: Layout, time: &str, event: &Event<'_>) {
    let level = *event.metadata().level();
    let clock = || time.get(11..19).unwrap_or(time);
    let end = match layout {
        Layout::Json => {
            for part in ["{\"level\":\"", name(level), "\",\"time\":\"", time, "\""] {
                line.push_str(part);
            }
            "}\n"
        }
        Layout::Plain => {
            for part in [clock(), " ", short(level), " ->"] {
                line.push_str(part);
            }
            "\n"
        }
        Layout::Coloured => {
            for part in [clock(), " \x1b[", colour(level), "m", short(level), "\x1b[0m ->"] {
                line.push_str(part);
            }
            "\n"
        }
    };
    event.record(&mut Fields { layout, line });
    line.push_str(end);
}

const fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

const fn short(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERR",
        Level::WARN => "WRN",
        Level::INFO => "INF",
        Level::DEBUG => "DBG",
        Level::TRACE => "TRC",
    }
}

/// The colours of the old program: red, yellow, green, cyan.
const fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        Level::DEBUG => "36",
        Level::TRACE => "35",
    }
}

/// Writes the fields of an event as they come: the message first, as `tracing` has it.
struct Fields<'a> {
    layout: Layout,
    line: &'a mut String,
}

impl Fields<'_> {
    /// Begins a field.
    fn begin(&mut self, field: &Field) -> &mut String {
        let (before, after) = match self.layout {
            Layout::Json => (",\"", "\":"),
            _ if is_message(field) => return self.begin_message(),
            Layout::Plain => (" ", "="),
            Layout::Coloured => (" \x1b[2m", "=\x1b[0m"),
        };
        self.line.push_str(before);
        self.line.push_str(field.name());
        self.line.push_str(after);
        self.line
    }

    fn begin_message(&mut self) -> &mut String {
        self.line.push(' ');
        self.line
    }

    fn words(&mut self, field: &Field, words: &str) {
        let bare = self.layout != Layout::Json && (is_message(field) || !needs_quotes(words));
        let line = self.begin(field);
        if bare { line.push_str(words) } else { quote(line, words) }
    }
}

fn is_message(field: &Field) -> bool {
    field.name() == "message"
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // The message is written as it was put together; everything else may be of several words.
        if self.layout != Layout::Json && is_message(field) {
            let _ = write!(self.begin(field), "{value:?}");
        } else {
            self.words(field, &format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.words(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.begin(field).push_str(itoa::Buffer::new().format(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.begin(field).push_str(itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        let _ = write!(self.begin(field), "{value}");
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is not a number.
        if value.is_finite() {
            number(self.begin(field), value);
        }
    }
}

/// A number. Those of milliseconds to the microsecond, which most are, have a short way: finding the shortest
/// digits of any other costs ten times as much.
fn number(text: &mut String, value: f64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between those bounds")]
    let thousandths = (0.0..1e12).contains(&value).then(|| (value * 1_000.0).round() as u64);
    #[expect(clippy::cast_precision_loss, reason = "exact: it is below 2^53")]
    let exact =
        thousandths.filter(|thousandths| (*thousandths as f64 / 1_000.0).to_bits() == value.to_bits());
    let Some(thousandths) = exact else {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{value}");
        return;
    };
    text.push_str(itoa::Buffer::new().format(thousandths / 1_000));
    let mut rest = thousandths % 1_000;
    let mut separator = ".";
    while rest > 0 {
        text.push_str(separator);
        text.push_str(itoa::Buffer::new().format(rest / 100));
        rest = rest % 100 * 10;
        separator = "";
    }
}

/// Is a word of a line for people only unmistakable between quotes?
fn needs_quotes(words: &str) -> bool {
    let strange = |character: char| {
        character.is_whitespace() || character.is_control() || character == '"' || character == '='
    };
    words.is_empty() || words.contains(strange)
}

/// A JSON string.
fn quote(text: &mut String, words: &str) {
    text.push('"');
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if words.as_bytes().iter().all(plain) {
        text.push_str(words);
    } else {
        words.chars().for_each(|character| escape(text, character));
    }
    text.push('"');
}

fn escape(text: &mut String, character: char) {
    match character {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\t' => text.push_str("\\t"),
        other if other.is_control() => {
            let _ = write!(text, "\\u{:04x}", u32::from(other));
        }
        other => text.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(words: &str) -> String {
        let mut text = String::new();
        quote(&mut text, words);
        text
    }

    #[test]
    fn strings_are_quoted_as_json_wants() {
        let table = [
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("line\nbreak\ttab\u{1}", r#""line\nbreak\ttab\u0001""#),
            ("\u{7f}\u{9b}", r#""\u007f\u009b""#),
            ("straße 中", "\"straße 中\""),
            ("", r#""""#),
        ];
        for (words, expect) in table {
            assert_eq!(quoted(words), expect);
            assert_eq!(serde_json::from_str::<String>(&quoted(words)).unwrap(), words);
        }
    }

    #[test]
    fn text_is_quoted_only_where_it_must_be() {
        for (words, needs) in [("two words", true), ("one", false), ("", true), ("a=b", true), ("\"", true)] {
            assert_eq!(needs_quotes(words), needs, "{words}");
        }
    }

    #[test]
    fn numbers_are_written_with_their_shortest_digits() {
        for value in [
            0.0,
            0.001,
            0.01,
            0.1,
            0.013,
            0.6,
            1.0,
            1.05,
            12.345,
            250.0,
            600_000.5,
            1e12,
            0.1 + 0.2,
            1e-9,
            -2.5,
            1e300,
            999_999_999_999.999,
        ] {
            let mut text = String::new();
            number(&mut text, value);
            assert_eq!(text, format!("{value}"));
        }
    }
}
