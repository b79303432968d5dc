//! The limits of organizations, as their provider lists them for an Admin API key: asked for every hour beside requests,
//! and never on their way.
//!
//! It knows when to ask, and what to say of it. How the lists are written is `relay_wire`'s, and what limits mean
//! `relay_core`'s.

mod classes;
mod failure;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use relay_config::Config;
use relay_config::checked::AdminSource;
use relay_core::{Class, Counted, Holder, KeyId, ProviderId, Time};
use relay_headers::{Headers, Request, Response, Value};
use relay_providers::{Ask, Credential, Order, Secret};
use relay_transport::RequestBody;
use relay_wire::rate_limits::{self, Group};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::escape::escaped;
use crate::keyring;
use crate::relay::Relay;
use crate::serve::drained;
use crate::snapshot::Upstream;

use self::classes::{Limit, by_class, spanned, summary};
use self::failure::Failure;

/// How often limits are asked for. They seldom change, and what answers show corrects them in between.
const EVERY: Duration = Duration::from_hours(1);

/// So long after a failure it is asked again, after each further one twice as long, and never longer than usual.
const AGAIN: Duration = Duration::from_mins(1);

/// How often it is looked whether answers have named a workspace whose limits were not asked for yet.
const NOTICE: Duration = Duration::from_mins(1);

/// How long one list may take, all its pages together. It is short, and nobody waits for it but this.
const PATIENCE: Duration = Duration::from_mins(1);

/// The longest page that is read, in bytes. A group of models has a few hundred.
const LONGEST_PAGE: usize = 1 << 20;

/// The most pages that one list may have. All groups fit into the first.
const MOST_PAGES: usize = 20;

/// The list of an organization. Other limits than those of models are not the relay's.
const ORGANIZATION: &str = "/v1/organizations/rate_limits?group_type=model_group";

/// How the names begin by which the API knows workspaces. The default workspace has no name and no limits of its own.
const WORKSPACE: &str = "wrkspc_";

/// An Admin API key, the key whose organization it is of, and what was read with it.
pub(crate) struct Announced {
    relay: Arc<Relay>,
    provider: ProviderId,
    key: KeyId,
    /// What operators call that key.
    name: String,
    source: AdminSource,
    /// The limits of the organization, and those of its workspaces by name, as they were read last.
    known: BTreeMap<Option<String>, Vec<Limit>>,
    /// The classes of models that were said to share one limit.
    spanned: BTreeSet<String>,
    /// What can be done about the last failure, if that was the last that happened. It is said once.
    failing: Option<&'static str>,
}

/// One list, and whose it is.
struct List {
    organization: Option<String>,
    groups: Vec<Group>,
}

/// All Admin API keys of a configuration.
pub(crate) fn all(relay: &Arc<Relay>, config: &Config) -> Vec<Announced> {
    let providers = config.providers.iter().enumerate();
    let keys = providers.flat_map(|(index, provider)| {
        let keys = provider.keys.iter().enumerate();
        keys.map(move |(place, key)| ((index, place), ProviderId::of(&provider.name), key))
    });
    let announced = |(place, provider, key): (_, _, &relay_config::checked::Key)| {
        let (known, spanned, failing) = Default::default();
        Some(Announced {
            relay: Arc::clone(relay),
            provider,
            key: key.id(provider),
            name: keyring::name(config, place),
            source: key.admin.clone()?,
            known,
            spanned,
            failing,
        })
    };
    keys.filter_map(announced).collect()
}

