//! Conversations in which nothing goes wrong: plain and streamed, with tools, several at once, with
//! thinking, with subagents. Through the relay they are what they are without it.

use std::collections::BTreeSet;
use std::time::Duration;

use relay_sim::{Pace, Settings};
use serde_json::Value;

use crate::claude::Claude;
use crate::sdk::{Outcome, Sdk, for_each_sdk};
use crate::stage::{ROADS, Road, Stage};
use crate::transcript::{Answer, End, Exchange};

for_each_sdk! {
    a_plain_message_arrives_whole,
    a_stream_arrives_whole_and_event_for_event,
    a_tool_is_called_and_its_result_goes_back,
    three_tools_at_once_are_answered_in_one_message_and_in_order,
    thinking_goes_back_as_it_came,
}

const TOOL: &str = r#"sim: tool lookup {"word":"marmalade"}"#;
const TOOLS: &str =
    r#"sim: tools [["lookup",{"word":"one"}],["lookup",{"word":"two"}],["lookup",{"word":"three"}]]"#;

/// What came of a scenario, and what was asked for it.
type Played = (Outcome, Vec<Exchange>);

/// Plays a scenario: the provider sees one request for each that the client sent, and serves them all.
async fn play_on(road: Road, sdk: Sdk, arguments: &[&str]) -> Played {
    let stage = Stage::open(road).await;
    let outcome = sdk.play(&stage, arguments).await;
    stage.judge();
    assert_eq!(stage.seen().len(), stage.exchanges().len());
    assert!(stage.statuses().iter().all(|status| *status == 200), "{:?}", stage.statuses());
    (outcome, stage.exchanges())
}

/// Plays a scenario on both roads: the client must not be able to tell them apart.
async fn play(sdk: Sdk, arguments: &[&str]) -> Played {
    let (outcome, direct) = play_on(Road::Direct, sdk, arguments).await;
    let relayed = play_on(Road::Relayed, sdk, arguments).await;
    assert_eq!(outcome, relayed.0);
    assert_eq!(direct.len(), relayed.1.len());
    for (direct, relayed) in direct.iter().zip(&relayed.1) {
        compare(answer(direct), answer(relayed));
    }
    relayed
}

/// Through the relay an answer has the same bytes, and all its headers, some of another organization.
fn compare(direct: &Answer, relayed: &Answer) {
    assert_eq!(String::from_utf8_lossy(&direct.body), String::from_utf8_lossy(&relayed.body));
    assert_eq!((direct.end, relayed.end), (End::Whole, End::Whole));
    assert_eq!(direct.headers.get("content-type"), relayed.headers.get("content-type"));
    for name in ["request-id", "anthropic-organization-id"] {
        assert!(direct.headers.get(name).is_some(), "the provider sends `{name}`");
    }
    let framing = ["content-length", "transfer-encoding", "connection"];
    for (name, _) in direct.headers.0.iter().filter(|(name, _)| !framing.contains(&name.as_str())) {
        assert!(relayed.headers.get(name).is_some(), "`{name}` is lost: {:?}", relayed.headers);
    }
}

fn answer(exchange: &Exchange) -> &Answer {
    exchange.answer.as_ref().expect("every request was answered")
}

async fn a_plain_message_arrives_whole(sdk: Sdk) {
    let (outcome, exchanges) = play(sdk, &["converse", "--prompt", "sim: say good morning"]).await;
    assert_eq!(outcome.text(), "good morning");
    assert_eq!(exchanges.len(), 1);
    assert!(!exchanges[0].request.streams());
}

async fn a_stream_arrives_whole_and_event_for_event(sdk: Sdk) {
    let (outcome, exchanges) = play(sdk, &["converse", "--streamed", "--prompt", "sim: tokens 400"]).await;
    assert!(exchanges[0].request.streams());
    let events = outcome.value()["events"].as_array().expect("events are listed");
    assert_eq!((&events[0], &events[events.len() - 1]), (&"message_start".into(), &"message_stop".into()));
    let deltas = events.iter().filter(|event| *event == "content_block_delta").count();
    assert_eq!(deltas, 50, "eight tokens in an event");
    let usage = &outcome.value()["turns"][0]["usage"];
    assert_eq!(usage["output_tokens"], 400);
}

