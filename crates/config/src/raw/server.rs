//! `server`: the listener and its limits, as written.

use std::time::Duration;

use crate::raw::auth::Auth;
use crate::raw::leaf::{FilePath, Flag, Hidden, Text, Whole};
use crate::raw::table::section;
use crate::raw::unit::{MB, MIB, Millis, Size};

/// A day, in milliseconds: the longest the old program let a time-out be.
pub(crate) const DAY: u64 = 86_400_000;

/// An hour, in milliseconds.
const HOUR: u64 = 3_600_000;

/// The largest limit of a body that can be written, in bytes: 1 TiB.
const LARGEST: u64 = 1 << 40;

section! {
    /// The listener, its limits, and who may ask.
    Server {
        /// Where to listen: `host:port`. An empty host means every interface, port 0 lets the system choose.
        /// An IPv6 address stands in brackets. On anything but loopback a credential must be asked for.
        listen: Text = "127.0.0.1:8787";
        /// The old place of `auth.api_key`.
        api_key: Hidden => "${CC_RELAY_API_KEY}", old(
            "is the old place of `server.auth.api_key`",
            "move it to `server.auth.api_key`"
        );
        /// Who may ask.
        auth: Auth;
        /// TLS on the listener. Without it, the listener speaks cleartext.
        tls: Tls;
        /// In the old program, the time after which any answer was cut, also in the middle of a stream. Now it is
        /// the default of `timeouts.first_byte` of every provider; 0 means 600000.
        timeout_ms: Millis<0, DAY> => "600000", old(
            "no longer cuts answers: it is the default of `timeouts.first_byte` of every provider",
            "set `timeouts.first_byte` of the providers that need it, and remove this"
        );
        /// The most requests served at once; 0 means no limit.
        max_concurrent: Whole<0, { u32::MAX as u64 }> = 0_u64;
        /// The largest body of a message; 0 means no limit.
        max_body_bytes: Size<0, LARGEST> = 64 * MIB;
        /// The largest body of a request below `/v1/messages/batches`; 0 means no limit.
        /// The default is what the Anthropic API accepts.
        max_batch_body_bytes: Size<0, LARGEST> = 256 * MB;
        /// The largest body of a request below `/v1/files`; 0 means no limit.
        /// The default is what the Anthropic API accepts.
        max_file_body_bytes: Size<0, LARGEST> = 500 * MB;
        /// How long the head of a streaming answer waits for the first real event, so that another key can still be
        /// asked, before it goes out with pings. Counted from the arrival of the request.
        head_after_ms: Millis<0, HOUR> = Duration::from_secs(15);
        /// How much silence in a stream is filled with a `ping`. Claude Code gives up after 300 s without a byte.
        ping_interval_ms: Millis<10, HOUR> = Duration::from_secs(15);
        /// How long open requests may go on after the first signal to stop.
        drain_timeout_ms: Millis<0, DAY> = Duration::from_secs(30);
        /// HTTP/2 as well as HTTP/1.1: by ALPN under TLS, by prior knowledge without.
        enable_http2: Flag = true;
    }
}

section! {
    /// TLS on the listener. The files are read again when they change.
    Tls {
        /// The certificate chain, PEM.
        certificate: FilePath => "/etc/cc-relay/tls/certificate.pem";
        /// Its private key, PEM.
        key: FilePath => "/etc/cc-relay/tls/key.pem";
        /// Clients must show a certificate that one of these signed, PEM.
        client_ca: FilePath => "/etc/cc-relay/tls/client-ca.pem";
    }
}
