//! Where a request goes: scheme, host and port, and nothing of the path.
//!
//! Knows how an origin is written and compared. Refuses to know how it is reached, and refuses a
//! URL with a user name in it, so that no secret can travel in a name that is logged.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::IpAddr,
    sync::Arc,
};

use http::{HeaderValue, Uri, uri::Authority};

/// Scheme, host and port of an upstream. Cheap to clone; the key of the pool.
#[derive(Clone)]
pub struct Origin(Arc<Parts>);

/// Whether bytes to an origin are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`: bytes as they are.
    Plain,
    /// `https`: TLS.
    Tls,
}

/// Why a text is not an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// It is not a URL with a scheme and a host.
    #[error("not a URL with a scheme and a host")]
    NotUrl,
    /// The scheme is neither `http` nor `https`.
    #[error("the scheme is neither `http` nor `https`")]
    Scheme,
    /// It carries a user name or a password.
    #[error("a user name or password does not belong into a URL")]
    UserName,
    /// The port is zero or no number.
    #[error("the port is not a number from 1 to 65535")]
    Port,
}

struct Parts {
    scheme: Scheme,
    /// Lower case; an IPv6 address without its brackets.
    host: Box<str>,
    port: u16,
    /// `host[:port]` as the `Host` header wants it, and the same for a request target.
    authority: Authority,
    host_header: HeaderValue,
}

impl Origin {
    /// Reads `https://host[:port][/…]`; the path and what follows are ignored.
    pub fn parse(url: &str) -> Result<Self, OriginError> {
        url.parse::<Uri>().map_err(|_| OriginError::NotUrl).and_then(|uri| Self::from_uri(&uri))
    }

    /// Takes scheme, host and port out of a URI.
    pub fn from_uri(uri: &Uri) -> Result<Self, OriginError> {
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Plain,
            Some("https") => Scheme::Tls,
            Some(_) => return Err(OriginError::Scheme),
            None => return Err(OriginError::NotUrl),
        };
        let authority = uri.authority().ok_or(OriginError::NotUrl)?;
        if authority.as_str().contains('@') {
            return Err(OriginError::UserName);
        }
        let host = authority.host().to_ascii_lowercase();
        if host.is_empty() {
            return Err(OriginError::NotUrl);
        }
        let written = authority.as_str().get(authority.host().len()..).unwrap_or_default();
        let port = match written.strip_prefix(':') {
            None => scheme.default_port(),
            Some(digits) => digits.parse().ok().filter(|port| *port != 0).ok_or(OriginError::Port)?,
        };
        Self::build(scheme, &host, port)
    }

    fn build(scheme: Scheme, host: &str, port: u16) -> Result<Self, OriginError> {
        let text = if port == scheme.default_port() { host.to_owned() } else { format!("{host}:{port}") };
        let host_header = HeaderValue::from_str(&text).map_err(|_| OriginError::NotUrl)?;
        let authority = text.parse().map_err(|_| OriginError::NotUrl)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').into();
        Ok(Self(Arc::new(Parts { scheme, host, port, authority, host_header })))
    }

    /// Plain or TLS.
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// Whether the bytes are encrypted.
    pub fn is_tls(&self) -> bool {
        self.0.scheme == Scheme::Tls
    }

    /// The host in lower case; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The port, the scheme's own where none was written.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// `host`, or `host:port` where the port is not the scheme's own.
    pub fn authority(&self) -> &Authority {
        &self.0.authority
    }

    /// The value of the `Host` header.
    pub fn host_header(&self) -> &HeaderValue {
        &self.0.host_header
    }

    /// Whether the host is this machine: `localhost`, a name below it, or a loopback address.
    pub fn is_loopback(&self) -> bool {
        match self.host().parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host() == "localhost" || self.host().ends_with(".localhost"),
        }
    }

    /// The host and port as `CONNECT` wants them: the port is always written.
    pub(crate) fn tunnel_target(&self) -> String {
        if self.host().contains(':') {
            format!("[{}]:{}", self.host(), self.port())
        } else {
            format!("{}:{}", self.host(), self.port())
        }
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.scheme == other.0.scheme && self.0.port == other.0.port && self.0.host == other.0.host)
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.scheme.hash(state);
        self.0.port.hash(state);
        self.0.host.hash(state);
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme.name(), self.0.authority)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

impl Scheme {
    /// `http` or `https`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls => "https",
        }
    }

    /// 80 or 443.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Plain => 80,
            Self::Tls => 443,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let table = [
            ("https://api.anthropic.com", "https://api.anthropic.com", 443, "api.anthropic.com"),
            ("https://API.Anthropic.com:443/v1?x=1", "https://api.anthropic.com", 443, "api.anthropic.com"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080", 8080, "127.0.0.1"),
            ("http://[::1]:9", "http://[::1]:9", 9, "::1"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]", 443, "2001:db8::1"),
            ("http://h:443", "http://h:443", 443, "h"),
        ];
        for (text, shown, port, host) in table {
            let origin = Origin::parse(text).unwrap();
            assert_eq!((origin.to_string().as_str(), origin.port(), origin.host()), (shown, port, host));
        }
    }

    #[test]
    fn what_is_no_origin_is_told_apart() {
        let table = [
            ("api.anthropic.com", OriginError::NotUrl),
            ("/v1", OriginError::NotUrl),
            ("", OriginError::NotUrl),
            ("ftp://host", OriginError::Scheme),
            ("https://user:secret@host", OriginError::UserName),
            ("https://host:0", OriginError::Port),
            ("https://host:65536", OriginError::Port),
        ];
        for (text, expected) in table {
            assert_eq!(Origin::parse(text).map(|_| ()), Err(expected), "{text}");
        }
    }

    #[test]
    fn equal_origins_share_a_key_and_others_do_not() {
        let origin = |text| Origin::parse(text).unwrap();
        assert_eq!(origin("https://a"), origin("https://A:443/x"));
        assert_ne!(origin("https://a"), origin("http://a"));
        assert_ne!(origin("https://a"), origin("https://a:444"));
        assert_ne!(origin("https://a"), origin("https://b"));
    }

    #[test]
    fn this_machine_is_recognised() {
        for (text, expected) in [
            ("http://localhost:1", true),
            ("http://a.localhost", true),
            ("http://127.9.9.9", true),
            ("http://[::1]", true),
            ("http://notlocalhost", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(Origin::parse(text).unwrap().is_loopback(), expected, "{text}");
        }
    }

    #[test]
    fn a_tunnel_target_always_names_the_port() {
        assert_eq!(Origin::parse("https://a").unwrap().tunnel_target(), "a:443");
        assert_eq!(Origin::parse("https://[::1]").unwrap().tunnel_target(), "[::1]:443");
    }
}
