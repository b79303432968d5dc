//! The command line: help, versions, and what it says of wrong usage.

use crate::program::Sandbox;
use insta::assert_snapshot;

#[test]
fn without_a_command_help_is_printed_on_standard_output() {
    let sandbox = Sandbox::new();
    assert_snapshot!("help", sandbox.run(&[]).shown());
    assert_snapshot!("help_config", sandbox.run(&["config"]).shown());
    assert_snapshot!("help_config_cc", sandbox.run(&["config", "cc"]).shown());
    for (named, bare) in [(&["--help"][..], &[][..]), (&["config", "--help"], &["config"]), (&["help"], &[])]
    {
        let (named, bare) = (sandbox.run(named), sandbox.run(bare));
        assert_eq!((named.code, named.stdout, named.stderr), (bare.code, bare.stdout, bare.stderr));
    }
}

#[test]
fn every_command_has_help() {
    let sandbox = Sandbox::new();
    let commands: [&[&str]; 13] = [
        &["serve"],
        &["demo"],
        &["plan"],
        &["status"],
        &["reset"],
        &["version"],
        &["completion"],
        &["config", "init"],
        &["config", "validate"],
        &["config", "show"],
        &["config", "cc", "init"],
        &["config", "cc", "remove"],
        &["config", "cc", "status"],
    ];
    for command in commands {
        let ended = sandbox.run(&[command, &["--help"]].concat());
        assert_snapshot!(format!("help_{}", command.join("_")), ended.shown());
    }
}

#[test]
fn the_version_is_on_standard_output_whichever_way_it_is_asked_for() {
    let sandbox = Sandbox::new();
    for way in ["--version", "-v", "-V", "version"] {
        let expect = "exit: 0\n--- stdout\ncc-relay [VERSION]\n--- stderr\n";
        assert_eq!(sandbox.run(&[way]).shown(), expect, "{way}");
    }
}

#[test]
fn what_was_asked_for_and_could_not_be_written_is_a_failure() {
    let sandbox = Sandbox::new();
    let asked: [&[&str]; 9] = [
        &["--help"],
        &["-h"],
        &["help"],
        &["serve", "--help"],
        &["--version"],
        &["-v"],
        &["version"],
        &["completion", "bash"],
        &[],
    ];
    for arguments in asked {
        let ended = sandbox.run_on_a_full_disk(arguments);
        let expect = "error: cannot write to standard output: No space left on device (os error 28)\n";
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), expect), "{arguments:?}");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_wrong() {
    let sandbox = Sandbox::new();
    let table: [(&[&str], &str); 11] = [
        (&["sevre"], "unrecognized subcommand 'sevre'"),
        (&["config", "reload"], "unrecognized subcommand 'reload'"),
        (&["serve", "--port", "1"], "unexpected argument '--port'"),
        (&["serve", "now"], "unexpected argument 'now'"),
        (&["--config"], "a value is required for '--config <PATH>'"),
        (&["serve", "--log-level", "loud"], "--log-level: must be"),
        (&["serve", "--log-format", "xml"], "--log-format: must be"),
        (&["config", "cc", "init", "--proxy-url", "127.0.0.1:8787"], "must be an address like"),
        (&["config", "cc", "init", "--key", "a b"], "visible ASCII characters"),
        (&["config", "cc", "init", "--key", "a", "--subscription"], "cannot be used with"),
        (&["config", "cc", "init", "--context-tokens", "0"], "invalid value '0'"),
    ];
    for (arguments, expect) in table {
        let ended = sandbox.run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(expect), "{}", ended.stderr);
    }
    assert!(!sandbox.path(".claude").exists(), "wrong usage changes nothing");
}

#[test]
fn every_shell_gets_its_completions() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = sandbox.run(&["completion", shell]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(ended.stdout.contains("validate"), "{shell}");
    }
    assert_eq!(sandbox.run(&["completion", "cmd"]).code, Some(2));
}
