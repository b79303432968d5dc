//! What is logged of a request: one line at its end, and a body only when asked for, for those who may ask.

use std::time::Duration;

use relay_testkit::story::{get, post};
use relay_testkit::{Log, replies, story};

/// W56 of the old program: bodies were logged at info, and before anyone had asked who sends them.
#[tokio::test(start_paused = true)]
async fn w56_bodies_are_logged_at_debug_only_and_only_of_those_who_may_ask() {
    let log = Log::listen();
    let yaml = "server: { listen: \"127.0.0.1:0\", auth: { api_key: relay-key } }\nlogging: { debug_options: { log_request_body: true } }";
    let relay = story().provider("a", [replies::message("hello")]).with(yaml).start().await;
    let body = r#"{"model":"claude-opus-5-5","api_key":"sk-ant-hidden","messages":[]}"#;
    let mut wrong = post("/v1/messages", body);
    wrong.headers_mut().insert("x-api-key", "guess".parse().unwrap());
    assert_eq!(relay.send(wrong).await.status, 401);
    assert!(log.lines_with("body_preview").is_empty());
    let mut right = post("/v1/messages", body);
    right.headers_mut().insert("x-api-key", "relay-key".parse().unwrap());
    assert_eq!(relay.send(right).await.status, 200);
    let previews = log.lines_with("body_preview");
    assert_eq!(previews.len(), 1);
    assert!(
        previews[0].contains(" DBG -> request body ") && previews[0].contains("claude-opus-5-5"),
        "{}",
        previews[0]
    );
    assert!(log.lines_with("hidden").is_empty() && log.lines_with("relay-key").is_empty());
}

/// The times were never logged: they were looked for where nobody put them.
#[tokio::test(start_paused = true)]
async fn the_times_and_the_headers_of_an_answer_are_logged_when_asked_for() {
    let log = Log::listen();
    let yaml = "logging: { debug_options: { log_tls_metrics: true, log_response_headers: true } }";
    let relay = story().provider("a", [replies::message("hello")]).with(yaml).start().await;
    relay.ask_whole("hi").await;
    let [times, headers] = ["upstream times", "response headers"].map(|words| log.lines_with(words).concat());
    assert!(times.contains(" DBG -> upstream times ") && times.contains("connect"), "{times}");
    assert!(headers.contains("status=200") && headers.contains("content-type: "), "{headers}");
}

/// The completion line of the old program had neither provider nor model nor key.
#[tokio::test(start_paused = true)]
async fn a_request_has_one_line_at_its_end_with_who_served_it_and_what_it_used() {
    let log = Log::listen();
    let relay = story()
        .provider("a", [replies::overloaded()])
        .provider("b", [replies::stream("hello")])
        .start()
        .await;
    let mut request = relay_testkit::story::ask("hi", relay_testkit::story::Manner::Stream);
    request.headers_mut().insert("x-request-id", "mine-1".parse().unwrap());
    relay.send(request).await;
    let lines = log.lines_with("request finished");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        " INF -> request finished ",
        " request_id=mine-1 ",
        " client=open ",
        " model=claude-opus-5-5 ",
        " provider=b ",
        " status=200 ",
        " end=whole ",
        " attempts=2 ",
        "overloaded",
        "input_tokens=15",
        "cache_read_tokens=10",
        "output_tokens=7",
        "sse_events=7",
        " path=/v1/messages ",
    ] {
        assert!(lines[0].contains(part), "{part} is not in {}", lines[0]);
    }
    assert!(!lines[0].contains("sk-"), "{}", lines[0]);
}

/// The last chunk was left out, which of an answer in one piece is all of it.
#[tokio::test(start_paused = true)]
async fn the_line_counts_every_byte_of_an_answer() {
    let log = Log::listen();
    let script = [replies::message("hello"), replies::stream("hello")];
    let relay = story().provider("a", script).start().await;
    let lengths = [relay.ask_whole("hi").await, relay.ask("hi").await].map(|answer| answer.body().len());
    let lines = log.lines_with("request finished");
    for (line, length) in lines.iter().zip(lengths) {
        assert!(length > 0 && line.contains(&format!(" bytes={length} ")), "{length}: {line}");
    }
    assert_eq!(lines.len(), 2);
}

