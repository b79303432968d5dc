//! Canned answers for measuring what is in front of the provider: made once, then only sent.
//!
//! A request with the header `x-sim-canned` gets one, whatever else it says, and nothing about it
//! is remembered: `json` or `json:BYTES` is a message of about that size, `sse:EVENTS` or
//! `sse:EVENTS:BYTES` a stream of so many events of about that size each.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use serde_json::{Map, json};

use crate::{
    answer::{Answer, Block, Stop},
    cache::Split,
    message::{Event, Message},
};

/// The header which asks for a canned answer.
pub(crate) const HEADER: &str = "x-sim-canned";

/// How many different ones are kept.
const SHELF: usize = 64;
const MAX_EVENTS: usize = 100_000;
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Size of a message, and of an event, unless it is given, in bytes.
const DEFAULT_BYTES: usize = 256;

/// The answers made so far, and how many were sent.
#[derive(Default)]
pub(crate) struct Canned {
    shelf: Mutex<HashMap<String, Can>>,
    served: AtomicU64,
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Can {
    pub(crate) content_type: &'static str,
    pub(crate) pieces: Arc<[Bytes]>,
    /// The whole length, where it is promised.
    pub(crate) length: Option<u64>,
}

impl Canned {
    /// The answer of that name, or nothing if the name is not one.
    pub(crate) fn take(&self, name: &str) -> Option<Can> {
        self.served.fetch_add(1, Ordering::Relaxed);
        let mut cans = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(can) = cans.get(name) {
            return Some(can.clone());
        }
        let can = make(name)?;
        if cans.len() >= SHELF {
            cans.clear();
        }
        cans.insert(name.to_owned(), can.clone());
        Some(can)
    }

    pub(crate) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

impl Can {
    /// What a name that is none is answered.
    pub(crate) fn mistaken() -> Self {
        let bytes =
            Bytes::from_static(b"the header `x-sim-canned` is `json[:BYTES]` or `sse:EVENTS[:BYTES]`\n");
        Self { content_type: "text/plain", length: Some(bytes.len() as u64), pieces: Arc::new([bytes]) }
    }
}

fn make(name: &str) -> Option<Can> {
    let mut parts = name.split(':');
    let kind = parts.next()?;
    let numbers = parts.map(str::parse).collect::<Result<Vec<usize>, _>>().ok()?;
    match (kind, numbers.as_slice()) {
        ("json", []) => Some(whole(DEFAULT_BYTES)),
        ("json", [bytes @ 1..=MAX_BYTES]) => Some(whole(*bytes)),
        ("sse", [events @ 1..=MAX_EVENTS]) => Some(stream(*events, DEFAULT_BYTES)),
        ("sse", [events @ 1..=MAX_EVENTS, bytes @ 1..=MAX_BYTES]) => Some(stream(*events, *bytes)),
        _ => None,
    }
}

fn whole(bytes: usize) -> Can {
    let message = with_message(&"x".repeat(bytes), |message| message.whole().to_string());
    let length = Some(message.len() as u64);
    Can { content_type: "application/json", pieces: Arc::new([Bytes::from(message)]), length }
}

/// A whole stream around deltas of one size; `events` counts all of them, if there is room.
fn stream(events: usize, bytes: usize) -> Can {
    let frame = with_message("", |message| message.events(1));
    let text = "x".repeat(bytes.saturating_sub(120).max(1));
    let delta = json!({
        "type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text},
    });
    let delta = Event { name: "content_block_delta", data: delta.to_string(), tokens: 0 }.render();
    let (head, tail): (Vec<_>, Vec<_>) = frame
        .iter()
        .partition(|event| matches!(event.name, "message_start" | "content_block_start" | "ping"));
    let deltas = events.saturating_sub(frame.len());
    let pieces = head.iter().map(|event| event.render());
    let pieces =
        pieces.chain(std::iter::repeat_n(delta, deltas)).chain(tail.iter().map(|event| event.render()));
    Can {
        content_type: "text/event-stream; charset=utf-8",
        pieces: pieces.take(events).collect(),
        length: None,
    }
}

fn with_message<T>(text: &str, write: impl Fn(&Message<'_>) -> T) -> T {
    let blocks = vec![Block::Text(text.to_owned())];
    let answer = Answer { id: "msg_01canned".to_owned(), blocks, stop: Stop::EndTurn };
    let input = Split { uncached: 1, ..Split::default() };
    let message =
        Message { answer: &answer, model: "claude-canned", input, container: None, extras: Map::new() };
    write(&message)
}

impl fmt::Debug for Canned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Canned").field("served", &self.served()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::Canned;

    #[test]
    fn a_name_says_what_is_in_the_can() {
        let canned = Canned::default();
        let message = canned.take("json:2000").expect("a good name");
        let value: Value = serde_json::from_slice(&message.pieces[0]).expect("json");
        assert_eq!(value["content"][0]["text"].as_str().map(str::len), Some(2000));
        assert_eq!(message.length, Some(message.pieces[0].len() as u64));

        let stream = canned.take("sse:55:300").expect("a good name");
        assert_eq!(stream.pieces.len(), 55);
        assert!(stream.pieces[0].starts_with(b"event: message_start\n"));
        assert!(stream.pieces[54].starts_with(b"event: message_stop\n"));
        let middle = stream.pieces[20].len();
        assert!((250..=350).contains(&middle), "{middle} bytes");
        assert_eq!(canned.served(), 2);
    }

    #[test]
    fn other_names_are_no_cans() {
        let canned = Canned::default();
        for name in ["", "xml", "json:0", "json:x", "sse", "sse:0", "sse:5:5:5", "sse:999999999"] {
            assert!(canned.take(name).is_none(), "{name}");
        }
    }
}
