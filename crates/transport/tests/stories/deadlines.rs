//! Deadlines, on a clock that stands still until nobody has anything to do.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::BodyExt;
use relay_transport::{BodyError, Deadlines, Dial, Dialing, Kind, Origin, Phase, Transport};
use tokio::time::{Instant, sleep};

use crate::{
    pipe::{Ask, DEADLINES, OK, hello, origin, pipes, pipes_with, post, send, settings, text},
    requests::fed,
};

/// A network in which nobody answers.
struct Silence;

impl Dial for Silence {
    fn dial<'a>(&'a self, _: &'a Origin) -> Dialing<'a> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn connecting_takes_no_longer_than_allowed() {
    let transport = Transport::new(settings(), Arc::new(Silence));
    let start = Instant::now();
    let error = send(&transport, hello()).await.err().unwrap();
    assert_eq!((error.phase, error.kind, error.sent), (Phase::Connect, Kind::Timeout, false));
    assert_eq!(start.elapsed(), DEADLINES.connect);
}

#[tokio::test(start_paused = true)]
async fn shaking_hands_is_part_of_connecting() {
    let (transport, mut upstream) = pipes();
    let start = Instant::now();
    let origin = Origin::parse("https://upstream.test").unwrap();
    let (answered, _peer) = tokio::join!(transport.ask(&origin, hello(), DEADLINES), upstream.accept());
    let error = answered.err().unwrap();
    assert_eq!((error.phase, error.kind, error.sent), (Phase::Tls, Kind::Timeout, false));
    assert_eq!(start.elapsed(), DEADLINES.connect);
}

#[tokio::test(start_paused = true)]
async fn waiters_for_a_shared_connection_wait_no_longer_than_their_own_deadline() {
    let transport = Transport::new(settings(), Arc::new(Silence));
    let origin = Origin::parse("https://upstream.test").unwrap();
    let start = Instant::now();
    let one = || transport.ask(&origin, hello(), DEADLINES);
    let (a, b, c) = tokio::join!(one(), one(), one());
    for answered in [a, b, c] {
        assert_eq!(answered.err().unwrap().kind, Kind::Timeout);
    }
    assert_eq!(start.elapsed(), DEADLINES.connect);
}

#[tokio::test(start_paused = true)]
async fn the_first_byte_is_awaited_from_the_last_byte_of_the_request() {
    let (transport, mut upstream) = pipes_with(1024, |_| {});
    let start = Instant::now();
    let slow = Duration::from_secs(400);
    let body = Bytes::from(vec![b'x'; 4096]);
    let (answered, _peer) = tokio::join!(send(&transport, post(body)), async {
        let mut peer = upstream.accept().await;
        // The request is taken in two bites, 400 s apart; the answer never comes.
        sleep(slow).await;
        peer.request().await;
        peer
    });
    let error = answered.err().unwrap();
    assert_eq!((error.phase, error.kind, error.sent), (Phase::FirstByte, Kind::Timeout, true));
    assert_eq!(start.elapsed(), slow + DEADLINES.first_byte);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_nobody_reads_ends() {
    let (transport, mut upstream) = pipes_with(1024, |_| {});
    let start = Instant::now();
    let body = Bytes::from(vec![b'x'; 4096]);
    let (answered, _peer) = tokio::join!(send(&transport, post(body)), upstream.accept());
    let error = answered.err().unwrap();
    assert_eq!((error.phase, error.kind, error.sent), (Phase::Send, Kind::Timeout, true));
    assert_eq!(start.elapsed(), DEADLINES.first_byte);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_the_client_stops_feeding_ends() {
    let (transport, mut upstream) = pipes();
    let (sender, body) = fed();
    let (answered, _peer) = tokio::join!(send(&transport, post(body)), upstream.accept());
    let error = answered.err().unwrap();
    assert_eq!((error.phase, error.kind), (Phase::Send, Kind::Timeout));
    drop(sender);
}

#[tokio::test(start_paused = true)]
async fn interim_answers_do_not_put_the_first_byte_off() {
    let (transport, mut upstream) = pipes();
    let start = Instant::now();
    let (answered, ()) = tokio::join!(send(&transport, hello()), async {
        let mut peer = upstream.accept().await;
        peer.request().await;
        for _ in 0..7 {
            sleep(Duration::from_secs(100)).await;
            peer.write("HTTP/1.1 103 Early Hints\r\n\r\n").await;
        }
    });
    assert_eq!(answered.err().unwrap().kind, Kind::Timeout);
    assert_eq!(start.elapsed(), Duration::from_secs(700));
}

#[tokio::test(start_paused = true)]
async fn a_body_may_take_for_ever_but_not_be_silent_for_ever() {
    let (transport, mut upstream) = pipes();
    let start = Instant::now();
    let ((), _peer) = tokio::join!(
        async {
            let mut body = send(&transport, hello()).await.unwrap().into_body();
            for _ in 0..20 {
                assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "x");
            }
            let error = body.frame().await.unwrap().unwrap_err();
            assert!(matches!(error, BodyError::Idle(idle) if idle == DEADLINES.idle));
            assert_eq!(start.elapsed(), Duration::from_secs(20 * 250) + DEADLINES.idle);
            assert!(body.frame().await.is_none());
            // Given up: the connection is closed.
            assert_eq!(transport.stats().open, 0);
        },
        async {
            let mut peer = upstream.accept().await;
            peer.request().await;
            peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            for _ in 0..20 {
                sleep(Duration::from_secs(250)).await;
                peer.write("1\r\nx\r\n").await;
            }
            peer
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_slow_to_read_does_not_make_the_upstream_look_silent() {
    let (transport, mut upstream) = pipes();
    let ((), _peer) = tokio::join!(
        async {
            let mut body = send(&transport, hello()).await.unwrap().into_body();
            sleep(DEADLINES.idle * 3).await;
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "x");
            sleep(DEADLINES.idle * 3).await;
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "y");
        },
        async {
            let mut peer = upstream.accept().await;
            peer.request().await;
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nx").await;
            sleep(DEADLINES.idle * 4).await;
            peer.write("y").await;
            peer
        }
    );
}

#[tokio::test(start_paused = true)]
async fn deadlines_of_one_request_do_not_reach_into_the_next() {
    let (transport, mut upstream) = pipes();
    let short = Deadlines { first_byte: Duration::from_secs(5), ..DEADLINES };
    let ((), ()) = tokio::join!(
        async {
            // The timer of the first is armed for sooner than the second needs, and that of the
            // second for later than the third needs.
            for deadlines in [short, DEADLINES] {
                let answered = transport.ask(&origin(), hello(), deadlines).await;
                assert_eq!(text(answered.unwrap()).await.unwrap(), "ok");
            }
            let start = Instant::now();
            let error = transport.ask(&origin(), hello(), short).await.err().unwrap();
            assert_eq!((error.kind, start.elapsed()), (Kind::Timeout, short.first_byte));
        },
        async {
            let mut peer = upstream.accept().await;
            for wait in [4, 500, 6] {
                peer.request().await;
                sleep(Duration::from_secs(wait)).await;
                peer.write(OK).await;
            }
        }
    );
    assert_eq!(transport.stats().opened, 1);
}
