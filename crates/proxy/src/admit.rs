//! Who may ask. It knows the relay's own credentials, and which of the client's may go upstream.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use relay_config::checked::{Auth, UnknownKey};
use relay_core::Time;
use relay_headers::Headers;
use relay_providers::compatible::{X_API_KEY, X_CC_RELAY_KEY};
use relay_providers::{Credential, Secret};

use crate::reject::{Denied, Reject};

/// What `config cc init` writes into Claude Code's settings: it opens nothing and never goes upstream.
pub const PLACEHOLDER: &str = "managed-by-cc-relay";

/// The beginning of a subscription's access token.
const SUBSCRIPTION: &str = "sk-ant-oat";

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Client {
    /// Its name in logs.
    pub(crate) name: String,
    /// Its own credential, for the provider; none means that a key of the pool is used.
    pub(crate) own: Option<Credential>,
    pub(crate) standing: Standing,
}

/// Whether the relay itself knows who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It does, or it serves everybody.
    Known,
    /// Only the provider can tell: a login is passed on unread. What the relay answers by itself is not for him.
    Unread,
}

/// The credentials that a request brought, as they stand in its headers. Not to be printed.
#[derive(Default)]
struct Brought<'a> {
    relay_key: Option<&'a str>,
    api_key: Option<&'a str>,
    bearer: Option<&'a str>,
    /// `authorization` was there, but of another scheme.
    other_scheme: bool,
    /// `authorization: Bearer` without a token.
    empty_bearer: bool,
}

/// Whether a pool has a key to use in place of one that a client brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pool {
    /// It has.
    Stocked,
    /// It has none.
    Empty,
}

/// Who asks, and with whose credential it goes on. `called` is what its target calls the relay, if it does so: in HTTP/2,
/// and where a proxy was meant.
pub(crate) fn client(
    auth: &Auth,
    pool: Pool,
    (called, headers): (Option<&Authority>, &Headers),
) -> Result<Client, Reject> {
    let brought = Brought::read(headers);
    let known = |brought: Option<&str>| recognised(auth, brought?);
    let subscription = || own_subscription(auth, &brought);

    if brought.relay_key.is_some() {
        let name = known(brought.relay_key).ok_or(Reject::Denied(Denied::RelayKey))?;
        return Ok(Client { name, own: subscription(), standing: Standing::Known });
    }
    if let Some(name) = known(brought.api_key).or_else(|| known(brought.bearer)) {
        return Ok(Client { name, own: subscription(), standing: Standing::Known });
    }
    if let Some(own) = subscription() {
        let standing = if auth.asks() { Standing::Unread } else { Standing::Known };
        return Ok(Client { name: "subscription".to_owned(), own: Some(own), standing });
    }
    if auth.any_bearer && brought.bearer.is_some() {
        return Ok(Client { name: "bearer".to_owned(), own: None, standing: Standing::Known });
    }
    if auth.asks() {
        return Err(Reject::Denied(brought.fault(auth)));
    }
    if !auth.open && is_foreign(called, headers) {
        return Err(Reject::Foreign);
    }
    let own = if auth.unknown_key == UnknownKey::Pass || pool == Pool::Empty { brought.own() } else { None };
    Ok(Client { name: "open".to_owned(), own, standing: Standing::Known })
}

/// Is it a web page from elsewhere that asks, by way of the user's browser? A relay that asks nobody who he is, because
/// only this machine can reach it, can be reached by every page that the user looks at.
fn is_foreign(called: Option<&Authority>, headers: &Headers) -> bool {
    let Some(origin) = headers.get("origin") else {
        let host = headers.get("host").and_then(|host| Authority::try_from(host).ok());
        return called.into_iter().chain(host.as_ref()).any(is_renamed);
    };
    let uri = Uri::try_from(origin).ok();
    !uri.as_ref().and_then(Uri::host).is_some_and(is_here)
}

/// Is that a name of the public internet? Whoever owns one can give it this machine's address, and his page is then no
/// stranger to the browser. Addresses are fine, and so are names that nobody outside can own.
fn is_renamed(called: &Authority) -> bool {
    /// Reserved for private use (RFC 6761, RFC 6762, RFC 8375, and ICANN's decision of July 2024 on `.internal`).
    const PRIVATE: [&str; 5] = [".localhost", ".local", ".test", ".internal", ".home.arpa"];
    let name = called.host().trim_end_matches('.').to_ascii_lowercase();
    let private = PRIVATE.iter().any(|private| name.ends_with(private));
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    name.contains('.') && !private && !address
}

