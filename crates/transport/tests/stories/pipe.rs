//! A network of pipes in memory: each connection the transport opens comes out here, to be
//! played by hand, byte by byte.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use relay_transport::{
    BodyError, Connected, Deadlines, Dial, Dialing, Incoming, Origin, RequestBody, SendError, Settings,
    Spawner, Timing, Transport, tls,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::Handle,
    sync::mpsc,
};

/// The transport's side of the network.
pub(crate) struct Pipes {
    peers: mpsc::Sender<Peer>,
    size: usize,
}

/// The upstream's side: connections in the order in which they were opened.
pub(crate) struct Upstream(mpsc::Receiver<Peer>);

/// One connection, held by the upstream.
pub(crate) struct Peer {
    pub(crate) io: DuplexStream,
    pub(crate) origin: Origin,
    inbox: Vec<u8>,
}

impl Dial for Pipes {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(self.size);
            let peer = Peer { io: theirs, origin: origin.clone(), inbox: Vec::new() };
            self.peers.send(peer).await.expect("the upstream outlives its clients");
            Ok(Connected { io: Box::new(ours), timing: Timing::default() })
        })
    }
}

impl Upstream {
    pub(crate) async fn accept(&mut self) -> Peer {
        self.0.recv().await.expect("the transport outlives the test")
    }

    /// Whether no further connection was opened.
    pub(crate) fn is_left_alone(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

impl Peer {
    /// Reads one request with a `content-length` or without a body: its head and its body.
    pub(crate) async fn request(&mut self) -> (String, Vec<u8>) {
        let end = loop {
            if let Some(at) = self.inbox.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert_ne!(self.fill().await, 0, "the connection ended before a request");
        };
        let head = String::from_utf8(self.inbox.drain(..end).collect()).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        while self.inbox.len() < length {
            assert_ne!(self.fill().await, 0, "the connection ended in a body");
        }
        (head, self.inbox.drain(..length).collect())
    }

    /// Reads until `wanted` has come, whatever it is part of.
    pub(crate) async fn read_until(&mut self, wanted: &[u8]) {
        while !self.inbox.windows(wanted.len()).any(|window| window == wanted) {
            assert_ne!(self.fill().await, 0, "the connection ended");
        }
    }

    /// Writes; a client that has left is no error here.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.io.write_all(bytes.as_ref()).await;
    }

    /// Answers one request.
    pub(crate) async fn answer(&mut self, response: impl AsRef<[u8]>) -> (String, Vec<u8>) {
        let request = self.request().await;
        self.write(response).await;
        request
    }

    /// Waits until the client closes, and returns what it sent before.
    pub(crate) async fn closed(&mut self) -> Vec<u8> {
        while self.fill().await != 0 {}
        std::mem::take(&mut self.inbox)
    }

    async fn fill(&mut self) -> usize {
        self.io.read_buf(&mut self.inbox).await.unwrap_or(0)
    }
}

/// A transport over pipes of the usual size.
pub(crate) fn pipes() -> (Transport, Upstream) {
    pipes_with(64 * 1024, |_| {})
}

/// A transport over pipes that hold `size` bytes in each direction.
pub(crate) fn pipes_with(size: usize, change: impl FnOnce(&mut Settings)) -> (Transport, Upstream) {
    let (peers, upstream) = mpsc::channel(64);
    let mut settings = settings();
    change(&mut settings);
    (Transport::new(settings, Arc::new(Pipes { peers, size })), Upstream(upstream))
}

/// Settings whose tasks run on this test's runtime.
pub(crate) fn settings() -> Settings {
    let runtime = Handle::current();
    let spawner = Spawner::new(move |_, task| drop(runtime.spawn(task)));
    Settings::new(spawner, tls::client(tls::Roots::Bundled).unwrap())
}

pub(crate) const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_secs(10),
    first_byte: Duration::from_mins(10),
    idle: Duration::from_mins(5),
};

pub(crate) fn origin() -> Origin {
    Origin::parse("http://upstream.test").unwrap()
}

pub(crate) fn post(body: impl Into<RequestBody>) -> Request<RequestBody> {
    Request::post("/v1/messages?beta=true").header("x-api-key", "k").body(body.into()).unwrap()
}

pub(crate) fn hello() -> Request<RequestBody> {
    post(Bytes::from_static(b"hello"))
}

/// A transport that speaks in the types of `http`, as tests do.
pub(crate) trait Ask {
    async fn ask(
        &self,
        origin: &Origin,
        request: Request<RequestBody>,
        deadlines: Deadlines,
    ) -> Result<Response<Incoming>, SendError>;
}

impl Ask for Transport {
    async fn ask(
        &self,
        origin: &Origin,
        request: Request<RequestBody>,
        deadlines: Deadlines,
    ) -> Result<Response<Incoming>, SendError> {
        self.send(origin, request.into(), deadlines).await.map(Response::from)
    }
}

/// Sends a request to the upstream of the pipes.
pub(crate) async fn send(
    transport: &Transport,
    request: Request<RequestBody>,
) -> Result<Response<Incoming>, SendError> {
    transport.ask(&origin(), request, DEADLINES).await
}

/// The whole body of a response, and its trailers.
pub(crate) async fn text(response: Response<Incoming>) -> Result<String, BodyError> {
    let collected = response.into_body().collect().await?;
    let mut text = String::from_utf8(collected.trailers().map_or_else(Vec::new, |trailers| {
        trailers
            .iter()
            .flat_map(|(name, value)| [b"|", name.as_str().as_bytes(), b"=", value.as_bytes()].concat())
            .collect()
    }))
    .unwrap();
    text.insert_str(0, std::str::from_utf8(&collected.to_bytes()).unwrap());
    Ok(text)
}

/// A short answer with a length.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
