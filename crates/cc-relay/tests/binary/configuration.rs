//! `config init`, `validate` and `show`, and where the configuration is looked for.

use std::fs;

use crate::program::{Sandbox, text};
use insta::assert_snapshot;

const MINIMAL: &str = "
server: {listen: '127.0.0.1:0'}
providers:
  - {name: anthropic, type: anthropic, enabled: true, keys: [{key: '${SOME_KEY}'}]}
";

const FAULTY: &str = "
server: {listen: '127.0.0.1:0', timeout_ms: -5}
routing: {stategy: shuffle}
providers:
  - {name: anthropic, type: anthropic, enabled: true, keys: [{key: '${SOME_KEY}'}]}
";

#[test]
fn init_writes_a_file_for_its_owner_alone_and_says_how_to_go_on() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["config", "init"]).shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    wrote [HOME]/.config/cc-relay/config.yaml
    next:
      1. export ANTHROPIC_API_KEY=…            the key that the file asks for
      2. edit [HOME]/.config/cc-relay/config.yaml   more keys, more providers
      3. cc-relay config validate              check what you wrote
      4. cc-relay serve                        start the relay
      5. cc-relay config cc init               point Claude Code at it
    ");
    assert_eq!(sandbox.mode(".config/cc-relay") & !0o750, 0);
    assert_eq!(sandbox.mode(".config/cc-relay/config.yaml"), 0o600);
}

#[test]
fn init_overwrites_a_file_only_by_force() {
    let sandbox = Sandbox::new();
    let path = sandbox.write(".config/cc-relay/config.yaml", "mine");
    assert_snapshot!(sandbox.run(&["config", "init"]).shown(), @r"
    exit: 1
    --- stdout
    --- stderr
    error: `[HOME]/.config/cc-relay/config.yaml` exists already
      hint: `--force` overwrites it, `--output PATH` writes another
    ");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(sandbox.run(&["config", "init", "--force"]).code, Some(0));
    assert!(fs::read_to_string(&path).unwrap().contains("listen: 127.0.0.1:8787"));
    assert_eq!(sandbox.mode(".config/cc-relay/config.yaml"), 0o600, "whatever it was before");
}

#[test]
fn init_writes_where_it_is_told_or_where_the_desktop_keeps_such_files() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["config", "init", "-o", "here.yaml"]).code, Some(0));
    assert_eq!(sandbox.run(&["config", "init", "--output", "a/b/c.yaml"]).code, Some(0));
    let sandbox = sandbox.with("XDG_CONFIG_HOME", "");
    let xdg = sandbox.path("xdg").display().to_string();
    let sandbox = sandbox.with("XDG_CONFIG_HOME", xdg);
    assert_eq!(sandbox.run(&["config", "init"]).code, Some(0));
    for path in ["work/here.yaml", "work/a/b/c.yaml", "xdg/cc-relay/config.yaml"] {
        assert!(sandbox.read(path).contains("providers:"), "{path}");
    }
    assert!(!sandbox.path(".config").exists());
    assert_eq!(sandbox.run(&["config", "validate"]).code, Some(0), "what was written there is found there");
}

#[test]
fn init_writes_toml_where_that_is_asked_for_and_nothing_that_nobody_reads() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["config", "init", "-o", "here.toml"]).shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    wrote here.toml
    next:
      1. export ANTHROPIC_API_KEY=…            the key that the file asks for
      2. edit here.toml   more keys, more providers
      3. cc-relay --config here.toml config validate check what you wrote
      4. cc-relay --config here.toml serve     start the relay
      5. cc-relay --config here.toml config cc init point Claude Code at it
    ");
    let validated = sandbox.run(&["--config", "here.toml", "config", "validate"]);
    assert_eq!(validated.code, Some(0), "{}", validated.stderr);
    for command in
        [&["config", "init", "-o", "new/here.json"][..], &["config", "init", "--force", "-o", "here"]]
    {
        let ended = sandbox.run(command);
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.stderr.ends_with("hint: let its name end in `.yaml`, `.yml` or `.toml`\n"),
            "{}",
            ended.stderr
        );
    }
    assert!(!sandbox.path("work/new").exists());
}

#[test]
fn a_name_that_says_no_format_is_told_once_and_nothing_is_read_from_it() {
    let sandbox = Sandbox::new();
    let hint = "hint: let its name end in `.yaml`, `.yml` or `.toml`\n";
    for (path, what) in [
        ("here.json", "`here.json` ends in `.json`, which is no known format"),
        ("/dev/stdin", "the name of `/dev/stdin` has no ending, which would say its format"),
    ] {
        let written = sandbox.run(&["config", "init", "--output", path]);
        assert_eq!((written.code, written.stderr), (Some(1), format!("error: {what}\n  {hint}")));
        let shown = sandbox.run(&["config", "show", "--config", path]);
        let expect = format!("error: 1 problem in {path}\n  (file)   {what}\n      {hint}");
        assert_eq!((shown.code, shown.stderr), (Some(1), expect));
    }
}

