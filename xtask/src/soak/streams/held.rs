//! Many streams on few connections. Knows how to open them over HTTP/2 and how a whole stream
//! ends; refuses to know who serves them.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::bench::contestant::CLIENT_KEY;
use crate::bench::upstream::{REPLY_HEADER, Reply};
use crate::failure::Failure;

/// Streams on one connection: as many as every server should allow (RFC 9113, section 6.5.2).
const PER_CONNECTION: usize = 100;
/// How long opening all, or ending all, may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// The event with which a stream of the Messages API ends, and only a whole one.
const LAST_EVENT: &[u8] = b"event: message_stop";

const BODY: &str = r#"{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"wait"}],"max_tokens":16,"stream":true}"#;

/// Streams that are open.
pub(super) struct Streams {
    connections: JoinSet<Result<(), hyper::Error>>,
    /// One task for each connection, which ends with how many of its streams were whole.
    streams: JoinSet<Result<usize, Failure>>,
}

/// Looks for the last event, however the stream is cut.
#[derive(Debug, Default)]
struct Ending {
    recent: Vec<u8>,
    found: bool,
}

impl Streams {
    /// Opens so many streams, and waits until each has brought its first bytes.
    pub(super) async fn open(address: SocketAddr, n_streams: usize) -> Result<Self, Failure> {
        let mut open = Self { connections: JoinSet::new(), streams: JoinSet::new() };
        // Each stream holds a sender until its first bytes are there, or never will be.
        let (opened, mut counter) = mpsc::channel(n_streams);
        let mut n_left = n_streams;
        while n_left > 0 {
            let n = n_left.min(PER_CONNECTION);
            n_left -= n;
            let sender = open.connect(address).await?;
            open.streams.spawn(hold_all(sender, n, opened.clone()));
        }
        drop(opened);
        let count = async {
            let mut n_open = 0;
            while counter.recv().await.is_some() {
                n_open += 1;
            }
            n_open
        };
        let n_open =
            tokio::time::timeout(PATIENCE, count).await.map_err(|_| late("not all streams were opened"))?;
        if n_open == n_streams {
            return Ok(open);
        }
        // Whichever failed says why.
        open.end().await?;
        Err(late(&format!("{n_open} of {n_streams} streams were opened")))
    }

    /// Waits until all streams have ended, and says how many were whole.
    pub(super) async fn end(mut self) -> Result<usize, Failure> {
        let join = async {
            let mut n_whole = 0;
            while let Some(connection) = self.streams.join_next().await {
                n_whole += connection.expect("a client does not panic, and nobody aborts it")?;
            }
            Ok(n_whole)
        };
        tokio::time::timeout(PATIENCE, join).await.map_err(|_| late("not all streams ended"))?
    }

    async fn connect(&mut self, address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let stream = TcpStream::connect(address).await.map_err(Failure::connection("connecting"))?;
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, connection) = handshake
            .map_err(|source| Failure::Exchange { doing: "greeting the relay over HTTP/2", source })?;
        self.connections.spawn(connection);
        Ok(sender)
    }
}

/// Opens the streams of one connection one after another, then holds all until they end.
async fn hold_all(
    mut sender: SendRequest<Full<Bytes>>,
    n_streams: usize,
    opened: mpsc::Sender<()>,
) -> Result<usize, Failure> {
    let doing = |source| Failure::Exchange { doing: "opening a stream", source };
    let mut held = JoinSet::new();
    for _ in 0..n_streams {
        sender.ready().await.map_err(doing)?;
        let response = sender.send_request(request()).await.map_err(doing)?;
        if response.status() != hyper::StatusCode::OK {
            return Err(late(&format!("a stream was refused with {}", response.status())));
        }
        held.spawn(hold(response.into_body(), opened.clone()));
    }
    drop(opened);
    let mut n_whole = 0;
    while let Some(whole) = held.join_next().await {
        n_whole += usize::from(whole.expect("a client does not panic, and nobody aborts it"));
    }
    Ok(n_whole)
}

/// Reads a stream to its end, and says whether it was whole. One that is cut is a loss to be
/// counted, not an error of ours.
async fn hold(mut body: Incoming, opened: mpsc::Sender<()>) -> bool {
    let (mut ending, mut opened) = (Ending::default(), Some(opened));
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        if let Some(bytes) = frame.data_ref() {
            if let Some(opened) = opened.take() {
                // The counter may have lost patience; the stream is read to its end all the same.
                let _counted = opened.send(()).await;
            }
            ending.read(bytes);
        }
    }
    ending.found
}

fn request() -> Request<Full<Bytes>> {
    let request = Request::post("http://bench/v1/messages")
        .header("content-type", "application/json")
        .header("anthropic-version", "2023-06-01")
        .header("x-api-key", CLIENT_KEY)
        .header(REPLY_HEADER, Reply::Held.name())
        .body(Full::new(Bytes::from_static(BODY.as_bytes())));
    request.expect("all parts are constants")
}

fn late(problem: &str) -> Failure {
    Failure::Measurement { doing: "holding streams".to_owned(), problem: problem.to_owned() }
}

impl Ending {
    fn read(&mut self, bytes: &[u8]) {
        self.recent.extend_from_slice(bytes);
        self.found |= self.recent.windows(LAST_EVENT.len()).any(|window| window == LAST_EVENT);
        let n_old = self.recent.len().saturating_sub(LAST_EVENT.len() - 1);
        self.recent.drain(..n_old);
        // Thousands of these are held at once.
        self.recent.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_is_found_however_the_stream_is_cut() {
        let text = b"event: ping\ndata: {}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        for piece in 1..=text.len() {
            let mut ending = Ending::default();
            text.chunks(piece).for_each(|bytes| ending.read(bytes));
            assert!(ending.found, "{piece}");
        }
    }

    #[test]
    fn a_stream_that_was_cut_has_no_last_event() {
        let mut ending = Ending::default();
        ending.read(b"event: ping\ndata: {}\n\nevent: message_sto");
        assert!(!ending.found);
        assert!(ending.recent.len() < LAST_EVENT.len());
    }
}
