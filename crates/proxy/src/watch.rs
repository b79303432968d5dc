//! Watches an answer flow by: its events, its usage, whether it is whole. It never changes or delays a byte.

use bytes::Bytes;
use relay_core::{Text, Usage};
use relay_wire::sse::Reader;
use relay_wire::usage::Tally;

/// The most of a whole JSON answer that is kept to read its usage at the end, in bytes. The largest
/// answers, of 128,000 output tokens, have about half a megabyte.
const MOST_KEPT: usize = 8 << 20;

/// What kind of answer is watched.
pub(crate) enum Watch {
    /// A stream of events.
    Stream(Box<Events>),
    /// One JSON message.
    Message(Message),
    /// Something that says nothing of usage.
    Nothing,
}

/// A stream as far as it has come.
#[derive(Default)]
pub(crate) struct Events {
    reader: Reader,
    tally: Tally,
    /// Events but pings and comments.
    real: u64,
    all: u64,
    /// The data of the first real event, if that is an error.
    opening: Option<Opening>,
}

/// What the first real event is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Opening {
    /// The stream has begun.
    Begun,
    /// It is an error, with that data.
    Error(Vec<u8>),
}

/// The pieces of a JSON message, which share the bytes that go to the client.
#[derive(Default)]
pub(crate) struct Message {
    /// All of it, most often.
    first: Bytes,
    rest: Vec<Bytes>,
    kept: usize,
}

/// How a stream stands at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Closing {
    /// It is whole, or it is nothing that could be incomplete.
    Whole,
    /// It ended with an error event.
    Error,
    /// It began and did not come to its `message_stop`.
    Cut,
}

impl Watch {
    /// Sees the next chunk. True if usage may have changed.
    pub(crate) fn see(&mut self, chunk: &Bytes) {
        match self {
            Self::Stream(events) => events.see(chunk),
            Self::Message(message) => message.see(chunk),
            Self::Nothing => {}
        }
    }

    /// Tokens used, as far as that is known.
    pub(crate) fn usage(&self) -> Usage {
        match self {
            Self::Stream(events) => events.tally.usage(),
            Self::Message(_) | Self::Nothing => Usage::ZERO,
        }
    }

    /// Until its tokens are counted, what is streamed is taken to be like that.
    pub(crate) const fn is_like(&mut self, text: Text) {
        if let Self::Stream(events) = self {
            events.tally.is_like(text);
        }
    }

    /// What was streamed, once its tokens have been counted.
    pub(crate) fn text(&self) -> Option<Text> {
        match self {
            Self::Stream(events) => events.tally.text(),
            Self::Message(_) | Self::Nothing => None,
        }
    }

    /// Events seen, pings among them.
    pub(crate) fn events(&self) -> u64 {
        match self {
            Self::Stream(events) => events.all,
            Self::Message(_) | Self::Nothing => 0,
        }
    }

    /// May a ping be put here?
    pub(crate) fn at_boundary(&self) -> bool {
        matches!(self, Self::Stream(events) if events.reader.at_boundary())
    }

    /// What the whole answer was, now that it has ended: how it ended, its usage, its container.
    pub(crate) fn close(self) -> (Closing, Usage, Option<String>) {
        match self {
            Self::Stream(events) => {
                let closing = events.closing();
                (closing, events.tally.usage(), events.tally.container().map(str::to_owned))
            }
            Self::Message(message) => {
                let tally = message.read();
                (Closing::Whole, tally.usage(), tally.container().map(str::to_owned))
            }
            Self::Nothing => (Closing::Whole, Usage::ZERO, None),
        }
    }
}

impl Events {
    fn see(&mut self, chunk: &Bytes) {
        let Self { reader, tally, real, all, opening } = self;
        reader.feed(chunk, |event| {
            *all += 1;
            tally.read(&event);
            if is_ping(&event) {
                return;
            }
            *real += 1;
            if opening.is_none() {
                let error = tally.error().is_some();
                let data = || event.text().unwrap_or_default().to_vec();
                *opening = Some(if error { Opening::Error(data()) } else { Opening::Begun });
            }
        });
    }

    /// What the first real event is; none if none has come.
    pub(crate) const fn opening(&self) -> Option<&Opening> {
        self.opening.as_ref()
    }

    fn closing(&self) -> Closing {
        if self.tally.error().is_some() {
            Closing::Error
        } else if self.tally.has_stopped() {
            // Whatever comes behind, the message is whole.
            Closing::Whole
        } else if self.tally.has_started() || !self.reader.at_boundary() {
            Closing::Cut
        } else {
            Closing::Whole
        }
    }
}

fn is_ping(event: &relay_wire::sse::Event<'_>) -> bool {
    event.name == b"ping"
        || event.name.is_empty()
            && event.text().is_some_and(|data| {
                data.starts_with(b"{\"type\": \"ping\"") || data.starts_with(b"{\"type\":\"ping\"")
            })
}

impl Message {
    fn see(&mut self, chunk: &Bytes) {
        let is_first = self.kept == 0;
        self.kept += chunk.len();
        if self.kept > MOST_KEPT {
            (self.first, self.rest) = (Bytes::new(), Vec::new());
        } else if is_first {
            self.first = chunk.clone();
        } else {
            self.rest.push(chunk.clone());
        }
    }

    fn read(&self) -> Tally {
        match self.rest.as_slice() {
            _ if self.first.is_empty() => Tally::default(),
            [] => Tally::of_message(&self.first),
            rest => {
                let mut whole = self.first.to_vec();
                for piece in rest {
                    whole.extend_from_slice(piece);
                }
                Tally::of_message(&whole)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(chunks: &[&'static str]) -> Watch {
        let mut watch = Watch::Stream(Box::default());
        for chunk in chunks {
            watch.see(&Bytes::from_static(chunk.as_bytes()));
        }
        watch
    }

    fn opening(watch: &Watch) -> Option<Opening> {
        let Watch::Stream(events) = watch else { return None };
        events.opening().cloned()
    }

    const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n";
    const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";

    #[test]
    fn pings_and_comments_are_no_beginning() {
        assert_eq!(opening(&watched(&[PING, ": keep-alive\n\n"])), None);
        assert_eq!(opening(&watched(&[PING, START])), Some(Opening::Begun));
        let data = "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}";
        let error = format!("event: error\ndata: {data}\n\n");
        let watch = watched(&[PING, Box::leak(error.into_boxed_str())]);
        assert_eq!(opening(&watch), Some(Opening::Error(data.as_bytes().to_vec())));
    }

    #[test]
    fn a_stream_without_its_stop_was_cut() {
        assert_eq!(watched(&[START, STOP]).close().0, Closing::Whole);
        assert_eq!(watched(&[START, STOP, "event: after\ndata: x"]).close().0, Closing::Whole);
        assert_eq!(watched(&[START]).close().0, Closing::Cut);
        assert_eq!(watched(&[START, "event: content_bl"]).close().0, Closing::Cut);
        assert_eq!(
            watched(&[START, "event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n"]).close().0,
            Closing::Error
        );
        assert_eq!(watched(&[]).close().0, Closing::Whole);
    }
}
