//! One request to one origin: on a pooled connection, or on a new one.
//!
//! Knows the order of things: look into the pool, open if need be, ask, and ask once more where a
//! pooled connection had died unnoticed. Refuses to know providers, keys and what an answer means.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use http::StatusCode;
use relay_headers::{Request, Response};
use rustls::ClientConfig;
use tokio::time::Instant;

use crate::{
    deadline::{CLOSING_RACE, Deadlines},
    dial::{Connected, Dial, Io},
    error::{Kind, Phase, SendError},
    forward_proxy::{self, ForwardProxy, ProxyRules},
    h1::{self, Link, Target},
    h2::{self, Slot},
    incoming::Incoming,
    origin::Origin,
    pool::{Limits, Pool, Ready, Shelf, Wants},
    request::RequestBody,
    spawn::Spawner,
    stats::Stats,
    timings::{Age, Handshake, Protocol},
    tls,
};

/// How a [`Transport`] behaves.
#[derive(Debug)]
pub struct Settings {
    /// Runs the few tasks there are.
    pub spawner: Spawner,
    /// Whom to trust; see [`tls::client`]. One for each transport: origins that need another
    /// trust need another transport.
    pub tls: Arc<ClientConfig>,
    /// When HTTP/2 is spoken.
    pub http2: Http2,
    /// How long a connection may lie idle. Shorter than what servers usually allow, for a
    /// connection that the server closes first costs a second try.
    pub idle_timeout: Duration,
    /// The most idle connections kept for each origin.
    pub max_idle: usize,
    /// Forward proxies, if any.
    pub proxy: Option<ProxyRules>,
}

/// When HTTP/2 is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http2 {
    /// With TLS, where the upstream agrees.
    #[default]
    Negotiated,
    /// Never.
    Never,
    /// With TLS where the upstream agrees, and always without TLS, unasked ("prior knowledge").
    /// Not through a forward proxy.
    Always,
}

/// Sends requests over connections that are kept. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Transport(Arc<Inner>);

struct Inner {
    pool: Arc<Pool>,
    dial: Arc<dyn Dial>,
    spawner: Spawner,
    http2: Http2,
    proxy: Option<ProxyRules>,
    /// Towards origins, and towards forward proxies, which are spoken to in HTTP/1.1.
    tls: Arc<ClientConfig>,
    proxy_tls: Arc<ClientConfig>,
}

/// When a connection was at hand, and which kind.
#[derive(Clone, Copy)]
struct Moment {
    age: Age,
    start: Instant,
}

/// Why there is no answer, and whether the fault may have lain with the pooled connection.
struct Failure {
    error: SendError,
    stale: bool,
}

impl Failure {
    /// Where no connection was at hand, none can have been stale.
    fn certain(error: SendError) -> Self {
        Self { error, stale: false }
    }
}

impl Settings {
    /// Idle connections are closed after 60 s: nginx keeps them for 75 s, AWS's load balancers for
    /// 60 s, Cloudflare for longer. Servers that announce less are believed.
    pub const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

    /// As many idle connections are kept for one origin as a busy relay uses at once.
    pub const MAX_IDLE: usize = 512;

    /// The usual settings.
    pub fn new(spawner: Spawner, tls: Arc<ClientConfig>) -> Self {
        Self {
            spawner,
            tls,
            http2: Http2::default(),
            idle_timeout: Self::IDLE_TIMEOUT,
            max_idle: Self::MAX_IDLE,
            proxy: None,
        }
    }
}

impl Transport {
    /// A transport with an empty pool, whose connections are opened by `dial`.
    pub fn new(settings: Settings, dial: Arc<dyn Dial>) -> Self {
        let limits = Limits { idle_timeout: settings.idle_timeout, max_idle: settings.max_idle };
        let offers: &[&[u8]] = match settings.http2 {
            Http2::Never => &[b"http/1.1"],
            Http2::Negotiated | Http2::Always => &[b"h2", b"http/1.1"],
        };
        Self(Arc::new(Inner {
            pool: Pool::new(limits, settings.spawner.clone()),
            dial,
            spawner: settings.spawner,
            http2: settings.http2,
            proxy: settings.proxy,
            tls: tls::offering(&settings.tls, offers),
            proxy_tls: tls::offering(&settings.tls, &[b"http/1.1"]),
        }))
    }

