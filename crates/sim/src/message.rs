//! Writes an answer as the provider does: whole, or as server-sent events.
//!
//! The order of events and their fields are those of
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>. It knows nothing of pace,
//! faults or connections.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, Block, Stop},
    cache::Split,
    request::Display,
    tokens,
};

/// Everything that is written about one answer.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) answer: &'a Answer,
    /// As the client named it.
    pub(crate) model: &'a str,
    pub(crate) input: Split,
    pub(crate) container: Option<Value>,
    /// Fields at the top of the message which only some requests ask for.
    pub(crate) extras: Map<String, Value>,
}

/// One server-sent event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) data: String,
    /// Output tokens which this event brings.
    pub(crate) tokens: u64,
}

/// Events in the making.
struct Writer {
    events: Vec<Event>,
    index: usize,
    chunk: usize,
}

impl Message<'_> {
    /// The whole message as JSON.
    pub(crate) fn whole(&self) -> Value {
        let content: Vec<Value> = self.answer.blocks.iter().map(Block::describe).collect();
        let mut message = self.head(&content, self.answer.tokens());
        message["stop_reason"] = json!(self.answer.stop.reason());
        message["stop_sequence"] = self.stop_sequence();
        message
    }

    /// The events of the message, with about so many tokens in a delta.
    pub(crate) fn events(&self, tokens_per_event: u64) -> Vec<Event> {
        let chunk = usize::try_from(tokens::bytes_within(tokens_per_event.max(1))).unwrap_or(usize::MAX);
        let mut writer = Writer { events: Vec::new(), index: 0, chunk };
        let start = json!({"type": "message_start", "message": self.head(&[], 1)});
        writer.push("message_start", &start, 0);
        for block in &self.answer.blocks {
            writer.block(block);
        }
        let missing = self.answer.tokens() - self.answer.blocks.iter().map(Block::tokens).sum::<u64>();
        let mut delta =
            json!({"stop_reason": self.answer.stop.reason(), "stop_sequence": self.stop_sequence()});
        if let Some(container) = &self.container {
            delta["container"] = container.clone();
        }
        let mut end = json!({"type": "message_delta", "delta": delta, "usage": usage(&self.input, self.answer.tokens())});
        if let Some(management) = self.extras.get("context_management") {
            end["context_management"] = management.clone();
        }
        writer.push("message_delta", &end, missing);
        writer.push("message_stop", &json!({"type": "message_stop"}), 0);
        writer.events
    }

    fn head(&self, content: &[Value], output: u64) -> Value {
        let mut message = json!({
            "model": self.model,
            "id": self.answer.id,
            "type": "message",
            "role": "assistant",
            "content": content,
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage(&self.input, output),
        });
        if let Some(container) = &self.container {
            message["container"] = container.clone();
        }
        for (name, value) in &self.extras {
            message[name] = value.clone();
        }
        message
    }

    fn stop_sequence(&self) -> Value {
        match &self.answer.stop {
            Stop::Sequence(sequence) => json!(sequence),
            Stop::EndTurn | Stop::MaxTokens | Stop::ToolUse => Value::Null,
        }
    }
}

impl Event {
    /// As it goes over the wire.
    pub(crate) fn render(&self) -> Bytes {
        let Self { name, data, .. } = self;
        let mut text = String::with_capacity(name.len() + data.len() + 16);
        for part in ["event: ", name, "\ndata: ", data, "\n\n"] {
            text.push_str(part);
        }
        Bytes::from(text)
    }

    /// The same without its `event:` line.
    pub(crate) fn render_bare(&self) -> Bytes {
        Bytes::from(format!("data: {}\n\n", self.data))
    }
}

impl Writer {
    fn push(&mut self, name: &'static str, data: &Value, tokens: u64) {
        self.events.push(Event { name, data: data.to_string(), tokens });
    }

    fn block(&mut self, block: &Block) {
        let start = match block {
            Block::Thinking { .. } => json!({"type": "thinking", "thinking": "", "signature": ""}),
            Block::Text(_) => json!({"type": "text", "text": ""}),
            Block::Call { id, name, .. } => json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
        };
        let start = json!({"type": "content_block_start", "index": self.index, "content_block": start});
        self.push("content_block_start", &start, 0);
        if self.index == 0 {
            self.push("ping", &json!({"type": "ping"}), 0);
        }
        match block {
            Block::Thinking { text, display, signature } => {
                let hidden = *display == Display::Omitted;
                if !hidden {
                    self.deltas("thinking_delta", "thinking", text, 0);
                }
                let tokens = if hidden { block.tokens() } else { 0 };
                self.delta("signature_delta", "signature", signature, tokens);
            }
            Block::Text(text) => self.deltas("text_delta", "text", text, 0),
            Block::Call { name, input, .. } => {
                self.delta("input_json_delta", "partial_json", "", 0);
                self.deltas("input_json_delta", "partial_json", &input.to_string(), name.len());
            }
        }
        self.push("content_block_stop", &json!({"type": "content_block_stop", "index": self.index}), 0);
        self.index += 1;
    }

