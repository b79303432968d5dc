//! Turns what the provider is about to answer into a response, with the pace and faults of a script.

use std::{collections::VecDeque, io::Write, time::Duration};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Response, header};

use crate::{
    body::{AnswerBody, Ending, Piece},
    entry::Entry,
    message::Event,
    output::{Content, Output},
    script::{Break, Fault},
    serve::Line,
    settings::Pace,
};

/// The content type of a stream of events.
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Content that was cut into pieces.
struct Cut {
    content_type: Option<HeaderValue>,
    pieces: VecDeque<Piece>,
    ending: Ending,
    /// Whether the length is said beforehand.
    length: Option<u64>,
}

/// The response to send. `headers` are those of every answer.
pub(crate) fn respond(
    output: Output,
    headers: HeaderMap,
    fault: &Fault,
    pace: Pace,
    entry: Entry,
    line: Line,
) -> Response<AnswerBody> {
    let mut content = Cut::from(output.content, output.tokens, fault);
    content.pace(pace.between_events);
    if let Fault::Break { after, how } = fault {
        content.break_off(*after, how);
    }
    let mut response = Response::new(());
    *response.status_mut() = output.status;
    *response.headers_mut() = headers;
    if let Some(content_type) = content.content_type.take() {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    match fault {
        Fault::Gzip => {
            content.compress();
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Fault::ContentType(name) => {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(name));
        }
        _ => {}
    }
    entry.note_head(output.status);
    let body = AnswerBody::new(content.pieces, content.ending, Some(entry), line);
    response.map(|()| match content.length {
        Some(length) => body.with_length(length),
        None => body,
    })
}

impl Cut {
    fn from(content: Content, tokens: u64, fault: &Fault) -> Self {
        match content {
            Content::Nothing => Self::whole(None, Bytes::new(), 0, fault),
            Content::Json(value) => Self::whole(Some(JSON), Bytes::from(value.to_string()), tokens, fault),
            Content::Bytes { content_type, bytes } => {
                Self::whole(HeaderValue::try_from(content_type).ok(), bytes, tokens, fault)
            }
            Content::Events(events) => Self::events(&events, fault),
        }
    }

    /// One piece, or two halves if it is to be broken.
    fn whole(content_type: Option<HeaderValue>, bytes: Bytes, tokens: u64, fault: &Fault) -> Self {
        let length = Some(bytes.len() as u64);
        let piece = |bytes: Bytes, tokens| Piece { bytes, tokens, wait: Duration::ZERO };
        let pieces = if bytes.is_empty() {
            VecDeque::new()
        } else if matches!(fault, Fault::Break { .. }) {
            let half = bytes.len() / 2;
            VecDeque::from([piece(bytes.slice(..half), tokens), piece(bytes.slice(half..), 0)])
        } else {
            VecDeque::from([piece(bytes, tokens)])
        };
        Self { content_type, pieces, ending: Ending::Whole, length }
    }

    fn events(events: &[Event], fault: &Fault) -> Self {
        let render = |event: &Event| match fault {
            Fault::DataOnly => event.render_bare(),
            _ => event.render(),
        };
        let pieces = events
            .iter()
            .map(|event| Piece { bytes: render(event), tokens: event.tokens, wait: Duration::ZERO })
            .collect();
        Self { content_type: Some(EVENTS), pieces, ending: Ending::Whole, length: None }
    }

    fn pace(&mut self, between_events: Duration) {
        for piece in self.pieces.iter_mut().skip(1) {
            piece.wait = between_events;
        }
    }

    fn break_off(&mut self, after: usize, how: &Break) {
        match how {
            Break::Stall(Some(duration)) => {
                if let Some(piece) = self.pieces.get_mut(after) {
                    piece.wait += *duration;
                }
            }
            Break::Garbage => {
                if let Some(piece) = self.pieces.get_mut(after) {
                    piece.bytes = garble(&piece.bytes);
                    self.length = None;
                }
            }
            Break::Stall(None) => self.end(after, Ending::Hang),
            Break::Reset => self.end(after, Ending::Reset),
            Break::Close => self.end(after, Ending::Close),
            Break::End => {
                self.end(after, Ending::Short);
                self.length = None;
            }
            Break::Error(refusal) => {
                self.end(after, Ending::Short);
                self.length = None;
                let event = Event { name: "error", data: refusal.body(None).to_string(), tokens: 0 };
                self.pieces.push_back(Piece { bytes: event.render(), ..Piece::default() });
            }
        }
    }

    fn end(&mut self, after: usize, ending: Ending) {
        self.pieces.truncate(after);
        self.ending = ending;
    }

    /// Compresses every piece so that it can be read at once.
    fn compress(&mut self) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let sure = "writing into memory cannot fail";
        for piece in &mut self.pieces {
            encoder.write_all(&piece.bytes).expect(sure);
            encoder.flush().expect(sure);
            piece.bytes = std::mem::take(encoder.get_mut()).into();
        }
        let rest = encoder.finish().expect(sure);
        self.pieces.push_back(Piece { bytes: rest.into(), ..Piece::default() });
        self.length = None;
    }
}

/// The same bytes without the last closing brace.
fn garble(bytes: &Bytes) -> Bytes {
    let brace = bytes.iter().rposition(|byte| *byte == b'}').unwrap_or(0);
    let mut garbled = bytes.to_vec();
    garbled.drain(brace..bytes.len().min(brace + 1));
    garbled.into()
}
