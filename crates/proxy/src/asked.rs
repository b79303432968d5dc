//! What a client asks, as one value: its HTTP, its body, what the body says, and who it is. An attempt
//! takes from it as often as needed; a body that is passed on as it comes can be taken only once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::uri::{self, Authority, PathAndQuery};
use relay_core::{Class, ClientId, Conversation, Need, Prefix, ProviderId, Size, Subject, Whose};
use relay_headers::{Headers, Request};
use relay_providers::{Ask, Credential, Offer, Upstream as Prepared};
use relay_transport::RequestBody;
use relay_wire::call::Call;
use relay_wire::measure::measure;

use crate::admit::Client;
use crate::body::{self, Arriving, Fate, Fault, Limited};
use crate::decode::{self, Coded, Copied};
use crate::live::Live;
use crate::reject::Reject;
use crate::snapshot::{Snapshot, Upstream};
use crate::surface::Surface;

/// The header by which Claude Code names a subagent: nobody looks on while it works.
const AGENT: &str = "x-claude-code-agent-id";

/// The header by which Claude Code names a session.
const SESSION: &str = "x-claude-code-session-id";

/// What a client asks.
pub(crate) struct Asked {
    method: Method,
    path: PathAndQuery,
    /// What the client of HTTP/2 called the relay; one of HTTP/1 does so in `host`.
    authority: Option<Authority>,
    headers: Headers,
    client: Client,
    purpose: Purpose,
    load: Load,
}

/// Who speaks in a call, as far as its client says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speaker<'a> {
    pub(crate) client: &'a [u8],
    pub(crate) session: Option<&'a [u8]>,
    /// The subagent.
    pub(crate) agent: Option<&'a [u8]>,
}

/// What it is for, as far as it matters to who may answer.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Purpose {
    Messages,
    CountTokens,
    /// Something that one organization owns; with its name, if the path has it.
    Property(Offer, Option<String>),
}

/// Its body.
enum Load {
    /// Read whole and looked at.
    Message {
        call: Call,
        /// As it came.
        body: Bytes,
        /// Decoded, if it came compressed: what `call` was read from.
        decoded: Option<Copied>,
    },
    /// Passed on as it comes, once.
    Stream { body: Mutex<Option<Limited>>, fate: Fate, limit: u64 },
    /// None.
    Empty,
}

/// A body that is passed on as it comes has been used by an earlier attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the body has been sent to another attempt and cannot be sent again")]
pub(crate) struct UsedUp;

