//! Everything that clients ask besides messages: token counts in bursts, models, files, batches.

use std::collections::BTreeSet;
use std::time::Duration;

use relay_sim::{Fault, Pace, Script};
use serde_json::Value;

use crate::claude::Claude;
use crate::sdk::{Sdk, for_each_sdk};
use crate::stage::{ROADS, Road, Stage};

for_each_sdk! {
    a_burst_of_token_counts_is_answered_as_by_the_provider,
    models_are_listed_by_pages_and_found_by_id,
    a_file_is_asked_about_with_the_key_that_owns_it,
    a_batch_is_looked_at_with_the_key_that_owns_it,
    the_results_of_a_batch_come_through_the_relay,
}

const BATCH: &[&str] = &["batch", "--size", "3", "--prompt", "sim: say done"];

async fn a_burst_of_token_counts_is_answered_as_by_the_provider(sdk: Sdk) {
    let mut outcomes = Vec::new();
    for road in ROADS {
        let stage = Stage::open(road).await;
        outcomes.push(sdk.play(&stage, &["count", "--size", "14", "--prompt", "marmalade "]).await);
        stage.judge();
        assert_eq!(stage.statuses(), [200; 14]);
    }
    assert_eq!(outcomes[0], outcomes[1]);
    let counts: Vec<u64> = serde_json::from_value(outcomes[1].value()["counts"].clone()).expect("numbers");
    assert!(counts.is_sorted() && counts[0] > 0, "{counts:?}");
}

async fn models_are_listed_by_pages_and_found_by_id(sdk: Sdk) {
    let mut listed: Vec<BTreeSet<String>> = Vec::new();
    for road in ROADS {
        let stage = Stage::open(road).await;
        let outcome = sdk.play(&stage, &["models"]).await;
        let models: Vec<String> = serde_json::from_value(outcome.value()["models"].clone()).expect("names");
        assert_eq!(outcome.value()["first"].as_str(), models.first().map(String::as_str));
        let pages = models.len().div_ceil(3);
        assert_eq!(stage.exchanges().len(), pages + 1, "no page is asked for twice");
        // The relay has a list of its own: a listing must never wait for a provider.
        let asked_upstream = if road == Road::Direct { pages + 1 } else { 0 };
        assert_eq!(stage.seen().len(), asked_upstream);
        stage.judge();
        assert_eq!(models.iter().collect::<BTreeSet<_>>().len(), models.len());
        listed.push(models.into_iter().collect());
    }
    assert_eq!(listed[0], listed[1]);
}

/// The provider gives a 404 to the keys of another organization.
async fn a_file_is_asked_about_with_the_key_that_owns_it(sdk: Sdk) {
    let mut outcomes = Vec::new();
    for road in ROADS {
        let stage = Stage::open(road).await;
        outcomes.push(sdk.play(&stage, &["files", "--size", "5", "--prompt", "sim: say read"]).await);
        stage.judge();
        assert_eq!(stage.statuses(), [200; 8]);
        let keys: BTreeSet<_> = stage.seen().into_iter().map(|record| record.key).collect();
        assert_eq!(keys.len(), 1, "one key did all of it: {keys:?}");
        assert_eq!(stage.statuses_upstream(), [200; 8], "it did not have to be searched for");
    }
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[1].value()["texts"], Value::from(vec!["read"; 5]));
}

async fn a_batch_is_looked_at_with_the_key_that_owns_it(sdk: Sdk) {
    for road in ROADS {
        let stage = Stage::open(road).await;
        let outcomes = sdk.play_repeatedly(&stage, 3, BATCH).await;
        assert!(outcomes.iter().all(|outcome| outcome.value()["status"] == "ended"));
        stage.judge();
        assert_eq!((stage.statuses(), stage.statuses_upstream()), (vec![200; 6], vec![200; 6]));
        let keys: Vec<_> = stage.seen().into_iter().map(|record| record.key).collect();
        assert!(keys.chunks(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
        let users = keys.iter().collect::<BTreeSet<_>>().len();
        assert_eq!(users, if road == Road::Direct { 1 } else { 3 }, "new batches go round the keys");
    }
}

/// A batch says where its results are, and the SDKs ask there with what they show to the relay.
async fn the_results_of_a_batch_come_through_the_relay(sdk: Sdk) {
    for road in ROADS {
        let stage = Stage::open(road).await;
        let made = sdk.play(&stage, BATCH).await;
        let id = made.value()["id"].as_str().expect("a batch has an id");
        let outcome = sdk.play(&stage, &["results", "--prompt", id]).await;
        stage.judge();
        assert_eq!(outcome.value()["results"]["number-2"], "done");
    }
}

/// `/context` asks for some 25 token counts, 14 of them at once.
#[tokio::test(flavor = "multi_thread")]
async fn claude_counts_its_context_in_a_burst() {
    let mut tables = Vec::new();
    for road in ROADS {
        let stage = Stage::open(road).await;
        let heard = Claude::on(&stage).say("/context").await;
        assert_eq!(heard.printed.code, Some(0), "{:?}", heard.printed);
        stage.judge();
        assert!(stage.statuses().len() >= 20 && stage.statuses().iter().all(|status| *status == 200));
        let counts = "/v1/messages/count_tokens?beta=true";
        assert!(stage.exchanges().iter().all(|exchange| exchange.request.path == counts));
        assert_eq!(stage.seen().len(), stage.exchanges().len(), "none was asked twice");
        tables.push(heard.printed.stdout);
    }
    assert!(tables[1].contains("## Context Usage"), "{}", tables[1]);
    assert_eq!(tables[0], tables[1]);
}

/// The models are asked for beside the first message, and nothing waits for them.
#[tokio::test(flavor = "multi_thread")]
async fn claude_discovers_the_models_of_the_relay() {
    for road in ROADS {
        let stage = Stage::open(road).await;
        // It forgets an answer that comes after the last message, and one that takes long.
        let slow = Pace { first_event: Duration::from_secs(3), ..Pace::at_once() };
        stage.script(Script::new(Fault::Nothing).for_path("/v1/messages").paced(slow));
        let claude = Claude::on(&stage)
            .env("CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY", "1")
            .env("CLAUDE_CODE_GATEWAY_MODEL_DISCOVERY_TIMEOUT_MS", "30000");
        let heard = claude.ask("sim: say found").await;
        assert_eq!(heard.text(), "found");
        stage.judge();
        let exchanges = stage.exchanges();
        let asked = exchanges.iter().find(|exchange| exchange.request.path == "/v1/models?limit=1000");
        let answer = asked.and_then(|exchange| exchange.answer.as_ref()).expect("the models are asked for");
        assert_eq!(answer.status, 200);
        let kept = std::fs::read_to_string(heard.home.path().join("claude/cache/gateway-models.json"));
        let kept = kept.expect("what was discovered is kept");
        let page: Value = serde_json::from_slice(&answer.body).expect("a list is JSON");
        let models = page["data"].as_array().expect("a list has rows");
        assert!(models.len() >= 8);
        for model in models {
            assert!(kept.contains(model["id"].as_str().expect("a model has an id")), "{model} in {kept}");
        }
    }
}
