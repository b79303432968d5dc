//! What a configuration asks of the machine, files above all: what `validate` finds, and what `serve` says of it.

use std::fs;

use crate::program::{Sandbox, text};
use insta::assert_snapshot;

const MINIMAL: &str = "
server: {listen: '127.0.0.1:0'}
providers:
  - {name: anthropic, type: anthropic, enabled: true, keys: [{key: '${SOME_KEY}'}]}
";

/// All at once, and each on its line, as what is wrong with the text itself.
#[test]
fn files_that_are_none_are_told_on_their_lines_by_validate_and_by_serve() {
    let sandbox = Sandbox::new().with("SOME_KEY", "sk-ant-api03-hidden");
    fs::create_dir(sandbox.path("work/folder")).unwrap();
    sandbox.write("work/file", "hello\n");
    let tls = "certificate: folder\n    key: file\n    client_ca: file";
    let server = format!("server:\n  listen: '127.0.0.1:0'\n  tls:\n    {tls}\n");
    let rest = MINIMAL.split_once("\nproviders").unwrap().1;
    let files = "state: {path: file/state.db}\nlogging: {output: folder}\n";
    sandbox.write("work/config.yaml", &format!("{server}providers{rest}{files}"));
    let (validated, served) = (sandbox.run(&["config", "validate"]), sandbox.run(&["serve"]));
    assert_snapshot!("files_that_are_none", validated.shown());
    assert_eq!((served.code, served.stdout.as_str()), (Some(1), ""));
    assert_eq!(validated.stderr, format!("✗ ./config.yaml cannot be served\n{}", served.stderr));
    assert_eq!(sandbox.names("work"), ["config.yaml", "file", "folder"], "to ask leaves nothing behind");
}

#[test]
fn a_state_file_that_could_be_nowhere_is_a_problem_if_it_was_named_and_a_warning_otherwise() {
    let sandbox = Sandbox::new().with("SOME_KEY", "sk-ant-api03-hidden");
    fs::create_dir(sandbox.path("work/folder")).unwrap();
    sandbox.write("work/file", "hello\n");
    let named = |path: &str, more: &str| format!("{MINIMAL}state: {{path: {path}{more}}}\n");
    for (path, what) in [
        ("folder", "`folder` is a folder, where a file belongs"),
        ("/dev/null", "`/dev/null` is a pipe or a device, where a file belongs"),
        ("file/deep/state.db", "`file` is no folder, so there can be no `file/deep/state.db` in it"),
    ] {
        sandbox.write("work/config.yaml", &named(path, ""));
        for command in [&["config", "validate"][..], &["serve"]] {
            let ended = sandbox.run(command);
            assert_eq!(ended.code, Some(1), "{command:?} {path}");
            assert!(
                ended.stderr.contains("state.path   line 5   ") && ended.stderr.contains(what),
                "{}",
                ended.stderr
            );
        }
        // Whoever keeps nothing needs no file.
        sandbox.write("work/config.yaml", &named(path, ", enabled: false"));
        assert_eq!(sandbox.run(&["config", "validate"]).code, Some(0), "{path}");
    }
    for path in ["new/deep/state.db", "file"] {
        sandbox.write("work/config.yaml", &named(path, ""));
        assert_eq!(sandbox.run(&["config", "validate"]).code, Some(0), "{path}");
    }
    assert!(!sandbox.path("work/new").exists(), "to ask leaves nothing behind");
    // Of the usual place nobody has said anything: the relay serves without it, and both say so.
    sandbox.write(".local", "no folder");
    let ended = sandbox.run(&["config", "validate", "--config", text(&sandbox.write("usual.yaml", MINIMAL))]);
    let what =
        "`[HOME]/.local` is no folder, so there can be no `[HOME]/.local/state/cc-relay/state.db` in it";
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.starts_with(&format!("warning: {what}: ")), "{}", ended.stderr);
    let mut running = sandbox.start(&["serve", "--config", text(&sandbox.path("usual.yaml"))]);
    let line = running.line("starting without what was learned before");
    let home = text(&sandbox.path("")).trim_end_matches('/').to_owned();
    assert_eq!(line["error"], what.replace("[HOME]", &home));
    running.line("listening");
    running.signal("TERM");
    assert!(running.end().success());
}

#[test]
fn a_key_file_that_is_a_folder_is_said_to_be_one() {
    let sandbox = Sandbox::new();
    let client = "server: {listen: '127.0.0.1:0', auth: {clients: [{name: me, key_file: /nowhere/client}]}}";
    let keys = "[{key_file: /etc}, {key_file: /dev/null}, {key_file: /nowhere/key}]";
    let config =
        format!("{client}\nproviders: [{{name: a, type: anthropic, enabled: true, keys: {keys}}}]\n");
    sandbox.write("work/config.yaml", &config);
    assert_snapshot!(sandbox.run(&["config", "validate"]).shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    warning: `/etc` is a folder, where a file with a key belongs: the key is left out
    warning: `/dev/null` is a pipe or a device, where a file with a key belongs: the key is left out
    warning: `/nowhere/key` is not there yet: its key is left out until it is
    warning: `/nowhere/client` is not there yet: its key is left out until it is
    ✓ ./config.yaml is valid
    ");
    let mut running = sandbox.start(&["serve"]);
    let line = running.line_where("key", "a.keys[0]");
    assert_eq!(line["error"], "`/etc` is a folder, where a file with the key belongs");
}

#[test]
fn show_says_where_what_is_learned_is_kept() {
    let shown = |sandbox: &Sandbox, more: &str| {
        sandbox.write("work/config.yaml", &format!("{MINIMAL}{more}"));
        let ended = sandbox.run(&["config", "show"]);
        let state = ended.stdout.split_once("\nstate:\n").unwrap().1;
        state
            .lines()
            .take_while(|line| line.starts_with(' '))
            .map(|line| line.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let sandbox = Sandbox::new().with("SOME_KEY", "sk-ant-api03-hidden");
    let usual = "path: [HOME]/.local/state/cc-relay/state.db";
    assert_eq!(shown(&sandbox, ""), ["enabled: true", usual]);
    assert_eq!(shown(&sandbox, "state: {path: mine.db}\n"), ["enabled: true", "path: mine.db"]);
    assert_eq!(shown(&sandbox, "state: {enabled: false, path: mine.db}\n"), ["enabled: false"]);
    let sandbox = sandbox.with("XDG_STATE_HOME", "/xdg");
    assert_eq!(shown(&sandbox, ""), ["enabled: true", "path: /xdg/cc-relay/state.db"]);
}
