//! A provider with canned answers, as cheap as a server can be. Knows which answer a request
//! asks for by one header; refuses to look at the request's body.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::{Request, Response};
use tokio::sync::watch;
use tokio::time::Interval;

use crate::arguments::Arguments;
use crate::bench::listen;
use crate::clock;
use crate::failure::Failure;
use crate::workshop::Workshop;

/// The header which names the wanted answer.
pub(crate) const REPLY_HEADER: &str = "x-bench-reply";

/// A request to this path ends all held streams.
pub(crate) const RELEASE_PATH: &str = "/release";

/// Events in a stream, after the rig with which the data path was chosen: a short answer.
const N_EVENTS: usize = 55;
/// Events of the stream which carry text; the others open and close it.
const N_DELTAS: usize = N_EVENTS - 6;
/// Time between two events of a paced stream: 50 tokens a second, as models write.
const PACE: Duration = Duration::from_millis(20);
/// Stands before the time in each event of a paced stream.
pub(crate) const STAMP: &str = "\"t=";

const JSON: &str = r#"{"id":"msg_01BenchBenchBenchBenchBen","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"A short answer of a few dozen words, as they are given to most questions that are asked in a loop of tools: the file was read, the change was made, the tests were run and they passed; nothing else was touched, and nothing else needs to be."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":512,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":64}}"#;
const OPENING: [&str; 3] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01BenchBenchBenchBenchBen\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":512,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
];
const CLOSING: [&str; 3] = [
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":49}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
];

/// The answers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reply {
    /// One short message with its length.
    Json,
    /// A stream, one event after the other, each in a write of its own.
    Burst,
    /// A stream with [`PACE`] between events, each of which says when it was written.
    Paced,
    /// A stream which opens, and ends only when it is released.
    Held,
}

impl Reply {
    const ALL: [Self; 4] = [Self::Json, Self::Burst, Self::Paced, Self::Held];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Burst => "burst",
            Self::Paced => "paced",
            Self::Held => "held",
        }
    }

    pub(crate) const fn is_stream(self) -> bool {
        !matches!(self, Self::Json)
    }

    /// How long the answer's body is, where that is known beforehand.
    pub(crate) fn body_length(self) -> Option<usize> {
        match self {
            Self::Json => Some(JSON.len()),
            Self::Burst => Some((0..N_EVENTS).map(|index| burst_event(index).len()).sum()),
            Self::Paced | Self::Held => None,
        }
    }

    fn of(request: &Request<Incoming>) -> Option<Self> {
        let wanted = request.headers().get(REPLY_HEADER)?;
        Self::ALL.into_iter().find(|reply| reply.name().as_bytes() == wanted.as_bytes())
    }
}

/// `xtask bench-upstream PORT`. One thread: it must be cheap rather than fast.
pub(crate) fn run(_: &Workshop, mut arguments: Arguments) -> Result<(), Failure> {
    let port = arguments.word("PORT")?;
    arguments.end()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::connection("starting a runtime"))?.block_on(async {
        let (release, released) = watch::channel(());
        listen::serve(port, move |request| answer(request, release.clone(), released.clone())).await
    })
}

