//! As many requests as may be, and the end of the relay.

use std::time::Duration;

use relay_testkit::replies;
use relay_testkit::story::{Manner, ask, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::client::{Answer, next, within};
use crate::protocols::PREFACE;
use crate::stage::Stage;
use crate::upstream::{Act, Gate, Upstream, begun, finished};

/// Streams that have begun and end when the gate opens.
pub(crate) async fn gated() -> (Upstream, Gate) {
    let gate = Gate::closed();
    let upstream = Upstream::scripted({
        let gate = gate.clone();
        move |_| {
            let mut script = begun(&[replies::MESSAGE_START]);
            script.push(Act::Wait(gate.clone()));
            script.extend(finished(&[replies::MESSAGE_STOP]));
            script
        }
    })
    .await;
    (upstream, gate)
}

const WHOLE: [&str; 2] = [replies::MESSAGE_START, replies::MESSAGE_STOP];

#[tokio::test]
async fn no_more_are_served_at_once_than_may_be() {
    let (upstream, gate) = gated().await;
    let stage = Stage::with(&upstream, "max_concurrent: 2").await;
    let (mut old, mut new) = (stage.http1().await, stage.http2().await);
    let flowing = [
        old.begin(ask("hi", Manner::Stream)).await.unwrap(),
        new.begin(ask("hi", Manner::Stream)).await.unwrap(),
    ];
    // On a connection of its own, and on one that has a stream already.
    for answer in
        [stage.http1().await.ask(ask("hi", Manner::Stream)).await, new.ask(ask("hi", Manner::Stream)).await]
    {
        assert_eq!(answer.status(), 503);
        assert!(answer.text().contains("\"overloaded_error\""), "{}", answer.text());
        assert_eq!(answer.head.headers["retry-after"], "1");
    }
    assert_eq!(new.ask(get("/health")).await.status(), 200, "health is not counted");
    assert_eq!(upstream.seen().len(), 2);
    gate.open();
    for response in flowing {
        assert_eq!(Answer::of(response).await.text(), WHOLE.concat());
    }
    stage.idle().await;
    assert_eq!(old.ask(ask("hi", Manner::Stream)).await.status(), 200, "there is room again");
}

#[tokio::test]
async fn a_draining_relay_closes_its_port_and_what_idles_and_finishes_what_is_busy() {
    let (upstream, gate) = gated().await;
    let stage = Stage::with(&upstream, "").await;
    let (mut busy1, mut busy2) = (stage.http1().await, stage.http2().await);
    let mut flowing = Vec::new();
    flowing.push(busy1.begin(ask("hi", Manner::Stream)).await.unwrap());
    flowing.push(busy2.begin(ask("hi", Manner::Stream)).await.unwrap());
    for response in &mut flowing {
        assert_eq!(next(response.body_mut()).await, replies::MESSAGE_START);
    }
    let (mut idle1, mut idle2, mut fresh) = (stage.http1().await, stage.http2().await, stage.connect().await);
    assert_eq!(idle1.ask(get("/ready")).await.status(), 200);
    assert_eq!(idle2.ask(get("/ready")).await.status(), 200);

    let draining = stage.handle.drain(Duration::from_mins(1));
    let mut draining = std::pin::pin!(draining);
    tokio::select! {
        biased;
        _ = &mut draining => unreachable!("two requests are still being served"),
        () = async {
            idle1.closed().await;
            idle2.closed().await;
            assert_eq!(within(fresh.read(&mut [0])).await.unwrap(), 0, "nothing was ever asked on it");
            within(async { while TcpStream::connect(stage.address).await.is_ok() {} }).await;
        } => {}
    }
    assert_eq!(stage.handle.in_flight(), 2);
    assert!(busy2.begin(get("/health")).await.is_err(), "nothing new is begun on a connection that is busy");
    gate.open();
    for response in flowing {
        let answer = Answer::of(response).await;
        assert!(answer.cut.is_none(), "{:?}", answer.cut);
        assert_eq!(answer.text(), replies::MESSAGE_STOP);
    }
    assert!(within(draining).await);
    busy1.closed().await;
    busy2.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http2_that_waits_for_nothing_and_answers_nothing_holds_up_no_drain() {
    let (upstream, _) = gated().await;
    let stage = Stage::with(&upstream, "").await;
    let mut silent = stage.pipe();
    silent.write_all(PREFACE).await.unwrap();
    // The settings of the relay: it knows that this is HTTP/2.
    let mut taken = [0; 9];
    silent.read_exact(&mut taken).await.unwrap();
    let began = Instant::now();
    assert!(stage.handle.drain(Duration::from_secs(30)).await, "it was waited for to the end");
    assert!(began.elapsed() <= Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_request_that_is_on_its_way_when_the_drain_begins_is_served() {
    let (upstream, gate) = gated().await;
    let stage = Stage::with(&upstream, "").await;
    let mut raw = stage.raw().await;
    let body = r#"{"model":"claude-opus-5-5","stream":true}"#;
    raw.send(format!("POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len()))
        .await;
    within(async {
        while stage.handle.in_flight() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut draining = std::pin::pin!(stage.handle.drain(Duration::from_mins(1)));
    assert!(timeout(Duration::ZERO, &mut draining).await.is_err());
    raw.send(body).await;
    gate.open();
    let (said, ended) = raw.rest().await;
    assert!(said.starts_with("HTTP/1.1 200 ") && said.contains("message_stop") && ended.is_ok(), "{said}");
    assert!(said.ends_with("0\r\n\r\n"), "{said}");
    assert!(within(draining).await);
}
