//! Two subscriptions whose windows are counted by a provider that judges by rules of its own: one is used up, the other
//! serves, and the first comes back when its window is reset; and what a client hears of it.

use std::time::Duration;

use relay_sim::{Limit, Organization, Settings, Sim, Window};
use relay_testkit::client::Answer;
use relay_testkit::story::{BEGIN, Told, get};
use relay_testkit::{Log, story};
use serde_json::json;

const FIRST: &str = "sk-ant-api03-first";
const SECOND: &str = "sk-ant-api03-second";
const UNIFIED: &str = "anthropic-ratelimit-unified-";

/// A provider with two subscriptions: the first has so many tokens in five hours, the second so many.
fn subscriptions(first: u64, second: u64) -> Sim {
    let one = |id: &str, secret, tokens| Organization {
        limit: Limit::none(),
        windows: vec![Window::five_hours(tokens), Window::seven_days(100 * tokens)],
        ..Organization::open(id, &[(id, secret)])
    };
    Sim::new(Settings {
        organizations: vec![one("first", FIRST, first), one("second", SECOND, second)],
        epoch: BEGIN.since_epoch(),
        ..Settings::default()
    })
}

/// A client asks for an answer of so many tokens.
async fn uses(relay: &Told, tokens: u64) -> Answer {
    let answer = relay.ask_whole(&format!("sim: tokens {tokens}")).await;
    assert_eq!(answer.status, 200, "no client hears of it");
    answer
}

fn said<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.header(&format!("{UNIFIED}{name}"))
}

/// Who was asked, and with what success.
fn asked(sim: &Sim) -> Vec<(String, u16)> {
    let seen = sim.seen().into_iter();
    seen.map(|record| (record.key.unwrap_or_default(), record.status.map_or(0, |status| status.as_u16())))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn when_a_window_is_used_up_the_other_subscription_serves_until_it_is_reset() {
    let log = Log::listen();
    let sim = subscriptions(1_000, 1_000_000);
    let relay = story().simulated("a", &sim).start().await;
    uses(&relay, 1_200).await;
    uses(&relay, 10).await;
    assert_eq!(asked(&sim), [("first".to_owned(), 200), ("second".to_owned(), 200)]);
    for _ in 0..5 {
        uses(&relay, 10).await;
    }
    let second = ("second".to_owned(), 200);
    let mut expect = vec![("first".to_owned(), 429)];
    expect.extend(vec![second; 5]);
    assert_eq!(asked(&sim)[2..], expect, "it is asked no more once it has said so");
    assert_eq!(log.count("a window of the key's plan is used up"), 1);

    let page: serde_json::Value =
        serde_json::from_slice(&relay.send(get("/v1/providers")).await.body()).unwrap();
    let keys = page["data"][0]["keys"].as_array().unwrap();
    let five_hours = &keys[0]["windows"][0];
    assert_eq!((&five_hours["window"], &five_hours["status"]), (&json!("5h"), &json!("rejected")), "{page}");
    assert_eq!((&five_hours["used"], &five_hours["resets_in_seconds"]), (&json!(1.21), &json!(18_000)));
    assert_eq!(keys[1]["windows"][1]["window"], "7d");
    let held = keys[0]["held"].as_array().unwrap();
    let used_up = json!({"why": "window used up", "window": "5h", "model_class": null, "seconds": 18_000});
    assert!(held.contains(&used_up), "{held:?}");

    // Nobody has to ask whether it is back: it said when.
    tokio::time::advance(Duration::from_hours(5)).await;
    for _ in 0..3 {
        uses(&relay, 10).await;
    }
    let after = &asked(&sim)[8..];
    assert!(after.contains(&("first".to_owned(), 200)), "{after:?}");
    assert!(after.iter().all(|(_, status)| *status == 200), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_hears_of_the_key_that_served_or_of_the_pool_as_it_is_configured() {
    let warns = ("0.9", "allowed_warning");
    for (option, expect) in
        [("provider", [warns, ("0.1", "allowed")]), ("pool", [("0.45", "allowed"), ("0.5", "allowed")])]
    {
        let sim = subscriptions(100_000, 100_000);
        let routing = format!("routing: {{ unified_headers: {option} }}");
        let relay = story().simulated("a", &sim).with(&routing).start().await;
        // Nine tenths of the first, and a tenth of the second. What is used is told with the next answer of each.
        for tokens in [90_000, 10_000] {
            uses(&relay, tokens).await;
        }
        for (used, status) in expect {
            let answer = uses(&relay, 1).await;
            let known =
                (said(&answer, "5h-utilization"), said(&answer, "5h-status"), said(&answer, "status"));
            assert_eq!(known, (Some(used), Some(status), Some(status)), "{option}");
            assert_eq!(said(&answer, "5h-surpassed-threshold").is_some(), status == warns.1, "{option}");
            let reset = (BEGIN + Duration::from_hours(5)).since_epoch().as_secs().to_string();
            assert_eq!(said(&answer, "5h-reset"), Some(&*reset));
            assert_eq!(said(&answer, "representative-claim"), Some("five_hour"));
            assert_eq!(said(&answer, "overage-status"), Some("rejected"), "that is of the key");
        }
        assert_eq!(
            asked(&sim).iter().map(|(key, _)| &**key).collect::<Vec<_>>(),
            ["first", "second", "first", "second"]
        );
    }
}
