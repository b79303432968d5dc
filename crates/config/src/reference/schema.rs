//! The table of options as a JSON schema. A number or a boolean may also be a text that holds a variable.

use serde_json::{Map, Value, json};

use crate::raw::table::{Form, Row, Standing};
use crate::reference::caution;

pub(super) fn write(root: &Form) -> String {
    let mut schema = schema(root);
    let own = json!({ "^x-": { "description": "A place of your own, for YAML anchors." } });
    schema["patternProperties"] = own;
    let mut head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cc-relay configuration",
    });
    if let (Some(head), Some(schema)) = (head.as_object_mut(), schema.as_object_mut()) {
        head.append(schema);
    }
    format!("{head:#}\n")
}

fn schema(form: &Form) -> Value {
    match form {
        Form::Text | Form::Path | Form::Secret => json!({ "type": ["string", "number", "boolean"] }),
        Form::Flag => or_variable(&json!({ "type": "boolean" })),
        Form::Whole { least, most } => {
            or_variable(&json!({ "type": "integer", "minimum": least, "maximum": most }))
        }
        Form::Lapse { unit } => {
            let text = json!({ "type": "string", "pattern": "^0$|^([0-9]+(ms|s|m|h))+$" });
            let bare = if unit.is_some() { json!({ "minimum": 0 }) } else { json!({ "const": 0 }) };
            let mut number = json!({ "type": "integer" });
            if let (Some(number), Value::Object(mut bare)) = (number.as_object_mut(), bare) {
                number.append(&mut bare);
            }
            json!({ "anyOf": [number, text, variable()] })
        }
        Form::Size => {
            let text = json!({ "type": "string", "pattern": "^[0-9]+ *([KkMmGgTt][Ii]?)?[Bb]?$" });
            json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, text, variable()] })
        }
        Form::Dollars => or_variable(&json!({ "type": "number", "minimum": 0, "maximum": 1_000_000 })),
        Form::Choice(words) => or_variable(&json!({ "enum": words })),
        Form::List(form) => json!({ "type": ["array", "null"], "items": schema(form) }),
        Form::Map(form) => json!({ "type": ["object", "null"], "additionalProperties": schema(form) }),
        Form::Section { rows, dead, .. } => {
            let options = rows.iter().map(|row| (row.name.to_owned(), property(row)));
            let without_effect = dead.iter().map(|(name, advice)| {
                let about = format!("Has never had an effect: {advice}.");
                ((*name).to_owned(), json!({ "description": about, "deprecated": true }))
            });
            let properties: Map<String, Value> = options.chain(without_effect).collect();
            json!({ "type": ["object", "null"], "properties": properties, "additionalProperties": false })
        }
    }
}

fn property(row: &Row) -> Value {
    let about =
        caution(row.standing).map_or_else(|| row.about.clone(), |caution| format!("{} {caution}", row.about));
    let mut property = json!({ "description": about });
    if let Some(default) = &row.default {
        property["default"] = default_of(&row.form, default);
    }
    if matches!(row.standing, Standing::Old { .. }) {
        property["deprecated"] = json!(true);
    }
    if let (Some(property), Value::Object(mut rest)) = (property.as_object_mut(), schema(&row.form)) {
        property.append(&mut rest);
    }
    property
}

/// A default as JSON: a number or a boolean where the option is one.
fn default_of(form: &Form, default: &str) -> Value {
    match form {
        Form::Flag | Form::Whole { .. } | Form::Lapse { .. } | Form::Size | Form::Dollars => {
            serde_json::from_str(default).unwrap_or_else(|_| json!(default))
        }
        _ => json!(default),
    }
}

fn variable() -> Value {
    json!({ "type": "string", "pattern": "\\$" })
}

fn or_variable(schema: &Value) -> Value {
    json!({ "anyOf": [schema, variable()] })
}