#[test]
fn w46_validate_finds_what_serve_would_find_only_when_it_starts() {
    let sandbox = Sandbox::new().with("SOME_KEY", "sk-ant-api03-hidden");
    let logged = |file: &str| format!("{MINIMAL}\nlogging: {{output: {file}}}\n");
    sandbox.write("work/config.yaml", &logged("nowhere/relay.log"));
    let (validated, served) = (sandbox.run(&["config", "validate"]), sandbox.run(&["serve"]));
    assert_eq!((validated.code, served.code), (Some(1), Some(1)));
    assert_eq!(validated.stderr, format!("✗ ./config.yaml cannot be served\n{}", served.stderr));
    sandbox.write("work/config.yaml", &logged("relay.log"));
    assert_eq!(sandbox.run(&["config", "validate"]).code, Some(0));
    assert!(!sandbox.path("work/relay.log").exists(), "to ask leaves nothing behind");
}

#[test]
fn w46_what_init_writes_validates_and_serves() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["config", "init"]).code, Some(0));
    assert_snapshot!(sandbox.run(&["config", "validate"]).shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    ✓ [HOME]/.config/cc-relay/config.yaml is valid
    ");
    // The same file on a port that is free.
    let template = sandbox.read(".config/cc-relay/config.yaml").replace(":8787", ":0");
    let (mut running, _) = sandbox.serve(&template);
    running.signal("TERM");
    assert!(running.end().success());
}

