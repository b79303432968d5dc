//! Keys from files and commands, renewed while the relay runs and requests go on.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use relay_testkit::story::{Manner, ask};
use relay_testkit::{Log, replies};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::client::Http1;
use crate::stage::{ONE_KEY, Stage};
use crate::still::Still;
use crate::upstream::{Act, Gate, Upstream, acts};

/// How often the relay looks at files.
const LOOK: Duration = Duration::from_secs(2);

/// How long it gives one who replaces a file in two steps.
const REPLACING: Duration = Duration::from_millis(250);

/// How soon a command may run again.
const AGAIN: Duration = Duration::from_secs(30);

/// Tokio's timers count whole milliseconds, from a moment of their own.
const TICK: Duration = Duration::from_millis(1);

/// A file with a key in it, or about to be there.
struct KeyFile {
    folder: TempDir,
}

impl KeyFile {
    fn new() -> Self {
        Self { folder: TempDir::new().expect("there is room for files") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).expect("there is room for files");
    }

    fn remove(&self) {
        fs::remove_file(self.path()).expect("it is there");
    }

    /// The key, as a configuration writes it.
    fn yaml(&self) -> String {
        format!("{{ key_file: \"{}\" }}", self.path().display())
    }
}

/// Asks that many times; each time somebody answers. The keys that it was done with.
async fn ask_times(client: &mut Http1, upstream: &Upstream, times: usize) -> Vec<String> {
    let before = upstream.keys().len();
    for _ in 0..times {
        assert_eq!(client.ask(ask("hi", Manner::Whole)).await.status(), 200, "no request notices");
    }
    let mut keys = upstream.keys().split_off(before);
    assert_eq!(keys.len(), times, "each is served at once");
    keys.sort();
    keys.dedup();
    keys
}

#[tokio::test(start_paused = true)]
async fn a_key_file_that_appears_changes_and_goes_is_followed_and_no_request_notices() {
    let log = Log::listen();
    let file = KeyFile::new();
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with_keys(&upstream, "", &format!("{ONE_KEY}, {}", file.yaml())).await;
    stage.handle.keep_fresh(None);
    let mut client = stage.http1().await;
    assert_eq!(ask_times(&mut client, &upstream, 4).await, ["sk-one"]);

    for (times, written, keys) in [
        (1, "sk-file-1\n", ["sk-file-1", "sk-one"]),
        (2, "  sk-file-2 \nand a comment\n", ["sk-file-2", "sk-one"]),
    ] {
        let began = Instant::now();
        file.write(written);
        log.until("key renewed", times).await;
        assert!(began.elapsed() <= LOOK, "{:?}", began.elapsed());
        assert_eq!(ask_times(&mut client, &upstream, 4).await, keys);
    }

    let began = Instant::now();
    file.remove();
    log.until("key given up", 1).await;
    assert!(began.elapsed() <= LOOK + REPLACING, "{:?}", began.elapsed());
    assert_eq!(ask_times(&mut client, &upstream, 4).await, ["sk-one"]);
    assert_eq!(log.count("sk-"), 0, "no line has a key in it");
}

#[tokio::test(start_paused = true)]
async fn a_key_file_that_changes_between_the_start_and_the_first_look_is_followed() {
    let log = Log::listen();
    let file = KeyFile::new();
    file.write("sk-old");
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with_keys(&upstream, "", &file.yaml()).await;
    file.write("sk-new");
    stage.handle.keep_fresh(None);
    tokio::time::timeout(LOOK, log.until("key renewed", 1)).await.unwrap();
    assert_eq!(ask_times(&mut stage.http1().await, &upstream, 2).await, ["sk-new"]);
}

/// As packages, volumes of orchestrators and `cp -p` do it: nothing that a look without care sees is different.
#[tokio::test(start_paused = true)]
async fn a_key_file_is_followed_when_another_of_the_same_length_and_time_takes_its_place() {
    let log = Log::listen();
    let file = KeyFile::new();
    file.write("sk-old");
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with_keys(&upstream, "", &file.yaml()).await;
    stage.handle.keep_fresh(None);
    let mut client = stage.http1().await;
    assert_eq!(ask_times(&mut client, &upstream, 2).await, ["sk-old"]);
    tokio::time::sleep(2 * LOOK).await;

    let time = fs::metadata(file.path()).unwrap().modified().unwrap();
    let beside = file.folder.path().join("beside");
    fs::write(&beside, "sk-new").unwrap();
    fs::File::options().write(true).open(&beside).unwrap().set_modified(time).unwrap();
    fs::rename(&beside, file.path()).unwrap();
    tokio::time::timeout(2 * LOOK, log.until("key renewed", 1)).await.unwrap();
    assert_eq!(ask_times(&mut client, &upstream, 2).await, ["sk-new"]);
}

