//! The relay ends and another one begins: what was learned is known again, and a file that cannot be used stops nobody.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Request;
use relay_core::{Time, Unready};
use relay_testkit::story::{BEGIN, Manner, Told, ask, post};
use relay_testkit::{Log, Reply, Story, replies, story};
use tempfile::TempDir;
use tokio::time::Instant;

/// A folder of its own, and a file in it that is not there yet.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("cc-relay/state.db");
    (folder, file)
}

/// A relay with so many keys, that far after the beginning.
fn relay(file: &Path, after: Duration, keys: usize, script: impl IntoIterator<Item = Reply>) -> Story {
    story().provider_with("a", keys, script).remembering(file).at(BEGIN + after)
}

/// It ends as it does when it is told to.
async fn end(relay: Told) {
    assert!(relay.handle.drain(Duration::from_secs(30)).await);
    relay.handle.keep().await;
}

/// What a crash would leave of a file, in a folder of its own.
fn left_by_a_crash(file: &Path) -> (TempDir, PathBuf) {
    let (folder, copy) = place();
    fs::create_dir(folder.path().join("cc-relay")).expect("it is new");
    for end in ["", "-wal"] {
        let name = |path: &Path| format!("{}{end}", path.display());
        fs::copy(name(file), name(&copy)).expect("it is there while the relay runs");
    }
    (folder, copy)
}

fn hellos(count: usize) -> impl Iterator<Item = Reply> {
    (0..count).map(|_| replies::message("hello"))
}

fn of_session(session: &str) -> Request<bytes::Bytes> {
    let mut request = ask("hi", Manner::Whole);
    let name = session.parse().expect("it is visible");
    request.headers_mut().insert("x-claude-code-session-id", name);
    request
}

const SECOND: Duration = Duration::from_secs(1);

