//! Failures of the provider: overload, dead keys, streams that break off or go wrong.

use relay_sim::{Answers, Break, Fault, Kind, Lasting, Script};

use crate::claude::Claude;
use crate::sdk::{Sdk, for_each_sdk};
use crate::stage::{KEYS, ROADS, Road, Stage};
use crate::transcript::End;

for_each_sdk! {
    an_overloaded_provider_is_asked_again,
    a_dead_key_is_not_seen,
    when_all_keys_are_dead_nobody_is_told_that_theirs_is,
    a_stream_that_is_cut_looks_cut,
    an_error_in_a_stream_stays_an_error,
    an_error_as_the_first_event_is_not_seen,
}

const HELLO: &[&str] = &["converse", "--prompt", "sim: say hello"];
const HELLO_STREAMED: &[&str] = &["converse", "--streamed", "--prompt", "sim: say hello"];

/// A stream of some fifty events.
const LONG: &str = "sim: tokens 400";
const LONG_STREAMED: &[&str] = &["converse", "--streamed", "--prompt", LONG];

/// Events that come before a stream goes wrong: enough for some text, also after a thought.
const SOME: usize = 12;

fn overloaded_twice() -> Script {
    Script::new(Fault::overloaded()).lasting(Lasting::Times(2))
}

/// Every way in which a stream can break off.
fn cuts() -> [Script; 3] {
    [Break::Reset, Break::Close, Break::End]
        .map(|how| Script::new(Fault::Break { after: SOME, how }).for_answers(Answers::Streamed))
}

/// Does this cut look like an end, to somebody who does not read the events?
fn is_clean_end(script: &Script) -> bool {
    script.fault == Fault::Break { after: SOME, how: Break::End }
}

fn error_after(events: usize) -> Script {
    Script::new(Fault::error_event(events, Kind::Overloaded, "Overloaded")).for_answers(Answers::Streamed)
}

async fn an_overloaded_provider_is_asked_again(sdk: Sdk) {
    let direct = Stage::open(Road::Direct).await;
    direct.script(overloaded_twice());
    assert_eq!(sdk.play(&direct, &[HELLO, &["--retries", "2"]].concat()).await.text(), "hello");
    assert_eq!(direct.statuses(), [529, 529, 200], "without the relay it comes back by itself");

    for arguments in [HELLO, HELLO_STREAMED] {
        let stage = Stage::open(Road::Relayed).await;
        stage.script(overloaded_twice());
        assert_eq!(sdk.play(&stage, arguments).await.text(), "hello");
        stage.judge();
        assert_eq!((stage.statuses(), stage.statuses_upstream()), (vec![200], vec![529, 529, 200]));
    }
}

async fn a_dead_key_is_not_seen(sdk: Sdk) {
    let direct = Stage::open(Road::Direct).await;
    direct.script(Script::new(Fault::dead_key()));
    assert_eq!(sdk.play(&direct, HELLO).await.error()["status"], 401);

    let stage = Stage::open(Road::Relayed).await;
    stage.script(Script::new(Fault::dead_key()));
    let outcomes = sdk.play_repeatedly(&stage, 1 + KEYS, HELLO_STREAMED).await;
    assert!(outcomes.iter().all(|outcome| outcome.text() == "hello"));
    stage.judge();
    assert_eq!(stage.statuses(), [200; 1 + KEYS]);
    let (first, rest) = (stage.statuses_upstream()[0], &stage.statuses_upstream()[1..]);
    assert_eq!((first, rest), (401, &[200; 1 + KEYS][..]));
    let seen = stage.seen();
    assert!(
        seen[1..].iter().all(|record| record.key != seen[0].key),
        "a dead key is not asked again at once"
    );
}

