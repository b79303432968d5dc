//! The heads of HTTP/1.1 messages: a request head is written, a response head is read.
//!
//! Knows RFC 9112 sections 2 to 5 and which headers belong to one hop. The status line and the
//! header lines are parsed by `httparse`. Refuses to know bodies, but for how their length is said.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, StatusCode};
use relay_headers::{Header, Headers, Names, Request, write_line};

use super::body::Decoder;
use crate::{error::Malformed, origin::Origin};

/// The largest response head taken, in bytes. Anthropic's are about 2 KiB; proxies in between add
/// their own, and nothing legitimate comes near.
const MAX_HEAD: usize = 256 * 1024;

/// The largest number of header lines in a response.
const MAX_HEADERS: usize = 256;

/// In which form a request names its target (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    /// Path and query: to the origin itself.
    Origin,
    /// The whole URL: to a forward proxy, with the credential it wants.
    Absolute(Option<&'a HeaderValue>),
}

/// How a request says where its body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none, and the method is one that has none.
    None,
    Length(u64),
    Chunked,
}

/// The head of a response, as it was read.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: Headers,
    /// HTTP/1.0, which closes unless told otherwise.
    old: bool,
}

/// What follows a head.
pub(crate) struct Plan {
    pub(crate) decoder: Decoder,
    /// Whether the connection can carry another request afterwards.
    pub(crate) reusable: bool,
}

/// Whether a header speaks of one hop only, or is written by this crate itself.
pub(crate) fn is_ours(header: Header<'_>) -> bool {
    const OURS: Names = Names::of(&[
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "proxy-authorization",
        "keep-alive",
        "proxy-connection",
    ]);
    OURS.have(&header)
}

/// Writes a request head.
pub(crate) fn write(
    out: &mut Vec<u8>,
    request: &Request<()>,
    origin: &Origin,
    target: Target<'_>,
    framing: Framing,
) {
    out.extend_from_slice(request.method.as_str().as_bytes());
    out.push(b' ');
    if let Target::Absolute(_) = target {
        out.extend_from_slice(origin.scheme().name().as_bytes());
        out.extend_from_slice(b"://");
        out.extend_from_slice(origin.authority().as_str().as_bytes());
    }
    let path = request.target.path_and_query().map_or("/", |path| path.as_str());
    // `http` reads `//host?q` and `*` as well; a target in origin form begins with a slash.
    if !path.starts_with('/') {
        out.push(b'/');
    }
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_line(out, b"host", origin.host_header().as_bytes());
    request.headers.write(out, |header| !is_ours(header));
    if let Target::Absolute(Some(credential)) = target {
        write_line(out, b"proxy-authorization", credential.as_bytes());
    }
    match framing {
        Framing::None => {}
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    out.extend_from_slice(b"\r\n");
}

/// Takes a whole response head out of `inbox`, if one is there. `scanned` remembers how far the
/// inbox was searched, so that a head that trickles in is searched once.
pub(crate) fn take(inbox: &mut BytesMut, scanned: &mut usize) -> Result<Option<Head>, Malformed> {
    let Some(end) = find_end(inbox, scanned) else {
        return if MAX_HEAD < inbox.len() { Err(Malformed::HeadSize) } else { Ok(None) };
    };
    if MAX_HEAD < end {
        return Err(Malformed::HeadSize);
    }
    *scanned = 0;
    read(&inbox.split_to(end).freeze()).map(Some)
}

/// Where the empty line that ends a head ends.
pub(crate) fn find_end(inbox: &[u8], scanned: &mut usize) -> Option<usize> {
    let mut from = *scanned;
    while let Some(at) = memchr::memchr(b'\n', inbox.get(from..)?) {
        let next = from + at + 1;
        match inbox.get(next..)? {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            // What follows this line feed is not yet here: it is where to begin next time.
            [] | [b'\r'] => {
                *scanned = next - 1;
                return None;
            }
            _ => from = next,
        }
    }
    *scanned = inbox.len();
    None
}

fn read(head: &Bytes) -> Result<Head, Malformed> {
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, head, &mut lines)
        .map_err(|error| match error {
            httparse::Error::TooManyHeaders => Malformed::HeadCount,
            _ => Malformed::Head,
        })?;
    if status != httparse::Status::Complete(head.len()) {
        return Err(Malformed::Head);
    }
    let code = response.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed::Head)?;
    let headers = parsed(head, response.headers).ok_or(Malformed::Head)?;
    Ok(Head { status: code, headers, old: response.version != Some(1) })
}

