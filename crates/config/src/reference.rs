//! What is made from the table of options: `example.yaml`, the JSON schema, the book's page; and the
//! short file that `cc-relay config init` writes, which must agree with them.

mod example;
mod page;
mod schema;

use crate::raw::table::{Form, Section, Standing};
use crate::raw::{self, Root};
use crate::tree::Format;

/// `example.yaml`: every option with its meaning and its default. What has no default, or no effect, is
/// commented out. It loads without a notice when `ANTHROPIC_API_KEY` is set.
pub fn example_yaml() -> String {
    example::write(&Root::rows())
}

/// What `cc-relay config init` writes. It loads without a notice, whether or not its variables are set.
pub const fn template(format: Format) -> &'static str {
    match format {
        Format::Yaml => YAML,
        Format::Toml => TOML,
    }
}

/// The JSON schema (draft 2020-12, <https://json-schema.org/draft/2020-12>) of the YAML form, for editors.
pub fn schema_json() -> String {
    schema::write(&<Root as raw::read::Shape>::form())
}

/// The page of the book that lists every option.
pub fn page_markdown() -> String {
    page::write(&Root::rows())
}

const YAML: &str = "\
# cc-relay. Every option is described in the reference; `cc-relay config validate` checks this file.
#
# ${NAME} is the environment variable NAME, ${NAME:-default} the same with a default.

server:
  listen: 127.0.0.1:8787
  # On loopback nobody is asked for a credential. Elsewhere somebody must be:
  # auth:
  #   api_key: ${CC_RELAY_API_KEY}

routing:
  # failover, round_robin, weighted_round_robin, shuffle, least_loaded, weighted_failover, model_based
  strategy: failover

providers:
  - name: anthropic
    type: anthropic
    enabled: true
    keys:
      # Without a key, the credential of the client goes to Anthropic as it is.
      - key: ${ANTHROPIC_API_KEY:-}
      # More keys make a pool:
      # - key: ${ANTHROPIC_API_KEY_2}
      # - key_file: /run/secrets/anthropic

  - name: zai
    type: zai
    enabled: false
    keys:
      - key: ${ZAI_API_KEY}
    model_mapping:
      claude-opus-5-5: glm-5.3
      claude-haiku-5-5: glm-4.5-air

  - name: ollama
    type: ollama
    enabled: false
    base_url: http://localhost:11434
    model_mapping:
      claude-opus-5-5: qwen3:32b
      claude-haiku-5-5: qwen3:8b

logging:
  level: info
";

const TOML: &str = "\
# cc-relay. Every option is described in the reference; `cc-relay config validate` checks this file.
#
# ${NAME} is the environment variable NAME, ${NAME:-default} the same with a default.

[server]
listen = \"127.0.0.1:8787\"
# On loopback nobody is asked for a credential. Elsewhere somebody must be:
# auth.api_key = \"${CC_RELAY_API_KEY}\"

[routing]
# failover, round_robin, weighted_round_robin, shuffle, least_loaded, weighted_failover, model_based
strategy = \"failover\"

[[providers]]
name = \"anthropic\"
type = \"anthropic\"
enabled = true

# Without a key, the credential of the client goes to Anthropic as it is.
[[providers.keys]]
key = \"${ANTHROPIC_API_KEY:-}\"

# More keys make a pool:
# [[providers.keys]]
# key = \"${ANTHROPIC_API_KEY_2}\"
# [[providers.keys]]
# key_file = \"/run/secrets/anthropic\"

