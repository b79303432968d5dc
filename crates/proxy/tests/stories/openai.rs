//! A provider that speaks as OpenAI does: what it is sent, and what of its answers comes out as Anthropic's.

use bytes::Bytes;
use relay_testkit::client::{Answer, End};
use relay_testkit::story::{Manner, Told, ask, post};
use relay_testkit::{Reply, Step, replies, story};
use serde_json::{Value, json};

/// A relay before one such provider.
async fn relay(script: impl IntoIterator<Item = Reply>) -> Told {
    story()
        .provider("a", script)
        .of_type("a", "openai", &["model_mapping: { claude-opus-*: gpt-5.6 }"])
        .start()
        .await
}

/// A stream of these chunks, and then this is done.
fn streamed(chunks: &[Value], then: impl IntoIterator<Item = Step>) -> Reply {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_far\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut steps = vec![Step::Send(head.into())];
    steps.extend(chunks.iter().map(|chunk| replies::chunk(&format!("data: {chunk}\n\n"))));
    steps.extend(then);
    Reply(steps)
}

fn chunk(delta: &Value, finish: Option<&str>) -> Value {
    json!({"id": "chatcmpl-1", "model": "gpt-5.6", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

fn whole() -> Reply {
    let body = json!({
        "id": "chatcmpl-1",
        "model": "gpt-5.6",
        "choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 30, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 10}},
    });
    replies::json(200, &[("x-request-id", "req_far")], &body.to_string())
}

fn error(status: u16, code: &str, words: &str) -> Reply {
    let body = json!({"error": {"message": words, "type": code, "code": code, "param": null}});
    replies::json(status, &[], &body.to_string())
}

fn said(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body()).unwrap_or_else(|_| json!({"no JSON": answer.body_text()}))
}

#[tokio::test(start_paused = true)]
async fn a_question_and_its_answer_are_translated() {
    let relay = relay([whole()]).await;
    let answer = relay.ask_whole("hi").await;
    assert_eq!((answer.status.as_u16(), answer.header("request-id")), (200, Some("req_far")));
    let expect = json!({
        "id": "msg_chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-5.6",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": null,
        "usage": {"input_tokens": 20, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 10, "output_tokens": 2},
    });
    assert_eq!(said(&answer), expect);
    let seen = &relay.upstream("a").seen()[0];
    assert_eq!(seen.line, "POST /chat/completions");
    assert_eq!(seen.header("authorization"), Some("Bearer sk-a-1"));
    assert_eq!((seen.header("anthropic-version"), seen.header("anthropic-beta")), (None, None));
    let sent: Value = serde_json::from_slice(&seen.body).expect("it is JSON");
    let asked = json!([{"role": "user", "content": "hi"}]);
    assert_eq!(
        (&sent["model"], &sent["messages"], &sent["max_completion_tokens"]),
        (&json!("gpt-5.6"), &asked, &json!(128_000))
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_translated_as_it_comes() {
    let chunks = [
        chunk(&json!({"role": "assistant", "content": ""}), None),
        chunk(&json!({"content": "hel"}), None),
        chunk(&json!({"content": "lo"}), None),
        chunk(&json!({}), Some("stop")),
        json!({"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 2}}),
    ];
    let relay = relay([streamed(&chunks, [replies::chunk("data: [DONE]\n\n"), replies::end()])]).await;
    let answer = relay.send(ask("hi", Manner::Stream)).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(answer.text(), "hello");
    assert!(answer.body_text().ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    let key = &relay.report().providers[0].keys[0];
    assert_eq!((key.totals.usage.input, key.totals.usage.output), (30, 2), "what it used is charged");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_has_no_end() {
    let chunks = [chunk(&json!({"content": "hel"}), None)];
    let relay = relay([streamed(&chunks, [Step::Cut])]).await;
    let answer = relay.send(ask("hi", Manner::Stream)).await;
    assert!(!answer.body_text().contains("message_stop") && answer.end == End::Cut, "{}", answer.body_text());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_said_there_is_refused_by_its_place_and_nobody_is_asked() {
    let relay = relay([]).await;
    let body = json!({
        "model": "claude-opus-5-5",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    });
    let answer = relay.send(post("/v1/messages", body.to_string())).await;
    assert_eq!(answer.status, 400);
    let error = &said(&answer)["error"];
    assert_eq!(error["type"], "invalid_request_error");
    assert_eq!(
        error["message"],
        "tools.0 is a tool that only Anthropic has (it would have been asked of `a`)"
    );
    assert_eq!(relay.asked(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn another_provider_answers_what_cannot_be_said_there() {
    let relay = story()
        .provider("a", [])
        .of_type("a", "openai", &[])
        .provider("b", [replies::message("hello")])
        .start()
        .await;
    let body = json!({
        "model": "claude-opus-5-5",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}]}],
    });
    let answer = relay.send(post("/v1/messages", body.to_string())).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "hello".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn errors_come_in_the_envelope_with_the_words_that_clients_know() {
    let long =
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.";
    let relay = relay([error(400, "context_length_exceeded", long)]).await;
    let answer = relay.ask_whole("hi").await;
    assert_eq!(answer.status, 400);
    assert_eq!(said(&answer)["error"]["message"], "prompt is too long: 9000 tokens > 8192 maximum");
}

#[tokio::test(start_paused = true)]
async fn a_key_without_money_is_taken_out_and_the_next_one_serves() {
    let script = [error(429, "insufficient_quota", "You exceeded your current quota"), whole(), whole()];
    let relay = story().provider_with("a", 2, script).of_type("a", "openai", &[]).start().await;
    assert_eq!(relay.ask_whole("hi").await.status, 200);
    assert_eq!(relay.ask_whole("hi").await.status, 200);
    let seen = relay.upstream("a").seen();
    let keys: Vec<_> = seen.iter().filter_map(|seen| seen.header("authorization")).collect();
    assert_eq!(keys, ["Bearer sk-a-1", "Bearer sk-a-2", "Bearer sk-a-2"]);
}

#[tokio::test(start_paused = true)]
async fn an_error_in_place_of_the_first_event_lets_another_answer() {
    let refused = streamed(
        &[
            json!({"error": {"message": "Rate limit reached", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}),
        ],
        [replies::end()],
    );
    let relay = story()
        .provider("a", [refused])
        .of_type("a", "openai", &[])
        .provider("b", [replies::stream("hello")])
        .start()
        .await;
    let answer = relay.send(ask("hi", Manner::Stream)).await;
    assert_eq!(answer.text(), "hello");
}

/// What a client said of itself to Anthropic is nothing to others.
#[tokio::test(start_paused = true)]
async fn a_prompt_that_cannot_be_read_is_refused_and_not_passed_on() {
    let relay = relay([]).await;
    let answer = relay.send(post("/v1/messages", Bytes::from_static(b"{\"model\":"))).await;
    assert_eq!((answer.status.as_u16(), relay.asked().len()), (400, 0));
}

/// A conversation that has been answered by a model whose thoughts nobody signs was refused by Claude models from then on.
#[tokio::test(start_paused = true)]
async fn a_conversation_moves_to_claude_without_thoughts_that_nobody_signed() {
    let relay = story().provider("a", [replies::message("hello")]).start().await;
    let body = json!({
        "model": "claude-opus-5-5",
        "max_tokens": 10,
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "a"}]},
            {"role": "user", "content": "and?"},
        ],
    });
    assert_eq!(relay.send(post("/v1/messages", body.to_string())).await.status, 200);
    let sent: Value = serde_json::from_slice(&relay.upstream("a").seen()[0].body).expect("it is JSON");
    assert_eq!(sent["messages"][1]["content"], json!([{"type": "text", "text": "a"}]));
}
