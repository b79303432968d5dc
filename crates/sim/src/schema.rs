//! Makes the plainest value that satisfies a JSON schema, as far as schemas of tools go.
//!
//! It knows the keywords that tools use: `type`, `enum`, `const`, `default`, `properties`,
//! `required`, `items`, `minItems`, `minimum`, `anyOf`, `oneOf`, `allOf`. It refuses to follow `$ref`.

use serde_json::{Map, Value, json};

/// Values for properties whose names say what is wanted where the schema only says "a string".
const KNOWN: [(&str, &str); 6] = [
    ("command", "echo simulated"),
    ("description", "Simulated step"),
    ("file_path", "/dev/null"),
    ("prompt", "sim: say done"),
    ("subagent_type", "general-purpose"),
    ("url", "http://127.0.0.1/"),
];

/// Deeper schemas get `null`.
const MAX_DEPTH: usize = 16;

/// Adds to `given` whatever an object schema requires and it lacks.
pub(crate) fn complete(schema: &Value, given: &Map<String, Value>) -> Map<String, Value> {
    let mut whole = given.clone();
    fill_required(schema, &mut whole, 0);
    whole
}

/// A value that satisfies the schema.
pub(crate) fn example(schema: &Value) -> Value {
    fill(schema, "", 0)
}

fn fill(schema: &Value, name: &str, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    if let Some(value) = schema.get("const").or_else(|| schema.get("default")) {
        return value.clone();
    }
    if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first()) {
        return first.clone();
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(first) = schema.get(choice).and_then(Value::as_array).and_then(|schemas| schemas.first())
        {
            return fill(first, name, depth + 1);
        }
    }
    match kind(schema) {
        "string" => {
            let known = KNOWN.iter().find(|(property, _)| *property == name);
            json!(known.map_or("simulated", |(_, value)| value))
        }
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "boolean" => json!(false),
        "array" => {
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(16);
            let item = schema.get("items").unwrap_or(&Value::Null);
            (0..least).map(|_| fill(item, name, depth + 1)).collect()
        }
        "null" => Value::Null,
        _ => {
            let mut map = Map::new();
            fill_required(schema, &mut map, depth);
            Value::Object(map)
        }
    }
}

fn fill_required(schema: &Value, map: &mut Map<String, Value>, depth: usize) {
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        fill_required(part, map, depth + 1);
    }
    for name in
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    {
        if !map.contains_key(name) {
            let property = schema.get("properties").and_then(|properties| properties.get(name));
            map.insert(name.to_owned(), fill(property.unwrap_or(&Value::Null), name, depth + 1));
        }
    }
}

/// The type, or the first of several.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("object"),
        _ => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::{complete, example};

    #[test]
    fn what_is_required_and_missing_is_filled_in_and_the_rest_is_left_alone() {
        let schema = json!({
            "type": "object",
            "properties": {
                "command": {"type": "string"},
                "description": {"type": "string"},
                "timeout": {"type": "number"},
                "mode": {"enum": ["fast", "slow"]},
            },
            "required": ["command", "description", "mode"],
        });
        let given = Map::from_iter([("command".to_owned(), json!("ls")), ("extra".to_owned(), json!(1))]);
        assert_eq!(
            json!(complete(&schema, &given)),
            json!({"command": "ls", "extra": 1, "description": "Simulated step", "mode": "fast"})
        );
    }

    #[test]
    fn examples_satisfy_their_schemas() {
        let cases = [
            (json!({"type": "string"}), json!("simulated")),
            (json!({"type": "integer", "minimum": 5}), json!(5)),
            (json!({"type": ["boolean", "null"]}), json!(false)),
            (json!({"type": "array", "items": {"type": "null"}, "minItems": 2}), json!([null, null])),
            (json!({"anyOf": [{"const": "x"}, {"type": "null"}]}), json!("x")),
            (
                json!({"allOf": [{"required": ["a"], "properties": {"a": {"type": "boolean"}}}], "required": ["b"]}),
                json!({"a": false, "b": {}}),
            ),
            (json!({}), json!({})),
        ];
        for (schema, expected) in cases {
            assert_eq!(example(&schema), expected, "{schema}");
        }
    }
}
