//! The relay ends: streams finish, nothing new comes in, and after the deadline it says who was left.

use std::time::Duration;

use relay_testkit::client::End;
use relay_testkit::story::{Manner, ask, get};
use relay_testkit::{Step, replies, story};

#[tokio::test(start_paused = true)]
async fn streams_finish_while_the_relay_drains() {
    let steps = [
        replies::chunk(replies::MESSAGE_START),
        Step::Pause(Duration::from_secs(10)),
        replies::chunk(replies::MESSAGE_STOP),
        replies::end(),
    ];
    let relay = story().provider("a", [replies::events_then([], steps)]).start().await;
    let mut client = relay.client().await;
    let flowing = client.begin(ask("hi", Manner::Stream)).await.unwrap();
    let mut idle = relay.client().await;
    assert_eq!(idle.send(get("/ready")).await.status, 200);
    let (answer, _) = tokio::join!(flowing.whole(), relay.handle.drain(Duration::from_secs(30)));
    assert_eq!(answer.end, End::Whole);
    assert!(idle.begin(get("/health")).await.is_none(), "an idle connection is closed");
}

#[tokio::test(start_paused = true)]
async fn a_drain_gives_up_at_its_deadline() {
    let hung = replies::events_then([replies::MESSAGE_START], [Step::Hang]);
    let relay = story().provider("a", [hung]).start().await;
    let mut client = relay.client().await;
    let mut flowing = client.begin(ask("hi", Manner::Stream)).await.unwrap();
    flowing.next().await.unwrap().unwrap();
    let began = tokio::time::Instant::now();
    assert!(!relay.handle.drain(Duration::from_secs(30)).await);
    assert_eq!(began.elapsed(), Duration::from_secs(30));
    assert_eq!(relay.handle.in_flight(), 1);
}
