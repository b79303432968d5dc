//! The shared fixtures: each is in a table here, with what is read of it.

use std::fs;
use std::path::PathBuf;

use relay_core::Usage;
use relay_wire::scan::Value;
use relay_wire::sse::Reader;
use relay_wire::{Call, Refusal, Tally, refusal};

/// Name and bytes of every fixture in that folder, in order of their names.
pub(crate) fn all(folder: &str) -> Vec<(String, Vec<u8>)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(folder);
    let mut files: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// The fixtures of a folder beside the rows of a table; both must name the same files.
fn beside<R: Copy>(folder: &str, rows: &[(&str, R)]) -> Vec<(String, Vec<u8>, R)> {
    let files = all(folder);
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, rows.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{folder}");
    files.into_iter().zip(rows).map(|((name, bytes), (_, row))| (name, bytes, *row)).collect()
}

const SESSION: &str = "5b1f0f6e-2f0a-4c56-9d0b-7a9e3c1d4e21";

#[derive(Clone, Copy, PartialEq)]
enum Thinks {
    Yes,
    No,
}

#[derive(Clone, Copy, PartialEq)]
enum Answers {
    AsStream,
    AtOnce,
}

#[test]
fn every_request_is_read() {
    let claude = ("claude-opus-5-5", Answers::AsStream, Some(128_000), Thinks::Yes);
    let rows = [
        ("attribution.json", claude),
        ("cache_lifetimes.json", claude),
        ("count_tokens.json", ("claude-opus-5-5", Answers::AtOnce, None, Thinks::No)),
        ("files.json", ("claude-opus-5", Answers::AtOnce, Some(4096), Thinks::No)),
        ("images.json", claude),
        ("not_streaming.json", ("claude-opus-5-5", Answers::AtOnce, Some(64_000), Thinks::Yes)),
        ("older_session.json", ("claude-haiku-4-5-20251001", Answers::AtOnce, Some(512), Thinks::No)),
        ("parallel_tools.json", claude),
        ("pdf.json", ("claude-opus-5-5", Answers::AsStream, Some(1024), Thinks::No)),
        ("plain.json", ("claude-sonnet-5-5", Answers::AtOnce, Some(1024), Thinks::No)),
        ("redacted_thinking.json", claude),
        ("safeguards.json", ("claude-opus-5-5", Answers::AsStream, Some(128_000), Thinks::No)),
        ("subagent.json", claude),
        ("system_role.json", claude),
        ("thinking.json", ("claude-sonnet-4-5", Answers::AsStream, Some(32_000), Thinks::Yes)),
        ("tools.json", claude),
    ];
    for (name, body, (model, answers, max_tokens, thinks)) in beside("requests", &rows) {
        let call = Call::read(&body).unwrap();
        assert_eq!(call.model.as_deref(), Some(model), "{name}");
        let span = call.model_span.unwrap();
        assert_eq!(body[span], *format!("\"{model}\"").as_bytes(), "{name}");
        assert_eq!(call.stream, answers == Answers::AsStream, "{name}");
        assert_eq!(call.max_tokens, max_tokens, "{name}");
        assert_eq!(call.thinking, thinks == Thinks::Yes, "{name}");
        let is_claude_code =
            !["count_tokens.json", "files.json", "pdf.json", "plain.json"].contains(&name.as_str());
        assert_eq!(call.session.as_deref(), is_claude_code.then_some(SESSION), "{name}");
        let names_files = name == "files.json";
        assert_eq!(call.container.as_deref(), names_files.then_some("container_011CPR5CNjB747bTd36fQLFk"));
        let files = ["file_011CNha8iCJcU1wXNR6q4V8w", "file_011CPMxVD3fHLUhvTqtsQA5w"];
        assert_eq!(call.files, if names_files { &files[..] } else { &[] }, "{name}");
    }
}

/// Tokens as `[input, cache_write, cache_read, output]`.
fn tokens([input, cache_write, cache_read, output]: [u64; 4]) -> Usage {
    Usage { input, output, cache_write, cache_read, ..Usage::ZERO }
}

