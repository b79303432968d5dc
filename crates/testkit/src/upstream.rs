//! A scripted upstream: it speaks just enough HTTP/1.1 to take a request, and answers with exactly the
//! bytes, pauses and cuts that it was told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What an upstream does about one request.
#[derive(Clone, Debug)]
pub struct Reply(pub Vec<Step>);

/// One thing that an upstream does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Send(Bytes),
    /// Waits.
    Pause(Duration),
    /// Closes the connection, whatever was promised.
    Cut,
    /// Does nothing more until the relay closes the connection.
    Hang,
}

/// A request as an upstream saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method, path and query, as they came.
    pub line: String,
    /// The headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, whole.
    pub body: Bytes,
    /// When it was there.
    pub at: Instant,
}

impl Seen {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An upstream with its script.
#[derive(Debug)]
pub struct Upstream {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    script: VecDeque<Reply>,
    seen: Vec<Seen>,
    connections: usize,
    cancelled: usize,
    sent: usize,
}

impl Upstream {
    /// It answers with these replies in turn; the last of them for ever.
    pub fn new(script: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        let script = script.into_iter().collect();
        let state = State { script, seen: Vec::new(), connections: 0, cancelled: 0, sent: 0 };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new() })
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    /// How many bytes of its answers the relay has taken, all told, and what the pipe holds.
    pub fn sent(&self) -> usize {
        self.lock().sent
    }

    /// Waits until the relay has closed a connection while an answer was still due on it.
    pub async fn cancelled(&self) {
        loop {
            let changed = self.changed.notified();
            if self.lock().cancelled > 0 {
                return;
            }
            changed.await;
        }
    }

    /// Waits until it has seen that many requests.
    pub async fn requests(&self, count: usize) {
        loop {
            let changed = self.changed.notified();
            if self.lock().seen.len() >= count {
                return;
            }
            changed.await;
        }
    }

    /// Serves all connections that come to a socket, for real clients.
    pub async fn listen(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        while let Ok((io, _)) = listener.accept().await {
            connections.spawn(Arc::clone(&self).serve(io));
        }
    }

    /// Serves one connection until it ends.
    pub(crate) async fn serve(self: Arc<Self>, mut io: impl Io) {
        self.lock().connections += 1;
        let mut buffer = Vec::new();
        while let Some(seen) = read_request(&mut io, &mut buffer).await {
            let reply = {
                let mut state = self.lock();
                state.seen.push(seen);
                let last = state.script.len() <= 1;
                if last { state.script.front().cloned() } else { state.script.pop_front() }
            };
            self.changed.notify_waiters();
            let Some(reply) = reply else { return };
            match self.perform(&mut io, &reply).await {
                Performed::Whole => {}
                Performed::Closed => return,
                Performed::Cancelled => {
                    self.lock().cancelled += 1;
                    self.changed.notify_waiters();
                    return;
                }
            }
        }
    }

    async fn perform(&self, io: &mut impl Io, reply: &Reply) -> Performed {
        for step in &reply.0 {
            let (mut read, mut write) = tokio::io::split(&mut *io);
            let mut byte = [0];
            match step {
                Step::Send(bytes) => {
                    let mut left = &bytes[..];
                    while !left.is_empty() {
                        let count = tokio::select! {
                            sent = write.write(left) => sent.unwrap_or_default(),
                            _ = read.read(&mut byte) => 0,
                        };
                        if count == 0 {
                            return Performed::Cancelled;
                        }
                        self.lock().sent += count;
                        left = &left[count..];
                    }
                }
                Step::Pause(pause) => {
                    tokio::select! {
                        () = tokio::time::sleep(*pause) => {}
                        _ = read.read(&mut byte) => return Performed::Cancelled,
                    }
                }
                Step::Cut => return Performed::Closed,
                Step::Hang => {
                    let _ = read.read(&mut byte).await;
                    return Performed::Cancelled;
                }
            }
        }
        Performed::Whole
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pipe, or a socket.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

enum Performed {
    Whole,
    /// By the script.
    Closed,
    /// By the relay.
    Cancelled,
}

/// The next request; none when the connection has ended.
async fn read_request(io: &mut impl Io, buffer: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        fill(io, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end);
    let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let body = if header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        read_chunks(io, buffer).await?
    } else {
        let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while buffer.len() < length {
            fill(io, buffer).await?;
        }
        buffer.drain(..length).collect()
    };
    Some(Seen { line, headers, body: body.into(), at: Instant::now() })
}

async fn read_chunks(io: &mut impl Io, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = find(buffer, b"\r\n") {
                break at;
            }
            fill(io, buffer).await?;
        };
        let size = usize::from_str_radix(std::str::from_utf8(&buffer[..end]).ok()?.trim(), 16).ok()?;
        while buffer.len() < end + 2 + size + 2 {
            fill(io, buffer).await?;
        }
        body.extend_from_slice(&buffer[end + 2..end + 2 + size]);
        buffer.drain(..end + 2 + size + 2);
        if size == 0 {
            return Some(body);
        }
    }
}

async fn fill(io: &mut impl Io, buffer: &mut Vec<u8>) -> Option<()> {
    let count = io.read_buf(buffer).await.ok()?;
    (count > 0).then_some(())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
