//! Limits: what a client sees when keys are used up for a moment, or for long.

use std::collections::BTreeSet;
use std::time::Duration;

use relay_sim::{Fault, Lasting, Script};

use crate::claude::Claude;
use crate::sdk::{Sdk, for_each_sdk};
use crate::stage::{KEYS, Road, Stage};

for_each_sdk! {
    a_429_on_one_key_is_not_seen,
    a_429_on_all_keys_for_a_second_is_waited_out,
    a_429_on_all_keys_for_long_is_said_with_the_true_time,
}

const HELLO: &[&str] = &["converse", "--prompt", "sim: say hello"];
const HELLO_STREAMED: &[&str] = &["converse", "--streamed", "--prompt", "sim: say hello"];

/// A quota that is gone for long, for whoever asks first.
fn spent_once() -> Script {
    Script::new(Fault::rate_limited(Some(600)))
}

/// Every key is refused once, and says that a second will do.
fn brief() -> Script {
    Script::new(Fault::rate_limited(Some(1))).lasting(Lasting::Times(KEYS as u64))
}

/// Every key is refused for ten minutes.
fn long() -> Script {
    Script::new(Fault::rate_limited(Some(600))).lasting(Lasting::Ever)
}

async fn a_429_on_one_key_is_not_seen(sdk: Sdk) {
    let direct = Stage::open(Road::Direct).await;
    direct.script(spent_once());
    let refused = sdk.play(&direct, HELLO).await;
    assert_eq!((&refused.error()["status"], &refused.error()["retry_after"]), (&429.into(), &"600".into()));
    direct.judge();

    let relayed = Stage::open(Road::Relayed).await;
    relayed.script(spent_once());
    let outcomes = sdk.play_repeatedly(&relayed, 1 + KEYS, HELLO_STREAMED).await;
    assert!(outcomes.iter().all(|outcome| outcome.text() == "hello"));
    relayed.judge();
    assert_eq!(relayed.statuses(), [200; 1 + KEYS]);
    let (first, rest) = (relayed.statuses_upstream()[0], &relayed.statuses_upstream()[1..]);
    assert_eq!((first, rest), (429, &[200; 1 + KEYS][..]));
    let seen = relayed.seen();
    assert!(seen[1..].iter().all(|record| record.key != seen[0].key), "a key that is used up is let rest");
}

async fn a_429_on_all_keys_for_a_second_is_waited_out(sdk: Sdk) {
    for arguments in [HELLO, HELLO_STREAMED] {
        let stage = Stage::open(Road::Relayed).await;
        stage.script(brief());
        assert_eq!(sdk.play(&stage, arguments).await.text(), "hello");
        stage.judge();
        assert_eq!(stage.statuses(), [200], "the client sees nothing of it");
        assert_eq!(stage.statuses_upstream().last(), Some(&200));
        assert!(stage.statuses_upstream().contains(&429) && stage.span() >= Duration::from_secs(1));
        let organizations: BTreeSet<_> = stage.seen().into_iter().map(|record| record.organization).collect();
        assert_eq!(organizations.len(), 2, "every organization was asked before anything waited");
    }
}

async fn a_429_on_all_keys_for_long_is_said_with_the_true_time(sdk: Sdk) {
    let direct = Stage::open(Road::Direct).await;
    direct.script(long());
    let expected = sdk.play(&direct, HELLO).await;
    for arguments in [HELLO, HELLO_STREAMED] {
        let stage = Stage::open(Road::Relayed).await;
        stage.script(long());
        let outcome = sdk.play(&stage, arguments).await;
        stage.judge();
        let error = outcome.error();
        assert_eq!((&error["class"], &error["status"]), (&expected.error()["class"], &429.into()), "{error}");
        let seconds: u64 =
            error["retry_after"].as_str().and_then(|text| text.parse().ok()).expect("it says when");
        assert!((540..=600).contains(&seconds), "{seconds}");
        assert_eq!(error["body"]["error"]["type"], "rate_limit_error");
        assert!(error["request_id"].is_string());
        assert_eq!(stage.statuses(), [429], "once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_sees_nothing_of_a_429_on_one_key() {
    let stage = Stage::open(Road::Relayed).await;
    stage.script(spent_once());
    assert_eq!(Claude::on(&stage).ask("sim: say hello").await.text(), "hello");
    stage.judge();
    assert_eq!((stage.statuses(), stage.statuses_upstream()), (vec![200], vec![429, 200]));
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_sees_nothing_of_a_429_on_all_keys_for_a_second() {
    let direct = Stage::open(Road::Direct).await;
    direct.script(Script::new(Fault::rate_limited(Some(1))));
    assert_eq!(Claude::on(&direct).ask("sim: say hello").await.text(), "hello");
    assert_eq!(direct.statuses(), [429, 200], "without the relay it waits by itself");

    let stage = Stage::open(Road::Relayed).await;
    stage.script(brief());
    assert_eq!(Claude::on(&stage).ask("sim: say hello").await.text(), "hello");
    stage.judge();
    assert_eq!(stage.statuses(), [200]);
    assert!(stage.statuses_upstream().contains(&429) && stage.span() >= Duration::from_secs(1));
}

/// A `retry-after` of more than a minute ends a session at once, so it must be true.
#[tokio::test(flavor = "multi_thread")]
async fn claude_is_told_the_true_time_of_a_429_on_all_keys() {
    for road in [Road::Direct, Road::Relayed] {
        let stage = Stage::open(road).await;
        stage.script(long());
        let error = Claude::on(&stage).ask("sim: say hello").await.error();
        assert!(error.starts_with("API Error: Request rejected (429)"), "{error}");
        stage.judge();
        assert_eq!(stage.statuses(), [429], "it does not come back");
        let answer = stage.exchanges()[0].answer.clone().expect("it was answered");
        let seconds: u64 =
            answer.headers.get("retry-after").and_then(|text| text.parse().ok()).expect("it says when");
        assert!((540..=600).contains(&seconds), "{seconds}");
    }
}
