//! The heads of HTTP/1.1 messages: a request head is written, a response head is read.
//!
//! Knows RFC 9112 sections 2 to 5 and which headers belong to one hop. The status line and the
//! header lines are parsed by `httparse`. Refuses to know bodies, but for how their length is said.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request};

use super::{body::Decoder, names};
use crate::{error::Malformed, origin::Origin};

/// The largest response head taken, in bytes. Anthropic's are about 2 KiB; proxies in between add
/// their own, and nothing legitimate comes near.
const MAX_HEAD: usize = 256 * 1024;

/// The largest number of header lines in a response.
const MAX_HEADERS: usize = 256;

/// Room for the headers that whoever passes an answer on adds to it.
const ROOM: usize = 6;

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
    pub(crate) headers: HeaderMap,
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
pub(crate) fn is_ours(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::HOST
            | header::CONNECTION
            | header::CONTENT_LENGTH
            | header::TRANSFER_ENCODING
            | header::TE
            | header::TRAILER
            | header::UPGRADE
            | header::EXPECT
            | header::PROXY_AUTHORIZATION
    ) || name == "keep-alive"
        || name == "proxy-connection"
}

/// Writes a request head.
pub(crate) fn write(
    out: &mut Vec<u8>,
    parts: &request::Parts,
    origin: &Origin,
    target: Target<'_>,
    framing: Framing,
) {
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b' ');
    if let Target::Absolute(_) = target {
        out.extend_from_slice(origin.scheme().name().as_bytes());
        out.extend_from_slice(b"://");
        out.extend_from_slice(origin.authority().as_str().as_bytes());
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    // `http` reads `//host?q` and `*` as well; a target in origin form begins with a slash.
    if !path.starts_with('/') {
        out.push(b'/');
    }
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_line(out, &header::HOST, origin.host_header());
    for (name, value) in &parts.headers {
        if !is_ours(name) {
            write_line(out, name, value);
        }
    }
    if let Target::Absolute(Some(credential)) = target {
        write_line(out, &header::PROXY_AUTHORIZATION, credential);
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

fn write_line(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    out.reserve(name.as_str().len() + value.len() + 4);
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
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
    let headers = collect(head, response.headers, ROOM).ok_or(Malformed::Head)?;
    Ok(Head { status: code, headers, old: response.version != Some(1) })
}

/// Copies no value: each is a slice of the head. `room` is for headers that will be added: a map that grows is built
/// twice.
pub(crate) fn collect(head: &Bytes, lines: &[httparse::Header<'_>], room: usize) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(lines.len() + room);
    for line in lines {
        let name = names::name(line.name.as_bytes())?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(line.value)).ok()?;
        headers.append(name, value);
    }
    Some(headers)
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
        if self.headers.contains_key(header::TRANSFER_ENCODING) {
            if self.old {
                // RFC 9112 section 6.1: such a message is faulty, and its end cannot be known.
                return Err(Malformed::TransferEncoding);
            }
            let both = self.headers.remove(header::CONTENT_LENGTH).is_some();
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
        let name = HeaderName::from_static("keep-alive");
        tokens(&self.headers, &name).find_map(|token| {
            let (name, secs) = token.split_once('=')?;
            name.trim().eq_ignore_ascii_case("timeout").then(|| secs.trim().parse().ok()).flatten()
        })
    }
}

/// Whether whoever sent these headers takes or sends another message afterwards.
pub(crate) fn keeps_alive(headers: &HeaderMap, old: bool) -> bool {
    let says = |word| tokens(headers, &header::CONNECTION).any(|token| token.eq_ignore_ascii_case(word));
    if old { says("keep-alive") && !says("close") } else { !says("close") }
}

/// Whether `chunked` is the last transfer coding, and only that.
pub(crate) fn is_chunked(headers: &HeaderMap) -> bool {
    let mut codings = tokens(headers, &header::TRANSFER_ENCODING);
    let chunked = |coding: &str| coding.eq_ignore_ascii_case("chunked");
    codings.find(|coding| chunked(coding)).is_some() && codings.next().is_none()
}

/// The length that `content-length` gives, however often it is said, if it is always the same.
pub(crate) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        for text in value.as_bytes().split(|byte| *byte == b',') {
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

/// The members of a list header, over all its lines.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|token| token.trim_matches([' ', '\t']))
        .filter(|token| !token.is_empty())
}
