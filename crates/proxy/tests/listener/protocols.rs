//! Both versions of HTTP on one cleartext port.

use std::time::Duration;

use relay_testkit::replies;
use relay_testkit::story::{Manner, ask, get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::client::{Answer, Http2, together};
use crate::stage::Stage;
use crate::upstream::{Act, Gate, Upstream, acts};

/// What a client of HTTP/2 begins with (RFC 9113, section 3.4), and empty settings.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

#[tokio::test]
async fn one_port_speaks_both_versions() {
    let upstream = Upstream::always(replies::stream("hello")).await;
    let stage = Stage::with(&upstream, "").await;
    let (mut old, mut new) = (stage.http1().await, stage.http2().await);
    for _ in 0..2 {
        for answer in [old.ask(ask("hi", Manner::Stream)).await, new.ask(ask("hi", Manner::Stream)).await] {
            assert_eq!((answer.status(), answer.text()), (200, replies::stream_text("hello")));
            assert!(answer.cut.is_none());
        }
    }
    assert_eq!(upstream.seen().len(), 4);
}

#[tokio::test]
async fn without_http2_its_preface_is_refused() {
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with(&upstream, "enable_http2: false").await;
    let mut raw = stage.raw().await;
    raw.send(PREFACE).await;
    let (said, _) = raw.rest().await;
    assert!(said.starts_with("HTTP/1.1 505 "), "{said:?}");
    match Http2::over(stage.connect().await).await {
        Ok(mut client) => assert!(client.begin(get("/health")).await.is_err()),
        Err(error) => assert!(!error.is_user(), "{error}"),
    }
    assert_eq!(stage.http1().await.ask(get("/health")).await.status(), 200);
}

/// The number that a test put into a request's query.
pub(crate) fn number(head: &str) -> usize {
    let after = head.split("?n=").nth(1).unwrap_or_default();
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| unreachable!("no number in {head}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_share_one_connection() {
    const STREAMS: usize = 64;
    let gate = Gate::closed();
    let upstream = Upstream::scripted({
        let gate = gate.clone();
        move |head| {
            let mut script = vec![Act::Body, Act::Wait(gate.clone())];
            script.extend(acts(replies::stream(&format!("answer {}", number(head)))).split_off(1));
            script
        }
    })
    .await;
    let stage = Stage::with(&upstream, "").await;
    let client = stage.http2().await;
    let asking: Vec<_> = (0..STREAMS)
        .map(|number| {
            let mut client = client.clone();
            together(async move {
                let body = format!("{{\"model\":\"claude-opus-5-5\",\"stream\":true,\"n\":{number}}}");
                client.ask(post(&format!("/v1/messages?n={number}"), body)).await
            })
        })
        .collect();
    // All of them are under way at once: none has been answered yet.
    upstream.until(|seen| seen.iter().filter(|seen| seen.body.is_some()).count() == STREAMS).await;
    assert_eq!(stage.handle.in_flight() as usize, STREAMS);
    gate.open();
    for (number, asking) in asking.into_iter().enumerate() {
        let answer: Answer = asking.await.unwrap();
        assert_eq!(answer.text(), replies::stream_text(&format!("answer {number}")));
        assert!(answer.cut.is_none());
    }
    for seen in upstream.seen() {
        let body = String::from_utf8(seen.body.unwrap()).unwrap();
        assert!(body.ends_with(&format!("\"n\":{}}}", number(&seen.head))), "{body} came with {}", seen.head);
    }
    stage.idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http2_that_has_vanished_is_noticed() {
    let upstream = Upstream::scripted(|_| vec![Act::Body, Act::Hang]).await;
    let stage = Stage::with(&upstream, "").await;
    let began = Instant::now();
    let mut vanished = stage.pipe();
    vanished.write_all(PREFACE).await.unwrap();
    // It takes what comes, and answers nothing: not the settings, not a ping.
    let mut taken = Vec::new();
    let ended = tokio::time::timeout(Duration::from_hours(1), vanished.read_to_end(&mut taken)).await;
    assert!(ended.is_ok(), "its connection is kept for ever");
    assert!(began.elapsed() <= Duration::from_mins(2), "{:?}", began.elapsed());

    // One that answers may idle.
    let mut alive = Http2::over(stage.pipe()).await.unwrap();
    assert_eq!(alive.ask(get("/health")).await.status(), 200);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(alive.ask(get("/health")).await.status(), 200);
}
