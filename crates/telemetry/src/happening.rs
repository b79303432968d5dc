//! What happened to a request or a key: each a type with one line. No call site writes a log line of these itself.

use std::time::Duration;

use relay_core::{Event, Extent, Reason, Time, Usage};
use tracing::{debug, error, info, warn};

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
    /// What each attempt but the last met.
    pub met: &'a str,
    /// How long it waited for a key.
    pub waited: Duration,
    /// From its arrival to the first byte of the answer.
    pub first_byte: Option<Duration>,
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
        }
    }
}

impl Finished<'_> {
    /// Writes the line: at `info` when it went well, `warn` for a refusal, `error` for a failure.
    pub fn emit(&self) {
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    request_id = self.request_id,
                    client = self.client,
                    method = self.method,
                    path = self.path,
                    model = self.model,
                    provider = self.provider,
                    key_id = self.key,
                    status = u64::from(self.status),
                    end = self.end.name(),
                    attempts = self.attempts as u64,
                    met = self.met,
                    waited_ms = millis(self.waited),
                    first_byte_ms = self.first_byte.map(millis),
                    duration_ms = millis(self.duration),
                    input_tokens = self.usage.input,
                    output_tokens = self.usage.output,
                    cache_write_tokens = self.usage.cache_write,
                    cache_read_tokens = self.usage.cache_read,
                    bytes = self.bytes,
                    sse_events = self.events,
                    "request finished"
                )
            };
        }
        let broken = matches!(self.end, End::Cut | End::Stalled | End::Garbled);
        match self.status {
            500.. => line!(error),
            _ if broken => line!(warn),
            400.. => line!(warn),
            _ => line!(info),
        }
    }
}

/// Milliseconds to the microsecond.
fn millis(duration: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53 microseconds, which is 285 years")]
    let micros = duration.as_micros() as f64;
    micros / 1_000.0
}

/// A key's standing changed. `provider` and `key` are what operators call them.
pub fn key_event(event: &Event, provider: &str, key: &str, now: Time) {
    match event {
        Event::KeyCooled { class, until, .. } => {
            let rest = until.since(now).as_secs_f64();
            warn!(provider, key_id = key, class = class.as_str(), rest_s = rest, "key cools down");
        }
        Event::KeyBarred { reason: Reason::Unaccepted, extent: Extent::Class, probe_at, .. } => {
            let probe = probe_at.since(now).as_secs_f64();
            warn!(provider, key_id = key, probe_s = probe, "key is not permitted to use this model");
        }
        Event::KeyBarred { reason: Reason::Unaccepted, extent: Extent::Key, probe_at, .. } => {
            let probe = probe_at.since(now).as_secs_f64();
            error!(provider, key_id = key, probe_s = probe, "key is not accepted by the provider");
        }
        Event::KeyBarred { reason: Reason::OutOfMoney, probe_at, .. } => {
            let probe = probe_at.since(now).as_secs_f64();
            error!(provider, key_id = key, probe_s = probe, "no money is left behind the key");
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