    /// Sends a request to `origin` and waits for the head of its response. Of the request's target
    /// only path and query count. Headers that speak of one hop, `host` and the framing headers
    /// are written anew; all others pass. Interim responses are skipped.
    ///
    /// Dropping the future, or the body of the response, cancels the request at once.
    ///
    /// A request that went out on a *reused* connection which ended without a byte of a response, or with 408,
    /// is sent once more on a fresh one, if its body can be sent again: the upstream closed an
    /// idle connection in the moment it was taken up. No other failure is tried again.
    ///
    /// # Errors
    /// [`SendError`], if no head came. An upstream that answers, whatever it says, is no error.
    pub async fn send(
        &self,
        origin: &Origin,
        request: Request<RequestBody>,
        deadlines: Deadlines,
    ) -> Result<Response<Incoming>, SendError> {
        let Request { method, target, headers, body } = request;
        let request = Request { method, target, headers, body: () };
        let shelf = self.0.pool.shelf(origin, || self.0.proxy.as_ref()?.proxy(origin));
        let replay = body.replay();
        let wants = if replay.is_some() { Wants::Any } else { Wants::Certain };
        let failure = match self.0.attempt(&shelf, wants, &request, body, deadlines).await {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
        let Some(body) = replay.filter(|_| failure.stale) else { return Err(failure.error) };
        let again = Box::pin(self.0.attempt(&shelf, Wants::Certain, &request, body, deadlines));
        again.await.map_err(|failure| failure.error)
    }

    /// How many connections there are.
    pub fn stats(&self) -> Stats {
        self.0.pool.stats()
    }

    /// Closes every connection that carries nothing, and ends the tasks that belong to them. What
    /// is under way goes on; connections that become idle afterwards are kept again.
    pub fn close_idle(&self) {
        self.0.pool.close_idle();
    }
}

impl Inner {
    /// One try, on a connection that is at hand or on a new one.
    async fn attempt(
        &self,
        shelf: &Arc<Shelf>,
        wants: Wants,
        request: &Request<()>,
        body: RequestBody,
        deadlines: Deadlines,
    ) -> Result<Response<Incoming>, Failure> {
        let mut start = Instant::now();
        let ready = if let Some(ready) = shelf.take(wants, start) {
            self.pool.census.note_reuse();
            ready
        } else {
            // On the heap: opening is rare, and its state large.
            let opened = Box::pin(self.open(shelf, deadlines)).await.map_err(Failure::certain)?;
            start = Instant::now();
            opened
        };
        match ready {
            Ready::Link(link, age) => {
                ask_http1(link, Moment { age, start }, shelf, request, body, deadlines).await
            }
            Ready::Slot(slot, age) => {
                ask_http2(slot, Moment { age, start }, shelf, request, body, deadlines).await
            }
        }
    }

    /// Opens a connection. Where others may be able to share it, they wait for it, so that a
    /// burst of requests to an HTTP/2 origin opens one connection and not one for each.
    async fn open(&self, shelf: &Arc<Shelf>, deadlines: Deadlines) -> Result<Ready, SendError> {
        let clock = Clock { due: Instant::now().checked_add(deadlines.connect) };
        let mut turn = None;
        if !shelf.speaks_http1() && self.may_share(shelf) {
            turn = Some(
                clock.bound(Phase::Connect, async { Ok(shelf.opening.clone().lock_owned().await) }).await?,
            );
            if let Some(slot) = shelf.take_slot() {
                self.pool.census.note_reuse();
                return Ok(Ready::Slot(slot, Age::Reused));
            }
        }
        if shelf.speaks_http1() {
            // Found out while we waited: nobody need wait for us.
            turn = None;
        }
        let (io, handshake) = self.connect(shelf, clock).await?;
        shelf.learn(handshake.protocol);
        let open = self.pool.census.open();
        match handshake.protocol {
            Protocol::Http1 => Ok(Ready::Link(Box::new(Link::new(io, handshake, open)), Age::Fresh)),
            Protocol::Http2 => {
                // The turn passes on when the peer has said how many streams it takes.
                let opening = h2::open(io, handshake, open, turn, &self.spawner);
                let (shared, slot) = clock.bound(Phase::Tls, opening).await?;
                shelf.share(shared);
                Ok(Ready::Slot(slot, Age::Fresh))
            }
        }
    }

    /// Whether a connection may turn out to speak HTTP/2.
    fn may_share(&self, shelf: &Shelf) -> bool {
        match self.http2 {
            Http2::Never => false,
            Http2::Negotiated => shelf.origin.is_tls(),
            Http2::Always => shelf.origin.is_tls() || shelf.proxy.is_none(),
        }
    }