async fn answer(
    request: Request<Incoming>,
    release: watch::Sender<()>,
    released: watch::Receiver<()>,
) -> Result<Response<Answer>, hyper::Error> {
    let (path, reply) = (request.uri().path() == RELEASE_PATH, Reply::of(&request));
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    if path {
        release.send_replace(());
        return Ok(Response::new(Answer::Whole(None)));
    }
    let (kind, body) = match reply {
        Some(Reply::Json) => ("application/json", Answer::Whole(Some(Bytes::from_static(JSON.as_bytes())))),
        Some(Reply::Burst) => {
            ("text/event-stream", Answer::Stream(Script::new(Pace::Burst { paused: false })))
        }
        Some(Reply::Paced) => {
            let mut clock = tokio::time::interval(PACE);
            clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            ("text/event-stream", Answer::Stream(Script::new(Pace::Even(clock))))
        }
        Some(Reply::Held) => ("text/event-stream", Answer::Stream(Script::new(Pace::Held(wait(released))))),
        None => {
            let mut response = Response::new(Answer::Whole(None));
            *response.status_mut() = hyper::StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    let response =
        Response::builder().header("content-type", kind).header("request-id", "req_01Bench").body(body);
    Ok(response.expect("the headers are constants"))
}

/// Ends when the held streams are released, or when nobody is left to release them.
fn wait(mut released: watch::Receiver<()>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    released.mark_unchanged();
    Box::pin(async move { released.changed().await.unwrap_or_default() })
}

/// The body of an answer.
enum Answer {
    Whole(Option<Bytes>),
    Stream(Script),
}

/// A stream which is being written.
struct Script {
    next: usize,
    pace: Pace,
}

/// When the next event is due.
enum Pace {
    /// At once, but not in the same poll, so that each event is written by itself.
    Burst {
        paused: bool,
    },
    Even(Interval),
    /// The opening at once; the closing when this ends.
    Held(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl Script {
    fn new(pace: Pace) -> Self {
        Self { next: 0, pace }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let index = self.next;
        if index == N_EVENTS {
            return Poll::Ready(None);
        }
        let event = match &mut self.pace {
            Pace::Burst { paused } => {
                *paused = !*paused;
                if *paused {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                burst_event(index)
            }
            Pace::Even(clock) => {
                ready!(clock.poll_tick(context));
                event(index, || format!("t={}", clock::shared().as_nanos()))
            }
            Pace::Held(released) => {
                if index == OPENING.len() {
                    ready!(released.as_mut().poll(context));
                    self.next = N_EVENTS - CLOSING.len();
                }
                event(self.next, String::new)
            }
        };
        self.next += 1;
        Poll::Ready(Some(event))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = match self.get_mut() {
            Self::Whole(bytes) => bytes.take(),
            Self::Stream(script) => ready!(script.poll_event(context)),
        };
        Poll::Ready(chunk.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                hyper::body::SizeHint::with_exact(u64::try_from(length).expect("an answer is short"))
            }
            Self::Stream(_) => hyper::body::SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }
}

/// The event at a place in the stream; its text is asked for only where it has one.
fn event(index: usize, text: impl FnOnce() -> String) -> Bytes {
    if let Some(opening) = OPENING.get(index) {
        return Bytes::from_static(opening.as_bytes());
    }
    if let Some(closing) = index.checked_sub(OPENING.len() + N_DELTAS).and_then(|place| CLOSING.get(place)) {
        return Bytes::from_static(closing.as_bytes());
    }
    Bytes::from(format!(
        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{}\"}}}}\n\n",
        text()
    ))
}

/// Events of a burst are made once: the upstream shall not be what is measured.
fn burst_event(index: usize) -> Bytes {
    static DELTA: LazyLock<Bytes> = LazyLock::new(|| event(OPENING.len(), || "a few more words ".to_owned()));
    let is_delta = (OPENING.len()..OPENING.len() + N_DELTAS).contains(&index);
    if is_delta { DELTA.clone() } else { event(index, String::new) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_as_many_events_as_it_says_and_ends_with_a_stop() {
        let events: Vec<Bytes> = (0..N_EVENTS).map(burst_event).collect();
        assert!(events.iter().all(|event| event.starts_with(b"event: ") && event.ends_with(b"\n\n")));
        assert!(events[0].starts_with(b"event: message_start"));
        assert!(events[N_EVENTS - 1].starts_with(b"event: message_stop"));
        assert_eq!(
            events.iter().filter(|event| event.starts_with(b"event: content_block_delta")).count(),
            N_DELTAS
        );
    }

    #[test]
    fn every_event_carries_json() {
        for index in 0..N_EVENTS {
            let event = event(index, || "t=1".to_owned());
            let text = std::str::from_utf8(&event).unwrap();
            let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            serde_json::from_str::<serde_json::Value>(data).unwrap();
        }
        serde_json::from_str::<serde_json::Value>(JSON).unwrap();
    }

    #[test]
    fn the_length_of_a_burst_is_known_beforehand() {
        let length: usize = (0..N_EVENTS).map(|index| burst_event(index).len()).sum();
        assert_eq!(Reply::Burst.body_length(), Some(length));
        assert_eq!(Reply::Json.body_length(), Some(JSON.len()));
    }
}