/// The headers of these lines, which are slices of the head.
pub(crate) fn parsed(head: &Bytes, lines: &[httparse::Header<'_>]) -> Option<Headers> {
    Headers::parsed(head, lines.iter().map(|line| (line.name.as_bytes(), line.value)))
}

impl Head {
    /// An interim response, which is not the answer.
    pub(crate) fn is_interim(&self) -> bool {
        self.status.is_informational()
    }

    /// How the body of this response to `method` is framed (RFC 9112 section 6.3). Where both
    /// `transfer-encoding` and `content-length` are given, the latter is removed, as the standard
    /// wants it of whoever passes a message on.
    pub(crate) fn plan(&mut self, method: &Method) -> Result<Plan, Malformed> {
        if self.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Malformed::Switched);
        }
        let reusable = keeps_alive(&self.headers, self.old);
        if *method == Method::HEAD || matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        {
            return Ok(Plan { decoder: Decoder::empty(), reusable });
        }
        if self.headers.has("transfer-encoding") {
            if self.old {
                // RFC 9112 section 6.1: such a message is faulty, and its end cannot be known.
                return Err(Malformed::TransferEncoding);
            }
            let both = self.headers.remove("content-length");
            return Ok(if is_chunked(&self.headers) {
                Plan { decoder: Decoder::chunked(), reusable: reusable && !both }
            } else {
                Plan { decoder: Decoder::until_close(), reusable: false }
            });
        }
        Ok(match content_length(&self.headers)? {
            Some(length) => Plan { decoder: Decoder::length(length), reusable },
            None => Plan { decoder: Decoder::until_close(), reusable: false },
        })
    }

    /// The seconds after which the upstream says it will close an idle connection.
    pub(crate) fn keep_alive_secs(&self) -> Option<u64> {
        self.headers.members("keep-alive").find_map(|member| {
            let (name, secs) = std::str::from_utf8(member).ok()?.split_once('=')?;
            name.trim().eq_ignore_ascii_case("timeout").then(|| secs.trim().parse().ok()).flatten()
        })
    }
}

/// Whether whoever sent these headers takes or sends another message afterwards.
pub(crate) fn keeps_alive(headers: &Headers, old: bool) -> bool {
    let says = |word: &[u8]| headers.members("connection").any(|member| member.eq_ignore_ascii_case(word));
    if old { says(b"keep-alive") && !says(b"close") } else { !says(b"close") }
}

/// Whether `chunked` is the last transfer coding, and only that.
pub(crate) fn is_chunked(headers: &Headers) -> bool {
    let mut codings = headers.members("transfer-encoding");
    codings.any(|coding| coding.eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}

/// The length that `content-length` gives, however often it is said, if it is always the same.
pub(crate) fn content_length(headers: &Headers) -> Result<Option<u64>, Malformed> {
    let mut length = None;
    for value in headers.all("content-length") {
        if length.is_none()
            && let Some(number) = decimal(value)
        {
            length = Some(number);
            continue;
        }
        for text in value.split(|byte| *byte == b',') {
            let number = decimal(text.trim_ascii()).ok_or(Malformed::ContentLength)?;
            if length.is_some_and(|length| length != number) {
                return Err(Malformed::ContentLength);
            }
            length = Some(number);
        }
    }
    Ok(length)
}

/// A number of decimal digits and nothing else: `parse` would take a sign.
fn decimal(digits: &[u8]) -> Option<u64> {
    let value = |number: u64, digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, value) }
}
