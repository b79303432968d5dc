//! A stream of Chat Completions, as Anthropic's would be. One block is open at a time, each begins once and ends once, and
//! what was written is passed on as it was written.

use bytes::Bytes;
use relay_wire::refusal;
use relay_wire::scan::{Kind, Value};
use relay_wire::sse::Reader;

use super::answer::{Called, Counted, begin, each_said, quoted, spoken, stop_reason};
use super::asked::Asked;
use crate::adapter::Garbled;
use crate::dialect::blocks::{Block, Blocks, Sort};
use crate::dialect::refused::says_late;

#[cfg(test)]
mod tests;

/// More calls than this are not kept apart in one answer.
const MOST_CALLS: usize = 256;

/// See the module.
pub(super) struct Stream {
    reader: Reader,
    asked: Asked,
    /// Its name, once it has begun.
    id: Option<String>,
    blocks: Blocks,
    calls: Vec<Pending>,
    /// What was said inside a call, as it is written.
    waiting: Vec<(Sort, Vec<u8>)>,
    finish: Option<String>,
    counted: Option<Counted>,
    ended: Ended,
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
    pub(super) fn new(asked: Asked) -> Self {
        Self {
            reader: Reader::default(),
            asked,
            id: None,
            blocks: Blocks::default(),
            calls: Vec::new(),
            waiting: Vec::new(),
            finish: None,
            counted: None,
            ended: Ended::Not,
        }
    }

    /// One event of the stream.
    pub(super) fn hear(&mut self, data: Option<&[u8]>, out: &mut Vec<u8>) {
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
            let (kind, words) = says_late(&said);
            out.extend_from_slice(&refusal::event(kind, &words, None));
            return self.ended = Ended::Failed;
        }
        let [id, model, choices, usage] = chunk.pick(["id", "model", "choices", "usage"]);
        if self.id.is_none() {
            self.id = Some(id.and_then(Value::as_str).unwrap_or_default().into_owned());
            out.extend_from_slice(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
            begin(id, model, self.asked.bytes, out);
            out.extend_from_slice(b"\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
            self.asked.uncounted(self.blocks.said()).write(out);
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

    fn delta(&mut self, delta: Value<'_>, out: &mut Vec<u8>) {
        each_said(delta, &mut |sort, text| self.say(sort, text.text(), out));
        let calls = delta.get("tool_calls");
        for (nth, call) in calls.into_iter().flat_map(Value::elements).filter_map(Result::ok).enumerate() {
            self.call(nth, call, out);
        }
    }

    /// A piece of a text, as it is written. What is said in the middle of a call waits until that is whole.
    fn say(&mut self, sort: Sort, text: &[u8], out: &mut Vec<u8>) {
        if let Some(Block::Call(open)) = self.blocks.open()
            && !self.calls[open].is_whole()
        {
            return self.waiting.push((sort, text.to_vec()));
        }
        self.open(Block::Said(sort), out);
        self.blocks.piece(text, out);
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
            pending.name.extend_from_slice(self.asked.names.inward(name));
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
        if let Some(Block::Call(open)) = self.blocks.open()
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
        if self.blocks.open() != Some(Block::Call(next)) {
            if self.calls[next].name.is_empty() {
                return;
            }
            self.open(Block::Call(next), out);
        }
        for piece in std::mem::take(&mut self.calls[next].held) {
            self.blocks.piece(&piece, out);
        }
    }

    /// Begins that block, if it is not open, and ends the one before.
    fn open(&mut self, block: Block, out: &mut Vec<u8>) {
        if self.blocks.open() == Some(block) {
            return;
        }
        self.shut(out);
        let json = match block {
            Block::Said(Sort::Thought) => r#"{"type":"thinking","thinking":"","signature":""}"#.into(),
            Block::Said(Sort::Word) => r#"{"type":"text","text":""}"#.into(),
            Block::Call(place) => {
                let Pending { id, name, .. } = &self.calls[place];
                let name = String::from_utf8_lossy(name);
                // Its letters are such that nothing needs to be escaped.
                let id = self.asked.call(self.id.as_deref().unwrap_or_default(), place, id);
                format!(r#"{{"type":"tool_use","id":"{id}","name":{name},"input":{{}}}}"#)
            }
        };
        self.blocks.begin(block, &json, out);
    }

    /// Ends the block that is open, and whatever was said inside it.
    fn shut(&mut self, out: &mut Vec<u8>) {
        match self.blocks.end(out) {
            None => return,
            Some(Block::Call(place)) => self.calls[place].is_over = true,
            Some(Block::Said(_)) => {}
        }
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
        self.counted.unwrap_or_else(|| self.asked.uncounted(self.blocks.said())).write(out);
        out.extend_from_slice(b"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }
}

impl Stream {
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<Bytes, Garbled> {
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
    pub(super) fn finish(&mut self) -> Result<Bytes, Garbled> {
        let mut out = Vec::new();
        if self.ended == Ended::Not && self.finish.is_some() {
            self.conclude(&mut out);
        }
        if matches!(self.ended, Ended::Done | Ended::Failed) { Ok(out.into()) } else { Err(Garbled) }
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
