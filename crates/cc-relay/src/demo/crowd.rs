//! Clients that talk at the same time, each in one conversation after another, and what they see. They read
//! every answer to its end, as strictly as the SDKs do; what a client must never see is counted as a
//! failure. Nothing is tried again here. They refuse to know that they talk to a relay.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use relay_transport::{Deadlines, Incoming, Origin, RequestBody, SendError, Transport};
use relay_wire::sse::Reader;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::cc::PLACEHOLDER;
use crate::demo::conversation::Conversation;
use crate::report::Exit;

/// How many talk at the same time.
pub(crate) const CLIENTS: usize = 10;

/// From one client's start to the next: people do not come all at once.
const STAGGER: Duration = Duration::from_millis(120);

/// How long Claude Code takes over its tools between an answer and its next request.
const TOOLS_RUN: Duration = Duration::from_millis(70);

/// Of an answer that is no stream, so many bytes are read.
const MOST: usize = 64 << 10;

/// As patient as Claude Code: 300 s without a byte. All of this is on one machine.
const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_mins(5),
    idle: Duration::from_mins(5),
};

/// Clients at work. Dropping it ends them.
pub(crate) struct Crowd {
    clients: JoinSet<()>,
    shared: Arc<Shared>,
}

/// What all clients together have seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Answers that were asked for.
    pub(crate) requests: u64,
    /// Of these, streams that were read to their end.
    pub(crate) streams: u64,
    /// Of these, token counts.
    pub(crate) counts: u64,
    /// Of these, what was not as it should be.
    pub(crate) failures: u64,
    /// How the first of them looked.
    pub(crate) failure: Option<String>,
    /// Of these, what has not ended yet.
    pub(crate) open: u64,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    leaving: AtomicBool,
}

/// One of them.
#[derive(Clone)]
struct Client {
    transport: Transport,
    origin: Origin,
    shared: Arc<Shared>,
}

