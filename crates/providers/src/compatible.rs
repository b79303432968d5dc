//! How a request to a provider that speaks as Anthropic does is written: every header of the client's
//! but for those that end here, one credential, and the model under the name that the provider has for it.

use std::fmt::Write as _;

use bytes::Bytes;
use http::uri::PathAndQuery;
use relay_headers::{Header, Headers, Names, Value};
use relay_wire::edit::{Edits, Outline, quoted};

use zeroize::Zeroizing;

use crate::adapter::{Ask, Auth, Credential, Facts, Order, Scheme, Target, Unsupported, Upstream};
use crate::features::{self, Feature};
use crate::secret::Secret;

/// `x-api-key`.
pub const X_API_KEY: &str = "x-api-key";
/// `x-cc-relay-key`: the client's key to the relay when `authorization` is taken by a subscription.
pub const X_CC_RELAY_KEY: &str = "x-cc-relay-key";
/// `x-cc-relay-via`: the relays that a request has passed. Only the relay itself writes it.
pub const X_CC_RELAY_VIA: &str = "x-cc-relay-via";
pub(crate) const ANTHROPIC_VERSION: &str = "anthropic-version";
pub(crate) const AUTHORIZATION: &str = "authorization";

/// What asks for a message.
pub(crate) const MESSAGES: &str = "/v1/messages";
/// What asks how many tokens one would have.
pub(crate) const COUNT_TOKENS: &str = "/v1/messages/count_tokens";

/// Does a header end at the relay? Those of one hop do (RFC 9110, section 7.6.1), those that name the client's
/// network or its cookies or what stands before the relay, those that the transport writes, and every credential.
/// Cloudflare, which stands before Anthropic's API too, refuses requests that carry headers of its own.
fn ends_here(header: Header<'_>) -> bool {
    // Those that every request has come first: they are looked for in this order.
    const HERE: Names = Names::of(&[
        "host",
        "content-length",
        "connection",
        X_API_KEY,
        "authorization",
        X_CC_RELAY_KEY,
        X_CC_RELAY_VIA,
        "transfer-encoding",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "upgrade",
        "cookie",
        "forwarded",
        "x-real-ip",
        "expect",
        "via",
        "cdn-loop",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "fly-client-ip",
    ]);
    const FAMILIES: [&[u8]; 2] = [b"x-forwarded-", b"cf-"];
    let begins = |with: &[u8]| {
        header.name().get(..with.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(with))
    };
    HERE.have(&header) || FAMILIES.into_iter().any(begins)
}

/// Writes the request.
pub(crate) fn prepare(facts: &Facts, order: &Order<'_>) -> Result<Upstream, Unsupported> {
    let Order { ask, target, credential, .. } = order;
    let mut headers = forwarded(ask.headers);
    if ask.call.is_some() {
        // A compressed stream cannot be watched.
        headers.set("accept-encoding", Value::fixed("identity"));
    }
    authorise(&mut headers, facts.auth, credential)?;
    let edits = match ask.call {
        Some((call, body)) => {
            let model = call.model.as_deref().unwrap_or_default();
            let name = target.models.sent(model, facts.knows_long);
            let lacks = (facts.lacks)(&name);
            let asks = features::strip_betas(&mut headers, lacks) || features::may_ask(body, lacks);
            let unsigned = call.unsigned && (facts.signed_only)(&name);
            let name = call.model.as_deref().filter(|asked| *asked != name).map(|_| &*name);
            edited(body, name, if asks { lacks } else { &[] }, unsigned)?
        }
        None => None,
    };
    Ok(Upstream { path: join(target, ask)?, headers, edits })
}

/// The client's headers without those that end here.
pub(crate) fn forwarded(client: &Headers) -> Headers {
    let hops: Vec<&[u8]> = client.of_one_hop().collect();
    // A doubled version is refused upstream; the first is the one the client's own code set.
    let mut versions = 0;
    client.kept(|header| {
        versions += usize::from(header.is(ANTHROPIC_VERSION));
        let again = header.is(ANTHROPIC_VERSION) && versions > 1;
        let hop = hops.iter().any(|name| name.eq_ignore_ascii_case(header.name()));
        !again && !hop && !ends_here(header)
    })
}

