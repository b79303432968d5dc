//! Reads what a user tells the simulated model to do, in lines that begin with `sim:`.
//!
//! | line | what the model does |
//! | --- | --- |
//! | `sim: say hello` | says exactly that |
//! | `sim: tokens 800` | says so many tokens |
//! | `sim: think 200` | thinks so many tokens, if the request lets it think |
//! | `sim: tool Bash {"command":"echo hi"}` | calls a tool; what its schema requires is filled in |
//! | `sim: tools [["Bash",{}],["Read",{}]]` | calls several tools at once |
//! | `sim: agent 3 sim: say done` | calls the tool `Agent` three times with this prompt |
//!
//! It knows text; it refuses to know which tools there are.

use serde_json::{Map, Value};

/// One line's wish.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Directive {
    Say(String),
    Tokens(u64),
    Think(u64),
    Call(Vec<ToolCall>),
    /// A line that means nothing; the model says so.
    Unknown(String),
}

/// A tool by name, and as much of its input as was given.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ToolCall {
    pub(crate) name: String,
    pub(crate) input: Map<String, Value>,
}

/// The most agents one line can ask for.
const MAX_AGENTS: usize = 64;

/// What an agent is asked if the line does not say it.
const AGENT_PROMPT: &str = "sim: say done";

/// All directives of a text, in order.
pub(crate) fn directives(text: &str) -> impl Iterator<Item = Directive> {
    text.lines().filter_map(|line| line.trim().strip_prefix("sim:")).map(|wish| read(wish.trim()))
}

fn read(wish: &str) -> Directive {
    let (verb, rest) = wish.split_once(char::is_whitespace).unwrap_or((wish, ""));
    let rest = rest.trim();
    let understood = match verb {
        "say" => Some(Directive::Say(rest.to_owned())).filter(|_| !rest.is_empty()),
        "tokens" => rest.parse().ok().filter(|tokens| *tokens > 0).map(Directive::Tokens),
        "think" => rest.parse().ok().filter(|tokens| *tokens > 0).map(Directive::Think),
        "tool" => tool(rest).map(|call| Directive::Call(vec![call])),
        "tools" => tools(rest).map(Directive::Call),
        "agent" => Some(agents(rest)),
        _ => None,
    };
    understood.unwrap_or_else(|| Directive::Unknown(wish.to_owned()))
}

fn tool(rest: &str) -> Option<ToolCall> {
    let (name, input) = rest.split_once(char::is_whitespace).unwrap_or((rest, "{}"));
    let input = serde_json::from_str(input).ok()?;
    (!name.is_empty()).then(|| ToolCall { name: name.to_owned(), input })
}

fn tools(rest: &str) -> Option<Vec<ToolCall>> {
    let list: Vec<(String, Map<String, Value>)> = serde_json::from_str(rest).ok()?;
    (!list.is_empty()).then(|| list.into_iter().map(|(name, input)| ToolCall { name, input }).collect())
}

fn agents(rest: &str) -> Directive {
    let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (number, prompt) = match first.parse::<usize>() {
        Ok(number) => (number.clamp(1, MAX_AGENTS), after.trim()),
        Err(_) => (1, rest),
    };
    let prompt = if prompt.is_empty() { AGENT_PROMPT } else { prompt };
    let input = Map::from_iter([("prompt".to_owned(), Value::from(prompt))]);
    Directive::Call(vec![ToolCall { name: "Agent".to_owned(), input }; number])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Directive, ToolCall, directives};

    fn call(name: &str, input: &Value) -> ToolCall {
        ToolCall { name: name.into(), input: input.as_object().cloned().expect("an object") }
    }

    #[test]
    fn lines_are_read_as_the_table_says() {
        let agent = call("Agent", &json!({"prompt": "look around"}));
        let idle = call("Agent", &json!({"prompt": "sim: say done"}));
        let cases = [
            ("sim: say hello, world", Directive::Say("hello, world".into())),
            ("  sim:say hello", Directive::Say("hello".into())),
            ("sim: tokens 800", Directive::Tokens(800)),
            ("sim: think 3", Directive::Think(3)),
            (
                "sim: tool Bash {\"command\": \"ls\"}",
                Directive::Call(vec![call("Bash", &json!({"command": "ls"}))]),
            ),
            ("sim: tool Bash", Directive::Call(vec![call("Bash", &json!({}))])),
            (
                "sim: tools [[\"A\",{}],[\"B\",{\"x\":1}]]",
                Directive::Call(vec![call("A", &json!({})), call("B", &json!({"x": 1}))]),
            ),
            ("sim: agent 2 look around", Directive::Call(vec![agent.clone(), agent.clone()])),
            ("sim: agent look around", Directive::Call(vec![agent])),
            ("sim: agent", Directive::Call(vec![idle])),
            ("sim: dance", Directive::Unknown("dance".into())),
            ("sim: tokens many", Directive::Unknown("tokens many".into())),
            ("sim: tool Bash {\"command\"", Directive::Unknown("tool Bash {\"command\"".into())),
        ];
        for (line, expected) in cases {
            assert_eq!(directives(line).collect::<Vec<_>>(), [expected], "{line}");
        }
    }

    #[test]
    fn only_lines_that_begin_so_count() {
        let text = "please\nsim: say one\nnot sim: say two\n\tsim: say three\r\n";
        let said: Vec<_> = directives(text).collect();
        assert_eq!(said, [Directive::Say("one".into()), Directive::Say("three".into())]);
    }
}