impl Announced {
    /// Asks again and again, until the relay drains. What is under way then is given up.
    pub(crate) async fn run(mut self, mut draining: watch::Receiver<bool>) {
        tokio::select! {
            () = drained(&mut draining) => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&mut self) {
        let mut again = AGAIN;
        loop {
            match self.look().await {
                Ok(()) => {
                    if self.failing.take().is_some() {
                        tracing::info!(key = self.name, "the limits of the organization are read again");
                    }
                    again = AGAIN;
                    self.rest().await;
                }
                Err(failure) => {
                    self.complain(&failure);
                    tokio::time::sleep(again).await;
                    again = (again * 2).min(EVERY);
                }
            }
        }
    }

    /// Waits until it is time to ask again.
    async fn rest(&self) {
        let due = Instant::now() + EVERY;
        while Instant::now() < due {
            tokio::time::sleep_until(due.min(Instant::now() + NOTICE)).await;
            // Those of a key that was not there could not be taken over.
            let mut all = std::iter::once(None).chain(self.workspaces().into_keys().map(Some));
            if all.any(|whose| !self.known.contains_key(&whose)) {
                return;
            }
        }
    }

    /// Reads everything once.
    async fn look(&mut self) -> Result<(), Failure> {
        let secret = match &self.source {
            AdminSource::Value(secret) => secret.clone(),
            AdminSource::File(path) => keyring::from_file(path).await.map_err(Failure::NoKey)?,
        };
        let List { organization, groups } = self.list(&secret, ORGANIZATION).await?;
        if let (Some(answered), Some(own)) = (organization, self.organization())
            && answered != own
        {
            return Err(Failure::Stranger { answered, own });
        }
        self.take_over(None, self.key, &groups);
        for (name, key) in self.workspaces() {
            let path = format!("/v1/organizations/workspaces/{}/rate_limits", escaped(&name));
            let groups = match self.list(&secret, &path).await {
                Ok(list) => list.groups,
                // It has none of its own.
                Err(Failure::Status(StatusCode::NOT_FOUND)) => Vec::new(),
                Err(failure) => return Err(failure),
            };
            self.take_over(Some(name), key, &groups);
        }
        Ok(())
    }

    /// The organization that the key's own answers have named.
    fn organization(&self) -> Option<String> {
        let report = self.relay.live.report();
        let mut keys = report.providers.into_iter().flat_map(|provider| provider.keys);
        keys.find(|key| key.id == self.key)?.organization
    }

    /// The workspaces of that organization which answers have named, each with a key of it.
    fn workspaces(&self) -> BTreeMap<String, KeyId> {
        let report = self.relay.live.report();
        let own = report.providers.into_iter().find(|provider| provider.id == self.provider);
        let keys = own.map(|provider| provider.keys).unwrap_or_default();
        let organization =
            keys.iter().find(|key| key.id == self.key).and_then(|key| key.organization.clone());
        let of_it = |key: &relay_core::KeyReport| {
            key.id == self.key || organization.is_some() && key.organization == organization
        };
        let keys = keys.into_iter().filter(of_it);
        let named = keys.filter_map(|key| Some((key.workspace?, key.id)));
        named.filter(|(name, _)| name.starts_with(WORKSPACE)).collect()
    }

    /// The relay keeps these from now on, and none that were listed before and are not any more.
    fn take_over(&mut self, workspace: Option<String>, key: KeyId, groups: &[Group]) {
        let relay = Arc::clone(&self.relay);
        let snapshot = relay.snapshot.load();
        let limits = by_class(groups, &snapshot.families);
        let before = self.known.get(&workspace);
        let listed: Vec<_> = match workspace {
            None => {
                before.into_iter().flatten().map(|(class, counted, _)| (class.clone(), *counted)).collect()
            }
            Some(_) => self.narrower(key),
        };
        let is_listed = |(class, counted): &(Class, Counted)| {
            limits.iter().any(|(known, also, _)| (known, also) == (class, counted))
        };
        let lifted = listed.into_iter().filter(|known| !is_listed(known));
        let lifted = lifted.map(|(class, counted)| (class, counted, None));
        let told = limits.iter().map(|(class, counted, most)| (class.clone(), *counted, Some(*most)));
        let all: Vec<_> = told.chain(lifted).collect();
        let holder = if workspace.is_some() { Holder::Workspace } else { Holder::Organization };
        if !relay.live.announce(key, holder, &all) {
            // Its file or command gives no key at the moment; once it does, what answers tell is kept.
            return;
        }
        if before.is_none_or(|before| *before != limits) {
            let (key, limits) = (self.name.as_str(), summary(&limits));
            match &workspace {
                None => tracing::info!(key, limits, "limits of the organization read"),
                Some(workspace) => tracing::info!(key, workspace, limits, "limits of the workspace read"),
            }
        }
        for classes in spanned(groups, &snapshot.families) {
            if self.spanned.insert(classes.clone()) {
                let hint =
                    "give them one class in `routing.model_classes`; until then each is held to all of it";
                tracing::warn!(
                    key = self.name,
                    classes,
                    hint,
                    "models that share a limit are of several classes"
                );
            }
        }
        self.known.insert(workspace, limits);
    }

    /// What the workspace of a key is held to by such a list, perhaps one that was read before a restart: heads of answers
    /// tell of a workspace only what limits both kinds of tokens together.
    fn narrower(&self, key: KeyId) -> Vec<(Class, Counted)> {
        let report = self.relay.live.report();
        let mut keys = report.providers.into_iter().flat_map(|provider| provider.keys);
        let limits = keys.find(|known| known.id == key).map(|key| key.limits).unwrap_or_default();
        let of_lists = limits
            .into_iter()
            .filter(|limit| limit.holder == Some(Holder::Workspace) && limit.counted != Counted::Tokens);
        of_lists.filter_map(|limit| Some((limit.class?, limit.counted))).collect()
    }

    fn complain(&mut self, failure: &Failure) {
        let hint = failure.hint();
        if self.failing.replace(hint) != Some(hint) {
            let error = relay_telemetry::chain(failure);
            tracing::warn!(key = self.name, %error, hint, "the limits of the organization could not be read");
        }
    }

    /// Reads all pages of a list.
    async fn list(&self, secret: &Secret, path: &str) -> Result<List, Failure> {
        let pages = async {
            let mut list = List { organization: None, groups: Vec::new() };
            let mut next = None;
            for _ in 0..MOST_PAGES {
                let page = self.page(secret, path, next.as_deref(), &mut list).await?;
                let Some(page) = page else { return Ok(list) };
                next = Some(page);
            }
            Err(Failure::Endless)
        };
        tokio::time::timeout(PATIENCE, pages).await.map_err(|_| Failure::Late)?
    }

    /// Reads one page into a list. With how the next one is asked for.
    async fn page(
        &self,
        secret: &Secret,
        path: &str,
        page: Option<&str>,
        list: &mut List,
    ) -> Result<Option<String>, Failure> {
        let snapshot = self.relay.snapshot.load_full();
        let upstream = snapshot.upstream(self.provider).ok_or(Failure::Unaskable)?;
        let request = request(upstream, secret, path, page).ok_or(Failure::Unaskable)?;
        let sent = snapshot.transport.send(&upstream.origin, request, upstream.deadlines).await;
        let Response { status, headers, body } = sent.map_err(Failure::Unsent)?;
        if status != StatusCode::OK {
            return Err(Failure::Status(status));
        }
        let body = Limited::new(body, LONGEST_PAGE).collect().await.map_err(Failure::Unread)?;
        let page = rate_limits::read(&body.to_bytes()).map_err(Failure::NoPage)?;
        list.organization = headers.text("anthropic-organization-id").map(str::to_owned);
        list.groups.extend(page.groups);
        Ok(page.next)
    }
}

/// The request for a page of a list. None if the parts do not make one.
fn request(
    upstream: &Upstream,
    secret: &Secret,
    path: &str,
    page: Option<&str>,
) -> Option<Request<RequestBody>> {
    let path = match page {
        None => path.to_owned(),
        Some(page) => {
            let separator = if path.contains('?') { '&' } else { '?' };
            format!("{path}{separator}page={}", escaped(page))
        }
    };
    let path = PathAndQuery::from_maybe_shared(Bytes::from(path)).ok()?;
    let mut headers = Headers::default();
    headers.add("accept", Value::fixed("application/json"));
    headers.add("anthropic-version", Value::fixed("2023-06-01"));
    headers.add("user-agent", Value::fixed(concat!("cc-relay/", env!("CARGO_PKG_VERSION"))));
    let (ask, credential) =
        (Ask { path: &path, headers: &headers, call: None }, Credential::Key(secret.clone()));
    // What lists limits signs nothing.
    let order = Order { ask, target: &upstream.target, credential: &credential, now: Time::default() };
    let prepared = upstream.adapter.prepare(&order).ok()?;
    let (target, headers) = (prepared.path.into(), prepared.headers);
    Some(Request { method: Method::GET, target, headers, body: RequestBody::empty() })
}
