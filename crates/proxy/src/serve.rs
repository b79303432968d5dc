//! Connections: accepting them, speaking HTTP on them, and letting them end.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use relay_headers::{Request, Response, Value};
use relay_transport::Quiet;
use relay_transport::server::{self, Fault, Inbound, Respond};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::body::Arriving;
use crate::exchange::X_REQUEST_ID;
use crate::outgoing::Outgoing;
use crate::reject::Reject;
use crate::relay::{Peer, Relay, relay};
use crate::socket::{self, Socket, Version};
use crate::tasks::Tasks;
use crate::tls::Certificate;
use crate::unread::Unread;
use crate::workers::Workers;

/// How long a client may take over a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may idle, or take over the head of a request. Above what clients keep their
/// pooled connections for, so that they never meet one that is just being closed.
const HEAD_DEADLINE: Duration = Duration::from_mins(2);

/// The longest head in HTTP/2, in bytes as its section 6.5.2 counts them: room for some 300 usual fields. Claude
/// Code sends some thirty; hint headers add a dozen.
const LONGEST_HEAD: u32 = 64 << 10;

/// The most streams on one HTTP/2 connection. Each counts against `max_concurrent` as well.
const MOST_STREAMS: u32 = 10_000;

/// What the client of an HTTP/2 connection may send unasked on all its streams together: as much as there can
/// be. Each stream has a bound of its own, and one whose body waits must not use up that of the others.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// After this long without a word, a client of HTTP/2 is asked whether it is there. With the time that it has
/// for an answer, that is less than the deadline above.
const PING_EVERY: Duration = Duration::from_mins(1);

/// How long it has for an answer.
const PONG_WITHIN: Duration = Duration::from_secs(20);

/// How long a client of HTTP/2 that waits for nothing has to take leave of a relay that drains: some round trips.
const GOODBYE: Duration = Duration::from_secs(5);

/// After this long without a word, the system asks whether a client is there; then eight times in as long again
/// and once more as long.
const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// After this long a client that confirms nothing of what it is sent is taken to be gone: as long as all that lasts.
#[cfg(target_os = "linux")]
const GONE: Duration = Duration::from_mins(3);

/// After an accept failed for want of descriptors, this long until the next.
const BREATHER: Duration = Duration::from_millis(100);

/// Serves connections.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) relay: Arc<Relay>,
    pub(crate) tasks: Tasks,
    pub(crate) workers: Option<Arc<Workers>>,
}

impl Door {
    /// Accepts connections until the relay drains.
    pub(crate) async fn listen(self, listener: TcpListener, certificate: Option<Arc<Certificate>>) {
        let mut draining = self.relay.draining.subscribe();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = drained(&mut draining) => return,
            };
            match accepted {
                Ok((stream, peer)) => self.accept(stream, peer, certificate.clone()),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(BREATHER).await;
                }
            }
        }
    }

    fn accept(&self, stream: TcpStream, peer: SocketAddr, certificate: Option<Arc<Certificate>>) {
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%peer, %error, "a connection could not be prepared");
        }
        let door = self.clone();
        let Some(seat) = self.workers.as_ref().and_then(|workers| workers.seat()) else {
            return self.tasks.spawn("connection", door.greet(stream, peer, certificate));
        };
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%peer, %error, "a connection could not be handed on"),
        };
        let runtime = seat.runtime().clone();
        self.tasks.spawn_on(&runtime, "connection", async move {
            let _seat = seat;
            match TcpStream::from_std(stream) {
                Ok(stream) => door.greet(stream, peer, certificate).await,
                Err(error) => tracing::warn!(%peer, %error, "a connection could not be taken up"),
            }
        });
    }

    /// Shakes hands, if that is called for, and serves.
    async fn greet(self, stream: TcpStream, peer: SocketAddr, certificate: Option<Arc<Certificate>>) {
        let Some(certificate) = certificate else {
            return self.serve(stream, peer.ip(), "http").await;
        };
        let mut draining = self.relay.draining.subscribe();
        let acceptor = TlsAcceptor::from(certificate.config());
        let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream));
        let shaken = tokio::select! {
            shaken = shaken => shaken,
            () = drained(&mut draining) => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.serve(stream, peer.ip(), "https").await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
        }
    }

    /// Speaks HTTP on one connection until it ends, or until the relay drains and its requests are done.
    pub(crate) async fn serve<S>(self, mut stream: S, peer: IpAddr, scheme: &'static str)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut draining = self.relay.draining.subscribe();
        let Some((version, first)) = self.open(&mut stream, &mut draining).await else { return };
        match version {
            Version::Http1 => {
                let from = Peer { address: peer, scheme, flushes: None };
                let service = Http1 { relay: self.relay, from };
                let served = server::serve(Box::new(stream), first, HEAD_DEADLINE, draining, &service).await;
                if let Err(ended) = served {
                    note_end(peer, &ended);
                }
            }
            Version::Http2 => {
                let socket = Socket::new(stream, first);
                let from = Peer { address: peer, scheme, flushes: Some(socket.flushes()) };
                let (shared, streams) = (self.relay, self.tasks.some());
                let beside = streams.clone();
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let (shared, from) = (Arc::clone(&shared), from.clone());
                    let request =
                        Request::from(request).map(|body| Arriving::from(Unread::new(body, beside.clone())));
                    async move { Ok::<http::Response<_>, Infallible>(relay(shared, &from, request).await.into()) }
                });
                let connection =
                    speaking_http2(streams.clone()).serve_connection(TokioIo::new(socket), service);
                if let Err(error) = Quiet::new(until_drained(connection, draining, streams)).await {
                    note_end(peer, &error);
                }
            }
        }
    }

    /// Finds out what the client speaks. None if it says nothing, or the relay drains before it does.
    async fn open<S>(
        &self,
        stream: &mut S,
        draining: &mut watch::Receiver<bool>,
    ) -> Option<(Version, BytesMut)>
    where
        S: AsyncRead + Unpin,
    {
        if !self.relay.snapshot.load().server.http2 {
            return Some((Version::Http1, BytesMut::new()));
        }
        tokio::select! {
            version = tokio::time::timeout(HEAD_DEADLINE, socket::version(stream)) => version.ok()?.ok(),
            () = drained(draining) => None,
        }
    }
}

