//! Connections: accepting them, speaking HTTP on them, and letting them end.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use relay_transport::Quiet;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::body::Arriving;
use crate::relay::{Peer, Relay, relay};
use crate::socket::{Socket, Version};
use crate::tasks::Tasks;
use crate::tls::Certificate;

/// How long a client may take over a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may idle, or take over the head of a request. Above what clients keep their
/// pooled connections for, so that they never meet one that is just being closed.
const HEAD_DEADLINE: Duration = Duration::from_mins(2);

/// The most header fields of a request. Claude Code sends some thirty; hint headers add a dozen.
const MOST_HEADERS: usize = 256;

/// The longest head in HTTP/2, in bytes as its section 6.5.2 counts them: room for as many as above.
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
        self.tasks.spawn("connection", async move {
            let Some(certificate) = certificate else {
                return door.serve(stream, peer.ip(), "http").await;
            };
            let mut draining = door.relay.draining.subscribe();
            let acceptor = TlsAcceptor::from(certificate.config());
            let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream));
            let shaken = tokio::select! {
                shaken = shaken => shaken,
                () = drained(&mut draining) => return,
            };
            match shaken {
                Ok(Ok(stream)) => door.serve(stream, peer.ip(), "https").await,
                Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
            }
        });
    }

    /// Speaks HTTP on one connection until it ends, or until the relay drains and its requests are done.
    pub(crate) async fn serve<S>(self, stream: S, peer: IpAddr, scheme: &'static str)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut draining = self.relay.draining.subscribe();
        let Some(socket) = self.open(stream, &mut draining).await else { return };
        let (version, unread) = (socket.version(), socket.unread());
        let from = Peer { address: peer, scheme, flushes: socket.flushes() };
        let (shared, tasks) = (self.relay, self.tasks);
        let service = service_fn(move |request: Request<Incoming>| {
            let (shared, from) = (Arc::clone(&shared), from.clone());
            let request = request.map(|body| Arriving::new(body, unread.clone()));
            async move { Ok::<_, Infallible>(relay(shared, from, request).await) }
        });
        let io = TokioIo::new(socket);
        let ended = match version {
            Version::Http1 => {
                let connection = speaking_http1().serve_connection(io, service);
                Quiet::new(until_drained(connection, http1::Connection::graceful_shutdown, draining)).await
            }
            Version::Http2 => {
                let connection = speaking_http2(tasks).serve_connection(io, service);
                Quiet::new(until_drained(connection, http2::Connection::graceful_shutdown, draining)).await
            }
        };
        if let Err(error) = ended {
            // Clients leave in the middle all the time, and an answer that broke off ends here too.
            tracing::debug!(%peer, %error, "connection ended");
        }
    }

    /// Finds out what the client speaks. None if it says nothing, or the relay drains before it does.
    async fn open<S>(&self, stream: S, draining: &mut watch::Receiver<bool>) -> Option<Socket<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if !self.relay.snapshot.load().server.http2 {
            return Some(Socket::http1(stream));
        }
        tokio::select! {
            opened = tokio::time::timeout(HEAD_DEADLINE, Socket::open(stream)) => opened.ok()?.ok(),
            () = drained(draining) => None,
        }
    }
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
    close: impl FnOnce(Pin<&mut C>),
    mut draining: watch::Receiver<bool>,
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        () = drained(&mut draining) => close(connection.as_mut()),
    }
    connection.await
}

/// Ready when the relay drains.
pub(crate) async fn drained(draining: &mut watch::Receiver<bool>) {
    // A sender that is gone is a relay that is gone.
    let _ = draining.wait_for(|draining| *draining).await;
}

fn speaking_http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE).max_headers(MOST_HEADERS);
    builder
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