    /// TCP, the tunnel if a proxy stands between, and TLS.
    async fn connect(&self, shelf: &Shelf, clock: Clock) -> Result<(Box<dyn Io>, Handshake), SendError> {
        let (origin, proxy) = (&shelf.origin, shelf.proxy.as_ref());
        let start = Instant::now();
        let dialed = async {
            let dialed = self.dial.dial(proxy.map_or(origin, |proxy| &proxy.origin)).await;
            dialed.map_err(|error| SendError::unsent(error.phase, error.kind, error.source))
        };
        let Connected { mut io, timing } = clock.bound(Phase::Connect, dialed).await?;
        let mut handshake = Handshake {
            dns: timing.dns,
            connect: timing.connect,
            tls: None,
            tls_version: None,
            tls_resumed: false,
            protocol: Protocol::Http1,
        };
        if let Some(proxy) = proxy {
            io = clock.bound(Phase::Tunnel, self.pass(proxy, origin, io)).await?;
            handshake.connect = start.elapsed().saturating_sub(timing.dns.unwrap_or_default());
        }
        if origin.is_tls() {
            let secured = clock.bound(Phase::Tls, tls::secure(self.tls.clone(), origin.host(), io)).await?;
            handshake = Handshake {
                tls: Some(secured.took),
                tls_version: Some(secured.version),
                tls_resumed: secured.resumed,
                protocol: secured.protocol,
                ..handshake
            };
            io = secured.io;
        } else if self.may_share(shelf) {
            handshake.protocol = Protocol::Http2;
        }
        Ok((io, handshake))
    }

    /// Gets past a forward proxy: over TLS if it wants that, through a tunnel if the origin has
    /// TLS of its own.
    async fn pass(
        &self,
        proxy: &ForwardProxy,
        origin: &Origin,
        io: Box<dyn Io>,
    ) -> Result<Box<dyn Io>, SendError> {
        let io = if proxy.origin.is_tls() {
            tls::secure(self.proxy_tls.clone(), proxy.origin.host(), io).await?.io
        } else {
            io
        };
        if origin.is_tls() {
            forward_proxy::tunnel(io, origin, proxy.credential.as_ref()).await
        } else {
            Ok(io)
        }
    }
}

async fn ask_http1(
    mut link: Box<Link>,
    Moment { age, start }: Moment,
    shelf: &Arc<Shelf>,
    request: &Request<()>,
    body: RequestBody,
    deadlines: Deadlines,
) -> Result<Response<Incoming>, Failure> {
    let target = match &shelf.proxy {
        Some(proxy) if !shelf.origin.is_tls() => Target::Absolute(proxy.credential.as_ref()),
        _ => Target::Origin,
    };
    let failed = |failure: h1::Failure| Failure {
        stale: age == Age::Reused && failure.silent_end,
        error: failure.error,
    };
    let asked = link.ask(request, &shelf.origin, target, body.into_content(), deadlines).await;
    let mut head = asked.map_err(failed)?;
    // Said to a connection that idled for too long, in the moment in which it was taken up (RFC 9110, section 15.5.9).
    if age == Age::Reused && head.status == StatusCode::REQUEST_TIMEOUT && start.elapsed() < CLOSING_RACE {
        let error = SendError { phase: Phase::FirstByte, kind: Kind::Closed, sent: true, source: None };
        return Err(Failure { error, stale: true });
    }
    let timings = link.handshake.timings(age, start.elapsed());
    let begun = h1::Exchange::begin(link, &mut head, &request.method, shelf.clone(), deadlines.idle);
    let body = Incoming::http1(begun.map_err(failed)?, timings);
    Ok(Response { status: head.status, headers: head.headers, body })
}

async fn ask_http2(
    slot: Slot,
    Moment { age, start }: Moment,
    shelf: &Shelf,
    request: &Request<()>,
    body: RequestBody,
    deadlines: Deadlines,
) -> Result<Response<Incoming>, Failure> {
    let handshake = slot.handshake();
    let response = slot.ask(request, &shelf.origin, body, deadlines).await.map_err(|failure| Failure {
        stale: age == Age::Reused && failure.unprocessed,
        error: failure.error,
    })?;
    let timings = handshake.timings(age, start.elapsed());
    Ok(response.map(|streamed| Incoming::http2(streamed, timings)))
}

/// The connect deadline, over all its phases.
#[derive(Clone, Copy)]
struct Clock {
    due: Option<Instant>,
}

impl Clock {
    async fn bound<T>(
        self,
        phase: Phase,
        step: impl Future<Output = Result<T, SendError>>,
    ) -> Result<T, SendError> {
        let Some(due) = self.due else { return step.await };
        let late = |_| SendError::unsent(phase, Kind::Timeout, None);
        tokio::time::timeout_at(due, step).await.map_err(late)?
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transport").field(&self.stats()).finish()
    }
}
