//! `serve`: from the first line of its log to its end.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::program::{PATIENCE, Running, Sandbox, answer, port, send};
use insta::assert_snapshot;

const HEALTH: &str = "GET /health HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n";

/// A configuration with a port that the system chooses, and one upstream.
fn config(upstream: u16, more: &str) -> String {
    format!(
        "server: {{listen: '127.0.0.1:0'{more}}}\n\
         providers:\n\
         \x20 - name: only\n\
         \x20   type: anthropic\n\
         \x20   enabled: true\n\
         \x20   base_url: http://127.0.0.1:{upstream}\n\
         \x20   keys: [{{key: sk-ant-api03-hidden}}]\n"
    )
}

/// A relay with one request in it that its upstream has not answered.
struct Held {
    running: Running,
    client: TcpStream,
    upstream: TcpStream,
}

/// What the relay of a request that is held records.
const RECORDING: &str = "work/calls.jsonl";

fn held(sandbox: &Sandbox, more: &str) -> Held {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let upstream = listener.local_addr().expect("it is bound").port();
    sandbox.write("work/config.yaml", &config(upstream, more));
    let mut running = sandbox.start(&["serve", "--record", "calls.jsonl"]);
    let port = port(&running.line("listening"));
    let body = r#"{"model":"claude-opus-5-5","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}"#;
    let client = send(
        port,
        &format!(
            "POST /v1/messages HTTP/1.1\r\nhost: relay\r\nanthropic-version: 2023-06-01\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    let (mut upstream, _) = listener.accept().expect("the relay asks");
    upstream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    let mut request = Vec::new();
    while !request.ends_with(body.as_bytes()) {
        let mut piece = [0; 1024];
        let n = upstream.read(&mut piece).expect("the request comes whole");
        assert_ne!(n, 0, "the relay left");
        request.extend_from_slice(&piece[..n]);
    }
    Held { running, client, upstream }
}

#[test]
fn w45_a_file_without_a_cache_section_serves() {
    let sandbox = Sandbox::new();
    let minimal = "server: {listen: '127.0.0.1:0'}\nproviders: [{name: a, type: anthropic, enabled: true}]\n";
    let (mut running, port) = sandbox.serve(minimal);
    let answer = answer(send(port, HEALTH));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    running.signal("TERM");
    assert!(running.end().success());
}

#[test]
fn the_log_says_where_the_relay_listens_and_what_it_has() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("work/config.yaml", &config(9, ""));
    let mut running = sandbox.start(&["serve"]);
    let loaded = running.line("configuration loaded");
    assert_eq!(loaded["file"], "./config.yaml");
    assert!(path.exists());
    let pool = running.line("pool ready");
    assert_eq!((&pool["provider"], &pool["keys"]), (&"only".into(), &1.into()));
    let listening = running.line("listening");
    let port = port(&listening);
    assert_ne!(port, 0);
    assert_eq!(listening["address"], format!("127.0.0.1:{port}"));
    assert_eq!(listening["url"], format!("http://127.0.0.1:{port}"));
    assert!(answer(send(port, HEALTH)).starts_with("HTTP/1.1 200 OK\r\n"));
    running.signal("INT");
    assert_eq!(running.line("draining")["signal"], "SIGINT");
    running.line("stopped");
    assert_eq!(running.end().code(), Some(0));
    assert!(!running.seen().contains("hidden"), "{}", running.seen());
}

#[test]
fn without_a_file_the_relay_goes_by_its_environment_and_says_so() {
    for (key, expect) in [(None, "the client's own"), (Some("sk-ant-api03-hidden"), "ANTHROPIC_API_KEY")] {
        let sandbox = Sandbox::new();
        let sandbox = if let Some(key) = key { sandbox.with("ANTHROPIC_API_KEY", key) } else { sandbox };
        let mut running = sandbox.start(&["serve"]);
        // The usual port may be taken on the machine of a developer: this is said before it is asked for.
        let line = running.line("no configuration file: going by the environment");
        assert_eq!(line["listen"], "127.0.0.1:8787");
        assert_eq!(line["provider"], "anthropic");
        assert_eq!(line["credential"], expect);
        assert!(line["hint"].as_str().unwrap().contains("cc-relay config init"));
        assert!(!running.seen().contains("hidden"), "{}", running.seen());
    }
}

#[test]
fn notices_are_in_the_log() {
    let sandbox = Sandbox::new();
    sandbox.write("work/config.yaml", &format!("{}grpc: {{listen: '127.0.0.1:9090'}}\n", config(9, "")));
    let mut running = sandbox.start(&["serve"]);
    assert_eq!(running.line_where("option", "grpc")["level"], "warn");
    running.line("listening");
}

#[test]
fn flags_are_stronger_than_the_file() {
    let sandbox = Sandbox::new();
    let quiet = "logging: {level: warn, format: text}\ngrpc: {listen: '127.0.0.1:9090'}\n";
    sandbox.write("work/config.yaml", &format!("{}{quiet}", config(9, "")));
    let mut running = sandbox.start(&["serve", "--log-level", "info", "--log-format", "json"]);
    running.line("configuration loaded");
    running.line("listening");
    // Without the level of the flag that of the file counts: there is no line before the first warning.
    let mut running = sandbox.start(&["serve", "--log-format", "json"]);
    running.line_where("option", "grpc");
    assert_eq!(running.seen().lines().count(), 1, "{}", running.seen());
}

#[test]
fn w53_a_request_that_is_served_ends_before_the_relay_does() {
    let sandbox = Sandbox::new();
    let Held { mut running, client, mut upstream } = held(&sandbox, "");
    running.signal("TERM");
    let draining = running.line("draining");
    assert_eq!((&draining["signal"], &draining["in_flight"]), (&"SIGTERM".into(), &1.into()));
    upstream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{\"served\":1}\n")
        .unwrap();
    let answer = answer(client);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("{\"served\":1}\n"), "{answer}");
    running.line("stopped");
    assert_eq!(running.end().code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_relay_at_once() {
    for (first, second, name, code) in [("TERM", "TERM", "SIGTERM", 143), ("TERM", "INT", "SIGINT", 130)] {
        let sandbox = Sandbox::new();
        let Held { mut running, client, upstream } = held(&sandbox, "");
        running.signal(first);
        running.line("draining");
        running.signal(second);
        // What is cut off is in the log and in the recording, and not said to have been left by its client.
        let cut = running.line("request finished");
        assert_eq!(
            (&cut["end"], &cut["status"], &cut["level"]),
            (&"stopped".into(), &0.into(), &"warn".into())
        );
        assert_eq!((&cut["provider"], &cut["attempts"]), (&"only".into(), &1.into()));
        let line = running.line("stopped at once");
        assert_eq!((&line["signal"], &line["in_flight"]), (&name.into(), &1.into()));
        assert_eq!(running.end().code(), Some(code));
        assert!(recorded_as_stopped(&sandbox), "{}", sandbox.read(RECORDING));
        drop((client, upstream));
    }
}

/// Is there one call in the recording, which the end of the relay has cut off?
fn recorded_as_stopped(sandbox: &Sandbox) -> bool {
    let recording = sandbox.read(RECORDING);
    recording.lines().count() == 2 && recording.ends_with("}\n") && recording.contains("\"end\":\"stopped\"")
}

#[test]
fn w53_a_drain_ends_when_its_time_is_up_and_says_what_is_left() {
    let sandbox = Sandbox::new();
    let Held { mut running, client, upstream } = held(&sandbox, ", drain_timeout_ms: 50");
    running.signal("TERM");
    running.line("draining");
    assert_eq!(running.line("request finished")["end"], "stopped");
    let line = running.line("stopped before every request had ended");
    assert_eq!(line["in_flight"], 1);
    assert_eq!(running.end().code(), Some(0));
    assert!(recorded_as_stopped(&sandbox), "{}", sandbox.read(RECORDING));
    drop((client, upstream));
}

#[test]
fn a_hang_up_does_not_end_the_relay_and_is_answered_with_what_is_followed_without_it() {
    let sandbox = Sandbox::new();
    let (mut running, port) = sandbox.serve(&config(9, ""));
    running.signal("HUP");
    let line = running.line(
        "the configuration is not read again in this version; keys from files and commands, and the certificate, \
         are followed by themselves",
    );
    assert_eq!((&line["level"], &line["signal"]), (&"warn".into(), &"SIGHUP".into()));
    assert_eq!(line["hint"], "restart the relay to take the configuration over");
    assert!(answer(send(port, HEALTH)).starts_with("HTTP/1.1 200 OK\r\n"));
    running.signal("TERM");
    assert!(running.end().success());
}

#[test]
fn a_port_that_is_taken_is_told_with_what_to_do() {
    let sandbox = Sandbox::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    sandbox.write("work/config.yaml", &config(9, "").replace(":0'", &format!(":{port}'")));
    let mut ended = sandbox.run(&["serve"]);
    ended.stdout = String::new();
    assert_snapshot!(ended.shown().replace(&port.to_string(), "[PORT]"), @r"
    exit: 1
    --- stdout
    --- stderr
    error: cannot listen on `127.0.0.1:[PORT]`: Address already in use (os error 98)
      hint: another program has it: `cc-relay status` says whether that is a relay; `server.listen` takes another port
    ");
}

#[test]
fn a_forward_proxy_that_cannot_be_used_is_told_without_its_password() {
    let sandbox = Sandbox::new().with("HTTPS_PROXY", "socks5://user:hidden@proxy:1080");
    sandbox.write("work/config.yaml", &config(9, ""));
    let ended = sandbox.run(&["serve"]);
    assert_eq!(ended.code, Some(1));
    let expect = "error: cannot use the forward proxy of the environment: \
                  `HTTPS_PROXY` is neither an `http` nor an `https` proxy\n";
    assert!(ended.stderr.starts_with(expect), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hidden") && !ended.stdout.contains("hidden"));
}

#[test]
fn a_certificate_that_is_not_there_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("work/config.yaml", &config(9, ", tls: {certificate: missing.pem, key: missing.key}"));
    let ended = sandbox.run(&["serve"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    for told in
        ["`missing.pem` cannot be read as certificates: ", "`missing.key` cannot be read as a private key: "]
    {
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
}

#[test]
fn a_log_that_cannot_be_written_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("work/config.yaml", &format!("{}logging: {{output: no/such/folder/log}}\n", config(9, "")));
    let ended = sandbox.run(&["serve"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    let expect = "`no/such/folder/log` cannot be written: No such file or directory";
    assert!(ended.stderr.contains(expect), "{}", ended.stderr);
}
