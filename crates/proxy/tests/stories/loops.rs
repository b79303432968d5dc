//! Relays that lead to each other, or to themselves.

use relay_testkit::story::{get, post};
use relay_testkit::{replies, story};

/// A request went round until its client left.
#[tokio::test(start_paused = true)]
async fn a_request_that_comes_back_is_refused_and_the_client_hears_why() {
    let relay = story().leading_back("a").start().await;
    for answer in [relay.ask("hi").await, relay.ask_whole("hi").await] {
        assert_eq!(answer.status, 508, "{}", answer.body_text());
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert!(answer.body_text().contains(r#""type":"api_error""#), "{}", answer.body_text());
        assert!(answer.body_text().contains("`base_url`"), "{}", answer.body_text());
    }
    let count = post("/v1/messages/count_tokens", r#"{"model":"claude-opus-5-5","messages":[]}"#);
    assert_eq!(relay.send(count).await.status, 508);
    assert_eq!(relay.send(get("/v1/files")).await.status, 508);
    assert_eq!(relay.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_leads_back_is_followed_by_the_next() {
    let relay = story().leading_back("a").provider("b", [replies::stream("hello")]).start().await;
    let answer = relay.ask("hi").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "hello"));
    assert_eq!(relay.asked(), ["b"]);
}

/// Several relays in a row are nothing wrong, and each of them signs.
#[tokio::test(start_paused = true)]
async fn a_relay_behind_other_relays_serves() {
    let relay = story().provider("a", [replies::stream("hello")]).start().await;
    let mut request = relay_testkit::story::ask("hi", relay_testkit::story::Manner::Stream);
    request.headers_mut().insert("x-cc-relay-via", "one, two".parse().unwrap());
    assert_eq!(relay.send(request).await.text(), "hello");
    let sent = relay.upstream("a").seen()[0].header("x-cc-relay-via").unwrap_or_default().to_owned();
    let relays: Vec<_> = sent.split(", ").collect();
    assert_eq!((&relays[..2], relays.len()), (&["one", "two"][..], 3), "{sent}");
}
