//! What is recorded of calls: sizes and times, and nothing of what is said or by whom.

use relay_testkit::story::{Manner, ask, get, post};
use relay_testkit::{Kept, replies, story};

fn number(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
    rest[..rest.find([',', '}'])?].parse().ok()
}

/// A call of a session, and perhaps of an agent of it.
fn of(session: &str, agent: Option<&str>, manner: Manner) -> http::Request<bytes::Bytes> {
    let mut request = ask("a secret word", manner);
    request.headers_mut().insert("x-claude-code-session-id", session.parse().expect("a header's value"));
    if let Some(agent) = agent {
        request.headers_mut().insert("x-claude-code-agent-id", agent.parse().expect("a header's value"));
    }
    request
}

#[tokio::test(start_paused = true)]
async fn each_message_has_one_line_with_sizes_and_times_and_numbers_for_names() {
    let kept = Kept::default();
    let script = [replies::stream("hello"), replies::message("hello"), replies::stream("hello")];
    let (story, guard) = story().provider("a", script).recorded_into(Box::new(kept.clone()));
    let relay = story.start().await;
    for request in [
        of("session-one", None, Manner::Stream),
        of("session-one", Some("agent-one"), Manner::Whole),
        of("session-two", None, Manner::Stream),
    ] {
        assert_eq!(relay.send(request).await.status, 200);
    }
    // Neither is a message.
    relay.send(get("/v1/models")).await;
    relay.send(post("/v1/messages/count_tokens", "{\"model\":\"claude-opus-5-5\",\"messages\":[]}")).await;
    drop((relay, guard));
    let lines = kept.lines();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines[0].starts_with("{\"cc_relay_recording\":1,\"began_us\":"), "{}", lines[0]);
    for line in &lines[1..] {
        for part in [
            "\"model\":\"claude-opus-5-5\"",
            "\"max_tokens\":128000",
            "\"status\":200,\"end\":\"whole\"",
            "\"input\":15,\"cache_write\":0,\"cache_write_1h\":0,\"cache_read\":10,\"output\":7",
            "\"waited_us\":0",
            "\"sent_us\":",
            "\"answered_us\":",
            "\"first_byte_us\":",
            "\"duration_us\":",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        for hidden in ["secret", "hello", "session-", "agent-", "sk-", "open"] {
            assert!(!line.contains(hidden), "{hidden} is in {line}");
        }
    }
    let sessions = [1, 2, 3].map(|line| number(&lines[line], "session").unwrap());
    assert_eq!(sessions[0], sessions[1]);
    assert_ne!(sessions[0], sessions[2]);
    let agents = [1, 2, 3].map(|line| number(&lines[line], "agent").is_some());
    assert_eq!(agents, [false, true, false]);
    assert!(lines[2].contains("\"stream\":false,\"background\":true"), "{}", lines[2]);
}

/// A call that was refused is wanted all the same.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_is_recorded_as_such() {
    let kept = Kept::default();
    let script = [replies::overloaded(), replies::overloaded(), replies::overloaded()];
    let (story, guard) = story().provider("a", script).recorded_into(Box::new(kept.clone()));
    let relay = story.with("queue: { max_wait_ms: 0 }").start().await;
    assert_eq!(relay.ask("hi").await.status, 529);
    drop((relay, guard));
    let lines = kept.lines();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[1].contains("\"status\":529") && lines[1].contains("\"output\":0"), "{}", lines[1]);
}

/// A disk without room.
struct Full;

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_full_hurts_no_call() {
    let (story, guard) = story().provider("a", [replies::stream("hello")]).recorded_into(Box::new(Full));
    let relay = story.start().await;
    for _ in 0..3 {
        assert_eq!(relay.ask("hi").await.text(), "hello");
    }
    drop((relay, guard));
}
