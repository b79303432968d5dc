//! Faults of the old program that must not come back, each by its number in the list of its weaknesses.

use relay_config::checked::KeySource;
use relay_config::{Config, Format, Loaded, Problems, load, reference, show};

fn nothing_set(_: &str) -> Option<String> {
    None
}

fn yaml(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    load(text, Format::Yaml, environment)
}

fn right(text: &str) -> Loaded {
    yaml(text, &nothing_set).map_err(|problems| problems.to_string()).expect("it loads")
}

fn wrong(text: &str) -> Problems {
    yaml(text, &nothing_set).expect_err("it must not load")
}

const ANTHROPIC: &str = "
providers:
  - {name: anthropic, type: anthropic, enabled: true, keys: [{key: sk-1}]}
";

#[test]
fn w26_pooling_can_be_switched_off_with_several_keys() {
    let loaded = right(
        "providers: [{name: a, type: anthropic, enabled: true, pooling: {enabled: false},
          keys: [{key: sk-1, weight: 3}, {key: sk-2}]}]",
    );
    assert_eq!(loaded.config.providers[0].keys.len(), 1);
    assert_eq!(loaded.config.providers[0].weight, 3);
    assert_eq!(loaded.notices.len(), 1, "{:?}", loaded.notices);
    assert_eq!(loaded.notices[0].path, "providers[0].pooling.enabled");
}

#[test]
fn w45_a_file_without_a_cache_section_loads() {
    assert_eq!(right(ANTHROPIC).notices, []);
    for mode in ["disabled", "single", "ha"] {
        let loaded = right(&format!("{ANTHROPIC}\ncache:\n  mode: {mode}\n"));
        let told: Vec<_> = loaded.notices.iter().map(|notice| notice.path.as_str()).collect();
        let expect: &[&str] = if mode == "disabled" { &[] } else { &["cache"] };
        assert_eq!(told, expect, "{mode}");
        assert_eq!(loaded.config, right(ANTHROPIC).config, "{mode}");
    }
    let problems = wrong(&format!("{ANTHROPIC}\ncache:\n  mode: olric\n"));
    assert_eq!(problems.list[0].path, "cache.mode");
}

#[test]
fn w46_what_serves_is_valid_and_what_is_valid_serves() {
    // The template, whether its variable is set or not.
    let template = |format| load(reference::template(format), format, &nothing_set);
    let template = |format| template(format).map_err(|problems| problems.to_string()).unwrap();
    assert_eq!(template(Format::Yaml).notices, []);
    assert_eq!(template(Format::Toml).notices, []);
    assert_eq!(template(Format::Toml).config, template(Format::Yaml).config);
    // A configuration without the legacy `server.api_key`.
    assert!(!right(ANTHROPIC).config.auth.asks());
    // An Ollama without keys.
    let loaded = right("providers: [{name: local, type: ollama, enabled: true}]");
    assert_eq!(loaded.config.providers[0].keys, []);
    // What could not serve is not valid.
    for text in [
        "{}",
        "providers: []",
        "providers: [{name: a, type: anthropic, enabled: false}]",
        "providers: [{name: a, type: zai, enabled: true}]",
        "providers: [{name: a, type: zai, enabled: true, keys: []}]",
        "providers: [{name: a, type: zai, enabled: true, keys: [{key: ''}]}]",
    ] {
        assert_eq!(wrong(text).list.len(), 1, "{text}");
    }
}

#[test]
fn w51_unknown_keys_are_problems_and_obsolete_ones_are_notices() {
    let problems = wrong(&format!("{ANTHROPIC}\nrouting:\n  stategy: shuffle\nsever: {{}}\n"));
    let told: Vec<_> = problems.list.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "routing.stategy line 6: unknown key (hint: did you mean `strategy`?)",
            "sever line 7: unknown key (hint: did you mean `server`?)",
        ]
    );
    let obsolete = "
