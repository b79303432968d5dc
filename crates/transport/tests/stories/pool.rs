//! What is kept, for how long, and what it is found to be when it is taken up again.

use std::time::Duration;

use http::Response;
use http_body::Body;
use http_body_util::BodyExt;
use relay_transport::{Incoming, Origin, Settings, Stats, Transport};
use tokio::time::sleep;

use crate::{
    pipe::{Ask, DEADLINES, OK, Peer, Upstream, hello, origin, pipes, pipes_with, send, text},
    servers::{Server, Speaks},
};

async fn ask(transport: &Transport) -> String {
    text(send(transport, hello()).await.unwrap()).await.unwrap()
}

/// One request on a connection that was not there before.
async fn first(transport: &Transport, upstream: &mut Upstream, answer: &str) -> Peer {
    let (_, peer) = tokio::join!(ask(transport), async {
        let mut peer = upstream.accept().await;
        peer.answer(answer).await;
        peer
    });
    peer
}

/// Two answers whose bodies are not yet read, on two connections, in the order of dialling.
async fn two_at_once(
    transport: &Transport,
    upstream: &mut Upstream,
) -> ((Response<Incoming>, Response<Incoming>), (Peer, Peer)) {
    let client = async { tokio::join!(biased; send(transport, hello()), send(transport, hello())) };
    let ((a, b), peers) = tokio::join!(client, async {
        let (mut one, mut two) = (upstream.accept().await, upstream.accept().await);
        one.answer(OK).await;
        two.answer(OK).await;
        (one, two)
    });
    ((a.unwrap(), b.unwrap()), peers)
}

#[tokio::test]
async fn one_connection_carries_one_request_after_the_other() {
    let (transport, mut upstream) = pipes();
    let mut peer = first(&transport, &mut upstream, OK).await;
    for _ in 0..9 {
        let (answer, _) = tokio::join!(ask(&transport), peer.answer(OK));
        assert_eq!(answer, "ok");
    }
    assert!(upstream.is_left_alone());
    assert_eq!(transport.stats(), Stats { open: 1, idle: 1, opened: 1, reused: 9 });
}