/// What the relay says by itself counts like what a provider says: its pages, its own no, its pings and its errors.
#[tokio::test(start_paused = true)]
async fn the_line_counts_every_byte_that_the_relay_itself_has_said() {
    let log = Log::listen();
    let slow = |reply| replies::after(Duration::from_secs(40), reply);
    let relay = story().provider("a", [slow(replies::stream("hello")), slow(replies::reset())]).start().await;
    let mut lengths = Vec::new();
    for request in [get("/v1/models"), get("/nothing"), post("/v1/messages", "no JSON")] {
        lengths.push(relay.send(request).await.body().len());
    }
    for _ in 0..2 {
        let answer = relay.ask("hi").await;
        assert!(answer.body_text().starts_with(replies::PING), "nobody has answered in time");
        lengths.push(answer.body().len());
    }
    let mut head = get("/v1/models");
    *head.method_mut() = http::Method::HEAD;
    assert!(relay.send(head).await.header("content-length").is_some_and(|length| length != "0"));
    let lines = log.lines_with("request finished");
    for (line, length) in lines.iter().zip(&lengths) {
        assert!(*length > 0 && line.contains(&format!(" bytes={length} ")), "{length}: {line}");
    }
    assert!(lines[5].contains(" bytes=0 "), "the answer to HEAD has no body: {}", lines[5]);
}

/// A path is whatever somebody has typed, also where a key belongs into a header.
#[tokio::test(start_paused = true)]
async fn what_looks_like_a_key_in_what_is_asked_is_not_logged() {
    let log = Log::listen();
    let yaml = "logging: { debug_options: { log_request_body: true, log_response_headers: true } }";
    let relay = story().provider("a", [replies::message("hello")]).with(yaml).start().await;
    let body = r#"{"model":"sk-ant-hidden-1","max_tokens":1,"messages":[]}"#;
    let mut named = post("/v1/messages?key=sk-ant-hidden-2", body);
    named.headers_mut().insert("x-request-id", "sk-ant-hidden-3".parse().unwrap());
    for request in [
        get("/v1/sk-ant-hidden-4/messages?beta=sk-ant-hidden-5"),
        get("/v1/models/sk%2dant-hidden-6"),
        get("/v1/files/sk-ant-hidden-7"),
        named,
    ] {
        relay.send(request).await;
    }
    assert_eq!(log.count("request finished"), 4);
    assert_eq!(log.count(" path=/v1/[redacted]/messages "), 1);
    assert_eq!(log.count(" model=[redacted] "), 1);
    assert!(log.lines_with("hidden").is_empty(), "{:?}", log.lines_with("hidden"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_told_apart_from_an_end() {
    let log = Log::listen();
    let hung = replies::events_then([replies::MESSAGE_START], [relay_testkit::Step::Hang]);
    let relay = story().provider("a", [hung]).start().await;
    let mut client = relay.client().await;
    let request = relay_testkit::story::ask("hi", relay_testkit::story::Manner::Stream);
    let mut flowing = client.begin(request).await.unwrap();
    flowing.next().await.unwrap().unwrap();
    drop((flowing, client));
    relay.upstream("a").cancelled().await;
    log.until("request finished", 1).await;
    assert_eq!(log.count(" end=left "), 1);
}

/// However it ends, the line says how much had come.
#[tokio::test(start_paused = true)]
async fn the_line_of_a_broken_stream_counts_its_events() {
    for then in [relay_testkit::Step::Cut, replies::end()] {
        let log = Log::listen();
        let pieces = [replies::MESSAGE_START, replies::BLOCK_START];
        let relay = story().provider("a", [replies::events_then(pieces, [then])]).start().await;
        relay.ask("hi").await;
        log.until("request finished", 1).await;
        let line = log.lines_with("request finished").remove(0);
        for part in [" end=cut ", "sse_events=2", "input_tokens=15"] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}

/// Nobody who had misspelt a host, or whose key lacked a right, could find out why from the log.
#[tokio::test(start_paused = true)]
async fn why_an_attempt_failed_stands_in_the_line_of_its_request() {
    let log = Log::listen();
    let forbidden = r#"{"type":"error","error":{"type":"permission_error","message":"No access from\nhere with sk-ant-api03-hidden"}}"#;
    let relay = story()
        .unreachable("a")
        .provider("b", [replies::json(403, &[], forbidden)])
        .provider("c", [replies::spent("60")])
        .with("queue: { max_wait_ms: 0 }")
        .start()
        .await;
    relay.ask_whole("hi").await;
    let line = log.lines_with("request finished").concat();
    assert!(line.contains(": unreachable ("), "{line}");
    assert!(
        line.contains("key_bad (403 Forbidden: permission_error: No access from here with [redacted])"),
        "{line}"
    );
    assert!(
        line.contains(": spent\"") || line.contains(": spent "),
        "a used up limit explains itself: {line}"
    );
    assert!(!line.contains("hidden"), "{line}");
}
