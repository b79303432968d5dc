//! One request, top to bottom. Every file named here does one step; the order is only here.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use relay_core::{Class, Exhausted, Plan, Verdict};
use relay_headers::{Request, Response};
use relay_telemetry::Recorder;

use crate::admit::{self, Client, Penalties};
use crate::asked::Asked;
use crate::attempt::{Answer, Reply, attempt};
use crate::body::Arriving;
use crate::catalog;
use crate::exchange::Exchange;
use crate::flush::Flushes;
use crate::late;
use crate::live::{Held, Live, Onward};
use crate::outgoing::{self, Outgoing};
use crate::property;
use crate::refusals::Refusals;
use crate::reject::Reject;
use crate::slots::Slots;
use crate::snapshot::Snapshot;
use crate::surface::Surface;
use crate::unified;
use crate::via;

/// All that requests share.
pub(crate) struct Relay {
    /// What it calls itself towards other relays; new with every start.
    pub(crate) name: String,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) live: Arc<Live>,
    pub(crate) slots: Slots,
    pub(crate) penalties: Penalties,
    pub(crate) refusals: Refusals,
    /// True once no more requests should come.
    pub(crate) draining: tokio::sync::watch::Sender<bool>,
    /// What is still served is cut off, because the relay ends.
    pub(crate) ends: AtomicBool,
    pub(crate) recorder: Option<Recorder>,
}

/// The other end of a connection.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// `https` or `http`.
    pub(crate) scheme: &'static str,
    /// Of HTTP/2, where what was written may stay behind.
    pub(crate) flushes: Option<Flushes>,
}

/// One call on its way: everything that its attempts need.
pub(crate) struct Journey {
    pub(crate) relay: Arc<Relay>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) asked: Asked,
    pub(crate) class: Class,
}

/// The attempts of a call under way, and the call. On the heap and apart from the rest: what is large is moved
/// once, and not with every step before it.
pub(crate) type Attempts = Pin<Box<dyn Future<Output = (Box<Journey>, Result<Committed, Reject>)> + Send>>;

/// An answer that is for the client. What a provider refused has no lease any more.
pub(crate) struct Committed {
    pub(crate) reply: Reply,
    pub(crate) held: Option<Held>,
}

/// Serves one request.
pub(crate) async fn relay(relay: Arc<Relay>, peer: &Peer, request: Request<Arriving>) -> Response<Outgoing> {
    let exchange = Exchange::open(&relay, peer, &request);
    let served = serve(&relay, &exchange, peer.address, request).await;
    let mut response = served.unwrap_or_else(|reject| outgoing::reject(&reject, &exchange));
    outgoing::finish(&mut response, &exchange);
    response
}

async fn serve(
    relay: &Arc<Relay>,
    exchange: &Arc<Exchange>,
    peer: IpAddr,
    request: Request<Arriving>,
) -> Result<Response<Outgoing>, Reject> {
    // One view of the world, from here to the end.
    let snapshot = relay.snapshot.load_full();

    // What is it for, who is asking, and is there room?
    let path = request.target.clone();
    let surface = Surface::of(&request.method, path.path())?;
    if surface.is_public() {
        return Ok(catalog::public(relay, surface, exchange));
    }
    let client = known(relay, &snapshot, peer, &request).await?;
    if via::is_back(&request.headers, &relay.name) {
        return Err(Reject::Looped);
    }
    exchange.note_client(&client.name);
    let slot = relay.slots.take(snapshot.server.max_concurrent).ok_or(Reject::Busy)?;
    if let Some(page) = catalog::page(relay, &snapshot, client.standing, surface, path.query(), exchange)? {
        return Ok(page);
    }

    // What is asked? The body is read once, looked at once, and never rewritten as a whole.
    let asked = Asked::read(surface, request, client, &snapshot).await?;
    exchange.note_asked(&asked, &snapshot.debug);
    if let Some(recorder) = &relay.recorder {
        exchange.note_recorded(recorder, &asked);
    }

    // Where nobody counts tokens, they are estimated.
    if let Some(tokens) = asked.estimated(&snapshot, &relay.live) {
        return Ok(outgoing::estimate(tokens, exchange));
    }

    // Who may answer? A key that is not there yet may just be on its way.
    let (snapshot, plan) = match plan(relay, &snapshot, &asked) {
        Err(Reject::NoKeyYet { .. }) if relay.refusals.look_again().await => {
            let snapshot = relay.snapshot.load_full();
            let plan = plan(relay, &snapshot, &asked)?;
            (snapshot, plan)
        }
        plan => (snapshot, plan?),
    };
    let class = plan.class().clone();
    let (relay, exchange) = (Arc::clone(relay), Arc::clone(exchange));
    let journey = Box::new(Journey { relay, snapshot, exchange, asked, class });

    // Ask, until somebody answers; a stream's head does not wait for ever for that.
    if journey.asked.streams() {
        return late::race(journey, plan, slot).await;
    }
    let (journey, committed) = journey.attempts(plan).await;
    Ok(outgoing::reply(&journey, slot, committed?))
}