[[providers]]
name = \"zai\"
type = \"zai\"
enabled = false
keys = [{ key = \"${ZAI_API_KEY}\" }]

[providers.model_mapping]
claude-opus-5-5 = \"glm-5.3\"
claude-haiku-5-5 = \"glm-4.5-air\"

[[providers]]
name = \"ollama\"
type = \"ollama\"
enabled = false
base_url = \"http://localhost:11434\"

[providers.model_mapping]
claude-opus-5-5 = \"qwen3:32b\"
claude-haiku-5-5 = \"qwen3:8b\"

[logging]
level = \"info\"
";

/// What a form is called in a sentence.
fn name_of(form: &Form) -> String {
    match form {
        Form::Text => "text".to_owned(),
        Form::Path => "path".to_owned(),
        Form::Secret => "secret".to_owned(),
        Form::Flag => "`true` or `false`".to_owned(),
        Form::Whole { least, most } if *most >= u64::from(u32::MAX) / 2 => format!("number from {least}"),
        Form::Whole { least, most } => format!("number from {least} to {most}"),
        Form::Lapse { unit: Some(unit) } => format!("{unit}, or a time such as `5s`"),
        Form::Lapse { unit: None } => "time such as `1m30s`".to_owned(),
        Form::Size => "size such as `64MiB`".to_owned(),
        Form::Dollars => "dollars such as `0.05`".to_owned(),
        Form::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Form::List(form) => format!("list of {}", name_of(form)),
        Form::Map(form) => format!("map of names to {}", name_of(form)),
        Form::Section { .. } => "section".to_owned(),
    }
}

/// What the reference adds to an option that is not to be used as others are.
fn caution(standing: Standing) -> Option<String> {
    match standing {
        Standing::Current => None,
        Standing::Inert => Some("It has no effect in this version.".to_owned()),
        Standing::Old { hint, .. } => Some(format!("Deprecated: {hint}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::read::{Reader, Secrets};
    use crate::raw::table::Row;
    use crate::tree::{self, Value};
    use crate::{Format, load};
    use std::fmt::Write;

    /// An environment in which every variable but one holds a key of its own.
    fn all_set(name: &str) -> Option<String> {
        let key = || format!("sk-{}", name.to_ascii_lowercase().replace('_', "-"));
        (name != "UNSET").then(key)
    }

    /// Every option of the table by its path, `[]` marking an item.
    fn paths(rows: &[Row], above: &str, paths: &mut Vec<String>) {
        for row in rows {
            let path = if above.is_empty() { row.name.to_owned() } else { format!("{above}.{}", row.name) };
            let mark = if matches!(row.form, Form::List(_)) { "[]" } else { "" };
            self::paths(row.form.rows(), &format!("{path}{mark}"), paths);
            paths.push(path);
        }
    }

    fn every_path() -> Vec<String> {
        let mut every = Vec::new();
        paths(&Root::rows(), "", &mut every);
        every
    }

    #[test]
    fn the_example_loads_without_a_notice() {
        let loaded =
            load(&example_yaml(), Format::Yaml, &all_set).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(loaded.notices, [], "{}", example_yaml());
    }

    #[test]
    fn the_example_says_what_a_minimal_file_means() {
        let minimal = "providers: [{name: anthropic, type: anthropic, enabled: true, \
                       keys: [{key: '${ANTHROPIC_API_KEY}'}]}]";
        let minimal = load(minimal, Format::Yaml, &all_set).expect("it is right");
        let example = load(&example_yaml(), Format::Yaml, &all_set).expect("it is right");
        assert_eq!(example.config, minimal.config);
    }

    #[test]
    fn the_template_loads_whether_its_variables_are_set_or_not() {
        for environment in [&all_set as &dyn Fn(&str) -> Option<String>, &|_| None] {
            let loaded = load(template(Format::Yaml), Format::Yaml, environment);
            let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
            assert_eq!(loaded.notices, []);
            assert_eq!(loaded.config.providers.len(), 1);
        }
    }

    #[test]
    fn the_example_shows_every_option() {
        let mut shown = String::new();
        // Without its comment marks the example is a tree that holds every path.
        for line in example_yaml().lines() {
            let code = uncommented(line);
            if !code.trim().is_empty() {
                writeln!(shown, "{code}").expect("a string can be written to");
            }
        }
        let tree =
            tree::parse(&shown, Format::Yaml).unwrap_or_else(|problems| panic!("{problems:?}\n{shown}"));
        let mut written = Vec::new();
        collect(&tree, "", &mut written);
        for path in every_path() {
            assert!(written.contains(&path), "{path} is missing in\n{shown}");
        }
    }

    /// A line of the example with its options made active and its explanations removed.
    fn uncommented(line: &str) -> String {
        let is_option = |text: &str| {
            let text = text.trim_start().trim_start_matches("- ");
            let name = text.split(':').next().unwrap_or_default();
            text.contains(':')
                && !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        let Some((indent, rest)) = line.split_once("# ") else { return line.to_owned() };
        if !indent.trim_matches([' ', '-']).is_empty() {
            return line.to_owned();
        }
        if is_option(rest) && !rest.trim_start().starts_with('#') {
            return format!("{indent}{rest}");
        }
        // An item whose first line is an explanation keeps its dash.
        match (indent.find('-'), rest.find("- #")) {
            (Some(_), _) => indent.trim_end().to_owned(),
            (None, Some(at)) => format!("{indent}{}-", &rest[..at]),
            (None, None) => String::new(),
        }
    }

    fn collect(node: &tree::Node, above: &str, paths: &mut Vec<String>) {
        match &node.value {
            Value::Map(map) => {
                for entry in &map.entries {
                    let path =
                        if above.is_empty() { entry.name.clone() } else { format!("{above}.{}", entry.name) };
                    collect(&entry.node, &path, paths);
                    paths.push(path);
                }
            }
            Value::List(items) => {
                for item in items {
                    collect(item, &format!("{above}[]"), paths);
                }
            }
            Value::Leaf(_) | Value::Null => {}
        }
    }

    #[test]
    fn the_schema_holds_every_option_and_nothing_else() {
        let schema: serde_json::Value = serde_json::from_str(&schema_json()).expect("it is JSON");
        let mut known = Vec::new();
        properties(&schema, "", &mut known);
        known.sort();
        let mut every = every_path();
        every.sort();
        assert_eq!(known, every);
    }

    fn properties(schema: &serde_json::Value, above: &str, paths: &mut Vec<String>) {
        let schema = schema.get("items").unwrap_or(schema);
        let Some(options) = schema.get("properties").and_then(serde_json::Value::as_object) else { return };
        for (name, option) in options {
            let without_effect = option.get("description").is_some_and(|about| {
                about.as_str().is_some_and(|about| about.starts_with("Has never had an effect"))
            });
            if without_effect {
                continue;
            }
            let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            let mark = if option.get("items").is_some() { "[]" } else { "" };
            properties(option, &format!("{path}{mark}"), paths);
            paths.push(path);
        }
    }

    #[test]
    fn the_page_holds_every_option_with_its_default() {
        let page = page_markdown();
        for_each_row(&Root::rows(), &mut |row| {
            assert!(page.contains(&format!("| `{}` |", row.name)), "{}", row.name);
            if let Some(default) = &row.default {
                assert!(page.contains(&format!("| `{default}` |")), "{} = {default}", row.name);
            }
        });
    }

    #[test]
    fn every_default_and_sample_can_be_read_by_its_option() {
        for_each_row(&Root::rows(), &mut |row| {
            for text in row.default.iter().map(String::as_str).chain(row.sample) {
                let text = format!("value: {text}");
                let tree = tree::parse(&text, Format::Yaml).unwrap_or_else(|_| panic!("{text}"));
                let Value::Map(map) = &tree.value else { panic!("{text}") };
                let mut reader = Reader::new(&all_set, Secrets::Needed);
                (row.read)(&mut reader, &map.entries[0].node);
                assert_eq!(reader.findings.problems, [], "{}: {text}", row.name);
            }
        });
    }

    #[test]
    fn every_option_says_what_it_means() {
        for_each_row(&Root::rows(), &mut |row| {
            assert!(row.about.ends_with('.') && !row.about.contains("  "), "{}: {}", row.name, row.about);
        });
    }

    #[test]
    fn every_option_has_a_default_or_a_sample_or_options_of_its_own() {
        for_each_row(&Root::rows(), &mut |row| {
            let shown = row.default.is_some() || row.sample.is_some() || !row.form.rows().is_empty();
            assert!(shown, "{}", row.name);
        });
    }

    fn for_each_row(rows: &[Row], look: &mut dyn FnMut(&Row)) {
        for row in rows {
            look(row);
            for_each_row(row.form.rows(), look);
        }
    }
}
