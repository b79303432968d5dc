//! Calls that are answered whole, and those that are refused.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderValue, Method, StatusCode};
use relay_sim::{Organization, Settings, Sim};
use serde_json::{Value, json};

use crate::client::{KEY, ask, call, get, post, request, send, send_h2};

#[tokio::test(start_paused = true)]
async fn a_message_has_the_shape_of_the_providers() {
    let sim = Sim::new(Settings::default());
    let reply = ask(&sim, KEY, "sim: say hello").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(reply.header("request-id").is_some_and(|id| id.starts_with("req_01")));
    assert_eq!(reply.header("anthropic-organization-id"), Some("5f0c1d2e-0000-4000-8000-000000000000"));
    assert_eq!(reply.header("date"), Some("Fri, 20 Nov 2026 00:00:00 GMT"));
    let mut message = reply.json();
    assert!(message["id"].as_str().is_some_and(|id| id.starts_with("msg_01")));
    message["id"] = json!("msg_1");
    let input = message["usage"]["input_tokens"].as_u64().expect("a number");
    assert!((5..15).contains(&input), "{input}");
    message["usage"]["input_tokens"] = json!(0);
    assert_eq!(
        message,
        json!({
            "model": "claude-opus-5-5",
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "text", "text": "hello"}],
            "stop_reason": "end_turn",
            "stop_sequence": null,
            "usage": {
                "input_tokens": 0,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 2,
                "service_tier": "standard",
            },
        })
    );
}

#[tokio::test(start_paused = true)]
async fn refusals_come_in_the_envelope_with_their_status() {
    let sim = Sim::new(Settings { denied_betas: vec!["old-2024-01-01".into()], ..Settings::default() });
    let good = || call("hello", &json!({}));
    let post = |path: &str, body: Bytes| request(Method::POST, path, KEY, body);
    let changed = |change: fn(&mut http::HeaderMap)| {
        let mut request = post("/v1/messages", good());
        change(request.headers_mut());
        request
    };
    let cases = [
        (post("/v1/complete", good()), 404, "not_found_error", "Not found"),
        (request(Method::GET, "/v1/messages", KEY, Bytes::new()), 404, "not_found_error", "Not found"),
        (
            request(Method::POST, "/v1/messages", "nobody", good()),
            401,
            "authentication_error",
            "invalid x-api-key",
        ),
        (
            changed(|headers| drop(headers.remove("x-api-key"))),
            401,
            "authentication_error",
            "x-api-key header is required",
        ),
        (
            changed(|headers| drop(headers.remove("anthropic-version"))),
            400,
            "invalid_request_error",
            "anthropic-version: header is required",
        ),
        (
            changed(|headers| {
                drop(headers.insert("anthropic-beta", HeaderValue::from_static("old-2024-01-01")));
            }),
            400,
            "invalid_request_error",
            "Unexpected value(s) `old-2024-01-01` for the `anthropic-beta` header",
        ),
        (
            changed(|headers| drop(headers.insert("content-encoding", HeaderValue::from_static("br")))),
            400,
            "invalid_request_error",
            "content-encoding: only gzip and identity are supported",
        ),
        (
            post("/v1/messages", call("hello", &json!({"model": "claude-none"}))),
            404,
            "not_found_error",
            "model: claude-none",
        ),
        (
            post("/v1/messages", call("hello", &json!({"messages": [{"role": "tool"}]}))),
            400,
            "invalid_request_error",
            "messages.0.role: Input should be 'user', 'assistant' or 'system'",
        ),
    ];
    for (request, status, kind, message) in cases {
        let asked = format!("{request:?}");
        let reply = send(&sim, request).await;
        assert_eq!(reply.status.as_u16(), status, "{asked}");
        assert_eq!(reply.error(), (kind.to_owned(), message.to_owned()), "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_above_32_megabytes_is_too_large() {
    let sim = Sim::new(Settings::default());
    let large = Bytes::from(vec![b' '; 32 * 1024 * 1024 + 1]);
    let reply = post(&sim, KEY, "/v1/messages", large).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(reply.error().0, "request_too_large");
}

#[tokio::test(start_paused = true)]
async fn hello_needs_no_key() {
    let sim = Sim::new(Settings::default());
    let mut request = request(Method::HEAD, "/api/hello", "", Bytes::new());
    request.headers_mut().clear();
    let reply = send(&sim, request).await;
    assert_eq!((reply.status, reply.body.len()), (StatusCode::OK, 0));
}

#[tokio::test(start_paused = true)]
async fn a_bearer_is_as_good_as_a_key_and_an_oauth_token_needs_its_beta() {
    let keys = [("api", KEY), ("plan", "sk-ant-oat01-plan")];
    let sim =
        Sim::new(Settings { organizations: vec![Organization::open("acme", &keys)], ..Settings::default() });
    let bearer = |token: &'static str, beta: &'static str| {
        let mut request = request(Method::POST, "/v1/messages", "", call("hello", &json!({})));
        request.headers_mut().remove("x-api-key");
        request.headers_mut().insert("authorization", HeaderValue::from_static(token));
        request.headers_mut().insert("anthropic-beta", HeaderValue::from_static(beta));
        request
    };
    assert_eq!(send(&sim, bearer("Bearer sk-ant-api03-sim", "")).await.status, 200);
    assert_eq!(send(&sim, bearer("Bearer sk-ant-oat01-plan", "oauth-2025-04-20")).await.status, 200);
    let refused = send(&sim, bearer("Bearer sk-ant-oat01-plan", "claude-code-20250219")).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("anthropic-organization-id"), None);
}

#[tokio::test(start_paused = true)]
async fn the_same_request_gets_the_same_answer_and_another_seed_another() {
    let text = |seed| async move {
        let sim = Sim::new(Settings { seed, ..Settings::default() });
        let one = ask(&sim, KEY, "hello").await.json();
        assert_eq!(one, ask(&sim, KEY, "hello").await.json());
        one["content"][0]["text"].clone()
    };
    assert_eq!(text(1).await, text(1).await);
    assert_ne!(text(1).await, text(2).await);
}

#[tokio::test(start_paused = true)]
async fn a_compressed_body_is_read_and_remembered_as_it_came() {
    let sim = Sim::new(Settings::default());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&call("sim: say packed", &json!({}))).expect("memory");
    let packed = Bytes::from(encoder.finish().expect("memory"));
    let mut request = request(Method::POST, "/v1/messages", KEY, packed.clone());
    request.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
    assert_eq!(send(&sim, request).await.json()["content"][0]["text"], "packed");
    assert_eq!(sim.seen()[0].body, Some(packed));
}

