//! HTTP/1.1 as it was recorded: bytes in both directions become requests and their answers. Knows
//! messages and their lengths; refuses to know what they are about.

/// A request and what came back on it, as the client saw it.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Request,
    /// None if no whole head came.
    pub(crate) answer: Option<Answer>,
}

/// A request as it left the client.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// An answer as it reached the client.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    /// Without the framing of chunks.
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
}

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// As its head had promised.
    Whole,
    /// Before that.
    Cut,
}

/// Names in lower case and values, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

/// The most headers of a message; Claude Code sends some twenty, the provider answers with thirty.
const MOST_HEADERS: usize = 128;

impl Headers {
    /// The first value of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn read(parsed: &[httparse::Header<'_>]) -> Self {
        let pair = |header: &httparse::Header<'_>| {
            (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
        };
        Self(parsed.iter().map(pair).collect())
    }
}

impl Request {
    /// The JSON of its body.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("clients send JSON")
    }

    /// Whether a stream is asked for.
    pub(crate) fn streams(&self) -> bool {
        self.json()["stream"] == true
    }
}

/// Everything that was said on one connection.
pub(crate) fn read(sent: &[u8], received: &[u8]) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    let (mut sent, mut received) = (sent, received);
    while let Some((request, rest)) = read_request(sent) {
        sent = rest;
        let answer = read_answer(received, &request.method);
        received = answer.as_ref().map_or(&[][..], |(_, rest)| rest);
        exchanges.push(Exchange { request, answer: answer.map(|(answer, _)| answer) });
    }
    exchanges
}

/// The next request and what follows it; none if no whole head is there.
fn read_request(bytes: &[u8]) -> Option<(Request, &[u8])> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let parsed = head.parse(bytes).expect("clients speak HTTP/1.1");
    let httparse::Status::Complete(length) = parsed else { return None };
    let headers = Headers::read(head.headers);
    let (body, _, rest) = read_body(&headers, &bytes[length..], Unmarked::Empty);
    let method = head.method.expect("a whole head has a method").to_owned();
    let path = head.path.expect("a whole head has a path").to_owned();
    Some((Request { method, path, headers, body }, rest))
}

fn read_answer<'a>(bytes: &'a [u8], method: &str) -> Option<(Answer, &'a [u8])> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head.parse(bytes).expect("the relay and the provider speak HTTP/1.1");
    let httparse::Status::Complete(length) = parsed else { return None };
    let status = head.code.expect("a whole head has a status");
    let headers = Headers::read(head.headers);
    let rest = &bytes[length..];
    let (body, end, rest) = match (method, status) {
        ("HEAD", _) | (_, 204 | 304) => (Vec::new(), End::Whole, rest),
        _ => read_body(&headers, rest, Unmarked::UntilClose),
    };
    Some((Answer { status, headers, body, end }, rest))
}

/// What a body is whose head says nothing of its length (RFC 9112, section 6.3).
enum Unmarked {
    Empty,
    UntilClose,
}

fn read_body<'a>(headers: &Headers, bytes: &'a [u8], unmarked: Unmarked) -> (Vec<u8>, End, &'a [u8]) {
    if headers.get("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        return read_chunks(bytes);
    }
    let length = headers.get("content-length").map(|length| length.parse().expect("a length is a number"));
    match (length, unmarked) {
        (Some(length), _) if length <= bytes.len() => {
            (bytes[..length].to_vec(), End::Whole, &bytes[length..])
        }
        (Some(_), _) => (bytes.to_vec(), End::Cut, &[]),
        (None, Unmarked::Empty) => (Vec::new(), End::Whole, bytes),
        (None, Unmarked::UntilClose) => (bytes.to_vec(), End::Whole, &[]),
    }
}

fn read_chunks(mut bytes: &[u8]) -> (Vec<u8>, End, &[u8]) {
    let mut body = Vec::new();
    while let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(bytes) {
        let size = usize::try_from(size).expect("chunks fit into memory");
        let chunk = &bytes[start..];
        if chunk.len() < size + 2 {
            body.extend_from_slice(&chunk[..size.min(chunk.len())]);
            return (body, End::Cut, &[]);
        }
        body.extend_from_slice(&chunk[..size]);
        bytes = &chunk[size + 2..];
        if size == 0 {
            return (body, End::Whole, bytes);
        }
    }
    (body, End::Cut, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &[u8] = b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}GET /v1/models HTTP/1.1\r\n\r\n";

    fn ends(received: &[u8]) -> Vec<Option<(u16, Vec<u8>, End)>> {
        let answers = read(ASKED, received).into_iter().map(|exchange| exchange.answer);
        answers.map(|answer| answer.map(|answer| (answer.status, answer.body, answer.end))).collect()
    }

    #[test]
    fn requests_and_answers_are_told_apart() {
        let chunked: &[u8] =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 1\r\n\r\nx";
        let whole = |status, body: &[u8]| Some((status, body.to_vec(), End::Whole));
        assert_eq!(ends(chunked), [whole(200, b"abcd"), whole(404, b"x")]);
        let requests = read(ASKED, b"");
        assert_eq!(
            (requests[0].request.path.as_str(), &requests[0].request.body[..]),
            ("/v1/messages?beta=true", &b"{}"[..])
        );
        assert_eq!(requests[1].request.method, "GET");
    }

    #[test]
    fn what_ends_early_is_cut() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (rest, body) in [("3\r\nabc\r\n", "abc"), ("3\r\na", "a"), ("", ""), ("3\r\nabc\r\n0\r\n", "abc")]
        {
            let received = format!("{head}{rest}");
            assert_eq!(ends(received.as_bytes()), [Some((200, body.into(), End::Cut)), None], "{rest:?}");
        }
        let short = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc";
        assert_eq!(ends(short), [Some((200, b"abc".to_vec(), End::Cut)), None]);
        assert_eq!(ends(b"HTTP/1.1 200 OK\r\nconte"), [None, None]);
    }
}
