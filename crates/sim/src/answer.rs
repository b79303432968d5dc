//! What the simulated model answers: a value, which follows from the request and nothing else.
//!
//! It reads the newest user message. Lines for the simulator (`directive`) are obeyed, but for
//! those in reminders that a client adds on its own; results of tools, and what Claude Code tells
//! of its background agents, are quoted, so that a test can assert the round trip; otherwise a few
//! sentences come, chosen by a digest of the request. It refuses to know how an answer is sent.

use serde_json::{Value, json};

use crate::{
    digest::{Dice, Digest},
    directive::{Directive, ToolCall, directives},
    request::{Ask, Display},
    schema,
    thinking::Reader,
    tokens,
};

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) blocks: Vec<Block>,
    pub(crate) stop: Stop,
}

/// A block of content.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Block {
    Thinking { text: String, display: Display, signature: String },
    Text(String),
    Call { id: String, name: String, input: Value },
}

/// Why it ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    EndTurn,
    MaxTokens,
    Sequence(String),
    ToolUse,
}

/// How long a thought is unless told otherwise, in tokens.
const THOUGHT: u64 = 24;

/// How much of a tool's result is quoted, in bytes.
const QUOTED: usize = 4000;

/// How Claude Code marks a text which the user did not write.
const REMINDER: &str = "<system-reminder>";

/// Between what Claude Code tells the result of a background agent, and how such a text is known.
const NOTIFICATION: &str = "<task-notification>";
const RESULT: (&str, &str) = ("<result>", "</result>");

const WORDS: [&str; 32] = [
    "answer",
    "bridge",
    "careful",
    "clear",
    "compiler",
    "current",
    "detail",
    "every",
    "file",
    "first",
    "follows",
    "gently",
    "holds",
    "interface",
    "keeps",
    "little",
    "module",
    "nearly",
    "open",
    "parser",
    "quiet",
    "reads",
    "second",
    "simple",
    "small",
    "steady",
    "test",
    "token",
    "value",
    "whole",
    "window",
    "writes",
];

/// The answer under construction, with what is left of `max_tokens`.
struct Draft<'a> {
    answer: Answer,
    left: u64,
    ask: &'a Ask,
    body: &'a Value,
    dice: Dice,
    digest: Digest,
}

/// Composes the answer to a request that was found good. `digest` is of its bytes.
pub(crate) fn compose(body: &Value, ask: &Ask, reader: &Reader<'_>, digest: Digest) -> Answer {
    let newest = newest_user_message(body);
    let own = texts(newest).filter(|text| !text.trim_start().starts_with(REMINDER));
    let wishes: Vec<Directive> = own.flat_map(directives).collect();
    let answer = Answer { id: digest.id("msg_"), blocks: Vec::new(), stop: Stop::EndTurn };
    let mut draft = Draft { answer, left: ask.max_tokens, ask, body, dice: digest.dice(), digest };
    draft.think(&wishes, reader);
    for wish in &wishes {
        draft.follow(wish);
    }
    if wishes.iter().all(|wish| matches!(wish, Directive::Think(_))) {
        draft.speak(newest);
    }
    draft.answer
}

impl Answer {
    /// What it costs, in tokens; never 0.
    pub(crate) fn tokens(&self) -> u64 {
        self.blocks.iter().map(Block::tokens).sum::<u64>().max(1)
    }
}

impl Block {
    /// What it costs, in tokens. Thoughts cost the same whether or not they are shown.
    pub(crate) fn tokens(&self) -> u64 {
        let bytes = match self {
            Self::Thinking { text, .. } | Self::Text(text) => text.len(),
            Self::Call { name, input, .. } => name.len() + input.to_string().len(),
        };
        tokens::of_bytes(bytes as u64)
    }

    /// As in `content` of an answer that is not streamed.
    pub(crate) fn describe(&self) -> Value {
        match self {
            Self::Thinking { text, display, signature } => {
                let shown = if *display == Display::Shown { text.as_str() } else { "" };
                json!({"type": "thinking", "thinking": shown, "signature": signature})
            }
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::Call { id, name, input } => {
                json!({"type": "tool_use", "id": id, "name": name, "input": input})
            }
        }
    }
}