/// An editor empties a file and then writes it, or removes it and then renames another. Whoever looks in
/// between must not take the only key away.
#[tokio::test(start_paused = true)]
async fn a_key_file_that_is_just_being_replaced_is_not_given_up() {
    let log = Log::listen();
    let file = KeyFile::new();
    file.write("sk-old");
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with_keys(&upstream, "", &file.yaml()).await;
    stage.handle.keep_fresh(None);
    let mut client = stage.http1().await;
    // Until just before a look.
    tokio::time::sleep((2 * LOOK).saturating_sub(TICK)).await;
    file.write("");
    // The look, and what follows at once.
    tokio::time::sleep(REPLACING / 2).await;
    assert_eq!(ask_times(&mut client, &upstream, 2).await, ["sk-old"]);
    file.write("sk-new");
    tokio::time::timeout(LOOK, log.until("key renewed", 1)).await.unwrap();
    assert_eq!(log.count("a key is not there"), 0);
    assert_eq!(ask_times(&mut client, &upstream, 2).await, ["sk-new"]);
}

/// A call may wait for a key, in the queue or while its body comes. What it is then sent with is the key as it
/// is by then.
#[tokio::test(start_paused = true)]
async fn a_call_that_waited_goes_with_the_key_as_it_is_now() {
    let log = Log::listen();
    let file = KeyFile::new();
    file.write("sk-old");
    let upstream = Upstream::scripted(|head| {
        let old = head.contains("x-api-key: sk-old\r\n");
        acts(if old { replies::spent("10") } else { replies::message("hello") })
    })
    .await;
    let stage = Stage::with_keys(&upstream, "", &file.yaml()).await;
    stage.handle.keep_fresh(None);
    let mut client = stage.http1().await;
    let began = Instant::now();
    let (answer, ()) = tokio::join!(client.ask(ask("hi", Manner::Whole)), async {
        upstream.until(|seen| seen.len() == 1).await;
        file.write("sk-new");
        log.until("key renewed", 1).await;
    });
    assert_eq!(answer.status(), 200);
    assert_eq!(upstream.keys(), ["sk-old", "sk-new"]);
    assert!(began.elapsed() < Duration::from_secs(10), "a renewed key is not held to what the old one did");
}

/// The old key is refused at the very moment at which the new one is there: it is the old one's fault.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_renewed_while_the_old_one_is_refused_is_asked_at_once() {
    let log = Log::listen();
    let file = KeyFile::new();
    file.write("sk-old");
    let gate = Gate::closed();
    let upstream = Upstream::scripted({
        let gate = gate.clone();
        move |head| {
            if head.contains("x-api-key: sk-new\r\n") {
                return acts(replies::message("hello"));
            }
            let mut script = vec![Act::Body, Act::Wait(gate.clone())];
            script.extend(acts(replies::dead_key()).split_off(1));
            script
        }
    })
    .await;
    let stage = Stage::with_keys(&upstream, "", &file.yaml()).await;
    stage.handle.keep_fresh(None);
    let mut client = stage.http1().await;
    let (answer, ()) = tokio::join!(client.ask(ask("hi", Manner::Whole)), async {
        upstream.until(|seen| seen.len() == 1).await;
        file.write("sk-new");
        log.until("key renewed", 1).await;
        gate.open();
    });
    assert_eq!(answer.status(), 200);
    assert_eq!(upstream.keys(), ["sk-old", "sk-new"]);
    let label = relay_core::fleet::label(b"sk-new");
    assert_eq!(answer.head.headers["x-cc-relay-key-id"], label, "it says who answered");
    log.until("request finished", 1).await;
    assert_eq!(log.lines_with("request finished").concat().matches(&label).count(), 1, "and so does the log");
    assert_eq!(ask_times(&mut client, &upstream, 2).await, ["sk-new"]);
}

