//! What is worth knowing about one exchange, for logs and histograms.
//!
//! Knows durations and names. Refuses to know what is done with them.

use std::{fmt, time::Duration};

/// How long each part of getting to a response head took, and over what it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Looking up the name. `None` for an address, and on a reused connection.
    pub dns: Option<Duration>,
    /// Opening the TCP connection, a forward proxy's tunnel included. `None` on a reused one.
    pub connect: Option<Duration>,
    /// The TLS handshake. `None` without TLS and on a reused connection.
    pub tls: Option<Duration>,
    /// From the moment a connection was at hand until the head of the response.
    pub first_byte: Duration,
    /// Whether the connection had carried a request before.
    pub reused: bool,
    /// The version of TLS, also on a reused connection.
    pub tls_version: Option<TlsVersion>,
    /// Whether the TLS session was resumed when the connection was opened.
    pub tls_resumed: bool,
    /// The protocol spoken, by agreement (ALPN) or by setting.
    pub protocol: Protocol,
}

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1 (or a server's HTTP/1.0).
    Http1,
    /// HTTP/2.
    Http2,
}

/// The version of TLS on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
}

/// What opening a connection took and agreed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handshake {
    pub(crate) dns: Option<Duration>,
    pub(crate) connect: Duration,
    pub(crate) tls: Option<Duration>,
    pub(crate) tls_version: Option<TlsVersion>,
    pub(crate) tls_resumed: bool,
    pub(crate) protocol: Protocol,
}

/// Whether a connection has been used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Fresh,
    Reused,
}

impl Handshake {
    /// The timings of one exchange on this connection.
    pub(crate) fn timings(&self, age: Age, first_byte: Duration) -> Timings {
        let fresh = age == Age::Fresh;
        Timings {
            dns: self.dns.filter(|_| fresh),
            connect: Some(self.connect).filter(|_| fresh),
            tls: self.tls.filter(|_| fresh),
            first_byte,
            reused: !fresh,
            tls_version: self.tls_version,
            tls_resumed: self.tls_resumed,
            protocol: self.protocol,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
        })
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V12 => "TLSv1.2",
            Self::V13 => "TLSv1.3",
        })
    }
}
