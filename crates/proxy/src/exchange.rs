//! The record of one request: its id, who asked, who was tried, how it ended. It is shared by everything
//! that works on the request, travels inside the response body, and writes its one log line when the
//! last of them lets go: at the end of the body, or when the client leaves.

mod names;
mod tape;

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use relay_config::checked::DebugOptions;
use relay_core::{Time, Usage, Verdict};
use relay_headers::{Headers, Request, Value};
use relay_telemetry::Recorder;
use relay_telemetry::happening::{self, End, Finished};
use relay_transport::Timings;

use crate::asked::Asked;
use crate::exchange::names::Names;
use crate::exchange::tape::Tape;
use crate::flush::Flushes;
use crate::preview;
use crate::relay::{Peer, Relay};

/// `x-request-id`: ours, or the client's if it is sane.
pub(crate) const X_REQUEST_ID: &str = "x-request-id";

/// One request and its answer.
pub(crate) struct Exchange {
    relay: Arc<Relay>,
    flushes: Option<Flushes>,
    /// `https` or `http`.
    scheme: &'static str,
    id: String,
    method: Method,
    path: String,
    arrived: Time,
    loud: Loudness,
    record: Mutex<Record>,
}

/// Is the end of a request worth a line?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Loudness {
    Logged,
    /// Probes of orchestrators come every second and say nothing.
    Quiet,
}

#[derive(Debug)]
struct Record {
    names: Names,
    attempts: usize,
    met: String,
    waited: Duration,
    /// Since when it waits for its turn, if it does.
    waits: Option<Time>,
    moved: String,
    status: u16,
    first_byte: Option<Duration>,
    end: End,
    usage: Usage,
    bytes: u64,
    events: u64,
    /// If it is recorded.
    tape: Option<Box<Tape>>,
}

impl Exchange {
    /// Begins the record of a request.
    pub(crate) fn open<B>(relay: &Arc<Relay>, peer: &Peer, request: &Request<B>) -> Arc<Self> {
        let live = &relay.live;
        let path = request.target.path();
        let loud = if matches!(path, "/health" | "/ready") { Loudness::Quiet } else { Loudness::Logged };
        Arc::new(Self {
            relay: Arc::clone(relay),
            flushes: peer.flushes.clone(),
            scheme: peer.scheme,
            id: sane_id(&request.headers).unwrap_or_else(|| live.dice().uuid()),
            method: request.method.clone(),
            path: preview::path(path).into_owned(),
            arrived: live.now(),
            loud,
            record: Mutex::new(Record {
                names: Names::default(),
                attempts: 0,
                met: String::new(),
                waited: Duration::ZERO,
                waits: None,
                moved: String::new(),
                status: 0,
                first_byte: None,
                end: End::Left,
                usage: Usage::ZERO,
                bytes: 0,
                events: 0,
                tape: None,
            }),
        })
    }

