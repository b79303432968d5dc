//! The messages of a conversation, in the words of Chat Completions.

use std::borrow::Cow;

use relay_wire::scan::{Kind, Value};

use super::ask::cannot;
use crate::adapter::Unsupported;
use crate::dialect::written::Written;
use crate::dialect::{Habits, ids};

/// Between texts that were apart.
const GAP: &str = "\\n\\n";

/// The first block of Claude Code's prompt says who is charged. It changes, and means nothing to others.
const ATTRIBUTION: &str = "x-anthropic-billing-header";

/// Writes the prompt and the messages as elements of a list.
pub(super) fn write(
    system: Option<Value<'_>>,
    messages: Option<Value<'_>>,
    habits: &Habits,
    written: &mut Written<'_>,
) -> Result<(), Unsupported> {
    let mut all = Messages { written, habits, waiting: Vec::new(), any: false };
    all.system(system)?;
    for (nth, message) in messages.into_iter().flat_map(Value::elements).enumerate() {
        let message = message.map_err(|_| Unsupported::Body)?;
        all.message(message, &format!("messages.{nth}"))?;
    }
    all.user_is_over();
    Ok(())
}

/// Writes messages, one after the other.
struct Messages<'w, 'a, 'v> {
    written: &'w mut Written<'a>,
    habits: &'w Habits,
    /// What users have said since an assistant did: it is one message, for templates of many models refuse two of the same
    /// role. Results of tools follow their calls at once, and so come before it.
    waiting: Vec<Part<'v>>,
    any: bool,
}

