//! All problems of a configuration are told at once: one that is met first hides none behind it.

use relay_config::{Format, load};

/// The paths of everything that is wrong with a text, and what it is.
fn told(text: &str) -> Vec<String> {
    let problems = load(text, Format::Yaml, &|_| None).expect_err("it must not load");
    problems.list.iter().map(|problem| format!("{}: {}", problem.path, problem.what)).collect()
}

#[test]
fn a_type_that_is_none_hides_nothing_else_of_its_provider() {
    let rest = "name: a, enabled: true, base_url: nonsense, model_mapping: {m: ''},
        keys: [{key: sk-1}, {key: sk-1}, {key: sk-2, key_file: /k}, {rpm_limit: 5},
               {key: sk-3, limits_admin_key: sk-4, limits_admin_key_file: /a}]";
    let expect = [
        "providers[0].base_url: is not the URL of a provider",
        "providers[0].model_mapping.m: is empty",
        "providers[0].keys[1]: is the same key as `providers[0].keys[0]` (<3e4df418>)",
        "providers[0].keys[2]: has both `key` and `key_file`",
        "providers[0].keys[4]: has both `limits_admin_key` and `limits_admin_key_file`",
    ];
    for (written, first) in [
        ("type: antropic, ", "providers[0].type: must be one of"),
        ("type: [], ", "providers[0].type: must be one of"),
        ("", "providers[0]: has no `type`"),
    ] {
        let told = told(&format!("providers: [{{{written}{rest}}}]"));
        assert!(told[0].starts_with(first), "{told:#?}");
        assert_eq!(told[1..], expect, "{written}");
    }
    // What its type decides is not guessed: a URL and keys may well be left out.
    assert_eq!(told("providers: [{name: a, type: x, enabled: true}]").len(), 1);
    assert_eq!(told("providers: [{name: a, type: x, base_url: nonsense}]").len(), 1, "it is not used");
}

#[test]
fn two_clients_of_one_name_are_told_beside_whatever_is_wrong_with_their_keys() {
    let provider = "providers: [{name: p, type: anthropic, enabled: true}]";
    let table = [
        ("{name: a}", "server.auth.clients[1]: the client `a` has no key"),
        ("{name: a, key: sk-1}", "server.auth.clients[1]: the client `a` has the same key as `a`"),
        ("{name: a, key: '${NOPE}'}", "server.auth.clients[1].key: environment variable `NOPE` is not set"),
        ("{name: a, key: sk-2, key_file: /k}", "server.auth.clients[1].key_file: stands beside `key`"),
    ];
    for (second, beside) in table {
        let third = "{name: a, key_file: /k}";
        let text =
            format!("server: {{auth: {{clients: [{{name: a, key: sk-1}}, {second}, {third}]}}}}\n{provider}");
        let told = told(&text);
        let twice =
            |place| format!("server.auth.clients[{place}]: a client named `a` stands on line 1 already");
        assert_eq!(told.len(), 3, "{told:#?}");
        for expect in [&twice(1), &twice(2), beside] {
            assert!(told.iter().any(|it| it == expect), "{expect}: {told:#?}");
        }
    }
}
