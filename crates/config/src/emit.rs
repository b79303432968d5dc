//! Writes YAML: block style, in the given order, quoted where a reader could see something else than a text.

use serde_json::Value;

/// A value as a YAML document.
pub(crate) fn document(value: &Value) -> String {
    let mut lines = Vec::new();
    block(value, 0, &mut lines);
    lines.join("\n") + "\n"
}

/// A text as a YAML scalar.
pub(crate) fn scalar(text: &str) -> String {
    let first = text.starts_with(|first: char| first.is_ascii_alphanumeric() || "/.$<".contains(first));
    let inside =
        text.chars().all(|character| character.is_ascii_alphanumeric() || " /.:_-+<>=$*".contains(character));
    let ends = !text.ends_with([' ', ':']);
    let structured = text.contains(": ") || text.contains(" #");
    let word =
        matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false" | "yes" | "no" | "on" | "off");
    let number = text.parse::<f64>().is_ok();
    if first && inside && ends && !structured && !word && !number {
        return text.to_owned();
    }
    Value::from(text).to_string()
}

fn block(value: &Value, indent: usize, lines: &mut Vec<String>) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (name, value) in entries {
                let name = scalar(name);
                if let Some(text) = inline(value) {
                    lines.push(format!("{pad}{name}: {text}"));
                } else {
                    lines.push(format!("{pad}{name}:"));
                    block(value, indent + 2, lines);
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let at = lines.len();
                if let Some(text) = inline(item) {
                    lines.push(format!("{pad}- {text}"));
                } else {
                    block(item, indent + 2, lines);
                    lines[at].replace_range(indent..=indent, "-");
                }
            }
        }
        other => lines.extend(inline(other).map(|text| pad + &text)),
    }
}

/// A value that fits on the line of its name.
fn inline(value: &Value) -> Option<String> {
    match value {
        Value::Object(entries) if entries.is_empty() => Some("{}".to_owned()),
        Value::Array(items) if items.is_empty() => Some("[]".to_owned()),
        Value::Object(_) | Value::Array(_) => None,
        Value::String(text) => Some(scalar(text)),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{self, Format, Leaf, Node};
    use proptest::prelude::{Strategy, any, prop_assert_eq, prop_oneof, proptest};
    use serde_json::json;

    #[test]
    fn a_document_is_in_block_style() {
        let value = json!({
            "a": {"b": 1, "c": [], "d": {}},
            "list": [{"name": "x", "on": true}, "plain", ["nested", 2]],
            "odd": "yes",
            "quoted": "a: b",
        });
        let expect = "\
a:
  b: 1
  c: []
  d: {}
list:
  - name: x
    \"on\": true
  - plain
  - - nested
    - 2
odd: \"yes\"
quoted: \"a: b\"
";
        assert_eq!(document(&value), expect);
    }

    /// The tree of a value, as the reader should see it.
    fn outline(value: &Value) -> String {
        match value {
            Value::Object(entries) => {
                let entries = entries.iter().map(|(name, value)| format!("({name:?} {})", outline(value)));
                entries.collect::<Vec<_>>().concat()
            }
            Value::Array(items) => format!("[{}]", items.iter().map(outline).collect::<String>()),
            Value::String(text) => format!("{text:?}"),
            other => format!("{:?}", other.to_string()),
        }
    }

    fn read_back(node: &Node) -> String {
        match &node.value {
            tree::Value::Map(map) => {
                let entries = map.entries.iter();
                let entries = entries.map(|entry| format!("({:?} {})", entry.name, read_back(&entry.node)));
                entries.collect::<Vec<_>>().concat()
            }
            tree::Value::List(items) => format!("[{}]", items.iter().map(read_back).collect::<String>()),
            tree::Value::Leaf(Leaf { text, .. }) => format!("{text:?}"),
            tree::Value::Null => "null".to_owned(),
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<String>().prop_map(Value::from),
            "[a-z:#~ -]{0,8}".prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map("[a-z:# -]{0,6}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(value in values()) {
            let value = json!({ "value": value });
            let text = document(&value);
            let node = tree::parse(&text, Format::Yaml).expect("it was written as YAML");
            prop_assert_eq!(read_back(&node), outline(&value), "{}", text);
        }
    }
}
