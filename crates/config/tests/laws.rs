//! What holds for every configuration: nothing panics, nothing leaks, what is given comes out.

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Just;
use relay_config::checked::{DebugOptions, Format as LogFormat, KeySource, Level};
use relay_config::{Config, Format, load, show};
use relay_providers::Secret;

/// Names of options, of sections, and of nothing.
const NAMES: [&str; 36] = [
    "server",
    "routing",
    "providers",
    "queue",
    "state",
    "path",
    "logging",
    "health",
    "cache",
    "grpc",
    "listen",
    "auth",
    "tls",
    "api_key",
    "clients",
    "name",
    "type",
    "enabled",
    "base_url",
    "models",
    "model_mapping",
    "keys",
    "key",
    "key_file",
    "key_command",
    "pooling",
    "strategy",
    "timeouts",
    "connect",
    "timeout_ms",
    "max_body_bytes",
    "priority",
    "weight",
    "default_provider",
    "nonsense",
    "<<",
];

/// A value in YAML's flow style.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("~".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        "[ -~]{0,12}".prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
        prop_oneof![
            Just("anthropic"),
            Just("zai"),
            Just("model_based"),
            Just("'127.0.0.1:1'"),
            Just("${SET}"),
            Just("${UNSET}"),
            Just("$SET"),
            Just("10s"),
            Just("64MiB"),
            Just("https://a.example"),
            Just("bedrock")
        ]
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::vec((proptest::sample::select(&NAMES[..]), inner), 0..6)
                .prop_map(|entries| map(&entries)),
        ]
    })
}

fn map(entries: &[(&str, String)]) -> String {
    let entries: Vec<_> = entries.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{{{}}}", entries.join(", "))
}

fn set(name: &str) -> Option<String> {
    (name == "SET").then(|| "sk-set-by-a-variable".to_owned())
}

/// A configuration with one provider and one key, and `options` in that section.
fn with(section: &str, options: &str) -> String {
    let or = |here: &str, otherwise| if section == here { options } else { otherwise };
    let place = |here: &str| or(here, "{}");
    format!(
        "server: {}\nrouting: {}\nqueue: {}\nstate: {}\nlogging: {}\n\
         providers: [{{name: a, type: anthropic, enabled: true, timeouts: {}, keys: [{}]}}]",
        place("server"),
        place("routing"),
        place("queue"),
        place("state"),
        place("logging"),
        place("timeouts"),
        or("key", "{key: sk-a}"),
    )
}

#[test]
fn a_key_in_which_nothing_is_said_of_its_secret_may_have_been_forgotten() {
    let notices = |options: &str| {
        let loaded = load(&with("key", options), Format::Yaml, &set);
        loaded.map_err(|problems| problems.to_string()).expect("it loads").notices
    };
    for options in ["{}", "{rpm_limit: 5}", "{key: }"] {
        let said = notices(options);
        assert!(said.iter().any(|notice| notice.what.contains("names no secret")), "{options}: {said:?}");
    }
    for options in ["{key: '${UNSET:-}'}", "{key: sk-a}"] {
        assert!(notices(options).is_empty(), "{options}: {:?}", notices(options));
    }
}

