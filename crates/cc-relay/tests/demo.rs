//! `demo`, run as a newcomer runs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// The program in an environment that must have no say: its forward proxy is nowhere.
fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cc-relay"));
    command.arg("demo").args(arguments).env_clear().env("HTTP_PROXY", "http://127.0.0.1:1");
    command.env("ANTHROPIC_API_KEY", "sk-ant-real-key").stdin(Stdio::null());
    command
}

/// What it printed on standard output, and on standard error.
fn printed(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it prints text");
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_newcomer_sees_what_each_key_carried_and_how_to_go_on() {
    let output = demo(&["--for", "3s", "--port", "0"]).output().expect("the program runs");
    let (stdout, stderr) = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");

    // Every key has carried something, and all that the clients asked has come to the provider.
    for organization in ["amber", "basil"] {
        let limits = format!("{organization}, which has ");
        assert!(stdout.lines().any(|line| line.starts_with(&limits)), "{stdout}");
        for key in [1, 2].map(|number| format!("{organization}-{number}")) {
            assert!(requests(&stdout, &key) > Some(0), "{key} carried nothing:\n{stdout}");
        }
    }
    let asked = number_after(&stdout, "10 clients asked ");
    let refused = number_after(&stdout, "Refusals that ended at the relay (429): ");
    assert!(asked >= 10, "{stdout}");
    assert_eq!(requests(&stdout, "all"), Some(asked + refused), "{stdout}");
    assert!(stdout.contains("\nErrors seen by clients: 0.\n"), "{stdout}");
    assert!(stdout.contains("\nThe provider's own buckets"), "{stdout}");

    let port = port(&stdout);
    let end = format!(
        "\nPoint Claude Code at it:\n  export ANTHROPIC_BASE_URL=http://127.0.0.1:{port}\n  \
         export ANTHROPIC_AUTH_TOKEN=managed-by-cc-relay\n"
    );
    assert!(stdout.ends_with(&end), "{stdout}");
    // Where nothing can be redrawn there is a line a second, and nothing that only a terminal understands.
    assert!(stderr.contains("\n   1 s  "), "{stderr}");
    for text in [&stdout, &stderr] {
        assert!(!text.contains('\x1b') && !text.contains("sk-ant"), "{text}");
    }
}

#[test]
fn it_stays_up_for_clients_until_it_is_interrupted() {
    let (mut child, mut stdout, invitation) = inviting();
    let body = r#"{"model":"claude-opus-5-5","max_tokens":64,"messages":[{"role":"user","content":"sim: say hello"}]}"#;
    let answer = post(port(&invitation), body);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(r#""text":"hello""#), "{answer}");
    interrupt(&child);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("it is text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(requests(&rest, "all"), Some(1), "what came meanwhile is shown at the end:\n{rest}");
}

/// It went on without anybody to see it.
#[test]
fn it_ends_with_its_terminal() {
    let (mut child, mut stdout, _) = inviting();
    kill(&child, "-HUP");
    stdout.read_to_string(&mut String::new()).expect("it is text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_port_that_was_wished_and_is_taken_is_an_error() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let output = demo(&["--for", "1s", "--port", &port]).output().expect("the program runs");
    let (stdout, stderr) = printed(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(1), ""));
    assert!(stderr.starts_with(&format!("error: cannot listen on `127.0.0.1:{port}`")), "{stderr}");
    // What the one who runs it can do about it, and not what the one who serves could.
    let hint = "\n  hint: another program has it: `--port` takes another, and `--port 0` any that is free\n";
    assert!(stderr.ends_with(hint) && !stderr.contains("server.listen"), "{stderr}");
}

#[test]
fn a_configuration_of_which_nothing_would_be_seen_is_wrong_usage() {
    for arguments in [["--config", "mine.yaml"], ["--config=mine.yaml", "--no-workload"]] {
        let output = demo(&arguments).output().expect("the program runs");
        let (stdout, stderr) = printed(&output);
        assert_eq!((output.status.code(), stdout.as_str()), (Some(2), ""));
        assert!(
            stderr.starts_with("error: `demo` reads no configuration\n  hint: leave `--config` out"),
            "{stderr}"
        );
    }
}

#[test]
fn a_duration_without_a_unit_is_wrong_usage() {
    let output = demo(&["--for", "10"]).output().expect("the program runs");
    let (_, stderr) = printed(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("write a time with its unit, such as 10s"), "{stderr}");
}

/// How many requests the table gives for a key, or for all.
fn requests(table: &str, name: &str) -> Option<u64> {
    let mut rows = table.lines().map(str::split_whitespace);
    let row = rows.find_map(|mut row| (row.next() == Some(name)).then(|| row.next()).flatten());
    row?.replace(',', "").parse().ok()
}

fn number_after(text: &str, words: &str) -> u64 {
    let (_, rest) = text.split_once(words).expect("these words are said");
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().expect("a number comes after them")
}

fn port(text: &str) -> u16 {
    u16::try_from(number_after(text, "ANTHROPIC_BASE_URL=http://127.0.0.1:")).expect("a port")
}

fn post(port: u16, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    write!(
        stream,
        "POST /v1/messages HTTP/1.1\r\nhost: relay\r\nauthorization: Bearer managed-by-cc-relay\r\n\
         anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it can be written to");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer comes");
    answer
}

/// As Ctrl-C does.
/// One that waits for clients, and what it printed by then.
fn inviting() -> (Child, BufReader<ChildStdout>, String) {
    let mut child = demo(&["--no-workload", "--port", "0"]).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut invitation = String::new();
    while !invitation.contains("ANTHROPIC_AUTH_TOKEN") {
        assert_ne!(stdout.read_line(&mut invitation).expect("it is text"), 0, "it ended: {invitation}");
    }
    (child, stdout, invitation)
}

fn interrupt(child: &Child) {
    kill(child, "-INT");
}

fn kill(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(status.expect("`kill` runs").success());
}
