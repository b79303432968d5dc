//! Connections: accepting them, speaking HTTP on them, and letting them end.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::flush::{Counted, Flushes};
use crate::relay::{Peer, Relay, relay};
use crate::tasks::Tasks;
use crate::tls::Certificate;

/// How long a client may take over a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may idle, or take over the head of a request. Above what clients keep their
/// pooled connections for, so that they never meet one that is just being closed.
const HEAD_DEADLINE: Duration = Duration::from_mins(2);

/// The most header fields of a request. Claude Code sends some thirty; hint headers add a dozen.
const MOST_HEADERS: usize = 256;

/// The most streams on one HTTP/2 connection. Each counts against `max_concurrent` as well.
const MOST_STREAMS: u32 = 10_000;

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
        // Small frames leave at once.
        let _ = stream.set_nodelay(true);
        let door = self.clone();
        self.tasks.spawn("connection", async move {
            let Some(certificate) = certificate else {
                return door.serve(stream, peer.ip(), "http").await;
            };
            let acceptor = TlsAcceptor::from(certificate.config());
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
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
        let http2 = self.relay.snapshot.load().server.http2;
        let builder = builder(self.tasks.clone(), http2);
        let flushes = Flushes::default();
        let stream = TokioIo::new(Counted::new(stream, flushes.clone()));
        let from = Peer { address: peer, scheme, flushes };
        let service = service_fn(move |request| {
            let (shared, from) = (Arc::clone(&self.relay), from.clone());
            async move { Ok::<_, Infallible>(relay(shared, from, request).await) }
        });
        let connection = builder.serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = drained(&mut draining) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // Clients leave in the middle all the time, and an answer that broke off ends here too.
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}

/// Ready when the relay drains.
pub(crate) async fn drained(draining: &mut watch::Receiver<bool>) {
    // A sender that is gone is a relay that is gone.
    let _ = draining.wait_for(|draining| *draining).await;
}

fn builder(tasks: Tasks, http2: bool) -> Builder<Tasks> {
    let mut builder = Builder::new(tasks);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE).max_headers(MOST_HEADERS);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(MOST_STREAMS);
    if http2 { builder } else { builder.http1_only() }
}
