//! Limits are kept before anybody is refused for them: caps of the operator's own, and what answers tell of others.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use relay_testkit::story::Told;
use relay_testkit::story::{Manner, ask, get, post};
use relay_testkit::{Log, Reply, replies, story};
use tokio::time::Instant;

use crate::all;

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
    let log = Log::listen();
    let script = [told("org-one", "59"), told("org-one", "58"), told("org-two", "3")];
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
    assert_eq!(page["data"][0]["real_limits"], 2);
    assert_eq!(log.count("it is known whose limits the key shares"), 1);
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

/// Claude Code asks a small model beside its conversation. After that the conversation went elsewhere, and wrote its cache
/// once more.
#[tokio::test(start_paused = true)]
async fn what_a_session_asks_of_another_model_is_nothing_to_its_conversation() {
    let relay = story().provider_with("a", 3, (0..9).map(|_| replies::message("hello"))).start().await;
    let mut beside = of("s", None);
    let body = String::from_utf8_lossy(beside.body()).replace("claude-opus-5-5", "claude-haiku-4-5");
    *beside.body_mut() = body.into();
    for _ in 0..2 {
        assert_eq!(relay.send(of("s", None)).await.status, 200);
    }
    for _ in 0..3 {
        assert_eq!(relay.send(beside.clone()).await.status, 200);
        assert_eq!(relay.send(of("s", None)).await.status, 200);
    }
    let (home, other) = ("sk-a-1", "sk-a-2");
    assert_eq!(relay.keys("a"), [home, home, other, home, other, home, other, home]);
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

/// An answer of a workspace of `org-one` that may use 60,000 tokens a minute, and has so many left.
fn told_by(workspace: &str, remaining: &str) -> Reply {
    let headers = [
        ("request-id", "req_up"),
        ("anthropic-organization-id", "org-one"),
        ("anthropic-workspace-id", workspace),
        ("anthropic-ratelimit-tokens-limit", "60000"),
        ("anthropic-ratelimit-tokens-remaining", remaining),
    ];
    replies::json(200, &headers, &replies::message_body("hello"))
}

#[tokio::test(start_paused = true)]
async fn a_workspace_with_a_narrower_limit_holds_back_its_own_keys_and_no_others() {
    let script = ["0", "6000", "6000", "6000"].into_iter().zip(["narrow", "wide", "wide", "narrow"]);
    let script = script.map(|(remaining, workspace)| told_by(workspace, remaining));
    let relay = story().provider_with("a", 2, script).start().await;
    for _ in 0..3 {
        assert_eq!(relay.ask_whole("hi").await.status, 200);
    }
    assert_eq!(relay.keys("a"), ["sk-a-1", "sk-a-2", "sk-a-2"]);
    let page: serde_json::Value =
        serde_json::from_slice(&relay.send(get("/v1/providers")).await.body()).unwrap();
    let keys = page["data"][0]["keys"].as_array().unwrap();
    assert_eq!(keys[0]["organization"], keys[1]["organization"]);
    assert_eq!([&keys[0]["workspace"], &keys[1]["workspace"]], ["narrow", "wide"]);
    let limit = &keys[0]["limits"][0];
    assert_eq!([&limit["holder"], &limit["counted"]], ["workspace", "tokens"]);
    assert_eq!([&limit["per_minute"], &limit["available"]], [60_000, 0]);
    // It is refilled, and takes its turn again.
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(relay.ask_whole("hi").await.status, 200);
    assert_eq!(relay.keys("a")[3], "sk-a-1");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_whose_key_is_refused_goes_on_with_another_of_its_workspace() {
    let script = [
        told_by("one", "60000"),
        told_by("two", "60000"),
        told_by("one", "60000"),
        replies::dead_key(),
        told_by("one", "60000"),
        told_by("one", "60000"),
    ];
    let relay = story().provider_with("a", 3, script).with("routing: { debug: true }").start().await;
    for session in ["s", "t", "u"] {
        assert_eq!(relay.send(of(session, None)).await.status, 200);
    }
    let answer = relay.send(of("s", None)).await;
    assert_eq!(answer.header("x-cc-relay-conversation"), Some("kept 10 cached tokens"));
    assert_eq!(relay.keys("a"), ["sk-a-1", "sk-a-2", "sk-a-3", "sk-a-1", "sk-a-3"]);
    assert_eq!(relay.send(of("s", None)).await.status, 200);
    assert_eq!(relay.keys("a")[5], "sk-a-3");
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_workspace_as_it_is_configured_share_a_cache() {
    let script = (0..2).map(|_| replies::message("hello"));
    let script = script.chain([replies::dead_key(), replies::message("hello")]);
    let keys = ["a", "b", "a"]
        .map(|workspace| format!("{{ key: sk-{workspace}-%, workspace: {workspace}, limit_group: g }}"));
    let keys: Vec<_> =
        keys.iter().zip(1..).map(|(key, place)| key.replace('%', &place.to_string())).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let relay = story().provider_of("a", &keys, script).start().await;
    assert_eq!(relay.send(of("s", None)).await.status, 200);
    assert_eq!(relay.send(of("t", None)).await.status, 200);
    assert_eq!(relay.send(of("s", None)).await.status, 200);
    assert_eq!(relay.keys("a"), ["sk-a-1", "sk-b-2", "sk-a-1", "sk-a-3"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_says_how_long_it_waited_and_why_its_conversation_moved() {
    let limited = |remaining| {
        let headers = [
            ("anthropic-organization-id", "org-one"),
            ("anthropic-ratelimit-requests-limit", "60"),
            ("anthropic-ratelimit-requests-remaining", remaining),
        ];
        replies::json(200, &headers, &replies::message_body("hello"))
    };
    let script = [limited("0"), limited("0"), limited("1")];
    let relay = story().provider_with("a", 1, script).with("routing: { debug: true }").start().await;
    let first = relay.send(of("s", None)).await;
    assert_eq!(first.header("x-cc-relay-queue-wait-ms"), None);
    assert_eq!(first.header("x-cc-relay-conversation"), None);
    assert_eq!(first.header("x-cc-relay-limit-domain"), Some("org-one/claude-opus-5-5"));
    assert_eq!(first.header("x-cc-relay-remaining-requests"), Some("0"));
    // Ten cached tokens are worth a millisecond.
    let second = relay.send(of("s", None)).await;
    assert_eq!(second.header("x-cc-relay-queue-wait-ms"), Some("1000"));
    assert_eq!(second.header("x-cc-relay-conversation"), Some("kept 10 cached tokens"));

    let script = [limited("0"), replies::message("hello"), replies::message("hello")];
    let relay = story().provider_with("a", 2, script).start().await;
    assert_eq!(relay.send(of("s", None)).await.status, 200);
    let moved = relay.send(of("s", None)).await;
    let words = "left 10 cached tokens: they would have cost a wait of 1.0 s";
    assert_eq!(moved.header("x-cc-relay-conversation"), Some(words));
    assert_eq!(moved.header("x-cc-relay-limit-domain"), None);
    assert_eq!(relay.keys("a"), ["sk-a-1", "sk-a-2"]);
}

/// A call with a system prompt that is to be cached.
fn prompted(system: &str) -> Request<Bytes> {
    let body = format!(
        r#"{{"model":"claude-opus-5-5","max_tokens":16,"messages":[],"system":[{{"type":"text","text":"{system}","cache_control":{{"type":"ephemeral"}}}}]}}"#
    );
    let mut request = ask("hi", Manner::Whole);
    request.headers_mut().remove("content-length");
    *request.body_mut() = body.into();
    request
}

#[tokio::test(start_paused = true)]
async fn of_two_calls_that_begin_alike_the_second_waits_until_the_first_has_written_what_they_share() {
    let slow = || replies::after(Duration::from_secs(2), replies::message("hello"));
    let script = [replies::message("hello"), slow(), replies::message("hello"), slow(), slow()];
    let relay = story().provider_with("a", 1, script).start().await;
    // Now it is known that prompts are cached there.
    assert_eq!(relay.send(prompted("other")).await.status, 200);
    let began = Instant::now();
    let timed = async |request| (relay.send(request).await.status, began.elapsed().as_secs());
    let (first, second) = tokio::join!(timed(prompted("same")), timed(prompted("same")));
    assert_eq!([first, second].map(|(status, _)| status), [200, 200]);
    assert_eq!([first.1, second.1], [2, 2]);
    // Now it is warm, and nobody waits.
    let (third, fourth) = tokio::join!(timed(prompted("same")), timed(prompted("same")));
    assert_eq!([third.1, fourth.1], [4, 4]);
}

#[tokio::test(start_paused = true)]
async fn who_names_no_session_stays_where_what_he_begins_with_is_cached() {
    let script = (0..6).map(|_| replies::message("hello"));
    let relay = story().provider_with("a", 2, script).start().await;
    for system in ["one", "two", "one", "two", "one", "two"] {
        assert_eq!(relay.send(prompted(system)).await.status, 200);
    }
    let (one, two) = ("sk-a-1", "sk-a-2");
    assert_eq!(relay.keys("a"), [one, two, one, two, one, two]);
}

/// A call, and when it was answered with what, in tenths of a second after that moment.
async fn timed(relay: &Told, began: Instant) -> (u16, u128) {
    let status = relay.ask_whole("hi").await.status.as_u16();
    (status, began.elapsed().as_millis() / 100)
}

#[tokio::test(start_paused = true)]
async fn the_first_in_the_line_is_not_refused_because_its_turn_comes_later_than_was_foretold() {
    let slow = || replies::after(Duration::from_secs(3), replies::message("hello"));
    let relay = story()
        .provider_of("a", &["{ key: sk-a-1, rpm_limit: 60 }"], (0..12).map(|_| slow()))
        .with("queue: { max_wait_ms: 4000 }")
        .start()
        .await;
    let began = Instant::now();
    let calls = (0..12).map(|_| timed(&relay, began));
    let answers = all(calls).await;
    let served: Vec<_> = answers.iter().filter(|(status, _)| *status == 200).map(|(_, at)| *at).collect();
    // Six go at once, then one a second, and each takes three seconds.
    assert_eq!(served, [30, 30, 30, 30, 30, 30, 40, 50, 60, 70], "{answers:?}");
    assert!(
        answers[10..].iter().all(|answer| *answer == (429, 0)),
        "who came last is told so at once: {answers:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_to_a_line_which_another_has_filled_is_next() {
    let script = (0..12).map(|_| replies::message("hello"));
    let keys = ["{ key: sk-a-1, rpm_limit: 60 }"];
    let clients = "{ name: many, key: key-of-many }, { name: one, key: key-of-one }";
    let yaml = format!("server: {{ listen: \"127.0.0.1:0\", auth: {{ clients: [{clients}] }} }}");
    let relay = story().provider_of("a", &keys, script).with(&yaml).start().await;
    let began = Instant::now();
    let call = async |key: &'static str| {
        let mut request = ask("hi", Manner::Whole);
        request.headers_mut().insert("x-api-key", key.parse().expect("it is visible"));
        (relay.send(request).await.status.as_u16(), began.elapsed().as_millis() / 100)
    };
    let many = all((0..10).map(|_| call("key-of-many")));
    let one = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        call("key-of-one").await
    };
    let (many, one) = tokio::join!(many, one);
    assert_eq!(one, (200, 20), "behind the first who waits, and before the three others");
    let waited: Vec<_> = many.into_iter().skip(6).collect();
    assert_eq!(waited, [(200, 10), (200, 30), (200, 40), (200, 50)]);
}

#[tokio::test(start_paused = true)]
async fn when_some_who_wait_leave_those_behind_them_move_up() {
    let script = (0..12).map(|_| replies::message("hello"));
    let relay = story().provider_of("a", &["{ key: sk-a-1, rpm_limit: 60 }"], script).start().await;
    let began = Instant::now();
    for _ in 0..6 {
        assert_eq!(timed(&relay, began).await, (200, 0));
    }
    let impatient = (0..10).map(|_| tokio::time::timeout(Duration::from_millis(500), timed(&relay, began)));
    let impatient = all(impatient);
    let patient = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        all((0..3).map(|_| timed(&relay, began))).await
    };
    let (left, patient) = tokio::join!(impatient, patient);
    assert!(left.iter().all(Result::is_err));
    assert_eq!(patient, [(200, 10), (200, 20), (200, 30)]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_one_key_goes_with_another_one_that_is_free_sooner() {
    let script = (0..4).map(|_| replies::message("hello"));
    let keys = ["{ key: sk-a-1, rpm_limit: 6 }", "{ key: sk-a-2, rpm_limit: 6 }"];
    let relay = story().provider_of("a", &keys, script).start().await;
    let began = Instant::now();
    for _ in 0..2 {
        assert_eq!(timed(&relay, began).await, (200, 0));
    }
    // The one waits for the first key, another for the second, and leaves; the third came behind the first.
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        tokio::time::timeout(Duration::from_secs(2), timed(&relay, began)).await.is_err()
    };
    let third = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        timed(&relay, began).await
    };
    let (first, second, third) = tokio::join!(timed(&relay, began), second, third);
    assert_eq!((first, second, third), ((200, 100), true, (200, 100)));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_true_while_calls_are_under_way_that_nobody_has_begun_to_answer() {
    let slow = || replies::after(Duration::from_secs(5), replies::message("hello"));
    let relay = story()
        .provider_of("a", &["{ key: sk-a-1, rpm_limit: 60 }"], (0..7).map(|_| slow()))
        .with("queue: { max_wait_ms: 0 }")
        .start()
        .await;
    let began = Instant::now();
    let all = all((0..6).map(|_| timed(&relay, began)));
    let late = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let refused = relay.ask_whole("hi").await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("1")));
        tokio::time::sleep(Duration::from_secs(1)).await;
        timed(&relay, began).await
    };
    let (_, late) = tokio::join!(all, late);
    assert_eq!(late, (200, 61));
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_nothing_is_no_limit() {
    let nothing = [
        ("anthropic-ratelimit-requests-limit", "0"),
        ("anthropic-ratelimit-requests-remaining", "0"),
        ("anthropic-ratelimit-input-tokens-limit", "0"),
    ];
    let script = [replies::json(200, &nothing, &replies::message_body("hello")), replies::message("hello")];
    let relay = story().provider_with("a", 1, script).start().await;
    for _ in 0..2 {
        assert_eq!(relay.ask_whole("hi").await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_refuses_without_a_word_about_limits_rests_and_the_next_one_is_asked() {
    let mut script: Vec<_> = (0..2).map(|_| replies::error(429, "rate_limit_error")).collect();
    script.extend((0..4).map(|_| replies::message("hello")));
    let relay = story().provider_with("a", 3, script).start().await;
    for _ in 0..4 {
        assert_eq!(relay.ask_whole("hi").await.status, 200);
    }
    let (one, two, three) = ("sk-a-1", "sk-a-2", "sk-a-3");
    assert_eq!(relay.keys("a"), [one, two, three, three, three, three]);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_cannot_count_uses_up_no_limit_for_years() {
    let absurd = replies::message_body("hello")
        .replace("\"output_tokens\":7", "\"output_tokens\":18446744073709551615");
    let script = [replies::json(200, &[], &absurd), replies::message("hello")];
    let relay = story()
        .provider_of("a", &["{ key: sk-a-1, otpm_limit: 60000 }"], script)
        .with("queue: { max_wait_ms: 600000 }")
        .start()
        .await;
    for _ in 0..2 {
        assert_eq!(relay.ask_whole("hi").await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn no_key_rests_for_longer_than_a_week() {
    let relay = story().provider("a", [replies::spent("30000000")]).start().await;
    assert_eq!(relay.ask_whole("hi").await.header("retry-after"), Some("604800"));
}

#[tokio::test(start_paused = true)]
async fn models_that_the_configuration_puts_into_one_class_share_a_limit() {
    for (classes, waits) in [("", false), ("routing: { model_classes: { one: both, two: both } }", true)] {
        let relay = story().provider_with("a", 1, [told("org-one", "0"), replies::message("hello")]);
        let relay = relay.with(classes).start().await;
        let ask = |model: &str| {
            let body = format!(
                r#"{{"model":"{model}","max_tokens":1,"messages":[{{"role":"user","content":"hi"}}]}}"#
            );
            post("/v1/messages", body)
        };
        assert_eq!(relay.send(ask("one")).await.status, 200);
        let began = Instant::now();
        assert_eq!(relay.send(ask("two-20260101")).await.status, 200);
        assert_eq!(began.elapsed() >= Duration::from_secs(1), waits, "{classes}: {:?}", began.elapsed());
    }
}
