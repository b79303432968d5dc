//! The head of a request, read.
//!
//! Knows RFC 9112 sections 2 to 7 as far as they concern a request: where its head ends, what it
//! says, how its body is framed, and whether the connection goes on afterwards. The lines
//! themselves are parsed by `httparse`. Refuses to know what a path or a header is good for.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, StatusCode, Uri, uri};
use relay_headers::{Headers, Request};

use crate::h1::{self, Decoder};

/// The largest request head taken, in bytes: as much as of an upstream's.
const MAX_HEAD: usize = 256 * 1024;

/// The most header lines of a request. Claude Code sends some thirty; hint headers add a dozen.
const MAX_HEADERS: usize = 256;

/// The head of a request, and what it says of the connection.
pub(super) struct Head {
    pub(super) request: Request<()>,
    /// Where its body is.
    pub(super) decoder: Decoder,
    /// HTTP/1.0, which knows no chunks.
    pub(super) old: bool,
    /// Whether the client takes another answer afterwards.
    pub(super) keeps_alive: bool,
    /// Whether it sends the body only once it is told to.
    pub(super) waits: bool,
}

/// In which way what a client sent is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// The request line or a header cannot be read.
    #[error("the head of the request cannot be read")]
    Head,
    /// The head is larger than 256 KiB, or has more than 256 headers.
    #[error("the head of the request is too large")]
    Large,
    /// The target is longer than 64 KiB.
    #[error("the target of the request is too long")]
    Target,
    /// It is neither HTTP/1.0 nor HTTP/1.1.
    #[error("the request is of an unknown version of HTTP")]
    Version,
    /// Where the body ends is not said, or said in two ways.
    #[error("the length of the body is not said as it should be")]
    Framing,
    /// A request of HTTP/1.1 has one `host`.
    #[error("the request has not exactly one `host`")]
    Host,
    /// What stands in `host` is none.
    #[error("`host` is neither a name nor an address, with or without a port")]
    NoHost,
    /// The rest of the head did not come in time.
    #[error("the rest of the head did not come in time")]
    Late,
}

impl Fault {
    /// What the client is told.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Head | Self::Framing | Self::Host | Self::NoHost => StatusCode::BAD_REQUEST,
            Self::Large => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Target => StatusCode::URI_TOO_LONG,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

/// Takes a whole head out of `inbox`, if one is there. `scanned` remembers how far the inbox was
/// searched, so that a head that trickles in is searched once.
pub(super) fn take(inbox: &mut BytesMut, scanned: &mut usize) -> Result<Option<Head>, Fault> {
    let first_look = *scanned == 0;
    if first_look {
        // Empty lines before a request are nothing (RFC 9112 section 2.2).
        let empty = inbox.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        inbox.advance(empty);
        if inbox.is_empty() {
            return Ok(None);
        }
    }
    let Some(end) = h1::find_end(inbox, scanned) else {
        if MAX_HEAD < inbox.len() {
            return Err(Fault::Large);
        }
        // What is no HTTP at all, a TLS handshake say, never comes to the end of a head.
        return if first_look { begins(inbox).map(|()| None) } else { Ok(None) };
    };
    if MAX_HEAD < end {
        return Err(Fault::Large);
    }
    *scanned = 0;
    read(&inbox.split_to(end).freeze()).map(Some)
}

/// Whether this may be the beginning of a head.
fn begins(beginning: &[u8]) -> Result<(), Fault> {
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    parsed(&mut httparse::Request::new(&mut []), beginning, &mut lines).map(drop)
}

fn parsed<'h, 'b>(
    request: &mut httparse::Request<'h, 'b>,
    head: &'b [u8],
    lines: &'h mut [MaybeUninit<httparse::Header<'b>>],
) -> Result<httparse::Status<usize>, Fault> {
    httparse::ParserConfig::default().parse_request_with_uninit_headers(request, head, lines).map_err(
        |error| match error {
            httparse::Error::TooManyHeaders => Fault::Large,
            httparse::Error::Version => Fault::Version,
            _ => Fault::Head,
        },
    )
}

