//! A stream of Chat Completions, as Anthropic's would be. One block is open at a time, each begins once and ends once, and
//! what was written is passed on as it was written.

use bytes::Bytes;
use relay_wire::refusal::{self, ErrorKind};
use relay_wire::scan::{Kind, Value};
use relay_wire::sse::Reader;

use super::answer::{Called, Counted, Sort, about, begin, each_said, keep, quoted, spoken, stop_reason};
use crate::adapter::{Garbled, Translator};
use crate::dialect::{Names, ids};
use crate::openai::says;

/// More calls than this are not kept apart in one answer.
const MOST_CALLS: usize = 256;

/// See the module.
struct Stream {
    reader: Reader,
    /// How long the request was, in bytes.
    asked: usize,
    names: Names,
    /// Its name, once it has begun.
    id: Option<String>,
    open: Open,
    /// The place of the block that is open, or comes next.
    place: usize,
    calls: Vec<Pending>,
    /// What was said inside a call, as it is written.
    waiting: Vec<(Sort, Vec<u8>)>,
    finish: Option<String>,
    /// How many bytes have been said, of all that is said.
    said: usize,
    counted: Option<Counted>,
    ended: Ended,
}

/// Which block is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    None,
    Said(Sort),
    /// A call, by its place among the calls.
    Call(usize),
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Not,
    /// With what cannot be read.
    Broken,
    /// With an error, which has been passed on.
    Failed,
    /// It said that nothing more comes.
    Done,
}

/// A call of a tool that comes in pieces.
#[derive(Default)]
struct Pending {
    /// As others count it.
    index: u64,
    id: String,
    /// As it is written.
    name: Vec<u8>,
    /// Pieces that came while another block was open, as they are written.
    held: Vec<Vec<u8>>,
    /// What it is called with, as far as that has come; as it is written, without quotes.
    said: Vec<u8>,
    is_over: bool,
}

impl Stream {
    fn new(asked: usize, names: Names) -> Self {
        Self {
            reader: Reader::default(),
            asked,
            names,
            id: None,
            open: Open::None,
            place: 0,
            calls: Vec::new(),
            waiting: Vec::new(),
            finish: None,
            said: 0,
            counted: None,
            ended: Ended::Not,
        }
    }

