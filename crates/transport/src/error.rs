//! Everything that can go wrong on the way to an upstream, as small closed enums.
//!
//! Knows in which phase a request failed, how, and whether the upstream may have seen it. Refuses
//! to know whether it should be tried again: that is the verdict of the caller.

use std::{error::Error, fmt, io, time::Duration};

use http::StatusCode;

/// A cause from below, kept for the chain in the log.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why no response head came.
#[derive(Debug, thiserror::Error)]
#[error("{phase}: {kind}")]
pub struct SendError {
    /// What was being done.
    pub phase: Phase,
    /// What happened.
    pub kind: Kind,
    /// Whether the upstream may have seen any byte of the request.
    pub sent: bool,
    /// What lay beneath it, if anything said more.
    #[source]
    pub source: Option<Cause>,
}

/// What was being done when a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Looking up the host's addresses.
    Resolve,
    /// Opening the TCP connection.
    Connect,
    /// Asking a forward proxy for a tunnel.
    Tunnel,
    /// Shaking hands: TLS, or the HTTP/2 preface.
    Tls,
    /// Writing the request.
    Send,
    /// Waiting for the head of the response, the request having been written.
    FirstByte,
}

/// What happened to a request that got no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Kind {
    /// The name has no address.
    #[error("the name has no address")]
    Name,
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// No route leads there.
    #[error("unreachable")]
    Unreachable,
    /// The connection was reset.
    #[error("connection reset")]
    Reset,
    /// The connection was closed in order, but too early.
    #[error("connection closed")]
    Closed,
    /// The deadline of the phase passed.
    #[error("timed out")]
    Timeout,
    /// The peer's certificate is not to be trusted.
    #[error("the certificate is not trusted")]
    Certificate,
    /// The peer does not speak the protocol it should.
    #[error("protocol violated")]
    Protocol,
    /// The forward proxy refused the tunnel with this status.
    #[error("the forward proxy answered {}", .0.as_u16())]
    Denied(StatusCode),
    /// The body to be sent failed before it ended.
    #[error("the request body broke off")]
    Body,
    /// This machine has run out of descriptors, ports or memory for sockets.
    #[error("this machine is out of sockets")]
    Exhausted,
    /// Any other failure of the operating system.
    #[error("{0}")]
    Io(io::ErrorKind),
}

/// Why a response body did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection or stream ended in the middle.
    #[error("the upstream cut the body")]
    Cut(#[source] Cause),
    /// No byte came for the whole idle deadline.
    #[error("the upstream sent nothing for {} s", .0.as_secs_f64())]
    Idle(Duration),
    /// The bytes are no HTTP body.
    #[error("the upstream broke the framing of the body")]
    Malformed(#[source] Malformed),
}

/// In which way bytes of an upstream are no HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    /// The status line or a header cannot be read.
    #[error("the head cannot be read")]
    Head,
    /// The head is larger than 256 KiB.
    #[error("the head is too large")]
    HeadSize,
    /// The head has more than 256 headers.
    #[error("the head has too many headers")]
    HeadCount,
    /// `content-length` is no number, or two different ones.
    #[error("`content-length` is not one number")]
    ContentLength,
    /// `transfer-encoding` in a message of HTTP/1.0, which has none.
    #[error("`transfer-encoding` in HTTP/1.0")]
    TransferEncoding,
    /// The upstream switches protocols although nobody asked.
    #[error("the upstream switched protocols unasked")]
    Switched,
    /// A chunk does not begin with its size.
    #[error("a chunk has no valid size")]
    ChunkSize,
    /// A chunk does not end where its size says.
    #[error("a chunk does not end where it should")]
    ChunkEnd,
    /// The trailers cannot be read, or are too large.
    #[error("the trailers cannot be read")]
    Trailers,
}

impl SendError {
    /// A failure before any byte of the request was written.
    pub(crate) fn unsent(phase: Phase, kind: Kind, source: Option<Cause>) -> Self {
        Self { phase, kind, sent: false, source }
    }

    /// A failure of the operating system before any byte of the request was written.
    pub(crate) fn unsent_io(phase: Phase, error: io::Error) -> Self {
        Self::unsent(phase, Kind::of_io(&error), Some(error.into()))
    }
}

impl Kind {
    /// The kind of an I/O error.
    pub(crate) fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind as E;
        match error.kind() {
            E::ConnectionRefused => Self::Refused,
            E::ConnectionReset | E::BrokenPipe | E::ConnectionAborted | E::NotConnected => Self::Reset,
            E::UnexpectedEof | E::WriteZero => Self::Closed,
            E::TimedOut => Self::Timeout,
            E::HostUnreachable | E::NetworkUnreachable | E::NetworkDown => Self::Unreachable,
            E::AddrNotAvailable | E::AddrInUse | E::OutOfMemory | E::QuotaExceeded => Self::Exhausted,
            E::InvalidData => Self::Protocol,
            // EMFILE and ENFILE have no stable `ErrorKind`; the numbers are those of Linux and macOS.
            _ if matches!(error.raw_os_error(), Some(23 | 24)) => Self::Exhausted,
            kind => Self::Io(kind),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the name",
            Self::Connect => "connecting",
            Self::Tunnel => "opening a tunnel",
            Self::Tls => "shaking hands",
            Self::Send => "sending the request",
            Self::FirstByte => "waiting for the response",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_io_error_has_a_kind() {
        let table = [
            (io::ErrorKind::ConnectionRefused, Kind::Refused),
            (io::ErrorKind::ConnectionReset, Kind::Reset),
            (io::ErrorKind::BrokenPipe, Kind::Reset),
            (io::ErrorKind::UnexpectedEof, Kind::Closed),
            (io::ErrorKind::TimedOut, Kind::Timeout),
            (io::ErrorKind::HostUnreachable, Kind::Unreachable),
            (io::ErrorKind::AddrNotAvailable, Kind::Exhausted),
            (io::ErrorKind::InvalidData, Kind::Protocol),
            (io::ErrorKind::PermissionDenied, Kind::Io(io::ErrorKind::PermissionDenied)),
        ];
        for (kind, expected) in table {
            assert_eq!(Kind::of_io(&io::Error::from(kind)), expected);
        }
        assert_eq!(Kind::of_io(&io::Error::from_raw_os_error(24)), Kind::Exhausted);
    }

    #[test]
    fn an_error_prints_its_own_level_only() {
        let error =
            SendError::unsent_io(Phase::Connect, io::Error::new(io::ErrorKind::ConnectionRefused, "deep"));
        assert_eq!(error.to_string(), "connecting: connection refused");
        assert_eq!(error.source().unwrap().to_string(), "deep");
    }
}
