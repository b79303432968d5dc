//! Forward proxies, as companies put them between a machine and the internet.
//!
//! Knows the rules of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` (read by hyper-util, which
//! follows curl), and how a tunnel is asked for. Refuses to read the environment: values come as
//! arguments. This machine itself is never reached through a proxy.

use std::fmt;

use http::{HeaderValue, Uri, uri::PathAndQuery};
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    dial::Io,
    error::{Kind, Malformed, Phase, SendError},
    h1,
    origin::Origin,
};

/// Which proxy, if any, stands before which origin.
pub struct ProxyRules(Matcher);

/// The values of the environment variables, where they are set and not empty.
#[derive(Clone, Copy, Default)]
pub struct ProxyVariables<'a> {
    /// `HTTPS_PROXY`: for origins with TLS.
    pub https: Option<&'a str>,
    /// `HTTP_PROXY`: for plain origins.
    pub http: Option<&'a str>,
    /// `ALL_PROXY`: where the other two say nothing.
    pub all: Option<&'a str>,
    /// `NO_PROXY`: names, `.domains`, addresses and networks, separated by commas; `*` for all.
    pub none: Option<&'a str>,
}

/// Why a proxy cannot be used. The value is not repeated, for it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// It is not a URL.
    #[error("`{0}` is not a URL")]
    NotUrl(&'static str),
    /// It is a proxy of a kind not spoken here, such as SOCKS.
    #[error("`{0}` is neither an `http` nor an `https` proxy")]
    Scheme(&'static str),
}

/// A proxy, and what it wants to see of a credential.
pub(crate) struct ForwardProxy {
    pub(crate) origin: Origin,
    pub(crate) credential: Option<HeaderValue>,
}

impl ProxyRules {
    /// Reads the rules. `None` where no proxy is named at all.
    pub fn read(variables: ProxyVariables<'_>) -> Result<Option<Self>, ProxyError> {
        let named = |value: Option<&str>, name| match value.map(str::trim).filter(|value| !value.is_empty()) {
            Some(value) => check(value, name).map(|()| value.to_owned()),
            None => Ok(String::new()),
        };
        let https = named(variables.https, "HTTPS_PROXY")?;
        let http = named(variables.http, "HTTP_PROXY")?;
        let all = named(variables.all, "ALL_PROXY")?;
        if https.is_empty() && http.is_empty() && all.is_empty() {
            return Ok(None);
        }
        let matcher =
            Matcher::builder().all(all).https(https).http(http).no(variables.none.unwrap_or_default());
        Ok(Some(Self(matcher.build())))
    }

    /// The proxy before `origin`.
    pub(crate) fn proxy(&self, origin: &Origin) -> Option<ForwardProxy> {
        if origin.is_loopback() {
            return None;
        }
        let uri = Uri::builder()
            .scheme(origin.scheme().name())
            .authority(origin.authority().clone())
            .path_and_query(PathAndQuery::from_static("/"))
            .build()
            .ok()?;
        let intercept = self.0.intercept(&uri)?;
        let origin = Origin::from_uri(intercept.uri()).ok()?;
        Some(ForwardProxy { origin, credential: intercept.basic_auth().cloned() })
    }
}

/// A proxy may be written without its scheme, as `host:port`.
fn check(value: &str, name: &'static str) -> Result<(), ProxyError> {
    let scheme = value.split_once("://").map_or("http", |(scheme, _)| scheme);
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err(ProxyError::Scheme(name));
    }
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    Origin::parse(&format!("http://{host}")).map(|_| ()).map_err(|_| ProxyError::NotUrl(name))
}