async fn when_all_keys_are_dead_nobody_is_told_that_theirs_is(sdk: Sdk) {
    let stage = Stage::open(Road::Relayed).await;
    stage.script(Script::new(Fault::dead_key()).lasting(Lasting::Ever));
    let outcome = sdk.play(&stage, &[HELLO, &["--retries", "2"]].concat()).await;
    stage.judge();
    let error = outcome.error();
    assert_eq!((&error["status"], &error["should_retry"]), (&503.into(), &"false".into()), "{error}");
    assert_eq!(stage.statuses(), [503], "trying again cannot help, and the client is told so");
    assert_eq!(stage.seen().len(), KEYS, "every key was tried once");
}

/// What came of it is thrown away by nobody but the client, who must see that it broke; and a reply
/// that has begun is never begun again.
async fn a_stream_that_is_cut_looks_cut(sdk: Sdk) {
    for road in ROADS {
        let stage = Stage::open(road).await;
        for script in cuts() {
            stage.script(script);
        }
        let outcomes = sdk.play_repeatedly(&stage, cuts().len(), LONG_STREAMED).await;
        stage.judge();
        assert_eq!((stage.statuses(), stage.statuses_upstream()), (vec![200; 3], vec![200; 3]));
        for ((outcome, exchange), script) in outcomes.iter().zip(stage.exchanges()).zip(cuts()) {
            let answer = exchange.answer.expect("it had begun");
            assert!(String::from_utf8_lossy(&answer.body).contains("content_block_delta"));
            // What it makes of a whole answer that is not a whole message is each SDK's own affair.
            if road == Road::Direct && is_clean_end(&script) {
                assert_eq!(answer.end, End::Whole);
            } else {
                assert_eq!(answer.end, End::Cut, "{:?}", script.fault);
                outcome.error();
            }
        }
    }
}

async fn an_error_in_a_stream_stays_an_error(sdk: Sdk) {
    let mut outcomes = Vec::new();
    for road in ROADS {
        let stage = Stage::open(road).await;
        stage.script(error_after(SOME));
        outcomes.push(sdk.play(&stage, LONG_STREAMED).await);
        stage.judge();
        assert_eq!(stage.statuses(), [200]);
        let answer = stage.exchanges()[0].answer.clone().expect("it had begun");
        assert_eq!(answer.end, End::Whole, "the provider said all that it wanted to say");
        assert!(String::from_utf8_lossy(&answer.body).contains("event: error\n"));
    }
    assert_eq!(outcomes[1].error()["body"]["error"]["type"], "overloaded_error");
    assert_eq!(outcomes[0], outcomes[1]);
}

async fn an_error_as_the_first_event_is_not_seen(sdk: Sdk) {
    let stage = Stage::open(Road::Relayed).await;
    stage.script(error_after(0));
    assert_eq!(sdk.play(&stage, HELLO_STREAMED).await.text(), "hello");
    stage.judge();
    assert_eq!((stage.statuses(), stage.statuses_upstream()), (vec![200], vec![200, 200]));
}

/// Three 529 in a row end a session, so two of them are the most that may be left to the client.
#[tokio::test(flavor = "multi_thread")]
async fn claude_sees_nothing_of_an_overloaded_provider() {
    let direct = Stage::open(Road::Direct).await;
    direct.script(overloaded_twice());
    assert_eq!(Claude::on(&direct).ask("sim: say hello").await.text(), "hello");
    assert_eq!(direct.statuses(), [529, 529, 200], "without the relay it comes back by itself");

    let stage = Stage::open(Road::Relayed).await;
    stage.script(overloaded_twice());
    assert_eq!(Claude::on(&stage).ask("sim: say hello").await.text(), "hello");
    stage.judge();
    assert_eq!((stage.statuses(), stage.statuses_upstream()), (vec![200], vec![529, 529, 200]));
}