/// The parts of a message that stay beside each other.
#[derive(Clone, Copy)]
enum Part<'v> {
    Text(Value<'v>),
    /// What stands in a conversation beside what its two sides say.
    System(Value<'v>),
    /// Images follow that this call has shown.
    Shown(Value<'v>),
    /// Its form, and its letters in base 64.
    Image(Value<'v>, Value<'v>),
    ImageAt(Value<'v>),
}

impl<'v> Messages<'_, '_, 'v> {
    fn begin(&mut self, role: &str) -> &mut Self {
        if std::mem::replace(&mut self.any, true) {
            self.written.put(",");
        }
        self.written.put("{\"role\":\"").put(role).put("\",\"content\":");
        self
    }

    fn end(&mut self) {
        self.written.put("}");
    }

    fn system(&mut self, system: Option<Value<'_>>) -> Result<(), Unsupported> {
        let Some(system) = system else { return Ok(()) };
        let texts = texts(system, "system")?;
        let is_attribution =
            |text: &Value<'_>| text.text().get(1..).is_some_and(|it| it.starts_with(ATTRIBUTION.as_bytes()));
        let is_empty = |text: &Value<'_>| text.text() == b"\"\"";
        let texts: Vec<_> =
            texts.into_iter().filter(|text| !is_attribution(text) && !is_empty(text)).collect();
        if !texts.is_empty() {
            self.begin("system").joined(&texts, ["", ""]).end();
        }
        Ok(())
    }

    fn message(&mut self, message: Value<'v>, place: &str) -> Result<(), Unsupported> {
        let [role, content] = message.pick(["role", "content"]);
        let content = content.ok_or_else(|| cannot(place, "has no content"))?;
        match role.and_then(Value::as_str).as_deref() {
            Some("user") => self.of_user(content, place),
            Some("assistant") => self.of_assistant(content, place),
            Some("system") => {
                // Many servers have a system prompt at the beginning only.
                self.waiting.extend(texts(content, place)?.into_iter().map(Part::System));
                Ok(())
            }
            _ => Err(cannot(format_args!("{place}.role"), "is none that others know")),
        }
    }

    fn of_user(&mut self, content: Value<'v>, place: &str) -> Result<(), Unsupported> {
        if content.kind() == Kind::String {
            self.waiting.push(Part::Text(content));
            return Ok(());
        }
        let mut parts = Vec::new();
        for (nth, block) in content.elements().filter_map(Result::ok).enumerate() {
            let place = format!("{place}.content.{nth}");
            if kind_of(block).as_deref() == Some("tool_result") {
                self.result(block, &place)?;
            } else {
                part(block, &place, &mut parts)?;
            }
        }
        // Behind what tools have shown.
        self.waiting.extend(parts);
        Ok(())
    }

    fn user_is_over(&mut self) {
        let parts = std::mem::take(&mut self.waiting);
        if !parts.is_empty() {
            self.begin("user").parts(&parts);
            self.end();
        }
    }

    fn result(&mut self, block: Value<'v>, place: &str) -> Result<(), Unsupported> {
        let [id, content, is_error] = block.pick(["tool_use_id", "content", "is_error"]);
        let id =
            id.filter(|id| id.kind() == Kind::String).ok_or_else(|| cannot(place, "has no `tool_use_id`"))?;
        let mut parts = Vec::new();
        match content {
            Some(content) if content.kind() == Kind::String => parts.push(Part::Text(content)),
            Some(content) => {
                for (nth, block) in content.elements().filter_map(Result::ok).enumerate() {
                    part(block, &format!("{place}.content.{nth}"), &mut parts)?;
                }
            }
            None => {}
        }
        let (texts, images): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| part.text().is_some());
        let texts: Vec<_> = texts.iter().filter_map(Part::text).collect();
        let after = if texts.is_empty() && !images.is_empty() {
            "What it shows comes in the next message."
        } else {
            ""
        };
        if !images.is_empty() {
            // They cannot stand in the result.
            self.waiting.push(Part::Shown(id));
            self.waiting.extend(images);
        }
        let failed = is_error.and_then(Value::as_bool) == Some(true);
        self.begin("tool").joined(&texts, [if failed { "Error: " } else { "" }, after]);
        self.written.put(",\"tool_call_id\":").quoted(&outward(id));
        self.end();
        Ok(())
    }

    fn of_assistant(&mut self, content: Value<'_>, place: &str) -> Result<(), Unsupported> {
        if content.kind() == Kind::String {
            self.user_is_over();
            self.begin("assistant").joined(&[content], ["", ""]).end();
            return Ok(());
        }
        let (mut texts, mut calls, mut thoughts) = (Vec::new(), Vec::new(), Vec::new());
        for block in content.elements().filter_map(Result::ok) {
            match kind_of(block).as_deref() {
                Some("text") => texts.extend(block.get("text")),
                Some("tool_use") => calls.push(block),
                // Signed thoughts are those of Claude, and nobody else can read them.
                Some("thinking") if !is_signed(block) => thoughts.extend(block.get("thinking")),
                // What Anthropic's own tools did: both halves stand here, and go together.
                _ => {}
            }
        }
        if texts.is_empty() && calls.is_empty() {
            return Ok(());
        }
        self.user_is_over();
        self.begin("assistant");
        if texts.is_empty() {
            self.written.put("null");
        } else {
            self.joined(&texts, ["", ""]);
        }
        if let Some(name) = self.habits.thoughts.filter(|_| !thoughts.is_empty()) {
            self.written.put(",\"").put(name).put("\":");
            self.joined(&thoughts, ["", ""]);
        }
        self.calls(&calls, place)?;
        self.end();
        Ok(())
    }

    fn calls(&mut self, calls: &[Value<'_>], place: &str) -> Result<(), Unsupported> {
        for (nth, call) in calls.iter().enumerate() {
            let [id, name, input] = call.pick(["id", "name", "input"]);
            let (Some(id), Some(name)) = (id.filter(|id| id.kind() == Kind::String), name) else {
                return Err(cannot(place, "calls a tool without an id or a name"));
            };
            self.written.put(if nth == 0 { ",\"tool_calls\":[" } else { "," });
            self.written.put("{\"id\":").quoted(&outward(id));
            self.written.put(",\"type\":\"function\",\"function\":{\"name\":").name(name);
            self.written.put(",\"arguments\":\"").escaped(input.map_or(b"{}", Value::text)).put("\"}}");
        }
        if !calls.is_empty() {
            self.written.put("]");
        }
        Ok(())
    }

    /// Texts as one string, between these.
    fn joined(&mut self, texts: &[Value<'_>], [before, after]: [&str; 2]) -> &mut Self {
        self.written.put("\"").put(before);
        for (nth, text) in texts.iter().enumerate() {
            self.written.put(if nth > 0 { GAP } else { "" }).inside(*text);
        }
        self.written.put(after).put("\"");
        self
    }

    /// Texts alone are a string, for not all servers know lists; with images they are a list.
    fn parts(&mut self, parts: &[Part<'_>]) {
        let are_texts = parts.iter().all(|part| matches!(part, Part::Text(_) | Part::System(_)));
        self.written.put(if are_texts { "\"" } else { "[" });
        for (nth, part) in parts.iter().enumerate() {
            match (nth, are_texts) {
                (0, _) => {}
                (_, true) => drop(self.written.put(GAP)),
                (_, false) => drop(self.written.put(",")),
            }
            if are_texts {
                self.text(*part);
                continue;
            }
            match part {
                Part::Text(_) | Part::System(_) | Part::Shown(_) => {
                    self.written.put(r#"{"type":"text","text":""#);
                    self.text(*part);
                    self.written.put("\"}");
                }
                Part::Image(form, letters) => {
                    self.written.put(r#"{"type":"image_url","image_url":{"url":"data:"#).inside(*form);
                    self.written.put(";base64,").inside(*letters).put("\"}}");
                }
                Part::ImageAt(url) => {
                    self.written.put(r#"{"type":"image_url","image_url":{"url":"#).value(*url).put("}}");
                }
            }
        }
        self.written.put(if are_texts { "\"" } else { "]" });
    }

    /// The inside of a string that says it.
    fn text(&mut self, part: Part<'_>) {
        match part {
            Part::Text(text) => self.written.inside(text),
            Part::System(text) => self.written.put("<system>\\n").inside(text).put("\\n</system>"),
            Part::Shown(id) => self.written.put("Shown by ").escaped(outward(id).as_bytes()).put(":"),
            Part::Image(..) | Part::ImageAt(_) => return,
        };
    }
}

impl<'v> Part<'v> {
    const fn text(&self) -> Option<Value<'v>> {
        match self {
            Self::Text(text) => Some(*text),
            _ => None,
        }
    }
}

/// What a call is called there.
fn outward(id: Value<'_>) -> String {
    ids::outward(&id.as_str().unwrap_or_default()).into_owned()
}

fn kind_of(block: Value<'_>) -> Option<Cow<'_, str>> {
    block.get("type")?.as_str()
}

fn is_signed(block: Value<'_>) -> bool {
    block.get("signature").and_then(Value::as_str).is_some_and(|signature| !signature.is_empty())
}

/// The texts of a prompt that is one, or a list of blocks.
fn texts<'v>(content: Value<'v>, place: &str) -> Result<Vec<Value<'v>>, Unsupported> {
    if content.kind() == Kind::String {
        return Ok(vec![content]);
    }
    let mut texts = Vec::new();
    for (nth, block) in content.elements().filter_map(Result::ok).enumerate() {
        match kind_of(block).as_deref() {
            Some("text") => texts.extend(block.get("text")),
            _ => return Err(cannot(format_args!("{place}.{nth}"), "is no text")),
        }
    }
    Ok(texts)
}

/// What a block of a user's is there: one part, or those inside it.
fn part<'v>(block: Value<'v>, place: &str, parts: &mut Vec<Part<'v>>) -> Result<(), Unsupported> {
    match kind_of(block).as_deref() {
        Some("text") => parts.extend(block.get("text").map(Part::Text)),
        Some("image") => parts.push(image(block, place)?),
        Some("document") => document(block, place, parts)?,
        Some("search_result") => {
            let inner = [block.get("title"), block.get("source")].into_iter().flatten().map(Part::Text);
            parts.extend(inner);
            for (nth, block) in block.get("content").into_iter().flat_map(Value::elements).enumerate() {
                part(block.map_err(|_| Unsupported::Body)?, &format!("{place}.content.{nth}"), parts)?;
            }
        }
        Some("tool_reference") => parts.extend(block.get("tool_name").map(Part::Text)),
        Some("container_upload") => return Err(cannot(place, "is a file in a container of Anthropic's")),
        _ => return Err(cannot(place, "is of a type that this provider does not know")),
    }
    Ok(())
}

fn image<'v>(block: Value<'v>, place: &str) -> Result<Part<'v>, Unsupported> {
    let source = block.get("source").ok_or_else(|| cannot(place, "has no source"))?;
    let [kind, form, letters, url] = source.pick(["type", "media_type", "data", "url"]);
    match (kind.and_then(Value::as_str).as_deref(), form, letters, url) {
        (Some("base64"), Some(form), Some(letters), _) => Ok(Part::Image(form, letters)),
        (Some("url"), .., Some(url)) => Ok(Part::ImageAt(url)),
        _ => Err(cannot(format_args!("{place}.source"), "is a file that only Anthropic has")),
    }
}

fn document<'v>(block: Value<'v>, place: &str, parts: &mut Vec<Part<'v>>) -> Result<(), Unsupported> {
    let source = block.get("source").ok_or_else(|| cannot(place, "has no source"))?;
    let told = block.pick(["title", "context"]).into_iter().flatten();
    parts.extend(told.filter(|told| told.kind() == Kind::String).map(Part::Text));
    let [kind, text, content] = source.pick(["type", "data", "content"]);
    match (kind.and_then(Value::as_str).as_deref(), text, content) {
        (Some("text"), Some(text), _) => parts.push(Part::Text(text)),
        (Some("content"), _, Some(content)) if content.kind() == Kind::String => {
            parts.push(Part::Text(content));
        }
        (Some("content"), _, Some(content)) => {
            for (nth, block) in content.elements().filter_map(Result::ok).enumerate() {
                part(block, &format!("{place}.source.content.{nth}"), parts)?;
            }
        }
        _ => return Err(cannot(place, "is a document that this provider cannot read, a PDF for example")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::ask::tests::asked;

    fn messages(messages: &Json) -> Json {
        asked(&json!({"model": "m", "messages": messages}), "gpt-4.1").expect("it can be said")["messages"]
            .take()
    }

    /// A result without words said that it shows something, if another did; and whose images are whose was not said.
    #[test]
    fn only_results_that_show_something_say_so_and_what_they_show_says_whose_it_is() {
        let image = json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}});
        let result =
            |id: &str, content: Json| json!({"type": "tool_result", "tool_use_id": id, "content": content});
        let user = json!([result("t1", json!([image])), result("t2", json!([])), {"type": "tool_result", "tool_use_id": "t3"}, {"type": "text", "text": "So?"}]);
        assert_eq!(
            messages(&json!([{"role": "user", "content": user}])),
            json!([
                {"role": "tool", "content": "What it shows comes in the next message.", "tool_call_id": "t1"},
                {"role": "tool", "content": "", "tool_call_id": "t2"},
                {"role": "tool", "content": "", "tool_call_id": "t3"},
                {"role": "user", "content": [
                    {"type": "text", "text": "Shown by t1:"},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                    {"type": "text", "text": "So?"},
                ]},
            ])
        );
    }

    /// Templates of many models refuse two messages of the same role.
    #[test]
    fn what_users_say_is_one_message_until_somebody_answers() {
        let sealed = json!([{"type": "redacted_thinking", "data": "x"}]);
        let told = json!([
            {"role": "user", "content": "a"},
            {"role": "system", "content": "b"},
            {"role": "assistant", "content": sealed},
            {"role": "user", "content": [{"type": "text", "text": "c"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "T", "input": {}}]},
            {"role": "user", "content": "d"},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "e"}]},
        ]);
        let call = json!({"id": "t", "type": "function", "function": {"name": "T", "arguments": "{}"}});
        assert_eq!(
            messages(&told),
            json!([
                {"role": "user", "content": "a\n\n<system>\nb\n</system>\n\nc"},
                {"role": "assistant", "content": null, "tool_calls": [call]},
                {"role": "tool", "content": "e", "tool_call_id": "t"},
                {"role": "user", "content": "d"},
            ])
        );
    }
}
