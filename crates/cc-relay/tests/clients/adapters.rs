//! Claude Code and a tool, through each kind of provider there is, before a server that answers as that one does. What it
//! answers is written out here; what the adapters make of it is theirs.

use relay_providers::Kind;
use relay_testkit::upstream::Upstream;
use relay_testkit::{Reply, bedrock, replies};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::claude::Claude;
use crate::relay::Relay;

/// What opens the relay.
const OPENS: &str = "relay-client-3f9c1b7e";

/// What the tool prints, which must come to the provider.
const PRINTED: &str = "marmalade";

/// What the model says then.
const SAYS: &str = "It printed marmalade.";

/// How a kind of provider answers.
enum Form {
    Anthropic,
    Bedrock,
    Chat,
}

fn form(kind: Kind) -> Form {
    match kind {
        Kind::Bedrock => Form::Bedrock,
        Kind::OpenAi => Form::Chat,
        _ => Form::Anthropic,
    }
}

/// The rest of a provider's configuration.
fn options(kind: Kind) -> &'static str {
    match kind {
        Kind::Bedrock => "    aws_region: eu-central-1\n    keys: [{ key: \"AKIDEXAMPLE:secret\" }]\n",
        Kind::Vertex => "    gcp_project_id: p\n    gcp_region: global\n    keys: [{ key: ya29.token }]\n",
        Kind::Azure => "    azure_resource_name: r\n    keys: [{ key: 0123456789abcdef }]\n",
        _ => "    keys: [{ key: sk-of-the-relay }]\n",
    }
}

/// The events of a message that ends for that reason, with that block and these pieces of it.
fn events(block: &Value, pieces: &[Value], reason: &str) -> Vec<Value> {
    let usage = json!({"input_tokens": 900, "output_tokens": 1});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage});
    let mut events = vec![
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
    ];
    events.extend(
        pieces.iter().map(|delta| json!({"type": "content_block_delta", "index": 0, "delta": delta})),
    );
    events.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 20}}),
        json!({"type": "message_stop"}),
    ]);
    events
}

/// First it calls a tool, and then it says what that printed.
fn script(form: &Form) -> [Reply; 2] {
    let command = [r#"{"command":"echo mar"#, r#"malade"}"#];
    let calls = json!({"type": "tool_use", "id": "toolu_01", "name": "Bash", "input": {}});
    let pieces = command.map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
    let called = events(&calls, &pieces, "tool_use");
    let says = [json!({"type": "text_delta", "text": SAYS})];
    let said = events(&json!({"type": "text", "text": ""}), &says, "end_turn");
    match form {
        Form::Anthropic => [called, said].map(|events| {
            let text = |event: &Value| {
                format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
            };
            let texts: Vec<String> = events.iter().map(text).collect();
            replies::events(texts.iter().map(String::as_str))
        }),
        Form::Bedrock => [called, said].map(|events| {
            let frames: Vec<_> = events.iter().map(|event| bedrock::event(&event.to_string())).collect();
            bedrock::streamed(&frames, [replies::end()])
        }),
        Form::Chat => [
            chat(&[
                json!({"role": "assistant", "content": null, "reasoning_content": "I run it."}),
                json!({"tool_calls": [{"index": 0, "id": "functions.Bash:0", "type": "function", "function": {"name": "Bash", "arguments": command[0]}}]}),
                json!({"tool_calls": [{"index": 0, "function": {"arguments": command[1]}}]}),
            ]),
            chat(&[json!({"role": "assistant", "content": ""}), json!({"content": SAYS})]),
        ],
    }
}

/// A stream of Chat Completions.
fn chat(deltas: &[Value]) -> Reply {
    let chunk = |delta: &Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!("data: {}\n\n", json!({"id": "chatcmpl-1", "model": "m", "choices": [choice]}))
    };
    let mut texts: Vec<String> = deltas.iter().map(|delta| chunk(delta, None)).collect();
    // Some say that they have stopped when they call a tool.
    texts.push(chunk(&json!({}), Some("stop")));
    texts.push(format!(
        "data: {}\n\n",
        json!({"choices": [], "usage": {"prompt_tokens": 900, "completion_tokens": 20}})
    ));
    texts.push("data: [DONE]\n\n".to_owned());
    replies::events(texts.iter().map(String::as_str))
}

/// A relay before a provider of that kind, at that address.
fn configuration(kind: Kind, address: std::net::SocketAddr) -> String {
    let path = if matches!(form(kind), Form::Chat) { "/v1" } else { "" };
    format!(
        "server:
  listen: 127.0.0.1:0
  auth: {{ clients: [{{ name: tests, key: {OPENS} }}] }}
state: {{ enabled: false }}
logging: {{ level: debug, format: json, output: stderr }}
providers:
  - name: it
    type: {}
    enabled: true
    base_url: http://{address}{path}
{}",
        kind.as_str(),
        options(kind)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_runs_a_tool_through_each_kind_of_provider() {
    for kind in Kind::all() {
        let upstream = Upstream::new(script(&form(kind)));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let mut serving = JoinSet::new();
        serving.spawn(std::sync::Arc::clone(&upstream).listen(listener));
        let home = tempfile::tempdir().expect("a folder can be made");
        let relay = Relay::start(&configuration(kind, address), home.path()).await;
        let url = format!("http://{}", relay.address());
        let said = Claude::at(&url, OPENS).ask("Print a word.").await.text();
        let name = kind.as_str();
        assert_eq!(said, SAYS, "{name}: {}", relay.log());
        let seen = upstream.seen();
        let bodies: Vec<_> =
            seen.iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
        assert_eq!(
            bodies.len(),
            2,
            "{name} was asked otherwise: {:?}",
            seen.iter().map(|seen| &seen.line).collect::<Vec<_>>()
        );
        assert!(
            !bodies[0].contains(PRINTED) && bodies[1].contains(PRINTED),
            "{name} hears what the tool printed"
        );
        for seen in &seen {
            let all = format!("{:?} {}", seen.headers, String::from_utf8_lossy(&seen.body));
            assert!(!all.contains(OPENS), "{name} sees what opens the relay");
        }
    }
}
