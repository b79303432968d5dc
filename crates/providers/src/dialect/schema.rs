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
    if !is_object || fields.is_some() {
        written.value(schema);
        return;
    }
    // Everything that it says, and that there are no fields.
    written.put("{");
    for member in schema.members().filter_map(Result::ok) {
        written.value(member.key).put(":").value(member.value).put(",");
    }
    if kind.is_none() {
        written.put(r#""type":"object","#);
    }
    written.put(r#""properties":{}}"#);
}
