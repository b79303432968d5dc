//! Keys run out, die, and come back; the client hears of it only when nobody can serve.

use std::time::Duration;

use relay_testkit::story::{Manner, ask, post};
use relay_testkit::{replies, story};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn keys_are_taken_in_turn() {
    let relay = story().provider_with("a", 3, [replies::stream("hello")]).start().await;
    for _ in 0..6 {
        assert_eq!(relay.ask("hi").await.text(), "hello");
    }
    assert_eq!(relay.keys("a"), ["sk-a-1", "sk-a-2", "sk-a-3", "sk-a-1", "sk-a-2", "sk-a-3"]);
}

#[tokio::test(start_paused = true)]
async fn a_spent_key_rests_and_the_next_one_is_asked() {
    let script =
        [replies::spent("120"), replies::stream("one"), replies::stream("two"), replies::stream("three")];
    let relay = story().provider_with("a", 2, script).start().await;
    assert_eq!(relay.ask("hi").await.text(), "one");
    assert_eq!(relay.keys("a"), ["sk-a-1", "sk-a-2"]);
    let second = relay.ask("hi").await;
    assert_eq!(second.header("x-cc-relay-keys-total"), Some("2"));
    assert_eq!(second.header("x-cc-relay-keys-available"), Some("1"));
    tokio::time::advance(Duration::from_secs(121)).await;
    let third = relay.ask("hi").await;
    assert_eq!(third.header("x-cc-relay-keys-available"), Some("2"));
    assert_eq!(relay.keys("a")[2..], ["sk-a-2", "sk-a-1"], "the rested key takes its turn again");
}

/// Who knows that a key is good again need not wait until the relay finds out.
#[tokio::test(start_paused = true)]
async fn a_key_that_an_operator_resets_is_asked_again_at_once() {
    let script = [replies::dead_key(), replies::dead_key(), replies::stream("one"), replies::stream("two")];
    let yaml = "server: { listen: \"127.0.0.1:0\", auth: { api_key: relay-key } }";
    let relay = story().provider_with("a", 2, script).with(yaml).start().await;
    let served = || async {
        let mut request = ask("hi", Manner::Stream);
        request.headers_mut().insert("x-api-key", "relay-key".parse().unwrap());
        relay.send(request).await
    };
    assert_eq!(served().await.status, 503);
    for (path, known) in [
        ("/v1/providers/b/reset", false),
        ("/v1/providers/a/keys/none/reset", false),
        ("/v1/providers/a/reset", true),
    ] {
        assert_eq!(relay.send(post(path, "")).await.status, 401, "{path}: not for everybody");
        let mut request = post(path, "");
        request.headers_mut().insert("x-api-key", "relay-key".parse().unwrap());
        let answer = relay.send(request).await;
        assert_eq!(answer.status, if known { 200 } else { 404 }, "{path}");
    }
    assert_eq!(served().await.text(), "one");
    assert_eq!(served().await.text(), "two");
    let mut keys = relay.keys("a")[2..].to_vec();
    keys.sort();
    assert_eq!(keys, ["sk-a-1", "sk-a-2"]);
}

#[tokio::test(start_paused = true)]
async fn when_all_keys_rest_for_a_moment_the_call_waits_and_the_client_sees_nothing() {
    let script = [replies::spent("7"), replies::spent("9"), replies::stream("hello")];
    let relay = story().provider_with("a", 2, script).start().await;
    let began = Instant::now();
    let answer = relay.ask("hi").await;
    assert_eq!(answer.text(), "hello");
    assert_eq!(began.elapsed(), Duration::from_secs(7), "the first moment at which a key is ready");
    assert_eq!(relay.keys("a"), ["sk-a-1", "sk-a-2", "sk-a-1"]);
}

#[tokio::test(start_paused = true)]
async fn when_all_keys_rest_for_long_the_refusal_says_when_to_come_back() {
    let relay = story().provider_with("a", 2, [replies::spent("300"), replies::spent("200")]).start().await;
    let answer = relay.ask("hi").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("200"));
    assert!(answer.body_text().contains("rate_limit_error"), "{}", answer.body_text());
    tokio::time::advance(Duration::from_millis(150_500)).await;
    let again = relay.ask("hi").await;
    assert_eq!(again.header("retry-after"), Some("50"), "rounded up, and true");
    assert_eq!(relay.asked().len(), 2, "a resting key is left alone");
}

/// W28 of the old program: a key that was refused stayed in rotation for ever.
#[tokio::test(start_paused = true)]
async fn w28_a_dead_key_is_out_and_asked_again_by_one_call_later() {
    let script = [
        replies::dead_key(),
        replies::stream("a"),
        replies::stream("b"),
        replies::stream("c"),
        replies::stream("d"),
    ];
    let relay = story().provider_with("a", 2, script).start().await;
    for _ in 0..3 {
        assert_eq!(relay.ask("hi").await.status, 200);
    }
    assert_eq!(relay.keys("a"), ["sk-a-1", "sk-a-2", "sk-a-2", "sk-a-2"]);
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(relay.ask("hi").await.status, 200);
    assert_eq!(relay.keys("a")[4], "sk-a-1", "the re-probe, by a call that had another key to fall back on");
    assert_eq!(relay.report().providers[0].keys[0].held, []);
}

#[tokio::test(start_paused = true)]
async fn a_dead_key_never_looks_like_the_clients_own_fault() {
    for reply in [replies::dead_key(), replies::error(403, "permission_error")] {
        let relay = story().provider("a", [reply]).start().await;
        let answer = relay.ask("hi").await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_about_the_call_rests_nothing_and_hops_once() {
    let about_it = replies::error_with(429, "rate_limit_error", &[("x-should-retry", "true")]);
    let relay = story().provider_with("a", 3, [about_it]).start().await;
    let answer = relay.ask("hi").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), None, "none is invented");
    assert!(answer.body_text().contains("said by the provider"));
    assert_eq!(relay.keys("a").len(), 2);
    assert!(relay.report().providers[0].keys.iter().all(|key| key.held.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_count_of_tokens_never_rests_a_model() {
    let script = [replies::spent("300"), replies::stream("hello")];
    let relay = story().provider("a", script).start().await;
    let count =
        relay_testkit::story::post("/v1/messages/count_tokens?beta=true", r#"{"model":"claude-opus-5-5"}"#);
    assert_eq!(relay.send(count).await.status, 429);
    assert_eq!(relay.ask("hi").await.text(), "hello");
}

#[tokio::test(start_paused = true)]
async fn what_a_call_used_is_counted_on_its_key() {
    let relay = story().provider("a", [replies::stream("hello"), replies::message("hello")]).start().await;
    relay.ask("hi").await;
    relay.ask_whole("hi").await;
    let usage = relay.report().providers[0].keys[0].totals.usage;
    assert_eq!((usage.input, usage.cache_read, usage.output), (30, 20, 14));
}
