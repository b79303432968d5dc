//! Limits are known before anybody was answered, where the provider lists them for an Admin API key.

use std::time::Duration;

use relay_testkit::story::{Told, get};
use relay_testkit::{Log, Reply, replies, story};
use serde_json::{Value, json};
use tokio::time::Instant;

const ADMIN: &str = "sk-ant-admin01-hidden";
const KEY: &str = "{ key: sk-a-1, limits_admin_key: sk-ant-admin01-hidden }";
const READ: &str = "limits of the organization read";
const FAILED: &str = "the limits of the organization could not be read";
const HOUR: Duration = Duration::from_hours(1);

/// A page of a list: so many requests a minute for some models, and how the next one is asked for.
fn page(model: &str, requests: u64, next: Option<&str>) -> Reply {
    let group = json!({
        "type": "rate_limit",
        "group_type": "model_group",
        "models": [model],
        "limits": [{"type": "requests_per_minute", "value": requests}],
    });
    let body = json!({"data": [group], "next_page": next}).to_string();
    replies::json(200, &[("anthropic-organization-id", "org-one")], &body)
}

/// The whole list of an organization.
fn list(requests: u64) -> Reply {
    page("claude-opus-5-5", requests, None)
}

/// An answer that names these.
fn named(organization: &str, workspace: &str) -> Reply {
    let headers = [("anthropic-organization-id", organization), ("anthropic-workspace-id", workspace)];
    replies::json(200, &headers, &replies::message_body("hello"))
}

/// The limits of the first key, as operators see them: whose, of which models, and how many requests a minute.
async fn limits(relay: &Told) -> Vec<(String, String, u64)> {
    let answer = relay.send(get("/v1/providers")).await;
    let page: Value = serde_json::from_slice(&answer.body()).expect("it is JSON");
    let limits = page["data"][0]["keys"][0]["limits"].as_array().expect("it is a list").clone();
    let text = |value: &Value| value.as_str().expect("it is a text").to_owned();
    let shown = |limit: &Value| {
        let per_minute = limit["per_minute"].as_u64().expect("it is a number");
        (text(&limit["holder"]), text(&limit["model_class"]), per_minute)
    };
    limits.iter().map(shown).collect()
}

fn held(holder: &str, requests: u64) -> (String, String, u64) {
    (holder.to_owned(), "claude-opus-5-5".to_owned(), requests)
}

/// The requests that the provider has seen, without those for messages.
fn asked(relay: &Told) -> Vec<String> {
    let lines = relay.upstream("a").seen().into_iter().map(|seen| seen.line);
    lines.filter(|line| line.starts_with("GET")).collect()
}

