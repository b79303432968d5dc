//! A configuration that is looked at without its secrets: what need not be there, and what its keys are called.

use relay_config::{Format, Problems, Sketch, sketch};

fn read(text: &str) -> Result<Sketch, Problems> {
    sketch(text, Format::Yaml, &|name| (name == "SET").then(|| "sk-ant-api03-set".to_owned()))
}

fn provider(keys: &str) -> String {
    format!("providers:\n  - name: a\n    type: anthropic\n    enabled: true\n    keys:\n{keys}")
}

#[test]
fn keys_are_called_by_where_their_secrets_lie_and_none_need_be_there() {
    let keys = "      - key: ${SET}\n      - key: ${UNSET_ONE}\n      - key: ${UNSET_TWO}\n        rpm_limit: ${LIMIT:-7}\n      \
                - key: sk-ant-api03-written\n      - key_file: ${FOLDER}/team-a\n      - key_file: /run/other/team-a\n      \
                - key_command: pass show anthropic/team-b\n";
    let Sketch { loaded, unset } = read(&provider(keys)).unwrap();
    assert_eq!(unset, ["FOLDER", "UNSET_ONE", "UNSET_TWO"]);
    let fleet = loaded.config.fleet_of_names();
    let keys = &fleet.providers[0].keys;
    let names: Vec<_> = keys.iter().map(|key| key.label.as_str()).collect();
    let label = relay_core::fleet::label(b"sk-ant-api03-written");
    let expect = ["SET", "UNSET_ONE", "UNSET_TWO", &label, "team-a", "team-a #2", "pass"];
    assert_eq!(names, expect);
    assert_eq!(keys[2].caps.requests, Some(7), "a default is a default, whatever else is not set");
    let ids: std::collections::BTreeSet<_> = keys.iter().map(|key| key.id).collect();
    assert_eq!(ids.len(), keys.len());
}

#[test]
fn what_is_no_secret_must_be_set() {
    let table = [
        ("      - key: ${UNSET}\n        rpm_limit: ${LIMIT}\n", "providers[0].keys[0].rpm_limit"),
        ("      - key: ${UNSET}\n        limit_group: ${GROUP}\n", "providers[0].keys[0].limit_group"),
    ];
    for (keys, path) in table {
        let problems = read(&provider(keys)).unwrap_err();
        let paths: Vec<_> = problems.list.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, [path]);
        assert!(problems.list[0].what.ends_with("is not set"), "{}", problems.list[0].what);
    }
}