fn read(head: &Bytes) -> Result<Head, Fault> {
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut line = httparse::Request::new(&mut []);
    if parsed(&mut line, head, &mut lines)? != httparse::Status::Complete(head.len()) {
        return Err(Fault::Head);
    }
    let (Some(method), Some(target)) = (line.method, line.path) else { return Err(Fault::Head) };
    let old = line.version != Some(1);
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Fault::Head)?;
    let target = self::target(head.slice_ref(target.as_bytes()))?;
    let mut headers = h1::parsed(head, line.headers).ok_or(Fault::Head)?;
    let mut keeps_alive = h1::keeps_alive(&headers, old);
    if !old && headers.all("host").count() != 1 {
        return Err(Fault::Host);
    }
    // Nobody should guess where a name ends that is none (RFC 9112, section 3.2).
    if !old && !headers.all("host").all(|host| host.iter().copied().all(in_host)) {
        return Err(Fault::NoHost);
    }
    let decoder = framing(&mut headers, old, &mut keeps_alive)?;
    let waits = !old && !decoder.is_complete() && waits(&headers);
    let request = Request { method, target, headers, body: () };
    Ok(Head { request, decoder, old, keeps_alive, waits })
}

/// May it stand in a host and its port? (RFC 3986, section 3.2.2.)
const fn in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'$' | b'%' | b'&'..=b'.' | b':' | b';' | b'=' | b'[' | b']' | b'_' | b'~')
}

fn target(target: Bytes) -> Result<Uri, Fault> {
    /// What [`Uri`] takes, in bytes.
    const LONGEST: usize = u16::MAX as usize - 1;
    if LONGEST < target.len() {
        return Err(Fault::Target);
    }
    Uri::from_maybe_shared(target).map_err(|_: uri::InvalidUri| Fault::Head)
}

/// How the body of a request is framed (RFC 9112 section 6.3). A body without a length is none. Of
/// one that has both a length and chunks, the chunks count, and the connection is not used again:
/// whoever stands before us may have counted otherwise.
fn framing(headers: &mut Headers, old: bool, keeps_alive: &mut bool) -> Result<Decoder, Fault> {
    if headers.has("transfer-encoding") {
        if old || !h1::is_chunked(headers) {
            return Err(Fault::Framing);
        }
        *keeps_alive &= !headers.remove("content-length");
        return Ok(Decoder::chunked());
    }
    let length = h1::content_length(headers).map_err(|_| Fault::Framing)?;
    Ok(length.map_or_else(Decoder::empty, Decoder::length))
}