/// Does a host name mean this machine?
pub(crate) fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    let local = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    local || host == "localhost" || host.ends_with(".localhost")
}

/// The name of the client whose key that is. Every key is compared, whichever matches.
fn recognised(auth: &Auth, brought: &str) -> Option<String> {
    let mut name = None;
    for client in &auth.clients {
        if client.secret.is(brought) && !brought.is_empty() {
            name = Some(&client.name);
        }
    }
    name.cloned()
}

/// Is it the login of a subscription?
pub(crate) fn is_subscription(own: &Credential) -> bool {
    matches!(own, Credential::OwnBearer(bearer) if bearer.expose().starts_with(SUBSCRIPTION))
}

/// The client's subscription, if it brought one that may be passed through.
fn own_subscription(auth: &Auth, brought: &Brought<'_>) -> Option<Credential> {
    let bearer = brought.bearer.filter(|bearer| bearer.starts_with(SUBSCRIPTION))?;
    let passed = auth.passthrough && recognised(auth, bearer).is_none();
    passed.then(|| Credential::OwnBearer(Secret::new(bearer)))
}

impl<'a> Brought<'a> {
    fn read(headers: &'a Headers) -> Self {
        let text = |name| headers.text(name);
        let secret = |text: &'a str| Some(text.trim()).filter(|text| !text.is_empty());
        let mut brought = Self {
            relay_key: text(X_CC_RELAY_KEY).and_then(secret),
            api_key: text(X_API_KEY).and_then(secret),
            ..Self::default()
        };
        if let Some(authorization) = text("authorization") {
            let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
            if scheme.eq_ignore_ascii_case("bearer") {
                brought.bearer = secret(token);
                brought.empty_bearer = brought.bearer.is_none();
            } else {
                brought.other_scheme = true;
            }
        }
        brought
    }

    /// What is wrong with what was brought, in the client's own terms.
    fn fault(&self, auth: &Auth) -> Denied {
        match self {
            Self { api_key: Some(_), .. } => Denied::ApiKey,
            Self { bearer: Some(_), .. } => Denied::Bearer,
            Self { empty_bearer: true, .. } => Denied::EmptyBearer,
            Self { other_scheme: true, .. } => Denied::Scheme,
            _ if auth.clients.is_empty() => Denied::EmptyBearer,
            _ => Denied::Missing,
        }
    }

    /// The client's own credential for the provider: exactly one, and never the placeholder.
    fn own(self) -> Option<Credential> {
        let real = |brought: &&str| *brought != PLACEHOLDER;
        let key = self.api_key.filter(real).map(|key| Credential::OwnKey(Secret::new(key)));
        key.or_else(|| self.bearer.filter(real).map(|bearer| Credential::OwnBearer(Secret::new(bearer))))
    }
}

/// Slows guessing down: each wrong credential from an address doubles the time until it hears so.
#[derive(Debug, Default)]
pub(crate) struct Penalties {
    by_address: Mutex<BTreeMap<IpAddr, Penalty>>,
}

#[derive(Clone, Copy, Debug)]
struct Penalty {
    strikes: u32,
    last: Time,
}

impl Penalties {
    /// The first wrong credential costs this.
    const FIRST: Duration = Duration::from_millis(100);
    /// None costs more than this.
    const MOST: Duration = Duration::from_secs(5);
    /// After this long without one, an address begins anew.
    const FORGOTTEN: Duration = Duration::from_mins(1);
    /// The most addresses that are remembered; beyond it the oldest are forgotten.
    const ADDRESSES: usize = 10_000;