/// Who asks. A wrong guess waits before it hears so.
async fn known(
    relay: &Relay,
    snapshot: &Snapshot,
    peer: IpAddr,
    request: &Request<Arriving>,
) -> Result<Client, Reject> {
    let called = (request.target.authority(), &request.headers);
    let admitted = admit::client(&snapshot.auth, snapshot.pool, called);
    if let Err(Reject::Denied(denied)) = &admitted
        && denied.is_guess()
    {
        let delay = relay.penalties.strike(peer, relay.live.now());
        tokio::time::sleep(delay).await;
    }
    admitted
}

/// Who may answer, and until when the call may wait.
fn plan(relay: &Relay, snapshot: &Snapshot, asked: &Asked) -> Result<Plan, Reject> {
    let need = asked.need(snapshot, &relay.live);
    if need.among.is_empty() {
        return Err(asked.nobody(snapshot, relay.refusals.put_off()));
    }
    Ok(snapshot.fleet.plan(need, relay.live.now()))
}

impl Journey {
    /// The attempts of this call.
    pub(crate) fn attempts(self: Box<Self>, mut plan: Plan) -> Attempts {
        Box::pin(async move {
            let mut committed = self.ask(&mut plan).await;
            if let Ok(committed) = &mut committed {
                if self.asked.is_about_property() {
                    property::settle(&self, committed).await;
                }
                unified::describe(&self, &plan, &mut committed.reply);
            }
            (self, committed)
        })
    }

    /// Asks one after another until there is an answer for the client.
    async fn ask(&self, plan: &mut Plan) -> Result<Committed, Reject> {
        let (live, refusals) = (&self.relay.live, &self.relay.refusals);
        let (mut words, mut hopes) = (None, true);
        loop {
            // Take the right to try. It gives itself back if the client leaves while we wait.
            let (mut held, waited) = match live.ask(plan, |since| self.exchange.note_waits(since)).await {
                Ok(granted) => granted,
                // A key that was refused may have been renewed where it comes from.
                Err(Exhausted::Barred) if std::mem::take(&mut hopes) && refusals.look_again().await => {
                    continue;
                }
                Err(why) => return self.exhausted(why, words),
            };
            let Some(upstream) = held.provider().and_then(|id| self.snapshot.upstream(id)) else {
                // A reload took it between the plan and now: this request's view has not got it.
                return Err(Reject::Nobody);
            };
            let moved = outgoing::stay_words(held.stay(), false);
            let newest = self.relay.snapshot.load();
            self.exchange.note_attempt(&upstream.name, upstream.label(&newest, &held), waited, moved);
            drop(newest);

            // Ask.
            let Answer { verdict, reply, detail } = attempt(self, upstream, &mut held).await;
            if let Some(reject) = self.asked.spoilt() {
                return Err(reject);
            }

            // Judge, and go on, or stop.
            match live.judge(plan, held, verdict) {
                Onward::Commit(held) => {
                    let reply = reply.ok_or(Reject::Broken)?;
                    self.exchange.note_answer_begun();
                    return Ok(Committed { reply, held: Some(held) });
                }
                Onward::Stop => {
                    let reply = reply.ok_or(Reject::Broken)?;
                    return Ok(Committed { reply, held: None });
                }
                Onward::Again => {
                    self.exchange.note_failure(verdict, &detail);
                    if matches!(verdict, Verdict::KeyBad(_)) {
                        refusals.note();
                        hopes = true;
                    }
                    words = reply.or(words);
                    if self.asked.is_used_up() {
                        return self.used_up(verdict, words);
                    }
                }
            }
        }
    }

    /// Its body is gone, and nobody else can be asked: the provider's own words, unless they are about a key of ours.
    fn used_up(&self, verdict: Verdict, words: Option<Reply>) -> Result<Committed, Reject> {
        match verdict {
            Verdict::KeyBad(_) => Err(Reject::KeyRefused),
            _ => self.exhausted(Exhausted::Words, words),
        }
    }

    /// Nobody serves it: the provider's own words if they are the best answer, else the relay's no.
    fn exhausted(&self, why: Exhausted, words: Option<Reply>) -> Result<Committed, Reject> {
        match (why, words) {
            (Exhausted::Words, Some(reply)) => Ok(Committed { reply, held: None }),
            (Exhausted::Broken | Exhausted::Overloaded, Some(reply)) if reply.says(why) => {
                Ok(Committed { reply, held: None })
            }
            _ => Err(Reject::exhausted(why, self.relay.live.now(), self.relay.refusals.put_off())),
        }
    }
}
