//! What was learned survives the program: where it is kept, for whom, and how it ends.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::program::{PATIENCE, Sandbox, answer, send, text};

/// Where it is kept unless somebody says otherwise.
const USUAL: &str = ".local/state/cc-relay/state.db";

/// A configuration with a port that the system chooses, and one upstream.
fn config(upstream: u16, more: &str) -> String {
    format!(
        "server: {{listen: '127.0.0.1:0'}}\n\
         queue: {{max_wait_ms: 0}}\n\
         providers:\n\
         \x20 - name: only\n\
         \x20   type: anthropic\n\
         \x20   enabled: true\n\
         \x20   base_url: http://127.0.0.1:{upstream}\n\
         \x20   keys: [{{key: sk-ant-api03-hidden}}]\n{more}"
    )
}

/// A message, and what the relay answers.
fn ask(port: u16) -> String {
    let body = r#"{"model":"claude-opus-5-5","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}"#;
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: relay\r\nanthropic-version: 2023-06-01\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    answer(send(port, &head))
}

/// Takes one request and refuses it.
fn refuse(listener: &TcpListener) {
    let (mut upstream, _) = listener.accept().expect("the relay asks");
    upstream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    let mut request = Vec::new();
    while !request.ends_with(b"}]}") {
        let mut piece = [0; 1024];
        let n = upstream.read(&mut piece).expect("the request comes whole");
        assert_ne!(n, 0, "the relay left");
        request.extend_from_slice(&piece[..n]);
    }
    let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"no more today"}}"#;
    let head = format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 3600\r\n\
         anthropic-organization-id: org-one\r\nanthropic-ratelimit-requests-limit: 60\r\n\
         anthropic-ratelimit-requests-remaining: 0\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    upstream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).expect("it listens");
}

/// How long a client is told to wait.
fn retry_after(answer: &str) -> u64 {
    let line = answer.lines().find_map(|line| line.strip_prefix("retry-after: "));
    line.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or_else(|| unreachable!("{answer}"))
}

#[test]
fn a_key_that_was_used_up_is_known_to_be_by_the_next_program() {
    let sandbox = Sandbox::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = config(listener.local_addr().unwrap().port(), "");
    let (mut running, port) = sandbox.serve(&config);
    let refused = std::thread::spawn(move || refuse(&listener));
    let first = retry_after(&ask(port));
    assert!((3_590..=3_600).contains(&first), "{first}");
    refused.join().unwrap();
    running.signal("TERM");
    assert!(running.end().success());
    assert_eq!(sandbox.names(".local/state/cc-relay"), ["state.db"], "what was beside it is in it");

    // Nobody listens there any more: the relay does not ask.
    let (mut running, port) = sandbox.serve(&config);
    let again = retry_after(&ask(port));
    assert!(again <= first && again > 3_500, "{again} after {first}");
    running.signal("TERM");
    assert!(running.end().success());
    let bytes = std::fs::read(sandbox.path(USUAL)).unwrap();
    assert!(!bytes.windows(6).any(|part| part == b"hidden" || part == b"sk-ant"), "no secret is written");

    // Without it the next one would ask.
    let without = format!("{config}state: {{enabled: false}}\n");
    let (mut running, port) = sandbox.serve(&without);
    let answer = ask(port);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    running.signal("TERM");
    assert!(running.end().success());
    assert!(!running.seen().contains("state"), "{}", running.seen());
}

#[test]
fn it_is_kept_for_its_user_alone_where_the_desktop_keeps_such_files() {
    let sandbox = Sandbox::new();
    let (mut running, _) = sandbox.serve(&config(9, ""));
    assert!(running.seen().contains(text(&sandbox.path(USUAL))), "{}", running.seen());
    assert_eq!((sandbox.mode(USUAL), sandbox.mode(".local/state/cc-relay")), (0o600, 0o700));
    running.signal("TERM");
    assert!(running.end().success());

    let elsewhere = Sandbox::new();
    let folder = elsewhere.path("xdg");
    let elsewhere = elsewhere.with("XDG_STATE_HOME", text(&folder));
    drop(elsewhere.serve(&config(9, "")));
    drop(elsewhere.serve(&config(9, "state: {path: '${XDG_STATE_HOME}/mine/file'}\n")));
    assert_eq!(elsewhere.names("xdg"), ["cc-relay", "mine"]);
    assert!(!elsewhere.path(".local").exists());
}

#[test]
fn where_nobody_is_at_home_the_relay_says_so_and_serves() {
    let sandbox = Sandbox::new().with("HOME", "");
    let (mut running, port) = sandbox.serve(&config(9, ""));
    assert!(running.seen().contains("a restart forgets what was learned"), "{}", running.seen());
    assert!(
        answer(send(port, "GET /health HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n"))
            .contains("200 OK")
    );
    running.signal("TERM");
    assert!(running.end().success());
    assert!(!running.seen().contains("\"warn\""), "{}", running.seen());
}

#[test]
fn whatever_kills_the_program_the_file_can_be_used_by_the_next_one() {
    let sandbox = Sandbox::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = config(listener.local_addr().unwrap().port(), "");
    let (mut running, port) = sandbox.serve(&config);
    let refused = std::thread::spawn(move || refuse(&listener));
    retry_after(&ask(port));
    refused.join().unwrap();
    running.signal("TERM");
    assert!(running.end().success());
    for _ in 0..3 {
        let (mut running, port) = sandbox.serve(&config);
        assert!(retry_after(&ask(port)) > 3_500);
        running.signal("KILL");
        assert_eq!(running.end().code(), None);
        assert!(!running.seen().contains("\"warn\""), "{}", running.seen());
    }
    // Also by whoever is in a hurry.
    let (mut running, port) = sandbox.serve(&config);
    assert!(retry_after(&ask(port)) > 3_500);
    running.signal("TERM");
    running.end();
    assert_eq!(sandbox.names(".local/state/cc-relay"), ["state.db"]);
}

#[test]
fn a_file_of_somebody_else_is_said_and_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.write(USUAL, "mine");
    let (mut running, _) = sandbox.serve(&config(9, ""));
    let seen = running.seen();
    let line = seen.lines().find(|line| line.contains("starting without what was learned before")).unwrap();
    assert!(line.contains("\"warn\"") && line.contains(text(&sandbox.path(USUAL))), "{line}");
    assert!(line.contains("is not a state file of this program") && line.contains("state.path"), "{line}");
    running.signal("TERM");
    assert!(running.end().success());
    assert_eq!(sandbox.read(USUAL), "mine");
    assert_eq!(sandbox.names(".local/state/cc-relay"), ["state.db"]);
}
