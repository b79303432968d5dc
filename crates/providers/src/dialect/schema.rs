//! What a tool takes. Some servers refuse an object that does not say which fields it has.

use relay_wire::scan::{Kind, Value};

use super::written::Written;

/// Writes the schema of a tool's input.
pub(super) fn write(schema: Value<'_>, written: &mut Written<'_>) {
    if schema.kind() != Kind::Object {
        written.put(r#"{"type":"object","properties":{}}"#);
        return;
    }
    let [kind, fields] = schema.pick(["type", "properties"]);
    let is_object = kind.is_none_or(|kind| kind.as_str().as_deref() == Some("object"));
    let has_fields = fields.is_some_and(|fields| fields.kind() == Kind::Object);
    if !is_object || has_fields {
        written.value(schema);
        return;
    }
    // Everything that it says, and that there are no fields.
    written.put("{");
    for member in schema.members().filter_map(Result::ok).filter(|member| !member.is("properties")) {
        written.value(member.key).put(":").value(member.value).put(",");
    }
    if kind.is_none() {
        written.put(r#""type":"object","#);
    }
    written.put(r#""properties":{}}"#);
}

/// Can an answer be held to it there? OpenAI refuses to, unless every object has all of its fields and no others.
/// <https://platform.openai.com/docs/guides/structured-outputs>
pub(super) fn can_be_strict(schema: Value<'_>) -> bool {
    let [fields, required, others] = schema.pick(["properties", "required", "additionalProperties"]);
    let is_required = |name: Value<'_>| {
        let all = required.into_iter().flat_map(Value::elements).filter_map(Result::ok);
        all.into_iter().any(|one| one.as_str() == name.as_str())
    };
    let is_closed = |fields: Value<'_>| {
        others.and_then(Value::as_bool) == Some(false)
            && fields.members().filter_map(Result::ok).all(|field| is_required(field.key))
    };
    let is_open_object = fields.is_none()
        && schema.get("type").and_then(Value::as_str).as_deref() == Some("object")
        && others.and_then(Value::as_bool) != Some(false);
    if is_open_object || !fields.is_none_or(is_closed) {
        return false;
    }
    // Whatever stands inside is a schema, or holds some, or is none and has no fields.
    let inside = schema.members().filter_map(Result::ok).map(|member| member.value);
    inside.chain(schema.elements().filter_map(Result::ok)).all(|inside| match inside.kind() {
        Kind::Object | Kind::Array => can_be_strict(inside),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_can_be_held_to_what_has_all_its_fields_and_no_others() {
        let closed = r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#;
        for (schema, expect) in [
            (closed.to_owned(), true),
            (closed.replace("[\"a\"]", "[]"), false),
            (closed.replace("false", "true"), false),
            (r#"{"type":"object"}"#.to_owned(), false),
            (r#"{"type":"string","enum":["a"]}"#.to_owned(), true),
            (format!(r#"{{"type":"array","items":{closed}}}"#), true),
            (format!(r#"{{"anyOf":[{closed},{{"type":"object","properties":{{"b":{{}}}}}}]}}"#), false),
            (closed.replace(r#"{"type":"string"}"#, r#"{"type":"object"}"#), false),
        ] {
            assert_eq!(can_be_strict(Value::read(schema.as_bytes()).unwrap()), expect, "{schema}");
        }
    }
}
