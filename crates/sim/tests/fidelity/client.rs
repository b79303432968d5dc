//! A client over a pipe: it sends one request to a simulator and tells what came back, and when.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use relay_sim::{Record, Sim};
use serde_json::{Value, json};
use tokio::{io::duplex, join, time::Instant};

/// The key of `Settings::default()`.
pub(crate) const KEY: &str = "sk-ant-api03-sim";

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// When each frame of the body came, since the request was sent.
    pub(crate) times: Vec<Duration>,
    /// Whether the body ended as it should.
    pub(crate) whole: bool,
}

/// How much of an answer the client waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// All of it.
    Endless,
    /// So many frames; then it leaves.
    Frames(usize),
    /// So long; then it leaves.
    For(Duration),
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The names and data of all events.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        let text = std::str::from_utf8(&self.body).expect("the body is text");
        text.split_terminator("\n\n")
            .map(|event| {
                let (name, data) = event.split_once('\n').expect("two lines");
                let name = name.strip_prefix("event: ").expect("an `event:` line");
                let data = data.strip_prefix("data: ").expect("a `data:` line");
                (name.to_owned(), serde_json::from_str(data).expect("the data is JSON"))
            })
            .collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.events().into_iter().map(|(name, _)| name).collect()
    }

    /// `error.type` and `error.message`.
    pub(crate) fn error(&self) -> (String, String) {
        let body = self.json();
        assert_eq!(body["type"], "error");
        assert_eq!(body["request_id"].as_str(), self.header("request-id"));
        let field = |name: &str| body["error"][name].as_str().expect("a string").to_owned();
        (field("type"), field("message"))
    }
}

/// A request as a client sends it, with a key.
pub(crate) fn request(method: Method, path: &str, key: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "sim.test")
        .header("x-api-key", key)
        .header("anthropic-version", "2023-06-01")
        .body(Full::new(body))
        .expect("a good request")
}

/// A call for a message of this user, with these fields besides.
pub(crate) fn call(text: &str, fields: &Value) -> Bytes {
    let mut body = json!({
        "model": "claude-opus-5-5",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": text}],
    });
    for (name, value) in fields.as_object().expect("an object") {
        body[name] = value.clone();
    }
    Bytes::from(body.to_string())
}

/// A whole message for this user.
pub(crate) async fn ask(sim: &Sim, key: &str, text: &str) -> Reply {
    post(sim, key, "/v1/messages", call(text, &json!({}))).await
}

/// A streamed message for this user.
pub(crate) async fn stream(sim: &Sim, text: &str) -> Reply {
    post(sim, KEY, "/v1/messages?beta=true", call(text, &json!({"stream": true}))).await
}

pub(crate) async fn post(sim: &Sim, key: &str, path: &str, body: Bytes) -> Reply {
    send(sim, request(Method::POST, path, key, body)).await
}

pub(crate) async fn get(sim: &Sim, key: &str, path: &str) -> Reply {
    send(sim, request(Method::GET, path, key, Bytes::new())).await
}

/// Sends a request on a new connection and waits for the whole answer.
pub(crate) async fn send(sim: &Sim, request: Request<Full<Bytes>>) -> Reply {
    try_send(sim, request, Patience::Endless).await.expect("there is an answer")
}

/// The same, for as long as the client has patience; nothing if no head came.
pub(crate) async fn try_send(sim: &Sim, request: Request<Full<Bytes>>, patience: Patience) -> Option<Reply> {
    let (near, far) = duplex(64 * 1024);
    let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await.expect("a pipe is open");
    let exchange = async move {
        let answer = receive(sender.send_request(request), patience);
        match patience {
            Patience::For(duration) => tokio::time::timeout(duration, answer).await.ok().flatten(),
            _ => answer.await,
        }
    };
    let (reply, (), _) = join!(exchange, sim.serve(far), connection);
    reply
}

/// The same over HTTP/2 with prior knowledge.
pub(crate) async fn send_h2(sim: &Sim, request: Request<Full<Bytes>>) -> Reply {
    let (near, far) = duplex(64 * 1024);
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(near));
    let exchange = async move {
        let (mut sender, connection) = handshake.await.expect("a pipe is open");
        let exchange = async move { receive(sender.send_request(request), Patience::Endless).await };
        let (reply, _) = join!(exchange, connection);
        reply
    };
    let (reply, ()) = join!(exchange, sim.serve(far));
    reply.expect("there is an answer")
}

async fn receive(
    answer: impl Future<Output = hyper::Result<http::Response<hyper::body::Incoming>>>,
    patience: Patience,
) -> Option<Reply> {
    let sent = Instant::now();
    let (head, mut body) = answer.await.ok()?.into_parts();
    let mut reply = Reply {
        status: head.status,
        headers: head.headers,
        body: Vec::new(),
        times: Vec::new(),
        whole: true,
    };
    while patience != Patience::Frames(reply.times.len()) {
        match body.frame().await {
            Some(Ok(frame)) => {
                reply.body.extend_from_slice(&frame.into_data().expect("only data"));
                reply.times.push(sent.elapsed());
            }
            Some(Err(_)) => {
                reply.whole = false;
                break;
            }
            None => break,
        }
    }
    Some(reply)
}

/// The only record there is.
pub(crate) fn only_record(sim: &Sim) -> Record {
    let mut seen = sim.seen();
    assert_eq!(seen.len(), 1);
    seen.remove(0)
}