/// Until when the first key rests.
fn rests(relay: &Told) -> Option<Time> {
    match relay.report().providers[0].keys[0].held.as_slice() {
        [(Some(_), Unready::Cooling(until))] => Some(*until),
        [] => None,
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_rests_goes_on_resting_for_what_is_left_of_it() {
    let (_folder, file) = place();
    let script = [replies::spent("120")].into_iter().chain(hellos(1));
    let first = relay(&file, Duration::ZERO, 2, script).start().await;
    assert_eq!(first.ask_whole("hi").await.status, 200);
    end(first).await;

    let second = relay(&file, 50 * SECOND, 2, hellos(5)).start().await;
    assert_eq!(rests(&second), Some(BEGIN + 120 * SECOND));
    for _ in 0..3 {
        assert_eq!(second.ask_whole("hi").await.status, 200);
    }
    assert_eq!(second.keys("a"), ["sk-a-2"; 3]);
    tokio::time::advance(70 * SECOND).await;
    for _ in 0..2 {
        assert_eq!(second.ask_whole("hi").await.status, 200);
    }
    assert_eq!(second.keys("a")[3..], ["sk-a-1", "sk-a-2"]);
    end(second).await;

    // What ended while no relay ran has ended.
    let third = relay(&file, 150 * SECOND, 2, hellos(1)).start().await;
    assert_eq!(rests(&third), None);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_an_answer_told_of_is_kept_from_the_first_call_on() {
    let (_folder, file) = place();
    let headers = [
        ("anthropic-organization-id", "org-one"),
        ("anthropic-ratelimit-requests-limit", "60"),
        ("anthropic-ratelimit-requests-remaining", "1"),
    ];
    let told = replies::json(200, &headers, &replies::message_body("hello"));
    let first = relay(&file, Duration::ZERO, 1, [told]).start().await;
    assert_eq!(first.ask_whole("hi").await.status, 200);
    end(first).await;

    // One was left, and one has come back.
    let second = relay(&file, SECOND, 1, hellos(4)).start().await;
    assert_eq!(second.report().providers[0].keys[0].organization.as_deref(), Some("org-one"));
    let (began, mut moments) = (Instant::now(), Vec::new());
    for _ in 0..4 {
        assert_eq!(second.ask_whole("hi").await.status, 200);
        moments.push(began.elapsed().as_millis() / 100);
    }
    assert_eq!(moments, [0, 0, 10, 20]);
    end(second).await;

    // A minute later the bucket is full again, as far as one is taken to hold.
    let third = relay(&file, 63 * SECOND, 1, hellos(7)).start().await;
    let (began, mut moments) = (Instant::now(), Vec::new());
    for _ in 0..7 {
        assert_eq!(third.ask_whole("hi").await.status, 200);
        moments.push(began.elapsed().as_millis() / 100);
    }
    assert_eq!(moments, [0, 0, 0, 0, 0, 0, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stays_with_its_key() {
    let (_folder, file) = place();
    let first = relay(&file, Duration::ZERO, 3, hellos(3)).start().await;
    for session in ["one", "two", "three"] {
        assert_eq!(first.send(of_session(session)).await.status, 200);
    }
    assert_eq!(first.keys("a"), ["sk-a-1", "sk-a-2", "sk-a-3"]);
    end(first).await;

    let second = relay(&file, 60 * SECOND, 3, hellos(4)).start().await;
    for session in ["three", "one", "two", "three"] {
        assert_eq!(second.send(of_session(session)).await.status, 200);
    }
    assert_eq!(second.keys("a"), ["sk-a-3", "sk-a-1", "sk-a-2", "sk-a-3"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_killed_forgets_what_he_learned_in_the_last_ten_seconds() {
    let (_folder, file) = place();
    let script = ["300", "400"].map(|rest| [replies::spent(rest), replies::message("hello")]);
    let first = relay(&file, Duration::ZERO, 3, script.into_iter().flatten()).start().await;
    assert_eq!(first.ask_whole("hi").await.status, 200);
    tokio::time::sleep(10 * SECOND + SECOND / 2).await;
    assert_eq!(first.ask_whole("hi").await.status, 200);
    assert_eq!(first.keys("a"), ["sk-a-1", "sk-a-2", "sk-a-2", "sk-a-3"]);
    let (_left, left) = left_by_a_crash(&file);

    let second = relay(&left, 20 * SECOND, 3, hellos(2)).start().await;
    assert_eq!(rests(&second), Some(BEGIN + 300 * SECOND));
    for _ in 0..2 {
        assert_eq!(second.ask_whole("hi").await.status, 200);
    }
    assert_eq!(second.keys("a"), ["sk-a-2", "sk-a-3"], "that the second one rests was not written yet");
    end(first).await;
}

/// `cc-relay reset`, and a crash within ten seconds: the key rested again.
/// A file that was removed while the relay ran was never there again.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_removed_while_the_relay_runs_is_made_anew_with_all_that_is_known() {
    let (log, (_folder, file)) = (Log::listen(), place());
    let script = [replies::spent("120")].into_iter().chain(hellos(1));
    let first = relay(&file, Duration::ZERO, 2, script).start().await;
    assert_eq!(first.ask_whole("hi").await.status, 200);
    tokio::time::sleep(11 * SECOND).await;
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", file.display()));
    }
    assert!(!file.exists());
    tokio::time::sleep(11 * SECOND).await;
    end(first).await;
    assert_eq!(log.count("it is made anew"), 1);
    let second = relay(&file, 30 * SECOND, 2, hellos(1)).start().await;
    assert_eq!(rests(&second), Some(BEGIN + 120 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_forgave_is_forgiven_also_if_the_relay_is_killed_a_moment_later() {
    let (_folder, file) = place();
    let first = relay(&file, Duration::ZERO, 1, [replies::spent("300")]).start().await;
    assert_eq!(first.ask_whole("hi").await.status, 429);
    tokio::time::sleep(12 * SECOND).await;
    assert_eq!(first.send(post("/v1/providers/a/reset", "")).await.status, 200);
    tokio::time::sleep(SECOND).await;
    let (_left, left) = left_by_a_crash(&file);
    let second = relay(&left, 20 * SECOND, 1, hellos(1)).start().await;
    assert_eq!(rests(&second), None);
    assert_eq!(second.ask_whole("hi").await.status, 200);
    end(first).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_it_is_time_and_nothing_that_is_not_new() {
    let (_folder, file) = place();
    let relay = relay(&file, Duration::ZERO, 1, hellos(2)).start().await;
    let journal = || fs::read(format!("{}-wal", file.display())).expect("it is there while the relay runs");
    let before = journal();
    assert_eq!(relay.send(of_session("one")).await.status, 200);
    tokio::time::sleep(9 * SECOND).await;
    assert!(journal() == before);
    tokio::time::sleep(2 * SECOND).await;
    let written = journal();
    assert!(written != before);
    tokio::time::sleep(60 * SECOND).await;
    assert!(journal() == written, "nothing has happened");
    assert_eq!(relay.send(of_session("two")).await.status, 200);
    tokio::time::sleep(11 * SECOND).await;
    assert!(journal() != written);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_used_is_said_and_left_and_the_relay_serves_without_it() {
    let log = Log::listen();
    let (folder, file) = place();
    fs::create_dir(folder.path().join("cc-relay")).unwrap();
    for (bytes, says, hint) in [
        (&b"mine"[..], "is not a state file of this program", "let `state.path` name another file"),
        (&later(), "was written by a later version", "run that version, or move the file away"),
        (&damaged(), "is damaged", "move the file away to begin anew"),
    ] {
        fs::write(&file, bytes).unwrap();
        let relay = relay(&file, Duration::ZERO, 1, hellos(1)).start().await;
        let lines = log.lines_with("starting without what was learned before");
        let line = lines.last().unwrap();
        let path = file.display().to_string();
        assert!(
            line.contains("WRN") && line.contains(says) && line.contains(hint) && line.contains(&path),
            "{line}"
        );
        assert_eq!(relay.ask_whole("hi").await.status, 200);
        tokio::time::sleep(11 * SECOND).await;
        end(relay).await;
        assert!(fs::read(&file).unwrap() == bytes, "{says}: it was touched");
        assert_eq!(fs::read_dir(folder.path().join("cc-relay")).unwrap().count(), 1);
    }
    assert_eq!(log.count("WRN"), 3, "each is said once");
}

/// A file of ours with this change.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (_folder, file) = place();
    drop(relay_ledger::Ledger::open(&file).expect("it is new"));
    let mut bytes = fs::read(&file).expect("it was made");
    change(&mut bytes);
    bytes
}

fn later() -> Vec<u8> {
    changed(|bytes| bytes[63] = 9)
}

fn damaged() -> Vec<u8> {
    changed(|bytes| bytes.truncate(8_192))
}

#[tokio::test(start_paused = true)]
async fn a_place_that_cannot_be_written_is_said_once() {
    let log = Log::listen();
    let (folder, _) = place();
    let file = folder.path().join("a file/state.db");
    fs::write(folder.path().join("a file"), "").unwrap();
    let relay = relay(&file, Duration::ZERO, 1, hellos(1)).start().await;
    assert_eq!(relay.ask_whole("hi").await.status, 200);
    tokio::time::sleep(60 * SECOND).await;
    end(relay).await;
    let lines = log.lines_with("WRN");
    assert!(lines.len() == 1 && lines[0].contains("a file` is no folder, so there can be no"), "{lines:?}");
    assert!(lines[0].contains("set `state.enabled: false`"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn of_two_relays_with_one_file_the_second_goes_without_until_the_first_has_ended() {
    let log = Log::listen();
    let (_folder, file) = place();
    let first = relay(&file, Duration::ZERO, 2, hellos(1)).start().await;
    let script = [replies::spent("300")].into_iter().chain(hellos(1));
    let second = relay(&file, Duration::ZERO, 2, script).start().await;
    let line = log.lines_with("another relay uses").concat();
    assert!(line.contains("WRN") && line.contains("give each relay a `state.path` of its own"), "{line}");
    assert_eq!(first.send(of_session("one")).await.status, 200);
    assert_eq!(second.ask_whole("hi").await.status, 200);
    tokio::time::sleep(15 * SECOND).await;
    assert_eq!(log.count("the file is free now"), 0);
    end(first).await;
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(log.count("the file is free now"), 1);
    // It is written from the next time on.
    tokio::time::sleep(10 * SECOND).await;
    let (_left, left) = left_by_a_crash(&file);
    end(second).await;
    for file in [&left, &file] {
        let third = relay(file, 40 * SECOND, 2, hellos(1)).start().await;
        assert_eq!(rests(&third), Some(BEGIN + 300 * SECOND));
        assert_eq!(third.send(of_session("one")).await.status, 200);
        end(third).await;
    }
    assert_eq!(log.count("WRN"), 1 + 1, "{:?}", log.lines_with("WRN"));
}

/// The second one wrote what it knew, which was nothing, over what the first had learned.
#[tokio::test(start_paused = true)]
async fn whoever_takes_a_file_over_knows_what_the_other_has_learned_and_keeps_it() {
    let (_folder, file) = place();
    let script = [replies::spent("300")].into_iter().chain(hellos(1));
    let first = relay(&file, Duration::ZERO, 2, script).start().await;
    let second = relay(&file, Duration::ZERO, 2, hellos(1)).start().await;
    assert_eq!(first.ask_whole("hi").await.status, 200);
    end(first).await;
    assert_eq!(rests(&second), None);
    tokio::time::sleep(15 * SECOND).await;
    assert_eq!(rests(&second), Some(BEGIN + 300 * SECOND));
    tokio::time::sleep(10 * SECOND).await;
    end(second).await;
    let third = relay(&file, 40 * SECOND, 2, hellos(1)).start().await;
    assert_eq!(rests(&third), Some(BEGIN + 300 * SECOND));
    end(third).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_file_nothing_is_kept_and_nothing_is_said() {
    let log = Log::listen();
    let (folder, _) = place();
    let relay = story().provider("a", hellos(1)).start().await;
    assert_eq!(relay.ask_whole("hi").await.status, 200);
    tokio::time::sleep(11 * SECOND).await;
    end(relay).await;
    assert_eq!(log.count("state") + log.count("WRN"), 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_relay_says_at_its_start_what_it_knows() {
    let log = Log::listen();
    let (_folder, file) = place();
    let first = relay(&file, Duration::ZERO, 2, hellos(1)).start().await;
    assert!(log.lines_with("state loaded").concat().contains("keys=0 models=0 conversations=0"));
    assert_eq!(first.send(of_session("one")).await.status, 200);
    end(first).await;
    let second = relay(&file, SECOND, 2, hellos(1)).start().await;
    let line = log.lines_with("state loaded").pop().unwrap();
    assert!(line.contains("INF") && line.contains("keys=2 models=1 conversations=1"), "{line}");
    assert!(line.contains(&file.display().to_string()), "{line}");
    end(second).await;
}