async fn a_tool_is_called_and_its_result_goes_back(sdk: Sdk) {
    let (outcome, exchanges) = play(sdk, &["converse", "--prompt", TOOL]).await;
    assert_eq!(outcome.text(), "The tool `lookup` returned: the meaning of marmalade");
    assert_eq!(exchanges.len(), 2);
}

async fn three_tools_at_once_are_answered_in_one_message_and_in_order(sdk: Sdk) {
    let (outcome, exchanges) = play(sdk, &["converse", "--streamed", "--prompt", TOOLS]).await;
    assert_eq!(exchanges.len(), 2, "one request follows, with all results");
    let lines: Vec<&str> = outcome.text().lines().collect();
    assert_eq!(
        lines,
        ["one", "two", "three"].map(|word| format!("The tool `lookup` returned: the meaning of {word}"))
    );
}

/// Signatures name the organization, so that no two keys give the same ones.
async fn thinking_goes_back_as_it_came(sdk: Sdk) {
    let prompt = format!("sim: think 60\n{TOOL}");
    let whole: &[&str] = &["converse", "--thinking", "--prompt", &prompt];
    let streamed = [whole, &["--streamed"]].concat();
    for (road, arguments) in [(Road::Direct, whole), (Road::Relayed, whole), (Road::Relayed, &streamed)] {
        let (outcome, exchanges) = play_on(road, sdk, arguments).await;
        assert_eq!(outcome.text(), "The tool `lookup` returned: the meaning of marmalade");
        let thought = &outcome.value()["turns"][0]["content"][0];
        assert_eq!(thought["type"], "thinking");
        assert!(thought["thinking"].as_str().is_some_and(|text| text.len() > 100), "{thought}");
        // The provider refuses a block whose signature does not fit; this one is also the same in all else.
        let sent_back = &exchanges[1].request.json()["messages"][1]["content"][0];
        for field in ["thinking", "signature"] {
            assert_eq!(sent_back[field], thought[field]);
        }
    }
}

/// The requests of a session for messages, in the order of their connections.
fn messages(stage: &Stage) -> Vec<Value> {
    let requests = stage.exchanges().into_iter().map(|exchange| exchange.request);
    requests
        .filter(|request| request.path.starts_with("/v1/messages?"))
        .map(|request| request.json())
        .collect()
}

