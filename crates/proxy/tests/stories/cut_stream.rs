//! What breaks upstream in the middle of an answer reaches the client as what it was, never as an end.

use std::time::Duration;

use relay_testkit::client::End;
use relay_testkit::{Step, replies, story};

/// W4 of the old program: a cut lost what was buffered, and went unrecorded.
#[tokio::test(start_paused = true)]
async fn w4_a_cut_is_a_cut_and_nothing_before_it_is_lost() {
    let delta = replies::delta("half");
    let pieces = [replies::MESSAGE_START, replies::BLOCK_START, &delta];
    for then in [vec![Step::Cut], vec![replies::end()]] {
        let relay = story().provider("a", [replies::events_then(pieces, then)]).start().await;
        let answer = relay.ask("hi").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.end, End::Cut, "a clean end without message_stop is a cut too");
        assert_eq!(answer.body_text(), pieces.concat());
        assert_eq!(relay.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_event_stays_an_error_event_and_the_stream_ends_as_upstream_ended_it() {
    let error = replies::error_event("overloaded_error");
    let pieces = [replies::MESSAGE_START, &error];
    let relay = story().provider("a", [replies::events(pieces)]).start().await;
    let answer = relay.ask("hi").await;
    assert_eq!(answer.end, End::Whole);
    assert_eq!(answer.body_text(), pieces.concat());
}

#[tokio::test(start_paused = true)]
async fn a_bad_frame_passes_as_it_is() {
    let bad = "event: content_block_delta\ndata: {\"type\": broken\n\n";
    let pieces = [replies::MESSAGE_START, bad, replies::MESSAGE_STOP];
    let relay = story().provider("a", [replies::events(pieces)]).start().await;
    let answer = relay.ask("hi").await;
    assert_eq!(answer.end, End::Whole);
    assert_eq!(answer.body_text(), pieces.concat());
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_is_pinged_and_cut_at_the_idle_deadline() {
    let stalled = replies::events_then([replies::MESSAGE_START], [Step::Hang]);
    let relay = story().provider("a", [stalled]).start().await;
    let began = tokio::time::Instant::now();
    let answer = relay.ask("hi").await;
    assert_eq!(answer.end, End::Cut);
    assert_eq!(began.elapsed(), Duration::from_mins(5), "the idle deadline, which pings do not move");
    let pings = answer.pieces.iter().filter(|(_, piece)| piece == replies::PING).count();
    assert_eq!(pings, 19, "one each 15 s of silence, the last at 285 s");
    relay.upstream("a").cancelled().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_cut_is_cut() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"id\":";
    let reply = relay_testkit::Reply(vec![Step::Send(head.into()), Step::Cut]);
    let relay = story().provider("a", [reply]).start().await;
    let answer = relay.ask_whole("hi").await;
    assert_eq!((answer.status.as_u16(), answer.end), (200, End::Cut));
    assert_eq!(answer.body_text(), "{\"id\":");
    assert_eq!(relay.in_flight(), 0);
}

/// W5 of the old program: a write deadline, counted from the request, cut long streams.
#[tokio::test(start_paused = true)]
async fn w5_a_stream_may_take_hours() {
    let mut steps = vec![replies::chunk(replies::MESSAGE_START)];
    for _ in 0..60 {
        steps.push(Step::Pause(Duration::from_secs(200)));
        steps.push(replies::chunk(&replies::delta("x")));
    }
    steps.extend([replies::chunk(replies::MESSAGE_STOP), replies::end()]);
    let relay = story().provider("a", [replies::events_then([], steps)]).start().await;
    let began = tokio::time::Instant::now();
    let answer = relay.ask("hi").await;
    assert_eq!(answer.end, End::Whole);
    assert_eq!(answer.text(), "x".repeat(60));
    assert_eq!(began.elapsed(), Duration::from_mins(200));
}
