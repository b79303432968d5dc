//! What the messages and tools of a request must look like.
//!
//! It knows the shapes which the provider insists on: roles, contents, tools, and that every tool
//! result follows the call it belongs to. Types of blocks it does not know pass, because the
//! provider has many behind betas.

use std::collections::HashSet;

use serde_json::Value;

use crate::refusal::Refusal;

/// Checks `messages` and `tools`.
pub(crate) fn check(body: &Value) -> Result<(), Refusal> {
    let messages = match body.get("messages") {
        None => return Err(Refusal::invalid("messages: Field required")),
        Some(Value::Array(messages)) => messages,
        Some(_) => return Err(Refusal::invalid("messages: Input should be a valid list")),
    };
    if messages.is_empty() {
        return Err(Refusal::invalid("messages: at least one message is required"));
    }
    for (place, message) in messages.iter().enumerate() {
        check_message(place, message, place + 1 == messages.len())?;
    }
    check_system(body.get("system"))?;
    check_tools(body.get("tools"))?;
    check_pairs(messages)
}

fn check_message(place: usize, message: &Value, last: bool) -> Result<(), Refusal> {
    let role = message.get("role").and_then(Value::as_str);
    let Some(role) = role.filter(|role| matches!(*role, "user" | "assistant" | "system")) else {
        return Err(Refusal::invalid(format!(
            "messages.{place}.role: Input should be 'user', 'assistant' or 'system'"
        )));
    };
    let may_be_empty = last && role == "assistant";
    let empty = || {
        Refusal::invalid(format!(
            "messages.{place}: all messages must have non-empty content except for the optional final assistant message"
        ))
    };
    match message.get("content") {
        None => Err(Refusal::invalid(format!("messages.{place}.content: Field required"))),
        Some(Value::String(text)) if text.is_empty() && !may_be_empty => Err(empty()),
        Some(Value::String(_)) => Ok(()),
        Some(Value::Array(blocks)) if blocks.is_empty() && !may_be_empty => Err(empty()),
        Some(Value::Array(blocks)) => blocks.iter().enumerate().try_for_each(|(number, block)| {
            check_block(&format!("messages.{place}.content.{number}"), block)
        }),
        Some(_) => Err(Refusal::invalid(format!("messages.{place}.content: Input should be a valid list"))),
    }
}