/// What a client should not see.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("no answer")]
    Unanswered(#[from] SendError),
    #[error("refused with {0}: {1}")]
    Refused(StatusCode, String),
    #[error("the answer broke off")]
    Cut(#[source] Box<dyn Error + Send + Sync>),
    #[error("the stream ended without `message_stop`")]
    Unfinished,
    #[error("an error in the stream: {0}")]
    Event(String),
    #[error("the answer is not what it should be")]
    Garbled(#[from] serde_json::Error),
}

/// A message on its way in.
#[derive(Default)]
struct Message {
    blocks: Vec<Value>,
    /// The input of a tool, so far.
    input: String,
    whole: bool,
}

impl Crowd {
    /// Begins to talk to whoever is at `origin`.
    pub(crate) fn gather(transport: &Transport, origin: &Origin) -> Self {
        let shared = Arc::<Shared>::default();
        let mut clients = JoinSet::new();
        for place in 0..CLIENTS {
            let client =
                Client { transport: transport.clone(), origin: origin.clone(), shared: Arc::clone(&shared) };
            clients.spawn(client.talk(place));
        }
        Self { clients, shared }
    }

    /// Nobody asks anything any more. What has been asked is still listened to.
    pub(crate) fn hush(&self) {
        self.shared.leaving.store(true, Ordering::Relaxed);
    }

    /// Waits until everybody has left.
    pub(crate) async fn gone(&mut self) {
        while let Some(left) = self.clients.join_next().await {
            if let Err(panic) = left {
                self.shared.seen().fail(&panic);
            }
        }
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> Seen {
        self.shared.seen().clone()
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Numbers are at worst one off after a panic.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// The status that the program ends with after this.
    pub(crate) const fn exit(&self) -> Exit {
        if self.failures == 0 { Exit::Done } else { Exit::Failed }
    }

    fn begin(&mut self) {
        self.requests += 1;
        self.open += 1;
    }

    fn fail(&mut self, error: &dyn Error) {
        self.failures += 1;
        self.failure.get_or_insert_with(|| relay_telemetry::chain(error));
    }
}

impl Client {
    async fn talk(self, place: usize) {
        tokio::time::sleep(STAGGER * u32::try_from(place).unwrap_or(u32::MAX)).await;
        for number in (place..).step_by(CLIENTS) {
            if self.leaves() {
                return;
            }
            self.converse(number).await;
        }
    }

    /// One conversation, up to its end or its first error.
    async fn converse(&self, number: usize) {
        let mut conversation = Conversation::new(number);
        while !self.leaves() && conversation.advance() {
            if conversation.is_new() {
                self.note(self.count(conversation.count()).await, |seen| seen.counts += 1);
            }
            let heard = self.note(self.listen(conversation.request()).await, |seen| seen.streams += 1);
            tokio::time::sleep(TOOLS_RUN).await;
            match heard {
                Some(blocks) => conversation.hear(blocks),
                None => return,
            }
        }
    }

    fn leaves(&self) -> bool {
        self.shared.leaving.load(Ordering::Relaxed)
    }

    /// Counts what came of a request.
    fn note<T>(&self, heard: Result<T, Failed>, count: impl FnOnce(&mut Seen)) -> Option<T> {
        let mut seen = self.shared.seen();
        seen.open -= 1;
        match heard {
            Ok(heard) => {
                count(&mut seen);
                Some(heard)
            }
            Err(failed) => {
                seen.fail(&failed);
                None
            }
        }
    }

    /// Sends a request, and takes the answer if it is a good one.
    async fn ask(&self, path: &str, body: Bytes) -> Result<Incoming, Failed> {
        self.shared.seen().begin();
        let request = Request::post(path)
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("user-agent", concat!("cc-relay-demo/", env!("CARGO_PKG_VERSION")))
            .header("anthropic-version", "2023-06-01")
            .header("authorization", format!("Bearer {PLACEHOLDER}"))
            .body(RequestBody::from(body))
            .expect("path and headers are constants and correct");
        let answer = self.transport.send(&self.origin, request.into(), DEADLINES).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let words = whole(answer.body).await?;
        Err(Failed::Refused(answer.status, String::from_utf8_lossy(&words).into_owned()))
    }

    async fn count(&self, body: Bytes) -> Result<u64, Failed> {
        #[derive(serde::Deserialize)]
        struct Counted {
            input_tokens: u64,
        }
        let answer = self.ask("/v1/messages/count_tokens?beta=true", body).await?;
        let counted: Counted = serde_json::from_slice(&whole(answer).await?)?;
        Ok(counted.input_tokens)
    }

    /// The blocks of an answer that comes as a stream.
    async fn listen(&self, body: Bytes) -> Result<Vec<Value>, Failed> {
        let mut stream = self.ask("/v1/messages?beta=true", body).await?;
        let (mut reader, mut message) = (Reader::default(), Message::default());
        while let Some(frame) = stream.frame().await {
            let frame = frame.map_err(|error| Failed::Cut(error.into()))?;
            let mut taken = Ok(());
            reader.feed(frame.data_ref().map_or(&[], AsRef::as_ref), |event| {
                if taken.is_ok() {
                    taken = message.take(event.text().unwrap_or_default());
                }
            });
            taken?;
        }
        if message.whole { Ok(message.blocks) } else { Err(Failed::Unfinished) }
    }
}

impl Message {
    /// Takes in the next event.
    fn take(&mut self, event: &[u8]) -> Result<(), Failed> {
        let mut event: Value = serde_json::from_slice(event)?;
        let kind = event["type"].as_str().unwrap_or_default();
        match (kind, self.blocks.last_mut()) {
            ("content_block_start", _) => {
                self.input.clear();
                self.blocks.push(event["content_block"].take());
            }
            ("content_block_delta", Some(block)) => {
                let delta = &event["delta"];
                self.input.push_str(delta["partial_json"].as_str().unwrap_or_default());
                for field in ["text", "thinking", "signature"] {
                    if let (Some(piece), Value::String(whole)) = (delta[field].as_str(), &mut block[field]) {
                        whole.push_str(piece);
                    }
                }
            }
            ("content_block_stop", Some(block)) if !self.input.is_empty() => {
                block["input"] = serde_json::from_str(&self.input)?;
            }
            ("message_stop", _) => self.whole = true,
            ("error", _) => return Err(Failed::Event(event["error"].to_string())),
            _ => {}
        }
        Ok(())
    }
}

async fn whole(body: Incoming) -> Result<Bytes, Failed> {
    Ok(Limited::new(body, MOST).collect().await.map_err(Failed::Cut)?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::reach;
    use crate::environment::Environment;
    use relay_sim::{Answers, Break, Fault, Kind, Lasting, Organization, Refusal, Script, Settings, Sim};
    use tokio::net::TcpListener;

    /// A client of a provider that is well, which runs as long as the set is kept.
    async fn client() -> (Client, Sim, JoinSet<()>) {
        let organizations = vec![Organization::open("one", &[("only", PLACEHOLDER)])];
        let provider = Sim::new(Settings { organizations, ..Settings::default() });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = Origin::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (served, mut serving) = (provider.clone(), JoinSet::new());
        serving.spawn(async move { served.listen(listener, std::future::pending()).await });
        let transport = reach::transport(&Environment::new([])).unwrap();
        (Client { transport, origin, shared: Arc::default() }, provider, serving)
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_conversation_is_found_good_by_the_provider() {
        let (client, provider, _serving) = client().await;
        client.converse(5).await;
        let seen = client.shared.seen().clone();
        assert_eq!((seen.requests, seen.streams, seen.counts, seen.open), (7, 6, 1, 0));
        assert_eq!((seen.exit(), seen.failures, seen.failure), (Exit::Done, 0, None));
        let records = provider.seen();
        assert!(records.iter().all(|record| record.thinking_dropped == 0), "its thoughts came back");
        let last = records.last().unwrap();
        let body = String::from_utf8_lossy(last.body.as_deref().unwrap());
        assert_eq!(body.matches(r#""type":"tool_result""#).count(), 5, "two tools at once, and three");
        assert!(last.usage.cache_read > 10_000 && last.usage.output > 300, "{:?}", last.usage);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_asks_nothing_any_more() {
        let (client, provider, _serving) = client().await;
        client.shared.leaving.store(true, Ordering::Relaxed);
        client.talk(1).await;
        assert!(provider.seen().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_a_client_should_not_see_is_an_error_that_it_saw() {
        let (client, provider, _serving) = client().await;
        let overloaded = || Refusal::new(Kind::Overloaded, "Overloaded");
        let broken = |how| Fault::Break { after: 4, how };
        let table = [
            (Fault::Refuse(overloaded()), "refused with 529"),
            (Fault::Reset, "no answer: "),
            (broken(Break::Close), "the answer broke off: "),
            (broken(Break::End), "the stream ended without `message_stop`"),
            (broken(Break::Error(overloaded())), "an error in the stream: "),
            (broken(Break::Garbage), "the answer is not what it should be: "),
        ];
        for (place, (fault, expect)) in table.into_iter().enumerate() {
            provider.forget_scripts();
            provider.script(Script::new(fault).for_answers(Answers::Streamed).lasting(Lasting::Ever));
            client.shared.seen().failure = None;
            client.converse(place).await;
            let seen = client.shared.seen().clone();
            assert_eq!(seen.exit(), Exit::Failed);
            let failure = seen.failure.unwrap_or_default();
            assert!(failure.starts_with(expect), "`{failure}` is not `{expect}`");
            let n = place as u64 + 1;
            assert_eq!((seen.requests, seen.counts, seen.streams), (2 * n, n, 0));
            assert_eq!((seen.failures, seen.open), (n, 0));
        }
    }
}