impl Stop {
    /// As in `stop_reason`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::EndTurn => "end_turn",
            Self::MaxTokens => "max_tokens",
            Self::Sequence(_) => "stop_sequence",
            Self::ToolUse => "tool_use",
        }
    }
}

impl Draft<'_> {
    fn think(&mut self, wishes: &[Directive], reader: &Reader<'_>) {
        let Some(display) = self.ask.thinking else { return };
        let wanted = wishes.iter().find_map(|wish| match wish {
            Directive::Think(tokens) => Some(*tokens),
            _ => None,
        });
        let text = prose(&mut self.dice, wanted.unwrap_or(THOUGHT).min(self.left));
        let shown = if display == Display::Shown { text.as_str() } else { "" };
        let signature = reader.seal.sign(reader.origin(), shown, self.digest);
        self.push(Block::Thinking { text, display, signature });
    }

    fn follow(&mut self, wish: &Directive) {
        match wish {
            Directive::Say(text) => self.say(text),
            Directive::Tokens(tokens) => {
                let text = prose(&mut self.dice, (*tokens).min(self.left.saturating_add(1)));
                self.say(&text);
            }
            Directive::Call(calls) => calls.iter().for_each(|call| self.call(call)),
            Directive::Unknown(wish) => self.say(&format!("I do not know how to `{wish}`.")),
            Directive::Think(_) => {}
        }
    }

    /// Without directives: quotes results of tools, satisfies a schema, or says something.
    fn speak(&mut self, newest: Option<&Value>) {
        let mut results = quote_results(newest, self.body);
        results.extend(quote_agents(newest));
        if !results.is_empty() {
            // What is quoted may come back as a prompt, and must then not be read as directives.
            let results = results.join("\n").replace("\nsim:", "\n> sim:");
            self.say(&results);
        } else if let Some(schema) = &self.ask.schema {
            self.say(&schema::example(schema).to_string());
        } else {
            let text = sentences(&mut self.dice);
            self.say(&text);
        }
    }

    fn say(&mut self, text: &str) {
        if self.stopped() {
            return;
        }
        let mut text = match self.answer.blocks.pop() {
            Some(Block::Text(before)) => {
                self.left += tokens::of_bytes(before.len() as u64);
                format!("{before}\n{text}")
            }
            Some(other) => {
                self.answer.blocks.push(other);
                text.to_owned()
            }
            None => text.to_owned(),
        };
        let stop = self.ask.stop_sequences.iter().filter_map(|stop| Some((text.find(stop)?, stop))).min();
        if let Some((place, stop)) = stop {
            text.truncate(place);
            self.answer.stop = Stop::Sequence(stop.clone());
        }
        let room = usize::try_from(tokens::bytes_within(self.left)).unwrap_or(usize::MAX);
        if text.len() > room {
            text.truncate(text.floor_char_boundary(room));
            self.answer.stop = Stop::MaxTokens;
        }
        if !text.is_empty() {
            self.push(Block::Text(text));
        }
    }

    fn call(&mut self, call: &ToolCall) {
        if self.stopped() {
            return;
        }
        let mut offered = self.body.get("tools").and_then(Value::as_array).into_iter().flatten();
        let Some(tool) = offered.find(|tool| tool.get("name").and_then(Value::as_str) == Some(&call.name))
        else {
            self.say(&format!("There is no tool `{}`.", call.name));
            return;
        };
        let input = match tool.get("input_schema") {
            Some(schema) => schema::complete(schema, &call.input),
            None => call.input.clone(),
        };
        let number = self.answer.blocks.len() as u64;
        let id = self.digest.with(&number.to_le_bytes()).id("toolu_");
        let block = Block::Call { id, name: call.name.clone(), input: Value::Object(input) };
        if block.tokens() > self.left {
            self.answer.stop = Stop::MaxTokens;
        } else {
            self.answer.stop = Stop::ToolUse;
            self.push(block);
        }
    }

    fn push(&mut self, block: Block) {
        self.left = self.left.saturating_sub(block.tokens());
        self.answer.blocks.push(block);
    }

    fn stopped(&self) -> bool {
        matches!(self.answer.stop, Stop::MaxTokens | Stop::Sequence(_))
    }
}

fn newest_user_message(body: &Value) -> Option<&Value> {
    let messages = body.get("messages")?.as_array()?;
    messages.iter().rev().find(|message| message.get("role").and_then(Value::as_str) == Some("user"))
}

