//! Every file below `fixtures/configs` is loaded; what comes out is compared with `golden/`.

use std::path::{Path, PathBuf};

use relay_config::{Config, Format, Loaded, Notices, Problems, format_of, load, show};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/configs")
}

/// The environment of all fixtures.
fn environment(name: &str) -> Option<String> {
    let value = match name {
        "ANTHROPIC_API_KEY" => "sk-ant-test-key-1",
        "ANTHROPIC_API_KEY_2" => "sk-ant-test-key-2",
        "ZAI_API_KEY" => "sk-z1",
        "MINIMAX_API_KEY" => "sk-m1",
        "AWS_ACCESS_KEY_ID" => "AKIATEST",
        "AWS_SECRET_ACCESS_KEY" => "aws-secret",
        "RELAY_KEY" => "relay-key",
        "RELAY_BEARER" => "relay-bearer",
        "LAPTOP_KEY" => "laptop-key",
        "LISTEN" => "127.0.0.1:9999",
        "MAX_CONCURRENT" => "50",
        "RPM" => "1_000",
        "ONE" => "1",
        "EMPTY" => "",
        "SECRET_NUMBER" => "sk-in-the-wrong-place",
        _ => return None,
    };
    Some(value.to_owned())
}

fn read(name: &str) -> (String, Format) {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).expect("the fixture can be read");
    (text, format_of(&path).expect("fixtures are YAML or TOML"))
}

fn loaded(name: &str) -> Result<Loaded, Problems> {
    let (text, format) = read(name);
    load(&text, format, &environment).map_err(|problems| problems.in_file(name))
}

fn config(name: &str) -> Config {
    loaded(name).map_err(|problems| problems.to_string()).expect("it loads").config
}

fn every_fixture() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("the folder of fixtures is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("it can be listed").file_name().into_string().expect("names are UTF-8"))
        .filter(|name| format_of(Path::new(name)).is_ok())
        .collect();
    names.sort();
    names
}

/// What an operator would see.
fn outcome(name: &str) -> String {
    match loaded(name) {
        Err(problems) => problems.to_string(),
        Ok(Loaded { config, notices, .. }) => {
            format!("{}\n\n{}", Notices { file: name, list: &notices }, show::effective(&config))
        }
    }
}

#[test]
fn every_fixture_comes_out_as_it_must() {
    let names = every_fixture();
    assert!(names.len() >= 20, "{names:?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder().join("golden"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for name in names {
            insta::assert_snapshot!(name.as_str(), outcome(&name));
        }
    });
}

#[test]
fn yaml_and_toml_mean_the_same() {
    for name in ["every-key", "old-template"] {
        let yaml =
            loaded(&format!("{name}.yaml")).map_err(|problems| problems.to_string()).expect("it loads");
        let toml =
            loaded(&format!("{name}.toml")).map_err(|problems| problems.to_string()).expect("it loads");
        assert_eq!(yaml.config, toml.config, "{name}");
        let what = |loaded: &Loaded| {
            let mut what: Vec<_> =
                loaded.notices.iter().map(|notice| (notice.path.clone(), notice.what.clone())).collect();
            what.sort();
            what
        };
        assert_eq!(what(&yaml), what(&toml), "{name}");
    }
}

#[test]
fn no_secret_is_shown() {
    let secrets = [
        "sk-ant-test",
        "sk-z1",
        "sk-m1",
        "aws-secret",
        "relay-key",
        "relay-bearer",
        "laptop-key",
        "sk-in-the",
        "sk-not-a-list",
        "two words",
        "password@",
    ];
    for name in every_fixture() {
        let outcome = outcome(&name);
        for secret in secrets {
            assert!(!outcome.contains(secret), "{name} shows {secret}:\n{outcome}");
        }
        if let Ok(loaded) = loaded(&name) {
            let debug = format!("{loaded:?}");
            assert!(!secrets.iter().any(|secret| debug.contains(secret)), "{name}: {debug}");
        }
    }
}

#[test]
fn what_is_shown_loads_as_the_same_configuration() {
    for name in every_fixture() {
        let Ok(Loaded { config, .. }) = loaded(&name) else { continue };
        let shown = show::effective(&config);
        let again = load(&shown, Format::Yaml, &|_| None)
            .map_err(|problems| problems.to_string())
            .expect("what is shown loads");
        assert_eq!(without_secrets(&shown), without_secrets(&show::effective(&again.config)), "{name}");
    }
}

/// The text with every label in its place for the same one: a label is not the secret it stands for.
fn without_secrets(text: &str) -> String {
    let hide = |line: &str| line.split_once('<').map_or(line.to_owned(), |(before, _)| format!("{before}<>"));
    text.lines().map(hide).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_problem_says_where_it_is() {
    let problems = loaded("many-problems.yaml").expect_err("it is full of them");
    assert!(problems.list.len() > 35, "{problems}");
    let (text, _) = read("many-problems.yaml");
    for problem in &problems.list {
        let last = problem.path.rsplit('.').next().unwrap_or_default();
        let line = text.lines().nth(problem.line.saturating_sub(1) as usize).unwrap_or_default();
        let named = last.ends_with(']') || line.contains(last);
        assert!(problem.line > 0 && named, "{problem}: {line}");
    }
}

#[test]
fn the_keys_of_a_fixture_have_the_labels_of_the_old_program() {
    let fleet = config("every-key.yaml").fleet(&|_, _| None);
    let labels: Vec<Vec<&str>> = fleet
        .providers
        .iter()
        .map(|provider| provider.keys.iter().map(|key| key.label.as_str()).collect())
        .collect();
    assert_eq!(labels[0][0], "4c7bb2af");
    assert_eq!(labels[1], ["9c6a0e40"]);
    assert_eq!(labels.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1, 0]);
}
