//! A client that takes its time: over what it is sent, and over what it sends.

use std::time::Duration;

use relay_testkit::client::End;
use relay_testkit::story::{Manner, ask};
use relay_testkit::{replies, story};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

/// Eight megabytes of events.
fn much() -> Vec<String> {
    let mut pieces = vec![replies::MESSAGE_START.to_owned()];
    pieces.extend((0..8_000).map(|number| replies::delta(&format!("{number} {}", "x".repeat(1_000)))));
    pieces.push(replies::MESSAGE_STOP.to_owned());
    pieces
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_holds_the_upstream_back_and_loses_nothing() {
    /// What may lie in between: both pipes, and the buffers of the relay and of the test's own client.
    const BETWEEN: usize = 2 << 20;
    let pieces = much();
    let relay = story().provider("a", [replies::events(pieces.iter().map(String::as_str))]).start().await;
    let flowing = relay.client().await.begin(ask("hi", Manner::Stream)).await.unwrap();
    // Longer than every deadline of the relay.
    sleep(Duration::from_hours(1)).await;
    assert!(relay.upstream("a").sent() < BETWEEN, "{} bytes are piled up", relay.upstream("a").sent());
    assert_eq!(relay.in_flight(), 1, "it is still being served");

    let answer = flowing.whole().await;
    assert_eq!(answer.end, End::Whole);
    assert!(answer.body_text() == pieces.concat(), "nothing was lost, and no ping was put inside");
    assert_eq!(relay.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_and_then_leaves_is_noticed_at_once() {
    let pieces = much();
    let relay = story().provider("a", [replies::events(pieces.iter().map(String::as_str))]).start().await;
    let flowing = relay.client().await.begin(ask("hi", Manner::Stream)).await.unwrap();
    sleep(Duration::from_mins(10)).await;
    let left = Instant::now();
    drop(flowing);
    relay.upstream("a").cancelled().await;
    assert_eq!(left.elapsed(), Duration::ZERO);
    while relay.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
}

const HEAD: &str = "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 41\r\n\r\n";
const BODY: &str = r#"{"model":"claude-opus-5-5","messages":[]}"#;

/// How long a client may be silent in the middle of a body.
const SILENCE: Duration = Duration::from_mins(2);

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_byte_by_byte_is_waited_for_as_long_as_it_comes() {
    let relay = story().provider("a", [replies::message("hello")]).start().await;
    let mut pipe = relay.connect();
    pipe.write_all(HEAD.as_bytes()).await.unwrap();
    for byte in BODY.bytes() {
        sleep(SILENCE.saturating_sub(Duration::from_secs(1))).await;
        pipe.write_all(&[byte]).await.unwrap();
    }
    let mut said = vec![0; 15];
    pipe.read_exact(&mut said).await.unwrap();
    assert_eq!(String::from_utf8(said).unwrap(), "HTTP/1.1 200 OK");
    assert_eq!(relay.upstream("a").seen()[0].body, BODY);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_not_waited_for_and_gives_its_place_back() {
    for path in ["/v1/messages", "/v1/files"] {
        let relay = story().provider("a", [replies::message("hello")]).start().await;
        let mut pipe = relay.connect();
        let began = Instant::now();
        pipe.write_all(HEAD.replace("/v1/messages", path).as_bytes()).await.unwrap();
        pipe.write_all(&BODY.as_bytes()[..20]).await.unwrap();
        let mut said = String::new();
        pipe.read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("\"timeout_error\""), "{path}: {said}");
        assert_eq!(began.elapsed().as_secs(), SILENCE.as_secs(), "{path}");
        assert_eq!((relay.handle.in_flight(), relay.in_flight()), (0, 0), "{path}");
        assert!(relay.upstream("a").seen().is_empty(), "{path}: it was never a whole request");
    }
}
