//! A relay that listens on a real socket, before one scripted provider.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use relay_config::{Config, Format};
use relay_proxy::{Certificate, Clock, Handle, Parts, Tasks, Workers};
use relay_transport::{Http2 as Upwards, Settings, Spawner, Tcp, Transport, tls};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Http1, Http2, Raw, within};
use crate::upstream::Upstream;

/// A relay that runs.
pub(crate) struct Stage {
    /// The relay itself.
    pub(crate) handle: Handle,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its certificate, if it has one.
    pub(crate) certificate: Option<Arc<Certificate>>,
    tasks: Tasks,
}

/// The key that a provider has unless a test says otherwise.
pub(crate) const ONE_KEY: &str = "{ key: sk-one }";

impl Stage {
    /// With these options of `server`, and one key.
    pub(crate) async fn with(upstream: &Upstream, server: &str) -> Self {
        Self::with_keys(upstream, server, ONE_KEY).await
    }

    /// With these options of `server`, and these keys, all as YAML. The test's own thread serves its connections, so
    /// that paused time holds for them and what they log is heard.
    pub(crate) async fn with_keys(upstream: &Upstream, server: &str, keys: &str) -> Self {
        Self::built(config(upstream, server, keys), None).await
    }

    /// Connections are served by threads of their own, as in production.
    pub(crate) async fn with_workers(upstream: &Upstream, count: NonZeroUsize) -> Self {
        let workers = Workers::start(count).expect("the system has threads");
        Self::built(config(upstream, "", ONE_KEY), Some(Arc::new(workers))).await
    }

    async fn built(config: Config, workers: Option<Arc<Workers>>) -> Self {
        let certificate = config.server.tls.as_ref().map(|tls| {
            Arc::new(
                Certificate::read(tls, config.server.http2).expect("the certificate of a stage can be used"),
            )
        });
        let tasks = Tasks::default();
        let clock = Arc::new(Clock::start());
        let parts = Parts {
            clock,
            tasks: tasks.clone(),
            workers,
            transport: transport(),
            recorder: None,
            state: None,
        };
        let handle = Handle::build(config, parts).await.expect("the configuration of a stage can be used");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        handle.listen(listener, certificate.clone());
        Self { handle, address, certificate, tasks }
    }

    /// A connection to it.
    pub(crate) async fn connect(&self) -> TcpStream {
        within(TcpStream::connect(self.address)).await.expect("the relay listens")
    }

    /// A connection that speaks HTTP/1.1 in the clear.
    pub(crate) async fn http1(&self) -> Http1 {
        Http1::over(self.connect().await).await
    }

    /// A connection that speaks HTTP/2 in the clear.
    pub(crate) async fn http2(&self) -> Http2 {
        Http2::over(self.connect().await).await.expect("the relay speaks HTTP/2")
    }

    /// A connection on which anything may be sent.
    pub(crate) async fn raw(&self) -> Raw<TcpStream> {
        Raw::over(self.connect().await)
    }

    /// The client's end of a pipe whose other end the relay serves: for paused time.
    pub(crate) fn pipe(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let handle = self.handle.clone();
        self.tasks.spawn("pipe", async move { handle.serve(theirs, IpAddr::V4(Ipv4Addr::LOCALHOST)).await });
        ours
    }

    /// The same, with how often the relay writes into it.
    pub(crate) fn counted_pipe(&self) -> (DuplexStream, Arc<AtomicUsize>) {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let writes = Arc::new(AtomicUsize::new(0));
        let counted = Counted { pipe: theirs, writes: Arc::clone(&writes) };
        let handle = self.handle.clone();
        self.tasks.spawn("pipe", async move { handle.serve(counted, IpAddr::V4(Ipv4Addr::LOCALHOST)).await });
        (ours, writes)
    }

    /// Waits until no request is being served and no lease is open.
    pub(crate) async fn idle(&self) {
        let leases = || {
            let report = self.handle.report();
            report.providers.iter().flat_map(|provider| &provider.keys).map(|key| key.in_flight).sum::<u32>()
        };
        within(async {
            while self.handle.in_flight() > 0 || leases() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// Counts what is written together.
struct Counted {
    pipe: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.pipe).poll_write(context, bytes)
    }

    /// All of them at once, as the system takes them. What is written here fits into the pipe.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let whole = pieces.iter().flat_map(|piece| piece.iter().copied()).collect::<Vec<_>>();
        self.poll_write(context, &whole)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}

fn config(upstream: &Upstream, server: &str, keys: &str) -> Config {
    let mut yaml = String::new();
    // Writing to a `String` cannot fail.
    let _ = write!(
        yaml,
        "server: {{ listen: \"127.0.0.1:0\", {server} }}\n\
         providers:\n  - name: a\n    type: anthropic\n    enabled: true\n    base_url: http://{}\n    \
         models: [claude-opus-5-5]\n    pooling: {{ strategy: round_robin }}\n    keys: [{keys}]\n",
        upstream.address
    );
    match relay_config::load(&yaml, Format::Yaml, &|_| None) {
        Ok(loaded) => loaded.config,
        Err(problems) => unreachable!("the configuration of a stage loads: {problems}\n{yaml}"),
    }
}

/// Plain HTTP/1.1 over TCP.
fn transport() -> Transport {
    let beside = Tasks::default();
    let settings = Settings {
        spawner: Spawner::new(move |name, task| beside.spawn(name, task)),
        tls: tls::client(tls::Roots::Bundled).expect("the bundled roots are valid"),
        http2: Upwards::Never,
        idle_timeout: Duration::from_mins(1),
        max_idle: 16,
        proxy: None,
    };
    Transport::new(settings, Arc::new(Tcp))
}
