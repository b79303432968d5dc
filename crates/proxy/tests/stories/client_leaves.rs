//! The client leaves, in each phase of its call: the upstream request is cancelled at once, and
//! nothing is left behind.

use std::time::Duration;

use relay_testkit::story::{Manner, Told, ask};
use relay_testkit::{Log, Step, replies, story};

/// Sends a request, waits until the upstream has seen it, and leaves.
async fn leave_before_the_head(relay: &Told, manner: Manner) {
    let mut client = relay.client().await;
    let upstream = relay.upstream("a").clone();
    tokio::select! {
        _ = client.begin(ask("hi", manner)) => unreachable!("the upstream says nothing"),
        () = upstream.requests(1) => {}
    }
    drop(client);
    upstream.cancelled().await;
    relay_is_idle(relay).await;
}

/// Waits until no request is being served.
async fn relay_is_idle(relay: &Told) {
    while relay.handle.in_flight() > 0 || relay.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn before_the_head() {
    for manner in [Manner::Stream, Manner::Whole] {
        let relay = story().provider("a", [replies::silence()]).start().await;
        leave_before_the_head(&relay, manner).await;
    }
}

/// W6 of the old program: a body that broke off was forwarded as if it were whole.
#[tokio::test(start_paused = true)]
async fn w6_in_the_middle_of_its_own_body() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let relay = story().provider("a", [replies::message("hello")]).start().await;
    let mut io = relay.connect();
    let head = "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"model\":";
    io.write_all(head.as_bytes()).await.unwrap();
    io.shutdown().await.unwrap();
    let mut answer = Vec::new();
    io.read_to_end(&mut answer).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    relay_is_idle(&relay).await;
    assert!(relay.upstream("a").seen().is_empty(), "nothing was forwarded");
}

#[tokio::test(start_paused = true)]
async fn after_the_head_but_before_the_first_event() {
    let script = [replies::events_then([replies::PING], [Step::Hang])];
    let relay = story().provider("a", script).start().await;
    leave_before_the_head(&relay, Manner::Stream).await;
}

#[tokio::test(start_paused = true)]
async fn in_the_middle_of_a_stream() {
    let script = [replies::events_then([replies::MESSAGE_START], [Step::Hang])];
    let relay = story().provider("a", script).start().await;
    let mut client = relay.client().await;
    let mut flowing = client.begin(ask("hi", Manner::Stream)).await.unwrap();
    assert_eq!(flowing.next().await.unwrap().unwrap(), replies::MESSAGE_START);
    assert_eq!((relay.handle.in_flight(), relay.in_flight()), (1, 1));
    drop((flowing, client));
    relay.upstream("a").cancelled().await;
    relay_is_idle(&relay).await;
    let usage = relay.report().providers[0].keys[0].totals.usage;
    assert_eq!((usage.input, usage.cache_read), (15, 10), "what was used until then is counted");
}

/// A provider counts only at the end. Of models whose thoughts are not shown a text has more tokens than it seems to have,
/// and the limits have been charged with them.
#[tokio::test(start_paused = true)]
async fn what_was_produced_by_then_is_counted_as_answers_of_the_same_models_were() {
    let (shown, counted) = (replies::delta(&"x".repeat(40_000)), "\"output_tokens\":7");
    let end = replies::MESSAGE_DELTA.replace(counted, "\"output_tokens\":80000");
    let whole = [replies::MESSAGE_START, &shown, &end, replies::MESSAGE_STOP];
    let half = replies::delta(&"x".repeat(20_000));
    let script = [
        replies::events(whole),
        replies::events_then([replies::MESSAGE_START, &half, replies::PING], [Step::Hang]),
    ];
    let relay = story().provider("a", script).start().await;
    let used = || relay.report().providers[0].keys[0].totals.usage.output;
    relay.ask("hi").await;
    assert_eq!(used(), 80_000);
    let mut client = relay.client().await;
    let mut flowing = client.begin(ask("hi", Manner::Stream)).await.unwrap();
    while flowing.next().await.unwrap().unwrap() != replies::PING {}
    drop((flowing, client));
    relay.upstream("a").cancelled().await;
    relay_is_idle(&relay).await;
    let then = used() - 80_000;
    assert!((36_000..=40_000).contains(&then), "{then} of 40,000, and not 5,000");
}

#[tokio::test(start_paused = true)]
async fn while_only_pings_have_gone_out() {
    let relay = story().provider("a", [replies::silence()]).start().await;
    let mut client = relay.client().await;
    let mut flowing = client.begin(ask("hi", Manner::Stream)).await.unwrap();
    assert_eq!(flowing.next().await.unwrap().unwrap(), replies::PING);
    drop((flowing, client));
    relay.upstream("a").cancelled().await;
    relay_is_idle(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn while_it_waits_for_a_key() {
    let log = Log::listen();
    let relay = story().provider("a", [replies::spent("10"), replies::stream("later")]).start().await;
    let mut client = relay.client().await;
    tokio::select! {
        _ = client.begin(ask("hi", Manner::Whole)) => unreachable!("it waits for ten seconds"),
        () = tokio::time::sleep(Duration::from_secs(5)) => {}
    }
    assert_eq!(relay.report().waiting, 1);
    drop(client);
    relay_is_idle(&relay).await;
    assert_eq!(relay.report().waiting, 0);
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(relay.upstream("a").seen().len(), 1, "nobody asks for one who has left");
    let line = log.lines_with("request finished").concat();
    assert!(line.contains(" end=left ") && line.contains(" waited_ms=5000 "), "{line}");
}
