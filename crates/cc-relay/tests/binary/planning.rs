//! `plan`, and `serve --record` which writes what it plays again.

use insta::assert_snapshot;
use serde_json::Value;

use crate::program::Sandbox;

const CONFIG: &str = "providers:
  - name: anthropic
    type: anthropic
    enabled: true
    keys:
      - { key: sk-ant-api03-hidden, rpm_limit: 60, itpm_limit: 60000, otpm_limit: 12000 }
      - { key: '${NOT_SET}', limit_group: team }
";

const HEAD: &str = "{\"cc_relay_recording\":1,\"began_us\":0}\n";

/// A call a second, of two sessions in turn.
fn recording() -> String {
    let call = |second: u64| {
        let (at, session) = (second * 1_000_000, second % 2);
        format!(
            "{{\"at_us\":{at},\"session\":{session},\"model\":\"claude-sonnet-5-5\",\"bytes\":8000,\"max_tokens\":32000,\
             \"stream\":true,\"background\":false,\"status\":200,\"end\":\"whole\",\"input\":2000,\"cache_write\":0,\
             \"cache_read\":0,\"output\":60,\"waited_us\":0,\"sent_us\":0,\"answered_us\":500000,\
             \"first_byte_us\":500000,\"duration_us\":1500000}}\n"
        )
    };
    [HEAD.to_owned()].into_iter().chain((0..120).map(call)).collect()
}

#[test]
fn a_plan_says_what_a_configuration_carries() {
    let sandbox = Sandbox::new();
    sandbox.write("work/config.yaml", CONFIG);
    let ended = sandbox.run(&["plan", "--agents", "2", "--for", "10m"]);
    assert_snapshot!("plan", ended.shown());
    assert!(!ended.stdout.contains("hidden"));
    let again = sandbox.run(&["plan", "--agents", "2", "--for", "10m"]);
    assert_eq!(again.stdout, ended.stdout, "the same question, the same answer");
}

#[test]
fn a_recording_is_played_again_and_another_configuration_set_against_it() {
    let sandbox = Sandbox::new();
    sandbox.write("work/config.yaml", CONFIG);
    sandbox.write("work/larger.yaml", &CONFIG.replace("itpm_limit: 60000", "itpm_limit: 90000"));
    let torn = format!("{}{{\"at_us\":\"x\"}}\n{{\"at_us\":1,\"sess", recording());
    sandbox.write("work/calls.jsonl", &torn);
    let plan = ["plan", "--workload", "calls.jsonl", "--against", "larger.yaml", "--assume-itpm", "10000"];
    assert_snapshot!("plan_recording", sandbox.run(&plan).shown());
    let ended = sandbox.run(&[&plan[..], &["--json", "--svg", "plan.svg"]].concat());
    let json: Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
    assert_eq!(json["calls"]["answered"], 120);
    let notes = json["notes"].as_array().expect("a list");
    let bad = "calls.jsonl:122: this line is left out: invalid type: string \"x\", expected u64 at column 12";
    assert_eq!(notes[1], bad, "{notes:#?}");
    assert_eq!(notes.len(), 3, "{notes:#?}");
    assert!(json["difference"]["mean_wait_ms"]["before"].is_number());
    assert_eq!(json["against"]["configuration"], "larger.yaml");
    assert!(sandbox.read("work/plan.svg").starts_with("<svg "));
}

const GUIDE: &str = include_str!("../../../../docs/book/guides/plan.md");

/// What is between two lines of the guide.
fn of_guide(begin: &str, end: &str) -> &'static str {
    let (_, rest) = GUIDE.split_once(begin).expect("the guide has it");
    rest.split_once(end).expect("it ends").0
}

#[test]
fn the_guide_shows_what_the_program_prints() {
    let sandbox = Sandbox::new().with("TEAM_A_KEY", "sk-ant-api03-a").with("TEAM_B_KEY", "sk-ant-api03-b");
    sandbox.write("work/config.yaml", of_guide("```yaml\n", "```\n"));
    let shown = of_guide("```console\n$ cc-relay ", "```\n");
    let (command, printed) = shown.split_once('\n').expect("a command and what it prints");
    let ended = sandbox.run(&command.split(' ').collect::<Vec<_>>());
    assert_eq!(ended.stdout, printed, "`cargo xtask generate` writes it anew");
    assert_eq!(sandbox.read("work/plan.svg"), include_str!("../../../../docs/book/guides/plan.svg"));
}

