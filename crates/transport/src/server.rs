//! HTTP/1.1 as a server speaks it, on one connection, in one task.
//!
//! Knows how requests follow each other on a connection: a head is read, the answer is awaited
//! while the client is watched, and what there is of the answer leaves in the poll in which it came.
//! A body that came with its head costs nothing; a large one comes to lie in one piece without being
//! copied. An answer that breaks off does so after everything before it has left. Refuses to know
//! what is asked and answered: that is who [`Respond`]s.
//!
//! Why not hyper's: its connection and the bodies of its requests are two tasks' worth of channels
//! and wake-ups, its heads are parsed into room for as many headers as are allowed, and it drops what
//! it has buffered when a body breaks off. ADR 0016 has the figures.

mod head;
mod linger;
mod reply;
mod wire;

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use http_body::Body;
use relay_headers::{Request, Response};
use tokio::{sync::watch, time::Instant};

use crate::{deadline::Watchdog, dial::Io};
use head::Head;
use linger::Client;
use reply::{Asked, Framing, Goes, Outbox, WrongLength};
use wire::Shared;

pub use head::Fault;
pub use linger::{LINGER, LINGER_IN_SILENCE};
pub use wire::{Inbound, InboundError};

/// Answers requests.
pub trait Respond: Send + Sync {
    /// The body of an answer. An error breaks it off, and the connection with it.
    type Body: Body<Data: Send> + Send;

    /// Answers one. Dropped in any state when the client leaves.
    fn respond(&self, request: Request<Inbound>) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Whether the frame which this body gave last was all it has, and it will wake whoever polled it when there is
    /// more. Then it is not polled in vain before that.
    fn is_waiting(&self, _body: &Self::Body) -> bool {
        false
    }

    /// The time, in seconds since 1970: what `date` says.
    fn now(&self) -> u64;

    /// What is said to what is no request. The connection ends with it.
    fn refuse(&self, fault: Fault) -> Response<Bytes>;
}

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The client left before it had its answer.
    #[error("the client left")]
    Left,
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// What the client sent is no request.
    #[error("it was no request")]
    Faulty(#[source] Fault),
    /// The answer broke off, and everything before that has left.
    #[error("the answer broke off")]
    Broken,
    /// The answer was longer or shorter than its head had said.
    #[error("the answer had not the length that it had announced")]
    Length,
}

impl From<WrongLength> for Ended {
    fn from(_: WrongLength) -> Self {
        Self::Length
    }
}

/// A connection on which requests follow each other.
struct Connection<D> {
    shared: Shared,
    outbox: Outbox<D>,
    /// How long it may idle, or take over a head.
    patience: Duration,
    watchdog: Watchdog,
    draining: watch::Receiver<bool>,
    /// Ready when the server drains.
    drained: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_drained: bool,
}

/// Serves one client until it leaves, or until the server drains and its request is answered.
/// `first` is what was read of its connection already; `patience` is how long it may idle, or take
/// over the head of a request.
///
/// # Errors
/// [`Ended`], if the connection did not end between two requests.
pub async fn serve<R: Respond>(
    io: Box<dyn Io>,
    first: BytesMut,
    patience: Duration,
    draining: watch::Receiver<bool>,
    responder: &R,
) -> Result<(), Ended> {
    let mut connection = Connection::new(Shared::new(io, first), patience, draining);
    loop {
        let Head { request, decoder, old, keeps_alive, waits } = match connection.head().await {
            Ok(Some(head)) => head,
            Ok(None) => return connection.close(Client::HasSentAll).await,
            Err(Ended::Faulty(fault)) => {
                connection.say(responder.now(), responder.refuse(fault)).await?;
                // Who is slow is not waited for any longer.
                let client = if fault == Fault::Late { Client::HasSentAll } else { Client::Sends };
                connection.close(client).await?;
                return Err(Ended::Faulty(fault));
            }
            Err(ended) => return Err(ended),
        };
        let head_only = request.method == Method::HEAD;
        let body = connection.shared.body(decoder, waits);
        let response = {
            let mut answering = pin!(responder.respond(request.map(|()| body)));
            poll_fn(|cx| match answering.as_mut().poll(cx) {
                Poll::Ready(response) => Poll::Ready(Ok(response)),
                Poll::Pending => connection.shared.lock().poll_left(cx).map(|()| Err(Ended::Left)),
            })
            .await?
        };
        let asked = Asked { at: responder.now(), head_only, old };
        if connection.answer(responder, response, asked, keeps_alive).await? == Goes::Ends {
            let client = connection.client();
            return connection.close(client).await;
        }
    }
}

impl<D: Buf> Connection<D> {
    fn new(shared: Shared, patience: Duration, draining: watch::Receiver<bool>) -> Self {
        let mut heard = draining.clone();
        let drained = Box::pin(async move {
            // A sender that is gone is a server that is gone.
            let _ = heard.wait_for(|draining| *draining).await;
        });
        let watchdog = Watchdog::default();
        let outbox = Outbox::default();
        Self { shared, outbox, patience, watchdog, draining, drained, is_drained: false }
    }

