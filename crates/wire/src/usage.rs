//! What an answer used, from a whole message or from a stream as it passes. It knows the events that
//! carry counts and how the counts of several add up to one; it refuses to parse the content, of
//! which only the length is looked at.

use relay_core::{Text, Usage};

use crate::refusal::{self, Refusal};
use crate::scan::{self, Kind, Value};
use crate::sse::Event;

/// What surrounds the text of a delta, in bytes.
const ENVELOPE: usize =
    br#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}"#.len();

/// What was seen of one answer: its counts, its container, and how it began and ended.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    usage: Usage,
    /// What texts like this are.
    like: Text,
    /// `output_tokens` of the last `message_delta`, or of a whole message.
    output: Option<u64>,
    /// Bytes of text in the deltas.
    streamed: u64,
    container: Option<String>,
    error: Option<Refusal>,
    started: bool,
    stopped: bool,
}

/// The counts that one `usage` object gives.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    cache_write: Option<u64>,
    cache_write_long: Option<u64>,
    cache_read: Option<u64>,
}

impl Tally {
    /// What a whole JSON message says, as if its stream had been read to the end. Some providers answer
    /// 200 and give an error for a message: it is then [`Tally::error`], and nothing has started.
    pub fn of_message(message: &[u8]) -> Self {
        let mut tally = Self::default();
        // Walked and not parsed: it may have megabytes, and only the members that lie at its top are of interest.
        let parts = scan::members(message).and_then(|members| members.pick(["error", "container", "usage"]));
        let Ok([error, container, usage]) = parts else { return tally };
        if error.is_some_and(|error| error.kind() != Kind::Null) {
            tally.error = Some(refusal::read(message));
            return tally;
        }
        (tally.started, tally.stopped) = (true, true);
        tally.output = tally.learn(container, usage).output;
        tally
    }

    /// Reads the next event of a stream.
    ///
    /// What it is, its name says; only where it has none, the `type` in its data. Only the few
    /// events that carry counts or an error are parsed.
    pub fn read(&mut self, event: &Event<'_>) {
        let text = event.text();
        let name = match text {
            Some(text) if event.name.is_empty() => named(text),
            _ => event.name,
        };
        self.note(name, text);
    }

    /// The tokens used so far. Until the provider has counted its output, that part is an estimate
    /// from the length of what was streamed.
    pub fn usage(&self) -> Usage {
        let estimate = self.usage.output.max(self.like.tokens_in(self.streamed));
        Usage { output: self.output.unwrap_or(estimate), ..self.usage }
    }

    /// Until the provider has counted, its text is taken to be like that.
    pub const fn is_like(&mut self, text: Text) {
        self.like = text;
    }

    /// What was streamed, once the provider has counted its tokens.
    pub fn text(&self) -> Option<Text> {
        let tokens = self.output.filter(|_| self.streamed > 0)?;
        Some(Text { bytes: self.streamed, tokens })
    }

    /// The id of the container in which the provider ran code for it.
    pub fn container(&self) -> Option<&str> {
        self.container.as_deref()
    }

    /// The error with which the stream ended, if it did.
    pub const fn error(&self) -> Option<&Refusal> {
        self.error.as_ref()
    }

    /// Was `message_start` seen?
    pub const fn has_started(&self) -> bool {
        self.started
    }

    /// Was `message_stop` seen? A stream that ends without it was cut.
    pub const fn has_stopped(&self) -> bool {
        self.stopped
    }

    /// Takes in an event called `name`; without its data, if that was too long to be read.
    fn note(&mut self, name: &[u8], text: Option<&[u8]>) {
        // Not a `match`, which compares slices one byte after the other.
        if name == b"content_block_delta" {
            let len = text.map_or(0, <[u8]>::len).saturating_sub(ENVELOPE);
            self.streamed = self.streamed.saturating_add(len as u64);
        } else if name == b"message_start" {
            self.started = true;
            let [message] = picked(text, ["message"]);
            if let Some(message) = message {
                let [container, usage] = message.pick(["container", "usage"]);
                self.learn(container, usage);
            }
        } else if name == b"message_delta" {
            self.close(picked(text, ["delta", "usage"]));
        } else if name == b"message_stop" {
            self.stopped = true;
        } else if name == b"error" {
            self.error = Some(text.map(refusal::read).unwrap_or_default());
        }
    }