proptest! {
    #[test]
    fn no_tree_panics_or_shows_what_a_variable_holds(
        sections in proptest::collection::vec((proptest::sample::select(&NAMES[..]), value()), 0..6),
    ) {
        let text = map(&sections);
        match load(&text, Format::Yaml, &set) {
            Ok(loaded) => {
                let shown = show::effective(&loaded.config);
                let notices = format!("{:?}", loaded.notices);
                prop_assert!(!notices.contains("sk-set"), "{notices}");
                prop_assert!(!shown.contains("key: sk-set"), "{shown}");
            }
            Err(problems) => {
                prop_assert!(!problems.list.is_empty());
                prop_assert!(!problems.to_string().contains("sk-set"), "{problems}");
            }
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), toml in any::<bool>()) {
        let format = if toml { Format::Toml } else { Format::Yaml };
        let outcome = load(&text, format, &|name| Some(name.to_owned()));
        prop_assert!(outcome.map_or_else(|problems| !problems.list.is_empty(), |_| true));
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_printed(secret in "[a-z]{3}-[A-Za-z0-9]{12,20}") {
        let options = [
            ("server", "max_concurrent"), ("server", "listen"), ("server", "enable_http2"), ("server", "max_body_bytes"),
            ("server", "drain_timeout_ms"), ("routing", "strategy"), ("routing", "debug"), ("routing", "default_provider"),
            ("queue", "max_wait_ms"), ("state", "enabled"), ("logging", "level"), ("logging", "pretty"), ("timeouts", "idle"),
            ("key", "rpm_limit"), ("key", "priority"),
        ];
        for (section, option) in options {
            let more = if section == "key" { "key: sk-a, " } else { "" };
            let text = with(section, &format!("{{{more}{option}: '${{X}}'}}"));
            let problems = load(&text, Format::Yaml, &|_| Some(secret.clone())).expect_err("it is in the wrong place");
            prop_assert!(problems.list.iter().any(|problem| problem.path.ends_with(option)), "{problems}");
            prop_assert!(problems.list[0].what.contains("environment variable `X`"), "{problems}");
            prop_assert!(!problems.to_string().contains(secret.as_str()), "{problems}");
        }
    }

    #[test]
    fn a_key_is_what_was_written(secret in "[!-~]{1,40}") {
        let loaded = load(&with("key", "{key: '${X}'}"), Format::Yaml, &|_| Some(format!(" {secret}\n")));
        let loaded = loaded.map_err(|problems| problems.to_string()).expect("it loads");
        prop_assert_eq!(&loaded.config.providers[0].keys[0].source, &KeySource::Value(Secret::new(secret.as_str())));
        let shown = show::effective(&loaded.config);
        let label = Secret::new(secret.as_str()).label();
        prop_assert!(shown.contains(&format!("key: <{label}>")), "{shown}");
    }

    #[test]
    fn a_time_that_is_written_is_the_time_that_is_kept(millis in 1_u64..86_400_000) {
        let text = with("timeouts", &format!("{{idle: {}s{}ms}}", millis / 1_000, millis % 1_000));
        let loaded = load(&text, Format::Yaml, &set).map_err(|problems| problems.to_string()).expect("it loads");
        prop_assert_eq!(loaded.config.providers[0].deadlines.idle.as_millis(), u128::from(millis));
    }
}

fn config() -> Config {
    let text = "
routing: {strategy: model_based, model_mapping: {claude: a, glm: b, off: c}, default_provider: b}
queue: {max_wait_ms: 1234}
providers:
  - {name: a, type: anthropic, enabled: true, keys: [{key: sk-1, priority: 2}, {key_file: /k}, {key_command: 'echo k'}]}
  - {name: c, type: zai, enabled: false}
  - {name: b, type: anthropic, enabled: true, weight: 4, keys: [{key: sk-1}]}
";
    load(text, Format::Yaml, &set).map_err(|problems| problems.to_string()).expect("it loads").config
}

#[test]
fn the_fleet_leaves_out_keys_whose_secret_is_absent() {
    let config = config();
    let without = config.fleet(&|_, _| None);
    assert_eq!(without.providers.iter().map(|provider| provider.keys.len()).collect::<Vec<_>>(), [1, 1]);
    let with = config.fleet(&|provider, key| Some(Secret::new(format!("{provider}-{key}"))));
    let labels: Vec<_> = with.providers[0].keys.iter().map(|key| key.label.clone()).collect();
    assert_eq!(labels, ["sk-1", "0-1", "0-2"].map(|secret| Secret::new(secret).label()));
    assert_eq!((with.providers[0].keys[0].priority, with.providers[1].weight), (2, 4));
    assert_eq!(with.max_wait.as_millis(), 1_234);
}

#[test]
fn a_key_in_a_file_stays_the_same_key_when_its_secret_changes() {
    let config = config();
    let ids = |secret: &str| {
        let fleet = config.fleet(&|_, _| Some(Secret::new(secret)));
        fleet.providers[0].keys.iter().map(|key| key.id).collect::<Vec<_>>()
    };
    assert_eq!(ids("old"), ids("new"));
    let fleet = config.fleet(&|_, _| None);
    assert_ne!(fleet.providers[0].keys[0].id, fleet.providers[1].keys[0].id, "one secret, two providers");
}

#[test]
fn models_belong_to_providers_only_when_routing_goes_by_model() {
    let mut config = config();
    let fleet = config.fleet(&|_, _| None);
    let id = |place: usize| fleet.providers[place].id;
    let expect = [("claude".to_owned(), id(0)), ("glm".to_owned(), id(1))];
    assert_eq!(fleet.ownership.prefixes, expect);
    assert_eq!(fleet.ownership.default, Some(id(1)));
    config.routing.model_based = false;
    assert_eq!(config.fleet(&|_, _| None).ownership, relay_core::Ownership::default());
}

#[test]
fn the_command_line_may_change_what_is_logged() {
    let mut config = config();
    config.log_level("WARN").expect("it is a level");
    config.log_format("json").expect("it is a format");
    assert_eq!((config.log.level, config.log.format), (Level::Warn, LogFormat::Json));
    config.debug();
    assert_eq!(config.log.level, Level::Debug);
    assert_eq!(config.log.debug, DebugOptions::ALL);
    let problem = config.log_level("inof").expect_err("it is none");
    let expect = "--log-level: must be one of `debug`, `info`, `warn`, `error`, is `inof` (hint: did you mean `info`?)";
    assert_eq!(problem.to_string(), expect);
    assert!(config.log_format("xml").is_err());
    assert_eq!(config.log.format, LogFormat::Json);
}
