//! What a client asks, in the words of Chat Completions. Nothing is carried that would mean something else there: what
//! cannot be is refused by its name, unless it is a hint only.

use std::fmt;

use bytes::Bytes;
use relay_wire::Call;
use relay_wire::edit::Edits;
use relay_wire::scan::{Kind, Value};

use crate::adapter::Unsupported;
use crate::dialect::written::Written;
use crate::dialect::{Habits, ids, schema};

/// Between texts that were apart.
const GAP: &str = "\\n\\n";

/// The first block of Claude Code's prompt says who is charged. It changes, and means nothing to others.
const ATTRIBUTION: &str = "x-anthropic-billing-header";

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
    let mut messages_of = Messages { written: &mut written, habits, any: false };
    messages_of.system(system)?;
    for (nth, message) in messages.into_iter().flat_map(Value::elements).enumerate() {
        let message = message.map_err(|_| Unsupported::Body)?;
        messages_of.message(message, &format!("messages.{nth}"))?;
    }
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

fn cannot(place: impl fmt::Display, why: &'static str) -> Unsupported {
    Unsupported::Field { place: place.to_string(), why }
}

/// Writes messages, one after the other.
struct Messages<'w, 'a> {
    written: &'w mut Written<'a>,
    habits: &'w Habits,
    any: bool,
}

/// The parts of a message that stay beside each other.
#[derive(Clone, Copy)]
enum Part<'v> {
    Text(Value<'v>),
    /// Its form, and its letters in base 64.
    Image(Value<'v>, Value<'v>),
    ImageAt(Value<'v>),
}

impl Messages<'_, '_> {
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
        let texts: Vec<_> = texts.into_iter().filter(|text| !is_attribution(text)).collect();
        if !texts.is_empty() {
            self.begin("system").joined(&texts, ["", ""]).end();
        }
        Ok(())
    }

    fn message(&mut self, message: Value<'_>, place: &str) -> Result<(), Unsupported> {
        let [role, content] = message.pick(["role", "content"]);
        let content = content.ok_or_else(|| cannot(place, "has no content"))?;
        match role.and_then(Value::as_str).as_deref() {
            Some("user") => self.of_user(content, place),
            Some("assistant") => self.of_assistant(content, place),
            Some("system") => {
                // Many servers have a system prompt at the beginning only.
                let texts = texts(content, place)?;
                self.begin("user").joined(&texts, ["<system>\\n", "\\n</system>"]).end();
                Ok(())
            }
            _ => Err(cannot(format_args!("{place}.role"), "is none that others know")),
        }
    }

    /// Results of tools follow their calls at once, and so come before everything else.
    fn of_user(&mut self, content: Value<'_>, place: &str) -> Result<(), Unsupported> {
        if content.kind() == Kind::String {
            self.begin("user").joined(&[content], ["", ""]).end();
            return Ok(());
        }
        let (mut parts, mut shown) = (Vec::new(), Vec::new());
        for (nth, block) in content.elements().filter_map(Result::ok).enumerate() {
            let place = format!("{place}.content.{nth}");
            if kind_of(block).as_deref() == Some("tool_result") {
                self.result(block, &place, &mut shown)?;
            } else {
                part(block, &place, &mut parts)?;
            }
        }
        // What tools have shown cannot stand in their results.
        shown.extend(parts);
        if !shown.is_empty() {
            self.begin("user").parts(&shown);
            self.end();
        }
        Ok(())
    }

    fn result<'v>(
        &mut self,
        block: Value<'v>,
        place: &str,
        shown: &mut Vec<Part<'v>>,
    ) -> Result<(), Unsupported> {
        let [id, content, is_error] = block.pick(["tool_use_id", "content", "is_error"]);
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
        let mut texts = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => texts.push(text),
                image => shown.push(image),
            }
        }
        let is_elsewhere = texts.is_empty() && !shown.is_empty();
        let failed = is_error.and_then(Value::as_bool) == Some(true);
        let id = id.and_then(Value::as_str).ok_or_else(|| cannot(place, "has no `tool_use_id`"))?;
        let after = if is_elsewhere { "What it shows comes in the next message." } else { "" };
        self.begin("tool").joined(&texts, [if failed { "Error: " } else { "" }, after]);
        self.written.put(",\"tool_call_id\":").quoted(&ids::outward(&id));
        self.end();
        Ok(())
    }

    fn of_assistant(&mut self, content: Value<'_>, place: &str) -> Result<(), Unsupported> {
        if content.kind() == Kind::String {
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
            let (Some(id), Some(name)) = (id.and_then(Value::as_str), name) else {
                return Err(cannot(place, "calls a tool without an id or a name"));
            };
            self.written.put(if nth == 0 { ",\"tool_calls\":[" } else { "," });
            self.written.put("{\"id\":").quoted(&ids::outward(&id));
            self.written.put(",\"type\":\"function\",\"function\":{\"name\":").value(name);
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
        let mut texts = Vec::new();
        for part in parts {
            if let Part::Text(text) = part {
                texts.push(*text);
            }
        }
        if texts.len() == parts.len() {
            self.joined(&texts, ["", ""]);
            return;
        }
        for (nth, part) in parts.iter().enumerate() {
            self.written.put(if nth == 0 { "[" } else { "," });
            match part {
                Part::Text(text) => self.written.put(r#"{"type":"text","text":"#).value(*text).put("}"),
                Part::Image(form, letters) => {
                    self.written.put(r#"{"type":"image_url","image_url":{"url":"data:"#).inside(*form);
                    self.written.put(";base64,").inside(*letters).put("\"}}")
                }
                Part::ImageAt(url) => {
                    self.written.put(r#"{"type":"image_url","image_url":{"url":"#).value(*url).put("}}")
                }
            };
        }
        self.written.put("]");
    }
}

fn kind_of(block: Value<'_>) -> Option<std::borrow::Cow<'_, str>> {
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

fn write_tools(
    tools: Option<Value<'_>>,
    choice: Option<Value<'_>>,
    written: &mut Written<'_>,
) -> Result<(), Unsupported> {
    let mut any = false;
    for (nth, tool) in tools.into_iter().flat_map(Value::elements).filter_map(Result::ok).enumerate() {
        let [kind, name, words, input] = tool.pick(["type", "name", "description", "input_schema"]);
        let kind = kind.and_then(Value::as_str);
        let place = format!("tools.{nth}");
        let (Some(name), None | Some("custom")) = (name, kind.as_deref()) else {
            return Err(cannot(place, "is a tool that only Anthropic has"));
        };
        written.put(if any { "," } else { ",\"tools\":[" });
        any = true;
        written.put(r#"{"type":"function","function":{"name":"#).value(name);
        if let Some(words) = words {
            written.put(",\"description\":").value(words);
        }
        written.put(",\"parameters\":");
        match input {
            Some(input) => schema::write(input, written),
            None => return Err(cannot(place, "has no `input_schema`")),
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
            written.put(r#","tool_choice":{"type":"function","function":{"name":"#).value(name).put("}}");
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
        written.value(schema).put("}}");
    }
}