    /// A text in pieces. The tokens of all pieces are those of the whole text and of the bytes
    /// before it that are not sent in deltas.
    fn deltas(&mut self, kind: &str, field: &str, text: &str, before: usize) {
        let (mut from, mut told) = (0, 0);
        while from < text.len() {
            let mut to = text.floor_char_boundary(from.saturating_add(self.chunk));
            if to <= from {
                to = text.ceil_char_boundary(from + 1);
            }
            let tokens = tokens::of_bytes((before + to) as u64);
            self.delta(kind, field, &text[from..to], tokens - told);
            (from, told) = (to, tokens);
        }
    }

    fn delta(&mut self, kind: &str, field: &str, text: &str, tokens: u64) {
        let mut delta = Map::from_iter([("type".to_owned(), json!(kind))]);
        delta.insert(field.to_owned(), json!(text));
        let data = json!({"type": "content_block_delta", "index": self.index, "delta": delta});
        self.push("content_block_delta", &data, tokens);
    }
}

/// `usage`, of which the three parts of the input never overlap.
fn usage(input: &Split, output: u64) -> Value {
    json!({
        "input_tokens": input.uncached,
        "cache_creation_input_tokens": input.written(),
        "cache_read_input_tokens": input.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": input.written_5m,
            "ephemeral_1h_input_tokens": input.written_1h,
        },
        "output_tokens": output,
        "service_tier": "standard",
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prop_assert, prop_assert_eq, prop_oneof, proptest, strategy::Strategy};
    use serde_json::{Map, Value, json};

    use super::{Event, Message};
    use crate::{
        answer::{Answer, Block, Stop},
        cache::Split,
        request::Display,
    };

    fn block() -> impl Strategy<Value = Block> {
        let display = proptest::sample::select(vec![Display::Shown, Display::Omitted]);
        prop_oneof![
            ".{1,80}".prop_map(Block::Text),
            (".{0,80}", display).prop_map(|(text, display)| Block::Thinking {
                text,
                display,
                signature: "c2VhbGVk".to_owned()
            }),
            ".{0,60}".prop_map(|text| Block::Call {
                id: "toolu_1".to_owned(),
                name: "Bash".to_owned(),
                input: json!({"command": text}),
            }),
        ]
    }

    /// What a client makes of the events: the blocks, put together from their deltas.
    fn assemble(events: &[Event]) -> Vec<Value> {
        let mut blocks: Vec<Value> = Vec::new();
        let mut json = String::new();
        for event in events {
            let data: Value = serde_json::from_str(&event.data).expect("every event is JSON");
            assert_eq!(data["type"], event.name);
            match event.name {
                "content_block_start" => {
                    assert_eq!(data["index"], blocks.len());
                    blocks.push(data["content_block"].clone());
                    json.clear();
                }
                "content_block_delta" => {
                    let delta = data["delta"].as_object().expect("an object");
                    let block = blocks.last_mut().expect("a block has started");
                    for (field, piece) in delta.iter().filter(|(field, _)| *field != "type") {
                        let piece = piece.as_str().expect("a string");
                        if field == "partial_json" {
                            json.push_str(piece);
                        } else {
                            let so_far = block[field].as_str().expect("a string").to_owned();
                            block[field] = json!(so_far + piece);
                        }
                    }
                }
                "content_block_stop" if !json.is_empty() => {
                    let block = blocks.last_mut().expect("a block has started");
                    block["input"] = serde_json::from_str(&json).expect("the input is JSON");
                }
                _ => {}
            }
        }
        blocks
    }

    proptest! {
        /// However an answer is cut into events, they say what the whole message says, and cost as much.
        #[test]
        fn events_add_up_to_the_message(blocks in vec(block(), 0..5), tokens_per_event in 0_u64..20) {
            let answer = Answer { id: "msg_1".into(), blocks, stop: Stop::EndTurn };
            let input = Split { uncached: 3, read: 4, written_5m: 5, written_1h: 6 };
            let message = Message { answer: &answer, model: "m", input, container: None, extras: Map::new() };
            let (whole, events) = (message.whole(), message.events(tokens_per_event));
            prop_assert_eq!(&json!(assemble(&events)), &whole["content"]);
            prop_assert_eq!(events.iter().map(|event| event.tokens).sum::<u64>(), answer.tokens());

            let names: Vec<_> = events.iter().map(|event| event.name).collect();
            prop_assert_eq!(names[0], "message_start");
            prop_assert_eq!(&names[names.len() - 2..], ["message_delta", "message_stop"]);
            let end: Value = serde_json::from_str(&events[events.len() - 2].data).expect("json");
            prop_assert_eq!(&end["usage"], &whole["usage"]);
            prop_assert_eq!(&end["delta"]["stop_reason"], &whole["stop_reason"]);
            prop_assert!(answer.blocks.is_empty() || names[2] == "ping");
        }
    }

    #[test]
    fn an_event_is_written_with_its_name_or_without() {
        let event = Event { name: "ping", data: r#"{"type":"ping"}"#.into(), tokens: 0 };
        assert_eq!(event.render(), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
        assert_eq!(event.render_bare(), "data: {\"type\":\"ping\"}\n\n");
    }
}
