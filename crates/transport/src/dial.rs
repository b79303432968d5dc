//! How bytes reach an origin: the seam at which tests, and other networks, come in.
//!
//! Knows the contract. TLS, proxies and protocols are done above it, by the transport.

mod tcp;

use std::{future::Future, pin::Pin, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};

pub use tcp::Tcp;

use crate::{
    error::{Cause, Kind, Phase},
    origin::Origin,
};

/// Bytes in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Opens connections. One of the two traits that exist for tests; [`Tcp`] is the real one.
pub trait Dial: Send + Sync + 'static {
    /// Opens a connection that carries bytes to `origin`. Dropping the future gives it up. The
    /// transport bounds it by the connect deadline.
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a>;
}

/// A connection being opened.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = Result<Connected, DialError>> + Send + 'a>>;

/// A connection, opened.
pub struct Connected {
    /// Its two directions.
    pub io: Box<dyn Io>,
    /// How long opening it took.
    pub timing: Timing,
}

/// How long opening a connection took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// The look-up of the name; `None` for an address.
    pub dns: Option<Duration>,
    /// From the look-up to an open connection.
    pub connect: Duration,
}

/// Why no connection could be opened.
#[derive(Debug, thiserror::Error)]
#[error("{phase}: {kind}")]
pub struct DialError {
    /// `Resolve` or `Connect`.
    pub phase: Phase,
    /// What happened.
    pub kind: Kind,
    /// What lay beneath it.
    #[source]
    pub source: Option<Cause>,
}