/// Every member of the JSON object, by the name of the outermost one.
fn members(outer: &str, json: &Value, found: &mut Vec<(String, String)>) {
    match json {
        Value::Object(map) => {
            for (name, value) in map {
                let outer = if outer.is_empty() { name } else { outer };
                found.push((outer.to_owned(), name.clone()));
                members(outer, value, found);
            }
        }
        Value::Array(list) => {
            if let Some(first) = list.first() {
                members(outer, first, found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_guide_names_every_member_of_the_json_object() {
    let sandbox = Sandbox::new();
    sandbox.write("work/config.yaml", CONFIG);
    let ended = sandbox.run(&["plan", "--agents", "6", "--for", "10m", "--assume-itpm", "20000", "--json"]);
    let json: Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
    assert!(json["raise_first"].is_object() && json["retry_after_s"].is_object(), "{json:#}");
    let rows: Vec<&str> = GUIDE.split_once("| Member |").expect("the guide has it").1.lines().collect();
    let mut found = Vec::new();
    members("", &json, &mut found);
    // What is told of all is told of each kind alike.
    let same = ["came", "answered", "refusals", "given_up", "mean", "p50", "p95", "p99", "max"];
    for (outer, name) in found.iter().filter(|(_, name)| !same.contains(&name.as_str())) {
        let row = rows
            .iter()
            .find(|row| row.split('|').nth(1).is_some_and(|head| head.contains(&format!("`{outer}`"))));
        let row = row.unwrap_or_else(|| panic!("the guide does not speak of `{outer}`"));
        assert!(row.contains(&format!("`{name}`")), "the guide does not name `{name}` with `{outer}`");
    }
    assert!(same.iter().all(|name| rows.iter().any(|row| row.contains(&format!("`{name}`")))));
}

#[test]
fn models_share_limits_in_a_plan_as_the_configuration_says() {
    let sandbox = Sandbox::new();
    let routing = "routing: { model_classes: { claude-sonnet-5: sonnet } }\n";
    sandbox.write("work/config.yaml", &[routing, CONFIG].concat());
    let ended =
        sandbox.run(&["plan", "--agents", "1", "--for", "5m", "--model", "claude-sonnet-5-5", "--json"]);
    let json: Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
    assert_eq!(json["limits"][0]["class"], "sonnet");
    assert!(json["cost"]["dollars"].as_f64().is_some_and(|dollars| dollars > 0.0), "{}", json["cost"]);
}

#[test]
fn what_cannot_be_planned_is_told_with_what_to_do() {
    let sandbox = Sandbox::new();
    sandbox.write("work/config.yaml", CONFIG);
    sandbox.write("work/notes.txt", "hello\n");
    sandbox.write("work/new.jsonl", "{\"cc_relay_recording\":2,\"began_us\":0}\n");
    sandbox.write("work/empty.jsonl", HEAD);
    let writes = "\n  hint: `cc-relay serve --record FILE` writes one\n";
    let table = [
        (
            "none",
            1,
            "error: cannot read the recording `none`: No such file or directory (os error 2)",
            writes,
        ),
        (
            "notes.txt",
            1,
            "error: cannot use `notes.txt` as a recording: it does not begin as a recording does",
            writes,
        ),
        (
            "new.jsonl",
            1,
            "error: cannot use `new.jsonl` as a recording: it has version 2 of the format",
            writes,
        ),
        ("empty.jsonl", 1, "error: there is no call in `empty.jsonl` that could be played again", "first\n"),
    ];
    for (file, code, begins, ends) in table {
        let ended = sandbox.run(&["plan", "--workload", file]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{file}");
        assert!(ended.stderr.starts_with(begins) && ended.stderr.ends_with(ends), "{}", ended.stderr);
    }
    for wrong in [
        &["--for", "soon"][..],
        &["--model", ""],
        &["--burst", "169h"],
        &["--agents", "0"],
        &["--profile", "mine"],
        &["--workload", "a", "--agents", "3"],
    ] {
        assert_eq!(sandbox.run(&[&["plan"], wrong].concat()).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn more_than_can_be_foreseen_within_minutes_is_refused_with_the_most_that_can_be() {
    let sandbox = Sandbox::new();
    sandbox.write("work/config.yaml", CONFIG);
    let table = [
        (&["--for", "9999999h"][..], "at most 168h is possible"),
        (&["--for", "99999999999999999999h"], "of at most 168h"),
        (
            &["--agents", "500", "--for", "8h"],
            "error: 500 sessions for 8h are 4000 hours of sessions, and at most 3360 are foreseen within minutes\n  \
             hint: with so many sessions `--for 6h43m12s` is the longest, and most often less tells as much\n",
        ),
        (&["--agents", "100000"], "`--for 2m` is the longest"),
    ];
    for (arguments, expect) in table {
        let ended = sandbox.run(&[&["plan"], arguments].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.stderr.contains(expect), "{}", ended.stderr);
    }
}

#[test]
fn a_relay_records_into_a_file_of_its_own_and_touches_no_other() {
    let sandbox = Sandbox::new();
    let config = CONFIG
        .replace("providers:", "server: {listen: '127.0.0.1:0'}\nproviders:")
        .replace("${NOT_SET}", "sk-b");
    sandbox.write("work/config.yaml", &config);
    sandbox.write("work/notes.txt", "hello\n");
    let refused = sandbox.run(&["serve", "--record", "notes.txt"]);
    assert_eq!(refused.code, Some(1));
    let words = "error: cannot record into `notes.txt`: the file is there, and is not a recording of this version\n  \
                 hint: it was left as it is; name a file that is not there yet\n";
    assert_eq!(refused.stderr, words);
    assert_eq!(sandbox.read("work/notes.txt"), "hello\n");
    let refused = sandbox.run(&["serve", "--record", "."]);
    let words = "error: cannot record into `.`: it is a folder, where a file belongs\n  \
                 hint: name a file, which is made if it is not there yet\n";
    assert_eq!((refused.code, refused.stderr.as_str()), (Some(1), words));

    let mut running = sandbox.start(&["serve", "--record", "missing/calls.jsonl"]);
    let warned = running.line("nothing is recorded: the file cannot be opened or read");
    assert_eq!((&warned["level"], &warned["file"]), (&"warn".into(), &"missing/calls.jsonl".into()));
    running.line("listening");
    running.signal("TERM");
    assert!(running.end().success(), "it serves all the same");

    let mut running = sandbox.start(&["serve", "--record", "calls.jsonl"]);
    running.line("listening");
    running.signal("TERM");
    assert!(running.end().success());
    assert!(sandbox.read("work/calls.jsonl").starts_with("{\"cc_relay_recording\":1,\"began_us\":"));
    assert_eq!(sandbox.mode("work/calls.jsonl"), 0o600);
}
