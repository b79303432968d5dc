//! What happened to a request or a key: each a type with one line. No call site writes a log line of these itself.

use std::time::Duration;

use relay_core::{Event, Extent, Reason, Time, Usage};
use tracing::{debug, error, info, warn};

use crate::line::{Fields, Pen, Style, name};
use crate::log::Level;
use crate::outlet;

/// A request has ended.
#[derive(Debug)]
pub struct Finished<'a> {
    /// The relay's id of it.
    pub request_id: &'a str,
    /// Who asked, if that is known.
    pub client: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its path, without the query.
    pub path: &'a str,
    /// The model asked for.
    pub model: &'a str,
    /// Who answered.
    pub provider: &'a str,
    /// With which key.
    pub key: &'a str,
    /// The status that the client saw.
    pub status: u16,
    /// How it ended.
    pub end: End,
    /// How many attempts were made.
    pub attempts: usize,
    /// What each attempt met that was not the answer, and why.
    pub met: &'a str,
    /// How long it waited for a key.
    pub waited: Duration,
    /// Why its conversation left its prompt cache, if it did.
    pub moved: &'a str,
    /// From its arrival to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// When that was.
    pub ended: Time,
    /// From its arrival to its end.
    pub duration: Duration,
    /// The tokens used.
    pub usage: Usage,
    /// The bytes of the answer.
    pub bytes: u64,
    /// The events of the answer, for a stream.
    pub events: u64,
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The answer was sent whole.
    Whole,
    /// The client left.
    Left,
    /// The upstream cut the answer off.
    Cut,
    /// The upstream fell silent in the middle of the answer.
    Stalled,
    /// What the upstream sent broke off being what it had announced.
    Garbled,
    /// The upstream ended a stream with an error event.
    Error,
    /// The relay itself ended before it.
    Stopped,
}

impl End {
    /// One word for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Left => "left",
            Self::Cut => "cut",
            Self::Stalled => "stalled",
            Self::Garbled => "garbled",
            Self::Error => "error",
            Self::Stopped => "stopped",
        }
    }
}

impl Finished<'_> {
    /// Writes the line: at `info` when it went well, `warn` for a refusal, `error` for a failure. Every request
    /// has it, so it does not go through `tracing`, which asks three times as much for it.
    pub fn emit(&self) {
        outlet::write(self.level(), self.ended, self);
    }

    fn level(&self) -> Level {
        let broken = matches!(self.end, End::Cut | End::Stalled | End::Garbled | End::Error | End::Stopped);
        match self.status {
            500.. => Level::Error,
            _ if broken => Level::Warn,
            400.. => Level::Warn,
            _ => Level::Info,
        }
    }
}

impl Fields for Finished<'_> {
    fn write<S: Style>(&self, pen: &mut Pen<'_, S>) {
        pen.message("request finished");
        pen.field(name!("request_id")).words(self.request_id);
        pen.field(name!("client")).words(self.client);
        pen.field(name!("method")).words(self.method);
        pen.field(name!("path")).words(self.path);
        pen.field(name!("model")).words(self.model);
        pen.field(name!("provider")).words(self.provider);
        pen.field(name!("key_id")).words(self.key);
        pen.field(name!("status")).count(self.status);
        pen.field(name!("end")).words(self.end.name());
        pen.field(name!("attempts")).count(self.attempts);
        pen.field(name!("met")).words(self.met);
        pen.field(name!("waited_ms")).millis(self.waited);
        if !self.moved.is_empty() {
            pen.field(name!("moved")).words(self.moved);
        }
        if let Some(first_byte) = self.first_byte {
            pen.field(name!("first_byte_ms")).millis(first_byte);
        }
        pen.field(name!("duration_ms")).millis(self.duration);
        pen.field(name!("input_tokens")).count(self.usage.input);
        pen.field(name!("output_tokens")).count(self.usage.output);
        pen.field(name!("cache_write_tokens")).count(self.usage.cache_write);
        pen.field(name!("cache_read_tokens")).count(self.usage.cache_read);
        pen.field(name!("bytes")).count(self.bytes);
        pen.field(name!("sse_events")).count(self.events);
    }
}

