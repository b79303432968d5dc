//! Bodies of requests: of every framing, and too large.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Channel};
use relay_testkit::replies;
use relay_testkit::story::{get, post};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use crate::certificates::{Authority, Files, Handshake};
use crate::client::{Answer, Http2, Raw, Sent, header, together, within};
use crate::stage::Stage;
use crate::upstream::{Act, Gate, Upstream, acts};

const MESSAGE: &str = r#"{"model":"claude-opus-5-5","messages":[]}"#;

/// The largest body that the relays here take, in bytes.
const LIMIT: usize = 1 << 20;

async fn stage() -> (Stage, Upstream) {
    let upstream = Upstream::always(replies::message("hello")).await;
    (Stage::with(&upstream, &format!("max_body_bytes: {LIMIT}")).await, upstream)
}

#[tokio::test]
async fn a_chunked_body_is_one_body() {
    let (stage, upstream) = stage().await;
    let mut raw = stage.raw().await;
    raw.send("POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for piece in MESSAGE.as_bytes().chunks(7) {
        raw.send(format!("{:X};ext=1\r\n", piece.len())).await;
        raw.send(piece).await;
        raw.send("\r\n").await;
    }
    raw.send("0\r\nx-trailer: dropped\r\n\r\n").await;
    let answer = raw.answer().await;
    assert_eq!((answer.status(), &*answer.body), (200, &*replies::message_body("hello")));
    let seen = upstream.seen().remove(0);
    assert_eq!(String::from_utf8(seen.body.clone().unwrap()).unwrap(), MESSAGE);
    assert_eq!(seen.header("content-length"), Some(&*MESSAGE.len().to_string()));
    assert_eq!(seen.header("transfer-encoding"), None);
}