#[test]
fn every_stream_is_counted() {
    // Tokens; the error; whether `message_stop` was seen.
    let rows = [
        ("bad_frame.sse", ([11, 0, 0, 7], None, true)),
        ("code_execution.sse", ([2210, 0, 0, 71], None, true)),
        ("comments.sse", ([9, 0, 0, 7], None, true)),
        ("crlf.sse", ([11, 0, 0, 12], None, true)),
        ("cut.sse", ([11, 0, 0, 14], None, false)),
        ("error_first.sse", ([0, 0, 0, 0], Some("overloaded_error"), false)),
        ("error_midway.sse", ([11, 0, 0, 6], Some("api_error"), false)),
        ("late_counts.sse", ([14, 0, 2048, 8], None, true)),
        ("mixed_line_ends.sse", ([11, 0, 0, 12], None, true)),
        ("no_names.sse", ([11, 0, 0, 52], None, true)),
        ("omitted_thinking.sse", ([4, 0, 16_000, 415], None, true)),
        ("parallel_tools.sse", ([3, 96, 14_748, 171], None, true)),
        ("pings.sse", ([11, 0, 0, 12], None, true)),
        ("refusal.sse", ([88, 0, 0, 1], None, true)),
        ("text.sse", ([11, 0, 0, 52], None, true)),
        ("thinking.sse", ([25, 1510, 14_336, 87], None, true)),
        ("tools.sse", ([3, 412, 14_336, 96], None, true)),
    ];
    for (name, stream, (counts, kind, stopped)) in beside("streams", &rows) {
        let mut tally = Tally::default();
        Reader::default().feed(&stream, |event| tally.read(&event));
        assert_eq!(tally.usage(), tokens(counts), "{name}");
        assert_eq!(tally.error().and_then(|refusal| refusal.kind.as_deref()), kind, "{name}");
        assert_eq!(tally.has_stopped(), stopped, "{name}");
        assert_eq!(tally.has_started(), name != "error_first.sse", "{name}");
        let ran_code = name == "code_execution.sse";
        assert_eq!(tally.container(), ran_code.then_some("container_011CPR5CNjB747bTd36fQLFk"), "{name}");
    }
}

#[test]
fn every_reply_is_counted_or_is_a_refusal() {
    let counted = |counts| (Some(counts), None, None);
    let refused = |kind, code| (None, kind, code);
    let rows = [
        ("container.json", counted([2210, 0, 0, 180])),
        ("count_tokens.json", refused(None, None)),
        ("error_authentication.json", refused(Some("authentication_error"), None)),
        ("error_edge.html", refused(None, None)),
        ("error_google.json", refused(None, Some("429"))),
        ("error_openai.json", refused(Some("insufficient_quota"), Some("insufficient_quota"))),
        ("error_overloaded.json", refused(Some("overloaded_error"), None)),
        ("error_rate_limit.json", refused(Some("rate_limit_error"), None)),
        ("error_signature.json", refused(Some("invalid_request_error"), None)),
        ("error_spend_limit.json", refused(Some("billing_error"), Some("enforced_spend_limit_reached"))),
        ("error_too_long.json", refused(Some("invalid_request_error"), None)),
        ("error_window.json", refused(None, Some("1308"))),
        ("message.json", counted([11, 0, 0, 12])),
        ("models.json", refused(None, None)),
        ("older_usage.json", counted([9, 0, 0, 2])),
        ("parallel_tools.json", counted([3, 96, 14_748, 171])),
        ("refusal.json", counted([88, 0, 0, 1])),
        ("thinking.json", counted([40, 0, 0, 230])),
        ("tool_use.json", counted([3, 412, 14_336, 96])),
    ];
    for (name, reply, (counts, kind, code)) in beside("replies", &rows) {
        let is_error = name.starts_with("error_");
        if let Some(counts) = counts {
            let tally = Tally::of_message(&reply);
            assert_eq!(tally.usage(), tokens(counts), "{name}");
            assert!(tally.has_stopped() && tally.error().is_none(), "{name}");
        } else if is_error {
            let Refusal { kind: seen, code: seen_code, message, request_id } = refusal::read(&reply);
            assert_eq!((seen.as_deref(), seen_code.as_deref()), (kind, code), "{name}");
            assert_eq!(message.is_some(), name != "error_edge.html", "{name}");
            assert_eq!(request_id.is_some(), reply.starts_with(br#"{"type":"error""#), "{name}");
        }
    }
}

#[test]
fn an_error_of_ours_reads_as_one_of_theirs() {
    for (name, reply) in all("replies") {
        let theirs = refusal::read(&reply);
        let kind = theirs.kind.as_deref().and_then(refusal::ErrorKind::from_name);
        if let (Some(kind), Some(message), None) = (kind, theirs.message.as_deref(), &theirs.code) {
            let ours = refusal::write(kind, message, theirs.request_id.as_deref());
            assert_eq!(refusal::read(&ours), theirs, "{name}");
            assert_eq!(ours, reply, "{name}");
        }
    }
}

#[test]
fn no_fixture_holds_a_secret() {
    for folder in ["requests", "replies", "streams"] {
        for (name, bytes) in all(folder) {
            let text = String::from_utf8(bytes).unwrap();
            for sign in ["sk-ant-", "Bearer ", "AKIA", "BEGIN PRIVATE"] {
                assert!(!text.contains(sign), "{folder}/{name} holds `{sign}`");
            }
        }
    }
}

#[test]
fn every_request_and_every_json_reply_is_json() {
    for (name, bytes) in [all("requests"), all("replies")].concat() {
        if name != "error_edge.html" {
            serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
            assert!(Value::read(&bytes).is_ok(), "{name}");
        }
    }
}
