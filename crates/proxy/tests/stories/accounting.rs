//! Providers that count otherwise than Anthropic: calls at once, all tokens together, faster answers apart.

use std::time::Duration;

use relay_sim::{Limit, Organization, Pace, Settings, Sim};
use relay_testkit::client::Answer;
use relay_testkit::story::{Manner, Told, ask, get, post};
use relay_testkit::{Log, replies, story};
use serde_json::{Value, json};

use crate::all;

/// A provider that lets an organization have so many calls under way, each of which takes two seconds.
fn crowded(most: u32) -> Sim {
    let organization = Organization {
        limit: Limit::at_once(most),
        ..Organization::open("org", &[("key", "sk-ant-api03-key")])
    };
    let pace = Pace { first_event: Duration::from_secs(2), ..Pace::at_once() };
    Sim::new(Settings { organizations: vec![organization], pace, ..Settings::default() })
}

/// So many clients ask at once.
async fn all_ask(relay: &Told, clients: usize) -> Vec<u16> {
    let asked = (0..clients).map(|_| relay.ask_whole("sim: tokens 8"));
    all(asked).await.iter().map(|answer| answer.status.as_u16()).collect()
}

fn refused(sim: &Sim) -> usize {
    sim.seen().iter().filter(|record| record.status.is_some_and(|status| status.as_u16() == 429)).count()
}

