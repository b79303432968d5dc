//! Events leave as they come, on a virtual clock; silence is filled with pings between events.

use std::time::Duration;

use relay_testkit::{Step, replies, story};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// W1 of the old program: events lay in a buffer until it was full.
#[tokio::test(start_paused = true)]
async fn w1_every_event_leaves_at_the_moment_it_comes() {
    let mut steps = vec![replies::chunk(replies::MESSAGE_START)];
    for _ in 0..5 {
        steps.push(Step::Pause(Duration::from_millis(500)));
        steps.push(replies::chunk(&replies::delta("x")));
    }
    steps.extend([replies::chunk(replies::MESSAGE_STOP), replies::end()]);
    let relay = story().provider("a", [replies::events_then([], steps)]).start().await;
    let answer = relay.ask("hi").await;
    let times: Vec<_> = answer.pieces.iter().map(|(at, _)| at.as_millis()).collect();
    // What came together, the last text and the end, left together.
    assert_eq!(times, [0, 500, 1000, 1500, 2000, 2500]);
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_with_pings_and_an_event_begins_it_anew() {
    let steps = [
        replies::chunk(replies::MESSAGE_START),
        Step::Pause(seconds(40)),
        replies::chunk(&replies::delta("x")),
        Step::Pause(seconds(20)),
        replies::chunk(replies::MESSAGE_STOP),
        replies::end(),
    ];
    let relay = story().provider("a", [replies::events_then([], steps)]).start().await;
    let answer = relay.ask("hi").await;
    let pings: Vec<_> = answer
        .pieces
        .iter()
        .filter(|(_, piece)| piece == replies::PING)
        .map(|(at, _)| at.as_secs())
        .collect();
    assert_eq!(pings, [15, 30, 55]);
    let rest: String = answer.body_text().replace(replies::PING, "");
    assert_eq!(rest, [replies::MESSAGE_START, &replies::delta("x"), replies::MESSAGE_STOP].concat());
}

#[tokio::test(start_paused = true)]
async fn a_ping_never_falls_inside_an_event() {
    let delta = replies::delta("slow");
    let (head, tail) = delta.split_at(30);
    let steps = [
        replies::chunk(replies::MESSAGE_START),
        replies::chunk(head),
        Step::Pause(seconds(100)),
        replies::chunk(tail),
        Step::Pause(seconds(20)),
        replies::chunk(replies::MESSAGE_STOP),
        replies::end(),
    ];
    let relay = story().provider("a", [replies::events_then([], steps)]).start().await;
    let answer = relay.ask("hi").await;
    let expect = [replies::MESSAGE_START, &delta, replies::PING, replies::MESSAGE_STOP].concat();
    assert_eq!(answer.body_text(), expect);
}

#[tokio::test(start_paused = true)]
async fn a_whole_message_is_never_pinged() {
    let body = replies::message_body("hello");
    let (head, tail) = body.split_at(20);
    let begin = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{head}",
        body.len()
    );
    let steps = vec![Step::Send(begin.into()), Step::Pause(seconds(60)), Step::Send(tail.to_owned().into())];
    let relay = story().provider("a", [relay_testkit::Reply(steps)]).start().await;
    assert_eq!(relay.ask_whole("hi").await.body_text(), body);
}

#[tokio::test(start_paused = true)]
async fn the_interval_is_configurable() {
    let steps = [
        replies::chunk(replies::MESSAGE_START),
        Step::Pause(seconds(5)),
        replies::chunk(replies::MESSAGE_STOP),
        replies::end(),
    ];
    let relay = story()
        .provider("a", [replies::events_then([], steps)])
        .with("server: { listen: \"127.0.0.1:0\", ping_interval_ms: 2000 }")
        .start()
        .await;
    let answer = relay.ask("hi").await;
    assert_eq!(answer.pieces.iter().filter(|(_, piece)| piece == replies::PING).count(), 2);
}
