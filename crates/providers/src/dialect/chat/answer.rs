//! An answer of Chat Completions that comes whole, as Anthropic's would be; and what both kinds of answers say.

use std::borrow::Cow;

use bytes::Bytes;
use relay_wire::refusal;
use relay_wire::scan::{Kind, Value};

use super::asked::Asked;
use crate::adapter::{Garbled, Translator};
use crate::dialect::blocks::Sort;
use crate::dialect::ids;
use crate::dialect::refused::says_late;
use crate::dialect::written::escape;

/// The most of an answer that is kept: as much as any request may have.
const MOST: usize = 64 << 20;

/// A body that is one message.
pub(crate) struct Whole {
    asked: Asked,
    body: Vec<u8>,
}

impl Whole {
    pub(crate) const fn new(asked: Asked) -> Self {
        Self { asked, body: Vec::new() }
    }
}

impl Translator for Whole {
    fn push(&mut self, chunk: &[u8]) -> Result<Bytes, Garbled> {
        keep(&mut self.body, chunk)
    }

    fn finish(&mut self) -> Result<Bytes, Garbled> {
        let body = std::mem::take(&mut self.body);
        if refusal::is_one(&body) {
            // Some say so under a 200.
            let said = refusal::read(&body);
            let (kind, words) = says_late(&said);
            return Ok(refusal::write(kind, &words, None));
        }
        let answer = Value::read(&body).map_err(|_| Garbled)?;
        message(answer, &self.asked).map(Bytes::from).ok_or(Garbled)
    }
}

/// Keeps a piece of an answer that is to be read as a whole.
pub(super) fn keep(body: &mut Vec<u8>, chunk: &[u8]) -> Result<Bytes, Garbled> {
    if body.len() + chunk.len() > MOST {
        return Err(Garbled);
    }
    body.extend_from_slice(chunk);
    Ok(Bytes::new())
}

