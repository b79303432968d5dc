//! Limits are kept before anybody is refused for them: caps of the operator's own, and what answers tell of others.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use relay_testkit::story::{Manner, ask, get};
use relay_testkit::{Reply, replies, story};
use tokio::time::Instant;

/// An answer whose head tells of its organization and of a limit that is nearly used up.
fn told(organization: &str, remaining: &str) -> Reply {
    let headers = [
        ("request-id", "req_up"),
        ("anthropic-organization-id", organization),
        ("anthropic-ratelimit-requests-limit", "60"),
        ("anthropic-ratelimit-requests-remaining", remaining),
    ];
    replies::json(200, &headers, &replies::message_body("hello"))
}

/// A request of a session, and of one of its subagents.
fn of(session: &str, agent: Option<&str>) -> Request<Bytes> {
    let mut request = ask("hi", Manner::Whole);
    let headers = request.headers_mut();
    headers.insert("x-claude-code-session-id", session.parse().expect("it is visible"));
    if let Some(agent) = agent {
        headers.insert("x-claude-code-agent-id", agent.parse().expect("it is visible"));
    }
    request
}

#[tokio::test(start_paused = true)]
async fn a_call_above_a_cap_waits_for_its_exact_turn_and_no_key_is_asked_too_often() {
    let script = (0..8).map(|_| replies::message("hello"));
    let relay = story().provider_of("a", &["{ key: sk-a-1, rpm_limit: 60 }"], script).start().await;
    let began = Instant::now();
    // A cap of 60 a minute lets six through at once, and then one a second.
    let mut moments = Vec::new();
    for _ in 0..8 {
        assert_eq!(relay.ask_whole("hi").await.status, 200);
        moments.push(began.elapsed().as_millis());
    }
    assert_eq!(moments[..6], [0; 6]);
    assert!((1_000..1_010).contains(&moments[6]) && (2_000..2_010).contains(&moments[7]), "{moments:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_would_wait_too_long_is_told_when_to_come_and_is_served_then() {
    let script = (0..10).map(|_| replies::message("hello"));
    let relay = story()
        .provider_of("a", &["{ key: sk-a-1, rpm_limit: 1 }"], script)
        .with("queue: { max_wait_ms: 5000 }")
        .start()
        .await;
    assert_eq!(relay.ask_whole("hi").await.status, 200);
    let refused = relay.ask_whole("hi").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(relay.asked().len(), 1, "nobody upstream was bothered");
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(relay.ask_whole("hi").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn two_keys_of_one_organization_are_found_out_by_their_first_answers_and_share_its_limits() {
    let script = [told("org-one", "59"), told("org-one", "58"), told("org-two", "59")];
    let relay = story().provider_with("a", 3, script).start().await;
    for _ in 0..3 {
        assert_eq!(relay.ask_whole("hi").await.status, 200);
    }
    assert_eq!(relay.keys("a"), ["sk-a-1", "sk-a-2", "sk-a-3"]);
    let page: serde_json::Value =
        serde_json::from_slice(&relay.send(get("/v1/providers")).await.body()).unwrap();
    let keys = page["data"][0]["keys"].as_array().unwrap();
    let organizations: Vec<_> = keys.iter().map(|key| key["organization"].as_str().unwrap()).collect();
    assert_eq!(organizations, ["org-one", "org-one", "org-two"]);
    assert_eq!(keys[0]["limits"], keys[1]["limits"]);
    assert_eq!(keys[0]["limits"][0]["per_minute"], 60);
    assert_ne!(keys[0]["limits"], keys[2]["limits"]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_an_answer_tells_of_is_kept_without_any_configuration() {
    let mut script = vec![told("org-one", "2")];
    script.extend((0..3).map(|_| replies::message("hello")));
    let relay = story().provider_with("a", 1, script).start().await;
    let began = Instant::now();
    let mut moments = Vec::new();
    for _ in 0..4 {
        assert_eq!(relay.ask_whole("hi").await.status, 200);
        moments.push(began.elapsed().as_millis());
    }
    assert_eq!(moments[..3], [0; 3], "the first, and the two that were left");
    assert!((1_000..1_010).contains(&moments[3]), "{moments:?}");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stays_with_its_key_and_each_subagent_is_one_of_its_own() {
    let script = (0..9).map(|_| replies::message("hello"));
    let relay = story().provider_with("a", 3, script).start().await;
    let turns = [("s", None), ("s", Some("x")), ("t", None)];
    for _ in 0..3 {
        for (session, agent) in turns {
            assert_eq!(relay.send(of(session, agent)).await.status, 200);
        }
    }
    let (one, two, three) = ("sk-a-1", "sk-a-2", "sk-a-3");
    assert_eq!(relay.keys("a"), [one, two, three, one, two, three, one, two, three]);
    // Without knowing whose they are, they go on in turn: the next session begins at the next key.
    let fourth = story().provider_with("a", 2, (0..4).map(|_| replies::message("hello"))).start().await;
    for _ in 0..4 {
        assert_eq!(fourth.send(of("s", None)).await.status, 200);
    }
    assert_eq!(fourth.keys("a"), ["sk-a-1"; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_whose_key_rests_for_long_goes_elsewhere_and_stays_there() {
    let mut script = vec![replies::message("hello"), replies::spent("300")];
    script.extend((0..2).map(|_| replies::message("hello")));
    let relay = story().provider_with("a", 2, script).start().await;
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(relay.send(of("s", None)).await.status, 200);
    }
    assert_eq!(relay.keys("a"), ["sk-a-1", "sk-a-1", "sk-a-2", "sk-a-2"]);
    assert!(began.elapsed() < Duration::from_secs(1), "ten cached tokens are not worth waiting for");
}