    /// Takes in a message, whole or at its start. Returns its counts.
    fn learn(&mut self, container: Option<Value<'_>>, usage: Option<Value<'_>>) -> Counts {
        self.learn_container(container);
        let counts = usage.map(Counts::read).unwrap_or_default();
        counts.replace(&mut self.usage);
        self.usage.output = counts.output.unwrap_or(self.usage.output);
        counts
    }

    /// Takes in a `message_delta`. Its counts are of the whole message, not of what was added.
    fn close(&mut self, [delta, usage]: [Option<Value<'_>>; 2]) {
        self.learn_container(delta.and_then(|delta| delta.get("container")));
        let counts = usage.map(Counts::read).unwrap_or_default();
        counts.replace(&mut self.usage);
        self.output = counts.output.or(self.output);
    }

    /// Takes in the field which stands in a message as well as in the delta that ends it.
    fn learn_container(&mut self, container: Option<Value<'_>>) {
        if let Some(id) = container.and_then(|container| container.get("id")?.as_str()) {
            self.container = Some(id.into_owned());
        }
    }
}

/// The members of these names in an event's data; none if that is no object, or was too long to be read.
fn picked<'t, const N: usize>(text: Option<&'t [u8]>, names: [&str; N]) -> [Option<Value<'t>>; N] {
    let members = text.and_then(|text| scan::members(text).ok());
    members.and_then(|members| members.pick(names).ok()).unwrap_or([None; N])
}

impl Counts {
    fn read(usage: Value<'_>) -> Self {
        let names = [
            "input_tokens",
            "output_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
            "cache_creation",
        ];
        let [input, output, cache_write, cache_read, lifetimes] = usage.pick(names);
        let count = |value: Option<Value<'_>>| value?.as_u64();
        // The lifetimes are the same tokens, told apart by how long they are kept.
        let cache_write_long =
            count(lifetimes.and_then(|lifetimes| lifetimes.get("ephemeral_1h_input_tokens")));
        let cache_write = count(cache_write).or_else(|| lifetimes.and_then(sum));
        let (input, output, cache_read) = (count(input), count(output), count(cache_read));
        Self { input, output, cache_write, cache_write_long, cache_read }
    }

    /// Puts the counts of the prompt into `usage`, but for those it does not give. If all it gives are
    /// zero, as some compatible providers write at the end of a stream, it says nothing of the prompt.
    fn replace(self, usage: &mut Usage) {
        let prompt = [self.input, self.cache_write, self.cache_read];
        if prompt.iter().flatten().all(|count| *count == 0) {
            return;
        }
        usage.input = self.input.unwrap_or(usage.input);
        usage.cache_write = self.cache_write.unwrap_or(usage.cache_write);
        usage.cache_write_long = self.cache_write_long.unwrap_or(usage.cache_write_long);
        usage.cache_read = self.cache_read.unwrap_or(usage.cache_read);
    }
}

/// The sum of the numbers in an object; `None` if there are none.
fn sum(value: Value<'_>) -> Option<u64> {
    let counts = value.members().map_while(Result::ok).filter_map(|member| member.value.as_u64());
    counts.reduce(u64::saturating_add)
}