/// Asks the proxy behind `io` for a tunnel to `origin` (RFC 9110 section 9.3.6).
pub(crate) async fn tunnel(
    mut io: Box<dyn Io>,
    origin: &Origin,
    credential: Option<&HeaderValue>,
) -> Result<Box<dyn Io>, SendError> {
    let target = origin.tunnel_target();
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n").into_bytes();
    if let Some(credential) = credential {
        request.extend_from_slice(b"proxy-authorization: ");
        request.extend_from_slice(credential.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let lost = |error| SendError::unsent_io(Phase::Tunnel, error);
    io.write_all(&request).await.map_err(lost)?;
    io.flush().await.map_err(lost)?;

    let wrong =
        |malformed: Malformed| SendError::unsent(Phase::Tunnel, Kind::Protocol, Some(malformed.into()));
    let mut inbox = bytes::BytesMut::with_capacity(1024);
    let mut scanned = 0;
    let head = loop {
        match h1::take(&mut inbox, &mut scanned).map_err(wrong)? {
            Some(head) if head.is_interim() => {}
            Some(head) => break head,
            None => {
                if io.read_buf(&mut inbox).await.map_err(lost)? == 0 {
                    return Err(SendError::unsent(Phase::Tunnel, Kind::Closed, None));
                }
            }
        }
    };
    if !head.status.is_success() {
        return Err(SendError::unsent(Phase::Tunnel, Kind::Denied(head.status), None));
    }
    // The client speaks first in TLS: bytes that come earlier are not the origin's.
    if inbox.is_empty() { Ok(io) } else { Err(wrong(Malformed::Head)) }
}

impl fmt::Debug for ProxyRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyRules")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(https: &str, http: &str, none: &str) -> ProxyRules {
        let some = |value| Some(value).filter(|value: &&str| !value.is_empty());
        let variables = ProxyVariables { https: some(https), http: some(http), all: None, none: some(none) };
        ProxyRules::read(variables).unwrap().unwrap()
    }

    fn proxy(rules: &ProxyRules, url: &str) -> Option<String> {
        rules.proxy(&Origin::parse(url).unwrap()).map(|proxy| proxy.origin.to_string())
    }

    #[test]
    fn each_scheme_has_its_proxy_and_this_machine_has_none() {
        let rules = rules("http://secure.test:3128", "plain.test:8080", "");
        let table = [
            ("https://a.test", Some("http://secure.test:3128")),
            ("http://a.test", Some("http://plain.test:8080")),
            ("http://localhost:11434", None),
            ("https://127.0.0.1:1", None),
            ("http://[::1]:1", None),
        ];
        for (url, expected) in table {
            assert_eq!(proxy(&rules, url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn no_proxy_knows_domains_addresses_and_networks() {
        let rules = rules("http://p.test", "http://p.test", "exact.test,.below.test,10.0.0.0/8,192.168.1.1");
        let table = [
            ("https://exact.test", true),
            ("https://sub.exact.test", true),
            ("https://notexact.test", false),
            ("https://a.below.test", true),
            ("https://10.1.2.3", true),
            ("https://11.1.2.3", false),
            ("https://192.168.1.1", true),
            ("https://192.168.1.2", false),
        ];
        for (url, direct) in table {
            assert_eq!(proxy(&rules, url).is_none(), direct, "{url}");
        }
        let all =
            ProxyVariables { https: Some("http://p.test"), none: Some("*"), ..ProxyVariables::default() };
        assert_eq!(proxy(&ProxyRules::read(all).unwrap().unwrap(), "https://a.test"), None);
    }

    #[test]
    fn a_password_becomes_a_credential_and_is_shown_to_nobody() {
        let rules = rules("http://user:s%3Acret@p.test:1", "", "");
        let proxy = rules.proxy(&Origin::parse("https://a.test").unwrap()).unwrap();
        assert_eq!(proxy.credential.as_ref().unwrap(), "Basic dXNlcjpzOmNyZXQ=");
        assert!(proxy.credential.unwrap().is_sensitive());
        assert_eq!(proxy.origin.to_string(), "http://p.test:1");
        assert_eq!(format!("{rules:?}"), "ProxyRules");
    }

    #[test]
    fn what_is_no_proxy_is_told_without_its_value() {
        let read =
            |https| ProxyRules::read(ProxyVariables { https: Some(https), ..ProxyVariables::default() });
        assert_eq!(read("socks5://h:1").err(), Some(ProxyError::Scheme("HTTPS_PROXY")));
        assert_eq!(read("http://u:p@").err(), Some(ProxyError::NotUrl("HTTPS_PROXY")));
        assert_eq!(read("http://h:99999").err(), Some(ProxyError::NotUrl("HTTPS_PROXY")));
        assert!(read("  ").unwrap().is_none());
    }
}