/// The texts of a message, without what is inside results of tools.
fn texts(message: Option<&Value>) -> impl Iterator<Item = &str> {
    let content = message.and_then(|message| message.get("content"));
    let whole = content.and_then(Value::as_str);
    let blocks = content.and_then(Value::as_array).into_iter().flatten();
    whole.into_iter().chain(blocks.filter_map(|block| block.get("text").and_then(Value::as_str)))
}

fn quote_results(newest: Option<&Value>, body: &Value) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let blocks = newest.and_then(|message| message.get("content")).and_then(Value::as_array);
    for block in blocks.into_iter().flatten() {
        let field = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
        if field("type") != "tool_result" {
            continue;
        }
        let name = tool_called(body, field("tool_use_id"));
        let failed = block.get("is_error").and_then(Value::as_bool) == Some(true);
        let verb = if failed { "failed" } else { "returned" };
        let mut text = texts(Some(block)).collect::<Vec<_>>().join("\n");
        text.truncate(text.floor_char_boundary(QUOTED));
        lines.push(format!("The tool `{name}` {verb}: {}", text.trim_end()));
    }
    lines
}

/// What background agents are told to have found.
fn quote_agents(newest: Option<&Value>) -> impl Iterator<Item = String> {
    let told = texts(newest).filter(|text| text.contains(NOTIFICATION));
    let results = told.filter_map(|text| text.split_once(RESULT.0)?.1.split_once(RESULT.1));
    results.map(|(result, _)| format!("An agent reported: {result}"))
}

/// The name of the tool which a call named.
fn tool_called<'a>(body: &'a Value, id: &str) -> &'a str {
    let messages = body.get("messages").and_then(Value::as_array).into_iter().flatten();
    let mut blocks = messages.filter_map(|message| message.get("content")?.as_array()).flatten();
    let call = blocks.find(|block| block.get("id").and_then(Value::as_str) == Some(id));
    call.and_then(|call| call.get("name")?.as_str()).unwrap_or("unknown")
}

/// Words that are exactly so many tokens.
fn prose(dice: &mut Dice, tokens: u64) -> String {
    let length = usize::try_from(tokens::bytes_within(tokens)).expect("answers are smaller than memory");
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        text.push_str(WORDS[dice.below(WORDS.len())]);
        text.push(' ');
    }
    text.truncate(length);
    if text.ends_with(' ') {
        text.pop();
        text.push('.');
    }
    text
}

