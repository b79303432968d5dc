//! Connections: HTTP/1.1 and HTTP/2 without TLS, over anything that reads and writes.
//!
//! It knows how a connection begins, ends and is reset; it refuses to know what is said on it.

use std::{
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

use crate::{exchange::answer, sim::Sim};

/// Streams a client may have open on one HTTP/2 connection.
const MAX_STREAMS: u32 = 4096;

/// How long to wait when no connection can be accepted, as when there are no descriptors left.
const BREATH: Duration = Duration::from_millis(10);

/// A connection as requests see it.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    number: u64,
    reset: Arc<AtomicBool>,
}

/// A TCP connection which can be made to end with a reset.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Line {
    fn open(sim: &Sim) -> Self {
        Self { number: sim.next_connection(), reset: Arc::new(AtomicBool::new(false)) }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// When the connection is closed, the peer is to see a reset.
    pub(crate) fn reset_on_close(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }
}

impl Sim {
    /// Serves one connection until either side ends it. Why it ended is nobody's concern here:
    /// clients that leave are what a provider sees all day.
    pub async fn serve<Io>(&self, io: Io)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let graceful = GracefulShutdown::new();
        self.serve_on(Line::open(self), io, graceful.watcher()).await;
    }

    /// Accepts connections until `stop` is ready, then lets requests in progress end. Dropping
    /// the future ends everything at once.
    pub async fn listen(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let mut connections: JoinSet<()> = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (sim, watcher) = (self.clone(), graceful.watcher());
                        connections.spawn(async move { sim.serve_socket(stream, watcher).await });
                    }
                    Err(_) => sleep(BREATH).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    }

    async fn serve_socket(&self, stream: TcpStream, watcher: Watcher) {
        // Without this every event would wait for the acknowledgement of the one before it.
        if stream.set_nodelay(true).is_ok() {
            let line = Line::open(self);
            let socket = Socket { stream, reset: Arc::clone(&line.reset) };
            self.serve_on(line, socket, watcher).await;
        }
    }

    async fn serve_on<Io>(&self, line: Line, io: Io, watcher: Watcher)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().auto_date_header(false);
        builder.http2().auto_date_header(false).max_concurrent_streams(MAX_STREAMS);
        let sim = self.clone();
        let service = service_fn(move |request| answer(sim.clone(), line.clone(), request));
        let connection = builder.serve_connection(TokioIo::new(io), service);
        drop(watcher.watch(connection.into_owned()).await);
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // If the peer was faster there is nothing left to reset.
            drop(self.stream.set_zero_linger());
        }
    }
}