#[tokio::test(start_paused = true)]
async fn a_tool_goes_round() {
    let sim = Sim::new(Settings::default());
    let tool = json!({"name": "Read", "input_schema": {"type": "object", "required": ["file_path"]}});
    let first_turn = json!({"tools": [tool]});
    let asked = post(&sim, KEY, "/v1/messages", call("sim: tool Read", &first_turn)).await.json();
    assert_eq!(asked["stop_reason"], "tool_use");
    let id = asked["content"][0]["id"].as_str().expect("an id");
    let next = json!({"tools": [tool], "messages": [
        {"role": "user", "content": "sim: tool Read"},
        {"role": "assistant", "content": asked["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "the lines"}]},
    ]});
    let answered = post(&sim, KEY, "/v1/messages", call("", &next)).await.json();
    assert_eq!(answered["content"][0]["text"], "The tool `Read` returned: the lines");
    assert_eq!(answered["stop_reason"], "end_turn");
}

#[tokio::test(start_paused = true)]
async fn tokens_are_counted_as_they_are_charged() {
    let sim = Sim::new(Settings::default());
    let body = call("sim: say counted", &json!({"system": "be brief", "max_tokens": 5}));
    let counted = post(&sim, KEY, "/v1/messages/count_tokens?beta=true", body.clone()).await;
    assert_eq!(counted.status, StatusCode::OK);
    let charged = post(&sim, KEY, "/v1/messages", body).await.json();
    assert_eq!(counted.json(), json!({"input_tokens": charged["usage"]["input_tokens"]}));
}

#[tokio::test(start_paused = true)]
async fn thinking_is_accepted_back_as_it_was_and_not_otherwise() {
    let sim = Sim::new(Settings::default());
    for display in ["omitted", "summarized"] {
        let thinking = json!({"type": "adaptive", "display": display});
        let body = call("why?", &json!({"thinking": thinking}));
        let content = post(&sim, KEY, "/v1/messages", body).await.json()["content"].clone();
        assert_eq!(content[0]["type"], "thinking");
        assert_eq!(content[0]["thinking"] == "", display == "omitted");
        let again = |content: &Value| {
            call(
                "",
                &json!({"thinking": thinking, "messages": [
                    {"role": "user", "content": "why?"},
                    {"role": "assistant", "content": content},
                    {"role": "user", "content": "and then?"},
                ]}),
            )
        };
        assert_eq!(post(&sim, KEY, "/v1/messages", again(&content)).await.status, 200);
        let mut changed = content.clone();
        changed[0]["thinking"] = json!("something else");
        let refused = post(&sim, KEY, "/v1/messages", again(&changed)).await;
        assert_eq!(refused.error().1, "messages.1.content.0: Invalid `signature` in `thinking` block");
        let counted = post(&sim, KEY, "/v1/messages/count_tokens", again(&changed)).await;
        assert_eq!(counted.status, 400);
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_bound_to_an_account_is_dropped_elsewhere_and_said_so_on_request() {
    let sim = Sim::new(Settings::demo());
    let (amber, basil) = ("sk-ant-api03-sim-amber-1", "sk-ant-api03-sim-basil-1");
    let fields = json!({"model": "claude-sonnet-5-5", "thinking": {"type": "adaptive"}});
    let content = post(&sim, amber, "/v1/messages", call("why?", &fields)).await.json()["content"].clone();
    let body = call(
        "",
        &json!({"model": "claude-sonnet-5-5", "messages": [
            {"role": "user", "content": "why?"},
            {"role": "assistant", "content": content},
            {"role": "user", "content": "and then?"},
        ]}),
    );
    let silent = post(&sim, basil, "/v1/messages", body.clone()).await;
    assert_eq!(silent.status, 200);
    assert_eq!(silent.json().get("input_transformations"), None);
    let mut asking = request(Method::POST, "/v1/messages", basil, body.clone());
    let beta = HeaderValue::from_static("thinking-binding-controls-2026-08-01");
    asking.headers_mut().insert("anthropic-beta", beta);
    let path = "messages.1.content.0";
    assert_eq!(
        send(&sim, asking).await.json()["input_transformations"],
        json!([{"type": "thinking_dropped", "path": path, "reason": "account_mismatch"}])
    );
    post(&sim, amber, "/v1/messages", body).await;
    let dropped: Vec<_> = sim.seen().iter().map(|record| record.thinking_dropped).collect();
    assert_eq!(dropped, [0, 1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn models_are_listed_in_pages_and_one_by_one() {
    let sim = Sim::new(Settings::default());
    let all = get(&sim, KEY, "/v1/models?limit=1000").await.json();
    assert_eq!(all["data"].as_array().map(Vec::len), Some(8));
    assert_eq!(all["data"][0]["id"], "claude-fable-5-2");
    assert_eq!(all["has_more"], false);
    let page = get(&sim, KEY, "/v1/models?limit=2&after_id=claude-haiku-5-5").await.json();
    assert_eq!(
        (&page["first_id"], &page["last_id"]),
        (&json!("claude-sonnet-5-5"), &json!("claude-opus-5-5"))
    );
    assert_eq!(page["has_more"], true);
    let one = get(&sim, KEY, "/v1/models/claude-opus-5-5").await.json();
    assert_eq!((&one["type"], &one["max_input_tokens"]), (&json!("model"), &json!(1_000_000)));
    assert_eq!(get(&sim, KEY, "/v1/models/claude-none").await.error().0, "not_found_error");
    assert_eq!(get(&sim, "nobody", "/v1/models").await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn http2_without_tls_is_understood() {
    let sim = Sim::new(Settings::default());
    let body = call("sim: say over two", &json!({"stream": true}));
    let mut request = request(Method::POST, "http://sim.test/v1/messages", KEY, body);
    request.headers_mut().remove("host");
    let reply = send_h2(&sim, request).await;
    assert!(reply.whole);
    assert_eq!(reply.names().last().map(String::as_str), Some("message_stop"));
}
