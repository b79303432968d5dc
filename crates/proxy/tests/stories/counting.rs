//! How many tokens a request has, where a provider counts them and where none does.

use http::Request;
use relay_testkit::story::{Manner, Told, ask, post};
use relay_testkit::{Reply, replies, story};
use serde_json::{Value, json};

/// A question of about so many tokens.
fn words(count: usize) -> String {
    ["time", "river", "stone", "garden", "number"]
        .iter()
        .cycle()
        .take(count)
        .copied()
        .collect::<Vec<_>>()
        .join(" ")
}

fn question(path: &str, words: &str) -> Request<bytes::Bytes> {
    let body =
        json!({"model": "glm-5.3", "max_tokens": 99, "messages": [{"role": "user", "content": words}]});
    post(path, body.to_string())
}

/// How many tokens a question has, and whether that is an estimate.
async fn count(relay: &Told, words: &str) -> (u64, bool) {
    let answer = relay.send(question("/v1/messages/count_tokens", words)).await;
    assert_eq!(answer.status, 200, "{}", answer.body_text());
    let page: Value = serde_json::from_slice(&answer.body()).expect("it is JSON");
    (
        page["input_tokens"].as_u64().expect("it is a number"),
        answer.header("x-cc-relay-estimated") == Some("true"),
    )
}

fn used(input: u64) -> Reply {
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "glm-5.3", "content": [], "stop_reason": "end_turn",
        "usage": {"input_tokens": input, "output_tokens": 1},
    });
    replies::json(200, &[], &body.to_string())
}

#[tokio::test(start_paused = true)]
async fn where_nobody_counts_it_is_estimated_and_nobody_is_asked() {
    let relay = story().provider("a", []).of_type("a", "zai", &[]).start().await;
    let (tokens, estimated) = count(&relay, &words(200)).await;
    assert!((180..260).contains(&tokens) && estimated, "{tokens}");
    assert_eq!((count(&relay, "").await.0 > 0, relay.asked().len()), (true, 0), "it is never nothing");
}

/// Twenty answers show by how much a model counts otherwise. Then an estimate is off by less than a tenth.
#[tokio::test(start_paused = true)]
async fn answers_show_how_many_tokens_a_model_counts() {
    // It counts 17 tokens where ten words are, and 300 before the first.
    let counts = |n_words: usize| 300 + n_words as u64 * 17 / 10;
    let sizes = (0..20).map(|nth| 2_000 + nth * 150);
    let relay = story()
        .provider("a", sizes.clone().map(|size| used(counts(size))))
        .of_type("a", "zai", &[])
        .start()
        .await;
    let (before, _) = count(&relay, &words(3_000)).await;
    for size in sizes {
        assert_eq!(relay.send(question("/v1/messages", &words(size))).await.status, 200);
    }
    for n_words in [1_500, 3_000, 9_000] {
        let (tokens, estimated) = count(&relay, &words(n_words)).await;
        let off = tokens.abs_diff(counts(n_words)) * 100 / counts(n_words);
        assert!(off < 10 && estimated, "{tokens} for {}, and {before} before", counts(n_words));
    }
}

#[tokio::test(start_paused = true)]
async fn where_somebody_counts_who_may_answer_he_is_asked() {
    let counted = replies::json(200, &[], r#"{"input_tokens":42}"#);
    let relay = story().provider("a", []).of_type("a", "zai", &[]).provider("b", [counted]).start().await;
    assert_eq!(count(&relay, "hi").await, (42, false));
    assert_eq!(relay.asked(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_read_is_not_estimated() {
    let relay = story().provider("a", []).of_type("a", "zai", &[]).start().await;
    let answer = relay.send(post("/v1/messages/count_tokens", "[]")).await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
    let asked = relay.send(ask("hi", Manner::Whole)).await;
    assert_ne!(asked.status, 404);
}