fn waits(headers: &Headers) -> bool {
    headers.get("expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> Result<Option<Head>, Fault> {
        take(&mut BytesMut::from(text), &mut 0)
    }

    fn fault(lines: &str) -> Option<Fault> {
        taken(&format!("{lines}\r\n\r\n")).err()
    }

    #[test]
    fn a_head_says_what_it_says() {
        let head = taken("\r\nPOST /v1/messages?beta=true HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 7\r\nexpect: 100-Continue\r\n\r\n{}").unwrap().unwrap();
        assert_eq!(head.request.method, Method::POST);
        assert_eq!(head.request.target, "/v1/messages?beta=true");
        assert_eq!(head.request.headers.all("x-a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(head.decoder.remaining(), Some(7));
        assert!(head.waits && head.keeps_alive && !head.old);
    }

    #[test]
    fn connections_go_on_as_the_version_and_the_client_say() {
        for (version, connection, goes_on) in [
            ("1.1", "", true),
            ("1.1", "connection: close\r\n", false),
            ("1.1", "connection: x, Close\r\n", false),
            ("1.1", "content-length: 2\r\ntransfer-encoding: chunked\r\n", false),
            ("1.0", "", false),
            ("1.0", "connection: keep-alive\r\n", true),
        ] {
            let head =
                taken(&format!("GET / HTTP/{version}\r\nhost: x\r\n{connection}\r\n")).unwrap().unwrap();
            assert_eq!(head.keeps_alive, goes_on, "{version} {connection}");
            assert_eq!(head.old, version == "1.0");
        }
    }

    #[test]
    fn what_is_no_request_is_told_apart() {
        let long = format!("GET /{} HTTP/1.1\r\nhost: x", "x".repeat(70_000));
        let large = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "y".repeat(MAX_HEAD));
        let many = format!("GET / HTTP/1.1\r\nhost: x{}", "\r\nx: y".repeat(MAX_HEADERS));
        for (lines, expected) in [
            ("GET / HTTP/1.1\r\nhost: x", None),
            ("GET / HTTP/1.0", None),
            ("GET http://x/y HTTP/1.1\r\nhost: x", None),
            ("OPTIONS * HTTP/1.1\r\nhost: x", None),
            ("GET / HTTP/1.1", Some(Fault::Host)),
            ("GET / HTTP/1.1\r\nhost: x\r\nhost: y", Some(Fault::Host)),
            ("GET / HTTP/1.1\r\nhost: a b/c", Some(Fault::NoHost)),
            ("GET / HTTP/1.1\r\nhost: user@x", Some(Fault::NoHost)),
            ("GET / HTTP/1.1\r\nhost: x/\r\nhost: y", Some(Fault::Host)),
            ("GET / HTTP/1.1\r\nhost: [::1]:8787", None),
            ("GET / HTTP/1.1\r\nhost:", None),
            ("GET / HTTP/2.0\r\nhost: x", Some(Fault::Version)),
            ("GET /", Some(Fault::Head)),
            ("GET / HTTP/1.1\r\nhost : x", Some(Fault::Head)),
            ("GET / HTTP/1.1\r\nhost: x\r\n folded: y", Some(Fault::Head)),
            ("GET / HTTP/1.1\r\nhost: x\r\nx: a\0b", Some(Fault::Head)),
            ("\x16\x03\x01\x02", Some(Fault::Head)),
            (&long, Some(Fault::Target)),
            (&large, Some(Fault::Large)),
            (&many, Some(Fault::Large)),
        ] {
            assert_eq!(fault(lines), expected, "{}", &lines[..lines.len().min(60)]);
        }
    }

    /// Each of these is read in two ways by servers that stand behind one another.
    #[test]
    fn a_body_has_one_length() {
        for (lines, expected) in [
            ("content-length: 5\r\ncontent-length: 5", None),
            ("content-length: 5, 5", None),
            ("content-length: 5\r\ncontent-length: 6", Some(Fault::Framing)),
            ("content-length: +5", Some(Fault::Framing)),
            ("content-length: 5 5", Some(Fault::Framing)),
            ("content-length: 0x5", Some(Fault::Framing)),
            ("content-length: -1", Some(Fault::Framing)),
            ("content-length: 99999999999999999999", Some(Fault::Framing)),
            ("content-length:", Some(Fault::Framing)),
            ("transfer-encoding: Chunked", None),
            ("transfer-encoding: gzip, chunked", None),
            ("transfer-encoding: chunked, gzip", Some(Fault::Framing)),
            ("transfer-encoding: chunked, chunked", Some(Fault::Framing)),
            ("transfer-encoding: xchunked", Some(Fault::Framing)),
            ("transfer-encoding: identity", Some(Fault::Framing)),
        ] {
            assert_eq!(fault(&format!("POST / HTTP/1.1\r\nhost: x\r\n{lines}")), expected, "{lines}");
        }
        assert_eq!(fault("POST / HTTP/1.0\r\ntransfer-encoding: chunked"), Some(Fault::Framing));
    }

    #[test]
    fn what_cannot_become_a_request_is_not_waited_for() {
        for (beginning, expected) in [
            ("POST /v1/mess", None),
            ("POST / HTTP/1.1\r\nhost: x\r\nx", None),
            ("\x16\x03\x01\x02\x00\x01", Some(Fault::Head)),
            ("hello\r\n", Some(Fault::Head)),
            ("PRI * HTTP/2.0\r\n", Some(Fault::Version)),
        ] {
            assert_eq!(taken(beginning).err(), expected, "{beginning:?}");
        }
    }

    #[test]
    fn a_head_in_pieces_is_the_same_head() {
        let text = "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
        for cut in 1..text.len() - 2 {
            let mut inbox = BytesMut::from(&text[..cut]);
            let mut scanned = 0;
            if let Some(head) = take(&mut inbox, &mut scanned).unwrap() {
                assert_eq!((cut, head.decoder.remaining()), (text.len() - 2, Some(2)));
                continue;
            }
            inbox.extend_from_slice(&text.as_bytes()[cut..]);
            let head = take(&mut inbox, &mut scanned).unwrap().unwrap();
            assert_eq!((head.request.target.path(), &inbox[..]), ("/v1/messages", &b"{}"[..]));
        }
    }
}
