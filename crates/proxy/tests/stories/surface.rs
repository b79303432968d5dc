//! The paths besides messages: counts, files, batches, models, providers, health.

use relay_testkit::story::{get, post};
use relay_testkit::{replies, story};

/// W63 of the old program: what it did not know was no Anthropic error.
#[tokio::test(start_paused = true)]
async fn w63_what_is_not_there_is_refused_in_the_anthropic_envelope() {
    let relay = story().provider("a", [replies::message("hello")]).start().await;
    let missing = relay.send(get("/v2/nothing")).await;
    assert_eq!(missing.status, 404);
    assert!(missing.body_text().contains(r#""type":"not_found_error""#), "{}", missing.body_text());
    assert_eq!(missing.header("content-type"), Some("application/json"));
    assert!(missing.header("request-id").is_some());
    let wrong = relay.send(get("/v1/messages")).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("allow")), (405, Some("POST")));
}

#[tokio::test(start_paused = true)]
async fn every_page_of_the_relays_own_has_an_id_that_users_can_name() {
    let relay = story().provider("a", [replies::message("hello")]).start().await;
    for path in ["/v1/models", "/v1/models/claude-opus-5-5", "/v1/providers", "/health", "/ready"] {
        let page = relay.send(get(path)).await;
        assert_eq!(page.status, 200, "{path}");
        let id = page.header("request-id");
        assert!(id.is_some_and(|id| !id.is_empty()) && id == page.header("x-request-id"), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_counted_upstream() {
    let relay = story().provider("a", [replies::json(200, &[], r#"{"input_tokens":42}"#)]).start().await;
    let answer =
        relay.send(post("/v1/messages/count_tokens?beta=true", r#"{"model":"claude-opus-5-5"}"#)).await;
    assert_eq!(answer.body_text(), r#"{"input_tokens":42}"#);
    assert_eq!(relay.upstream("a").seen()[0].line, "POST /v1/messages/count_tokens?beta=true");
}

#[tokio::test(start_paused = true)]
async fn a_file_stays_with_the_key_that_made_it() {
    let made = replies::json(200, &[], r#"{"id":"file_1","type":"file"}"#);
    let relay = story().provider_with("a", 3, [made]).start().await;
    relay.send(post("/v1/files", "multipart")).await;
    for _ in 0..3 {
        relay.send(get("/v1/files/file_1/content")).await;
    }
    let body = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"file_1"}}]}]}"#;
    relay.send(post("/v1/messages", body)).await;
    assert_eq!(relay.keys("a"), ["sk-a-1"; 5]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_refused_for_an_upload_is_not_the_clients_fault() {
    let script = [replies::dead_key(), replies::json(200, &[], r#"{"id":"file_1"}"#)];
    let relay = story().provider_with("a", 2, script).start().await;
    let answer = relay.send(post("/v1/files", "what is in it")).await;
    assert_eq!(answer.status, 503, "{}", answer.body_text());
    assert_eq!(answer.header("x-should-retry"), None);
    assert_eq!(relay.send(post("/v1/files", "what is in it")).await.status, 200);
    assert_eq!(relay.keys("a"), ["sk-a-1", "sk-a-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_nobody_remembers_is_looked_for_at_each_key() {
    let script = [
        replies::error(404, "not_found_error"),
        replies::error(404, "not_found_error"),
        replies::json(200, &[], r#"{"id":"file_9"}"#),
    ];
    let relay = story().provider_with("a", 3, script).start().await;
    assert_eq!(relay.send(get("/v1/files/file_9")).await.status, 200);
    assert_eq!(relay.keys("a").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_container_stays_with_the_key_that_made_it() {
    let body =
        r#"{"id":"msg_1","container":{"id":"container_1"},"usage":{"input_tokens":1,"output_tokens":1}}"#;
    let relay = story().provider_with("a", 2, [replies::json(200, &[], body)]).start().await;
    relay.ask_whole("hi").await;
    for _ in 0..2 {
        relay.send(post("/v1/messages", r#"{"model":"m","container":"container_1"}"#)).await;
    }
    assert_eq!(relay.keys("a"), ["sk-a-1"; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_its_limit_is_refused() {
    let yaml = "server: { listen: \"127.0.0.1:0\", max_body_bytes: 100, max_file_body_bytes: 200 }";
    let relay = story().provider("a", [replies::message("hello")]).with(yaml).start().await;
    for (path, length) in [("/v1/messages", 101), ("/v1/files", 201)] {
        let answer = relay.send(post(path, vec![b'x'; length])).await;
        assert_eq!(answer.status, 413, "{path}");
        assert!(answer.body_text().contains("request_too_large"));
    }
    assert!(relay.upstream("a").seen().is_empty());
    assert_eq!(relay.send(post("/v1/messages", vec![b'x'; 100])).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn models_are_listed_in_the_anthropic_shape_page_by_page() {
    let relay = story().provider("a", [replies::message("hello")]).start().await;
    let all = relay.send(get("/v1/models?limit=1000")).await.body_text();
    assert!(all.contains(r#""id":"claude-opus-5-5""#) && all.contains(r#""has_more":false"#), "{all}");
    let first = relay.send(get("/v1/models?limit=2")).await.body_text();
    assert!(
        first.contains(r#""has_more":true"#) && first.contains(r#""last_id":"claude-fable-5-1""#),
        "{first}"
    );
    let next = relay.send(get("/v1/models?limit=2&after_id=claude-fable-5-1")).await.body_text();
    assert!(next.contains(r#""first_id":"claude-opus-5-5""#), "{next}");
    let one = relay.send(get("/v1/models/claude-opus-5")).await;
    assert!(one.body_text().contains(r#""display_name":"Claude Opus 5""#));
    assert_eq!(relay.send(get("/v1/models/nothing")).await.status, 404);
    assert!(relay.upstream("a").seen().is_empty(), "nobody is asked");
}

/// W58 of the old program: listings were open to anyone, and told base URLs with their secrets.
#[tokio::test(start_paused = true)]
async fn w58_listings_ask_for_a_credential_and_tell_no_secret() {
    let yaml = "server: { listen: \"127.0.0.1:0\", auth: { api_key: relay-key } }";
    let relay = story().provider("a", [replies::message("hello")]).with(yaml).start().await;
    for path in ["/v1/models", "/v1/providers"] {
        assert_eq!(relay.send(get(path)).await.status, 401, "{path}");
        // A login is for its provider to judge, and nobody asks one here.
        let mut request = get(path);
        request.headers_mut().insert("authorization", "Bearer sk-ant-oat01-made-up".parse().unwrap());
        assert_eq!(relay.send(request).await.status, 401, "{path}");
    }
    let mut request = get("/v1/providers");
    request.headers_mut().insert("x-api-key", "relay-key".parse().unwrap());
    let listing = relay.send(request).await.body_text();
    assert!(
        listing.contains(r#""name":"a""#) && listing.contains(r#""base_url":"http://a.localhost""#),
        "{listing}"
    );
    assert!(!listing.contains("sk-a-1") && !listing.contains("relay-key"), "{listing}");
}

#[tokio::test(start_paused = true)]
async fn an_orchestrator_needs_no_key() {
    let yaml = "server: { listen: \"127.0.0.1:0\", auth: { api_key: relay-key } }";
    let relay = story().provider("a", [replies::message("hello")]).with(yaml).start().await;
    for path in ["/health", "/ready", "/api/hello"] {
        assert_eq!(relay.send(get(path)).await.status, 200, "{path}");
    }
    let health = relay.send(get("/health")).await;
    assert_eq!(health.body_text(), r#"{"status":"ok"}"#);
    assert_eq!(health.header("content-type"), Some("application/json"));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_max_concurrent_are_served_at_once() {
    let yaml = "server: { listen: \"127.0.0.1:0\", max_concurrent: 1 }";
    let hung = replies::events_then([replies::MESSAGE_START], [relay_testkit::Step::Hang]);
    let relay = story().provider("a", [hung, replies::stream("hello")]).with(yaml).start().await;
    let mut client = relay.client().await;
    let mut first =
        client.begin(relay_testkit::story::ask("hi", relay_testkit::story::Manner::Stream)).await.unwrap();
    first.next().await.unwrap().unwrap();
    let busy = relay.ask("hi").await;
    assert_eq!((busy.status.as_u16(), busy.header("retry-after")), (503, Some("1")));
    drop((first, client));
    relay.upstream("a").cancelled().await;
    while relay.handle.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(relay.ask("hi").await.text(), "hello");
}

/// Each key lists its own, so a list is always of the same key, and its pages are of the key that made what they
/// follow.
#[tokio::test(start_paused = true)]
async fn a_list_and_its_pages_are_of_one_key() {
    let made = |id: &str| replies::json(200, &[], &format!("{{\"id\":\"{id}\"}}"));
    let script = [made("batch_1"), made("batch_2"), made("batch_3"), replies::json(200, &[], "{}")];
    let relay = story().provider_with("a", 3, script).start().await;
    for _ in 0..3 {
        assert_eq!(relay.send(post("/v1/messages/batches", "{}")).await.status, 200);
    }
    let makers = relay.keys("a");
    for _ in 0..3 {
        relay.send(get("/v1/messages/batches?limit=2")).await;
        relay.send(get("/v1/messages/batches?limit=2&after_id=batch_2")).await;
        relay.send(get("/v1/messages/batches?before_id=batch_3&limit=2")).await;
    }
    let asked = relay.keys("a").split_off(3);
    for page in asked.chunks(3) {
        assert_eq!(page, ["sk-a-1", makers[1].as_str(), makers[2].as_str()]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_a_listing_that_is_none_is_told() {
    let relay = story().provider("a", []).start().await;
    for (limit, fault) in [
        ("0", "greater than or equal to 1"),
        ("-1", "greater than or equal to 1"),
        ("1001", "less than or equal to 1000"),
        ("all", "a valid integer"),
        ("", "a valid integer"),
    ] {
        let answer = relay.send(get(&format!("/v1/models?limit={limit}"))).await;
        assert_eq!(answer.status, 400, "{limit}");
        let body = answer.body_text();
        assert!(body.contains("\"invalid_request_error\"") && body.contains(fault), "{limit}: {body}");
    }
    for limit in ["1", "1000"] {
        assert_eq!(relay.send(get(&format!("/v1/models?limit={limit}"))).await.status, 200);
    }
}

/// It was a 502, after every key had been asked.
#[tokio::test(start_paused = true)]
async fn of_files_it_is_told_what_has_not_changed_and_what_lies_elsewhere() {
    for (status, header) in [(304, ("etag", "\"7\"")), (302, ("location", "https://files.example/7"))] {
        let replies = [replies::raw(status, &[header], b""), replies::raw(status, &[header], b"")];
        let relay = story().provider_with("a", 2, replies).start().await;
        let answer = relay.send(get("/v1/files/file_7/content")).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers[header.0], header.1);
        assert_eq!(relay.upstream("a").seen().len(), 1, "nobody else need be asked");
    }
}