/// Serves a client of HTTP/1.
struct Http1 {
    relay: Arc<Relay>,
    from: Peer,
}

impl Respond for Http1 {
    type Body = Outgoing;

    fn respond(&self, request: Request<Inbound>) -> impl Future<Output = Response<Outgoing>> + Send {
        relay(Arc::clone(&self.relay), &self.from, request.map(Arriving::from))
    }

    fn is_waiting(&self, body: &Outgoing) -> bool {
        body.is_waiting()
    }

    fn now(&self) -> u64 {
        self.relay.live.now().since_epoch().as_secs()
    }

    fn refuse(&self, fault: Fault) -> Response<Bytes> {
        let id = self.relay.live.dice().uuid();
        let mut response = Reject::Faulty(fault).response(&id);
        if let Ok(id) = Value::new(id.as_bytes()) {
            response.headers.add(X_REQUEST_ID, id);
        }
        response
    }
}

/// Clients leave in the middle all the time, and an answer that broke off ends here too.
fn note_end(peer: IpAddr, why: &dyn std::error::Error) {
    let cause = why.source().map(ToString::to_string).unwrap_or_default();
    tracing::debug!(%peer, %why, cause, "connection ended");
}

/// Small frames leave at once; and a client that has vanished without a word is noticed, be it that it idles or
/// that what it is sent does not arrive.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    let alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 4);
    socket.set_tcp_keepalive(&alive.with_retries(8))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(GONE))?;
    Ok(())
}

/// Drives a connection; when the relay drains, it takes no more requests and ends with those it has.
async fn until_drained<C>(
    connection: C,
    mut draining: watch::Receiver<bool>,
    streams: Tasks,
) -> hyper::Result<()>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        () = drained(&mut draining) => connection.as_mut().graceful_shutdown(),
    }
    // The client hears that no more is taken, and that is confirmed by its pong; most end with it. One that is silent
    // although it has nothing to wait for holds up nobody.
    let forsaken = async {
        loop {
            streams.idle().await;
            tokio::time::sleep(GOODBYE).await;
            if streams.running() == 0 {
                return;
            }
        }
    };
    tokio::select! {
        ended = connection => ended,
        () = forsaken => Ok(()),
    }
}

/// Ready when the relay drains.
pub(crate) async fn drained(draining: &mut watch::Receiver<bool>) {
    // A sender that is gone is a relay that is gone.
    let _ = draining.wait_for(|draining| *draining).await;
}

fn speaking_http2(tasks: Tasks) -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(LONGEST_HEAD)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_accepted_sends_at_once_and_is_watched_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        prepare(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEP_ALIVE);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(GONE));
    }
}
