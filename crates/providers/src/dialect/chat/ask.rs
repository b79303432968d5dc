//! What a client asks, in the words of Chat Completions. Nothing is carried that would mean something else there: what
//! cannot be is refused by its name, unless it is a hint only.

use std::fmt;

use bytes::Bytes;
use relay_wire::Call;
use relay_wire::edit::Edits;
use relay_wire::scan::{Kind, Value};

use super::messages;
use crate::adapter::Unsupported;
use crate::dialect::written::Written;
use crate::dialect::{Habits, schema};

/// Servers of tools: Anthropic asks them, and nobody else does.
const MCP: &str = "mcp_servers";

/// Fields of a request that mean something elsewhere. Any other is left out, for it is a hint, or for Anthropic alone; but not
/// [`MCP`], which would be missed.
const CARRIED: [&str; 14] = [
    "model",
    "messages",
    "system",
    "max_tokens",
    "stream",
    "tools",
    "tool_choice",
    "temperature",
    "top_p",
    "stop_sequences",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
];

/// Writes the request for a model of that name.
pub(crate) fn request(body: &Bytes, model: &str, call: &Call, habits: &Habits) -> Result<Edits, Unsupported> {
    let asked = Value::read(body).map_err(|_| Unsupported::Body)?;
    if asked.kind() != Kind::Object {
        return Err(Unsupported::Body);
    }
    let fields = asked.pick(CARRIED);
    let [
        _,
        messages,
        system,
        most,
        stream,
        tools,
        choice,
        temperature,
        top_p,
        stop,
        thinking,
        config,
        format,
        _,
    ] = fields;
    if asked.get(MCP).is_some_and(|servers| servers.elements().next().is_some()) {
        return Err(cannot(MCP, "is asked by Anthropic and by nobody else"));
    }
    let mut written = Written::of(body);
    written.put("{\"model\":").quoted(model).put(",\"messages\":[");
    messages::write(system, messages, habits, &mut written)?;
    written.put("]");
    if let Some(most) = most {
        written.put(",\"").put(habits.most).put("\":").value(most);
    }
    if stream.and_then(Value::as_bool) == Some(true) {
        written.put(r#","stream":true,"stream_options":{"include_usage":true}"#);
    }
    write_tools(tools, choice, &mut written)?;
    for (name, value) in [("temperature", temperature), ("top_p", top_p)] {
        if let Some(value) = value.filter(|_| habits.sampling) {
            written.put(",\"").put(name).put("\":").value(value);
        }
    }
    if let Some(stop) = stop.filter(|stop| stop.elements().next().is_some()) {
        if !habits.sampling {
            return Err(cannot("stop_sequences", "are refused by models of OpenAI's that think"));
        }
        written.put(",\"stop\":").value(stop);
    }
    if let Some(effort) = effort(thinking, config).filter(|_| habits.effort) {
        written.put(",\"reasoning_effort\":").quoted(effort);
    }
    write_format(config.and_then(|config| config.get("format")).or(format), &mut written);
    if let Some(session) = call.session.as_deref().filter(|_| habits.cache_key) {
        written.put(",\"prompt_cache_key\":").quoted(session);
    }
    written.put("}");
    Ok(written.edits())
}

pub(super) fn cannot(place: impl fmt::Display, why: &'static str) -> Unsupported {
    Unsupported::Field { place: place.to_string(), why }
}

fn write_tools(
    tools: Option<Value<'_>>,
    choice: Option<Value<'_>>,
    written: &mut Written<'_>,
) -> Result<(), Unsupported> {
    let mut any = false;
    for (nth, tool) in tools.into_iter().flat_map(Value::elements).filter_map(Result::ok).enumerate() {
        let [kind, name, words, input, strict] =
            tool.pick(["type", "name", "description", "input_schema", "strict"]);
        let kind = kind.and_then(Value::as_str);
        let place = format!("tools.{nth}");
        let (Some(name), None | Some("custom")) = (name, kind.as_deref()) else {
            return Err(cannot(place, "is a tool that only Anthropic has"));
        };
        written.put(if any { "," } else { ",\"tools\":[" });
        any = true;
        written.put(r#"{"type":"function","function":{"name":"#).name(name);
        if let Some(words) = words {
            written.put(",\"description\":").value(words);
        }
        written.put(",\"parameters\":");
        match input {
            Some(input) => schema::write(input, written),
            None => return Err(cannot(place, "has no `input_schema`")),
        }
        if strict.and_then(Value::as_bool) == Some(true) && input.is_some_and(schema::can_be_strict) {
            written.put(",\"strict\":true");
        }
        written.put("}}");
    }
    if any {
        written.put("]");
        write_choice(choice, written);
    }
    Ok(())
}

/// Without tools nothing can be chosen, and servers refuse that it is.
fn write_choice(choice: Option<Value<'_>>, written: &mut Written<'_>) {
    let Some(choice) = choice else { return };
    let [kind, name, alone] = choice.pick(["type", "name", "disable_parallel_tool_use"]);
    let word = match kind.and_then(Value::as_str).as_deref() {
        Some("any") => Some("\"required\""),
        Some("none") => Some("\"none\""),
        Some("auto") => Some("\"auto\""),
        _ => None,
    };
    match (word, name) {
        (Some(word), _) => {
            written.put(",\"tool_choice\":").put(word);
        }
        (None, Some(name)) => {
            written.put(r#","tool_choice":{"type":"function","function":{"name":"#).name(name).put("}}");
        }
        (None, None) => {}
    }
    if alone.and_then(Value::as_bool) == Some(true) {
        written.put(",\"parallel_tool_calls\":false");
    }
}

/// How much to think, in the three steps that all servers know.
fn effort(thinking: Option<Value<'_>>, config: Option<Value<'_>>) -> Option<&'static str> {
    /// Budgets up to these, in tokens, are little and middling. Ours: what they buy is not comparable.
    const LITTLE: u64 = 4_096;
    const MIDDLING: u64 = 16_384;
    let told = config.and_then(|config| config.get("effort")).and_then(Value::as_str);
    if let Some(told) = told {
        return Some(match &*told {
            "low" | "minimal" => "low",
            "medium" => "medium",
            _ => "high",
        });
    }
    Some(match thinking?.get("budget_tokens")?.as_u64()? {
        budget if budget <= LITTLE => "low",
        budget if budget <= MIDDLING => "medium",
        _ => "high",
    })
}

fn write_format(format: Option<Value<'_>>, written: &mut Written<'_>) {
    let Some(format) = format else { return };
    let [kind, schema] = format.pick(["type", "schema"]);
    if let (Some("json_schema"), Some(schema)) = (kind.and_then(Value::as_str).as_deref(), schema) {
        written.put(r#","response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":"#);
        written.value(schema);
        if schema::can_be_strict(schema) {
            written.put(",\"strict\":true");
        }
        written.put("}}");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    pub(in crate::dialect::chat) fn asked(body: &Json, model: &str) -> Result<Json, Unsupported> {
        let body = Bytes::from(body.to_string());
        let call = Call::read(&body).expect("it is an object");
        let edits = request(&body, model, &call, &Habits::of("api.openai.com", model))?;
        Ok(serde_json::from_slice(&edits.apply().to_bytes()).expect("it is JSON"))
    }

    #[test]
    fn models_that_think_do_not_stop_at_a_word_and_nobody_says_that_they_would() {
        let body = json!({"model": "m", "messages": [], "stop_sequences": ["a"], "system": ""});
        assert_eq!(asked(&body, "gpt-4.1"), Ok(json!({"model": "gpt-4.1", "messages": [], "stop": ["a"]})));
        let refused = asked(&body, "gpt-5.6");
        assert!(matches!(refused, Err(Unsupported::Field { place, .. }) if place == "stop_sequences"));
    }

    #[test]
    fn answers_are_held_to_a_form_where_that_is_possible() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
        let body = json!({
            "model": "m", "messages": [], "output_config": {"format": {"type": "json_schema", "schema": schema}},
            "tools": [{"name": "T", "strict": true, "input_schema": schema}, {"name": "U", "strict": true, "input_schema": {"type": "object", "properties": null}}],
        });
        let asked = asked(&body, "gpt-4.1").expect("it can be said");
        assert_eq!(asked["response_format"]["json_schema"]["strict"], true);
        let [first, second] = [0, 1].map(|nth| &asked["tools"][nth]["function"]);
        assert_eq!((&first["strict"], &second["strict"]), (&json!(true), &Json::Null));
        assert_eq!(second["parameters"], json!({"type": "object", "properties": {}}));
    }

    #[test]
    fn a_long_name_is_cut_alike_wherever_it_stands() {
        let name = "n".repeat(80);
        let body = json!({
            "model": "m",
            "messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": name, "input": {}}]}],
            "tools": [{"name": name, "input_schema": {"type": "object", "properties": {}}}],
            "tool_choice": {"type": "tool", "name": name},
        });
        let asked = asked(&body, "gpt-4.1").expect("it can be said");
        let call = &asked["messages"][0]["tool_calls"][0];
        let names =
            [call, &asked["tools"][0], &asked["tool_choice"]].map(|at| at["function"]["name"].as_str());
        assert!(
            names.iter().all(|name| *name == names[0] && name.is_some_and(|name| name.len() == 64)),
            "{names:?}"
        );
    }
}