/// A text as one segment of a path, with these bytes as they are (RFC 3986, section 2.3).
pub(crate) fn encoded(text: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Sets the one credential.
pub(crate) fn authorise(
    headers: &mut Headers,
    auth: Auth,
    credential: &Credential,
) -> Result<(), Unsupported> {
    let secret = |words| Value::new(words).map_err(|_| Unsupported::Credential);
    match (credential, auth.scheme) {
        (Credential::None, _) => {}
        (Credential::OwnKey(key), _) | (Credential::Key(key), Scheme::ApiKey) => {
            headers.set_secret(X_API_KEY, secret(key.expose().as_bytes())?);
        }
        (Credential::OwnBearer(key), _) | (Credential::Key(key), Scheme::Bearer) => bearer(headers, key)?,
        (Credential::Key(_), Scheme::Signature) => return Err(Unsupported::Credential),
    }
    Ok(())
}

/// Writes a key into `authorization`.
pub(crate) fn bearer(headers: &mut Headers, key: &Secret) -> Result<(), Unsupported> {
    let bearer = Zeroizing::new(format!("Bearer {}", key.expose()));
    let value = Value::new(bearer.as_bytes()).map_err(|_| Unsupported::Credential)?;
    headers.set_secret(AUTHORIZATION, value);
    Ok(())
}

/// The edits that give the model the provider's name for it, if it has another, and leave out what it lacks, and thoughts that
/// it refuses.
fn edited(
    body: &Bytes,
    name: Option<&str>,
    lacks: &[&Feature],
    unsigned: bool,
) -> Result<Option<Edits>, Unsupported> {
    if name.is_none() && lacks.is_empty() && !unsigned {
        return Ok(None);
    }
    // Whoever reads it otherwise than the relay must not be sent what it lacks.
    let mut outline = Outline::new(body).map_err(|_| Unsupported::Body)?;
    // By name and not by place: a field that stands twice is changed in both.
    if let Some(name) = name {
        outline.set("model", quoted(name));
    }
    features::strip_fields(&mut outline, lacks);
    if unsigned {
        features::strip_unsigned(&mut outline);
    }
    Ok(Some(outline.edits()).filter(|edits| !edits.is_empty()))
}

/// The base's path before the client's, the base's query before the client's.
fn join(target: &Target, ask: &Ask<'_>) -> Result<PathAndQuery, Unsupported> {
    let base = target.base.path().trim_end_matches('/');
    if base.is_empty() && target.base.query().is_none() && ask.path.query() != Some("") {
        return Ok(ask.path.clone());
    }
    let mut joined = String::with_capacity(base.len() + ask.path.as_str().len() + 16);
    joined.push_str(base);
    joined.push_str(ask.path.path());
    let queries =
        [target.base.query(), ask.path.query()].into_iter().flatten().filter(|query| !query.is_empty());
    for (index, query) in queries.enumerate() {
        joined.push(if index == 0 { '?' } else { '&' });
        joined.push_str(query);
    }
    PathAndQuery::from_maybe_shared(Bytes::from(joined)).map_err(|_| Unsupported::Path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::Account;
    use crate::models::Models;
    use relay_core::Time;
    use relay_wire::call::Call;

    fn headers(pairs: &[(&'static str, &'static str)]) -> Headers {
        let mut list = Headers::default();
        for (name, value) in pairs {
            list.add(name, Value::fixed(value));
        }
        list
    }

    fn ask<'a>(headers: &'a Headers, path: &'a PathAndQuery) -> Ask<'a> {
        Ask { path, headers, call: None }
    }

    fn target(base: &'static str) -> Target {
        Target { base: http::Uri::from_static(base), models: Models::default(), account: Account::default() }
    }

    fn order<'a>(ask: Ask<'a>, target: &'a Target, credential: &'a Credential) -> Order<'a> {
        Order { ask, target, credential, now: Time::default() }
    }

    fn prepared(client: &Headers, credential: &Credential) -> Headers {
        let facts = crate::Kind::Anthropic.facts();
        let path = PathAndQuery::from_static("/v1/messages");
        prepare(facts, &order(ask(client, &path), &target("https://a.example"), credential)).unwrap().headers
    }

    /// W8 of the old program: it told the provider the client's address and forwarded its cookies.
    #[test]
    fn w8_cookies_and_forwarded_headers_stop_here() {
        let client = headers(&[
            ("cookie", "a=b"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-host", "inner"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("true-client-ip", "10.0.0.1"),
            ("CF-Connecting-IP", "10.0.0.1"),
            ("cf-ray", "8a1b2c3d4e5f6071-FRA"),
            ("cdn-loop", "cloudflare; loops=1"),
            ("via", "1.1 inner"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("host", "127.0.0.1:8787"),
            ("content-length", "2"),
            ("anthropic-beta", "one"),
            ("anthropic-beta", "two"),
            ("x-unknown", "kept"),
        ]);
        let sent = prepared(&client, &Credential::None);
        assert_eq!(
            sent,
            headers(&[("anthropic-beta", "one"), ("anthropic-beta", "two"), ("x-unknown", "kept")])
        );
    }

    #[test]
    fn exactly_one_credential_is_ever_set() {
        let client = headers(&[
            ("authorization", "Bearer relay"),
            ("x-api-key", "relay"),
            ("x-cc-relay-key", "relay"),
        ]);
        let secret = || Secret::new("sk-up");
        let table = [
            (Credential::Key(secret()), headers(&[("x-api-key", "sk-up")])),
            (Credential::OwnKey(secret()), headers(&[("x-api-key", "sk-up")])),
            (Credential::OwnBearer(secret()), headers(&[("authorization", "Bearer sk-up")])),
            (Credential::None, Headers::default()),
        ];
        for (credential, expect) in table {
            assert_eq!(prepared(&client, &credential), expect, "{credential:?}");
        }
        let broken = Credential::Key(Secret::new("sk\n"));
        let facts = crate::Kind::Anthropic.facts();
        let path = PathAndQuery::from_static("/");
        let refused = prepare(facts, &order(ask(&client, &path), &target("https://a.example"), &broken));
        assert_eq!(refused.unwrap_err(), Unsupported::Credential);
    }

    /// W43 of the old program: a mapped model cost the rest of the body its order and its numbers.
    #[test]
    fn w43_a_mapped_model_changes_nothing_else() {
        let body = Bytes::from_static(br#"{"z":12345678901234567890,"model":"claude-x","a":1.0,"t":"<&>"}"#);
        let call = Call::read(&body).unwrap();
        let client = Headers::default();
        let path = PathAndQuery::from_static("/v1/messages");
        let ask = Ask { path: &path, headers: &client, call: Some((&call, &body)) };
        let models = Models::new(vec![("claude-x".to_owned(), "glm-5.3".to_owned())]);
        let target = Target { models, ..target("https://a.example") };
        let facts = crate::Kind::Zai.facts();
        let sent = prepare(facts, &order(ask, &target, &Credential::None)).unwrap();
        let text = sent.edits.unwrap().apply().to_bytes();
        assert_eq!(&text[..], br#"{"z":12345678901234567890,"model":"glm-5.3","a":1.0,"t":"<&>"}"#);
        assert_eq!(sent.headers.text("accept-encoding"), Some("identity"));
    }

    #[test]
    fn a_doubled_version_goes_once() {
        let client = headers(&[("anthropic-version", "2023-06-01"), ("anthropic-version", "2026-10-21")]);
        let sent = prepared(&client, &Credential::None);
        assert_eq!(sent, headers(&[("anthropic-version", "2023-06-01")]));
    }

    #[test]
    fn paths_and_queries_are_joined() {
        let client = Headers::default();
        let table = [
            ("https://a.example", "/v1/messages", "/v1/messages"),
            ("https://a.example/", "/v1/messages?beta=true", "/v1/messages?beta=true"),
            ("https://a.example/", "/v1/messages?", "/v1/messages"),
            ("https://a.example/api/anthropic/", "/v1/messages", "/api/anthropic/v1/messages"),
            ("https://a.example/x?k=v", "/v1/messages?beta=true", "/x/v1/messages?k=v&beta=true"),
            ("https://a.example/x?k=v", "/v1/messages?", "/x/v1/messages?k=v"),
            ("https://a.example?k=v", "/v1/messages", "/v1/messages?k=v"),
        ];
        for (base, path, expect) in table {
            let path = PathAndQuery::from_static(path);
            assert_eq!(join(&target(base), &ask(&client, &path)).unwrap().as_str(), expect);
        }
    }
}