fn check_block(path: &str, block: &Value) -> Result<(), Refusal> {
    let Some(kind) = block.get("type").and_then(Value::as_str) else {
        return Err(Refusal::invalid(format!("{path}.type: Field required")));
    };
    let required: &[&str] = match kind {
        "text" => &["text"],
        "tool_use" => &["id", "name", "input"],
        "tool_result" => &["tool_use_id"],
        "thinking" => &["thinking", "signature"],
        "redacted_thinking" => &["data"],
        "image" | "document" => &["source"],
        _ => &[],
    };
    for field in required {
        match block.get(field) {
            None => return Err(Refusal::invalid(format!("{path}.{kind}.{field}: Field required"))),
            Some(Value::String(text)) if kind == "text" && text.is_empty() => {
                return Err(Refusal::invalid("messages: text content blocks must be non-empty"));
            }
            Some(value) if kind == "tool_use" && *field == "input" && !value.is_object() => {
                return Err(Refusal::invalid(format!(
                    "{path}.tool_use.input: Input should be a valid dictionary"
                )));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn check_system(system: Option<&Value>) -> Result<(), Refusal> {
    match system {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(Value::Array(blocks)) => {
            let empty = |block: &Value| block.get("text").and_then(Value::as_str).is_none_or(str::is_empty);
            if blocks.iter().any(empty) {
                return Err(Refusal::invalid("system: text content blocks must be non-empty"));
            }
            Ok(())
        }
        Some(_) => Err(Refusal::invalid("system: Input should be a valid list")),
    }
}

fn check_tools(tools: Option<&Value>) -> Result<(), Refusal> {
    let tools = match tools {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(tools)) => tools,
        Some(_) => return Err(Refusal::invalid("tools: Input should be a valid list")),
    };
    let mut names = HashSet::new();
    for (place, tool) in tools.iter().enumerate() {
        let custom = tool.get("type").and_then(Value::as_str).is_none_or(|kind| kind == "custom");
        let name = tool.get("name").and_then(Value::as_str);
        if custom && name.is_none_or(str::is_empty) {
            return Err(Refusal::invalid(format!("tools.{place}.custom.name: Field required")));
        }
        if custom && tool.get("input_schema").is_none() {
            return Err(Refusal::invalid(format!("tools.{place}.custom.input_schema: Field required")));
        }
        if let Some(name) = name
            && !names.insert(name)
        {
            return Err(Refusal::invalid("tools: Tool names must be unique."));
        }
    }
    Ok(())
}

/// Every call of a tool is answered in the next turn, and nothing else is.
///
/// Messages of one role in a row are one turn, and `system` messages do not end a turn.
fn check_pairs(messages: &[Value]) -> Result<(), Refusal> {
    let mut called: Vec<&str> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut turn = 0;
    let mut speaker = "user";
    for (place, message) in messages.iter().enumerate() {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if role == "system" {
            continue;
        }
        if role == "assistant" {
            if speaker != "assistant" {
                check_answered(turn, &open)?;
                (called, open, turn) = (Vec::new(), Vec::new(), place);
            }
            let ids = ids(message, "tool_use", "id").map(|(_, id)| id);
            open.extend(ids);
            called.clone_from(&open);
        } else {
            for (number, id) in ids(message, "tool_result", "tool_use_id") {
                if !called.contains(&id) {
                    return Err(unexpected_result(place, number, id));
                }
                open.retain(|waiting| *waiting != id);
            }
        }
        speaker = role;
    }
    check_answered(turn, &open)
}

fn check_answered(turn: usize, open: &[&str]) -> Result<(), Refusal> {
    if open.is_empty() {
        return Ok(());
    }
    let list = open.join(", ");
    Err(Refusal::invalid(format!(
        "messages.{turn}: `tool_use` ids were found without `tool_result` blocks immediately after: {list}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )))
}

fn unexpected_result(place: usize, number: usize, id: &str) -> Refusal {
    Refusal::invalid(format!(
        "messages.{place}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
    ))
}

/// The blocks of one kind, by their place in the message and the id they carry.
fn ids<'a>(
    message: &'a Value,
    kind: &'static str,
    field: &'static str,
) -> impl Iterator<Item = (usize, &'a str)> {
    let blocks = message.get("content").and_then(Value::as_array).into_iter().flatten().enumerate();
    blocks
        .filter(move |(_, block)| block.get("type").and_then(Value::as_str) == Some(kind))
        .filter_map(move |(number, block)| Some((number, block.get(field)?.as_str()?)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;

    fn verdict(messages: &Value) -> String {
        let body = json!({"messages": messages});
        check(&body).map_or_else(|refusal| refusal.message, |()| "good".to_owned())
    }

    fn call(id: &str) -> Value {
        json!({"type": "tool_use", "id": id, "name": "Bash", "input": {}})
    }

    fn result(id: &str) -> Value {
        json!({"type": "tool_result", "tool_use_id": id, "content": "done"})
    }

    #[test]
    fn shapes_are_judged_as_the_provider_judges_them() {
        let text = |text: &str| json!({"type": "text", "text": text});
        let cases = [
            (json!("hello"), "messages: Input should be a valid list"),
            (json!([]), "messages: at least one message is required"),
            (json!([{"content": "hi"}]), "messages.0.role: Input should be 'user', 'assistant' or 'system'"),
            (json!([{"role": "user"}]), "messages.0.content: Field required"),
            (json!([{"role": "user", "content": 7}]), "messages.0.content: Input should be a valid list"),
            (json!([{"role": "user", "content": ["hi"]}]), "messages.0.content.0.type: Field required"),
            (
                json!([{"role": "user", "content": [text("")]}]),
                "messages: text content blocks must be non-empty",
            ),
            (
                json!([{"role": "user", "content": [{"type": "text"}]}]),
                "messages.0.content.0.text.text: Field required",
            ),
            (json!([{"role": "user", "content": "hi"}, {"role": "system", "content": "be kind"}]), "good"),
            (json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": ""}]), "good"),
            (json!([{"role": "user", "content": [{"type": "brand_new_block", "x": 1}]}]), "good"),
        ];
        for (messages, expected) in cases {
            assert_eq!(verdict(&messages), expected, "{messages}");
        }
        let empty = verdict(&json!([{"role": "user", "content": ""}]));
        assert!(empty.starts_with("messages.0: all messages must have non-empty content"), "{empty}");
    }

    #[test]
    fn every_tool_result_follows_its_call() {
        let good = json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [call("a"), call("b")]},
            {"role": "system", "content": "a note between"},
            {"role": "user", "content": [result("b")]},
            {"role": "user", "content": [result("a"), {"type": "text", "text": "and now?"}]},
            {"role": "assistant", "content": "done"},
        ]);
        assert_eq!(verdict(&good), "good");
        let unanswered = verdict(&json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [call("a"), call("b")]},
            {"role": "user", "content": [result("a")]},
        ]));
        assert!(
            unanswered.starts_with(
                "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: b."
            ),
            "{unanswered}"
        );
        let late = verdict(&json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [call("a")]},
            {"role": "user", "content": [result("a")]},
            {"role": "assistant", "content": "fine"},
            {"role": "user", "content": [result("a")]},
        ]));
        assert!(late.starts_with("messages.4.content.0: unexpected `tool_use_id` found"), "{late}");
        let alone =
            verdict(&json!([{"role": "user", "content": [{"type": "text", "text": "x"}, result("a")]}]));
        assert!(alone.starts_with("messages.0.content.1: unexpected"), "{alone}");
    }

    #[test]
    fn tools_have_unique_names_and_schemas() {
        let verdict = |tools: &Value| {
            let body = json!({"messages": [{"role": "user", "content": "hi"}], "tools": tools});
            check(&body).map_or_else(|refusal| refusal.message, |()| "good".to_owned())
        };
        let tool = |name: &str| json!({"name": name, "input_schema": {"type": "object"}});
        assert_eq!(
            verdict(&json!([tool("a"), tool("b"), {"type": "code_execution_20250825", "name": "code"}])),
            "good"
        );
        assert_eq!(verdict(&json!([tool("a"), tool("a")])), "tools: Tool names must be unique.");
        assert_eq!(verdict(&json!([{"name": "a"}])), "tools.0.custom.input_schema: Field required");
        assert_eq!(verdict(&json!([{"input_schema": {}}])), "tools.0.custom.name: Field required");
        assert_eq!(verdict(&json!({})), "tools: Input should be a valid list");
    }
}