#[tokio::test]
async fn a_real_server_sees_one_connection_for_many_requests() {
    let server = Server::start(
        Speaks::Plain,
        |_| {},
        async |request: http::Request<hyper::body::Incoming>| {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            http::Response::new(http_body_util::Full::new(body))
        },
    )
    .await;
    let transport = server.transport(|_| {});
    for _ in 0..10 {
        let response = transport.ask(&server.origin(), hello(), DEADLINES).await.unwrap();
        assert_eq!(text(response).await.unwrap(), "hello");
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(transport.stats(), Stats { open: 1, idle: 1, opened: 1, reused: 9 });
}

#[tokio::test]
async fn a_connection_is_back_with_the_last_byte_and_not_a_poll_later() {
    for answer in [OK, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"] {
        let (transport, mut upstream) = pipes();
        let (response, _peer) = tokio::join!(send(&transport, hello()), async {
            let mut peer = upstream.accept().await;
            peer.answer(answer).await;
            peer
        });
        let mut body = response.unwrap().into_body();
        assert!(!body.is_end_stream());
        assert_eq!(transport.stats().idle, 0);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ok");
        assert!(body.is_end_stream());
        assert_eq!(transport.stats().idle, 1, "{answer}");
    }
}

#[tokio::test]
async fn a_connection_is_back_with_the_head_where_there_is_no_body() {
    let (transport, mut upstream) = pipes();
    let (response, _peer) = tokio::join!(send(&transport, hello()), async {
        let mut peer = upstream.accept().await;
        peer.answer("HTTP/1.1 204 No Content\r\n\r\n").await;
        peer
    });
    let response = response.unwrap();
    assert_eq!(transport.stats().idle, 1);
    assert!(response.body().is_end_stream());
}

#[tokio::test]
async fn a_connection_is_not_kept_when_either_side_cannot_go_on() {
    let table = [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 99\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        // Bytes after the end belong to nobody.
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
        // The server says that it will close within the second.
        "HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok",
    ];
    for answer in table {
        let (transport, mut upstream) = pipes();
        let mut peer = first(&transport, &mut upstream, answer).await;
        assert_eq!(transport.stats().open, 0, "{answer}");
        assert_eq!(peer.closed().await, b"", "{answer}");
    }
    let (transport, mut upstream) = pipes();
    let kept = "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok";
    let _peer = first(&transport, &mut upstream, kept).await;
    assert_eq!(transport.stats().idle, 1);
}

#[tokio::test]
async fn a_connection_that_died_in_the_pool_is_not_used() {
    // In order, or with a last word that nobody asked for.
    for word in ["", "HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let (transport, mut upstream) = pipes();
        let mut dead = first(&transport, &mut upstream, OK).await;
        dead.write(word).await;
        drop(dead);
        let _peer = first(&transport, &mut upstream, OK).await;
        assert_eq!(transport.stats(), Stats { open: 1, idle: 1, opened: 2, reused: 0 });
    }
}

#[tokio::test]
async fn the_connection_used_last_is_taken_first() {
    let (transport, mut upstream) = pipes();
    let ((a, b), (mut one, mut two)) = two_at_once(&transport, &mut upstream).await;
    text(b).await.unwrap();
    text(a).await.unwrap();
    // The first to be dialled came back last.
    let answered = tokio::join!(ask(&transport), one.answer(OK)).0;
    assert_eq!(answered, "ok");
    transport.close_idle();
    assert_eq!((one.closed().await, two.closed().await), (Vec::new(), Vec::new()));
    assert_eq!(transport.stats(), Stats { open: 0, idle: 0, opened: 2, reused: 1 });
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_in_time_although_nothing_happens() {
    let (transport, mut upstream) = pipes();
    let mut peer = first(&transport, &mut upstream, OK).await;
    sleep(Duration::from_secs(59)).await;
    assert_eq!(transport.stats().idle, 1);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(peer.closed().await, b"");
    assert_eq!(transport.stats().open, 0);
    // The sweeper ended with the last connection, and begins anew with the next.
    let mut peer = first(&transport, &mut upstream, OK).await;
    sleep(Settings::IDLE_TIMEOUT).await;
    assert_eq!(peer.closed().await, b"");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_announces_less_patience_is_believed() {
    let (transport, mut upstream) = pipes();
    let answer = "HTTP/1.1 200 OK\r\nkeep-alive: max=7, timeout=5\r\ncontent-length: 2\r\n\r\nok";
    let mut peer = first(&transport, &mut upstream, answer).await;
    sleep(Duration::from_millis(3900)).await;
    tokio::join!(ask(&transport), peer.answer(answer));
    sleep(Duration::from_millis(4100)).await;
    assert_eq!(peer.closed().await, b"");
}

#[tokio::test]
async fn no_more_are_kept_than_allowed() {
    let (transport, mut upstream) = pipes_with(1024, |settings| settings.max_idle = 1);
    let ((a, b), (mut one, two)) = two_at_once(&transport, &mut upstream).await;
    text(a).await.unwrap();
    text(b).await.unwrap();
    // The one that came back first goes.
    assert_eq!(one.closed().await, b"");
    assert_eq!(transport.stats().idle, 1);
    drop(two);
}

#[tokio::test]
async fn origins_do_not_share_connections() {
    let (transport, mut upstream) = pipes();
    let _one = first(&transport, &mut upstream, OK).await;
    let other = Origin::parse("http://other.test:81").unwrap();
    let (answered, peer) = tokio::join!(transport.ask(&other, hello(), DEADLINES), async {
        let mut peer = upstream.accept().await;
        let (head, _) = peer.answer(OK).await;
        assert!(head.contains("\r\nhost: other.test:81\r\n"), "{head}");
        peer
    });
    text(answered.unwrap()).await.unwrap();
    assert_eq!((peer.origin.clone(), transport.stats().opened), (other, 2));
    assert_ne!(peer.origin, origin());
}

#[tokio::test]
async fn timings_tell_a_new_connection_from_a_kept_one() {
    let (transport, mut upstream) = pipes();
    let (response, mut peer) = tokio::join!(send(&transport, hello()), async {
        let mut peer = upstream.accept().await;
        peer.answer(OK).await;
        peer
    });
    let response = response.unwrap();
    let timings = *response.body().timings();
    assert!(!timings.reused && timings.connect.is_some() && timings.tls.is_none());
    text(response).await.unwrap();
    let (response, _) = tokio::join!(send(&transport, hello()), peer.answer(OK));
    let timings = *response.unwrap().body().timings();
    assert!(timings.reused && timings.connect.is_none());
}
