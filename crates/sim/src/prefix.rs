//! Cuts a request into the segments of its prompt, in the order in which the provider reads them:
//! tools, system, messages. Each has a digest and a size.
//!
//! A digest covers the values of everything up to the end of its segment, except `cache_control`,
//! which may move without changing the prompt; a plain string is the same as one text block. It
//! is also different for every model and effort, since caches are (`prompt caching` in Anthropic's
//! documentation). It refuses to judge: what is malformed is skipped here and refused elsewhere.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{digest::Digest, tokens};

/// A piece of the prompt: a tool, a system block, or a block of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Of everything up to its end.
    pub digest: u128,
    /// In everything up to its end.
    pub tokens: u64,
    /// Whether the prompt up to here shall be cached, and for how long.
    pub breakpoint: Option<Ttl>,
}

/// How long a cached prefix lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ttl {
    /// `5m`, the default.
    FiveMinutes,
    /// `1h`
    OneHour,
}

/// What an image costs, in tokens, whatever the length of its base64: about a megapixel by
/// Anthropic's rule of thumb (width × height / 750).
const IMAGE_TOKENS: u64 = 1400;

struct Reader {
    digest: Digest,
    bytes: u64,
    tokens: u64,
    segments: Vec<Segment>,
}

impl Ttl {
    /// How long after it was last used.
    pub fn duration(self) -> Duration {
        match self {
            Self::FiveMinutes => Duration::from_mins(5),
            Self::OneHour => Duration::from_hours(1),
        }
    }

    fn of(holder: &Map<String, Value>) -> Option<Self> {
        let control = holder.get("cache_control")?.as_object()?;
        let hour = control.get("ttl").and_then(Value::as_str) == Some("1h");
        Some(if hour { Self::OneHour } else { Self::FiveMinutes })
    }
}

/// The segments of a request body, in order.
pub fn segments(body: &Value) -> Vec<Segment> {
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default().as_bytes();
    let digest =
        Digest::seeded(0).with(text("/model")).with(text("/output_config/effort")).with(text("/speed"));
    let mut reader = Reader { digest, bytes: 0, tokens: 0, segments: Vec::new() };
    reader.part("tools", body.get("tools"));
    reader.part("system", body.get("system"));
    for message in body.get("messages").and_then(Value::as_array).into_iter().flatten() {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        reader.part(role, message.get("content"));
    }
    let automatic = body.as_object().and_then(Ttl::of);
    if let (Some(ttl), Some(last)) = (automatic, reader.segments.last_mut()) {
        last.breakpoint.get_or_insert(ttl);
    }
    reader.segments
}

impl Reader {
    /// A string or a list of blocks, under a heading which counts as part of the first block.
    fn part(&mut self, heading: &str, content: Option<&Value>) {
        self.feed(heading.as_bytes());
        match content {
            Some(Value::String(text)) => {
                self.text_block(text);
                self.end_segment(None);
            }
            Some(Value::Array(blocks)) => {
                for block in blocks {
                    self.value(block);
                    let breakpoint = block.as_object().and_then(Ttl::of);
                    self.end_segment(breakpoint);
                }
            }
            _ => {}
        }
    }

    /// As [`Reader::value`] would read `{"type": "text", "text": …}`.
    fn text_block(&mut self, text: &str) {
        self.feed(b"{");
        for part in ["type", "text", "text", text] {
            self.feed(part.as_bytes());
        }
        self.feed(b"}");
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.feed(b"null"),
            Value::Bool(true) => self.feed(b"true"),
            Value::Bool(false) => self.feed(b"false"),
            Value::Number(number) => self.feed(number.to_string().as_bytes()),
            Value::String(text) => self.feed(text.as_bytes()),
            Value::Array(values) => {
                self.feed(b"[");
                for value in values {
                    self.value(value);
                }
                self.feed(b"]");
            }
            Value::Object(map) => self.object(map),
        }
    }

    fn object(&mut self, map: &Map<String, Value>) {
        let before = self.bytes;
        self.feed(b"{");
        for (key, value) in map {
            if key != "cache_control" {
                self.feed(key.as_bytes());
                self.value(value);
            }
        }
        self.feed(b"}");
        if map.get("type").and_then(Value::as_str) == Some("image") {
            self.bytes = before + tokens::bytes_within(IMAGE_TOKENS);
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.digest.add(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn end_segment(&mut self, breakpoint: Option<Ttl>) {
        self.tokens += tokens::of_bytes(self.bytes);
        self.bytes = 0;
        self.segments.push(Segment { digest: self.digest.value(), tokens: self.tokens, breakpoint });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Ttl, segments};

    fn digests(body: &Value) -> Vec<u128> {
        segments(body).iter().map(|segment| segment.digest).collect()
    }

    #[test]
    fn a_longer_conversation_begins_with_the_digests_of_the_shorter() {
        let mut body = json!({
            "model": "m",
            "tools": [{"name": "Bash"}],
            "system": [{"type": "text", "text": "be brief"}],
            "messages": [{"role": "user", "content": "hello"}],
        });
        let short = digests(&body);
        assert_eq!(short.len(), 3);
        let messages = body["messages"].as_array_mut().expect("an array");
        messages.push(json!({"role": "assistant", "content": [{"type": "text", "text": "hi"}]}));
        let long = digests(&body);
        assert_eq!(long[..3], short[..]);
        body["model"] = json!("other");
        assert!(digests(&body).iter().all(|digest| !long.contains(digest)), "caches are per model");
    }

    #[test]
    fn breakpoints_may_move_and_a_string_is_one_text_block() {
        let block = json!({"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}});
        let marked = json!({"messages": [{"role": "system", "content": [block]}]});
        let plain = json!({"messages": [{"role": "system", "content": "hello"}]});
        assert_eq!(digests(&marked), digests(&plain));
        assert_eq!(segments(&marked)[0].tokens, segments(&plain)[0].tokens);
        assert_eq!(segments(&marked)[0].breakpoint, Some(Ttl::FiveMinutes));
        assert_eq!(segments(&plain)[0].breakpoint, None);
    }

    #[test]
    fn roles_and_borders_between_blocks_count() {
        let bodies = [
            json!({"messages": [{"role": "user", "content": "ab"}]}),
            json!({"messages": [{"role": "assistant", "content": "ab"}]}),
            json!({"system": "ab"}),
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]}),
        ];
        let last: std::collections::HashSet<_> =
            bodies.iter().filter_map(|body| digests(body).pop()).collect();
        assert_eq!(last.len(), bodies.len());
    }

    #[test]
    fn the_top_level_cache_control_marks_the_last_block() {
        let body = json!({
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
            "system": "s",
            "messages": [{"role": "user", "content": "hello"}],
        });
        let marks: Vec<_> = segments(&body).iter().map(|segment| segment.breakpoint).collect();
        assert_eq!(marks, [None, Some(Ttl::OneHour)]);
    }

    #[test]
    fn an_image_costs_the_same_whatever_its_length() {
        let image = |data: &str| {
            json!({"messages": [{"role": "user", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
            ]}]})
        };
        let (small, large) = (image("aaaa"), image(&"a".repeat(100_000)));
        assert_eq!(segments(&small)[0].tokens, segments(&large)[0].tokens);
        assert_ne!(digests(&small), digests(&large));
    }
}