    /// The id that the client sees and the log has.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The id as a header.
    pub(crate) fn id_header(&self) -> Value<'_> {
        Value::new(self.id.as_bytes()).unwrap_or(Value::fixed("unknown"))
    }

    /// With which method it is asked.
    pub(crate) const fn method(&self) -> &Method {
        &self.method
    }

    /// `https` or `http`: how the client reaches the relay.
    pub(crate) const fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// How often what was written to the client has left, if it matters on its connection.
    pub(crate) const fn flushes(&self) -> Option<&Flushes> {
        self.flushes.as_ref()
    }

    /// When it came.
    pub(crate) const fn arrived(&self) -> Time {
        self.arrived
    }

    /// Who asks.
    pub(crate) fn note_client(&self, name: &str) {
        self.record().names.set_client(name);
    }

    /// What is asked. With the debug option its beginning is logged, without what looks like a secret.
    pub(crate) fn note_asked(&self, asked: &Asked, debug: &DebugOptions) {
        /// Client-made names are logged no longer than this, in bytes.
        const LONGEST: usize = 128;
        let model = preview::name(asked.call().and_then(|call| call.model.as_deref()).unwrap_or_default());
        self.record().names.set_model(&model[..model.floor_char_boundary(LONGEST)]);
        if debug.request_body
            && let Some(body) = asked.text()
        {
            happening::body_seen(&self.id, body.len(), &preview::of(body, debug.max_body));
        }
    }

    /// It will be recorded when it ends, if it is a message.
    pub(crate) fn note_recorded(&self, recorder: &Recorder, asked: &Asked) {
        self.record().tape = Tape::of(recorder, asked).map(Box::new);
    }

    /// An upstream has answered. With the debug options its times and headers are logged.
    pub(crate) fn note_answer(
        &self,
        status: StatusCode,
        headers: &Headers,
        timings: &Timings,
        debug: &DebugOptions,
    ) {
        if debug.tls_metrics {
            happening::connected(&self.id, &format!("{timings:?}"));
        }
        if debug.response_headers {
            happening::headers_seen(&self.id, status.as_u16(), &preview::headers(headers));
        }
    }

    /// How long it has waited for its turn.
    pub(crate) fn waited(&self) -> Duration {
        self.record().waited
    }

    /// It waits for its turn.
    pub(crate) fn note_waits(&self, since: Time) {
        self.record().waits = Some(since);
    }

    /// An attempt begins, after a wait for its turn. `moved` says why its conversation left its cache, if it did.
    pub(crate) fn note_attempt(&self, provider: &str, key: &str, waited: Duration, moved: Option<String>) {
        let mut record = self.record();
        record.moved = moved.unwrap_or_default();
        record.attempts += 1;
        record.waits = None;
        record.waited += waited;
        record.names.set_asked(provider, key);
        if let Some(tape) = &mut record.tape {
            tape.sent = Some(self.relay.live.now().since(self.arrived));
        }
    }

    /// Somebody has begun to answer, whatever the client got before.
    pub(crate) fn note_answer_begun(&self) {
        if let Some(tape) = &mut self.record().tape {
            tape.answered = Some(self.relay.live.now().since(self.arrived));
        }
    }

    /// An attempt ended without being the answer.
    pub(crate) fn note_failure(&self, verdict: Verdict, detail: &str) {
        let mut record = self.record();
        let separator = if record.met.is_empty() { "" } else { ", " };
        let Record { names, met, .. } = &mut *record;
        let (provider, key) = (names.provider(), names.key());
        // Writing to a `String` cannot fail.
        let _ = write!(met, "{separator}{provider}/{key}: {}", verdict.name());
        // That a limit is used up is told elsewhere; whatever else it is, somebody will ask why.
        let usual = matches!(
            verdict,
            Verdict::Spent { .. }
                | Verdict::Throttled { .. }
                | Verdict::Crowded { .. }
                | Verdict::Overloaded { .. }
        );
        if !usual && !detail.is_empty() {
            let _ = write!(met, " ({detail})");
        }
        happening::attempt_failed(&self.id, provider, key, verdict.name(), detail);
    }

    /// The head goes to the client.
    pub(crate) fn note_head(&self, status: u16) {
        let since = self.relay.live.now().since(self.arrived);
        let mut record = self.record();
        record.status = status;
        record.first_byte = Some(since);
    }

    /// So much of the body went to the client, all told.
    pub(crate) fn note_progress(&self, usage: Usage, bytes: u64, events: u64) {
        let mut record = self.record();
        (record.usage, record.bytes, record.events) = (usage, bytes, events);
    }

    /// So many bytes of the relay's own went to the client, all told.
    pub(crate) fn note_bytes(&self, bytes: u64) {
        self.record().bytes = bytes;
    }

    /// How it ended. Until this is said, the client has left, or the relay ends.
    pub(crate) fn note_end(&self, end: End) {
        self.record().end = end;
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.loud == Loudness::Quiet {
            return;
        }
        let ended = self.relay.live.now();
        let record = self.record.get_mut().unwrap_or_else(PoisonError::into_inner);
        if record.end == End::Left && self.relay.ends.load(Ordering::Relaxed) {
            record.end = End::Stopped;
        }
        // Whoever left or was refused waited in vain.
        record.waited += record.waits.map_or(Duration::ZERO, |since| ended.since(since));
        let finished = Finished {
            request_id: &self.id,
            client: record.names.client(),
            method: self.method.as_str(),
            path: &self.path,
            model: record.names.model(),
            provider: record.names.provider(),
            key: record.names.key(),
            status: record.status,
            end: record.end,
            attempts: record.attempts,
            met: &record.met,
            waited: record.waited,
            moved: &record.moved,
            first_byte: record.first_byte,
            ended,
            duration: ended.since(self.arrived),
            usage: record.usage,
            bytes: record.bytes,
            events: record.events,
        };
        finished.emit();
        if let Some(tape) = &record.tape {
            tape.write(&finished, self.arrived);
        }
    }
}

/// The client's own id, if it can be echoed and logged without harm: W60 of the old program echoed anything.
fn sane_id(headers: &Headers) -> Option<String> {
    const LONGEST: usize = 128;
    let id = headers.text(X_REQUEST_ID)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
    let sane = (1..=LONGEST).contains(&id.len()) && id.bytes().all(plain) && !preview::holds_secret(id);
    sane.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w60_only_a_sane_request_id_is_reused() {
        let long = "x".repeat(129);
        let table = [
            ("3f2a-1.b:c/d+e=f@g", true),
            ("a", true),
            ("", false),
            ("two words", false),
            ("<script>", false),
            ("a,b", false),
            ("task-1", true),
            ("sk-ant-api03-x", false),
            (long.as_str(), false),
        ];
        for (id, sane) in table {
            let mut headers = Headers::default();
            headers.set(X_REQUEST_ID, Value::new(id.as_bytes()).unwrap());
            assert_eq!(sane_id(&headers).is_some(), sane, "{id}");
        }
        assert_eq!(sane_id(&Headers::default()), None);
    }
}