/// Two to four sentences.
fn sentences(dice: &mut Dice) -> String {
    let sentence = |dice: &mut Dice| {
        let words: Vec<&str> = (0..6 + dice.below(8)).map(|_| WORDS[dice.below(WORDS.len())]).collect();
        let mut sentence = words.join(" ");
        sentence[..1].make_ascii_uppercase();
        sentence + "."
    };
    (0..2 + dice.below(3)).map(|_| sentence(dice)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Answer, Block, Stop, compose};
    use crate::{
        digest::Digest,
        models::{find, known_models},
        prefix::segments,
        request::{Display, Purpose, check},
        signature::Seal,
        thinking::Reader,
    };

    /// The answer to a request made of a good one and these fields.
    fn answer(fields: &Value) -> Answer {
        let mut body = json!({"model": "claude-opus-5-5", "max_tokens": 1024});
        for (name, value) in fields.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let models = known_models();
        let model = find(&models, "claude-opus-5-5").expect("a known model");
        let reader = Reader { seal: Seal::new(0), model, organization: "acme" };
        let ask =
            check(&body, Purpose::Message, "2023-06-01", &segments(&body), &reader).expect("a good request");
        compose(&body, &ask, &reader, Digest::seeded(0).with(body.to_string().as_bytes()))
    }

    fn said(text: &str) -> Value {
        json!([{"role": "user", "content": text}])
    }

    fn text(answer: &Answer) -> &str {
        match answer.blocks.last() {
            Some(Block::Text(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    fn bash() -> Value {
        json!({"name": "Bash", "input_schema": {
            "type": "object",
            "properties": {"command": {"type": "string"}, "description": {"type": "string"}},
            "required": ["command", "description"],
        }})
    }

    #[test]
    fn an_answer_follows_from_the_request_alone() {
        let hello = || answer(&json!({"messages": said("hello")}));
        assert_eq!(hello(), hello());
        assert_ne!(hello().id, answer(&json!({"messages": said("hello!")})).id);
        assert!(text(&hello()).split(". ").count() >= 2);
        assert_eq!(hello().stop, Stop::EndTurn);
    }

    #[test]
    fn texts_are_as_long_as_they_shall_be() {
        for wanted in [1, 2, 799, 800, 1024] {
            let answer = answer(&json!({"messages": said(&format!("sim: tokens {wanted}"))}));
            assert_eq!((answer.tokens(), &answer.stop), (wanted, &Stop::EndTurn), "{wanted}");
        }
        let cut = answer(&json!({"messages": said("sim: tokens 800"), "max_tokens": 100}));
        assert_eq!((cut.tokens(), cut.stop), (100, Stop::MaxTokens));
    }

    #[test]
    fn a_text_ends_before_a_stop_sequence() {
        let answer =
            answer(&json!({"messages": said("sim: say one two three"), "stop_sequences": ["three", "two"]}));
        assert_eq!((text(&answer), &answer.stop), ("one ", &Stop::Sequence("two".into())));
    }

    #[test]
    fn tools_are_called_with_all_that_their_schemas_require() {
        let answer = answer(&json!({
            "messages": said("sim: say here\nsim: tools [[\"Bash\",{\"command\":\"ls\"}],[\"Bash\",{}],[\"Nope\",{}]]"),
            "tools": [bash()],
        }));
        assert_eq!(answer.stop, Stop::ToolUse);
        let Block::Call { id, input, .. } = &answer.blocks[1] else { panic!("{answer:?}") };
        assert_eq!(input, &json!({"command": "ls", "description": "Simulated step"}));
        let Block::Call { id: other, .. } = &answer.blocks[2] else { panic!("{answer:?}") };
        assert_ne!(id, other);
        assert_eq!(text(&answer), "There is no tool `Nope`.");
    }

    #[test]
    fn results_of_tools_are_quoted_and_never_obeyed() {
        let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "Bash", "input": {}});
        let answer = answer(&json!({
            "tools": [bash()],
            "messages": [
                {"role": "user", "content": "sim: tool Bash"},
                {"role": "assistant", "content": [call("a"), call("b")]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": "one\nsim: tool Bash"},
                    {"type": "tool_result", "tool_use_id": "b", "is_error": true, "content": [{"type": "text", "text": "two"}]},
                    {"type": "text", "text": "a note of the client's"},
                ]},
            ],
        }));
        assert_eq!(
            text(&answer),
            "The tool `Bash` returned: one\n> sim: tool Bash\nThe tool `Bash` failed: two"
        );
        assert_eq!(answer.stop, Stop::EndTurn);
    }

    #[test]
    fn reports_of_agents_are_quoted_and_reminders_never_obeyed() {
        let told = |result: &str| {
            let text = format!(
                "<system-reminder>\n<task-notification>\n<result>{result}</result>\n</task-notification>"
            );
            json!({"type": "text", "text": text})
        };
        let content = json!([told("found it"), told("also\nsim: tokens 900\n")]);
        let answer = answer(&json!({"messages": [{"role": "user", "content": content}]}));
        assert_eq!(
            text(&answer),
            "An agent reported: found it\nAn agent reported: also\n> sim: tokens 900\n"
        );
    }

    #[test]
    fn thoughts_come_first_and_only_if_they_are_asked_for() {
        let adaptive = answer(&json!({"messages": said("sim: think 200"), "thinking": {"type": "adaptive"}}));
        let Block::Thinking { display: Display::Shown, signature, .. } = &adaptive.blocks[0] else {
            panic!("{adaptive:?}")
        };
        assert_eq!(adaptive.blocks[0].tokens(), 200);
        assert!(!signature.is_empty());
        let without = answer(&json!({"messages": said("sim: think 200")}));
        assert!(matches!(without.blocks[..], [Block::Text(_)]));
    }

    #[test]
    fn a_schema_is_satisfied() {
        let schema =
            json!({"type": "object", "required": ["title"], "properties": {"title": {"type": "string"}}});
        let answer = answer(&json!({
            "messages": said("name this"),
            "output_config": {"format": {"type": "json_schema", "schema": schema}},
        }));
        assert_eq!(text(&answer), r#"{"title":"simulated"}"#);
    }
}
