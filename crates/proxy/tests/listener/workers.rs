//! Connections that are served by threads of their own.

use std::num::NonZeroUsize;
use std::time::Duration;

use relay_testkit::replies;
use relay_testkit::story::{Manner, ask, post};

use crate::client::{Answer, within};
use crate::drain::gated;
use crate::stage::Stage;
use crate::upstream::{Upstream, acts};

const MESSAGE: &str = r#"{"model":"claude-opus-5-5","messages":[]}"#;

const TWO: NonZeroUsize = NonZeroUsize::new(2).expect("two is not zero");

#[tokio::test]
async fn many_connections_are_served_by_few_threads() {
    let upstream = Upstream::scripted(|_| acts(replies::message("hello"))).await;
    let stage = Stage::with_workers(&upstream, TWO).await;
    for _ in 0..4 {
        let (mut old, mut new) = (stage.http1().await, stage.http2().await);
        for _ in 0..4 {
            for answer in
                [old.ask(post("/v1/messages", MESSAGE)).await, new.ask(post("/v1/messages", MESSAGE)).await]
            {
                assert_eq!((answer.status(), answer.text()), (200, replies::message_body("hello")));
            }
        }
    }
    assert_eq!(upstream.seen().len(), 32);
    stage.idle().await;
    assert!(within(stage.handle.drain(Duration::from_mins(1))).await);
}

#[tokio::test]
async fn a_drain_waits_for_what_other_threads_serve() {
    let (upstream, gate) = gated().await;
    let stage = Stage::with_workers(&upstream, TWO).await;
    let mut clients = [stage.http1().await, stage.http1().await, stage.http1().await];
    let mut flowing = Vec::new();
    for client in &mut clients {
        flowing.push(client.begin(ask("hi", Manner::Stream)).await.unwrap());
    }
    let mut draining = std::pin::pin!(stage.handle.drain(Duration::from_mins(1)));
    assert!(tokio::time::timeout(Duration::ZERO, &mut draining).await.is_err());
    assert_eq!(stage.handle.in_flight(), 3);
    gate.open();
    for response in flowing {
        assert!(Answer::of(response).await.text().ends_with(replies::MESSAGE_STOP));
    }
    assert!(within(draining).await);
}

#[tokio::test]
async fn whoever_is_in_a_hurry_cuts_off_what_other_threads_serve() {
    let (upstream, _closed) = gated().await;
    let stage = Stage::with_workers(&upstream, TWO).await;
    let (mut old, mut new) = (stage.http1().await, stage.http2().await);
    let flowing = [
        old.begin(ask("hi", Manner::Stream)).await.unwrap(),
        new.begin(ask("hi", Manner::Stream)).await.unwrap(),
        new.begin(ask("hi", Manner::Stream)).await.unwrap(),
    ];
    assert_eq!(stage.handle.in_flight(), 3);
    assert!(within(stage.handle.cut(Duration::from_mins(1))).await, "all of it has ended");
    assert_eq!(stage.handle.in_flight(), 0, "every request has given its place back");
    for response in flowing {
        assert!(Answer::of(response).await.cut.is_some(), "it does not look like an end");
    }
    stage.idle().await;
}