/// A command that prints a new key each time that it runs: `sk-1`, `sk-2` and so on.
fn counting(folder: &TempDir) -> String {
    let runs = folder.path().join("runs");
    format!("{{ key_command: 'echo x >> {0} && echo sk-$(wc -l < {0})' }}", runs.display())
}

#[tokio::test]
async fn a_command_runs_again_when_its_key_is_refused_but_not_within_30_seconds() {
    let mut still = Still::begin();
    let log = Log::listen();
    let folder = TempDir::new().unwrap();
    // The first two keys are refused.
    let upstream = Upstream::scripted(|head| {
        let dead = head.contains("x-api-key: sk-1\r\n") || head.contains("x-api-key: sk-2\r\n");
        acts(if dead { replies::dead_key() } else { replies::message("hello") })
    })
    .await;
    let stage = Stage::with_keys(&upstream, "", &counting(&folder)).await;
    stage.handle.keep_fresh(None);
    let mut client = stage.http1().await;

    for key in 1..=2 {
        let answer = still.within(client.ask(ask("hi", Manner::Whole))).await;
        assert_eq!(answer.status(), 503, "nobody else has a key");
        // Its client comes back when there is one, and not before.
        assert_eq!(answer.head.headers["retry-after"], "30");
        assert!(!answer.head.headers.contains_key("x-should-retry"));
        assert_eq!(upstream.keys().pop().unwrap(), format!("sk-{key}"));
        // Just short of it nothing happens, and then it does without another request.
        tokio::time::advance(AGAIN.saturating_sub(TICK)).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(log.count("key renewed"), key - 1);
        tokio::time::advance(2 * TICK).await;
        still.within(log.until("key renewed", key)).await;
    }
    let answer = still.within(client.ask(ask("hi", Manner::Whole))).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        upstream.keys(),
        ["sk-1", "sk-2", "sk-3"],
        "and no request to a key that was known to be dead"
    );
    assert_eq!(log.count("sk-"), 0, "no line has a key in it");
}

/// A password manager that asks its user takes its time, and the relay does not stand still for it.
#[tokio::test(start_paused = true)]
async fn a_call_that_comes_while_the_first_command_runs_waits_for_its_key_and_another_does_not() {
    let folder = TempDir::new().unwrap();
    let go = folder.path().join("go");
    // It waits for whoever opens the other end.
    assert!(std::process::Command::new("mkfifo").arg(&go).status().unwrap().success());
    let slow = format!("{{ key_command: 'cat {}' }}", go.display());
    let upstream = Upstream::always(replies::message("hello")).await;
    let log = Log::listen();
    // Time runs on while there is nothing else to do: until the commands are not waited for any more.
    let stage = Stage::with_keys(&upstream, "", &slow).await;
    let mut still = Still::go_on();
    assert_eq!(log.count("its command still runs"), 1);
    stage.handle.keep_fresh(None);
    let mut client = stage.http1().await;
    let print = tokio::task::spawn_blocking(move || fs::write(go, "sk-slow\n"));
    let answer = still.within(client.ask(ask("hi", Manner::Whole))).await;
    assert_eq!(answer.status(), 200);
    print.await.unwrap().unwrap();
    assert_eq!(upstream.keys(), ["sk-slow"]);
    drop(still);

    let other = folder.path().join("never");
    assert!(std::process::Command::new("mkfifo").arg(&other).status().unwrap().success());
    let keys = format!("{ONE_KEY}, {{ key_command: 'cat {}' }}", other.display());
    let stage = Stage::with_keys(&upstream, "", &keys).await;
    let mut still = Still::go_on();
    stage.handle.keep_fresh(None);
    let mut client = stage.http1().await;
    assert_eq!(still.within(ask_times(&mut client, &upstream, 2)).await, ["sk-one"]);
}

#[tokio::test(start_paused = true)]
async fn a_first_command_that_never_ends_is_given_up_and_its_call_told_when_to_come_back() {
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with_keys(&upstream, "", "{ key_command: 'sleep 1000' }").await;
    stage.handle.keep_fresh(None);
    let began = Instant::now();
    let answer = stage.http1().await.ask(ask("hi", Manner::Whole)).await;
    assert_eq!(answer.status(), 503);
    assert!(began.elapsed() <= Duration::from_secs(20), "{:?}", began.elapsed());
    let seconds: u64 =
        std::str::from_utf8(answer.head.headers["retry-after"].as_bytes()).unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
}

