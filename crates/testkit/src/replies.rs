//! Ready-made replies, as the Anthropic API gives them.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;

use crate::upstream::{Reply, Step};

/// The start of a stream, before any content: 25 input tokens, of which 10 were read from the cache.
pub const MESSAGE_START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-opus-5-5\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":15,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":10,\"output_tokens\":1}}}\n\n";
/// Before the first text.
pub const BLOCK_START: &str = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
/// After the last text.
pub const BLOCK_STOP: &str =
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
/// 7 output tokens in all.
pub const MESSAGE_DELTA: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":7}}\n\n";
/// The end.
pub const MESSAGE_STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
/// A ping.
pub const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";

/// A piece of text.
pub fn delta(text: &str) -> String {
    format!(
        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":{}}}}}\n\n",
        quoted(text)
    )
}

/// An error event.
pub fn error_event(kind: &str) -> String {
    format!("event: error\ndata: {}\n\n", error_body(kind, "said by the provider"))
}

/// A whole stream that says `text`.
pub fn stream_text(text: &str) -> String {
    [MESSAGE_START, BLOCK_START, PING, &delta(text), BLOCK_STOP, MESSAGE_DELTA, MESSAGE_STOP].concat()
}

/// The body of an error.
pub fn error_body(kind: &str, message: &str) -> String {
    format!(
        "{{\"type\":\"error\",\"error\":{{\"type\":{},\"message\":{}}},\"request_id\":\"req_up\"}}",
        quoted(kind),
        quoted(message)
    )
}

/// A whole message that says `text`: 15 tokens in, 10 from the cache, 7 out.
pub fn message_body(text: &str) -> String {
    format!(
        "{{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-opus-5-5\",\"content\":[{{\"type\":\"text\",\"text\":{}}}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{{\"input_tokens\":15,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":10,\"output_tokens\":7}}}}",
        quoted(text)
    )
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A stream that says `text`, at once.
pub fn stream(text: &str) -> Reply {
    events([&*stream_text(text)])
}

/// A stream of these pieces, each sent by itself, and a proper end of the body.
pub fn events<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Reply {
    let mut steps = vec![Step::Send(stream_head())];
    steps.extend(pieces.into_iter().map(chunk));
    steps.push(Step::Send(Bytes::from_static(b"0\r\n\r\n")));
    Reply(steps)
}

/// A stream of these pieces, after which these steps are done in place of an end.
pub fn events_then<'a>(
    pieces: impl IntoIterator<Item = &'a str>,
    then: impl IntoIterator<Item = Step>,
) -> Reply {
    let mut steps = vec![Step::Send(stream_head())];
    steps.extend(pieces.into_iter().map(chunk));
    steps.extend(then);
    Reply(steps)
}

/// The head of a stream.
pub fn stream_head() -> Bytes {
    Bytes::from_static(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nrequest-id: req_up\r\nanthropic-organization-id: org-1\r\ntransfer-encoding: chunked\r\n\r\n",
    )
}

/// One chunk of a body.
pub fn chunk(text: &str) -> Step {
    Step::Send(format!("{:x}\r\n{text}\r\n", text.len()).into())
}

/// The end of a chunked body.
pub fn end() -> Step {
    Step::Send(Bytes::from_static(b"0\r\n\r\n"))
}

/// A message that says `text`.
pub fn message(text: &str) -> Reply {
    json(200, &[("request-id", "req_up")], &message_body(text))
}

/// An answer with this status, these headers and this JSON.
pub fn json(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    raw(status, &all, body.as_bytes())
}

/// An answer with this status, exactly these headers and a length, and this body.
pub fn raw(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut head = format!("HTTP/1.1 {status} Said\r\n");
    for (name, value) in headers {
        // Writing to a `String` cannot fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
    Reply(vec![Step::Send([head.as_bytes(), body].concat().into())])
}

/// A refusal with this status and error type.
pub fn error(status: u16, kind: &str) -> Reply {
    error_with(status, kind, &[])
}

/// The same with more headers.
pub fn error_with(status: u16, kind: &str, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![("request-id", "req_up")];
    all.extend_from_slice(headers);
    json(status, &all, &error_body(kind, "said by the provider"))
}

/// 529.
pub fn overloaded() -> Reply {
    error(529, "overloaded_error")
}

/// 429 with a `retry-after`, and a request bucket that is empty.
pub fn spent(retry_after: &str) -> Reply {
    let headers = [
        ("retry-after", retry_after),
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "0"),
    ];
    error_with(429, "rate_limit_error", &headers)
}

/// 401.
pub fn dead_key() -> Reply {
    error(401, "authentication_error")
}

/// Does nothing until the relay gives up.
pub fn silence() -> Reply {
    Reply(vec![Step::Hang])
}

/// Closes the connection without a byte.
pub fn reset() -> Reply {
    Reply(vec![Step::Cut])
}

/// Waits before the rest.
pub fn after(pause: Duration, reply: Reply) -> Reply {
    let mut steps = vec![Step::Pause(pause)];
    steps.extend(reply.0);
    Reply(steps)
}