#[tokio::test(start_paused = true)]
async fn limits_are_known_before_any_answer_and_the_first_burst_keeps_them() {
    let log = Log::listen();
    let script = std::iter::once(list(60)).chain((0..8).map(|_| replies::message("hello")));
    let relay = story().provider_of("a", &[KEY], script).start().await;
    log.until(READ, 1).await;
    assert_eq!(limits(&relay).await, [held("organization", 60)]);
    let began = Instant::now();
    let mut moments = Vec::new();
    for _ in 0..8 {
        assert_eq!(relay.ask_whole("hi").await.status, 200);
        moments.push(began.elapsed().as_millis() / 100);
    }
    assert_eq!(moments, [0, 0, 0, 0, 0, 0, 10, 20], "sixty a minute let six through at once");

    let seen = relay.upstream("a").seen();
    assert_eq!(seen[0].line, "GET /v1/organizations/rate_limits?group_type=model_group");
    assert_eq!(seen[0].header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(relay.keys("a")[0], ADMIN);
    assert!(relay.keys("a")[1..].iter().all(|key| key == "sk-a-1"), "no message is sent with it");
    assert_eq!(log.count("hidden"), 0);
    let said = log.lines_with(READ);
    assert!(said[0].contains("claude-opus-5-5: 60 requests") && said[0].contains("a.keys[0]"), "{said:?}");
    assert!(relay.handle.drain(Duration::from_secs(1)).await, "it ends with the relay");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_the_provider_changes_is_followed_within_the_hour_and_said_once() {
    let log = Log::listen();
    let relay = story().provider_of("a", &[KEY], [list(60), list(600)]).start().await;
    log.until(READ, 1).await;
    tokio::time::sleep(HOUR).await;
    log.until(READ, 2).await;
    assert_eq!(limits(&relay).await, [held("organization", 600)]);
    tokio::time::sleep(HOUR * 2).await;
    relay.upstream("a").requests(4).await;
    assert_eq!((log.count(READ), log.count(FAILED)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_refused_admin_key_is_said_once_and_the_relay_serves_all_the_same() {
    let log = Log::listen();
    let script = [replies::dead_key(), replies::dead_key(), replies::message("hello"), list(60)];
    let relay = story().provider_of("a", &[KEY], script).start().await;
    log.until(FAILED, 1).await;
    let said = log.lines_with(FAILED).remove(0);
    assert!(said.contains("401") && said.contains("takes an Admin API key"), "{said}");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(asked(&relay).len(), 2, "after a minute it is asked again");
    assert_eq!(relay.ask_whole("hi").await.status, 200);
    assert_eq!(limits(&relay).await, []);
    log.until("are read again", 1).await;
    assert_eq!(limits(&relay).await, [held("organization", 60)]);
    assert_eq!((log.count(FAILED), log.count("hidden")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_list_is_said_and_asked_again() {
    for bad in [
        replies::raw(200, &[], b"<html>"),
        replies::error(404, "not_found_error"),
        replies::overloaded(),
        replies::reset(),
        replies::silence(),
        page("claude-opus-5-5", 60, Some("again")),
        replies::raw(200, &[], &vec![b' '; (1 << 20) + 1]),
    ] {
        let log = Log::listen();
        // Of a list without an end, all pages that are looked at.
        let script = (0..20).map(|_| bad.clone()).chain([list(60)]);
        let relay = story().provider_of("a", &[KEY], script).start().await;
        log.until(READ, 1).await;
        assert_eq!(log.count(FAILED), 1, "{bad:?}");
        assert_eq!(limits(&relay).await, [held("organization", 60)]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_admin_key_of_another_organization_than_its_key_changes_nothing() {
    let log = Log::listen();
    let script = [list(60), named("org-two", "default"), list(600)];
    let relay = story().provider_of("a", &[KEY], script).start().await;
    log.until(READ, 1).await;
    assert_eq!(relay.ask_whole("hi").await.status, 200);
    log.until(FAILED, 1).await;
    let said = log.lines_with(FAILED).remove(0);
    assert!(said.contains("org-one") && said.contains("org-two"), "{said}");
    assert_eq!(limits(&relay).await, [held("organization", 60)]);
}

#[tokio::test(start_paused = true)]
async fn the_narrower_limits_of_a_workspace_are_read_once_it_is_known_and_lifted_when_they_are_gone() {
    const READ: &str = "limits of the workspace read";
    let log = Log::listen();
    let script = [
        list(600),
        named("org-one", "wrkspc_01"),
        list(600),
        page("claude-opus-5-5", 10, None),
        list(600),
        replies::error(404, "not_found_error"),
    ];
    let relay = story().provider_of("a", &[KEY], script).start().await;
    relay.upstream("a").requests(1).await;
    log.until("limits of the organization read", 1).await;
    let began = Instant::now();
    assert_eq!(relay.ask_whole("hi").await.status, 200);
    log.until(READ, 1).await;
    assert!(began.elapsed() <= Duration::from_mins(1));
    assert_eq!(limits(&relay).await, [held("organization", 600), held("workspace", 10)]);
    let own = "GET /v1/organizations/workspaces/wrkspc_01/rate_limits";
    assert_eq!(asked(&relay)[2], own);
    log.until(READ, 2).await;
    assert_eq!(limits(&relay).await, [held("organization", 600)]);
    assert_eq!(log.count(FAILED), 0);
}

#[tokio::test(start_paused = true)]
async fn a_workspace_that_has_no_narrower_limits_any_more_after_a_restart_is_not_held_to_them() {
    const READ: &str = "limits of the workspace read";
    let (log, folder) = (Log::listen(), tempfile::TempDir::new().unwrap());
    let file = folder.path().join("state.db");
    let script = [list(600), named("org-one", "wrkspc_01"), list(600), page("claude-opus-5-5", 10, None)];
    let relay = story().provider_of("a", &[KEY], script).remembering(&file).start().await;
    log.until("limits of the organization read", 1).await;
    assert_eq!(relay.ask_whole("hi").await.status, 200);
    log.until(READ, 1).await;
    assert!(relay.handle.drain(Duration::from_secs(1)).await);
    relay.handle.keep().await;
    drop(relay);

    let script = [list(600), replies::error(404, "not_found_error")];
    let relay = story().provider_of("a", &[KEY], script).remembering(&file).start().await;
    // Before anything else happens.
    let known = &relay.report().providers[0].keys[0].limits;
    assert_eq!(known.iter().map(|limit| limit.per_minute).collect::<Vec<_>>(), [600, 10]);
    log.until(READ, 2).await;
    assert_eq!(limits(&relay).await, [held("organization", 600)]);
}

#[tokio::test(start_paused = true)]
async fn all_pages_are_read_and_what_they_say_of_one_class_is_joined() {
    let log = Log::listen();
    let script =
        [page("claude-x", 60, Some("p/2==")), page("claude-y", 70, Some("3")), page("claude-y", 50, None)];
    let classes = "routing: { model_classes: { claude-y: of-y } }";
    let relay = story().provider_of("a", &[KEY], script).with(classes).start().await;
    log.until(READ, 1).await;
    let shown: Vec<_> = limits(&relay).await.into_iter().map(|(_, class, most)| (class, most)).collect();
    assert_eq!(shown, [("claude-x".to_owned(), 60), ("of-y".to_owned(), 50)]);
    let asked = asked(&relay);
    assert!(asked[1].ends_with("?group_type=model_group&page=p%2F2%3D%3D"), "{asked:?}");
    assert!(asked[2].ends_with("&page=3"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_admin_key_in_a_file_is_read_for_each_look() {
    let log = Log::listen();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("admin");
    let key = format!("{{ key: sk-a-1, limits_admin_key_file: '{}' }}", file.display());
    let relay = story().provider_of("a", &[&key], [list(60)]).start().await;
    log.until(FAILED, 1).await;
    assert!(log.lines_with(FAILED)[0].contains("limits_admin_key_file"));
    std::fs::write(&file, "sk-ant-admin01-one\n").unwrap();
    log.until(READ, 1).await;
    std::fs::write(&file, "sk-ant-admin01-two\n").unwrap();
    relay.upstream("a").requests(2).await;
    assert_eq!(relay.keys("a"), ["sk-ant-admin01-one", "sk-ant-admin01-two"]);
}