/// The blocks of one kind in the newest message of that role.
fn blocks(request: &Value, role: &str, kind: &str) -> Vec<Value> {
    let messages = request["messages"].as_array().expect("a request has messages");
    let newest =
        messages.iter().rev().find(|message| message["role"] == role).expect("somebody said something");
    let content = newest["content"].as_array().expect("a message has blocks");
    content.iter().filter(|block| block["type"] == kind).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_asks_once_and_prints_the_answer() {
    for road in ROADS {
        let stage = Stage::open(road).await;
        assert_eq!(Claude::on(&stage).ask("sim: say good morning").await.text(), "good morning");
        stage.judge();
        assert_eq!(stage.statuses(), [200]);
        let record = &stage.seen()[0];
        for name in ["anthropic-beta", "anthropic-version", "x-stainless-lang", "x-app"] {
            assert!(record.header(name).is_some(), "`{name}` arrives");
        }
        assert!(record.header("user-agent").is_some_and(|agent| agent.starts_with("claude-cli/")));
        let body = &messages(&stage)[0];
        let user: Value = serde_json::from_str(body["metadata"]["user_id"].as_str().expect("it is a text"))
            .expect("it is JSON");
        assert_eq!(record.header("x-claude-code-session-id"), user["session_id"].as_str());
        assert_eq!(body["stream"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_may_show_its_credential_as_a_bearer() {
    for road in ROADS {
        let stage = Stage::open(road).await;
        let heard = Claude::with_bearer(&stage).say("sim: say good morning").await;
        assert_eq!(
            (heard.printed.code, heard.printed.stdout.as_str()),
            (Some(0), "good morning\n"),
            "{:?}",
            heard.printed
        );
        stage.judge();
        assert!(stage.exchanges()[0].request.headers.get("x-api-key").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_runs_a_tool_and_sends_its_result_back() {
    for road in ROADS {
        let stage = Stage::open(road).await;
        let prompt = r#"sim: tool Bash {"command":"echo marmalade"}"#;
        assert_eq!(Claude::on(&stage).ask(prompt).await.text(), "The tool `Bash` returned: marmalade");
        stage.judge();
        assert_eq!(stage.statuses(), [200, 200]);
        let results = blocks(&messages(&stage)[1], "user", "tool_result");
        assert_eq!((&results[0]["content"], &results[0]["is_error"]), (&"marmalade".into(), &false.into()));
    }
}

/// Claude Code runs them at once and sends the results in the order in which they came, which is
/// not that of the calls.
#[tokio::test(flavor = "multi_thread")]
async fn claude_answers_three_tools_at_once_in_one_message() {
    for road in ROADS {
        let stage = Stage::open(road).await;
        let prompt = r#"sim: tools [["Bash",{"command":"echo one"}],["Bash",{"command":"echo two"}],["Bash",{"command":"echo three"}]]"#;
        let said = Claude::on(&stage).ask(prompt).await.text();
        let lines: BTreeSet<&str> = said.lines().collect();
        assert_eq!(
            lines,
            BTreeSet::from([
                "The tool `Bash` returned: one",
                "The tool `Bash` returned: three",
                "The tool `Bash` returned: two"
            ])
        );
        stage.judge();
        assert_eq!(stage.statuses(), [200, 200], "one request follows, with all results");
        let follow_up = &messages(&stage)[1];
        let ids = |role, kind, field: &str| -> BTreeSet<String> {
            blocks(follow_up, role, kind).iter().map(|block| block[field].to_string()).collect()
        };
        assert_eq!(ids("assistant", "tool_use", "id").len(), 3);
        assert_eq!(ids("assistant", "tool_use", "id"), ids("user", "tool_result", "tool_use_id"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_sends_thinking_back_as_it_came() {
    for road in ROADS {
        let stage = Stage::open(road).await;
        let prompt = "sim: think 200\nsim: tool Bash {\"command\":\"echo thought\"}";
        assert_eq!(Claude::on(&stage).ask(prompt).await.text(), "The tool `Bash` returned: thought");
        stage.judge();
        // A signature that does not fit is a 400.
        assert_eq!(stage.statuses(), [200, 200]);
        assert!(stage.seen().iter().all(|record| record.thinking_dropped == 0));
        let thought = &blocks(&messages(&stage)[1], "assistant", "thinking")[0];
        let signature = thought["signature"].as_str().expect("a thought is signed");
        let answer = stage.exchanges()[0].answer.clone().expect("it was answered").body;
        assert!(String::from_utf8_lossy(&answer).contains(&format!(r#""signature":"{signature}""#)));
    }
}

/// Three subagents work at once, in the background, while the main conversation goes on.
#[tokio::test(flavor = "multi_thread")]
async fn claude_sends_three_subagents_at_once() {
    for road in ROADS {
        // Slow enough that those who do not wait for each other are seen at the same time.
        let pace = Pace { first_event: Duration::from_secs(1), ..Pace::at_once() };
        let stage = Stage::with(road, Settings { pace, ..Settings::default() }).await;
        let heard = Claude::on(&stage).ask("sim: agent 3 sim: say errand done").await;
        heard.text();
        assert_eq!(heard.json()["subagent_stats"]["completed"], 3, "{}", heard.json());
        stage.judge();
        assert!(stage.statuses().iter().all(|status| *status == 200));
        let seen = stage.seen();
        let agents: Vec<_> = seen
            .iter()
            .filter_map(|record| Some((record.header("x-claude-code-agent-id")?, record)))
            .collect();
        let ids: BTreeSet<&str> = agents.iter().map(|(id, _)| *id).collect();
        assert_eq!((agents.len(), ids.len()), (3, 3), "each has an id of its own");
        let last_begins = agents.iter().map(|(_, record)| record.arrived).max();
        let first_ends = agents.iter().filter_map(|(_, record)| record.ended).min();
        assert!(last_begins < first_ends, "none waits for another");
        let sessions: BTreeSet<_> =
            seen.iter().map(|record| record.header("x-claude-code-session-id")).collect();
        assert_eq!(sessions.len(), 1);
        let last = seen.iter().rev().find(|record| record.header("x-claude-code-agent-id").is_none());
        let told = last.and_then(|record| record.body.clone()).expect("the main conversation goes on");
        assert_eq!(String::from_utf8_lossy(&told).matches("<result>errand done</result>").count(), 3);
    }
}
