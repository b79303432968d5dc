//! Nobody has answered a streaming call in fifteen seconds: its head goes out, pings follow, and the
//! attempts go on behind them.

use std::time::Duration;

use relay_testkit::client::End;
use relay_testkit::{Reply, replies, story};

fn late(seconds: u64, reply: Reply) -> Reply {
    replies::after(Duration::from_secs(seconds), reply)
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_comes_behind_pings() {
    let relay = story().provider("a", [late(50, replies::stream("hello"))]).start().await;
    let answer = relay.ask("hi").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let pings: Vec<_> =
        answer.pieces.iter().take(3).map(|(at, piece)| (at.as_secs(), piece == replies::PING)).collect();
    assert_eq!(pings, [(15, true), (30, true), (45, true)]);
    assert_eq!(answer.body_text(), [replies::PING; 3].concat() + &replies::stream_text("hello"));
    assert_eq!(answer.end, End::Whole);
    assert_eq!(relay.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn failing_over_stays_possible_while_only_pings_have_gone_out() {
    let relay = story()
        .provider("a", [late(20, replies::error(500, "api_error"))])
        .provider("b", [late(20, replies::stream("hello"))])
        .start()
        .await;
    let answer = relay.ask("hi").await;
    assert_eq!(answer.text(), "hello");
    assert_eq!(relay.asked(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_behind_pings_the_first_event_is_an_error() {
    let relay = story().provider("a", [late(20, replies::reset())]).start().await;
    let answer = relay.ask("hi").await;
    assert_eq!((answer.status.as_u16(), answer.end), (200, End::Whole));
    let body = answer.body_text();
    let rest = body.trim_start_matches(replies::PING);
    assert!(rest.starts_with("event: error\ndata: {\"type\":\"error\""), "{body}");
    assert!(rest.contains("api_error"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_behind_pings_keeps_the_providers_words() {
    let relay = story().provider("a", [late(20, replies::error(400, "invalid_request_error"))]).start().await;
    let body = relay.ask("hi").await.body_text();
    let words = replies::error_body("invalid_request_error", "said by the provider");
    assert!(body.ends_with(&format!("event: error\ndata: {words}\n\n")), "{body}");
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_key_counts_as_silence_too() {
    let relay = story().provider("a", [replies::spent("25"), replies::stream("hello")]).start().await;
    let answer = relay.ask("hi").await;
    assert_eq!(answer.text(), "hello");
    assert_eq!(answer.pieces[0].0, Duration::from_secs(15));
    assert_eq!(answer.pieces[0].1, replies::PING);
}

#[tokio::test(start_paused = true)]
async fn a_whole_message_waits_without_a_head() {
    let relay = story().provider("a", [late(100, replies::message("hello"))]).start().await;
    let answer = relay.ask_whole("hi").await;
    assert_eq!(answer.text(), "hello");
    assert_eq!(answer.header("content-type"), Some("application/json"));
}
