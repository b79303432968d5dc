//! HTTP/2 as a client: one connection shared by many requests.
//!
//! Knows slots, that is, how many more streams a connection takes, and what a failure says about
//! whether the request was looked at. The protocol itself is hyper's; its connection is driven by
//! a task, for no single request may own it.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Uri, Version, uri};
use http_body::{Body, Frame, SizeHint};
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use relay_headers::{Request, Response};
use tokio::{sync::OwnedMutexGuard, time::Instant};

use crate::{
    deadline::{CLOSING_RACE, Deadlines, Watchdog},
    dial::Io,
    error::{BodyError, Cause, Kind, Phase, SendError},
    h1,
    origin::Origin,
    request::RequestBody,
    spawn::Spawner,
    stats::Open,
    timings::Handshake,
};

/// How often a connection that carries streams is asked whether it still lives, and how long the
/// answer may take. Together they notice a vanished peer long before the idle deadline does.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_PATIENCE: Duration = Duration::from_secs(20);

/// The streams opened before the peer has said how many it takes. With one, no request is ever
/// stuck behind others on a connection that turns out to be narrow.
const FIRST_STREAMS: usize = 1;

/// How long others wait for the peer to say so before they open connections of their own.
const SETTLING: Duration = Duration::from_secs(1);

/// The largest header list taken, in bytes: as much as over HTTP/1.1.
const MAX_HEAD: u32 = 256 * 1024;

/// A connection that many requests share.
pub(crate) struct Shared {
    sender: SendRequest<Sent>,
    streams: AtomicUsize,
    /// What the peer allows at once; kept up to date by the driver.
    limit: Arc<AtomicUsize>,
    /// Not given to any further request.
    retired: AtomicBool,
    /// When the last stream ended.
    since: Mutex<Instant>,
    handshake: Handshake,
}

/// The right to one stream; given back when dropped.
pub(crate) struct Slot(Arc<Shared>);

/// Why a request got no head.
pub(crate) struct Failure {
    pub(crate) error: SendError,
    /// The peer did not look at the request, or the connection had died unnoticed.
    pub(crate) unprocessed: bool,
}

/// The body of a response on a shared connection.
pub(crate) struct Streamed {
    body: hyper::body::Incoming,
    slot: Option<Slot>,
    watchdog: Watchdog,
    active: Instant,
    idle: Duration,
}

/// A request body that notes when it was last asked for.
pub(crate) struct Sent {
    body: RequestBody,
    progress: Arc<Progress>,
}

/// How far a request body has been taken.
struct Progress {
    active: Mutex<Instant>,
    ended: AtomicBool,
}

/// The right to open a connection that others wait for.
pub(crate) type Turn = OwnedMutexGuard<()>;

/// Begins HTTP/2 on a fresh connection, and spawns its driver. Takes the first slot, and gives
/// `turn` up when there may be more.
pub(crate) async fn open(
    io: Box<dyn Io>,
    handshake: Handshake,
    open: Open,
    turn: Option<Turn>,
    spawner: &Spawner,
) -> Result<(Arc<Shared>, Slot), SendError> {
    let (sender, connection) = Builder::new(spawner.clone())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_PATIENCE)
        .max_header_list_size(MAX_HEAD)
        .initial_max_send_streams(FIRST_STREAMS)
        .handshake::<_, Sent>(TokioIo::new(io))
        .await
        .map_err(|error| SendError::unsent(Phase::Tls, Kind::Protocol, Some(error.into())))?;
    let limit = Arc::new(AtomicUsize::new(FIRST_STREAMS));
    spawner.spawn("http2-connection", drive(connection, limit.clone(), open, turn));
    let shared = Arc::new(Shared {
        sender,
        streams: AtomicUsize::new(1),
        limit,
        retired: AtomicBool::new(false),
        since: Mutex::new(Instant::now()),
        handshake,
    });
    Ok((shared.clone(), Slot(shared)))
}

/// Runs a connection to its end. How it ends is told to the requests on it.
async fn drive(
    mut connection: Connection<TokioIo<Box<dyn Io>>, Sent, Spawner>,
    limit: Arc<AtomicUsize>,
    _open: Open,
    mut turn: Option<Turn>,
) {
    let mut settling = pin!(tokio::time::sleep(SETTLING));
    let _ = poll_fn(|cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        let streams = connection.current_max_send_streams();
        limit.store(streams, Ordering::Release);
        if turn.is_some() && (streams != FIRST_STREAMS || settling.as_mut().poll(cx).is_ready()) {
            turn = None;
        }
        polled
    })
    .await;
}