    /// That address sent a wrong credential: how long until it is told.
    pub(crate) fn strike(&self, address: IpAddr, now: Time) -> Duration {
        let mut known = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::ADDRESSES {
            known.retain(|_, penalty| now.since(penalty.last) < Self::FORGOTTEN);
        }
        if known.len() >= Self::ADDRESSES {
            known.clear();
        }
        let penalty = known.entry(address).or_insert(Penalty { strikes: 0, last: now });
        if now.since(penalty.last) >= Self::FORGOTTEN {
            penalty.strikes = 0;
        }
        let delay = Self::FIRST.saturating_mul(1 << penalty.strikes.min(16)).min(Self::MOST);
        *penalty = Penalty { strikes: penalty.strikes.saturating_add(1), last: now };
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay_config::checked;
    use relay_headers::Value;

    #[test]
    fn a_page_from_elsewhere_is_not_let_in_where_nobody_is_asked_who_he_is() {
        let open = auth(&[]);
        let mut headers = Headers::default();
        for (origin, foreign) in [
            ("http://localhost:3000", false),
            ("http://127.0.0.1", false),
            ("http://[::1]:5173", false),
            ("http://app.localhost", false),
            ("https://evil.example", true),
            ("http://localhost.evil.example", true),
            ("http://127.0.0.1.evil.example", true),
            ("null", true),
            ("\u{fc}", true),
        ] {
            headers.set("origin", Value::new(origin.as_bytes()).unwrap());
            let admitted = client(&open, Pool::Stocked, (None, &headers));
            assert_eq!(admitted == Err(Reject::Foreign), foreign, "{origin}");
            let meant = Auth { open: true, ..open.clone() };
            assert!(client(&meant, Pool::Stocked, (None, &headers)).is_ok(), "{origin}");
            headers.set(X_API_KEY, Value::fixed("key"));
            assert!(
                client(&auth(&[("me", "key")]), Pool::Stocked, (None, &headers)).is_ok(),
                "who knows a key may"
            );
            headers.remove(X_API_KEY);
        }
    }

    #[test]
    fn a_page_that_gave_its_own_name_this_machines_address_is_not_let_in_either() {
        let open = auth(&[]);
        let mut headers = Headers::default();
        for (host, foreign) in [
            ("127.0.0.1:8787", false),
            ("192.168.1.7:8787", false),
            ("[::1]:8787", false),
            ("localhost:8787", false),
            ("relay", false),
            ("relay.local", false),
            ("host.docker.internal:8787", false),
            ("evil.example:8787", true),
            ("evil.example.", true),
            ("127.0.0.1.evil.example", true),
            ("nas.home.arpa", false),
            ("home.arpa.evil.example", true),
            ("1.1.168.192.in-addr.arpa", true),
            ("x.0.8.b.d.1.0.0.2.ip6.arpa", true),
        ] {
            // In HTTP/2 it is the target that says so, and there need not be a `host`.
            let called = Authority::from_static(host);
            let refused = client(&open, Pool::Stocked, (Some(&called), &Headers::default()));
            assert_eq!(refused == Err(Reject::Foreign), foreign, "{host}");
            headers.set("host", Value::new(host.as_bytes()).unwrap());
            assert_eq!(
                client(&open, Pool::Stocked, (None, &headers)) == Err(Reject::Foreign),
                foreign,
                "{host}"
            );
            let meant = Auth { open: true, ..open.clone() };
            assert!(client(&meant, Pool::Stocked, (None, &headers)).is_ok(), "{host}");
        }
    }

    const OAT: &str = "sk-ant-oat01-user";

    fn auth(clients: &[(&str, &str)]) -> Auth {
        let client = |(name, secret): &(&str, &str)| checked::Client {
            name: (*name).to_owned(),
            secret: Secret::new(*secret),
        };
        Auth {
            clients: clients.iter().map(client).collect(),
            client_files: Vec::new(),
            any_bearer: false,
            open: false,
            passthrough: true,
            unknown_key: UnknownKey::Pool,
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> Headers {
        let mut list = Headers::default();
        for (name, value) in pairs {
            list.add(name, Value::new(value.as_bytes()).unwrap());
        }
        list
    }

    fn bearer(token: &str) -> Credential {
        Credential::OwnBearer(Secret::new(token))
    }

    fn key(key: &str) -> Credential {
        Credential::OwnKey(Secret::new(key))
    }

    #[track_caller]
    fn admits(auth: &Auth, pairs: &[(&'static str, &str)], name: &str, own: Option<Credential>) {
        // Of a login the relay knows nothing by itself.
        let unread = name == "subscription" && auth.asks();
        let standing = if unread { Standing::Unread } else { Standing::Known };
        let expect = Ok(Client { name: name.to_owned(), own, standing });
        assert_eq!(client(auth, Pool::Stocked, (None, &headers(pairs))), expect);
    }

    #[track_caller]
    fn denies(auth: &Auth, pairs: &[(&'static str, &str)], why: Denied) {
        assert_eq!(client(auth, Pool::Stocked, (None, &headers(pairs))), Err(Reject::Denied(why)));
    }

    #[test]
    fn a_key_of_the_relay_opens_it_in_any_header_and_never_goes_on() {
        let auth = auth(&[("team-a", "relay-a"), ("team-b", "relay-b")]);
        admits(&auth, &[("x-api-key", "relay-b")], "team-b", None);
        admits(&auth, &[("authorization", "Bearer relay-a")], "team-a", None);
        admits(&auth, &[("authorization", "bearer relay-a")], "team-a", None);
        admits(&auth, &[("x-cc-relay-key", "relay-a")], "team-a", None);
        admits(&auth, &[("x-api-key", "relay-a"), ("authorization", "Bearer relay-a")], "team-a", None);
        admits(&auth, &[("x-api-key", "wrong"), ("authorization", "Bearer relay-a")], "team-a", None);
    }

    /// W59 of the old program: any separator after `Bearer`, and an error about a header nobody sent.
    #[test]
    fn w59_what_is_wrong_is_said_of_what_was_sent() {
        let auth = auth(&[("default", "relay")]);
        denies(&auth, &[], Denied::Missing);
        denies(&auth, &[("x-api-key", "wrong")], Denied::ApiKey);
        denies(&auth, &[("authorization", "Bearer wrong")], Denied::Bearer);
        denies(&auth, &[("authorization", "BearerXrelay")], Denied::Scheme);
        denies(&auth, &[("authorization", "Basic cmVsYXk=")], Denied::Scheme);
        denies(&auth, &[("authorization", "Bearer ")], Denied::EmptyBearer);
        denies(&auth, &[("x-cc-relay-key", "wrong"), ("x-api-key", "relay")], Denied::RelayKey);
        denies(&auth, &[("x-api-key", PLACEHOLDER)], Denied::ApiKey);
    }

    #[test]
    fn a_subscription_passes_through_and_may_prove_itself_beside() {
        let asked = auth(&[("default", "relay")]);
        let authorization = format!("Bearer {OAT}");
        let sent = ("authorization", authorization.as_str());
        admits(&asked, &[sent], "subscription", Some(bearer(OAT)));
        admits(&asked, &[sent, ("x-cc-relay-key", "relay")], "default", Some(bearer(OAT)));
        admits(&asked, &[sent, ("x-api-key", "relay")], "default", Some(bearer(OAT)));
        let closed = Auth { passthrough: false, ..asked };
        denies(&closed, &[sent], Denied::Bearer);
        admits(&closed, &[sent, ("x-cc-relay-key", "relay")], "default", None);
    }

    /// W19 of the old program: any credential of the client's switched the pool off and went upstream,
    /// also the relay's own and the placeholder.
    #[test]
    fn w19_what_the_relay_itself_recognises_never_goes_upstream() {
        let asked = auth(&[("default", "sk-ant-oat-like-relay-key")]);
        admits(&asked, &[("authorization", "Bearer sk-ant-oat-like-relay-key")], "default", None);
        let open = auth(&[]);
        admits(&open, &[("authorization", "Bearer managed-by-cc-relay")], "open", None);
        let bare =
            client(&open, Pool::Empty, (None, &headers(&[("authorization", "Bearer managed-by-cc-relay")])));
        assert_eq!(bare.unwrap().own, None);
        let any = Auth { any_bearer: true, ..auth(&[]) };
        admits(&any, &[("authorization", "Bearer managed-by-cc-relay")], "bearer", None);
    }

    #[test]
    fn an_open_relay_replaces_an_unknown_key_or_passes_it_as_configured() {
        let open = auth(&[]);
        admits(&open, &[], "open", None);
        admits(&open, &[("x-api-key", "sk-ant-api-own")], "open", None);
        let pass = Auth { unknown_key: UnknownKey::Pass, ..auth(&[]) };
        admits(&pass, &[("x-api-key", "sk-ant-api-own")], "open", Some(key("sk-ant-api-own")));
        admits(&pass, &[("authorization", "Bearer sk-ant-api-own")], "open", Some(bearer("sk-ant-api-own")));
        let both = [("x-api-key", "own"), ("authorization", "Bearer own")];
        admits(&pass, &both, "open", Some(key("own")));
        let bare = client(&open, Pool::Empty, (None, &headers(&[("x-api-key", "own")])));
        assert_eq!(bare.unwrap().own, Some(key("own")));
    }

    #[test]
    fn guesses_are_answered_more_and_more_slowly() {
        let penalties = Penalties::default();
        let address = |last| IpAddr::from([10, 0, 0, last]);
        let now = Time::EPOCH + Duration::from_secs(1_000);
        let delays: Vec<_> = (0..8).map(|_| penalties.strike(address(1), now).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(penalties.strike(address(2), now).as_millis(), 100);
        assert_eq!(penalties.strike(address(1), now + Duration::from_mins(1)).as_millis(), 100);
    }
}
