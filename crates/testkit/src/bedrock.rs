//! What Bedrock answers: frames of an event stream.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::upstream::{Reply, Step};

/// A frame as AWS writes it, with headers that are texts.
fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    const SHORT: &str = "what a story says is short";
    let word = |length: usize| u32::try_from(length).expect(SHORT).to_be_bytes();
    let mut fields = Vec::new();
    for (name, value) in headers {
        fields.push(u8::try_from(name.len()).expect(SHORT));
        fields.extend_from_slice(name.as_bytes());
        fields.push(7);
        fields.extend_from_slice(&u16::try_from(value.len()).expect(SHORT).to_be_bytes());
        fields.extend_from_slice(value.as_bytes());
    }
    let mut frame = [word(16 + fields.len() + payload.len()), word(fields.len())].concat();
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&fields);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

/// A frame with an event of a message in it.
pub fn event(json: &str) -> Vec<u8> {
    let payload = format!(r#"{{"bytes":"{}","p":"abcdefgh"}}"#, STANDARD.encode(json));
    let headers =
        [(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")];
    frame(&headers, payload.as_bytes())
}

/// A frame with an exception of that name.
pub fn exception(name: &str, words: &str) -> Vec<u8> {
    let headers =
        [(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")];
    frame(&headers, format!(r#"{{"message":"{words}"}}"#).as_bytes())
}

/// A stream of these frames, after which this is done.
pub fn streamed(frames: &[Vec<u8>], then: impl IntoIterator<Item = Step>) -> Reply {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\nx-amzn-requestid: 4f1c\r\nx-amzn-bedrock-content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut steps = vec![Step::Send(head.into())];
    for frame in frames {
        let mut chunk = format!("{:x}\r\n", frame.len()).into_bytes();
        chunk.extend_from_slice(frame);
        chunk.extend_from_slice(b"\r\n");
        steps.push(Step::Send(chunk.into()));
    }
    steps.extend(then);
    Reply(steps)
}