/// The message that an answer is; none if it has none.
fn message(answer: Value<'_>, asked: &Asked) -> Option<Vec<u8>> {
    let [id, model, choices, usage] = answer.pick(["id", "model", "choices", "usage"]);
    let choice = choices?.elements().next()?.ok()?;
    let [said, finish] = choice.pick(["message", "finish_reason"]);
    let said = said.filter(|said| said.kind() == Kind::Object)?;
    let mut out = Vec::with_capacity(said.text().len() + 512);
    begin(id, model, asked.bytes, &mut out);
    out.extend_from_slice(b"\"content\":[");
    let mut any = false;
    let mut block = |json: &[&[u8]], out: &mut Vec<u8>| {
        if std::mem::replace(&mut any, true) {
            out.push(b',');
        }
        for piece in json {
            out.extend_from_slice(piece);
        }
    };
    each_said(said, &mut |sort, text| match sort {
        // Nobody has signed them, and nobody is to believe that.
        Sort::Thought => {
            block(&[br#"{"type":"thinking","thinking":"#, text.text(), br#","signature":""}"#], &mut out);
        }
        Sort::Word => block(&[br#"{"type":"text","text":"#, text.text(), b"}"], &mut out),
    });
    let mut n_calls = 0;
    let calls = said.get("tool_calls");
    for call in calls.into_iter().flat_map(Value::elements).filter_map(Result::ok) {
        let Some(Call { id: own, name, arguments }) = Called::of(call).whole() else { continue };
        let input = input(&arguments);
        let answer = id.and_then(Value::as_str).unwrap_or_default();
        let id = asked.call(&answer, n_calls, &own);
        block(
            &[
                br#"{"type":"tool_use","id":"#,
                &quoted(&id),
                b",\"name\":",
                asked.names.inward(name),
                b",\"input\":",
                &input,
                b"}",
            ],
            &mut out,
        );
        n_calls += 1;
    }
    let finish = finish.and_then(Value::as_str);
    let reason = stop_reason(finish.as_deref(), n_calls > 0);
    out.extend_from_slice(b"],\"stop_reason\":\"");
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\",\"stop_sequence\":null,\"usage\":");
    Counted::of(usage).unwrap_or_else(|| asked.uncounted(said.text().len())).write(&mut out);
    out.push(b'}');
    Some(out)
}

/// The head of a message, up to its content. Clients take two of the same name for one: who has none is given one.
pub(super) fn begin(id: Option<Value<'_>>, model: Option<Value<'_>>, asked: usize, out: &mut Vec<u8>) {
    let id = id.and_then(Value::as_str).filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| format!("{asked:x}").into());
    let model = model.filter(|model| model.kind() == Kind::String);
    out.extend_from_slice(br#"{"id":"msg_"#);
    escape(ids::inward(&id).as_bytes(), out);
    out.extend_from_slice(br#"","type":"message","role":"assistant","model":"#);
    out.extend_from_slice(model.map_or(b"\"\"", Value::text));
    out.push(b',');
}

pub(super) fn quoted(text: &str) -> Vec<u8> {
    let mut out = vec![b'"'];
    escape(text.as_bytes(), &mut out);
    out.push(b'"');
    out
}

/// Each text of a message, or of a piece of one. Thoughts have two names; and Mistral's models, and some proxies, make a
/// list of all that they say.
pub(super) fn each_said<'v>(said: Value<'v>, each: &mut impl FnMut(Sort, Value<'v>)) {
    let [content, refused, thoughts, short] =
        said.pick(["content", "refusal", "reasoning_content", "reasoning"]);
    if let Some(text) = spoken(thoughts).or_else(|| spoken(short)) {
        each(Sort::Thought, text);
    }
    each_text(content, Sort::Word, each);
    if let Some(text) = spoken(refused) {
        each(Sort::Word, text);
    }
}

/// Each text of a text, or of a list of them and of thoughts.
fn each_text<'v>(content: Option<Value<'v>>, sort: Sort, each: &mut impl FnMut(Sort, Value<'v>)) {
    if let Some(text) = spoken(content) {
        return each(sort, text);
    }
    for part in content.into_iter().flat_map(Value::elements).filter_map(Result::ok) {
        let [text, thinking] = part.pick(["text", "thinking"]);
        for (text, sort) in [(thinking, Sort::Thought), (text, sort)] {
            match text {
                Some(list) if list.kind() == Kind::Array => {
                    let inside = list.elements().filter_map(Result::ok).map(|part| part.get("text"));
                    inside.filter_map(spoken).for_each(|text| each(sort, text));
                }
                text => spoken(text).into_iter().for_each(|text| each(sort, text)),
            }
        }
    }
}

/// A text that is not empty.
pub(super) fn spoken(text: Option<Value<'_>>) -> Option<Value<'_>> {
    text.filter(|text| text.kind() == Kind::String && text.text() != b"\"\"")
}

/// A call of a tool, or a piece of one.
pub(super) struct Called<'v> {
    pub(super) id: Cow<'v, str>,
    pub(super) name: Option<Value<'v>>,
    pub(super) arguments: Option<Value<'v>>,
}

/// A whole one.
struct Call<'v> {
    id: Cow<'v, str>,
    name: Value<'v>,
    arguments: Cow<'v, str>,
}

impl<'v> Called<'v> {
    pub(super) fn of(call: Value<'v>) -> Self {
        let [id, function] = call.pick(["id", "function"]);
        let [name, arguments] = function.map_or([None; 2], |function| function.pick(["name", "arguments"]));
        Self { id: id.and_then(Value::as_str).unwrap_or_default(), name: spoken(name), arguments }
    }

    fn whole(self) -> Option<Call<'v>> {
        // Some give what is in it as it is, and not as a text.
        let arguments = match self.arguments {
            Some(arguments) if arguments.kind() == Kind::Object => {
                Cow::Borrowed(std::str::from_utf8(arguments.text()).ok()?)
            }
            arguments => arguments.and_then(Value::as_str).unwrap_or_default(),
        };
        Some(Call { id: self.id, name: self.name?, arguments })
    }
}

/// What a tool is called with: an object. Whatever else a model writes is handed over in one, so that the tool can say what
/// is wrong with it.
fn input(arguments: &str) -> Cow<'_, [u8]> {
    match Value::read(arguments.as_bytes()) {
        Ok(object) if object.kind() == Kind::Object => Cow::Borrowed(arguments.as_bytes()),
        _ if arguments.trim().is_empty() => Cow::Borrowed(b"{}"),
        _ => Cow::Owned([b"{\"arguments\":", quoted(arguments).as_slice(), b"}"].concat()),
    }
}

/// Why an answer ended, in Anthropic's words. Some say that they have stopped when they call a tool.
pub(super) fn stop_reason(finish: Option<&str>, calls: bool) -> &'static str {
    match finish {
        Some("length") => "max_tokens",
        Some("content_filter") => "refusal",
        _ if calls => "tool_use",
        _ => "end_turn",
    }
}

/// What an answer used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counted {
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) output: u64,
}

