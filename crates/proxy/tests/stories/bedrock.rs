//! Bedrock: what it is sent, and what of its frames and errors comes out as Anthropic's.

use std::fmt::Write as _;

use relay_testkit::bedrock::{event, exception, streamed};
use relay_testkit::client::End;
use relay_testkit::story::{Manner, Told, ask};
use relay_testkit::upstream::Seen;
use relay_testkit::{Reply, Story, replies, story};
use serde_json::Value;

/// The data of the events of a stream that says that.
fn events(text: &str) -> Vec<String> {
    let stream = replies::stream_text(text);
    stream.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
}

fn refused(status: u16, name: &str, words: &str) -> Reply {
    let headers = [("x-amzn-errortype", name), ("x-amzn-requestid", "4f1c")];
    replies::json(status, &headers, &format!(r#"{{"message":"{words}"}}"#))
}

fn bedrock(keys: &[&str], script: impl IntoIterator<Item = Reply>) -> Story {
    let keys: Vec<_> = keys.iter().map(|key| format!("{{ key: \"{key}\" }}")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let mapping = "model_mapping: { claude-opus-5-5: \"eu.anthropic.claude-opus-5-5-v1:0\" }";
    let options = ["aws_region: eu-central-1", mapping];
    story().provider_of("a", &keys, script).of_type("a", "bedrock", &options)
}

/// What was asked with, in order.
fn bearers(relay: &Told) -> Vec<String> {
    let seen = relay.upstream("a").seen();
    let value = |seen: &Seen| {
        let header = seen.headers.iter().find(|(name, _)| name == "authorization");
        header.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    seen.iter().map(value).collect()
}

const ACCESS: &str = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

#[tokio::test(start_paused = true)]
async fn a_stream_comes_out_of_its_frames_as_anthropic_would_have_sent_it() {
    let frames: Vec<_> = events("hello").iter().map(|data| event(data)).collect();
    let relay = bedrock(&[ACCESS], [streamed(&frames, [replies::end()])]).start().await;
    let mut request = ask("hi", Manner::Stream);
    let beta = "claude-code-20250219,interleaved-thinking-2025-05-14,dangerous-tool-use-2026-09-03";
    request.headers_mut().insert("anthropic-beta", beta.parse().unwrap());
    let answer = relay.send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(answer.header("request-id"), Some("4f1c"));
    let expect = events("hello").iter().fold(String::new(), |mut all, data| {
        let kind = serde_json::from_str::<Value>(data).unwrap()["type"].as_str().unwrap().to_owned();
        write!(all, "event: {kind}\ndata: {data}\n\n").unwrap();
        all
    });
    assert_eq!(answer.body_text(), expect);

    let seen = relay.upstream("a").seen();
    assert_eq!(seen[0].line, "POST /model/eu.anthropic.claude-opus-5-5-v1%3A0/invoke-with-response-stream");
    let header =
        |name: &str| seen[0].headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    let signed = header("authorization").unwrap();
    assert!(
        signed.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260921/eu-central-1/bedrock/aws4_request"
        ),
        "{signed}"
    );
    assert_eq!([header("anthropic-version"), header("anthropic-beta"), header("x-api-key")], [None; 3]);
    let body: Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!(body["anthropic_version"], "bedrock-2023-05-31");
    assert_eq!(body["anthropic_beta"], serde_json::json!(["interleaved-thinking-2025-05-14"]));
    assert_eq!((body.get("model"), body.get("stream")), (None, None));
    // W41 of the old program: what it says of the version stood in a header too.
    assert!(relay.report().providers[0].keys[0].totals.usage.output > 0, "its usage is counted");
}

/// W38 of the old program: it asked for a stream whatever the client wanted, and signed what it changed afterwards.
#[tokio::test(start_paused = true)]
async fn w38_what_is_not_streamed_is_not_asked_for_as_a_stream() {
    let script = [replies::json(200, &[("x-amzn-requestid", "4f1c")], &replies::message_body("hello"))];
    let relay = bedrock(&["bedrock-api-key"], script).start().await;
    let answer = relay.ask_whole("hi").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "hello".to_owned()));
    let seen = relay.upstream("a").seen();
    assert!(seen[0].line.ends_with("/invoke"), "{}", seen[0].line);
    assert_eq!(bearers(&relay), ["Bearer bedrock-api-key"]);
}

#[tokio::test(start_paused = true)]
async fn what_it_refuses_is_understood_and_said_in_anthropics_words() {
    let denied = "User: arn:aws:iam::123456789012:user/me is not authorized";
    let script = [
        refused(429, "ThrottlingException", "Too many tokens, please wait before trying again."),
        refused(403, "AccessDeniedException:http://internal.amazon.com/", denied),
        refused(400, "ValidationException", "messages: at least one message is required"),
    ];
    let relay = bedrock(&["one", "two", "three"], script).start().await;
    let answer = relay.ask_whole("hi").await;
    assert_eq!(answer.status, 400);
    assert_eq!(bearers(&relay), ["Bearer one", "Bearer two", "Bearer three"]);
    assert_eq!(
        answer.body_text(),
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"messages: at least one message is required"}}"#
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
    // W44 of the old program: the words of clouds were passed on, with the names of accounts.
    let relay = bedrock(&["one"], [refused(424, "ModelErrorException", denied)]).start().await;
    let answer = relay.ask_whole("hi").await;
    let body = answer.body_text();
    assert!(!body.contains("123456789012") && !body.contains("arn:aws"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn an_exception_that_comes_first_lets_another_key_answer() {
    let frames: Vec<_> = events("hello").iter().map(|data| event(data)).collect();
    for (name, words) in [
        ("throttlingException", "Too many requests"),
        ("serviceUnavailableException", "try again"),
        ("internalServerException", "oops"),
        ("modelStreamErrorException", "the model broke off"),
        ("modelTimeoutException", "too late"),
    ] {
        let script =
            [streamed(&[exception(name, words)], [replies::end()]), streamed(&frames, [replies::end()])];
        let relay = bedrock(&["one", "two"], script).start().await;
        assert_eq!(relay.ask("hi").await.text(), "hello", "{name}");
        assert_eq!(relay.upstream("a").seen().len(), 2, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_exception_in_the_middle_is_an_error_event_and_damage_is_no_clean_end() {
    let begun: Vec<_> = events("hello").iter().take(2).map(|data| event(data)).collect();
    let broken = |last: Vec<u8>| [begun.clone(), vec![last]].concat();
    let script =
        [streamed(&broken(exception("modelStreamErrorException", "the model broke off")), [replies::end()])];
    let relay = bedrock(&["one"], script).start().await;
    let body = relay.ask("hi").await.body_text();
    let expect = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"the model broke off\"}}\n\n";
    assert!(body.ends_with(expect), "{body}");

    let mut damaged = event(r#"{"type":"ping"}"#);
    *damaged.last_mut().unwrap() ^= 1;
    for last in [damaged, event("no JSON"), event("{}")[..20].to_vec()] {
        let relay = bedrock(&["one"], [streamed(&broken(last), [replies::end()])]).start().await;
        let answer = relay.ask("hi").await;
        assert_eq!(answer.end, End::Cut, "{}", answer.body_text());
    }
}
