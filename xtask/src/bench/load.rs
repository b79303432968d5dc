//! The load: clients that ask again as soon as they were answered. Knows how to ask over a bare
//! socket, because the client shares the machine with what it measures; refuses to know what
//! stands at the other end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::bench::answer::Answer;
use crate::bench::contestant::CLIENT_KEY;
use crate::bench::measure::Usage;
use crate::bench::upstream::{REPLY_HEADER, Reply};
use crate::clock;
use crate::failure::Failure;

/// Runs before the measuring, so that connections stand and caches are warm.
const WARM_UP: Duration = Duration::from_millis(300);
/// As much as is read from a socket at once.
const READ_SIZE: usize = 64 * 1024;

/// What is asked, of whom, and by how many at once.
#[derive(Debug)]
pub(super) struct Load {
    address: SocketAddr,
    request: Arc<[u8]>,
    /// Each answer must be this long, or something was lost on the way.
    body_length: Option<usize>,
    n_connections: usize,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Measured {
    /// How long the measured interval was.
    pub(super) time: Duration,
    /// How long each request took which ended in it, sorted.
    pub(super) latencies: Vec<Duration>,
    /// What the proxy's processes used in it, and their memory at its end.
    pub(super) cpu: Option<Duration>,
    pub(super) resident: Option<u64>,
}

/// One answered request.
struct Sample {
    ended: Instant,
    took: Duration,
}

/// One client: a connection and what is read from it.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Load {
    pub(super) fn new(address: SocketAddr, reply: Reply, body: usize, n_connections: usize) -> Self {
        Self {
            address,
            request: request(reply, body).into(),
            body_length: reply.body_length(),
            n_connections,
        }
    }

    /// Runs for a while, and asks `usage` at its beginning and at its end.
    pub(super) async fn run(
        &self,
        time: Duration,
        usage: impl Fn() -> Result<Option<Usage>, Failure>,
    ) -> Result<Measured, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for _ in 0..self.n_connections {
            let connection = Connection::open(self.address).await?;
            clients.spawn(ask_until(
                connection,
                Arc::clone(&self.request),
                self.body_length,
                Arc::clone(&stop),
            ));
        }
        tokio::time::sleep(WARM_UP).await;
        let (begun, before) = (clock::now(), usage()?);
        tokio::time::sleep(time).await;
        let (ended, after) = (clock::now(), usage()?);
        stop.store(true, Ordering::Relaxed);
        let mut latencies = Vec::new();
        while let Some(samples) = clients.join_next().await {
            let samples = samples.expect("a client does not panic, and nobody aborts it")?;
            let inside = samples.iter().filter(|sample| (begun..ended).contains(&sample.ended));
            latencies.extend(inside.map(|sample| sample.took));
        }
        latencies.sort_unstable();
        let cpu = before.zip(after).map(|(before, after)| after - before);
        Ok(Measured { time: ended - begun, latencies, cpu, resident: after.map(|usage| usage.resident) })
    }
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let doing = || Failure::connection("connecting");
        let stream = TcpStream::connect(address).await.map_err(doing())?;
        stream.set_nodelay(true).map_err(doing())?;
        Ok(Self { stream, buffer: vec![0; READ_SIZE] })
    }

    /// Asks once, hands the answer's body on as it comes, and gives its length.
    pub(super) async fn ask(
        &mut self,
        request: &[u8],
        body: &mut impl FnMut(&[u8]),
    ) -> Result<usize, Failure> {
        self.stream.write_all(request).await.map_err(Failure::connection("writing a request"))?;
        let mut answer = Answer::new();
        while !answer.is_done() {
            let n =
                self.stream.read(&mut self.buffer).await.map_err(Failure::connection("reading an answer"))?;
            if n == 0 {
                return Err(broken("the connection was closed before the answer's end".to_owned()));
            }
            answer.read(&self.buffer[..n], body).map_err(|error| broken(error.to_string()))?;
        }
        Ok(answer.n_bytes)
    }
}

async fn ask_until(
    mut connection: Connection,
    request: Arc<[u8]>,
    body_length: Option<usize>,
    stop: Arc<AtomicBool>,
) -> Result<Vec<Sample>, Failure> {
    let mut samples = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = clock::now();
        let n_bytes = connection.ask(&request, &mut |_| {}).await?;
        let ended = clock::now();
        if body_length.is_some_and(|expected| expected != n_bytes) {
            return Err(broken(format!("an answer had {n_bytes} bytes instead of {body_length:?}")));
        }
        samples.push(Sample { ended, took: ended - begun });
    }
    Ok(samples)
}

fn broken(problem: String) -> Failure {
    Failure::Measurement { doing: "asking".to_owned(), problem }
}

/// A request as an SDK sends it, with a body of this many bytes.
pub(super) fn request(reply: Reply, body: usize) -> Vec<u8> {
    let stream = reply.is_stream();
    let opening = r#"{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":""#;
    let closing = format!(r#""}}],"max_tokens":1024,"stream":{stream}}}"#);
    let words = "the quick brown fox jumps over the lazy dog ";
    let n_filler = body.saturating_sub(opening.len() + closing.len());
    let filler: String = words.chars().cycle().take(n_filler).collect();
    let body = format!("{opening}{filler}{closing}");
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\naccept: application/json\r\nuser-agent: bench\r\n\
        anthropic-version: 2023-06-01\r\nx-api-key: {CLIENT_KEY}\r\n{REPLY_HEADER}: {}\r\ncontent-length: {}\r\n\r\n",
        reply.name(),
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_body_of_the_asked_size_that_is_json() {
        for size in [2048, 20_480, 1_048_576] {
            let bytes = request(Reply::Burst, size);
            let text = std::str::from_utf8(&bytes).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(body.len(), size);
            assert!(head.ends_with(&format!("content-length: {size}")), "{head}");
            let value: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(value["stream"], true);
        }
    }
}
