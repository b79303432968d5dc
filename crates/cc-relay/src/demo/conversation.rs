//! Conversations as Claude Code has them: instructions and tools that all share, a history that grows by
//! answers and by what tools returned, and marks for the prompt cache. It knows the bodies of requests; it
//! refuses to know how they are sent.
//!
//! Texts are of our own making, sizes are those seen of Claude Code 2.1.329: some 11,000 tokens before the
//! first question. What the simulated model is to say stands in lines that begin with `sim:`.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Value, json};

use self::Brings::{Question, Results};

/// One conversation.
pub(crate) struct Conversation {
    number: usize,
    messages: Vec<Value>,
    /// How many steps were asked for.
    steps: usize,
}

/// What one request adds to a conversation: a question, or what tools returned (so many bytes each); and what
/// the model is to do.
struct Step(Brings, &'static str);

enum Brings {
    Question(&'static str),
    Results(usize),
}

/// What happens in every conversation.
const STEPS: [Step; 6] = [
    Step(Question("Why does this test fail?"), "sim: tokens 70\nsim: tools [[\"Grep\",{}],[\"Read\",{}]]"),
    Step(Results(3_000), "sim: tokens 60\nsim: tool Read {}"),
    Step(Results(6_000), "sim: tokens 260"),
    Step(Question("Then mend it."), "sim: tokens 40\nsim: tool Edit {\"new_string\":\"until < now\"}"),
    Step(Results(300), "sim: tokens 30\nsim: tool Bash {\"command\":\"cargo test --quiet\"}"),
    Step(Results(1_500), "sim: tokens 340"),
];

/// The tools on offer, each with what it must be given.
const TOOLS: [(&str, &[&str]); 10] = [
    ("Agent", &["description", "prompt"]),
    ("Bash", &["command", "description"]),
    ("Edit", &["file_path", "old_string", "new_string"]),
    ("Glob", &["pattern"]),
    ("Grep", &["pattern"]),
    ("Read", &["file_path"]),
    ("Skill", &["name"]),
    ("ToolSearch", &["query"]),
    ("WebFetch", &["url", "prompt"]),
    ("Write", &["file_path", "content"]),
];

/// How long the parts of a prompt are that every conversation shares, in bytes: the description of each
/// tool, the instructions, and what the project wants to be kept in mind.
const DESCRIPTION: usize = 2_900;
const INSTRUCTIONS: usize = 6_800;
const REMINDER: usize = 8_000;

/// What files and commands are taken to contain.
const SOURCE: &str = include_str!("conversation.rs");

/// All of a request but its messages.
static FRAME: LazyLock<Value> = LazyLock::new(|| {
    let tools = TOOLS.iter().enumerate().map(|(place, (name, required))| {
        let text = |field: &&str| ((*field).to_owned(), json!({"type": "string"}));
        let properties: serde_json::Map<_, _> = required.iter().map(text).collect();
        let schema = json!({"type": "object", "properties": properties, "required": required});
        json!({"name": name, "description": excerpt(place, DESCRIPTION), "input_schema": schema})
    });
    let kept = json!({"type": "ephemeral"});
    json!({
        "model": "claude-opus-5-5",
        "system": [
            {"type": "text", "text": "You are a simulated agent.", "cache_control": kept},
            {"type": "text", "text": excerpt(TOOLS.len(), INSTRUCTIONS), "cache_control": kept},
        ],
        "tools": tools.collect::<Value>(),
        "thinking": {"type": "adaptive", "display": "omitted"},
    })
});

impl Conversation {
    /// A conversation that has not begun; its number makes it another than every other.
    pub(crate) const fn new(number: usize) -> Self {
        Self { number, messages: Vec::new(), steps: 0 }
    }

    /// Goes one step on. False if there is none left.
    pub(crate) fn advance(&mut self) -> bool {
        let Some(Step(brings, wish)) = STEPS.get(self.steps) else { return false };
        let wish = json!({"type": "text", "text": wish});
        let content: Value = match brings {
            Question(question) => self.question(question).chain([wish]).collect(),
            Results(bytes) => self.results(*bytes).chain([wish]).collect(),
        };
        self.messages.push(json!({"role": "user", "content": content}));
        self.steps += 1;
        true
    }

    /// Is this its first step?
    pub(crate) const fn is_new(&self) -> bool {
        self.steps == 1
    }

    /// The model answered with these blocks.
    pub(crate) fn hear(&mut self, blocks: Vec<Value>) {
        let mut message = json!({"role": "assistant"});
        message["content"] = blocks.into();
        self.messages.push(message);
    }

    /// The body of the request for an answer, as a stream.
    pub(crate) fn request(&self) -> Bytes {
        let mut body = self.body();
        body["max_tokens"] = json!(32_000);
        body["stream"] = json!(true);
        let session = format!("00000000-0000-4000-8000-{:012x}", self.number);
        body["metadata"] = json!({"user_id": json!({"session_id": session}).to_string()});
        body.to_string().into()
    }

    /// The body of the request to count its tokens.
    pub(crate) fn count(&self) -> Bytes {
        self.body().to_string().into()
    }

    fn body(&self) -> Value {
        let mut body = FRAME.clone();
        let mut messages = self.messages.clone();
        let newest =
            messages.last_mut().and_then(|message| message["content"].as_array_mut()?.iter_mut().nth_back(1));
        // Not the last: that is the wish, which Claude Code would not send.
        if let Some(block) = newest {
            block["cache_control"] = json!({"type": "ephemeral"});
        }
        body["messages"] = messages.into();
        body
    }

    fn question(&self, question: &str) -> impl Iterator<Item = Value> {
        let reminder = || format!("<system-reminder>\n{}</system-reminder>", excerpt(0, REMINDER));
        let reminder = self.messages.is_empty().then(reminder);
        let question = format!("{question} (conversation {})", self.number);
        reminder.into_iter().chain([question]).map(|text| json!({"type": "text", "text": text}))
    }

    /// What the tools returned that the model called last.
    fn results(&self, bytes: usize) -> impl Iterator<Item = Value> {
        let blocks = self.messages.last().and_then(|message| message["content"].as_array());
        let calls = blocks.into_iter().flatten().filter(|block| block["type"] == "tool_use");
        calls.enumerate().map(move |(place, call)| {
            let content = excerpt(self.number + self.steps + place, bytes);
            json!({"type": "tool_result", "tool_use_id": call["id"], "content": content, "is_error": false})
        })
    }
}

/// Whole lines of some text, at least so many bytes of them.
fn excerpt(from: usize, bytes: usize) -> String {
    let skipped = from * 17 % SOURCE.lines().count();
    let mut text = String::with_capacity(bytes + 128);
    for line in SOURCE.lines().cycle().skip(skipped) {
        if text.len() >= bytes {
            break;
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(bytes: &Bytes) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_first_request_is_as_large_as_claude_codes() {
        let mut conversation = Conversation::new(3);
        assert!(conversation.advance() && conversation.is_new());
        let (request, count) = (conversation.request(), conversation.count());
        assert!((45_000..55_000).contains(&request.len()), "{} bytes", request.len());
        let (request, count) = (parsed(&request), parsed(&count));
        assert_eq!(request["messages"], count["messages"]);
        assert!(count.get("max_tokens").is_none() && count.get("stream").is_none());
    }

    #[test]
    fn what_all_share_is_the_same_and_what_is_asked_is_not() {
        let [one, other] = [1, 2].map(|number| {
            let mut conversation = Conversation::new(number);
            conversation.advance();
            parsed(&conversation.request())
        });
        assert_eq!((&one["tools"], &one["system"]), (&other["tools"], &other["system"]));
        assert_ne!(one["messages"], other["messages"]);
    }

    #[test]
    fn the_marks_move_on_and_history_stays_as_it_was() {
        let mut conversation = Conversation::new(0);
        let mut before: Vec<Value> = Vec::new();
        while conversation.advance() {
            let body = parsed(&conversation.request());
            assert_eq!(body.to_string().matches(r#""cache_control":{"#).count(), 3, "four are the most");
            let messages = &conversation.messages;
            assert!(messages.starts_with(&before), "what was said is said again, to the letter");
            before.clone_from(messages);
            conversation
                .hear(vec![json!({"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}})]);
            before.push(conversation.messages.last().unwrap().clone());
        }
        let results = |message: &&Value| message.to_string().contains("toolu_1\",\"content");
        assert_eq!(before.iter().filter(results).count(), 4, "a result for each call");
        assert_eq!(before.len(), STEPS.len() * 2);
    }
}