    /// The head of the next request. None if there is none: the client has left, has said nothing
    /// for too long, or is not listened to any more.
    async fn head(&mut self) -> Result<Option<Head>, Ended> {
        let mut due = Instant::now().checked_add(self.patience);
        let mut scanned = 0;
        self.shared.lock().inbox.begin();
        poll_fn(|cx| self.poll_head(&mut scanned, &mut due, cx)).await
    }

    fn poll_head(
        &mut self,
        scanned: &mut usize,
        due: &mut Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Head>, Ended>> {
        /// Once the server drains, a head that has begun is waited for so long: it comes in one piece, or not at all.
        const LAST: Duration = Duration::from_secs(2);
        let mut wire = self.shared.lock();
        loop {
            match head::take(&mut wire.inbox.bytes, scanned) {
                Ok(None) => {}
                Ok(head) => return Poll::Ready(Ok(head)),
                Err(fault) => return Poll::Ready(Err(Ended::Faulty(fault))),
            }
            match wire.poll_fill(cx)? {
                Poll::Ready(0) => return Poll::Ready(Ok(None)),
                Poll::Ready(_) => {}
                Poll::Pending => break,
            }
        }
        let idle = wire.inbox.bytes.is_empty();
        drop(wire);
        if !self.is_drained && self.drained.as_mut().poll(cx).is_ready() {
            self.is_drained = true;
            let last = Instant::now() + LAST;
            *due = Some(due.map_or(last, |due| due.min(last)));
        }
        if idle && self.is_drained {
            return Poll::Ready(Ok(None));
        }
        ready!(self.watchdog.poll(*due, cx));
        Poll::Ready(if idle { Ok(None) } else { Err(Ended::Faulty(Fault::Late)) })
    }

    /// Sends an answer, and whether the connection goes on.
    async fn answer<R: Respond<Body: Body<Data = D>>>(
        &mut self,
        responder: &R,
        response: Response<R::Body>,
        asked: Asked,
        keeps_alive: bool,
    ) -> Result<Goes, Ended> {
        let Response { status, headers, body } = response;
        let mut body = pin!(body);
        let mut framing = Framing::of(status, &headers, asked, body.size_hint().exact());
        let goes = if keeps_alive && framing != Framing::UntilClose && self.may_go_on() {
            Goes::On
        } else {
            Goes::Ends
        };
        let before = self.shared.lock().answer_begins();
        self.outbox.head(before, (status, &headers), asked, framing, goes);
        drop(headers);
        let mut ended = framing == Framing::None || body.is_end_stream();
        if ended {
            self.outbox.end(&framing)?;
        }
        poll_fn(|cx| self.poll_answer(responder, body.as_mut(), &mut framing, &mut ended, cx)).await?;
        Ok(if self.is_read() { goes } else { Goes::Ends })
    }

    fn poll_answer<R: Respond<Body: Body<Data = D>>>(
        &mut self,
        responder: &R,
        mut body: Pin<&mut R::Body>,
        framing: &mut Framing,
        ended: &mut bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Ended>> {
        /// What the body had when it was asked.
        enum Met {
            Piece,
            Nothing,
            Error,
        }
        loop {
            let mut met = Met::Piece;
            if !*ended && self.outbox.takes_more() {
                match body.as_mut().poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        // Trailers are for the next hop only if it asked for them; no client does.
                        if let Ok(data) = frame.into_data() {
                            *ended = body.is_end_stream();
                            self.outbox.piece(data, framing, *ended)?;
                            if responder.is_waiting(&body) {
                                met = Met::Nothing;
                            }
                        }
                    }
                    Poll::Ready(Some(Err(_))) => met = Met::Error,
                    Poll::Ready(None) => {
                        *ended = true;
                        self.outbox.end(framing)?;
                    }
                    Poll::Pending => met = Met::Nothing,
                }
            }
            let mut wire = self.shared.lock();
            ready!(self.outbox.poll_write(&mut *wire.io, cx))?;
            match met {
                Met::Error => return Poll::Ready(Err(Ended::Broken)),
                _ if *ended => return Poll::Ready(Ok(())),
                Met::Piece => {}
                Met::Nothing => {
                    wire.inbox.rest();
                    return wire.poll_left(cx).map(|()| Err(Ended::Left));
                }
            }
        }
    }

    /// Sends an answer that is here whole.
    async fn say(&mut self, at: u64, response: Response<Bytes>) -> Result<(), Ended> {
        let Response { status, headers, body } = response;
        self.outbox.whole(at, (status, &headers), &body);
        poll_fn(|cx| self.outbox.poll_write(&mut *self.shared.lock().io, cx)).await?;
        Ok(())
    }

    /// Whether another request may follow: the server does not drain, and the body of this one has
    /// come, or is still wanted.
    fn may_go_on(&self) -> bool {
        !*self.draining.borrow() && (!self.shared.is_ours() || self.is_read())
    }

    /// Whether the body has come to its end; what is here of one that nobody wants is taken.
    fn is_read(&self) -> bool {
        let mut wire = self.shared.lock();
        wire.is_read() || (self.shared.is_ours() && wire.skip())
    }

    /// Whether the client may still be sending.
    fn client(&self) -> Client {
        let wire = self.shared.lock();
        if wire.is_read() && wire.inbox.bytes.is_empty() { Client::HasSentAll } else { Client::Sends }
    }

    async fn close(self, client: Client) -> Result<(), Ended> {
        Ok(linger::close(&self.shared, client).await?)
    }
}
