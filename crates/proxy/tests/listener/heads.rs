//! Heads of requests: long, slow, old, and several at once.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use relay_testkit::replies;
use relay_testkit::story::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::client::{Raw, header};
use crate::protocols::number;
use crate::stage::Stage;
use crate::upstream::{Act, Upstream, acts};

const MESSAGE: &str = r#"{"model":"claude-opus-5-5","messages":[]}"#;

/// What every request brings: `host`, and three that describe the body.
const ALWAYS: usize = 4;

/// How long a head may take, and a connection idle.
const DEADLINE: Duration = Duration::from_mins(2);

async fn stage() -> (Stage, Upstream) {
    let upstream = Upstream::always(replies::message("hello")).await;
    (Stage::with(&upstream, "").await, upstream)
}

/// A request with that many header fields.
fn with_headers(count: usize) -> Request<Bytes> {
    let mut request = post("/v1/messages", MESSAGE);
    request.headers_mut().remove("anthropic-beta");
    for place in request.headers().len() + 1..count {
        let name = format!("x-hint-{place}").parse::<http::HeaderName>().expect("it is a name");
        request.headers_mut().insert(name, "y".repeat(80).parse().expect("it is a value"));
    }
    request
}

#[tokio::test]
async fn two_hundred_headers_pass_and_reach_the_provider() {
    let (stage, upstream) = stage().await;
    let answers =
        [stage.http1().await.ask(with_headers(200)).await, stage.http2().await.ask(with_headers(200)).await];
    for (answer, seen) in answers.iter().zip(upstream.seen()) {
        assert_eq!((answer.status(), answer.text()), (200, replies::message_body("hello")));
        let hints = seen.head.lines().filter(|line| line.starts_with("x-hint-")).count();
        assert_eq!(hints, 200 - ALWAYS);
    }
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn headers_pass_in_their_order_and_in_their_letters() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nX-Z: 1\r\nContent-Type: application/json\r\nx-a: 2\r\nX-Z: 3\r\nContent-Length: {}\r\n\r\n{}",
        replies::message_body("hello").len(),
        replies::message_body("hello")
    );
    let upstream = Upstream::scripted(move |_| vec![Act::Body, Act::Send(answer.clone().into())]).await;
    let stage = Stage::with(&upstream, "").await;
    let mut raw = stage.raw().await;
    raw.send(format!(
        "POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Stainless-OS: Linux\r\nanthropic-beta: a\r\nX-App: cli\r\nAnthropic-Beta: b\r\nContent-Length: {}\r\n\r\n{MESSAGE}",
        MESSAGE.len()
    ))
    .await;
    let said = raw.answer().await;
    let lines = |head: &str, kept: &[&str]| {
        let kept = |line: &&str| kept.iter().any(|name| line.to_ascii_lowercase().starts_with(name));
        head.lines().filter(kept).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(&upstream.seen()[0].head, &["x-stainless", "anthropic-beta", "x-app"]),
        ["X-Stainless-OS: Linux", "anthropic-beta: a", "X-App: cli", "Anthropic-Beta: b"]
    );
    assert_eq!(
        lines(&said.head, &["x-z", "content-type", "x-a"]),
        ["X-Z: 1", "Content-Type: application/json", "x-a: 2", "X-Z: 3"]
    );
}