/// The `type` that the data of an event without a name begins with; an empty one if it has none.
fn named(text: &[u8]) -> &[u8] {
    let members = scan::members(text).into_iter().flatten().map_while(Result::ok);
    let kind = members.into_iter().find(|member| member.is("type")).map(|member| member.value.text());
    kind.and_then(|kind| kind.strip_prefix(b"\"")?.strip_suffix(b"\"")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::Reader;

    fn tally(stream: &str) -> Tally {
        let mut tally = Tally::default();
        Reader::default().feed(stream.as_bytes(), |event| tally.read(&event));
        tally
    }

    /// A stream of events, each given as its data; the name is the `type` in it.
    fn stream(events: &[&str]) -> String {
        let event = |data: &&str| {
            let name = Value::read(data.as_bytes()).unwrap().get("type").unwrap().as_str().unwrap();
            format!("event: {name}\ndata: {data}\n\n")
        };
        events.iter().map(event).collect()
    }

    const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","model":"claude-opus-5-5","stop_reason":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":3000,"output_tokens":2}}}"#;
    const PROMPT: Usage = Usage { input: 25, cache_write: 100, cache_read: 3000, ..Usage::ZERO };

    #[test]
    fn a_whole_message_tells_its_usage() {
        for (message, expect) in [
            (
                r#"{"usage":{"input_tokens":1,"output_tokens":2,"cache_creation_input_tokens":3,"cache_read_input_tokens":4,"server_tool_use":{"web_search_requests":9}}}"#,
                Usage { input: 1, output: 2, cache_write: 3, cache_read: 4, ..Usage::ZERO },
            ),
            (
                r#"{"usage":{"input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":3}}}"#,
                Usage { input: 1, cache_write: 5, cache_write_long: 3, ..Usage::ZERO },
            ),
            (
                r#"{"usage":{"cache_creation_input_tokens":null,"input_tokens":7}}"#,
                Usage { input: 7, ..Usage::ZERO },
            ),
            (r#"{"usage":{"output_tokens":5,"input_tokens":0}}"#, Usage { output: 5, ..Usage::ZERO }),
            (r#"{"usage":{"input_tokens":0,"output_tokens":0}}"#, Usage::ZERO),
            (r#"{"content":[{"usage":{"input_tokens":1}}]}"#, Usage::ZERO),
            (r#"{"usage":{}}"#, Usage::ZERO),
            (r#"{"usage":null}"#, Usage::ZERO),
            (r#"{"usage":{"input_tokens":1}"#, Usage::ZERO),
            ("", Usage::ZERO),
        ] {
            assert_eq!(Tally::of_message(message.as_bytes()).usage(), expect, "{message}");
        }
    }

    #[test]
    fn the_last_count_replaces_the_first_and_is_not_added() {
        let end =
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":40}}"#;
        let later = r#"{"type":"message_delta","delta":{},"usage":{"input_tokens":30,"cache_creation_input_tokens":100,"cache_read_input_tokens":3000,"output_tokens":60}}"#;
        let seen = tally(&stream(&[START]));
        assert_eq!(seen.usage(), Usage { output: 2, ..PROMPT });

        let seen = tally(&stream(&[START, end]));
        assert_eq!(seen.usage(), Usage { output: 40, ..PROMPT });

        let seen = tally(&stream(&[START, end, later]));
        assert_eq!(seen.usage(), Usage { input: 30, output: 60, ..PROMPT });
    }

    #[test]
    fn a_count_of_nothing_does_not_undo_the_prompt() {
        let end = r#"{"type":"message_delta","usage":{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":9}}"#;
        assert_eq!(tally(&stream(&[START, end])).usage(), Usage { output: 9, ..PROMPT });

        // But where the whole prompt is counted, a zero in it counts.
        let end = r#"{"type":"message_delta","usage":{"input_tokens":0,"cache_read_input_tokens":3125,"output_tokens":9}}"#;
        let expect = Usage { output: 9, cache_write: 100, cache_read: 3125, ..Usage::ZERO };
        assert_eq!(tally(&stream(&[START, end])).usage(), expect);
    }

    #[test]
    fn output_is_estimated_until_it_is_counted() {
        let delta = |text: &str| {
            format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
            )
        };
        let long = delta(&"x".repeat(396));
        let empty = delta("");
        let seen = tally(&stream(&[START, &long, &empty, &delta("four"), &delta("four")]));
        assert_eq!(seen.usage(), Usage { output: 101, ..PROMPT });

        let end = r#"{"type":"message_delta","usage":{"output_tokens":90}}"#;
        assert_eq!(tally(&stream(&[START, &long, end])).usage().output, 90);
        assert_eq!(tally(&stream(&[START, &empty])).usage().output, 2);
    }

    #[test]
    fn output_is_estimated_by_what_answers_of_the_same_models_had() {
        let delta =
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"six by"}}"#;
        let mut tally = tally(&stream(&[START, delta, delta]));
        for (bytes, tokens, expect) in [(1, 1, 12), (3, 1, 4), (1, 20, 240), (4, 1, 3)] {
            tally.is_like(Text { bytes, tokens });
            assert_eq!(tally.usage().output, expect);
        }
        assert_eq!(tally.text(), None, "nobody has counted");
        let end = r#"{"type":"message_delta","usage":{"output_tokens":90}}"#;
        let counted = |events: &[&str]| self::tally(&stream(events)).text();
        assert_eq!(counted(&[START, delta, delta, end]), Some(Text { bytes: 12, tokens: 90 }));
        assert_eq!(counted(&[START, end]), None, "nothing was streamed");
    }

    #[test]
    fn how_far_a_stream_came_is_known() {
        let block = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
        let ping = r#"{"type": "ping"}"#;
        let stop = r#"{"type":"message_stop"}"#;
        for (events, expect) in [
            (&[][..], (false, false)),
            (&[ping], (false, false)),
            (&[START, ping], (true, false)),
            (&[START, block], (true, false)),
            (&[START, block, stop], (true, true)),
        ] {
            let seen = tally(&stream(events));
            assert_eq!((seen.has_started(), seen.has_stopped()), expect, "{events:?}");
            assert!(seen.error().is_none());
        }
    }

    #[test]
    fn the_container_of_an_answer_is_remembered() {
        let start = r#"{"type":"message_start","message":{"id":"msg_1","container":{"id":"container_1","expires_at":"x"}}}"#;
        assert_eq!(tally(&stream(&[start])).container(), Some("container_1"));
        for (container, expect) in [
            (r#"{"id":"container_2"}"#, "container_2"),
            // An end that names none leaves what was known.
            ("null", "container_1"),
            (r#"{"id":null}"#, "container_1"),
            (r#""container_2""#, "container_1"),
        ] {
            let end = format!(r#"{{"type":"message_delta","delta":{{"container":{container}}}}}"#);
            assert_eq!(tally(&stream(&[start, &end])).container(), Some(expect), "{container}");
        }
    }

    #[test]
    fn an_error_in_a_stream_is_read() {
        let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        let seen = tally(&stream(&[error]));
        let refusal = seen.error().unwrap();
        assert_eq!(refusal.kind.as_deref(), Some("overloaded_error"));
        assert_eq!(refusal.message.as_deref(), Some("Overloaded"));
        assert!(!seen.has_started());
        assert_eq!(tally("event: error\ndata: <html>\n\n").error(), Some(&Refusal::default()));
    }

    #[test]
    fn an_event_without_a_name_is_known_by_its_data() {
        let error = r#"{"error":{"type":"api_error"},"type":"error"}"#;
        let seen =
            tally(&format!("data: {START}\n\ndata: {error}\n\ndata: {{}}\n\ndata: {{\"type\":7}}\n\n"));
        assert!(seen.has_started());
        assert_eq!(seen.error().unwrap().kind.as_deref(), Some("api_error"));
        assert_eq!(seen.usage(), Usage { output: 2, ..PROMPT });
    }

    #[test]
    fn what_cannot_be_read_counts_nothing() {
        for events in [
            "event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":1},}}\n\n",
            "event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":1}}} x\n\n",
            "event: message_delta\ndata: {\"usage\":{\"output_tokens\":1}\n\n",
            "event: message_delta\ndata: [{\"usage\":{\"output_tokens\":1}}]\n\n",
            "data: nonsense\n\ndata: [\n\n",
            "event: content_block_delta\ndata: {\n\n",
            "event: ping\ndata: {\n\nevent: next_year\ndata: {\n\n",
        ] {
            let seen = tally(events);
            assert_eq!((seen.usage(), seen.container()), (Usage::ZERO, None), "{events}");
            assert_eq!(seen.has_started(), events.contains("start"), "{events}");
            assert!(!seen.has_stopped() && seen.error().is_none(), "{events}");
        }
    }

    #[test]
    fn an_event_too_long_to_be_read_is_known_by_its_name() {
        let seen = |name: &[u8]| {
            let mut tally = Tally::default();
            tally.read(&Event { name, data: crate::sse::Text::Oversized, end: 0 });
            tally
        };
        assert!(seen(b"message_start").has_started());
        assert!(seen(b"message_stop").has_stopped());
        assert_eq!(seen(b"error").error(), Some(&Refusal::default()));
        for name in [&b"message_start"[..], b"content_block_delta", b"message_delta", b"error", b""] {
            assert_eq!(seen(name).usage(), Usage::ZERO);
        }
    }

    #[test]
    fn a_whole_message_reads_as_a_finished_stream() {
        let seen = Tally::of_message(
            br#"{"type":"message","id":"msg_1","container":{"id":"c"},"usage":{"input_tokens":4,"output_tokens":0}}"#,
        );
        assert!(seen.has_started() && seen.has_stopped());
        assert_eq!((seen.container(), seen.usage()), (Some("c"), Usage { input: 4, ..Usage::ZERO }));

        let seen = Tally::of_message(br#"{"type":"error","error":{"type":"api_error"}}"#);
        assert_eq!(seen.error().unwrap().kind.as_deref(), Some("api_error"));
        assert!(!seen.has_started() && !seen.has_stopped());

        let seen = Tally::of_message(br#"{"id":"msg_1","error":null}"#);
        assert!(seen.error().is_none() && seen.has_started());

        let seen = Tally::of_message(br#"{"usage":{"input_tokens":4}"#);
        assert!(seen.usage() == Usage::ZERO && !seen.has_started());
    }
}