/// A key's standing changed. `provider` and `key` are what operators call them.
pub fn key_event(event: &Event, provider: &str, key: &str, now: Time) {
    match event {
        Event::KeyCooled { class, window: None, until, .. } => {
            let rest = until.since(now).as_secs_f64();
            warn!(provider, key_id = key, class = class.as_str(), rest_s = rest, "key cools down");
        }
        Event::KeyCooled { window: Some(window), until, .. } => {
            let (window, rest) = (window.as_str(), until.since(now).as_secs_f64());
            warn!(provider, key_id = key, window, rest_s = rest, "a window of the key's plan is used up");
        }
        Event::KeyBarred { reason: Reason::Unaccepted, extent: Extent::Class, probe_at, .. } => {
            let probe = probe_at.since(now).as_secs_f64();
            let what = "the provider refuses the key for this class of models";
            warn!(provider, key_id = key, probe_s = probe, "{what}");
        }
        Event::KeyBarred { reason: Reason::Unaccepted, extent: Extent::Key, probe_at, .. } => {
            let probe = probe_at.since(now).as_secs_f64();
            error!(provider, key_id = key, probe_s = probe, "key is not accepted by the provider");
        }
        Event::KeyBarred { reason: Reason::OutOfMoney, probe_at, .. } => {
            let probe = probe_at.since(now).as_secs_f64();
            error!(provider, key_id = key, probe_s = probe, "no money is left behind the key");
        }
        Event::KeyPlaced { keys, holders, .. } => {
            let (keys, holders) = (*keys as u64, *holders as u64);
            info!(
                provider,
                key_id = key,
                keys,
                real_limits = holders,
                "it is known whose limits the key shares"
            );
        }
        Event::Crowded { class, most, .. } => {
            let what = "the provider refuses more calls at once";
            warn!(provider, key_id = key, class = class.as_str(), at_once = u64::from(*most), "{what}");
        }
        Event::KeyBack { .. } => info!(provider, key_id = key, "key is back"),
    }
}

/// An attempt of a request ended without being the answer.
pub fn attempt_failed(request_id: &str, provider: &str, key: &str, verdict: &str, detail: &str) {
    debug!(request_id, provider, key_id = key, verdict, detail, "attempt failed");
}

/// A pool is ready. One line for each when the relay starts.
pub fn pool_ready(provider: &str, kind: &str, keys: usize, strategy: &str) {
    info!(provider, kind, keys = keys as u64, strategy, "pool ready");
}

/// The beginning of a request's body, already without secrets.
pub fn body_seen(request_id: &str, length: usize, preview: &str) {
    debug!(request_id, body_length = length as u64, body_preview = preview, "request body");
}

/// The headers of an upstream's answer, already without secrets.
pub fn headers_seen(request_id: &str, status: u16, headers: &str) {
    debug!(request_id, status = u64::from(status), headers, "response headers");
}

