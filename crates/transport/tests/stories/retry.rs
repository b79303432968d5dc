//! The one failure that is tried again, and those that are not.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use relay_transport::{Kind, Phase, RequestBody, Stats, Transport};

use crate::pipe::{OK, Peer, Upstream, hello, pipes, post, send, text};

/// A transport with one idle connection.
async fn warm() -> (Transport, Upstream, Peer) {
    let (transport, mut upstream) = pipes();
    let (answered, peer) =
        tokio::join!(async { text(send(&transport, hello()).await.unwrap()).await }, async {
            let mut peer = upstream.accept().await;
            peer.answer(OK).await;
            peer
        });
    answered.unwrap();
    (transport, upstream, peer)
}

#[tokio::test]
async fn a_kept_connection_that_ends_without_a_word_costs_a_second_try_and_nothing_else() {
    let (transport, mut upstream, mut peer) = warm().await;
    let (answered, (head, body)) = tokio::join!(send(&transport, hello()), async {
        // It was alive when it was taken up, and is closed with the request unread or read.
        peer.request().await;
        drop(peer);
        let mut peer = upstream.accept().await;
        peer.answer(OK).await
    });
    assert_eq!(text(answered.unwrap()).await.unwrap(), "ok");
    assert!(head.starts_with("POST /v1/messages?beta=true HTTP/1.1\r\n"));
    assert_eq!(body, b"hello");
    assert_eq!(transport.stats().opened, 2);
}

#[tokio::test]
async fn a_kept_connection_that_is_told_it_idled_too_long_costs_a_second_try_and_a_new_one_does_not() {
    const LATE: &str = "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let (transport, mut upstream, mut peer) = warm().await;
    let (answered, _) = tokio::join!(send(&transport, hello()), async {
        peer.answer(LATE).await;
        upstream.accept().await.answer(LATE).await
    });
    assert_eq!(answered.unwrap().status(), http::StatusCode::REQUEST_TIMEOUT);
    assert_eq!(transport.stats().opened, 2);
    assert!(upstream.is_left_alone());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_too_slow_for_the_upstream_is_not_tried_again() {
    let (transport, mut upstream, mut peer) = warm().await;
    let (answered, ()) = tokio::join!(send(&transport, hello()), async {
        peer.request().await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        peer.write("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n").await;
    });
    assert_eq!(answered.unwrap().status(), http::StatusCode::REQUEST_TIMEOUT);
    assert!(upstream.is_left_alone());
}

#[tokio::test]
async fn the_second_try_is_the_last_one() {
    let (transport, mut upstream, mut peer) = warm().await;
    let (answered, ()) = tokio::join!(send(&transport, hello()), async {
        peer.request().await;
        drop(peer);
        upstream.accept().await.request().await;
    });
    let error = answered.err().unwrap();
    assert_eq!((error.phase, error.kind, error.sent), (Phase::FirstByte, Kind::Closed, true));
    assert!(upstream.is_left_alone());
}

#[tokio::test]
async fn a_new_connection_that_ends_without_a_word_is_a_failure() {
    let (transport, mut upstream) = pipes();
    let (answered, ()) = tokio::join!(send(&transport, hello()), async {
        upstream.accept().await.request().await;
    });
    let error = answered.err().unwrap();
    assert_eq!((error.phase, error.kind, error.sent), (Phase::FirstByte, Kind::Closed, true));
    assert!(upstream.is_left_alone());
}

#[tokio::test]
async fn nothing_is_tried_again_once_a_byte_of_an_answer_came() {
    for word in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let (transport, mut upstream, mut peer) = warm().await;
        let (answered, ()) = tokio::join!(send(&transport, hello()), async {
            peer.answer(word).await;
            drop(peer);
        });
        assert_eq!(answered.err().unwrap().kind, Kind::Closed, "{word}");
        assert!(upstream.is_left_alone(), "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_ends_late_ended_while_the_request_was_served() {
    let (transport, mut upstream, mut peer) = warm().await;
    let (answered, ()) = tokio::join!(send(&transport, hello()), async {
        peer.request().await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        drop(peer);
    });
    let error = answered.err().unwrap();
    assert_eq!((error.phase, error.kind, error.sent), (Phase::FirstByte, Kind::Closed, true));
    assert!(upstream.is_left_alone());
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_is_not_entrusted_to_a_kept_connection() {
    let (transport, mut upstream, kept) = warm().await;
    let streamed = || post(RequestBody::stream(Full::new(Bytes::from_static(b"hello"))));
    let (answered, _) =
        tokio::join!(send(&transport, streamed()), async { upstream.accept().await.answer(OK).await });
    assert_eq!(text(answered.unwrap()).await.unwrap(), "ok");
    assert_eq!(transport.stats(), Stats { open: 2, idle: 2, opened: 2, reused: 0 });
    drop(kept);
    assert!(upstream.is_left_alone());
}