impl Shared {
    /// A place for one more stream, if there is one.
    pub(crate) fn slot(self: &Arc<Self>) -> Option<Slot> {
        let limit = self.limit.load(Ordering::Acquire);
        let taken = self.streams.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |streams| {
            (streams < limit).then_some(streams + 1)
        });
        taken.is_ok().then(|| Slot(self.clone()))
    }

    /// Whether it may be given to a further request.
    pub(crate) fn is_usable(&self) -> bool {
        !self.retired.load(Ordering::Relaxed) && !self.sender.is_closed()
    }

    /// Since when it carries nothing, if it carries nothing.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let idle = self.streams.load(Ordering::Acquire) == 0;
        idle.then(|| *self.since.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Slot {
    pub(crate) fn handshake(&self) -> Handshake {
        self.0.handshake
    }

    /// Sends a request and waits for the head of the response.
    pub(crate) async fn ask(
        self,
        request: &Request<()>,
        origin: &Origin,
        body: RequestBody,
        deadlines: Deadlines,
    ) -> Result<Response<Streamed>, Failure> {
        let progress = Arc::new(Progress {
            active: Mutex::new(Instant::now()),
            ended: AtomicBool::new(body.length() == Some(0)),
        });
        let request = converted(request, origin, Sent { body, progress: progress.clone() });
        let mut sender = self.0.sender.clone();
        let mut response = pin!(sender.try_send_request(request));
        let mut watchdog = Watchdog::default();
        let answered = poll_fn(|cx| match response.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => {
                watchdog.poll(progress.active().checked_add(deadlines.first_byte), cx).map(|()| None)
            }
        })
        .await;
        let phase = if progress.ended.load(Ordering::Relaxed) { Phase::FirstByte } else { Phase::Send };
        match answered {
            Some(Ok(response)) => {
                let (active, idle) = (Instant::now(), deadlines.idle);
                let response = Response::from(response);
                Ok(response.map(|body| Streamed { body, slot: Some(self), watchdog, active, idle }))
            }
            Some(Err(error)) => {
                let unsent = error.message().is_some();
                let soon = progress.active().elapsed() < CLOSING_RACE;
                let mut failure = self.failure(phase, unsent, error.into_error());
                // A connection that is lost later is lost while the request was being served.
                failure.unprocessed &= soon || !failure.error.sent;
                Err(failure)
            }
            None => {
                let error = SendError { phase, kind: Kind::Timeout, sent: true, source: None };
                Err(Failure { error, unprocessed: false })
            }
        }
    }

    fn failure(&self, phase: Phase, unsent: bool, error: hyper::Error) -> Failure {
        let stream = cause::<h2::Error>(&error);
        let refused = stream.is_some_and(|error| error.reason() == Some(h2::Reason::REFUSED_STREAM));
        let lost = stream.is_none_or(|error| error.is_io() || error.is_go_away());
        if lost || unsent {
            self.0.retired.store(true, Ordering::Relaxed);
        }
        let body_failed = error.is_user();
        let kind = if body_failed {
            Kind::Body
        } else if error.is_timeout() {
            Kind::Timeout
        } else if let Some(error) = cause::<io::Error>(&error) {
            Kind::of_io(error)
        } else if stream.is_some_and(h2::Error::is_reset) {
            Kind::Reset
        } else if lost || unsent {
            Kind::Closed
        } else {
            Kind::Protocol
        };
        let unprocessed = !body_failed && (unsent || refused || lost);
        let error = SendError { phase, kind, sent: !unsent && !refused, source: Some(error.into()) };
        Failure { error, unprocessed }
    }
}

/// The same request with the whole URL, as HTTP/2's pseudo-headers want it.
fn converted(request: &Request<()>, origin: &Origin, body: Sent) -> http::Request<Sent> {
    let mut converted = http::Request::new(body);
    let mut uri = uri::Parts::default();
    uri.scheme = Some(if origin.is_tls() { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
    uri.authority = Some(origin.authority().clone());
    let path = request.target.path_and_query().cloned();
    uri.path_and_query = Some(path.unwrap_or_else(|| uri::PathAndQuery::from_static("/")));
    *converted.uri_mut() = Uri::from_parts(uri).expect("scheme, authority and path are all there");
    *converted.method_mut() = request.method.clone();
    *converted.version_mut() = Version::HTTP_2;
    let mut headers = request.headers.clone();
    headers.retain(|header| !h1::is_ours(header));
    *converted.headers_mut() = HeaderMap::from(&headers);
    converted
}

/// The first cause of this type in a chain.
fn cause<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

impl Streamed {
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.active = Instant::now();
                    if self.body.is_end_stream() {
                        self.slot = None;
                    }
                    // A frame without a byte ends a stream, and says nothing else.
                    if frame.data_ref().is_none_or(|data| !data.is_empty()) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.slot = None;
                    return Poll::Ready(Some(Err(BodyError::Cut(error.into()))));
                }
                Poll::Ready(None) => {
                    self.slot = None;
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    let silence = self.watchdog.poll(self.active.checked_add(self.idle), cx);
                    return silence.map(|()| Some(Err(BodyError::Idle(self.idle))));
                }
            }
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Progress {
    fn active(&self) -> Instant {
        *self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Cause;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cause>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            *self.progress.active.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            if self.body.is_end_stream() || matches!(polled, Poll::Ready(None)) {
                self.progress.ended.store(true, Ordering::Relaxed);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