async fn page(relay: &Told) -> Value {
    serde_json::from_slice(&relay.send(get("/v1/providers")).await.body()).expect("it is JSON")
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_each_other_where_only_so_many_may_be_under_way() {
    let sim = crowded(2);
    let relay = story()
        .simulated("a", &sim)
        .with("routing: { debug: true }")
        .key_option("a", "concurrency_limit: 2")
        .start()
        .await;
    let began = tokio::time::Instant::now();
    assert_eq!(all_ask(&relay, 6).await, [200; 6]);
    assert_eq!((refused(&sim), began.elapsed().as_secs()), (0, 6), "two at a time, two seconds each");
    let answer = relay.ask_whole("sim: tokens 8").await;
    assert_eq!(answer.header("x-cc-relay-remaining-concurrency"), Some("1"));
    let key = page(&relay).await["data"][0]["keys"][0].clone();
    assert_eq!(key["concurrency"], json!([{"holder": "key", "model_class": null, "limit": 2, "in_use": 0}]));
}

#[tokio::test(start_paused = true)]
async fn it_is_found_out_how_many_may_be_under_way_and_no_client_hears_of_it() {
    let (sim, log) = (crowded(3), Log::listen());
    let relay = story().simulated("a", &sim).start().await;
    // While nothing is known, one is dared at first, and then more.
    for clients in [1, 2, 4, 8, 8, 8] {
        assert_eq!(all_ask(&relay, clients).await, vec![200; clients]);
    }
    assert!((1..=3).contains(&refused(&sim)), "{} were refused", refused(&sim));
    assert!(log.count("the provider refuses more calls at once") > 0);
    let calls = page(&relay).await["data"][0]["keys"][0]["concurrency"].clone();
    assert_eq!([&calls[0]["limit"], &calls[0]["in_use"]], [3, 0], "{calls}");
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_is_known_to_allow_holds_from_the_first_call_on() {
    let script = (0..2).map(|_| replies::message("hello"));
    let relay = story().provider("a", script).of_type("a", "deepseek", &[]).start().await;
    assert_eq!(relay.ask_whole("hi").await.status, 200);
    // It takes that name for a model of its own, which has one limit, whatever it is called.
    let own = ask("hi", Manner::Whole).map(|body| {
        bytes::Bytes::from(String::from_utf8_lossy(&body).replace("claude-opus-5-5", "deepseek-v4-pro"))
    });
    assert_eq!(relay.send(own).await.status, 200);
    let calls = page(&relay).await["data"][0]["keys"][0]["concurrency"].clone();
    assert_eq!(
        calls,
        json!([{"holder": "organization", "model_class": "deepseek-v4-pro", "limit": 500, "in_use": 0}])
    );
}

#[tokio::test(start_paused = true)]
async fn bedrock_counts_an_answer_as_long_as_it_may_be_until_it_has_ended() {
    // It holds a minute's worth. `ask` allows answers of 128,000.
    let message = replies::message_body("hello");
    let script = (0..3).map(|_| replies::after(Duration::from_secs(1), replies::json(200, &[], &message)));
    let relay = story()
        .provider_of("a", &["{ key: \"AKIDEXAMPLE:secret\", tpm_limit: 300000 }"], script)
        .of_type("a", "bedrock", &["aws_region: eu-west-1"])
        .with("routing: { debug: true }")
        .start()
        .await;
    let began = tokio::time::Instant::now();
    let asked = (0..3).map(|_| relay.ask_whole("hi"));
    let answers: Vec<Answer> = all(asked).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    // Two fit at once, and the third goes when they have given back what they did not use.
    assert_eq!(began.elapsed().as_secs(), 2);
    let limit = page(&relay).await["data"][0]["keys"][0]["limits"][0].clone();
    assert_eq!([&limit["holder"], &limit["counted"]], ["key", "tokens"]);
    assert_eq!(limit["per_minute"], 300_000);
}

fn fast(words: &str) -> http::Request<bytes::Bytes> {
    let body = json!({"model": "claude-opus-5-5", "speed": "fast", "max_tokens": 100, "messages": [{"role": "user", "content": words}]});
    post("/v1/messages", body.to_string())
}

#[tokio::test(start_paused = true)]
async fn faster_answers_have_limits_of_their_own() {
    let told = |remaining| {
        let headers = [
            ("anthropic-fast-output-tokens-limit", "6000"),
            ("anthropic-fast-output-tokens-remaining", remaining),
            ("anthropic-ratelimit-output-tokens-limit", "60000"),
            ("anthropic-ratelimit-output-tokens-remaining", "60000"),
        ];
        replies::json(200, &headers, &replies::message_body("hello"))
    };
    let used_up = replies::error_with(
        429,
        "rate_limit_error",
        &[("retry-after", "40"), ("anthropic-fast-output-tokens-remaining", "0")],
    );
    let relay = story().provider("a", [told("6000"), used_up, told("6000")]).start().await;
    assert_eq!(relay.send(fast("hi")).await.status, 200);
    let refused = relay.send(fast("hi")).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("40")));
    // Ordinary ones go on.
    assert_eq!(relay.ask_whole("hi").await.status, 200);
    let limits = page(&relay).await["data"][0]["keys"][0]["limits"].clone();
    let known: Vec<_> = limits
        .as_array()
        .expect("it is a list")
        .iter()
        .map(|limit| (limit["model_class"].clone(), limit["per_minute"].clone()))
        .collect();
    assert_eq!(
        known,
        [(json!("claude-opus-5-5/fast"), json!(6_000)), (json!("claude-opus-5-5"), json!(60_000))]
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_has_no_faster_answers_counts_them_like_others() {
    let used_up = replies::spent("40");
    let relay = story().provider("a", [used_up]).of_type("a", "zai", &[]).start().await;
    assert_eq!(relay.send(fast("hi")).await.status, 429);
    assert_eq!(relay.ask_whole("hi").await.status, 429);
    assert_eq!(relay.asked().len(), 1, "it is known already that nothing is left");
}

#[tokio::test(start_paused = true)]
async fn two_names_of_one_model_share_its_limits() {
    let relay = story()
        .provider("a", [replies::spent("40")])
        .of_type("a", "zai", &["model_mapping: { claude-*: glm-5.3 }"])
        .start()
        .await;
    assert_eq!(relay.ask_whole("hi").await.status, 429);
    let other = ask("hi", Manner::Whole).map(|body| {
        let text = String::from_utf8_lossy(&body).replace("claude-opus-5-5", "claude-sonnet-5-5");
        bytes::Bytes::from(text)
    });
    let refused = relay.send(other).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("40")));
    assert_eq!(relay.asked().len(), 1);
}
