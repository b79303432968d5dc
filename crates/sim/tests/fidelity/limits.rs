//! Limits and the prompt cache, as clients run into them.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use relay_sim::{ClassLimit, Key, Limit, Meter, Organization, Pace, Settings, Sim, Workspace};
use serde_json::{Value, json};
use tokio::join;

use crate::client::{Reply, ask, call, get, post};

const ONE: &str = "sk-ant-api03-one";
const TWO: &str = "sk-ant-api03-two";
const THREE: &str = "sk-ant-api03-three";
const OTHER: &str = "sk-ant-api03-other";

/// One organization with keys one and two in a workspace and three in another; and a second one.
fn settings(limit: Limit) -> Settings {
    let workspaces = vec![
        Workspace::open("first", &[("one", ONE), ("two", TWO)]),
        Workspace::open("second", &[("three", THREE)]),
    ];
    let acme = Organization { limit, workspaces, token_counts: Some(3), ..Organization::open("acme", &[]) };
    let other = Organization { limit, ..Organization::open("other", &[("other", OTHER)]) };
    Settings { organizations: vec![acme, other], ..Settings::default() }
}

fn long_prompt(marker: &str) -> Bytes {
    let text = format!("{marker} {}", "word ".repeat(1000));
    let system = json!([{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]);
    call("sim: say ok", &json!({"system": system}))
}

/// `input_tokens`, `cache_creation_input_tokens`, `cache_read_input_tokens`.
fn input(reply: &Reply) -> (u64, u64, u64) {
    let usage: Value = reply.json()["usage"].clone();
    let field = |name: &str| usage[name].as_u64().expect("a number");
    (field("input_tokens"), field("cache_creation_input_tokens"), field("cache_read_input_tokens"))
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_organization_share_its_requests_and_retry_after_is_true() {
    let sim = Sim::new(settings(Limit::per_minute(30, 1_000_000, 1_000_000, Duration::from_secs(6))));
    for key in [ONE, TWO, THREE] {
        assert_eq!(ask(&sim, key, "hello").await.status, 200);
    }
    let refused = ask(&sim, TWO, "hello").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let (kind, message) = refused.error();
    assert_eq!(kind, "rate_limit_error");
    assert!(message.contains("30 requests per minute"), "{message}");
    assert_eq!(refused.header("retry-after"), Some("2"));
    assert_eq!(refused.header("anthropic-ratelimit-requests-remaining"), Some("0"));
    assert_eq!(ask(&sim, OTHER, "hello").await.status, 200, "another organization has its own");

    tokio::time::advance(Duration::from_millis(1900)).await;
    assert_eq!(ask(&sim, ONE, "hello").await.status, 429);
    tokio::time::advance(Duration::from_millis(100)).await;
    assert_eq!(ask(&sim, ONE, "hello").await.status, 200);

    let report = sim.report();
    assert_eq!(report.greatest_overshoot(), 0);
    let totals: Vec<_> = report
        .keys
        .iter()
        .map(|key| (key.key.as_str(), key.totals.requests, key.totals.served, key.totals.rate_limited))
        .collect();
    assert_eq!(totals, [("one", 3, 2, 1), ("two", 2, 1, 1), ("three", 1, 1, 0), ("other", 1, 1, 0)]);
    assert_eq!(report.classes.len(), 2);
    assert_eq!(report.classes[0].totals.rate_limited, 2);
}

#[tokio::test(start_paused = true)]
async fn every_answer_after_the_key_shows_the_limits() {
    let sim = Sim::new(settings(Limit::per_minute(60, 50_000, 8000, Duration::from_mins(1))));
    let good = ask(&sim, ONE, "sim: tokens 2400").await;
    let value = |reply: &Reply, name: &str| {
        reply.header(&format!("anthropic-ratelimit-{name}")).map(str::to_owned).expect("the header is there")
    };
    assert_eq!(value(&good, "requests-limit"), "60");
    assert_eq!(value(&good, "requests-remaining"), "59");
    assert_eq!(value(&good, "requests-reset"), "2026-11-20T00:00:01Z");
    assert_eq!(value(&good, "input-tokens-limit"), "50000");
    assert_eq!(value(&good, "tokens-limit"), "58000");
    let bad = post(&sim, ONE, "/v1/messages", call("hello", &json!({"max_tokens": 0}))).await;
    assert_eq!(bad.status, 400);
    assert_eq!(value(&bad, "requests-remaining"), "58", "a bad request has spent one");
    assert_eq!(value(&bad, "output-tokens-remaining"), "6000", "5,600 are left, and it is rounded");
    assert_eq!(bad.header("anthropic-workspace-id"), Some("first"));
}

#[tokio::test(start_paused = true)]
async fn output_is_charged_as_it_is_produced_and_debt_is_reported() {
    let mut settings = settings(Limit::per_minute(600, 100_000, 600, Duration::from_secs(6)));
    settings.pace = Pace {
        first_event: Duration::ZERO,
        between_events: Duration::from_millis(100),
        tokens_per_event: 10,
    };
    let sim = Sim::new(settings);
    let body = call("sim: tokens 300", &json!({"stream": true}));
    let streamed = post(&sim, ONE, "/v1/messages", body).await;
    assert!(streamed.whole, "what has begun is finished");
    let record = sim.seen().remove(0);
    assert_eq!(record.usage.output, 300);
    // 60 in the bucket and 10 a second for three seconds and a half were not enough.
    let overshoot = sim.report().greatest_overshoot();
    assert!((200..=215).contains(&overshoot), "{overshoot}");
    let refused = ask(&sim, ONE, "hello").await;
    assert_eq!(refused.status, 429);
    assert!(refused.error().1.contains("600 output tokens per minute"));
    let report = sim.report();
    let debt: Vec<_> = report.buckets.iter().filter(|bucket| bucket.overshoot > 0).collect();
    assert_eq!((debt.len(), debt[0].meter, debt[0].refused), (1, Meter::Output, 1));
}

#[tokio::test(start_paused = true)]
async fn cache_reads_cost_no_input_limit() {
    let sim = Sim::new(settings(Limit::per_minute(600, 2500, 100_000, Duration::from_mins(1))));
    let first = post(&sim, ONE, "/v1/messages", long_prompt("a")).await;
    let (_, written, read) = input(&first);
    assert!(written > 1400 && read == 0, "{:?}", input(&first));
    for _ in 0..20 {
        let again = post(&sim, TWO, "/v1/messages", long_prompt("a")).await;
        assert_eq!(again.status, 200);
        assert_eq!(input(&again), (input(&first).0, 0, written));
    }
    let refused = post(&sim, ONE, "/v1/messages", long_prompt("b")).await;
    assert_eq!(refused.status, 429);
    assert!(refused.error().1.contains("2,500 input tokens per minute"));
}

#[tokio::test(start_paused = true)]
async fn caches_belong_to_workspaces_and_open_with_the_first_answer() {
    let mut settings = settings(Limit::none());
    settings.pace = Pace { first_event: Duration::from_secs(2), ..Pace::at_once() };
    let sim = Sim::new(settings);
    let (one, two) = join!(
        post(&sim, ONE, "/v1/messages", long_prompt("a")),
        post(&sim, TWO, "/v1/messages", long_prompt("a"))
    );
    assert_eq!(input(&one), input(&two), "both are cold");
    assert!(input(&one).1 > 1400);
    assert!(input(&post(&sim, TWO, "/v1/messages", long_prompt("a")).await).2 > 1400);
    assert_eq!(input(&post(&sim, THREE, "/v1/messages", long_prompt("a")).await).2, 0, "another workspace");
    tokio::time::advance(Duration::from_mins(6)).await;
    assert_eq!(input(&post(&sim, ONE, "/v1/messages", long_prompt("a")).await).2, 0, "it has expired");
}

#[tokio::test(start_paused = true)]
async fn token_counts_have_a_limit_of_their_own() {
    let sim = Sim::new(settings(Limit::per_minute(1, 10, 10, Duration::from_mins(1))));
    let count = || post(&sim, ONE, "/v1/messages/count_tokens", call("hello", &json!({})));
    for _ in 0..3 {
        assert_eq!(count().await.status, 200);
    }
    let refused = count().await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("20"));
}

#[tokio::test(start_paused = true)]
async fn an_administrator_reads_the_limits_of_the_own_organization_and_nobody_else_does() {
    const ADMIN: &str = "sk-ant-admin01-acme";
    let mut settings = settings(Limit::per_minute(60, 50_000, 8000, Duration::from_mins(1)));
    settings.models.truncate(2);
    settings.models.iter_mut().for_each(|model| model.class = "shared".to_owned());
    let acme = &mut settings.organizations[0];
    acme.admin_keys = vec![Key { name: "admin".to_owned(), secret: ADMIN.to_owned() }];
    acme.workspaces[1].limit.input = Some(20_000);
    let limit = Limit { output: None, ..acme.limit };
    acme.class_limits = vec![ClassLimit { class: "shared".to_owned(), limit }];
    let sim = Sim::new(settings);

    let path = "/v1/organizations/rate_limits";
    let reply = get(&sim, ADMIN, &format!("{path}?group_type=model_group")).await;
    assert_eq!((reply.status.as_u16(), reply.header("anthropic-organization-id")), (200, Some("acme")));
    let group = json!({
        "type": "rate_limit",
        "group_type": "model_group",
        "models": ["claude-fable-5-2", "claude-haiku-5-5"],
        "limits": [
            {"type": "requests_per_minute", "value": 60},
            {"type": "input_tokens_per_minute", "value": 50_000},
        ],
    });
    assert_eq!(reply.json(), json!({"data": [group], "next_page": null}));
    assert_eq!(get(&sim, ADMIN, path).await.json()["data"][1]["group_type"], "batch");

    let of = |workspace: &str| format!("/v1/organizations/workspaces/{workspace}/rate_limits");
    assert_eq!(get(&sim, ADMIN, &of("first")).await.json()["data"], json!([]));
    let narrower = get(&sim, ADMIN, &of("second")).await.json();
    assert_eq!(narrower["data"][0]["type"], "workspace_rate_limit");
    let limit = json!([{"type": "input_tokens_per_minute", "value": 20_000, "org_limit": 50_000}]);
    assert_eq!(narrower["data"][0]["limits"], limit);
    assert_eq!(get(&sim, ADMIN, &of("nowhere")).await.status, 404);

    for path in [path, &of("first")] {
        let refused = get(&sim, ONE, path).await;
        assert_eq!((refused.status.as_u16(), refused.error().0.as_str()), (401, "authentication_error"));
    }
    assert_eq!(ask(&sim, ADMIN, "hello").await.status, 401, "it opens no messages");
}
