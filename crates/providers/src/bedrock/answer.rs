//! What Bedrock answers, as Anthropic would: events out of their frames, errors in its envelope.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use relay_headers::{Headers, Value};
use relay_wire::eventstream::{Frame, Reader};
use relay_wire::refusal::{self, ErrorKind};
use relay_wire::scan;

use crate::adapter::{Ask, Garbled, Translator};
use crate::cloud::{self, Envelope};

/// The form of its streams.
const EVENTSTREAM: &str = "application/vnd.amazon.eventstream";

/// What to do with an answer of that status.
pub(super) fn translator(
    ask: &Ask<'_>,
    status: StatusCode,
    headers: &mut Headers,
) -> Option<Box<dyn Translator>> {
    if let Some(id) = headers.text("x-amzn-requestid").map(str::to_owned) {
        // What clients log, and tell to whoever helps them.
        if let Ok(id) = Value::new(id.as_bytes()) {
            headers.set("request-id", id);
        }
    }
    if !status.is_success() {
        let kind = headers.text("x-amzn-errortype").map_or_else(|| ErrorKind::from_status(status), kind_of);
        headers.set("content-type", Value::fixed("application/json"));
        return Some(Box::new(Envelope::new(kind)));
    }
    let streams = ask.call.is_some_and(|(call, _)| call.stream);
    let framed = headers.text("content-type").is_some_and(|form| form.starts_with(EVENTSTREAM));
    (streams && framed).then(|| {
        headers.set("content-type", Value::fixed("text/event-stream; charset=utf-8"));
        Box::new(Unframed::default()) as Box<dyn Translator>
    })
}

/// What Anthropic calls an error that has such a name here. It stands before a colon and an address, at times.
fn kind_of(name: &str) -> ErrorKind {
    match name.split(':').next().unwrap_or(name).trim().rsplit('#').next().unwrap_or_default() {
        "ThrottlingException" | "throttlingException" | "ServiceQuotaExceededException" => ErrorKind::RateLimit,
        "ModelNotReadyException" | "ServiceUnavailableException" | "serviceUnavailableException" => {
            ErrorKind::Overloaded
        }
        "ModelTimeoutException" | "modelTimeoutException" => ErrorKind::Timeout,
        "AccessDeniedException" => ErrorKind::Permission,
        "UnrecognizedClientException" | "ExpiredTokenException" | "InvalidSignatureException" => {
            ErrorKind::Authentication
        }
        "ResourceNotFoundException" => ErrorKind::NotFound,
        "ValidationException" | "validationException" => ErrorKind::InvalidRequest,
        _ => ErrorKind::Api,
    }
}

/// Events out of their frames.
#[derive(Default)]
struct Unframed {
    reader: Reader,
    /// A frame was damaged, or said what cannot be read: nothing comes after it.
    is_broken: bool,
}

impl Translator for Unframed {
    fn push(&mut self, chunk: &[u8]) -> Result<Bytes, Garbled> {
        let (mut events, mut fits) = (Vec::with_capacity(chunk.len()), !self.is_broken);
        let read = self.reader.feed(chunk, |frame| fits = fits && write(&frame, &mut events).is_some());
        self.is_broken = read.is_err() || !fits;
        // What was whole before is said.
        if self.is_broken && events.is_empty() { Err(Garbled) } else { Ok(events.into()) }
    }

    fn finish(&mut self) -> Result<Bytes, Garbled> {
        if self.reader.is_whole() && !self.is_broken { Ok(Bytes::new()) } else { Err(Garbled) }
    }
}

/// Writes what a frame says as an event. None if it says nothing that can be read.
fn write(frame: &Frame<'_>, events: &mut Vec<u8>) -> Option<()> {
    match frame.text(":message-type") {
        Some("event") if frame.text(":event-type") == Some("chunk") => {
            let fields = scan::Value::read(frame.payload).ok()?;
            let event = STANDARD.decode(fields.get("bytes")?.as_str()?.as_bytes()).ok()?;
            let kind = scan::Value::read(&event).ok()?.get("type")?.as_str()?.into_owned();
            events.extend_from_slice(b"event: ");
            events.extend_from_slice(kind.as_bytes());
            events.extend_from_slice(b"\ndata: ");
            events.extend_from_slice(&event);
            events.extend_from_slice(b"\n\n");
        }
        // An event of a kind that nobody has heard of yet.
        Some("event") => {}
        Some("exception" | "error") => {
            let name = frame.text(":exception-type").or(frame.text(":error-code")).unwrap_or_default();
            let said = refusal::read(frame.payload).message;
            let said = said.or_else(|| frame.text(":error-message").map(str::to_owned)).unwrap_or_default();
            events.extend_from_slice(&refusal::event(kind_of(name), &cloud::without_names(&said), None));
        }
        _ => return None,
    }
    Some(())
}