    /// One event of the stream.
    fn hear(&mut self, data: Option<&[u8]>, out: &mut Vec<u8>) {
        let Some(data) = data.map(<[u8]>::trim_ascii) else { return self.ended = Ended::Broken };
        if data.is_empty() || self.ended != Ended::Not {
            return;
        }
        if data == b"[DONE]" {
            return self.conclude(out);
        }
        let chunk = Value::read(data).ok().filter(|chunk| chunk.kind() == Kind::Object);
        let Some(chunk) = chunk else { return self.ended = Ended::Broken };
        if refusal::is_one(data) {
            let said = refusal::read(data);
            let (kind, words) = says(kind_of(&said), &said);
            out.extend_from_slice(&refusal::event(kind, &words, None));
            return self.ended = Ended::Failed;
        }
        let [id, model, choices, usage] = chunk.pick(["id", "model", "choices", "usage"]);
        if self.id.is_none() {
            self.id = Some(id.and_then(Value::as_str).unwrap_or_default().into_owned());
            out.extend_from_slice(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
            begin(id, model, self.asked, out);
            out.extend_from_slice(b"\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
            self.uncounted().write(out);
            out.extend_from_slice(b"}}\n\n");
        }
        self.counted = Counted::of(usage).or(self.counted);
        let Some(choice) = choices.and_then(|choices| choices.elements().next()).and_then(Result::ok) else {
            return;
        };
        let [delta, message, finish] = choice.pick(["delta", "message", "finish_reason"]);
        if let Some(delta) = delta.or(message) {
            self.delta(delta, out);
        }
        if let Some(finish) = finish.and_then(Value::as_str) {
            self.finish = Some(finish.into_owned());
        }
    }

    /// How many tokens its prompt and it have, most likely: how many there really were is said at the end, or never.
    const fn uncounted(&self) -> Counted {
        Counted { input: about(self.asked), cached: 0, output: about(self.said) }
    }

    fn delta(&mut self, delta: Value<'_>, out: &mut Vec<u8>) {
        each_said(delta, &mut |sort, text| self.say(sort, text.text(), out));
        let calls = delta.get("tool_calls");
        for (nth, call) in calls.into_iter().flat_map(Value::elements).filter_map(Result::ok).enumerate() {
            self.call(nth, call, out);
        }
    }

    /// A piece of a text, as it is written. What is said in the middle of a call waits until that is whole.
    fn say(&mut self, sort: Sort, text: &[u8], out: &mut Vec<u8>) {
        if let Open::Call(open) = self.open
            && !self.calls[open].is_whole()
        {
            return self.waiting.push((sort, text.to_vec()));
        }
        self.open(Open::Said(sort), out);
        let kind: &[u8] = match sort {
            Sort::Thought => b"thinking_delta\",\"thinking\":",
            Sort::Word => b"text_delta\",\"text\":",
        };
        self.piece(kind, text, out);
    }

    /// A piece of a call. Most come one after the other; of those that do not, pieces wait until it is their turn.
    fn call(&mut self, nth: usize, call: Value<'_>, out: &mut Vec<u8>) {
        let index = call.get("index").and_then(Value::as_u64);
        let Called { id, name, arguments } = Called::of(call);
        let known = match index {
            Some(index) => self.calls.iter().rposition(|known| known.index == index),
            // Some give no index, and each call whole, or whose name it has, or what comes next of the last.
            None if !id.is_empty() => self.calls.iter().position(|known| known.id == *id),
            None if name.is_none() => self.calls.len().checked_sub(1),
            None => None,
        };
        // And some count each call as the first: then another name tells it apart, or that nothing is missing of the first.
        let known = known.filter(|known| {
            let known = &self.calls[*known];
            if id.is_empty() {
                name.is_none() || arguments.is_none() || !known.is_whole()
            } else {
                known.id.is_empty() || known.id == *id
            }
        });
        let place = match known {
            Some(place) => place,
            None if self.calls.len() >= MOST_CALLS => return,
            None => {
                let index = index.unwrap_or(nth as u64);
                self.calls.push(Pending { index, ..Pending::default() });
                self.calls.len() - 1
            }
        };
        let pending = &mut self.calls[place];
        if pending.id.is_empty() {
            pending.id.push_str(&id);
        }
        if let Some(name) = name.filter(|_| pending.name.is_empty()) {
            pending.name.extend_from_slice(self.names.inward(name));
        }
        // Pieces are texts; who gives an object gives all of it.
        let piece = match arguments {
            Some(arguments) if arguments.kind() == Kind::Object => {
                quoted(&String::from_utf8_lossy(arguments.text()))
            }
            arguments => spoken(arguments).map(|text| text.text().to_vec()).unwrap_or_default(),
        };
        if !piece.is_empty() {
            pending.said.extend_from_slice(piece.get(1..piece.len() - 1).unwrap_or_default());
            pending.held.push(piece);
        }
        if let Open::Call(open) = self.open
            && open != place
            && self.calls[open].is_whole()
        {
            // The next has begun, and nothing is missing of this one.
            self.shut(out);
        }
        self.go_on(out);
    }

    /// Calls go out in the order in which they came; the next when its name is known, and the one before it is over, for the
    /// next has begun.
    fn go_on(&mut self, out: &mut Vec<u8>) {
        let Some(next) = self.calls.iter().position(|call| !call.is_over) else { return };
        if self.open != Open::Call(next) {
            if self.calls[next].name.is_empty() {
                return;
            }
            self.open(Open::Call(next), out);
        }
        for piece in std::mem::take(&mut self.calls[next].held) {
            self.piece(b"input_json_delta\",\"partial_json\":", &piece, out);
        }
    }

    /// Begins that block, if it is not open, and ends the one before.
    fn open(&mut self, block: Open, out: &mut Vec<u8>) {
        if self.open == block {
            return;
        }
        self.shut(out);
        let json = match block {
            Open::None => return,
            Open::Said(Sort::Thought) => r#"{"type":"thinking","thinking":"","signature":""}"#.into(),
            Open::Said(Sort::Word) => r#"{"type":"text","text":""}"#.into(),
            Open::Call(place) => {
                let Pending { id, name, .. } = &self.calls[place];
                let name = String::from_utf8_lossy(name);
                let id = match &**id {
                    "" => ids::given(self.id.as_deref().unwrap_or_default(), self.asked, place).into(),
                    id => ids::inward(id),
                };
                // Its letters are such that nothing needs to be escaped.
                format!(r#"{{"type":"tool_use","id":"{id}","name":{name},"input":{{}}}}"#)
            }
        };
        self.event("content_block_start", &format!(r#","content_block":{json}"#), out);
        self.open = block;
    }

    /// Ends the block that is open, and whatever was said inside it.
    fn shut(&mut self, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None => return,
            Open::Call(place) => self.calls[place].is_over = true,
            Open::Said(_) => {}
        }
        self.event("content_block_stop", "", out);
        self.place += 1;
        let waiting = std::mem::take(&mut self.waiting);
        // Blanks alone are no text to Anthropic.
        let is_blank = |text: &[u8]| {
            Value::read(text).is_ok_and(|text| text.as_str().is_none_or(|text| text.trim_ascii().is_empty()))
        };
        if !waiting.iter().all(|(_, text)| is_blank(text)) {
            for (sort, text) in waiting {
                self.say(sort, &text, out);
            }
            self.shut(out);
        }
    }

    /// An event about the block that is open.
    fn event(&self, kind: &str, more: &str, out: &mut Vec<u8>) {
        let event =
            format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"index\":{}{more}}}\n\n", self.place);
        out.extend_from_slice(event.as_bytes());
    }

    fn piece(&mut self, kind: &[u8], text: &[u8], out: &mut Vec<u8>) {
        // Without its quotes.
        self.said += text.len().saturating_sub(2);
        let head = format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{},\"delta\":{{\"type\":\"",
            self.place
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(kind);
        out.extend_from_slice(text);
        out.extend_from_slice(b"}}\n\n");
    }

    /// The last events, if there have been any.
    fn conclude(&mut self, out: &mut Vec<u8>) {
        if self.id.is_none() {
            return self.ended = Ended::Broken;
        }
        self.ended = Ended::Done;
        // A call that nobody named is none.
        for call in self.calls.iter_mut().filter(|call| call.name.is_empty()) {
            call.is_over = true;
        }
        while self.calls.iter().any(|call| !call.is_over) {
            self.go_on(out);
            self.shut(out);
        }
        self.shut(out);
        let calls = self.calls.iter().any(|call| !call.name.is_empty());
        let reason = stop_reason(self.finish.as_deref(), calls);
        out.extend_from_slice(
            b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"",
        );
        out.extend_from_slice(reason.as_bytes());
        out.extend_from_slice(b"\",\"stop_sequence\":null},\"usage\":");
        self.counted.unwrap_or_else(|| self.uncounted()).write(out);
        out.extend_from_slice(b"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }
}

impl Stream {
    fn push(&mut self, chunk: &[u8]) -> Result<Bytes, Garbled> {
        if self.ended == Ended::Broken {
            return Err(Garbled);
        }
        let mut reader = std::mem::take(&mut self.reader);
        let mut out = Vec::with_capacity(chunk.len());
        reader.feed(chunk, |event| self.hear(event.text(), &mut out));
        self.reader = reader;
        if self.ended == Ended::Broken && out.is_empty() { Err(Garbled) } else { Ok(out.into()) }
    }

    /// Whoever has said why he ends has ended; whoever has not was cut off.
    fn finish(&mut self) -> Result<Bytes, Garbled> {
        let mut out = Vec::new();
        if self.ended == Ended::Not && self.finish.is_some() {
            self.conclude(&mut out);
        }
        if matches!(self.ended, Ended::Done | Ended::Failed) { Ok(out.into()) } else { Err(Garbled) }
    }
}

/// An answer to somebody who asked for a stream. It may come whole all the same: not all servers can do both, call tools and
/// stream. Which it is its first letter says, and not always its head.
pub(crate) struct Streamed {
    form: Form,
    /// What came before it was known, or all of it if it is whole.
    body: Vec<u8>,
    stream: Stream,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Unknown,
    Events,
    Whole,
}

impl Streamed {
    pub(crate) fn new(asked: usize, names: Names) -> Self {
        Self { form: Form::Unknown, body: Vec::new(), stream: Stream::new(asked, names) }
    }
}

impl Translator for Streamed {
    fn push(&mut self, chunk: &[u8]) -> Result<Bytes, Garbled> {
        if self.form == Form::Unknown {
            self.form = match chunk.trim_ascii_start().first() {
                None => Form::Unknown,
                Some(b'{') => Form::Whole,
                Some(_) => Form::Events,
            };
        }
        match self.form {
            Form::Events => {
                let before = std::mem::take(&mut self.body);
                // Nothing comes of blanks alone.
                self.stream.push(&before)?;
                self.stream.push(chunk)
            }
            Form::Unknown | Form::Whole => keep(&mut self.body, chunk),
        }
    }

    fn finish(&mut self) -> Result<Bytes, Garbled> {
        let mut out = Vec::new();
        if self.form == Form::Whole {
            self.stream.hear(Some(&std::mem::take(&mut self.body)), &mut out);
        }
        let end = self.stream.finish()?;
        out.extend_from_slice(&end);
        Ok(out.into())
    }
}

impl Pending {
    /// Is what it is called with an object already?
    fn is_whole(&self) -> bool {
        let text = [b"\"", self.said.as_slice(), b"\""].concat();
        let said = Value::read(&text).ok().and_then(|text| Some(text.as_str()?.into_owned()));
        said.is_some_and(|said| Value::read(said.as_bytes()).is_ok_and(|said| said.kind() == Kind::Object))
    }
}

/// What kind of error that is at Anthropic.
fn kind_of(said: &refusal::Refusal) -> ErrorKind {
    let words = [said.kind.as_deref(), said.code.as_deref()];
    let is = |name: &str| words.contains(&Some(name));
    if is("rate_limit_exceeded") || is("rate_limit_error") || is("429") {
        ErrorKind::RateLimit
    } else if is("invalid_request_error") || is("400") {
        ErrorKind::InvalidRequest
    } else if is("overloaded_error") || is("503") || is("529") {
        ErrorKind::Overloaded
    } else {
        ErrorKind::Api
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use proptest::strategy::Union;

    use super::*;

    /// What comes out of a stream that comes in pieces of so many bytes.
    fn translated(stream: &str, piece: usize) -> (String, Result<(), Garbled>) {
        let (mut translator, mut out) = (Streamed::new(350, Names::default()), Vec::new());
        for chunk in stream.as_bytes().chunks(piece) {
            match translator.push(chunk) {
                Ok(events) => out.extend_from_slice(&events),
                Err(garbled) => return (String::from_utf8(out).unwrap(), Err(garbled)),
            }
        }
        let end = translator.finish().map(|events| out.extend_from_slice(&events));
        (String::from_utf8(out).unwrap(), end)
    }

    fn chunk(choice: &str) -> String {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"model\":\"gpt-5\",\"choices\":[{{\"index\":0,{choice}}}]}}\n\n"
        )
    }

    fn delta(delta: &str) -> String {
        chunk(&format!("\"delta\":{{{delta}}},\"finish_reason\":null"))
    }

    fn call(index: u64, more: &str) -> String {
        delta(&format!(r#""tool_calls":[{{"index":{index},{more}}}]"#))
    }

    fn ends(reason: &str) -> String {
        chunk(&format!("\"delta\":{{}},\"finish_reason\":\"{reason}\""))
    }

    const USAGE: &str = "data: {\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":120,\"completion_tokens\":30,\"prompt_tokens_details\":{\"cached_tokens\":20}}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    /// The types of events, and what is in those that matter, in short.
    fn short(events: &str) -> Vec<String> {
        let data = events.lines().filter_map(|line| line.strip_prefix("data: "));
        let said = data.map(|data| {
            let event = Value::read(data.as_bytes()).expect("it is JSON");
            let text = |value: Option<Value<'_>>| {
                value.map(|it| String::from_utf8_lossy(it.text()).into_owned()).unwrap_or_default()
            };
            let kind = event.get("type").and_then(Value::as_str).unwrap_or_default().into_owned();
            match &*kind {
                "content_block_start" => {
                    format!("{} {}", text(event.get("index")), text(event.get("content_block")))
                }
                "content_block_delta" => format!("{} {}", text(event.get("index")), text(event.get("delta"))),
                "content_block_stop" => format!("{} ends", text(event.get("index"))),
                "message_delta" => format!("{} {}", text(event.get("delta")), text(event.get("usage"))),
                "error" => text(event.get("error")),
                _ => kind,
            }
        });
        said.collect()
    }

    fn all() -> String {
        [
            delta(r#""role":"assistant","content":"""#),
            delta(r#""reasoning_content":"hm \"1\"""#),
            delta(r#""reasoning_content":".""#),
            delta(r#""content":"Let me""#),
            ": keep-alive\n\n".to_owned(),
            delta(r#""content":" see.\n","tool_calls":[]"#),
            call(0, r#""id":"functions.Bash:0","type":"function","function":{"name":"Bash","arguments":""}"#),
            call(0, r#""function":{"arguments":"{\"command\":"}"#),
            call(0, r#""function":{"name":"","arguments":"\"ls\"}"}"#),
            call(1, r#""id":"call_2","type":"function","function":{"name":"Read","arguments":"{}"}"#),
            ends("tool_calls"),
            USAGE.to_owned(),
            DONE.to_owned(),
        ]
        .concat()
    }

    #[test]
    fn each_block_begins_once_and_ends_once_in_order() {
        let (events, end) = translated(&all(), usize::MAX);
        assert_eq!(end, Ok(()));
        assert_eq!(
            short(&events),
            [
                "message_start",
                r#"0 {"type":"thinking","thinking":"","signature":""}"#,
                r#"0 {"type":"thinking_delta","thinking":"hm \"1\""}"#,
                r#"0 {"type":"thinking_delta","thinking":"."}"#,
                "0 ends",
                r#"1 {"type":"text","text":""}"#,
                r#"1 {"type":"text_delta","text":"Let me"}"#,
                r#"1 {"type":"text_delta","text":" see.\n"}"#,
                "1 ends",
                r#"2 {"type":"tool_use","id":"functions_0x2e_Bash_0x3a_0","name":"Bash","input":{}}"#,
                r#"2 {"type":"input_json_delta","partial_json":"{\"command\":"}"#,
                r#"2 {"type":"input_json_delta","partial_json":"\"ls\"}"}"#,
                "2 ends",
                r#"3 {"type":"tool_use","id":"call_2","name":"Read","input":{}}"#,
                r#"3 {"type":"input_json_delta","partial_json":"{}"}"#,
                "3 ends",
                r#"{"stop_reason":"tool_use","stop_sequence":null} {"input_tokens":100,"cache_creation_input_tokens":0,"cache_read_input_tokens":20,"output_tokens":30}"#,
                "message_stop",
            ]
        );
        assert!(events.starts_with("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_chatcmpl-1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"gpt-5\",\"content\":[],"), "{events}");
    }

    #[test]
    fn it_is_the_same_however_it_is_cut_into_pieces() {
        let (whole, _) = translated(&all(), usize::MAX);
        for piece in 1..60 {
            assert_eq!(translated(&all(), piece), (whole.clone(), Ok(())), "{piece}");
        }
    }

    /// Whoever is cut off has not ended, and nothing is said that was not.
    #[test]
    fn a_stream_that_is_cut_anywhere_is_a_beginning_and_no_end() {
        let (all, whole) = (all(), translated(&all(), usize::MAX).0);
        let over = all.find("\"finish_reason\":\"tool_calls\"").unwrap();
        let over = over + all[over..].find("\n\n").unwrap() + 2;
        for cut in 0..all.len() {
            let (events, end) = translated(&all[..cut], usize::MAX);
            assert_eq!(end.is_ok(), cut >= over, "{cut}");
            if end.is_err() {
                assert!(whole.starts_with(&events), "{cut}");
            } else {
                assert!(
                    events.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
                    "{cut}"
                );
            }
        }
    }

    #[test]
    fn pieces_of_calls_that_come_across_each_other_wait_for_their_turn() {
        let stream = [
            call(0, r#""id":"a","function":{"name":"A","arguments":"{\"x\""}"#),
            call(1, r#""id":"b","function":{"name":"B","arguments":"{"}"#),
            call(0, r#""function":{"arguments":":1}"}"#),
            call(1, r#""function":{"arguments":"}"}"#),
            ends("stop"),
            DONE.to_owned(),
        ];
        let (events, end) = translated(&stream.concat(), usize::MAX);
        assert_eq!(end, Ok(()));
        assert_eq!(
            short(&events)[1..10],
            [
                r#"0 {"type":"tool_use","id":"a","name":"A","input":{}}"#,
                r#"0 {"type":"input_json_delta","partial_json":"{\"x\""}"#,
                r#"0 {"type":"input_json_delta","partial_json":":1}"}"#,
                "0 ends",
                r#"1 {"type":"tool_use","id":"b","name":"B","input":{}}"#,
                r#"1 {"type":"input_json_delta","partial_json":"{"}"#,
                r#"1 {"type":"input_json_delta","partial_json":"}"}"#,
                "1 ends",
                r#"{"stop_reason":"tool_use","stop_sequence":null} {"input_tokens":100,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":3}"#,
            ]
        );
    }

    /// A second call was held back until the answer had ended.
    #[test]
    fn a_call_goes_out_as_it_comes_once_the_one_before_it_is_whole() {
        let stream = [
            call(0, r#""id":"a","function":{"name":"A","arguments":"{\"x\":"}"#),
            call(0, r#""function":{"arguments":"\"}\"}"}"#),
            call(1, r#""id":"b","function":{"name":"B","arguments":"{"}"#),
        ];
        let mut translator = Stream::new(1, Names::default());
        let events = stream.map(|event| translator.push(event.as_bytes()).unwrap());
        let last = String::from_utf8(events[2].to_vec()).unwrap();
        assert_eq!(
            short(&last),
            [
                "0 ends",
                r#"1 {"type":"tool_use","id":"b","name":"B","input":{}}"#,
                r#"1 {"type":"input_json_delta","partial_json":"{"}"#,
            ]
        );
    }

    /// A call was closed at the first word in the middle of it, and what came after was lost; as it was if it said neither its
    /// number nor its name.
    #[test]
    fn what_a_call_is_called_with_is_not_lost_to_words_inside_it_nor_for_want_of_a_name() {
        for (word, after) in [("", ""), (" ", ""), ("ok", "ok")] {
            let stream = [
                delta(r#""tool_calls":[{"id":"a","function":{"name":"A","arguments":"{\"x\""}}]"#),
                delta(&format!(r#""content":"{word}""#)),
                delta(r#""tool_calls":[{"function":{"arguments":":1}"}}]"#),
                delta(&format!(r#""content":"{word}""#)),
                ends("tool_calls"),
                DONE.to_owned(),
            ];
            let (events, end) = translated(&stream.concat(), usize::MAX);
            let mut made = made_of(&events.replace(r#""id":"a""#, r#""id":"call_a""#));
            assert_eq!((made.remove("call_a").as_deref(), end), (Some(r#"{"x":1}"#), Ok(())));
            assert_eq!(made.remove("text").unwrap_or_default().trim(), after.repeat(2), "{events}");
        }
    }

    /// All were `call`.
    #[test]
    fn calls_without_names_are_told_apart() {
        for index in [r#""index":0,"id":"","#, r#""id":"","#, ""] {
            let whole =
                delta(&format!(r#""tool_calls":[{{{index}"function":{{"name":"T","arguments":"{{}}"}}}}]"#));
            let stream = [whole.clone(), whole, ends("stop"), DONE.to_owned()].concat();
            let (events, _) = translated(&stream, usize::MAX);
            for id in ["call_15e_0_chatcmpl-1", "call_15e_1_chatcmpl-1"] {
                assert!(events.contains(&format!(r#""id":"{id}""#)), "{events}");
            }
        }
    }

    /// It was passed on as a message where events were waited for.
    #[test]
    fn an_answer_that_comes_whole_is_a_stream_too() {
        let body = r#"{"id":"x","model":"m","choices":[{"message":{"role":"assistant","content":"Hi","tool_calls":[{"id":"call_1","function":{"name":"A","arguments":"{}"}},{"id":"call_2","function":{"name":"B","arguments":{"b": 1}}}]},
            "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
        let mut streamed = Streamed::new(1, Names::default());
        assert!(body.as_bytes().chunks(9).all(|chunk| streamed.push(chunk).unwrap().is_empty()));
        let events = String::from_utf8(streamed.finish().unwrap().to_vec()).unwrap();
        let made = made_of(&events);
        let of = |name: &str| made.get(name).map(String::as_str);
        assert_eq!((of("text"), of("call_1"), of("call_2")), (Some("Hi"), Some("{}"), Some(r#"{"b": 1}"#)));
        assert!(events.contains(r#""stop_reason":"tool_use""#) && events.contains(r#""output_tokens":3"#));
        for body in ["", "<html>", "{}", r#"{"choices":[]}"#] {
            let mut streamed = Streamed::new(1, Names::default());
            streamed.push(body.as_bytes()).unwrap();
            assert_eq!(streamed.finish(), Err(Garbled), "{body}");
        }
    }

    /// Gemini counts each call as the first; others give no index, and each call whole.
    #[test]
    fn calls_that_are_counted_badly_are_told_apart_by_their_names() {
        let whole = |index: &str, id: &str| {
            delta(&format!(
                r#""tool_calls":[{{{index}"id":"{id}","function":{{"name":"T","arguments":"{{}}"}}}}]"#
            ))
        };
        for index in ["\"index\":0,", ""] {
            let stream = [whole(index, "a"), whole(index, "b"), ends("stop"), DONE.to_owned()].concat();
            let (events, end) = translated(&stream, usize::MAX);
            let begun = short(&events).iter().filter(|event| event.contains("tool_use\",\"id\"")).count();
            assert_eq!((begun, end), (2, Ok(())), "{events}");
        }
    }

    #[test]
    fn an_error_inside_a_stream_is_one_and_nothing_comes_after_it() {
        let error = r#"data: {"error":{"message":"Rate limit reached","type":"rate_limit_error","code":"rate_limit_exceeded"}}"#;
        let stream = [&delta(r#""content":"hi""#), error, "\n\n", DONE].concat();
        let (events, end) = translated(&stream, usize::MAX);
        assert_eq!(
            short(&events).last().map(String::as_str),
            Some(r#"{"type":"rate_limit_error","message":"Rate limit reached"}"#)
        );
        assert_eq!(end, Ok(()));
    }

    #[test]
    fn what_is_no_stream_is_none() {
        for stream in ["", DONE, "data: <html>\n\n", "data: [1]\n\n", "data: {}\n\n"] {
            assert_eq!(translated(stream, usize::MAX).1, Err(Garbled), "{stream}");
        }
    }

    #[test]
    fn an_answer_without_words_is_one_that_has_ended() {
        let stream = [ends("length"), USAGE.to_owned(), DONE.to_owned()].concat();
        let (events, end) = translated(&stream, usize::MAX);
        assert_eq!(end, Ok(()));
        assert_eq!(short(&events).len(), 3, "{events}");
        assert!(events.contains(r#""stop_reason":"max_tokens""#));
    }

    /// What a model may send.
    #[derive(Clone, Debug)]
    enum Sent {
        Thought(String),
        Word(String),
        /// Of one of three calls: its name, or a piece of what it is called with.
        Begin(u64),
        Piece(u64, String),
        Comment,
    }

    fn sent() -> impl Strategy<Value = Vec<Sent>> {
        let text = || "[ -~é\n]{1,8}";
        let one = Union::new_weighted(vec![
            (2, text().prop_map(Sent::Thought).boxed()),
            (3, text().prop_map(Sent::Word).boxed()),
            (2, (0_u64..3).prop_map(Sent::Begin).boxed()),
            // No piece makes a call whole before its last.
            (4, (0_u64..3, "[ -|~é\n]{1,8}").prop_map(|(call, piece)| Sent::Piece(call, piece)).boxed()),
            (1, Just(Sent::Comment).boxed()),
        ]);
        proptest::collection::vec(one, 0..24)
    }

    fn json(text: &str) -> String {
        String::from_utf8(quoted(text)).unwrap()
    }

    fn written(sent: &Sent) -> String {
        match sent {
            Sent::Thought(text) => delta(&format!("\"reasoning\":{}", json(text))),
            Sent::Word(text) => delta(&format!("\"content\":{}", json(text))),
            Sent::Begin(index) => call(
                *index,
                &format!(r#""id":"call_{index}","function":{{"name":"T{index}","arguments":""}}"#),
            ),
            Sent::Piece(index, piece) => {
                call(*index, &format!(r#""function":{{"arguments":{}}}"#, json(piece)))
            }
            Sent::Comment => ": wait\n\n".to_owned(),
        }
    }

    /// What a client makes of events: of each kind of text all of it, and of each call what it is called with. It is as strict
    /// as a client: one block is open at a time, in order, and each piece is of its kind.
    fn made_of(events: &str) -> BTreeMap<String, String> {
        let (mut made, mut open, mut next) = (BTreeMap::new(), None, 0);
        for data in events.lines().filter_map(|line| line.strip_prefix("data: ")) {
            let event = Value::read(data.as_bytes()).expect("it is JSON");
            let kind = event.get("type").and_then(Value::as_str).expect("it has a type");
            let index = || event.get("index").and_then(Value::as_u64);
            let name = |of: &str, field: &str| Some(event.get(of)?.get(field)?.as_str()?.into_owned());
            match &*kind {
                "content_block_start" => {
                    assert!(open.is_none() && index() == Some(next), "{data}");
                    let id = name("content_block", "id").or_else(|| name("content_block", "type"));
                    open = Some(id.clone().expect("it has a type"));
                    made.entry(id.unwrap_or_default()).or_default();
                }
                "content_block_delta" => {
                    assert_eq!(index(), Some(next), "{data}");
                    let piece =
                        ["thinking", "text", "partial_json"].iter().find_map(|field| name("delta", field));
                    let block: &str = open.as_deref().expect("a block is open");
                    let fits = match name("delta", "type").as_deref() {
                        Some("thinking_delta") => block == "thinking",
                        Some("text_delta") => block == "text",
                        Some("input_json_delta") => block.starts_with("call_"),
                        _ => false,
                    };
                    assert!(fits, "{data} inside {block}");
                    made.entry(block.to_owned())
                        .or_insert_with(String::new)
                        .push_str(&piece.expect("it has a piece"));
                }
                "content_block_stop" => {
                    assert!(open.take().is_some() && index() == Some(next), "{data}");
                    next += 1;
                }
                _ => assert!(open.is_none(), "{data}"),
            }
        }
        made
    }

    proptest! {
        /// Whatever comes in whatever order, cut anywhere, a client gets all of it, in blocks that are well formed.
        #[test]
        fn whatever_a_model_sends_arrives_whole_in_well_formed_blocks(sent in sent(), piece in 1_usize..90) {
            let stream: String = sent.iter().map(written).chain([ends("stop"), USAGE.to_owned(), DONE.to_owned()]).collect();
            let (events, end) = translated(&stream, piece);
            prop_assert_eq!(end, Ok(()));
            let made = made_of(&events);
            let all = |of: &dyn Fn(&Sent) -> Option<String>| sent.iter().filter_map(of).collect::<String>();
            let thoughts = all(&|sent| if let Sent::Thought(text) = sent { Some(text.clone()) } else { None });
            let words = all(&|sent| if let Sent::Word(text) = sent { Some(text.clone()) } else { None });
            // Blanks in the middle of a call are nothing.
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            let of = |kind: &str| made.get(kind).map(|text| letters(text)).unwrap_or_default();
            prop_assert_eq!((of("thinking"), of("text")), (letters(&thoughts), letters(&words)));
            for index in 0..3 {
                let pieces = all(&|sent| match sent { Sent::Piece(own, piece) if *own == index => Some(piece.clone()), _ => None });
                let is_named = sent.iter().any(|sent| matches!(sent, Sent::Begin(own) if *own == index));
                prop_assert_eq!(made.get(&format!("call_{index}")).cloned(), is_named.then_some(pieces));
            }
        }

        #[test]
        fn bytes_of_any_kind_are_no_trouble(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1_usize..50) {
            let mut stream = Stream::new(1, Names::default());
            for chunk in bytes.chunks(piece) {
                if stream.push(chunk).is_err() {
                    break;
                }
            }
            let _ = stream.finish();
        }
    }
}