#[tokio::test]
async fn three_hundred_headers_are_refused_and_so_is_a_head_without_end() {
    let (stage, upstream) = stage().await;
    let many = (0..300).map(|place| format!("x-hint-{place}: y\r\n")).collect::<Vec<_>>().concat();
    let long = format!("x-hint: {}\r\n", "y".repeat(1 << 20));
    for headers in [many, long] {
        let mut raw = stage.raw().await;
        // The relay may have had enough before all of it is sent.
        let head = format!("POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n{headers}\r\n");
        raw.send(head).await;
        let (said, ended) = raw.rest().await;
        assert!(said.starts_with("HTTP/1.1 431 "), "{said:?} {ended:?}");
        assert!(ended.is_ok(), "{ended:?}");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn what_is_no_request_is_told_why_in_the_envelope_of_every_error() {
    let (stage, upstream) = stage().await;
    for (head, status, says) in [
        ("POST /v1/messages HTTP/1.1\r\n\r\n", 400, "exactly one `host`"),
        ("POST /v1/messages HTTP/1.1\r\nhost: a b/c\r\n\r\n", 400, "`host` is neither a name nor an address"),
        (
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            400,
            "length",
        ),
        ("POST /v1/messages HTTP/3.0\r\nhost: x\r\n\r\n", 505, "version"),
        // A handshake of TLS where none is spoken.
        ("\x16\x03\x01\x02\x00\x01\x00\x01", 400, "cannot be read"),
    ] {
        let mut raw = stage.raw().await;
        raw.send(head).await;
        let (said, ended) = raw.rest().await;
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")) && ended.is_ok(), "{said}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"]["type"], "invalid_request_error");
        assert!(body["error"]["message"].as_str().unwrap().contains(says), "{body}");
        assert_eq!(header(head, "request-id"), body["request_id"].as_str());
        assert_eq!(header(head, "x-request-id"), body["request_id"].as_str());
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_head_without_end_is_refused_in_http2_and_the_connection_goes_on() {
    let (stage, upstream) = stage().await;
    let mut client = stage.http2().await;
    assert_eq!(client.ask(with_headers(600)).await.status(), 431);
    assert!(upstream.seen().is_empty());
    assert_eq!(client.ask(get("/health")).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let (stage, upstream) = stage().await;
    // Nothing; the beginning of a head; of a method that begins as the preface of HTTP/2 does; of that preface.
    for beginning in ["", "POST /v1/messages HTTP/1.1\r\nhost:", "P", "PRI * HTTP/2.0\r\n\r\nSM"] {
        let began = Instant::now();
        let mut pipe = stage.pipe();
        pipe.write_all(beginning.as_bytes()).await.unwrap();
        let mut said = String::new();
        let ended = timeout(Duration::from_hours(1), pipe.read_to_string(&mut said)).await;
        assert!(ended.is_ok(), "{beginning:?} keeps a connection for ever");
        assert_eq!(began.elapsed().as_secs(), DEADLINE.as_secs(), "{beginning:?}");
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408 "), "{said:?}");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let (stage, upstream) = stage().await;
    let began = Instant::now();
    let mut pipe = stage.pipe();
    let mut head = b"GET /health HTTP/1.1\r\nx-slow: ".iter().chain(std::iter::repeat(&b'x'));
    while pipe.write_all(&[*head.next().unwrap()]).await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(began.elapsed() <= DEADLINE + Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(upstream.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_idle_between_requests_until_the_deadline() {
    let (stage, _upstream) = stage().await;
    let mut raw = Raw::over(stage.pipe());
    for _ in 0..2 {
        raw.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(raw.answer().await.status(), 200);
        // As long as clients keep pooled connections for.
        tokio::time::sleep(Duration::from_secs(115)).await;
    }
    let began = Instant::now();
    assert!(timeout(DEADLINE, raw.rest()).await.is_ok());
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_their_order() {
    let upstream =
        Upstream::scripted(|head| acts(replies::message(&format!("answer {}", number(head))))).await;
    let stage = Stage::with(&upstream, "").await;
    let mut raw = stage.raw().await;
    let length = MESSAGE.len();
    let request = |number: usize| {
        format!(
            "POST /v1/messages?n={number} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{MESSAGE}"
        )
    };
    raw.send((0..8).map(request).collect::<Vec<_>>().concat()).await;
    for number in 0..8 {
        let answer = raw.answer().await;
        assert_eq!(answer.body, replies::message_body(&format!("answer {number}")));
    }
    assert_eq!(upstream.seen().len(), 8);
}

#[tokio::test]
async fn a_client_of_http1_0_gets_no_chunks_and_a_closed_connection() {
    let upstream = Upstream::scripted(|head| {
        acts(if head.contains("?stream") { replies::stream("hello") } else { replies::message("hello") })
    })
    .await;
    let stage = Stage::with(&upstream, "").await;
    for (query, body, expected) in [
        ("", MESSAGE, replies::message_body("hello")),
        ("?stream", r#"{"model":"claude-opus-5-5","stream":true}"#, replies::stream_text("hello")),
    ] {
        let mut raw = stage.raw().await;
        raw.send(format!(
            "POST /v1/messages{query} HTTP/1.0\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        let (said, ended) = raw.rest().await;
        assert!(ended.is_ok());
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200 "), "{head}");
        assert_eq!(header(head, "transfer-encoding"), None);
        assert_eq!(body, expected);
    }
    let mut raw = stage.raw().await;
    raw.send("GET /health HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await;
    let first = raw.answer().await;
    assert_eq!((first.status(), header(&first.head, "connection")), (200, Some("keep-alive")));
    raw.send("GET /health HTTP/1.0\r\n\r\n").await;
    assert_eq!(raw.answer().await.status(), 200);
}

#[tokio::test]
async fn an_answer_to_head_has_a_length_and_no_body() {
    let (stage, _upstream) = stage().await;
    let mut raw = stage.raw().await;
    raw.send("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let full = raw.answer().await;
    assert!(full.status() == 200 && full.body.contains("claude-opus-5-5"));
    // Were there a body, the next answer would not begin where it should.
    raw.send("HEAD /v1/models HTTP/1.1\r\nhost: x\r\n\r\nGET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(header(&head, "content-length"), Some(&*full.body.len().to_string()));
    assert_eq!(raw.answer().await.body, r#"{"status":"ok"}"#);

    let request = Request::head("/v1/models").body(Bytes::new()).unwrap();
    let answer = stage.http2().await.ask(request).await;
    assert_eq!((answer.status(), answer.body.len()), (200, 0));
    assert!(answer.cut.is_none());
}

#[tokio::test]
async fn a_target_may_be_a_whole_address() {
    let (stage, upstream) = stage().await;
    let mut raw = stage.raw().await;
    let length = MESSAGE.len();
    raw.send(format!(
        "POST http://relay.test:8787/v1/messages?beta=true HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{MESSAGE}"
    ))
    .await;
    assert_eq!(raw.answer().await.status(), 200);
    let seen = upstream.seen().remove(0);
    assert!(seen.head.starts_with("POST /v1/messages?beta=true HTTP/1.1\r\n"), "{}", seen.head);
    assert_eq!(seen.header("host"), Some(&*upstream.address.to_string()));
}
