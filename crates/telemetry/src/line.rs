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
    let mut fields = Fields { layout, message: String::new(), rest: String::new() };
    event.record(&mut fields);
    let level = *event.metadata().level();
    // Writing to a `String` cannot fail.
    let _ = match layout {
        Layout::Json => {
            let (level, message) = (name(level), Quoted(&fields.message));
            writeln!(
                line,
                "{{\"level\":\"{level}\",\"time\":\"{time}\",\"message\":{message}{}}}",
                fields.rest
            )
        }
        Layout::Plain => {
            let clock = time.get(11..19).unwrap_or(time);
            writeln!(line, "{clock} {} -> {}{}", short(level), fields.message, fields.rest)
        }
        Layout::Coloured => {
            let (clock, colour) = (time.get(11..19).unwrap_or(time), colour(level));
            writeln!(
                line,
                "{clock} \x1b[{colour}m{}\x1b[0m -> {}{}",
                short(level),
                fields.message,
                fields.rest
            )
        }
    };
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
const fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 36,
        Level::TRACE => 35,
    }
}

/// Gathers the fields of an event.
struct Fields {
    layout: Layout,
    message: String,
    rest: String,
}

impl Fields {
    fn put(&mut self, field: &Field, value: &Value<'_>) {
        let name = field.name();
        if name == "message" {
            let _ = write!(self.message, "{}", value.bare());
            return;
        }
        let _ = match self.layout {
            Layout::Json => write!(self.rest, ",\"{name}\":{}", value.json()),
            Layout::Plain => write!(self.rest, " {name}={}", value.text()),
            Layout::Coloured => write!(self.rest, " \x1b[2m{name}=\x1b[0m{}", value.text()),
        };
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &Value::Words(&format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, &Value::Words(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, &Value::Plain(&value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, &Value::Plain(&value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, &Value::Plain(&value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is not a number.
        if value.is_finite() {
            self.put(field, &Value::Plain(&value));
        }
    }
}

/// The value of a field.
enum Value<'a> {
    Words(&'a str),
    Plain(&'a dyn fmt::Display),
}

impl Value<'_> {
    fn bare(&self) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            Self::Words(words) => f.write_str(words),
            Self::Plain(plain) => plain.fmt(f),
        })
    }

    fn json(&self) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            Self::Words(words) => write!(f, "{}", Quoted(words)),
            Self::Plain(plain) => plain.fmt(f),
        })
    }

    /// Bare if that is unmistakable, else quoted.
    fn text(&self) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            Self::Words(words) if words.is_empty() || words.contains(needs_quotes) => {
                write!(f, "{}", Quoted(words))
            }
            Self::Words(words) => f.write_str(words),
            Self::Plain(plain) => plain.fmt(f),
        })
    }
}

fn needs_quotes(character: char) -> bool {
    character.is_whitespace() || character.is_control() || character == '"' || character == '='
}

/// A JSON string.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        let mut rest = self.0;
        while let Some(at) =
            rest.find(|character: char| character == '"' || character == '\\' || character.is_control())
        {
            f.write_str(&rest[..at])?;
            let mut characters = rest[at..].chars();
            match characters.next() {
                Some('"') => f.write_str("\\\"")?,
                Some('\\') => f.write_str("\\\\")?,
                Some('\n') => f.write_str("\\n")?,
                Some('\t') => f.write_str("\\t")?,
                Some(other) => write!(f, "\\u{:04x}", u32::from(other))?,
                None => {}
            }
            rest = characters.as_str();
        }
        f.write_str(rest)?;
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_json_wants() {
        let table = [
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("line\nbreak\ttab\u{1}", r#""line\nbreak\ttab\u0001""#),
            ("straße 中", "\"straße 中\""),
            ("", r#""""#),
        ];
        for (words, expect) in table {
            assert_eq!(Quoted(words).to_string(), expect);
        }
    }

    #[test]
    fn text_is_quoted_only_where_it_must_be() {
        assert_eq!(Value::Words("two words").text().to_string(), "\"two words\"");
        assert_eq!(Value::Words("one").text().to_string(), "one");
        assert_eq!(Value::Plain(&3).text().to_string(), "3");
    }
}