grpc: {listen: '127.0.0.1:9090'}
metrics: {enabled: true}
logging: {file: x}
routing: {failover_timeout: 5000}
health: {check_interval_seconds: 30, triggers: {}, circuit_breaker: {recovery_timeout_seconds: 60, triggers: {}}}
";
    let loaded = right(&format!("{ANTHROPIC}{obsolete}"));
    let mut told: Vec<_> = loaded.notices.iter().map(|notice| notice.path.as_str()).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "grpc",
            "health",
            "health.check_interval_seconds",
            "health.circuit_breaker.recovery_timeout_seconds",
            "health.circuit_breaker.triggers",
            "health.triggers",
            "logging.file",
            "metrics",
            "routing.failover_timeout",
        ]
    );
}

#[test]
fn w52_a_variable_never_changes_the_structure_and_a_dollar_can_be_written() {
    let hostile = "x\"]}, {key: injected}\n# comment: 'y";
    let text = "
# ${IN_A_COMMENT} is not looked at
providers:
  - {name: a, type: anthropic, enabled: true, models: [\"${HOSTILE}\", '${HOSTILE}', '$${HOSTILE}'], keys: [{key: sk-1}]}
";
    let environment = |name: &str| (name == "HOSTILE").then(|| hostile.to_owned());
    let loaded = yaml(text, &environment).map_err(|problems| problems.to_string()).expect("it loads");
    assert_eq!(loaded.config.providers[0].models, [hostile, hostile, "${HOSTILE}"]);
    assert_eq!(loaded.config.providers[0].keys.len(), 1);
}

#[test]
fn an_open_relay_is_for_this_machine_unless_it_says_otherwise() {
    let server = |server: &str| yaml(&format!("server: {{{server}}}\n{ANTHROPIC}"), &nothing_set).is_ok();
    let table = [
        ("listen: '127.0.0.1:1'", true),
        ("listen: '[::1]:1'", true),
        ("listen: 'localhost:1'", true),
        ("listen: '0.0.0.0:1'", false),
        ("listen: ':1'", false),
        ("listen: '[::]:1'", false),
        ("listen: 'example.com:1'", false),
        ("listen: ':1', auth: {open: true}", true),
        ("listen: ':1', auth: {api_key: k}", true),
        ("listen: ':1', api_key: k", true),
        ("listen: ':1', auth: {api_key: ''}", false),
        ("listen: ':1', auth: {allow_bearer: true}", false),
        ("listen: ':1', auth: {allow_bearer: true, open: true}", true),
        ("listen: ':1', auth: {allow_bearer: true, bearer_secret: s}", true),
        ("listen: ':1', auth: {bearer_secret: s}", false),
        // Any bearer beside a key is no better than any bearer alone.
        ("listen: ':1', auth: {api_key: k, allow_subscription: true}", false),
        ("listen: ':1', auth: {clients: [{name: n, key: k}]}", true),
        ("listen: ':1', auth: {clients: [{name: n, key_file: /k}]}", true),
        ("listen: ':1', tls: {certificate: /c, key: /k}", false),
        ("listen: ':1', tls: {certificate: /c, key: /k, client_ca: /a}", true),
    ];
    for (text, expect) in table {
        assert_eq!(server(text), expect, "{text}");
    }
}

#[test]
fn clients_are_told_apart_by_name_and_by_key() {
    let names = |auth: &str| {
        let loaded = yaml(&format!("server: {{auth: {{{auth}}}}}\n{ANTHROPIC}"), &nothing_set).ok()?;
        let Config { auth, .. } = loaded.config;
        let known = auth.clients.iter().map(|client| client.name.clone());
        Some(
            known
                .chain(auth.client_files.iter().map(|client| client.name.clone()))
                .collect::<Vec<_>>()
                .join(" "),
        )
    };
    let table = [
        ("", Some("")),
        ("api_key: a", Some("default")),
        ("api_key: a, allow_bearer: true, bearer_secret: b", Some("default bearer")),
        // One secret for both is one client.
        ("api_key: a, allow_bearer: true, bearer_secret: a", Some("default")),
        ("api_key: a, clients: [{name: x, key: b}, {name: y, key_file: /y}]", Some("default x y")),
        ("api_key: a, clients: [{name: x, key: a}]", None),
        ("api_key: a, clients: [{name: default, key: b}]", None),
        ("clients: [{name: x, key: a}, {name: x, key_file: /x}]", None),
        ("clients: [{name: '', key: a}]", None),
    ];
    for (text, expect) in table {
        assert_eq!(names(text).as_deref(), expect, "{text}");
    }
}

#[test]
fn old_limits_on_all_tokens_are_halved_and_never_lifted() {
    let table = [
        ("tpm_limit: 100000", (50_000, 50_000)),
        ("tpm_limit: 100001", (50_001, 50_000)),
        ("tpm_limit: 1", (1, 1)),
        ("tpm_limit: 0", (0, 0)),
        ("tpm_limit: 10, itpm_limit: 7", (7, 0)),
        ("tpm_limit: 10, otpm_limit: 7", (0, 7)),
        ("itpm_limit: 3, otpm_limit: 4", (3, 4)),
    ];
    for (text, expect) in table {
        let text =
            format!("providers: [{{name: a, type: anthropic, enabled: true, keys: [{{key: k, {text}}}]}}]");
        let limits = right(&text).config.providers[0].keys[0].limits;
        assert_eq!((limits.input, limits.output), expect, "{text}");
    }
}

#[test]
fn the_first_key_speaks_for_its_provider_unless_that_speaks_itself() {
    let table = [
        ("keys: [{key: k}]", (0, 1)),
        ("keys: [{key: k, priority: 2, weight: 5}, {key: l, priority: 1, weight: 9}]", (2, 5)),
        ("keys: [{key: k, priority: 0, weight: 0}]", (0, 1)),
        ("keys: [{priority: 2, weight: 4}]", (2, 4)),
        ("priority: 9, weight: 8, keys: [{key: k, priority: 2, weight: 5}]", (9, 8)),
        ("keys: []", (0, 1)),
    ];
    for (text, expect) in table {
        let config =
            right(&format!("providers: [{{name: a, type: anthropic, enabled: true, {text}}}]")).config;
        assert_eq!((config.providers[0].priority, config.providers[0].weight), expect, "{text}");
    }
}

#[test]
fn the_old_time_out_is_the_default_of_the_first_byte() {
    let seconds = |server: &str, provider: &str| {
        let text = format!(
            "server: {{{server}}}\nproviders: [{{name: a, type: anthropic, enabled: true, {provider}}}, \
             {{name: o, type: ollama, enabled: true}}]"
        );
        let providers = right(&text).config.providers;
        (providers[0].deadlines.first_byte.as_secs(), providers[1].deadlines.first_byte.as_secs())
    };
    assert_eq!(seconds("", ""), (600, 3_600));
    assert_eq!(seconds("timeout_ms: 0", ""), (600, 3_600));
    assert_eq!(seconds("timeout_ms: 120000", ""), (120, 120));
    assert_eq!(seconds("timeout_ms: 120000", "timeouts: {first_byte: 5s}"), (5, 120));
}

#[test]
fn rules_of_routing_name_providers_that_exist() {
    let routing = |routing: &str| {
        let text = format!(
            "routing: {{strategy: model_based, {routing}}}\nproviders:
  - {{name: anthropic, type: anthropic, enabled: true}}
  - {{name: zai, type: zai, enabled: false}}"
        );
        yaml(&text, &nothing_set)
    };
    let loaded = routing("model_mapping: {claude: anthropic, glm: zai}, default_provider: anthropic");
    let loaded = loaded.map_err(|problems| problems.to_string()).expect("it loads");
    let expect = [("claude".to_owned(), Some(0)), ("glm".to_owned(), None)];
    assert_eq!(loaded.config.routing.prefixes, expect);
    assert_eq!(loaded.config.routing.default_provider, Some(0));
    assert_eq!(loaded.notices.len(), 1);

    let problems = routing("model_mapping: {claude: antropic}").expect_err("nobody is called so");
    assert_eq!(problems.list[0].hint.as_deref(), Some("did you mean `anthropic`?"));
    let problems = routing("default_provider: anthropic").expect_err("the mapping is missing");
    assert_eq!(problems.list[0].path, "routing.strategy");
}

#[test]
fn an_upstream_that_is_the_relay_itself_is_a_problem() {
    for (listen, url, fine) in [
        ("127.0.0.1:8787", "http://localhost:8787", false),
        ("[::1]:8787", "http://[::1]:8787/", false),
        ("localhost:80", "http://127.0.0.1", false),
        ("127.0.0.1:8787", "http://localhost:8788", true),
        ("127.0.0.1:8787", "http://10.0.0.1:8787", true),
    ] {
        let text = format!(
            "server: {{listen: '{listen}'}}\nproviders: [{{name: a, type: ollama, enabled: true, base_url: '{url}'}}]"
        );
        assert_eq!(yaml(&text, &nothing_set).is_ok(), fine, "{listen} {url}");
    }
}

#[test]
fn a_problem_in_one_place_hides_no_other_and_causes_none() {
    let problems =
        wrong("server: {listen: {}, auth: {open: maybe}}\nproviders: [{name: [], type: 5, enabled: true}]");
    let paths: Vec<_> = problems.list.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["server.listen", "server.auth.open", "providers[0].name", "providers[0].type"]);
}

#[test]
fn without_a_file_the_relay_serves_anthropic_on_loopback() {
    let environment = |name: &str| match name {
        "ANTHROPIC_API_KEY" => Some("sk-ant-test-key-1".to_owned()),
        // It leads clients to this relay, not the relay to itself.
        "ANTHROPIC_BASE_URL" => Some("http://127.0.0.1:8787".to_owned()),
        _ => None,
    };
    let loaded = Config::without_file(&environment).expect("it is right");
    assert_eq!(loaded.notices, []);
    assert_eq!(loaded.config.server.listen.to_string(), "127.0.0.1:8787");
    assert_eq!(loaded.config.providers[0].base_url, "https://api.anthropic.com/");
    assert_eq!(loaded.config.fleet(&|_, _| None).providers[0].keys[0].label, "4c7bb2af");

    let loaded = Config::without_file(&nothing_set).expect("it is right");
    assert_eq!(loaded.notices, []);
    assert_eq!(loaded.config.providers[0].keys, []);

    let elsewhere =
        |name: &str| (name == "CC_RELAY_ANTHROPIC_BASE_URL").then(|| "http://127.0.0.1:1".to_owned());
    let loaded = Config::without_file(&elsewhere).expect("it is right");
    assert_eq!(loaded.config.providers[0].base_url, "http://127.0.0.1:1/");

    let badly = |name: &str| (name == "CC_RELAY_ANTHROPIC_BASE_URL").then(|| "sk-secret".to_owned());
    let problems = Config::without_file(&badly).expect_err("it is no URL");
    let told = problems.to_string();
    let expect = "\
error: 1 problem in the environment
  providers[0].base_url   environment variable `CC_RELAY_ANTHROPIC_BASE_URL` is not the URL of a provider
      hint: write `https://` or `http://`, a host, and perhaps a port and a path";
    assert_eq!(told, expect);
}

/// What is said and run of a key whose command is that.
fn commanded(
    command: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(Loaded, String), Problems> {
    let text = format!(
        "providers:\n  - name: a\n    type: anthropic\n    enabled: true\n    keys:\n      - key_command: |-\n          {command}\n"
    );
    let loaded = yaml(&text, environment)?;
    let run = match &loaded.config.providers[0].keys[0].source {
        KeySource::Command(command) => command.clone(),
        KeySource::Value(_) | KeySource::File(_) | KeySource::Identity(_) => String::new(),
    };
    Ok((loaded, run))
}

#[test]
fn of_a_key_command_no_more_is_shown_than_its_program() {
    let table = [
        ("pass", "pass"),
        ("pass show anthropic", "pass [redacted]"),
        ("/usr/bin/vault-2.0 read -token=hidden", "/usr/bin/vault-2.0 [redacted]"),
        ("TOKEN=hidden vault read", "[redacted]"),
        ("echo;hidden", "[redacted]"),
        ("\"hidden\"", "[redacted]"),
        ("curl -H 'x-token: hidden' https://user:hidden@example.com/hidden", "curl [redacted]"),
        ("echo ${SECRET}", "echo [redacted]"),
        ("${SECRET}", "[redacted]"),
        ("sk-ant-api03-hidden", "[redacted]"),
        ("hiddenhiddenhiddenhiddenhiddenhidden", "[redacted]"),
    ];
    for (command, expect) in table {
        let (loaded, _) = commanded(command, &|_| Some("hidden".to_owned())).expect("it loads");
        let shown = show::effective(&loaded.config);
        let line = shown.lines().find(|line| line.contains("key_command")).unwrap_or_default();
        let value = line.split_once(": ").map_or("", |(_, value)| value.trim_matches(['"', '\'']));
        assert_eq!(value, expect, "{command}");
        let named = loaded.config.fleet_of_names().providers[0].keys[0].label.clone();
        let said = format!("{shown}{loaded:?}{named}");
        assert!(!said.contains("hidden"), "{command}: {said}");
    }
}

#[test]
fn a_variable_in_a_key_command_is_left_to_the_shell_and_must_be_set_all_the_same() {
    let hostile = |name: &str| (name == "SET").then(|| "x; rm -rf /".to_owned());
    for (command, expect) in [
        ("pass show ${SET}", "pass show ${SET}"),
        ("pass show \"${UNSET:-$SET}\"", "pass show \"${UNSET:-$SET}\""),
        ("k=$(pass show x); echo $${k%:*}", "k=$(pass show x); echo ${k%:*}"),
    ] {
        let (_, run) =
            commanded(command, &hostile).map_err(|problems| problems.to_string()).expect("it loads");
        assert_eq!(run, expect, "{command}");
    }
    let what =
        |command: &str| commanded(command, &hostile).expect_err("it must not load").list[0].to_string();
    let unset = "environment variable `UNSET` is not set (hint: export it before starting, or remove the provider `a`)";
    assert!(what("pass show ${UNSET}").ends_with(unset), "{}", what("pass show ${UNSET}"));
    assert!(what("echo ${SET%x}").contains("holds a `${` that does not begin a variable"));
}

#[test]
fn a_variable_that_the_shell_would_not_replace_is_told() {
    let notices = |command: &str| commanded(command, &|_| Some("x".to_owned())).expect("it loads").0.notices;
    assert_eq!(notices("echo \"${KEY}\""), []);
    let expect = "providers[0].keys[0].key_command line 6: `KEY` stands between single quotes, where the shell does not \
                  replace it (hint: put it between double quotes, or write `$${KEY}` if that is meant)";
    assert_eq!(notices("echo '${KEY}'")[0].to_string(), expect);
}

#[test]
fn an_empty_key_is_left_out_whether_it_is_written_so_or_comes_from_a_variable() {
    let read = |keys: &str| {
        let text = format!("providers: [{{name: a, type: anthropic, enabled: true, keys: [{keys}]}}]");
        let empty = |name: &str| (name == "EMPTY").then(String::new);
        let loaded = yaml(&text, &empty).map_err(|problems| problems.to_string()).expect("it loads");
        let told: Vec<_> = loaded.notices.iter().map(ToString::to_string).collect();
        (loaded.config.providers[0].keys.iter().map(|key| key.source.clone()).collect::<Vec<_>>(), told)
    };
    let (from_variable, told) = read("{key: '${EMPTY}'}");
    assert!(told[0].contains("environment variable `EMPTY` is empty: this key is left out"), "{told:?}");
    for literal in ["{key: ''}", "{key: ' '}"] {
        let (sources, told) = read(literal);
        // A key that is not there, and not the credential of whoever asks.
        assert_eq!(sources, from_variable, "{literal}");
        let expect = "providers[0].keys[0].key line 1: is empty: this key is left out (hint: write the key, or remove the \
                      entry if the client's own credential is meant)";
        assert_eq!(told, [expect], "{literal}");
    }
    assert_eq!(read("{key: ''}, {key: sk-1}, {key: ''}").0.len(), 3);
    assert_eq!(read("{key: '${EMPTY:-}'}"), (vec![], vec![]));
}

#[test]
fn an_empty_credential_of_clients_asks_for_nothing_and_says_so() {
    let told = |server: &str| {
        let loaded = right(&format!("server: {{{server}}}\n{ANTHROPIC}"));
        let told: Vec<_> = loaded.notices.iter().map(ToString::to_string).collect();
        (loaded.config.auth.asks(), loaded.config.auth.any_bearer, told.join("\n"))
    };
    let old = "server.api_key line 1: is the old place of `server.auth.api_key` (hint: move it to `server.auth.api_key`)";
    let nobody = "is empty: nobody is asked for it (hint: write a key, or remove it if that is meant)";
    let anybody =
        "is empty: any bearer opens the relay (hint: write a secret, or remove it if that is meant)";
    let table = [
        ("auth: {api_key: ''}", (false, false), format!("server.auth.api_key line 1: {nobody}")),
        ("api_key: ''", (false, false), format!("{old}\nserver.api_key line 1: {nobody}")),
        (
            "auth: {allow_bearer: true, bearer_secret: ''}",
            (true, true),
            format!("server.auth.bearer_secret line 1: {anybody}"),
        ),
        // Of these nothing is opened that would be closed otherwise.
        ("auth: {bearer_secret: ''}", (false, false), String::new()),
        ("auth: {api_key: '${NONE:-}'}", (false, false), String::new()),
        ("api_key: k, auth: {api_key: ''}", (true, false), old.to_owned()),
    ];
    for (server, (asks, any_bearer), expect) in table {
        assert_eq!(told(server), (asks, any_bearer, expect), "{server}");
    }
}

#[test]
fn an_unset_variable_in_one_of_several_keys_is_no_reason_to_remove_the_provider() {
    let hint = |keys: &str| {
        let text = format!("providers: [{{name: a, type: anthropic, enabled: true, keys: [{keys}]}}]");
        wrong(&text).list[0].hint.clone().unwrap_or_default()
    };
    assert_eq!(hint("{key: '${NONE}'}"), "export it before starting, or remove the provider `a`");
    for key in ["{key: '${NONE}'}", "{key_file: '${NONE}/k'}", "{key_command: 'pass ${NONE}'}"] {
        let hint = hint(&format!("{{key: sk-1}}, {key}"));
        assert_eq!(hint, "export it before starting, or remove this entry of `keys`", "{key}");
    }
}

#[test]
fn what_is_told_of_the_environment_has_no_line() {
    let blank = |name: &str| (name == "ANTHROPIC_API_KEY").then(|| " ".to_owned());
    let loaded = Config::without_file(&blank).map_err(|problems| problems.to_string()).expect("it loads");
    let told: Vec<_> = loaded.notices.iter().map(ToString::to_string).collect();
    let expect = "providers[0].keys[0].key: environment variable `ANTHROPIC_API_KEY` is empty: this key is left out \
                  (hint: set it, or unset it if the client's own credential is meant)";
    assert_eq!(told, [expect]);
}