/// Claude Code hangs in retries for minutes on a 401.
#[tokio::test(flavor = "multi_thread")]
async fn claude_never_sees_that_a_key_is_dead() {
    let stage = Stage::open(Road::Relayed).await;
    stage.script(Script::new(Fault::dead_key()));
    let prompt = r#"sim: tool Bash {"command":"echo marmalade"}"#;
    assert_eq!(Claude::on(&stage).ask(prompt).await.text(), "The tool `Bash` returned: marmalade");
    stage.judge();
    assert_eq!((stage.statuses(), stage.statuses_upstream()), (vec![200, 200], vec![401, 200, 200]));
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_ends_at_once_when_all_keys_are_dead() {
    let stage = Stage::open(Road::Relayed).await;
    stage.script(Script::new(Fault::dead_key()).lasting(Lasting::Ever));
    let error = Claude::on(&stage).ask("sim: say hello").await.error();
    assert!(error.contains("503"), "{error}");
    stage.judge();
    assert_eq!(stage.statuses(), [503], "it does not come back");
}

/// A stream that breaks off is asked for again as a stream, whatever the provider did to break it.
#[tokio::test(flavor = "multi_thread")]
async fn claude_asks_again_for_a_stream_that_was_cut() {
    for road in ROADS {
        for script in cuts() {
            let stage = Stage::open(road).await;
            stage.script(script.clone());
            assert!(Claude::on(&stage).ask(LONG).await.text().len() > 1000);
            stage.judge();
            let exchanges = stage.exchanges();
            assert_eq!(stage.statuses(), [200, 200], "{:?}", script.fault);
            assert!(exchanges.iter().all(|exchange| exchange.request.streams()), "{:?}", script.fault);
            let ends: Vec<_> =
                exchanges.iter().filter_map(|exchange| Some(exchange.answer.as_ref()?.end)).collect();
            let unnoticed = road == Road::Direct && is_clean_end(&script);
            let first = if unnoticed { End::Whole } else { End::Cut };
            assert_eq!(ends, [first, End::Whole], "{:?}", script.fault);
        }
    }
}

/// An error in the middle of a text is another thing than a cut: the answer is asked for whole, at once.
#[tokio::test(flavor = "multi_thread")]
async fn claude_asks_for_a_whole_answer_after_an_error_in_a_text() {
    for road in ROADS {
        let stage = Stage::open(road).await;
        stage.script(error_after(SOME));
        let claude = Claude::on(&stage).env("ANTHROPIC_MODEL", "claude-sonnet-5");
        let heard = claude.env("CLAUDE_CODE_DISABLE_THINKING", "1").ask(LONG).await;
        assert!(heard.text().len() > 1000);
        stage.judge();
        assert_eq!((stage.statuses(), streamed(&stage)), (vec![200, 200], vec![true, false]));
    }
}

/// Once a thought is finished, it asks for a stream again, and as soon.
#[tokio::test(flavor = "multi_thread")]
async fn claude_asks_for_a_stream_again_after_an_error_behind_a_thought() {
    for road in ROADS {
        let stage = Stage::open(road).await;
        stage.script(error_after(SOME));
        assert!(Claude::on(&stage).ask(LONG).await.text().len() > 1000);
        stage.judge();
        assert_eq!((stage.statuses(), streamed(&stage)), (vec![200, 200], vec![true, true]));
    }
}

/// An event that is not JSON arrives as it is: the client complains of it, and asks for a whole answer.
#[tokio::test(flavor = "multi_thread")]
async fn claude_asks_for_a_whole_answer_after_an_event_that_is_not_json() {
    for road in ROADS {
        let stage = Stage::open(road).await;
        stage.script(Script::new(Fault::Break { after: SOME, how: Break::Garbage }));
        let claude = Claude::on(&stage).env("ANTHROPIC_MODEL", "claude-sonnet-5");
        let heard = claude.env("CLAUDE_CODE_DISABLE_THINKING", "1").ask(LONG).await;
        assert!(heard.text().len() > 1000);
        assert!(heard.printed.stderr.contains("Could not parse message into JSON"), "{:?}", heard.printed);
        stage.judge();
        assert_eq!((stage.statuses(), streamed(&stage)), (vec![200, 200], vec![true, false]));
    }
}

/// Which requests asked for a stream.
fn streamed(stage: &Stage) -> Vec<bool> {
    stage.exchanges().iter().map(|exchange| exchange.request.streams()).collect()
}