/// How long it took to reach an upstream.
pub fn connected(request_id: &str, times: &str) {
    debug!(request_id, times, "upstream times");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{self, Layout};

    const FINISHED: Finished<'static> = Finished {
        request_id: "3f2a-1",
        client: "alice",
        method: "POST",
        path: "/v1/messages",
        model: "a \"model\" of = many words",
        provider: "straße",
        key: "first",
        status: 200,
        end: End::Whole,
        attempts: 2,
        met: "",
        waited: Duration::ZERO,
        moved: "",
        first_byte: Some(Duration::from_micros(812_340)),
        ended: Time::EPOCH,
        duration: Duration::from_micros(3_123_456),
        usage: Usage { input: 812, output: 340, cache_read: u64::MAX, ..Usage::ZERO },
        bytes: 18_234,
        events: 7,
    };

    fn line(layout: Layout, level: Level, fields: &impl Fields) -> String {
        let mut line = String::new();
        line::write(&mut line, layout, level, "2025-11-21T10:02:02.456Z", fields);
        line
    }

    #[test]
    fn the_line_of_a_request_says_who_served_it_and_what_it_used() {
        assert_eq!(
            line(Layout::Json, Level::Info, &FINISHED),
            concat!(
                r#"{"level":"info","time":"2025-11-21T10:02:02.456Z","message":"request finished","#,
                r#""request_id":"3f2a-1","client":"alice","method":"POST","path":"/v1/messages","#,
                r#""model":"a \"model\" of = many words","provider":"straße","key_id":"first","status":200,"#,
                r#""end":"whole","attempts":2,"met":"","waited_ms":0,"first_byte_ms":812.34,"#,
                r#""duration_ms":3123.456,"input_tokens":812,"output_tokens":340,"cache_write_tokens":0,"#,
                r#""cache_read_tokens":18446744073709551615,"bytes":18234,"sse_events":7}"#,
                "\n"
            )
        );
        assert_eq!(
            line(Layout::Plain, Level::Warn, &FINISHED),
            concat!(
                "10:02:02 WRN -> request finished request_id=3f2a-1 client=alice method=POST path=/v1/messages ",
                r#"model="a \"model\" of = many words" provider=straße key_id=first status=200 end=whole "#,
                "attempts=2 met=\"\" waited_ms=0 first_byte_ms=812.34 duration_ms=3123.456 input_tokens=812 ",
                "output_tokens=340 cache_write_tokens=0 cache_read_tokens=18446744073709551615 bytes=18234 ",
                "sse_events=7\n"
            )
        );
        let coloured = line(Layout::Coloured, Level::Error, &FINISHED);
        let begins = "10:02:02 \x1b[31mERR\x1b[0m -> request finished \x1b[2mrequest_id=\x1b[0m3f2a-1 ";
        assert!(coloured.starts_with(begins), "{coloured}");
    }

    #[test]
    fn the_three_layouts_of_a_line_say_the_same() {
        let silent = Finished { first_byte: None, met: "a/first: overloaded, b/own: cut", ..FINISHED };
        for finished in [FINISHED, silent] {
            for level in [Level::Error, Level::Warn, Level::Info, Level::Debug] {
                let plain = line(Layout::Plain, level, &finished);
                let mut bare = line(Layout::Coloured, level, &finished);
                for colour in ["31", "32", "33", "36", "2", "0"] {
                    bare = bare.replace(&format!("\x1b[{colour}m"), "");
                }
                assert_eq!(bare, plain);

                let json = line(Layout::Json, level, &finished);
                let fields: serde_json::Map<_, _> = serde_json::from_str(&json).unwrap();
                let told = fields.iter().skip(3).map(|(name, value)| match value.as_str() {
                    Some(words) if !words.is_empty() && !words.contains([' ', '"', '=']) => {
                        format!(" {name}={words}")
                    }
                    _ => format!(" {name}={value}"),
                });
                let told = told.collect::<String>();
                assert_eq!(plain.split_once("request finished").unwrap().1, format!("{told}\n"));
            }
        }
    }

    #[test]
    fn a_line_is_as_important_as_its_end_is_bad() {
        for (status, end, level) in [
            (200, End::Whole, Level::Info),
            (200, End::Left, Level::Info),
            (200, End::Error, Level::Warn),
            (200, End::Cut, Level::Warn),
            (200, End::Stalled, Level::Warn),
            (200, End::Garbled, Level::Warn),
            (0, End::Stopped, Level::Warn),
            (404, End::Whole, Level::Warn),
            (500, End::Whole, Level::Error),
            (529, End::Cut, Level::Error),
        ] {
            assert_eq!(Finished { status, end, ..FINISHED }.level(), level, "{status} {}", end.name());
        }
    }
}