impl Counted {
    /// What is read from a cache is part of the prompt there, and beside it at Anthropic.
    pub(super) fn of(usage: Option<Value<'_>>) -> Option<Self> {
        let usage = usage.filter(|usage| usage.kind() == Kind::Object)?;
        let [prompt, output, details, hits] = usage.pick([
            "prompt_tokens",
            "completion_tokens",
            "prompt_tokens_details",
            "prompt_cache_hit_tokens",
        ]);
        let number = |value: Option<Value<'_>>| value.and_then(Value::as_u64);
        let cached = details
            .and_then(|details| number(details.get("cached_tokens")))
            .or(number(hits))
            .unwrap_or_default();
        let prompt = number(prompt)?;
        Some(Self {
            input: prompt.saturating_sub(cached),
            cached,
            output: number(output).unwrap_or_default(),
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { input, cached, output } = self;
        let json = format!(
            r#"{{"input_tokens":{input},"cache_creation_input_tokens":0,"cache_read_input_tokens":{cached},"output_tokens":{output}}}"#
        );
        out.extend_from_slice(json.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Names;

    fn translated(body: &str) -> Option<String> {
        let mut whole = Whole::new(Asked { bytes: 350, prompt: 100, names: Names::default() });
        for chunk in body.as_bytes().chunks(7) {
            assert!(whole.push(chunk).unwrap().is_empty());
        }
        whole.finish().ok().map(|message| String::from_utf8(message.to_vec()).unwrap())
    }

    #[test]
    fn a_message_has_thoughts_words_and_calls_in_that_order() {
        let body = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-5","choices":[{"index":0,"message":{"role":"assistant","content":"Let me \"see\".","reasoning_content":"hm\n","tool_calls":[{"id":"functions.Bash:0","type":"function","function":{"name":"Bash","arguments":"{\"command\":\"ls\"}"}},{"id":"call_2","type":"function","function":{"name":"Read","arguments":""}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":64}}}"#;
        let expect = r#"{"id":"msg_chatcmpl-1","type":"message","role":"assistant","model":"gpt-5","content":[{"type":"thinking","thinking":"hm\n","signature":""},{"type":"text","text":"Let me \"see\"."},{"type":"tool_use","id":"functions_0x2e_Bash_0x3a_0","name":"Bash","input":{"command":"ls"}},{"type":"tool_use","id":"call_2","name":"Read","input":{}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":36,"cache_creation_input_tokens":0,"cache_read_input_tokens":64,"output_tokens":20}}"#;
        assert_eq!(translated(body).as_deref(), Some(expect));
    }

    #[test]
    fn what_models_write_that_is_no_object_comes_to_the_tool_as_it_is() {
        for (arguments, expect) in [
            ("", "{}"),
            (" ", "{}"),
            (r#"{"a": 1}"#, r#"{"a": 1}"#),
            ("[1]", r#"{"arguments":"[1]"}"#),
            (r#"{"a": "#, r#"{"arguments":"{\"a\": "}"#),
        ] {
            assert_eq!(input(arguments), expect.as_bytes(), "{arguments}");
        }
    }

    #[test]
    fn an_answer_says_why_it_ended() {
        for (finish, calls, expect) in [
            (Some("stop"), false, "end_turn"),
            (Some("stop"), true, "tool_use"),
            (Some("tool_calls"), true, "tool_use"),
            (Some("tool_calls"), false, "end_turn"),
            (Some("length"), true, "max_tokens"),
            (Some("content_filter"), false, "refusal"),
            (None, false, "end_turn"),
        ] {
            assert_eq!(stop_reason(finish, calls), expect, "{finish:?} {calls}");
        }
    }

    #[test]
    fn errors_pass_and_what_is_no_answer_is_none() {
        let error = r#"{"error":{"message":"m","type":"server_error"}}"#;
        let expect = r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#;
        assert_eq!(translated(error).as_deref(), Some(expect));
        for body in ["", "<html>", "{}", r#"{"choices":[]}"#, r#"{"choices":[{"message":null}]}"#] {
            assert_eq!(translated(body), None, "{body}");
        }
    }

    /// They came to nothing: a message without content that had ended.
    #[test]
    fn texts_in_lists_are_texts() {
        let body = r#"{"id":"x","choices":[{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"x"}]},"finish_reason":"stop"}]}"#;
        let said = translated(body).unwrap();
        let expect = r#""content":[{"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"a"},{"type":"text","text":"b"}]"#;
        assert!(said.contains(expect), "{said}");
        let is_about = said.contains(r#""input_tokens":100"#) && !said.contains(r#""output_tokens":0"#);
        assert!(is_about, "nobody counted, and it was 0: {said}");
    }

    /// All were `msg_`, and clients take two messages of the same name for one.
    #[test]
    fn messages_without_names_are_given_one() {
        let said = translated(r#"{"id":null,"choices":[{"message":{"content":"a"}}]}"#).unwrap();
        assert!(said.starts_with(r#"{"id":"msg_15e","type":"message""#), "{said}");
    }

    /// All were `call`, and no result could be told from another.
    #[test]
    fn calls_without_names_are_given_one_each() {
        let call = r#"{"id":"","type":"function","function":{"name":"A","arguments":"{}"}}"#;
        let body = format!(r#"{{"id":"x","choices":[{{"message":{{"tool_calls":[{call},{call}]}}}}]}}"#);
        let said = translated(&body).unwrap();
        for id in ["call_15e_0_x", "call_15e_1_x"] {
            assert!(said.contains(&format!(r#""id":"{id}""#)), "{said}");
        }
    }

    #[test]
    fn an_empty_answer_is_a_message_without_content() {
        let body =
            r#"{"id":"x","choices":[{"message":{"content":"","tool_calls":[]},"finish_reason":"length"}]}"#;
        let said = translated(body).unwrap();
        assert!(said.contains(r#""content":[],"stop_reason":"max_tokens""#), "{said}");
    }
}