#[test]
fn w46_validate_and_serve_say_the_same() {
    let sandbox = Sandbox::new().with("SOME_KEY", "sk-ant-api03-hidden");
    let ollama = "
server: {listen: '127.0.0.1:0'}
providers: [{name: local, type: ollama, enabled: true}]
";
    for valid in [MINIMAL, ollama] {
        let path = sandbox.write("work/config.yaml", valid);
        let validated = sandbox.run(&["config", "validate", "--config", text(&path)]);
        assert_eq!(validated.code, Some(0), "{}", validated.stderr);
        let (mut running, _) = sandbox.serve(valid);
        running.signal("TERM");
        assert!(running.end().success());
    }
    for invalid in [FAULTY, "providers: 3", "a: [", "server: {listen: nowhere}"] {
        sandbox.write("work/config.yaml", invalid);
        let (validated, served) = (sandbox.run(&["config", "validate"]), sandbox.run(&["serve"]));
        assert_eq!((validated.code, served.code), (Some(1), Some(1)), "{invalid}");
        let expect = format!("✗ ./config.yaml is not valid\n{}", served.stderr);
        assert_eq!(validated.stderr, expect, "{invalid}");
        assert_eq!((validated.stdout, served.stdout), (String::new(), String::new()), "{invalid}");
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let sandbox = Sandbox::new();
    sandbox.write("work/config.yaml", FAULTY);
    assert_snapshot!("problems", sandbox.run(&["config", "validate"]).shown());
}

#[test]
fn a_notice_does_not_keep_a_configuration_from_being_valid() {
    let sandbox = Sandbox::new().with("SOME_KEY", "sk-ant-api03-hidden");
    sandbox.write("work/config.yaml", &format!("{MINIMAL}\nmetrics: {{enabled: true}}\n"));
    let ended = sandbox.run(&["config", "validate"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.starts_with("note: 1 notice on ./config.yaml\n"), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("✓ ./config.yaml is valid\n"), "{}", ended.stderr);
}

#[test]
fn without_a_file_validate_warns() {
    assert_snapshot!(Sandbox::new().run(&["config", "validate"]).shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    warning: no configuration file was found; `cc-relay config init` writes one
    ✓ without a file, `cc-relay serve` would start with what the environment says
    ");
}

#[test]
fn show_prints_every_default_and_no_secret() {
    let sandbox = Sandbox::new().with("SOME_KEY", "sk-ant-api03-hidden");
    sandbox.write("work/config.yaml", MINIMAL);
    let ended = sandbox.run(&["config", "show"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), "# from ./config.yaml\n"));
    assert!(ended.stdout.contains("drain_timeout_ms: 30000"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("hidden"), "{}", ended.stdout);

    let keys = MINIMAL.replace("key: '${SOME_KEY}'", "key_command: 'print ${SOME_KEY}; print hidden'");
    sandbox.write("work/config.yaml", &keys);
    let ended = sandbox.run(&["config", "show"]);
    assert!(ended.stdout.contains("key_command: \"print [redacted]\""), "{}", ended.stdout);
    assert!(!ended.stdout.contains("hidden"), "{}", ended.stdout);

    let ended = Sandbox::new().run(&["config", "show"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), "# from the environment\n"));
    assert!(ended.stdout.contains("listen: 127.0.0.1:8787"), "{}", ended.stdout);
}

#[test]
fn the_flag_goes_before_the_variable_and_the_variable_before_the_folders() {
    let sandbox = Sandbox::new();
    let listen = |port: u16| {
        format!(
            "server: {{listen: '127.0.0.1:{port}'}}\nproviders: [{{name: a, type: anthropic, enabled: true}}]\n"
        )
    };
    let shown = |sandbox: &Sandbox, arguments: &[&str]| {
        let ended = sandbox.run(&[arguments, &["config", "show"]].concat());
        let line = ended.stdout.lines().find(|line| line.contains("listen:")).unwrap_or(&ended.stderr).trim();
        line.to_owned()
    };
    let toml =
        "[server]\nlisten = '127.0.0.1:1'\n[[providers]]\nname = 'a'\ntype = 'anthropic'\nenabled = true\n";
    sandbox.write(".config/cc-relay/config.toml", toml);
    assert_eq!(shown(&sandbox, &[]), "listen: 127.0.0.1:1");
    sandbox.write("work/config.yaml", &listen(2));
    assert_eq!(shown(&sandbox, &[]), "listen: 127.0.0.1:2");
    let variable = sandbox.write("variable.yaml", &listen(3)).display().to_string();
    let sandbox = sandbox.with("CC_RELAY_CONFIG", variable);
    assert_eq!(shown(&sandbox, &[]), "listen: 127.0.0.1:3");
    let flag = sandbox.write("flag.yaml", &listen(4));
    assert_eq!(shown(&sandbox, &["--config", text(&flag)]), "listen: 127.0.0.1:4");
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let sandbox = Sandbox::new();
    for command in [&["serve"][..], &["status"], &["config", "validate"], &["config", "show"]] {
        let ended = sandbox.run(&[command, &["--config", "missing.yaml"]].concat());
        let expect = "exit: 1\n--- stdout\n--- stderr\n\
                      error: there is no configuration at `missing.yaml`\n  \
                      hint: `cc-relay config init --output missing.yaml` writes one\n";
        assert_eq!(ended.shown(), expect, "{command:?}");
    }
    let sandbox = sandbox.with("CC_RELAY_CONFIG", "missing.yaml");
    assert_eq!(sandbox.run(&["config", "show"]).code, Some(1));
}

#[test]
fn a_file_that_cannot_be_read_is_not_passed_over() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("work/config.yaml")).unwrap();
    let ended = sandbox.run(&["config", "validate"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.starts_with("error: cannot read the configuration `./config.yaml`: "),
        "{}",
        ended.stderr
    );
}

/// What `serve` would refuse, it refuses; what `serve` waits for, it tells.
#[test]
fn validate_looks_at_certificates_and_keys_as_serve_does() {
    let sandbox = Sandbox::new();
    let provider =
        "providers: [{ name: a, type: anthropic, enabled: true, keys: [{ key_file: /nowhere/key }] }]";
    let file = sandbox.write("relay.yaml", &format!("{provider}\n")).display().to_string();
    let shown = sandbox.run(&["--config", &file, "config", "validate"]).shown();
    assert!(shown.starts_with("exit: 0") && shown.contains("`/nowhere/key` is not there yet"), "{shown}");
    let tls = "server: { listen: \"127.0.0.1:1\", tls: { certificate: /nowhere.pem, key: /nowhere.pem } }";
    let file = sandbox.write("tls.yaml", &format!("{tls}\n{provider}\n")).display().to_string();
    let shown = sandbox.run(&["--config", &file, "config", "validate"]).shown();
    assert!(shown.starts_with("exit: 1") && shown.contains("cannot be served"), "{shown}");
    assert!(shown.contains("`/nowhere.pem` cannot be read as certificates"), "{shown}");
}

#[test]
fn what_is_told_of_the_environment_names_no_line() {
    let sandbox = Sandbox::new().with("ANTHROPIC_API_KEY", " ");
    let said = sandbox.run(&["config", "validate"]).stderr;
    assert!(said.contains("`ANTHROPIC_API_KEY` is empty"), "{said}");
    assert!(!said.contains("line"), "{said}");
}
