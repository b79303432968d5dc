//! Clients of the relay: whole ones of either version of HTTP, and a raw one that sends what no library would.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use relay_proxy::Tasks;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The body of a client's request.
pub(crate) type Sent = BoxBody<Bytes, Infallible>;

/// What takes longer than this, in real time, will never happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// The outcome, which must come soon.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("what the test waits for has not happened")
}

/// A connection that speaks HTTP/1.1.
pub(crate) struct Http1(http1::SendRequest<Sent>);

/// A connection that speaks HTTP/2.
#[derive(Clone)]
pub(crate) struct Http2(http2::SendRequest<Sent>);

/// How tasks of HTTP/2 clients are run.
#[derive(Clone)]
struct Beside(Tasks);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Beside {
    fn execute(&self, task: F) {
        self.0.spawn("client", async move {
            task.await;
        });
    }
}

impl Http1 {
    /// Over this stream.
    pub(crate) async fn over<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.expect("there is nothing to shake hands about");
        Tasks::default().spawn("client", async move {
            // What becomes of a connection is seen by its requests.
            let _ = connection.await;
        });
        Self(sender)
    }

    /// Sends a request and takes the head of the answer.
    pub(crate) async fn begin(&mut self, request: Request<Bytes>) -> hyper::Result<Response<Incoming>> {
        within(async {
            self.0.ready().await?;
            self.0.send_request(request.map(sent)).await
        })
        .await
    }

    /// Sends a request and takes the whole answer.
    pub(crate) async fn ask(&mut self, request: Request<Bytes>) -> Answer {
        Answer::of(self.begin(request).await.expect("the relay answers")).await
    }

    /// Waits until the relay has closed the connection.
    pub(crate) async fn closed(&mut self) {
        within(async {
            while self.0.ready().await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

impl Http2 {
    /// Over this stream, with windows large enough that nothing waits for them.
    pub(crate) async fn over<S>(stream: S) -> hyper::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::with_window(stream, 8 << 20).await
    }

    /// Over this stream, with windows of that size.
    pub(crate) async fn with_window<S>(stream: S, window: u32) -> hyper::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let tasks = Tasks::default();
        let (sender, connection) = http2::Builder::new(Beside(tasks.clone()))
            .initial_stream_window_size(window)
            .initial_connection_window_size(8 << 20)
            .handshake(TokioIo::new(stream))
            .await?;
        tasks.spawn("client", async move {
            let _ = connection.await;
        });
        Ok(Self(sender))
    }

    /// Sends a request and takes the head of the answer.
    pub(crate) async fn begin(&mut self, request: Request<Bytes>) -> hyper::Result<Response<Incoming>> {
        self.begin_with(request.map(sent)).await
    }

    /// The same, with any body.
    pub(crate) async fn begin_with(
        &mut self,
        mut request: Request<Sent>,
    ) -> hyper::Result<Response<Incoming>> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("http://relay.test{path}").parse::<Uri>().expect("a path makes a URI");
        request.headers_mut().remove(HOST);
        within(async {
            self.0.ready().await?;
            self.0.send_request(request).await
        })
        .await
    }

    /// Sends a request and takes the whole answer.
    pub(crate) async fn ask(&mut self, request: Request<Bytes>) -> Answer {
        Answer::of(self.begin(request).await.expect("the relay answers")).await
    }

    /// Waits until the relay has closed the connection.
    pub(crate) async fn closed(&mut self) {
        within(async {
            while self.0.ready().await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// A body that is there.
pub(crate) fn sent(body: Bytes) -> Sent {
    Full::new(body).boxed()
}

/// A whole answer, or as much as came.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its head.
    pub(crate) head: http::response::Parts,
    /// What came of its body.
    pub(crate) body: Bytes,
    /// Why no more came, if there should have been more.
    pub(crate) cut: Option<hyper::Error>,
}

impl Answer {
    /// The rest of an answer.
    pub(crate) async fn of(response: Response<Incoming>) -> Self {
        let (head, mut body) = response.into_parts();
        let (mut whole, mut cut) = (Vec::new(), None);
        while let Some(frame) = within(body.frame()).await {
            match frame {
                Ok(frame) => whole.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(error) => {
                    cut = Some(error);
                    break;
                }
            }
        }
        Self { head, body: whole.into(), cut }
    }

    /// Its status, as a number.
    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// Its body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The next bytes of a body.
pub(crate) async fn next(body: &mut Incoming) -> Bytes {
    let frame = within(body.frame()).await.expect("the body has not ended").expect("the body is not cut");
    frame.into_data().unwrap_or_default()
}

/// A connection on which anything may be sent.
pub(crate) struct Raw<S> {
    stream: S,
    buffer: Vec<u8>,
}

/// An answer as it was on the wire, its body bounded by `content-length`.
#[derive(Debug)]
pub(crate) struct Told {
    /// Its head, lines ended by CRLF.
    pub(crate) head: String,
    /// Its body.
    pub(crate) body: String,
}

impl Told {
    /// Its status, as a number.
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Over this stream.
    pub(crate) const fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Sends these bytes, if the relay still takes them.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        within(self.stream.write_all(bytes)).await
    }

    /// Sends these bytes.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).await.expect("the relay takes what is sent");
    }

    /// The head of the next answer.
    pub(crate) async fn head(&mut self) -> String {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            let count = within(self.stream.read_buf(&mut self.buffer)).await.expect("the answer can be read");
            assert!(count > 0, "the relay closed after {:?}", String::from_utf8_lossy(&self.buffer));
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        String::from_utf8_lossy(&head).into_owned()
    }

    /// The next answer to a request that is not HEAD.
    pub(crate) async fn answer(&mut self) -> Told {
        let head = self.head().await;
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap_or_default());
        while self.buffer.len() < length {
            let count = within(self.stream.read_buf(&mut self.buffer)).await.expect("the answer can be read");
            assert!(count > 0, "the relay closed in the middle of a body");
        }
        let body: Vec<u8> = self.buffer.drain(..length).collect();
        Told { head, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Everything until the relay closes, and how that looked.
    pub(crate) async fn rest(&mut self) -> (String, io::Result<usize>) {
        let ended = within(self.stream.read_to_end(&mut self.buffer)).await;
        (String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned(), ended)
    }
}

/// The first value of a header in a head as it was on the wire.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// Where a piece first is.
pub(crate) fn find(whole: &[u8], piece: &[u8]) -> Option<usize> {
    whole.windows(piece.len()).position(|window| window == piece)
}

/// Runs beside the test.
pub(crate) fn together<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> tokio::sync::oneshot::Receiver<T> {
    let (tell, told) = tokio::sync::oneshot::channel();
    Tasks::default().spawn("together", async move {
        // Nobody listens any more if the test has failed.
        let _ = tell.send(future.await);
    });
    told
}