#[tokio::test]
async fn a_body_that_is_coded_for_the_way_is_refused_unless_it_is_only_chunked() {
    let (stage, upstream) = stage().await;
    let mut raw = stage.raw().await;
    raw.send("POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        .await;
    assert_eq!(raw.answer().await.status(), 400);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_told() {
    let (stage, upstream) = stage().await;
    let mut raw = stage.raw().await;
    let head = |length: usize| {
        format!(
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    raw.send(head(MESSAGE.len())).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 100 "));
    raw.send(MESSAGE).await;
    assert_eq!(raw.answer().await.status(), 200);
    assert_eq!(upstream.seen()[0].header("expect"), None, "it was for the relay");

    raw.send(head(LIMIT + 1)).await;
    assert_eq!(raw.answer().await.status(), 413, "and not told to go on");
}

/// A body as it goes over HTTP/1.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Framing {
    Announced,
    Chunked,
}

/// Sends a body of many megabytes to the end, and only then reads: as simple clients do. Then the answer must
/// be there, whole, and the connection end cleanly.
async fn send_all_then_read<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    framing: Framing,
    head: &str,
) -> crate::client::Told {
    const PIECES: usize = 48;
    let piece = vec![b'x'; LIMIT];
    let mut raw = Raw::over(stream);
    match framing {
        Framing::Announced => {
            raw.send(format!("{head}content-length: {}\r\n\r\n", PIECES * LIMIT)).await;
            for _ in 0..PIECES {
                raw.send(&piece).await;
            }
        }
        Framing::Chunked => {
            raw.send(format!("{head}transfer-encoding: chunked\r\n\r\n")).await;
            for _ in 0..PIECES {
                raw.send(format!("{:x}\r\n", piece.len())).await;
                raw.send(&piece).await;
                raw.send("\r\n").await;
            }
            raw.send("0\r\n\r\n").await;
        }
    }
    let answer = raw.answer().await;
    let (more, ended) = raw.rest().await;
    assert!(more.is_empty() && ended.is_ok(), "{framing:?}: {more:?}, {ended:?}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_refusal_of_a_large_body_is_read_by_a_client_that_sends_it_all_first() {
    let (stage, upstream) = stage().await;
    let head = "POST /v1/messages HTTP/1.1\r\nhost: x\r\n";
    for framing in [Framing::Announced, Framing::Chunked] {
        let answer = send_all_then_read(stage.connect().await, framing, head).await;
        assert_eq!(answer.status(), 413, "{framing:?}");
        assert!(answer.body.contains("\"request_too_large\""), "{}", answer.body);
        assert!(header(&answer.head, "request-id").is_some());
    }
    // The same for every other no that comes before the body.
    for (head, status) in [
        ("POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-cc-relay-key: guess\r\n", 401),
        ("POST /v1/complete HTTP/1.1\r\nhost: x\r\n", 404),
        ("PUT /v1/messages HTTP/1.1\r\nhost: x\r\n", 405),
    ] {
        let answer = send_all_then_read(stage.connect().await, Framing::Announced, head).await;
        assert_eq!(answer.status(), status, "{head}");
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(stage.handle.in_flight(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_too() {
    let authority = Authority::new();
    let files = Files::with(&authority.issue());
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with(&upstream, &format!("max_body_bytes: {LIMIT}, {}", files.yaml())).await;
    let handshake = Handshake::new(&authority, &["http/1.1"], None);
    for framing in [Framing::Announced, Framing::Chunked] {
        let stream = handshake.with(&stage).await.unwrap();
        let answer = send_all_then_read(stream, framing, "POST /v1/messages HTTP/1.1\r\nhost: x\r\n").await;
        assert_eq!(answer.status(), 413, "{framing:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http2_too_and_the_connection_goes_on() {
    let (stage, _upstream) = stage().await;
    let mut client = stage.http2().await;
    for announced in [true, false] {
        let (mut feed, body) = Channel::new(1);
        let mut request: Request<Sent> = post("/v1/messages", "").map(|_: Bytes| body.boxed());
        if announced {
            request.headers_mut().insert("content-length", (48 * LIMIT).into());
        }
        let mut asking = client.clone();
        let asked = together(async move { Answer::of(asking.begin_with(request).await.unwrap()).await });
        let piece = Bytes::from(vec![b'x'; LIMIT]);
        // More than any window holds, and the answer is there before its end.
        for _ in 0..20 {
            within(feed.send_data(piece.clone())).await.unwrap();
        }
        let answer = asked.await.unwrap();
        for _ in 20..48 {
            within(feed.send_data(piece.clone())).await.unwrap();
        }
        drop(feed);
        assert_eq!(answer.status(), 413);
        assert!(answer.cut.is_none() && answer.text().contains("\"request_too_large\""), "{answer:?}");
    }
    assert_eq!(client.ask(post("/v1/messages", MESSAGE)).await.status(), 200);
    assert_eq!(client.ask(get("/health")).await.status(), 200);
}

/// curl forgets an answer that is followed by a reset, and the relay reset whoever still sent.
#[tokio::test(start_paused = true)]
async fn over_http2_a_refused_client_that_falls_silent_is_reset_after_a_while_and_not_before() {
    let (stage, _upstream) = stage().await;
    let mut client = Http2::over(stage.pipe()).await.unwrap();
    let (mut feed, body) = Channel::new(1);
    let mut request: Request<Sent> = post("/v2/nothing", "").map(|_: Bytes| body.boxed());
    request.headers_mut().insert("content-length", 1_000.into());
    let answer = Answer::of(client.begin_with(request).await.unwrap()).await;
    assert_eq!((answer.status(), answer.cut.is_none()), (404, true));
    let (began, mut sent) = (Instant::now(), 0);
    // A byte every three seconds is no silence, and is taken all the same for half a minute at the most.
    while feed.send_data(Bytes::from_static(b"x")).await.is_ok() {
        sent += 1;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert!((9..=11).contains(&sent) && began.elapsed() <= Duration::from_secs(34), "{sent}");
    // And who says nothing is waited for no longer than five.
    let (mut feed, body) = Channel::new(1);
    let mut request: Request<Sent> = post("/v2/nothing", "").map(|_: Bytes| body.boxed());
    request.headers_mut().insert("content-length", 1_000.into());
    assert_eq!(client.begin_with(request).await.unwrap().status(), 404);
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    let (began, mut sent) = (Instant::now(), 0);
    while feed.send_data(Bytes::from_static(b"x")).await.is_ok() {
        sent += 1;
    }
    assert!(sent <= 3 && began.elapsed() < Duration::from_secs(1), "{sent}");
    assert_eq!(client.ask(get("/health")).await.status(), 200, "the connection goes on");
}

const REFUSED: &str = "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_client_that_has_its_refusal_and_neither_sends_nor_leaves_is_let_go_soon() {
    let (stage, _upstream) = stage().await;
    let mut pipe = stage.pipe();
    pipe.write_all(REFUSED.as_bytes()).await.unwrap();
    let mut said = String::new();
    pipe.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    let began = Instant::now();
    assert!(stage.handle.drain(Duration::from_mins(1)).await);
    assert!(began.elapsed() <= Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_stops_sending_is_cut_in_the_end() {
    let (stage, _upstream) = stage().await;
    let mut pipe = stage.pipe();
    pipe.write_all(REFUSED.as_bytes()).await.unwrap();
    let began = Instant::now();
    while pipe.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let took = began.elapsed();
    assert!(took > Duration::from_secs(5) && took <= Duration::from_mins(1), "{took:?}");
    let mut said = String::new();
    pipe.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
}

/// While the upstream takes nothing more, the client is not the one that is waited for.
#[tokio::test(start_paused = true)]
async fn an_upload_that_waits_for_the_upstream_is_not_the_clients_fault() {
    /// More than all buffers on the way hold.
    const LENGTH: usize = 64 << 20;
    let gate = Gate::closed();
    let upstream = Upstream::scripted({
        let gate = gate.clone();
        move |_| std::iter::once(Act::Ignore(gate.clone())).chain(acts(replies::message("hello"))).collect()
    })
    .await;
    let stage = Stage::with(&upstream, "").await;
    let mut pipe = stage.pipe();
    let head = format!("POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: {LENGTH}\r\n\r\n");
    pipe.write_all(head.as_bytes()).await.unwrap();
    let body = vec![b'x'; LENGTH];
    let began = Instant::now();
    let (sent, ()) = tokio::join!(pipe.write_all(&body), async {
        // Longer than a client may be silent.
        tokio::time::sleep(Duration::from_mins(4)).await;
        gate.open();
    });
    sent.unwrap();
    assert_eq!(began.elapsed().as_secs(), 240, "the upload waited for the upstream");
    assert_eq!(Raw::over(pipe).answer().await.status(), 200);
    assert_eq!(upstream.seen()[0].body.as_ref().map(Vec::len), Some(LENGTH));
}
