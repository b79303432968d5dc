//! What the provider remembers of what it saw.

use http::{HeaderValue, Method};
use relay_sim::{Memory, Outcome, Settings, Sim, Usage};
use serde_json::json;

use crate::client::{KEY, ask, call, request, send};

#[tokio::test(start_paused = true)]
async fn a_request_is_remembered_byte_for_byte_and_in_order() {
    let sim = Sim::new(Settings::default());
    let body = bytes::Bytes::from_static(
        b"{ \"max_tokens\":9 ,\"model\":\"claude-opus-5-5\",\n\t\"messages\":[{\"role\":\"user\",\"content\":\"\\u0068i\"}]}",
    );
    let mut request = request(Method::POST, "/v1/messages?beta=true&x=%20y", KEY, body.clone());
    for (name, value) in [("x-app", "cli"), ("anthropic-beta", "one"), ("a-last-one", "z")] {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    request.headers_mut().append("anthropic-beta", HeaderValue::from_static("two"));
    let reply = send(&sim, request).await;
    let record = sim.seen().remove(0);
    assert_eq!((record.method.as_str(), record.path.as_str()), ("POST", "/v1/messages?beta=true&x=%20y"));
    assert_eq!(record.body, Some(body.clone()));
    let headers: Vec<_> =
        record.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
    let length = body.len().to_string();
    assert_eq!(
        headers,
        [
            ("host", "sim.test"),
            ("x-api-key", KEY),
            ("anthropic-version", "2023-06-01"),
            ("x-app", "cli"),
            ("anthropic-beta", "one"),
            ("anthropic-beta", "two"),
            ("a-last-one", "z"),
            ("content-length", &length),
        ]
    );
    assert_eq!(record.header("x-app"), Some("cli"));
    assert_eq!((record.key.as_deref(), record.model.as_deref()), (Some("only"), Some("claude-opus-5-5")));
    assert_eq!(record.status.map(|status| status.as_u16()), Some(200));
    assert_eq!(Some(record.request_id.as_str()), reply.header("request-id"));
    assert_eq!((record.outcome, record.usage.output), (Outcome::Finished, 9));
    assert!(!format!("{record:?}").contains(KEY), "a secret is not printed");
}

#[tokio::test(start_paused = true)]
async fn what_a_record_says_was_used_is_what_the_client_was_told() {
    let sim = Sim::new(Settings::default());
    let usage = ask(&sim, KEY, "sim: tokens 70").await.json()["usage"].clone();
    let record = sim.seen().remove(0);
    let field = |name: &str| usage[name].as_u64().expect("a number");
    let told = Usage {
        input: field("input_tokens"),
        cache_creation: field("cache_creation_input_tokens"),
        cache_read: field("cache_read_input_tokens"),
        output: field("output_tokens"),
    };
    assert_eq!((record.usage, sim.report().keys[0].totals.usage), (told, told));
    assert_eq!(sim.report().classes[0].class, "claude-opus-5-5");
}

#[tokio::test(start_paused = true)]
async fn connections_are_numbered_and_only_so_much_is_remembered() {
    let memory = Memory { records: 2, body_bytes: 0 };
    let sim = Sim::new(Settings { memory, ..Settings::default() });
    for _ in 0..3 {
        ask(&sim, KEY, "hello").await;
    }
    let seen: Vec<_> =
        sim.seen().iter().map(|record| (record.number, record.connection, record.body.clone())).collect();
    assert_eq!(seen, [(1, 1, None), (2, 2, None)]);
    assert!(sim.seen()[0].body_length > 50);
    assert_eq!(sim.report().keys[0].totals.requests, 3);
}

#[tokio::test(start_paused = true)]
async fn a_canned_answer_leaves_only_a_count() {
    let sim = Sim::new(Settings::default());
    let canned = |name: &'static str| {
        let mut request = request(Method::POST, "/v1/messages", "any key", call("hello", &json!({})));
        request.headers_mut().insert("x-sim-canned", HeaderValue::from_static(name));
        send(&sim, request)
    };
    let stream = canned("sse:55:200").await;
    assert_eq!(stream.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(stream.events().len(), 55);
    let message = canned("json:2000").await;
    assert_eq!(message.json()["type"], "message");
    assert_eq!(message.header("content-length"), Some(message.body.len().to_string().as_str()));
    assert_eq!(canned("soup").await.status, 400);
    assert_eq!((sim.seen().len(), sim.report().canned), (0, 3));
}