/// Tokens that live for an hour are an ordinary thing: the call that meets the end of one must not notice it.
#[tokio::test]
async fn a_call_whose_key_has_expired_goes_with_the_one_that_its_command_prints_then() {
    let mut still = Still::begin();
    let folder = TempDir::new().unwrap();
    let upstream = Upstream::scripted(|head| {
        let dead = head.contains("x-api-key: sk-1\r\n");
        acts(if dead { replies::dead_key() } else { replies::message("hello") })
    })
    .await;
    let stage = Stage::with_keys(&upstream, "", &counting(&folder)).await;
    stage.handle.keep_fresh(None);
    tokio::time::advance(AGAIN + TICK).await;
    let (mut one, mut other) = (stage.http1().await, stage.http1().await);
    let both = async { tokio::join!(one.ask(ask("hi", Manner::Whole)), other.ask(ask("hi", Manner::Whole))) };
    let (one, other) = still.within(both).await;
    assert_eq!([one.status(), other.status()], [200, 200]);
    let keys = upstream.keys();
    assert_eq!(keys.iter().filter(|key| *key == "sk-2").count(), 2, "{keys:?}");
    assert!(keys.iter().all(|key| key == "sk-1" || key == "sk-2"), "the command ran once: {keys:?}");
}

#[tokio::test]
async fn a_call_goes_with_the_key_that_was_written_just_before_its_old_one_was_refused() {
    let mut still = Still::begin();
    let log = Log::listen();
    let file = KeyFile::new();
    file.write("sk-old");
    let revoked = Arc::new(AtomicBool::new(false));
    let upstream = Upstream::scripted({
        let revoked = Arc::clone(&revoked);
        move |head| {
            let dead = head.contains("x-api-key: sk-old\r\n") && revoked.load(Ordering::Relaxed);
            acts(if dead { replies::dead_key() } else { replies::message("hello") })
        }
    })
    .await;
    let stage = Stage::with_keys(&upstream, "", &file.yaml()).await;
    stage.handle.keep_fresh(None);
    let mut client = stage.http1().await;
    assert_eq!(still.within(ask_times(&mut client, &upstream, 1)).await, ["sk-old"]);
    // From here on time stands still: no look is due.
    revoked.store(true, Ordering::Relaxed);
    file.write("sk-new");
    assert_eq!(still.within(client.ask(ask("hi", Manner::Whole))).await.status(), 200);
    assert_eq!(log.count("key renewed"), 1);
    file.write("sk-old");
    for keys in [["sk-new"], ["sk-new"]] {
        assert_eq!(
            still.within(ask_times(&mut client, &upstream, 1)).await,
            keys,
            "nobody looks for no reason"
        );
    }
}

/// A key that is dead and stays so is told at once, and nothing is waited for.
#[tokio::test]
async fn a_key_file_that_did_not_change_is_looked_at_once_and_its_key_given_up_until_it_is_probed() {
    let mut still = Still::begin();
    let file = KeyFile::new();
    file.write("sk-dead");
    let upstream = Upstream::always(replies::dead_key()).await;
    let stage = Stage::with_keys(&upstream, "", &file.yaml()).await;
    stage.handle.keep_fresh(None);
    let mut client = stage.http1().await;
    for _ in 0..3 {
        let answer = still.within(client.ask(ask("hi", Manner::Whole))).await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.head.headers["x-should-retry"], "false");
    }
    assert_eq!(upstream.keys(), ["sk-dead"]);
}

/// A command that does this when it first runs, and prints `sk-good` ever after.
fn at_first(folder: &TempDir, first: &str) -> String {
    let once = folder.path().join("once");
    format!(
        "{{ key_command: 'if mkdir {} 2>/dev/null; then {first}; else echo sk-good; fi' }}",
        once.display()
    )
}

#[tokio::test]
async fn a_command_that_fails_at_the_start_runs_again() {
    let mut still = Still::begin();
    let log = Log::listen();
    let folder = TempDir::new().unwrap();
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with_keys(&upstream, "", &at_first(&folder, "exit 3")).await;
    assert_eq!(log.count("a key is not there yet"), 1);
    stage.handle.keep_fresh(None);
    tokio::task::yield_now().await;
    tokio::time::advance(AGAIN + TICK).await;
    still.within(log.until("key renewed", 1)).await;
    let mut client = stage.http1().await;
    assert_eq!(still.within(ask_times(&mut client, &upstream, 1)).await, ["sk-good"]);
}

