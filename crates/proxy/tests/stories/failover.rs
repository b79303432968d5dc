//! Providers fail before they have begun to answer: the next one answers, and the client sees nothing.

use relay_testkit::story::{Manner, ask};
use relay_testkit::{Reply, Step, replies, story};

/// W9 and W23 of the old program: nothing was ever tried again.
#[tokio::test(start_paused = true)]
async fn w23_an_overloaded_provider_is_followed_by_the_next() {
    let relay = story()
        .provider("a", [replies::overloaded()])
        .provider("b", [replies::stream("hello")])
        .start()
        .await;
    let answer = relay.ask("hi").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), "hello");
    assert_eq!(relay.asked(), ["a", "b"]);
    assert_eq!(relay.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_failure_before_the_first_event_is_followed_by_the_next() {
    let error_first = replies::error_event("overloaded_error");
    let kinds = [
        ("500", replies::error(500, "api_error")),
        ("502 in HTML", replies::raw(502, &[("content-type", "text/html")], b"<html>bad gateway</html>")),
        ("503", replies::error(503, "api_error")),
        ("529", replies::overloaded()),
        ("429", replies::spent("3600")),
        ("429 about the call", replies::error(429, "rate_limit_error")),
        ("401", replies::dead_key()),
        ("402", replies::error(402, "billing_error")),
        ("403", replies::error(403, "permission_error")),
        ("404", replies::error(404, "not_found_error")),
        ("reset", replies::reset()),
        ("an error as first event", replies::events([&*error_first])),
        ("a stream without an event", replies::events([replies::PING])),
        ("a cut before the first event", replies::events_then([replies::PING], [relay_testkit::Step::Cut])),
    ];
    for (name, reply) in kinds {
        let relay = story().provider("a", [reply]).provider("b", [replies::stream("hello")]).start().await;
        let answer = relay.ask("hi").await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "hello"), "after {name}");
        assert_eq!(relay.asked(), ["a", "b"], "after {name}");
        assert_eq!(relay.in_flight(), 0, "after {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_request_itself_is_not_tried_elsewhere_and_passes_unchanged() {
    let body = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 1 > 0"},"request_id":"req_up"}"#;
    let headers = [("request-id", "req_up"), ("x-should-retry", "false"), ("x-unknown", "kept")];
    for status in [400, 409, 413, 422] {
        let relay = story()
            .provider("a", [replies::json(status, &headers, body)])
            .provider("b", [replies::stream("hello")])
            .start()
            .await;
        let answer = relay.ask("hi").await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.body_text(), body);
        assert_eq!(answer.header("request-id"), Some("req_up"));
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(answer.header("x-unknown"), Some("kept"));
        assert_eq!(relay.asked(), ["a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_relay_says_so_as_the_api_would() {
    let table = [
        (replies::overloaded(), 529, "overloaded_error"),
        (replies::raw(500, &[("content-type", "text/html")], b"<html>"), 502, "api_error"),
        (replies::reset(), 502, "api_error"),
        (replies::dead_key(), 503, "api_error"),
    ];
    for (reply, status, kind) in table {
        let relay = story().provider("a", [reply]).with("queue: { max_wait_ms: 2000 }").start().await;
        let answer = relay.ask_whole("hi").await;
        assert_eq!(answer.status.as_u16(), status);
        assert!(answer.body_text().contains(kind), "{}", answer.body_text());
        assert!(answer.header("request-id").is_some());
        assert_eq!(relay.in_flight(), 0);
    }
}

/// Its own words have the request id by which its operator finds it.
#[tokio::test(start_paused = true)]
async fn what_a_provider_says_of_its_own_failure_is_passed_on() {
    for (status, kind) in [(500, "api_error"), (504, "timeout_error"), (529, "overloaded_error")] {
        let said = replies::error_with(status, kind, &[("request-id", "req_up")]);
        let relay = story().provider("a", [said]).with("queue: { max_wait_ms: 2000 }").start().await;
        let answer = relay.ask_whole("hi").await;
        assert_eq!((answer.status.as_u16(), answer.header("request-id")), (status, Some("req_up")));
        assert_eq!(answer.body_text(), replies::error_body(kind, "said by the provider"));
        assert_eq!(relay.in_flight(), 0);
    }
}

/// That it is a refusal says its status.
#[tokio::test(start_paused = true)]
async fn a_refusal_whose_body_does_not_come_is_followed_by_the_next() {
    let head = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 1000\r\n\r\n{\"type\":";
    for manner in [Manner::Whole, Manner::Stream] {
        let stalled = Reply(vec![Step::Send(head.into()), Step::Hang]);
        let relay = story().provider("a", [stalled]).provider("b", [reply(manner)]).start().await;
        let begun = tokio::time::Instant::now();
        let answer = relay.send(ask("hi", manner)).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "hello"));
        assert_eq!(begun.elapsed().as_secs(), 5);
        relay.upstream("a").cancelled().await;
    }
}

fn reply(manner: Manner) -> Reply {
    match manner {
        Manner::Stream => replies::stream("hello"),
        Manner::Whole => replies::message("hello"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_nobody_has_is_refused_in_the_providers_own_words() {
    let relay = story().provider("a", [replies::error(404, "not_found_error")]).start().await;
    let answer = relay.ask_whole("hi").await;
    assert_eq!(answer.status, 404);
    assert!(answer.body_text().contains("said by the provider"));
}

/// W2 and W3 of the old program: a silent upstream held a slot for ever.
#[tokio::test(start_paused = true)]
async fn w3_a_provider_that_never_answers_is_given_up_at_its_deadline() {
    let relay = story()
        .provider("a", [replies::silence()])
        .provider("b", [replies::message("hello")])
        .with("server: { listen: \"127.0.0.1:0\", timeout_ms: 7000 }")
        .start()
        .await;
    let began = tokio::time::Instant::now();
    let answer = relay.ask_whole("hi").await;
    assert_eq!(answer.text(), "hello");
    assert_eq!(began.elapsed().as_secs(), 7);
    relay.upstream("a").cancelled().await;
    assert_eq!(relay.handle.in_flight(), 0);
}

/// W2 of the old program: a transport error was a 502 at once, and nothing heard of it.
#[tokio::test(start_paused = true)]
async fn w2_a_provider_that_cannot_be_reached_is_followed_by_the_next() {
    let relay = story().unreachable("a").provider("b", [replies::stream("hello")]).start().await;
    assert_eq!(relay.ask("hi").await.text(), "hello");
    let alone = story().unreachable("a").start().await;
    let answer = alone.ask("hi").await;
    assert_eq!(answer.status, 502);
    assert!(answer.body_text().contains("upstream connection failed"));
}

/// W7 of the old program: two idle connections a host, so a burst paid for a handshake each.
#[tokio::test(start_paused = true)]
async fn w7_connections_of_a_burst_are_kept_for_the_next() {
    let relay = story().provider("a", [replies::stream("hello")]).start().await;
    for _ in 0..3 {
        let burst = (0..14).map(|_| relay.ask("hi"));
        for answer in futures_joined(burst).await {
            assert_eq!(answer.text(), "hello");
        }
    }
    assert!(relay.upstream("a").connections() <= 14, "{}", relay.upstream("a").connections());
}

/// All of them at once.
async fn futures_joined<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        for (one, done) in &mut waiting {
            if done.is_none()
                && let std::task::Poll::Ready(value) = one.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if waiting.iter().all(|(_, done)| done.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    waiting.into_iter().filter_map(|(_, done)| done).collect()
}

#[tokio::test(start_paused = true)]
async fn a_committed_stream_is_never_tried_again() {
    let cut = replies::events_then([replies::MESSAGE_START], [relay_testkit::Step::Cut]);
    let relay = story().provider("a", [cut]).provider("b", [replies::stream("hello")]).start().await;
    let answer = relay.ask("hi").await;
    assert_eq!(answer.end, relay_testkit::client::End::Cut);
    assert_eq!(answer.body_text(), replies::MESSAGE_START);
    assert_eq!(relay.asked(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_says_in_its_first_event_is_the_answer_if_nobody_has_a_better_one() {
    for kind in ["api_error", "overloaded_error"] {
        let event = replies::error_event(kind);
        let relay = story().provider("a", (0..40).map(|_| replies::events([&*event]))).start().await;
        let answer = relay.ask("hi").await;
        assert_eq!(answer.status, 200, "{kind}");
        assert!(answer.body_text().ends_with(&event), "{kind}: {}", answer.body_text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_event_without_end_is_passed_on_and_not_kept() {
    let piece = "x".repeat(64 << 10);
    let begun = ["event: message_start\ndata: {\"type\":\"message_start\",\"long\":\""];
    let pieces = begun.into_iter().chain((0..20).map(|_| piece.as_str()));
    let relay = story().provider("a", [replies::events_then(pieces, [Step::Hang])]).start().await;
    let mut client = relay.client().await;
    let mut flowing =
        client.begin(ask("hi", Manner::Stream)).await.expect("it begins before its first event ends");
    assert!(flowing.next().await.is_some_and(|chunk| chunk.is_ok()));
}

/// OpenRouter answers 200 before it knows whether anybody behind it will serve.
#[tokio::test(start_paused = true)]
async fn an_error_that_comes_under_a_200_lets_another_key_answer() {
    let late = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let script = [replies::json(200, &[], late), replies::message("hello")];
    let relay = story().provider_with("a", 2, script).of_type("a", "openrouter", &[]).start().await;
    let answer = relay.ask_whole("hi").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "hello".to_owned()));
    assert_eq!(relay.upstream("a").seen().len(), 2);
    // And if there is none, it is no answer.
    let broke = r#"{"error":{"type":"invalid_request_error","message":"No."}}"#;
    let script = [replies::json(200, &[], broke)];
    let relay = story().provider("a", script).of_type("a", "openrouter", &[]).start().await;
    let answer = relay.ask_whole("hi").await;
    assert_eq!((answer.status.as_u16(), answer.body_text().as_str()), (400, broke));
}
