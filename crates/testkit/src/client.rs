//! A client of the relay: one HTTP/1.1 or HTTP/2 connection over a pipe, driven by the test.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::time::Instant;

/// A connection to the relay.
pub struct Client {
    sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its pieces, each with the time since the request at which it came.
    pub pieces: Vec<(Duration, Bytes)>,
    /// Did the body end as it should?
    pub end: End,
}

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It was whole.
    Whole,
    /// The connection was cut.
    Cut,
}

/// An answer whose body still flows.
pub struct Flowing {
    /// Its head.
    pub head: http::response::Parts,
    body: Incoming,
    since: Instant,
}

impl Client {
    /// A client at the other end of a pipe.
    pub async fn new(io: DuplexStream) -> Self {
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
            .await
            .expect("a pipe has no handshake that fails");
        #[expect(clippy::disallowed_methods, reason = "a test's own connection ends with the test")]
        drop(tokio::spawn(async move {
            // A relay that cuts a connection is part of many stories; the body tells.
            let _ = connection.await;
        }));
        Self { sender }
    }

    /// Sends a request and takes the head of the answer.
    pub async fn begin(&mut self, request: Request<Bytes>) -> Option<Flowing> {
        let since = Instant::now();
        self.sender.ready().await.ok()?;
        let response: Response<Incoming> = self.sender.send_request(request.map(Full::new)).await.ok()?;
        let (head, body) = response.into_parts();
        Some(Flowing { head, body, since })
    }

    /// Sends a request and takes the whole answer.
    pub async fn send(&mut self, request: Request<Bytes>) -> Answer {
        self.begin(request).await.expect("the relay always gives a head").whole().await
    }
}

impl Flowing {
    /// The next piece of the body; none at its end, an error if it was cut.
    pub async fn next(&mut self) -> Option<Result<Bytes, ()>> {
        loop {
            match self.body.frame().await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Err(_) => return Some(Err(())),
            }
        }
    }

    /// The rest of the body.
    pub async fn whole(mut self) -> Answer {
        let mut pieces = Vec::new();
        let end = loop {
            match self.next().await {
                Some(Ok(piece)) => pieces.push((self.since.elapsed(), piece)),
                Some(Err(())) => break End::Cut,
                None => break End::Whole,
            }
        };
        Answer { status: self.head.status, headers: self.head.headers, pieces, end }
    }
}

impl Answer {
    /// The whole body.
    pub fn body(&self) -> Bytes {
        self.pieces.iter().flat_map(|(_, piece)| piece.iter().copied()).collect()
    }

    /// The whole body as text.
    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body()).into_owned()
    }

    /// What the model said: the text of a message, or of a stream's deltas.
    pub fn text(&self) -> String {
        let body = self.body_text();
        let mut said = String::new();
        for piece in body.split("\"text\":\"").skip(1) {
            said.push_str(piece.split('"').next().unwrap_or_default());
        }
        said
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