impl Asked {
    /// Reads what is asked.
    pub(crate) async fn read(
        surface: Surface<'_>,
        request: Request<Arriving>,
        client: Client,
        snapshot: &Snapshot,
    ) -> Result<Self, Reject> {
        let server = &snapshot.server;
        let (purpose, limit) = match surface {
            Surface::CountTokens => (Purpose::CountTokens, server.max_body),
            Surface::Batches(id) => {
                (Purpose::Property(Offer::Batches, id.map(str::to_owned)), server.max_batch_body)
            }
            Surface::Files(id) => {
                (Purpose::Property(Offer::Files, id.map(str::to_owned)), server.max_file_body)
            }
            _ => (Purpose::Messages, server.max_body),
        };
        let Request { method, target, headers, body } = request;
        // Any other coding would have to be undone before the body could be passed on.
        let coding = headers.get("transfer-encoding");
        if coding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"chunked")) {
            return Err(Reject::Unreadable);
        }
        let load = match purpose {
            Purpose::Messages | Purpose::CountTokens => message(&headers, body, limit).await?,
            Purpose::Property(..) => streamed(body, limit)?,
        };
        let uri::Parts { path_and_query, authority, .. } = target.into_parts();
        let path = path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { method, path, authority, headers, client, purpose, load })
    }

    /// What it says, if it was looked at.
    pub(crate) fn call(&self) -> Option<&Call> {
        match &self.load {
            Load::Message { call, .. } => Some(call),
            Load::Stream { .. } | Load::Empty => None,
        }
    }

    /// The text of its body, if it was looked at.
    pub(crate) fn text(&self) -> Option<&Bytes> {
        match &self.load {
            Load::Message { body, decoded, .. } => {
                Some(decoded.as_ref().map_or(body, |copied| &copied.bytes))
            }
            Load::Stream { .. } | Load::Empty => None,
        }
    }

    /// What the client calls the relay: host, and port if it named one.
    pub(crate) fn own_authority(&self) -> Option<&str> {
        let host = self.headers.text("host");
        self.authority.as_ref().map(Authority::as_str).or(host)
    }

    /// Is the answer watched for usage, and kept readable for that?
    pub(crate) fn is_watched(&self) -> bool {
        self.purpose == Purpose::Messages
    }

    /// Is a stream of events asked for?
    pub(crate) fn streams(&self) -> bool {
        self.is_watched() && self.call().is_some_and(|call| call.stream)
    }

    /// Is it about something that one key owns?
    pub(crate) fn is_about_property(&self) -> bool {
        matches!(self.purpose, Purpose::Property(..))
    }

    /// Does it ask for a list of what there is?
    fn is_list(&self) -> bool {
        matches!(self.purpose, Purpose::Property(_, None)) && self.method != Method::POST
    }

    /// Does an answer to it name something new that the key which made it owns?
    pub(crate) fn makes_property(&self) -> bool {
        matches!(self.purpose, Purpose::Property(..)) && self.method == Method::POST
    }

    /// Is the answer a page about batches, and not the results of one?
    pub(crate) fn is_about_batches(&self) -> bool {
        matches!(self.purpose, Purpose::Property(Offer::Batches, _))
            && !self.path.path().ends_with("/results")
    }

    /// Can it be asked again?
    pub(crate) fn is_used_up(&self) -> bool {
        match &self.load {
            Load::Stream { body, .. } => body.lock().unwrap_or_else(PoisonError::into_inner).is_none(),
            Load::Message { .. } | Load::Empty => false,
        }
    }

    /// Did its body turn out to be too long, or not come to its end? Then that is the answer.
    pub(crate) fn spoilt(&self) -> Option<Reject> {
        let Load::Stream { fate, limit, .. } = &self.load else { return None };
        Some(match fate.fault()? {
            Fault::TooLong => Reject::TooLarge(*limit),
            Fault::Silent => Reject::Slow,
            Fault::BrokenOff => Reject::Unreadable,
        })
    }

    /// The credential of the client's own that goes upstream, if one does.
    pub(crate) fn own_credential(&self) -> Option<&Credential> {
        self.client.own.as_ref()
    }

    /// What it needs of whoever serves it.
    pub(crate) fn need(&self, snapshot: &Snapshot, live: &Live) -> Need {
        let model = self.call().and_then(|call| call.model.clone());
        let whose = if self.client.own.is_some() { Whose::Client } else { Whose::Pool };
        let (subject, offer) = match &self.purpose {
            Purpose::Messages => (Subject::Model, None),
            Purpose::CountTokens => (Subject::Model, Some(Offer::CountTokens)),
            Purpose::Property(offer, _) => (Subject::Property, Some(*offer)),
        };
        let among = snapshot.able(offer, self.client.own.as_ref());
        let class = match &self.purpose {
            Purpose::Messages => snapshot.class(model.as_deref().unwrap_or_default(), self.is_fast(), &among),
            // Counted in a pool of its own upstream, so it must not rest a model's class here.
            Purpose::CountTokens => Class::of("count_tokens"),
            Purpose::Property(..) => Class::of("files_and_batches"),
        };
        let pinned = self.properties().find_map(|name| live.owner(name));
        // What was made is spread over keys, and each lists its own: a list is always of the same one, or its pages
        // would not follow each other.
        let pinned =
            pinned.or_else(|| offer.filter(|_| self.is_list()).and_then(|offer| snapshot.first_key(offer)));
        let conversation = self.conversation(&class);
        let size = self.size().map(|size| Size { measured: self.measured(snapshot, live, &class), ..size });
        Need {
            class,
            model,
            among,
            pinned,
            subject,
            credential: whose,
            size,
            conversation,
            prefix: self
                .call()
                .filter(|_| self.purpose == Purpose::Messages)
                .and_then(|call| call.prefix)
                .map(Prefix),
        }
    }

    /// Does it ask for a faster answer?
    pub(crate) fn is_fast(&self) -> bool {
        self.call().is_some_and(|call| call.fast)
    }

    /// Who speaks in it.
    pub(crate) fn speaker(&self) -> Speaker<'_> {
        let said = self.call().and_then(|call| call.session.as_deref()).map(str::as_bytes);
        let session = self.headers.get(SESSION).or(said);
        Speaker { client: self.client.name.as_bytes(), session, agent: self.headers.get(AGENT) }
    }

    /// Which conversation it goes on with. Subagents have prompts of their own, and so each is one of its own; and what a
    /// session asks a small model beside its conversation is nothing to that.
    fn conversation(&self, class: &Class) -> Option<Conversation> {
        let call = self.call().filter(|_| self.purpose == Purpose::Messages)?;
        let Speaker { client, session, agent } = self.speaker();
        let Some(session) = session else {
            // Who says no session goes on with all who begin alike.
            let model = call.model.as_deref().unwrap_or_default().as_bytes();
            return Some(Conversation::of(&[client, model, &call.prefix?.to_le_bytes()]));
        };
        Some(Conversation::of(&[client, session, agent.unwrap_or_default(), class.as_str().as_bytes()]))
    }

    /// About how many tokens it has, if somebody may be asked who does not count them, and not too much was measured already.
    fn measured(&self, snapshot: &Snapshot, live: &Live, class: &Class) -> Option<u64> {
        let counts = |upstream: &Upstream| upstream.adapter.facts().offers(Offer::CountTokens);
        if snapshot.providers.iter().all(counts) || !live.wants_measure(class) {
            return None;
        }
        measure(self.text()?)
    }

    /// How many tokens it has, most likely, if that is what it asks and nobody who may answer counts them.
    pub(crate) fn estimated(&self, snapshot: &Snapshot, live: &Live) -> Option<u64> {
        let call = self.call().filter(|_| self.purpose == Purpose::CountTokens)?;
        let model = call.model.as_deref().unwrap_or_default();
        let mut among = snapshot.able(None, self.client.own.as_ref());
        if let Some(owner) = snapshot.fleet.ownership.owner(model).filter(|owner| among.contains(owner)) {
            among = vec![owner];
        }
        let counts = |id: &ProviderId| {
            snapshot.upstream(*id).is_some_and(|upstream| upstream.adapter.facts().offers(Offer::CountTokens))
        };
        if among.is_empty() || among.iter().any(counts) {
            return None;
        }
        let class = snapshot.class(model, false, &among);
        Some(live.reckon(&class, measure(self.text()?)?))
    }

    /// How large it is, if it counts against the limits of its models.
    pub(crate) fn size(&self) -> Option<Size> {
        let call = self.call().filter(|_| self.purpose == Purpose::Messages)?;
        Some(Size {
            bytes: call.len as u64,
            max_tokens: call.max_tokens,
            streams: call.stream,
            background: self.headers.has(AGENT),
            measured: None,
            client: ClientId::of(&self.client.name),
            foretold: None,
        })
    }

    /// What it names that one key owns.
    fn properties(&self) -> impl Iterator<Item = &str> {
        let path = match &self.purpose {
            Purpose::Property(_, name) => name.as_deref(),
            Purpose::Messages | Purpose::CountTokens => None,
        };
        let query =
            self.path.query().filter(|_| self.is_list()).into_iter().flat_map(|query| query.split('&'));
        let cursor =
            query.filter_map(|pair| pair.strip_prefix("after_id=").or(pair.strip_prefix("before_id=")));
        let container = self.call().and_then(|call| call.container.as_deref());
        let files = self.call().into_iter().flat_map(|call| call.files.iter().map(String::as_str));
        path.into_iter().chain(cursor).chain(container).chain(files)
    }

    /// Why no provider is able to carry it.
    pub(crate) fn nobody(&self, snapshot: &Snapshot, renewed: Option<Duration>) -> Reject {
        let own = self.client.own.is_some();
        let (offer, wanted) = match &self.purpose {
            Purpose::Messages => (None, None),
            Purpose::CountTokens => (Some(Offer::CountTokens), Some("count_tokens")),
            Purpose::Property(Offer::Batches, _) => (Some(Offer::Batches), Some("batches")),
            Purpose::Property(offer, _) => (Some(*offer), Some("files")),
        };
        match wanted {
            _ if !own && snapshot.waits_for_a_key(offer) => Reject::NoKeyYet { renewed },
            Some(what) => Reject::NotOffered(what),
            None if own => Reject::NotTaken,
            None => Reject::NoCredential,
        }
    }

    /// The same for an adapter.
    pub(crate) fn ask(&self) -> Ask<'_> {
        let call = match &self.load {
            Load::Message { call, body, decoded } => {
                Some((call, decoded.as_ref().map_or(body, |copied| &copied.bytes)))
            }
            Load::Stream { .. } | Load::Empty => None,
        };
        Ask { path: &self.path, headers: &self.headers, call }
    }

    /// The upstream request: what the adapter prepared, with the body.
    pub(crate) fn request(&self, prepared: Prepared) -> Result<Request<RequestBody>, UsedUp> {
        let Prepared { path, mut headers, edits } = prepared;
        let body = match (&self.load, edits) {
            (Load::Message { body, .. }, None) => body.clone().into(),
            (Load::Message { .. }, Some(edits)) => {
                // What was edited is the decoded copy, and it goes as such.
                headers.remove("content-encoding");
                edits.apply().iter().cloned().collect::<Vec<_>>().into()
            }
            (Load::Stream { body, .. }, _) => {
                let body = body.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(UsedUp)?;
                RequestBody::stream(body)
            }
            (Load::Empty, _) => RequestBody::empty(),
        };
        Ok(Request { method: self.method.clone(), target: path.into(), headers, body })
    }
}

/// Reads a message and looks at it once.
async fn message(headers: &Headers, body: Arriving, limit: u64) -> Result<Load, Reject> {
    let body = body::read(body, limit).await?;
    let decoded = match Coded::of(headers) {
        Coded::Plain | Coded::Unknown => None,
        Coded::Known(coding) => decode::whole_aside(coding, &body, limit).await,
    };
    let seen = decoded.as_ref().map_or(&body, |copied| &copied.bytes);
    // What cannot be read is forwarded all the same: the provider's own words about it are the real ones.
    let call = Call::read(seen).unwrap_or_else(|_| Call::opaque(body.len()));
    Ok(Load::Message { call, body, decoded })
}

fn streamed(body: Arriving, limit: u64) -> Result<Load, Reject> {
    use http_body::Body;
    if body.is_end_stream() {
        return Ok(Load::Empty);
    }
    let (body, fate) = Limited::new(body, limit)?;
    Ok(Load::Stream { body: Mutex::new(Some(body)), fate, limit })
}