#[tokio::test]
async fn a_command_that_fails_when_another_is_refused_takes_nothing_away() {
    let mut still = Still::begin();
    let log = Log::listen();
    let folder = TempDir::new().unwrap();
    let once = folder.path().join("fails");
    let fails = format!("{{ key_command: 'mkdir {} && echo sk-fine' }}", once.display());
    let upstream = Upstream::scripted(|head| {
        let dead = head.contains("x-api-key: sk-bad\r\n");
        acts(if dead { replies::dead_key() } else { replies::message("hello") })
    })
    .await;
    let keys = format!("{fails}, {}", at_first(&folder, "echo sk-bad"));
    let stage = Stage::with_keys(&upstream, "", &keys).await;
    stage.handle.keep_fresh(None);
    let mut client = stage.http1().await;
    for _ in 0..2 {
        assert_eq!(still.within(client.ask(ask("hi", Manner::Whole))).await.status(), 200);
    }
    tokio::time::advance(AGAIN + TICK).await;
    still.within(log.until("key renewed", 1)).await;
    assert_eq!(log.count("a key is not there"), 1, "the first command has failed");
    assert_eq!(still.within(ask_times(&mut client, &upstream, 4)).await, ["sk-fine", "sk-good"]);
}

/// A command that hangs holds up nothing: neither the keys in files, nor a drain.
#[tokio::test]
async fn a_command_that_hangs_holds_up_neither_files_nor_the_end() {
    let mut still = Still::begin();
    let log = Log::listen();
    let file = KeyFile::new();
    file.write("sk-old");
    let once = file.folder.path().join("once");
    // It prints a key at the start, and hangs when it runs again.
    let command = format!(
        "{{ key_command: 'if mkdir {0} 2>/dev/null; then echo sk-bad; else touch {0}/hangs && exec sleep 1000; fi' }}",
        once.display()
    );
    let upstream = Upstream::scripted(|head| {
        let dead = head.contains("x-api-key: sk-bad\r\n");
        acts(if dead { replies::dead_key() } else { replies::message("hello") })
    })
    .await;
    let stage = Stage::with_keys(&upstream, "", &format!("{command}, {}", file.yaml())).await;
    stage.handle.keep_fresh(None);
    let mut client = stage.http1().await;
    for _ in 0..2 {
        assert_eq!(still.within(client.ask(ask("hi", Manner::Whole))).await.status(), 200);
    }
    assert!(upstream.keys().contains(&"sk-bad".to_owned()));
    tokio::time::advance(AGAIN + TICK).await;
    let hangs = once.join("hangs");
    still
        .within(async {
            while !hangs.exists() {
                tokio::task::yield_now().await;
            }
        })
        .await;

    file.write("sk-new");
    tokio::time::advance(LOOK + TICK).await;
    still.within(log.until("key renewed", 1)).await;
    drop(client);
    assert!(still.within(stage.handle.drain(AGAIN)).await, "it is not waited for");
}

/// A key that is configured and not there does not turn a provider into one that is asked with the client's.
#[tokio::test(start_paused = true)]
async fn a_relay_whose_only_key_is_missing_says_so_and_passes_nobody_elses_on() {
    let log = Log::listen();
    let file = KeyFile::new();
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with_keys(&upstream, "", &file.yaml()).await;
    assert_eq!(log.count("a key is not there yet"), 1);
    stage.handle.keep_fresh(None);
    let mut client = stage.http1().await;
    for (name, value) in [
        ("x-api-key", "sk-ant-api03-of-the-client"),
        ("authorization", "Bearer managed-by-cc-relay"),
        ("authorization", "Bearer something"),
    ] {
        let mut request = ask("hi", Manner::Whole);
        request.headers_mut().insert(name, value.parse().unwrap());
        let answer = client.ask(request).await;
        assert_eq!(answer.status(), 503, "{value}");
        assert!(answer.text().contains("no key of the relay is there"), "{}", answer.text());
        assert_eq!(answer.head.headers["x-should-retry"], "false");
    }
    assert!(upstream.seen().is_empty());

    file.write("sk-now");
    log.until("key renewed", 1).await;
    assert_eq!(ask_times(&mut client, &upstream, 2).await, ["sk-now"]);
    file.remove();
    log.until("key given up", 1).await;
    assert_eq!(client.ask(ask("hi", Manner::Whole)).await.status(), 503);
}
