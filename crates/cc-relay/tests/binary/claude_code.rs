//! `config cc`: what becomes of Claude Code's settings.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::program::Sandbox;
use insta::assert_snapshot;

const SETTINGS: &str = ".claude/settings.json";

/// Everything by which an editor that parses and prints would be told: order, indentation, numbers beyond
/// 2^53, escapes, no newline at the end.
const PECULIAR: &str = "{\n\t\"zeta\": 12345678901234567890,\n\t\"alpha\": \"<&> \\u00e9\",\n\t\"env\": {\n\t\t\"HTTP_PROXY\": \"\"\n\t}\n}";

#[test]
fn init_makes_settings_for_their_owner_and_remove_takes_them_away() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["config", "cc", "init"]).shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    [HOME]/.claude/settings.json
      ANTHROPIC_BASE_URL is `http://127.0.0.1:8787`
      ANTHROPIC_AUTH_TOKEN is `managed-by-cc-relay`
    start a new `claude` for it; `cc-relay config cc remove` takes it back
    also: --model-discovery       the models of the relay in `/model`
    also: --context-tokens N      the context of models that Claude Code does not know
    ");
    assert_snapshot!(sandbox.read(SETTINGS), @r#"
    {
      "env": {
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:8787",
        "ANTHROPIC_AUTH_TOKEN": "managed-by-cc-relay"
      }
    }
    "#);
    assert_eq!(sandbox.mode(".claude") & !0o750, 0);
    assert_eq!(sandbox.mode(SETTINGS), 0o600);
    assert_eq!(sandbox.mode(".claude/cc-relay-backup.json"), 0o600);
    assert_snapshot!(sandbox.run(&["config", "cc", "remove"]).shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    [HOME]/.claude/settings.json
      ANTHROPIC_BASE_URL was removed
      ANTHROPIC_AUTH_TOKEN was removed
      nothing else was in it, so the file is gone as well
    ");
    assert_eq!(sandbox.names(".claude"), [""; 0]);
}

#[test]
fn w50_settings_lose_nothing_and_come_back_to_the_byte() {
    let sandbox = Sandbox::new();
    let path = sandbox.write(SETTINGS, PECULIAR);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let init = [
        "config",
        "cc",
        "init",
        "--model-discovery",
        "--context-tokens",
        "200000",
        "--key",
        "sk-relay-hidden",
    ];
    let ended = sandbox.run(&init);
    assert_snapshot!(ended.shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    [HOME]/.claude/settings.json
      ANTHROPIC_BASE_URL is `http://127.0.0.1:8787`
      ANTHROPIC_AUTH_TOKEN is your key
      CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY is `1`
      CLAUDE_CODE_MAX_CONTEXT_TOKENS is `200000`
    start a new `claude` for it; `cc-relay config cc remove` takes it back
    ");
    let added = ",\n\t\t\"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:8787\",\
                 \n\t\t\"ANTHROPIC_AUTH_TOKEN\": \"sk-relay-hidden\",\
                 \n\t\t\"CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY\": \"1\",\
                 \n\t\t\"CLAUDE_CODE_MAX_CONTEXT_TOKENS\": \"200000\"";
    let expect = PECULIAR.replace("\"HTTP_PROXY\": \"\"", &format!("\"HTTP_PROXY\": \"\"{added}"));
    assert_eq!(sandbox.read(SETTINGS), expect);
    assert_eq!(sandbox.mode(SETTINGS), 0o644, "as it was");
    assert_eq!(sandbox.read(".claude/settings.json.cc-relay.bak"), PECULIAR);
    assert_eq!(sandbox.mode(".claude/settings.json.cc-relay.bak"), 0o600);
    assert!(!sandbox.run(&["config", "cc", "status"]).stderr.contains("hidden"));

    assert_eq!(sandbox.run(&["config", "cc", "remove"]).code, Some(0));
    assert_eq!(sandbox.read(SETTINGS), PECULIAR);
    assert_eq!(sandbox.names(".claude"), ["settings.json"], "record and copy are no longer needed");
}

#[test]
fn w50_a_token_of_the_users_own_is_neither_overwritten_nor_deleted() {
    let sandbox = Sandbox::new();
    let own = r#"{"env": {"ANTHROPIC_AUTH_TOKEN": "sk-mine", "ANTHROPIC_BASE_URL": "https://gateway.example.com"}}"#;
    sandbox.write(SETTINGS, own);
    assert_snapshot!(sandbox.run(&["config", "cc", "init"]).shown(), @r"
    exit: 1
    --- stdout
    --- stderr
    error: `env.ANTHROPIC_AUTH_TOKEN` holds a token of your own
      hint: `--force` replaces it until `cc-relay config cc remove`; `--subscription` leaves it, and sets the address only
    ");
    assert_eq!(sandbox.names(".claude"), ["settings.json"]);
    assert_snapshot!(sandbox.run(&["config", "cc", "remove"]).shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    nothing to remove: [HOME]/.claude/settings.json holds nothing that `cc-relay` set
    ");
    assert_eq!(sandbox.read(SETTINGS), own);

    let forced =
        sandbox.run(&["config", "cc", "init", "--force", "--model-discovery", "--context-tokens", "1"]);
    assert_snapshot!(forced.shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    [HOME]/.claude/settings.json
      ANTHROPIC_BASE_URL is `http://127.0.0.1:8787`; yours is kept in [HOME]/.claude/cc-relay-backup.json
      ANTHROPIC_AUTH_TOKEN is `managed-by-cc-relay`; yours is kept in [HOME]/.claude/cc-relay-backup.json
      CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY is `1`
      CLAUDE_CODE_MAX_CONTEXT_TOKENS is `1`
    start a new `claude` for it; `cc-relay config cc remove` takes it back
    ");
    assert_snapshot!(sandbox.run(&["config", "cc", "remove"]).shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    [HOME]/.claude/settings.json
      ANTHROPIC_BASE_URL is your own again
      ANTHROPIC_AUTH_TOKEN is your own again
      CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY was removed
      CLAUDE_CODE_MAX_CONTEXT_TOKENS was removed
    ");
    assert_eq!(sandbox.read(SETTINGS), own);
}

#[test]
fn w50_what_the_user_changed_since_stays_theirs() {
    let sandbox = Sandbox::new();
    sandbox.run(&["config", "cc", "init"]);
    let changed = sandbox.read(SETTINGS).replace("managed-by-cc-relay", "sk-mine");
    sandbox.write(SETTINGS, &changed);
    assert_snapshot!(sandbox.run(&["config", "cc", "remove"]).shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    [HOME]/.claude/settings.json
      ANTHROPIC_BASE_URL was removed
      ANTHROPIC_AUTH_TOKEN is yours by now, and left as it is
    ");
    assert_snapshot!(sandbox.read(SETTINGS), @r#"
    {
      "env": {
        "ANTHROPIC_AUTH_TOKEN": "sk-mine"
      }
    }
    "#);
}

#[test]
fn w50_settings_that_cannot_be_read_are_an_error_and_stay_as_they_are() {
    let table = [
        ("{\"env\": {", "it is not valid JSON: EOF while parsing an object at line 1 column 9"),
        ("{} // a comment", "it is not valid JSON: trailing characters at line 1 column 4"),
        ("null", "it holds `null` where an object belongs"),
        ("[]", "it holds a list where an object belongs"),
        ("{\"env\": []}", "its `env` is a list where an object belongs"),
        ("{\"env\": null}", "its `env` is `null` where an object belongs"),
    ];
    for (settings, expect) in table {
        for command in ["init", "remove", "status"] {
            let sandbox = Sandbox::new();
            sandbox.write(SETTINGS, settings);
            let ended = sandbox.run(&["config", "cc", command]);
            let expect = format!("error: `[HOME]/{SETTINGS}` is left as it is: {expect}\n");
            assert_eq!((ended.code, ended.stderr), (Some(1), expect), "{command} {settings}");
            assert_eq!(sandbox.read(SETTINGS), settings);
            assert_eq!(sandbox.names(".claude"), ["settings.json"]);
        }
    }
    // A folder in its place cannot be read by anybody, and neither can a link that leads nowhere.
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path(SETTINGS)).unwrap();
    let other = Sandbox::new();
    fs::create_dir(other.path(".claude")).unwrap();
    symlink("nowhere.json", other.path(SETTINGS)).unwrap();
    for sandbox in [sandbox, other] {
        for command in ["init", "remove", "status"] {
            let ended = sandbox.run(&["config", "cc", command]);
            assert_eq!(ended.code, Some(1), "{}", ended.stderr);
            assert!(
                ended.stderr.starts_with("error: cannot read `[HOME]/.claude/settings.json`: "),
                "{}",
                ended.stderr
            );
            assert_eq!(sandbox.names(".claude"), ["settings.json"]);
        }
    }
}

#[test]
fn settings_with_nothing_or_a_byte_order_mark_in_them_are_settings_and_come_back_to_the_byte() {
    for settings in ["", "\n", "\u{feff}", "\u{feff}{\"model\": \"opus\"}\n"] {
        let sandbox = Sandbox::new();
        sandbox.write(SETTINGS, settings);
        let ended = sandbox.run(&["config", "cc", "init"]);
        assert_eq!(ended.code, Some(0), "{settings:?}: {}", ended.stderr);
        let changed = sandbox.read(SETTINGS);
        assert!(changed.contains("\"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:8787\""), "{changed}");
        assert_eq!(changed.starts_with('\u{feff}'), settings.starts_with('\u{feff}'), "{settings:?}");
        assert_eq!(sandbox.run(&["config", "cc", "status"]).code, Some(0), "{settings:?}");
        assert_eq!(sandbox.run(&["config", "cc", "remove"]).code, Some(0), "{settings:?}");
        assert_eq!(sandbox.read(SETTINGS), settings);
        assert_eq!(sandbox.names(".claude"), ["settings.json"]);
    }
}

#[test]
fn a_record_that_is_none_is_an_error_and_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write(SETTINGS, PECULIAR);
    sandbox.write(".claude/cc-relay-backup.json", "{}");
    for command in ["init", "remove", "status"] {
        let ended = sandbox.run(&["config", "cc", command]);
        assert_eq!(ended.code, Some(1));
        let expect = "error: cannot use the record `[HOME]/.claude/cc-relay-backup.json`: \
                      it is not what `cc-relay config cc init` writes: ";
        assert!(ended.stderr.starts_with(expect), "{}", ended.stderr);
        assert_eq!(sandbox.read(SETTINGS), PECULIAR);
    }
}

#[test]
fn nothing_to_remove_is_no_error() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["config", "cc", "remove"]).shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    nothing to remove: there is no [HOME]/.claude/settings.json
    ");
    assert!(!sandbox.path(".claude").exists());
}

#[test]
fn a_token_of_the_users_own_outlives_settings_that_are_gone() {
    let sandbox = Sandbox::new();
    sandbox.write(SETTINGS, r#"{"env": {"ANTHROPIC_AUTH_TOKEN": "mine"}}"#);
    sandbox.run(&["config", "cc", "init", "--force"]);
    fs::remove_file(sandbox.path(SETTINGS)).unwrap();
    let first = sandbox.run(&["config", "cc", "remove"]).shown();
    assert_snapshot!(first, @r"
    exit: 0
    --- stdout
    --- stderr
    nothing to remove: there is no [HOME]/.claude/settings.json
    your own ANTHROPIC_AUTH_TOKEN stays in [HOME]/.claude/cc-relay-backup.json: `config cc init` and `config cc remove` put it back, or delete that file
    ");
    assert_eq!(sandbox.run(&["config", "cc", "remove"]).shown(), first);
    // Settings that were made anew since hold nothing of it either.
    sandbox.write(SETTINGS, "{}");
    let ended = sandbox.run(&["config", "cc", "remove"]);
    let kept = first.lines().last().unwrap();
    assert!(
        ended.stderr.starts_with("nothing to remove: ") && ended.stderr.contains(kept),
        "{}",
        ended.stderr
    );
    assert!(sandbox.read(".claude/cc-relay-backup.json").contains("mine"));
    for command in ["init", "remove"] {
        assert_eq!(sandbox.run(&["config", "cc", command]).code, Some(0));
    }
    assert!(sandbox.read(SETTINGS).contains("\"mine\""));
    assert!(!sandbox.path(".claude/cc-relay-backup.json").exists());
}

#[test]
fn a_subscription_keeps_its_login() {
    let sandbox = Sandbox::new();
    sandbox.run(&["config", "cc", "init"]);
    let ended = sandbox.run(&["config", "cc", "init", "--subscription", "--proxy-url", "http://localhost:9"]);
    assert_snapshot!(ended.shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    [HOME]/.claude/settings.json
      ANTHROPIC_AUTH_TOKEN was taken out
      ANTHROPIC_BASE_URL is `http://localhost:9`
    start a new `claude` for it; `cc-relay config cc remove` takes it back
    also: --model-discovery       the models of the relay in `/model`
    also: --context-tokens N      the context of models that Claude Code does not know
    ");
    assert_snapshot!(sandbox.read(SETTINGS), @r#"
    {
      "env": {
        "ANTHROPIC_BASE_URL": "http://localhost:9"
      }
    }
    "#);
    sandbox.run(&["config", "cc", "remove"]);
    assert_eq!(sandbox.names(".claude"), [""; 0]);
}

#[test]
fn settings_behind_a_link_stay_there() {
    let sandbox = Sandbox::new();
    sandbox.write("dotfiles/claude.json", "{}\n");
    fs::create_dir(sandbox.path(".claude")).unwrap();
    symlink("../dotfiles/claude.json", sandbox.path(SETTINGS)).unwrap();
    assert_eq!(sandbox.run(&["config", "cc", "init"]).code, Some(0));
    assert!(fs::symlink_metadata(sandbox.path(SETTINGS)).unwrap().is_symlink());
    assert!(sandbox.read("dotfiles/claude.json").contains("managed-by-cc-relay"));
    assert_eq!(sandbox.run(&["config", "cc", "remove"]).code, Some(0));
    assert!(fs::symlink_metadata(sandbox.path(SETTINGS)).unwrap().is_symlink());
    assert_eq!(sandbox.read("dotfiles/claude.json"), "{}\n");
    assert_eq!(sandbox.names("dotfiles"), ["claude.json"]);
}

#[test]
fn a_copy_of_the_first_state_is_never_overwritten() {
    let sandbox = Sandbox::new();
    sandbox.write(SETTINGS, PECULIAR);
    sandbox.run(&["config", "cc", "init"]);
    sandbox.run(&["config", "cc", "init", "--proxy-url", "http://127.0.0.1:1"]);
    assert_eq!(sandbox.read(".claude/settings.json.cc-relay.bak"), PECULIAR);
    let changed = sandbox.read(SETTINGS).replace("zeta", "eta");
    sandbox.write(SETTINGS, &changed);
    sandbox.run(&["config", "cc", "remove"]);
    assert_eq!(sandbox.read(SETTINGS), PECULIAR.replace("zeta", "eta"));
    assert_eq!(sandbox.read(".claude/settings.json.cc-relay.bak"), PECULIAR, "it differs, so it stays");
}

#[test]
fn what_the_old_program_set_is_known_and_taken_back() {
    let sandbox = Sandbox::new();
    let old = "{\n  \"env\": {\n    \"ANTHROPIC_AUTH_TOKEN\": \"managed-by-cc-relay\",\n    \"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:8787\"\n  },\n  \"model\": \"opus\"\n}\n";
    sandbox.write(SETTINGS, old);
    assert_eq!(sandbox.run(&["config", "cc", "remove"]).code, Some(0));
    assert_eq!(sandbox.read(SETTINGS), "{\n  \"model\": \"opus\"\n}\n");
}

#[test]
fn claude_code_may_keep_its_settings_elsewhere() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("elsewhere").display().to_string();
    let sandbox = sandbox.with("CLAUDE_CONFIG_DIR", folder);
    assert_eq!(sandbox.run(&["config", "cc", "init"]).code, Some(0));
    assert!(sandbox.read("elsewhere/settings.json").contains("managed-by-cc-relay"));
    assert!(!sandbox.path(".claude").exists());
}

#[test]
fn status_says_what_is_set_by_whom_and_where_it_leads() {
    let sandbox = Sandbox::new();
    let status = ["config", "cc", "status"];
    assert_snapshot!(sandbox.run(&status).shown(), @r"
    exit: 1
    --- stdout
    --- stderr
    ✗ there is no [HOME]/.claude/settings.json
    ");
    sandbox
        .write(SETTINGS, r#"{"env": {"CLAUDE_CODE_USE_BEDROCK": "1", "ANTHROPIC_AUTH_TOKEN": "sk-hidden"}}"#);
    assert_snapshot!(sandbox.run(&status).shown(), @r"
    exit: 1
    --- stdout
    --- stderr
    [HOME]/.claude/settings.json
      ANTHROPIC_BASE_URL is not set
      ANTHROPIC_AUTH_TOKEN is a token (your own)
      CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY is not set
      CLAUDE_CODE_MAX_CONTEXT_TOKENS is not set
      CLAUDE_CODE_USE_BEDROCK is set: Claude Code talks to that cloud, not to the relay
    ✗ Claude Code does not come to the relay
    ");
    sandbox.run(&["config", "cc", "init", "--force", "--context-tokens", "7"]);
    let changed = sandbox.read(SETTINGS).replace("\"7\"", "\"8\"").replace("USE_BEDROCK", "USE_NOTHING");
    sandbox.write(SETTINGS, &changed);
    assert_snapshot!(sandbox.run(&status).shown(), @r#"
    exit: 0
    --- stdout
    --- stderr
    [HOME]/.claude/settings.json
      ANTHROPIC_BASE_URL is "http://127.0.0.1:8787" (set by cc-relay)
      ANTHROPIC_AUTH_TOKEN is "managed-by-cc-relay" (set by cc-relay, which keeps yours)
      CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY is not set
      CLAUDE_CODE_MAX_CONTEXT_TOKENS is "8" (changed since cc-relay set it)
    ✓ Claude Code comes to this relay (127.0.0.1:8787)
    "#);
    sandbox.write(
        "work/config.yaml",
        "server: {listen: '127.0.0.1:9'}\nproviders: [{name: a, type: anthropic, enabled: true}]",
    );
    let ended = sandbox.run(&status);
    assert!(
        ended.stderr.ends_with("✗ Claude Code goes elsewhere: this relay listens on 127.0.0.1:9\n"),
        "{}",
        ended.stderr
    );
    sandbox.write("work/config.yaml", "server: 1");
    let ended = sandbox.run(&status);
    assert!(ended.stderr.contains("? the configuration of the relay does not load"), "{}", ended.stderr);
}

#[test]
fn status_fails_unless_claude_code_comes_to_the_relay() {
    let sandbox = Sandbox::new();
    let settings =
        |more: &str| format!(r#"{{"env": {{"ANTHROPIC_BASE_URL": "http://127.0.0.1:8787"{more}}}}}"#);
    let relay = |port: u16| {
        format!(
            "server: {{listen: '127.0.0.1:{port}'}}\nproviders: [{{name: a, type: anthropic, enabled: true}}]"
        )
    };
    let (here, elsewhere, wrong) = (relay(8787), relay(9), "server: 1".to_owned());
    let table = [
        (settings(""), &here, 0, "✓"),
        (settings(r#", "CLAUDE_CODE_USE_VERTEX": "0""#), &here, 0, "✓"),
        (settings(r#", "CLAUDE_CODE_USE_VERTEX": "1""#), &here, 1, "✗"),
        (settings(""), &elsewhere, 1, "✗"),
        (settings(""), &wrong, 1, "?"),
        ("{}".to_owned(), &here, 1, "✗"),
    ];
    for (settings, config, code, mark) in table {
        sandbox.write(SETTINGS, &settings);
        sandbox.write("work/config.yaml", config);
        let ended = sandbox.run(&["config", "cc", "status"]);
        let last = ended.stderr.lines().last().unwrap();
        assert!(last.starts_with(mark), "{settings} {config}: {last}");
        assert_eq!(ended.code, Some(code), "{settings} {config}: {last}");
    }
}

/// What stands in a command line is seen by everybody who lists processes.
#[test]
fn a_key_comes_from_a_file_and_is_shown_nowhere() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("key", "  sk-relay-hidden \nnot this line\n");
    let ended = sandbox.run(&["config", "cc", "init", "--key-file", &file.display().to_string()]);
    assert_snapshot!(ended.shown(), @r"
    exit: 0
    --- stdout
    --- stderr
    [HOME]/.claude/settings.json
      ANTHROPIC_BASE_URL is `http://127.0.0.1:8787`
      ANTHROPIC_AUTH_TOKEN is your key
    start a new `claude` for it; `cc-relay config cc remove` takes it back
    also: --model-discovery       the models of the relay in `/model`
    also: --context-tokens N      the context of models that Claude Code does not know
    ");
    assert!(sandbox.read(SETTINGS).contains("\"ANTHROPIC_AUTH_TOKEN\": \"sk-relay-hidden\""));
}

#[test]
fn where_a_relay_is_that_takes_any_port_must_be_said() {
    let sandbox = Sandbox::new();
    let provider = "providers: [{ name: a, type: anthropic, enabled: true }]";
    sandbox.write("work/config.yaml", &format!("server: {{ listen: '127.0.0.1:0' }}\n{provider}\n"));
    assert_snapshot!(sandbox.run(&["config", "cc", "init"]).shown(), @r"
    exit: 1
    --- stdout
    --- stderr
    error: `server.listen` leaves the port to the system, which chooses another one with each start
      hint: give it a port, or say with `--proxy-url URL` where the relay is now: its log says so
    ");
    assert!(!sandbox.path(".claude/settings.json").exists());
    let told = sandbox.run(&["config", "cc", "init", "--proxy-url", "http://127.0.0.1:4711"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
}

#[test]
fn a_file_without_a_key_changes_nothing() {
    let sandbox = Sandbox::new();
    let empty = sandbox.write("empty", "\nsk-second-line\n").display().to_string();
    for file in [empty.as_str(), "/nowhere/key"] {
        let ended = sandbox.run(&["config", "cc", "init", "--key-file", file]);
        let shown = ended.shown();
        assert!(shown.starts_with("exit: 1") && shown.contains("key"), "{shown}");
        assert!(!shown.contains("sk-second-line"), "{shown}");
        assert!(!sandbox.path(".claude").exists());
    }
}

#[test]
fn init_leads_to_where_the_configuration_lets_the_relay_listen() {
    let provider = "providers: [{ name: a, type: anthropic, enabled: true }]";
    for (listen, url) in [
        ("127.0.0.1:8802", "http://127.0.0.1:8802"),
        ("0.0.0.0:8803", "http://127.0.0.1:8803"),
        ("[::1]:8804", "http://[::1]:8804"),
    ] {
        let sandbox = Sandbox::new();
        let server = format!("server: {{ listen: \"{listen}\", auth: {{ open: true }} }}\n{provider}\n");
        let file = sandbox.write("relay.yaml", &server).display().to_string();
        assert!(sandbox.run(&["--config", &file, "config", "cc", "init"]).shown().starts_with("exit: 0"));
        assert!(sandbox.read(SETTINGS).contains(&format!("\"{url}\"")), "{}", sandbox.read(SETTINGS));
    }
}

#[test]
fn several_that_change_the_settings_at_once_take_turns_and_lose_nothing() {
    let sandbox = Sandbox::new();
    let mine = r#"{"env": {"ANTHROPIC_AUTH_TOKEN": "mine"}}"#;
    sandbox.write(SETTINGS, mine);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let key = format!("sk-{number}");
                for _ in 0..8 {
                    let init = sandbox.run(&["config", "cc", "init", "--force", "--key", &key]);
                    assert_eq!(init.code, Some(0), "{}", init.stderr);
                    let remove = sandbox.run(&["config", "cc", "remove"]);
                    assert_eq!(remove.code, Some(0), "{}", remove.stderr);
                }
            });
        }
    });
    sandbox.run(&["config", "cc", "remove"]);
    assert_eq!(sandbox.read(SETTINGS), mine);
    assert_eq!(sandbox.names(".claude"), ["settings.json"]);
}

#[test]
fn status_looks_at_the_settings_of_the_folder_which_go_before_those_of_the_user() {
    let status = ["config", "cc", "status"];
    let with = |name: &str, env: &str| {
        let sandbox = Sandbox::new();
        sandbox.run(&["config", "cc", "init"]);
        sandbox.write(&format!("work/.claude/{name}"), &format!(r#"{{"env": {{{env}}}}}"#));
        sandbox.run(&status)
    };
    let elsewhere =
        r#""ANTHROPIC_BASE_URL": "https://other.example.com", "ANTHROPIC_AUTH_TOKEN": "sk-hidden""#;
    assert_snapshot!(with("settings.json", elsewhere).shown(), @r#"
    exit: 1
    --- stdout
    --- stderr
    [HOME]/.claude/settings.json
      ANTHROPIC_BASE_URL is "http://127.0.0.1:8787" (set by cc-relay)
      ANTHROPIC_AUTH_TOKEN is "managed-by-cc-relay" (set by cc-relay)
      CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY is not set
      CLAUDE_CODE_MAX_CONTEXT_TOKENS is not set
    ./.claude/settings.json, which goes before it in this folder
      ANTHROPIC_BASE_URL is "https://other.example.com"
      ANTHROPIC_AUTH_TOKEN is a token
    ✗ Claude Code goes elsewhere: this relay listens on 127.0.0.1:8787
    "#);
    let here = r#""ANTHROPIC_BASE_URL": "http://localhost:8787""#;
    let table = [
        (r#""ANTHROPIC_BASE_URL": """#, 1, "✗ Claude Code does not come to the relay"),
        (r#""CLAUDE_CODE_USE_BEDROCK": "1""#, 1, "✗ Claude Code does not come to the relay"),
        (elsewhere, 1, "✗ Claude Code goes elsewhere"),
        (here, 0, "✓ Claude Code comes to this relay"),
        (r#""OTHER": "1""#, 0, "✓ Claude Code comes to this relay"),
    ];
    for name in ["settings.json", "settings.local.json"] {
        for (env, code, last) in table {
            let ended = with(name, env);
            assert_eq!(ended.code, Some(code), "{name} {env}: {}", ended.stderr);
            assert!(ended.stderr.lines().last().unwrap().starts_with(last), "{name} {env}: {}", ended.stderr);
            assert_eq!(
                ended.stderr.contains(name) && ended.stderr.contains("./"),
                !env.contains("OTHER"),
                "{env}"
            );
        }
    }
    // One's own settings of a folder go before those that are shared.
    let sandbox = Sandbox::new();
    sandbox.run(&["config", "cc", "init"]);
    sandbox.write("work/.claude/settings.json", &format!(r#"{{"env": {{{elsewhere}}}}}"#));
    sandbox.write("work/.claude/settings.local.json", &format!(r#"{{"env": {{{here}}}}}"#));
    assert_eq!(sandbox.run(&status).code, Some(0));
    sandbox.write("work/.claude/settings.local.json", "{");
    assert_eq!(sandbox.run(&status).code, Some(1));
}
