//! What becomes of streams.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::Union;

use super::super::answer::quoted;
use super::super::streamed::Streamed;
use super::*;
use crate::adapter::Translator as _;
use crate::dialect::Names;

/// A request of so many bytes, of a hundred tokens.
fn asked(bytes: usize) -> Asked {
    Asked { bytes, prompt: 100, names: Names::default() }
}

/// What comes out of a stream that comes in pieces of so many bytes.
fn translated(stream: &str, piece: usize) -> (String, Result<(), Garbled>) {
    let (mut translator, mut out) = (Streamed::new(asked(350)), Vec::new());
    for chunk in stream.as_bytes().chunks(piece) {
        match translator.push(chunk) {
            Ok(events) => out.extend_from_slice(&events),
            Err(garbled) => return (String::from_utf8(out).unwrap(), Err(garbled)),
        }
    }
    let end = translator.finish().map(|events| out.extend_from_slice(&events));
    (String::from_utf8(out).unwrap(), end)
}

fn chunk(choice: &str) -> String {
    format!("data: {{\"id\":\"chatcmpl-1\",\"model\":\"gpt-5\",\"choices\":[{{\"index\":0,{choice}}}]}}\n\n")
}

fn delta(delta: &str) -> String {
    chunk(&format!("\"delta\":{{{delta}}},\"finish_reason\":null"))
}

fn call(index: u64, more: &str) -> String {
    delta(&format!(r#""tool_calls":[{{"index":{index},{more}}}]"#))
}

fn ends(reason: &str) -> String {
    chunk(&format!("\"delta\":{{}},\"finish_reason\":\"{reason}\""))
}

const USAGE: &str = "data: {\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":120,\"completion_tokens\":30,\"prompt_tokens_details\":{\"cached_tokens\":20}}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// The types of events, and what is in those that matter, in short.
fn short(events: &str) -> Vec<String> {
    let data = events.lines().filter_map(|line| line.strip_prefix("data: "));
    let said = data.map(|data| {
        let event = Value::read(data.as_bytes()).expect("it is JSON");
        let text = |value: Option<Value<'_>>| {
            value.map(|it| String::from_utf8_lossy(it.text()).into_owned()).unwrap_or_default()
        };
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default().into_owned();
        match &*kind {
            "content_block_start" => {
                format!("{} {}", text(event.get("index")), text(event.get("content_block")))
            }
            "content_block_delta" => format!("{} {}", text(event.get("index")), text(event.get("delta"))),
            "content_block_stop" => format!("{} ends", text(event.get("index"))),
            "message_delta" => format!("{} {}", text(event.get("delta")), text(event.get("usage"))),
            "error" => text(event.get("error")),
            _ => kind,
        }
    });
    said.collect()
}

fn all() -> String {
    [
        delta(r#""role":"assistant","content":"""#),
        delta(r#""reasoning_content":"hm \"1\"""#),
        delta(r#""reasoning_content":".""#),
        delta(r#""content":"Let me""#),
        ": keep-alive\n\n".to_owned(),
        delta(r#""content":" see.\n","tool_calls":[]"#),
        call(0, r#""id":"functions.Bash:0","type":"function","function":{"name":"Bash","arguments":""}"#),
        call(0, r#""function":{"arguments":"{\"command\":"}"#),
        call(0, r#""function":{"name":"","arguments":"\"ls\"}"}"#),
        call(1, r#""id":"call_2","type":"function","function":{"name":"Read","arguments":"{}"}"#),
        ends("tool_calls"),
        USAGE.to_owned(),
        DONE.to_owned(),
    ]
    .concat()
}

#[test]
fn each_block_begins_once_and_ends_once_in_order() {
    let (events, end) = translated(&all(), usize::MAX);
    assert_eq!(end, Ok(()));
    assert_eq!(
        short(&events),
        [
            "message_start",
            r#"0 {"type":"thinking","thinking":"","signature":""}"#,
            r#"0 {"type":"thinking_delta","thinking":"hm \"1\""}"#,
            r#"0 {"type":"thinking_delta","thinking":"."}"#,
            "0 ends",
            r#"1 {"type":"text","text":""}"#,
            r#"1 {"type":"text_delta","text":"Let me"}"#,
            r#"1 {"type":"text_delta","text":" see.\n"}"#,
            "1 ends",
            r#"2 {"type":"tool_use","id":"functions_0x2e_Bash_0x3a_0","name":"Bash","input":{}}"#,
            r#"2 {"type":"input_json_delta","partial_json":"{\"command\":"}"#,
            r#"2 {"type":"input_json_delta","partial_json":"\"ls\"}"}"#,
            "2 ends",
            r#"3 {"type":"tool_use","id":"call_2","name":"Read","input":{}}"#,
            r#"3 {"type":"input_json_delta","partial_json":"{}"}"#,
            "3 ends",
            r#"{"stop_reason":"tool_use","stop_sequence":null} {"input_tokens":100,"cache_creation_input_tokens":0,"cache_read_input_tokens":20,"output_tokens":30}"#,
            "message_stop",
        ]
    );
    assert!(events.starts_with("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_chatcmpl-1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"gpt-5\",\"content\":[],"), "{events}");
}

#[test]
fn it_is_the_same_however_it_is_cut_into_pieces() {
    let (whole, _) = translated(&all(), usize::MAX);
    for piece in 1..60 {
        assert_eq!(translated(&all(), piece), (whole.clone(), Ok(())), "{piece}");
    }
}

/// Whoever is cut off has not ended, and nothing is said that was not.
#[test]
fn a_stream_that_is_cut_anywhere_is_a_beginning_and_no_end() {
    let (all, whole) = (all(), translated(&all(), usize::MAX).0);
    let over = all.find("\"finish_reason\":\"tool_calls\"").unwrap();
    let over = over + all[over..].find("\n\n").unwrap() + 2;
    for cut in 0..all.len() {
        let (events, end) = translated(&all[..cut], usize::MAX);
        assert_eq!(end.is_ok(), cut >= over, "{cut}");
        if end.is_err() {
            assert!(whole.starts_with(&events), "{cut}");
        } else {
            assert!(events.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"), "{cut}");
        }
    }
}

#[test]
fn pieces_of_calls_that_come_across_each_other_wait_for_their_turn() {
    let stream = [
        call(0, r#""id":"a","function":{"name":"A","arguments":"{\"x\""}"#),
        call(1, r#""id":"b","function":{"name":"B","arguments":"{"}"#),
        call(0, r#""function":{"arguments":":1}"}"#),
        call(1, r#""function":{"arguments":"}"}"#),
        ends("stop"),
        DONE.to_owned(),
    ];
    let (events, end) = translated(&stream.concat(), usize::MAX);
    assert_eq!(end, Ok(()));
    assert_eq!(
        short(&events)[1..10],
        [
            r#"0 {"type":"tool_use","id":"a","name":"A","input":{}}"#,
            r#"0 {"type":"input_json_delta","partial_json":"{\"x\""}"#,
            r#"0 {"type":"input_json_delta","partial_json":":1}"}"#,
            "0 ends",
            r#"1 {"type":"tool_use","id":"b","name":"B","input":{}}"#,
            r#"1 {"type":"input_json_delta","partial_json":"{"}"#,
            r#"1 {"type":"input_json_delta","partial_json":"}"}"#,
            "1 ends",
            r#"{"stop_reason":"tool_use","stop_sequence":null} {"input_tokens":100,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":3}"#,
        ]
    );
}

/// A second call was held back until the answer had ended.
#[test]
fn a_call_goes_out_as_it_comes_once_the_one_before_it_is_whole() {
    let stream = [
        call(0, r#""id":"a","function":{"name":"A","arguments":"{\"x\":"}"#),
        call(0, r#""function":{"arguments":"\"}\"}"}"#),
        call(1, r#""id":"b","function":{"name":"B","arguments":"{"}"#),
    ];
    let mut translator = Stream::new(asked(1));
    let events = stream.map(|event| translator.push(event.as_bytes()).unwrap());
    let last = String::from_utf8(events[2].to_vec()).unwrap();
    assert_eq!(
        short(&last),
        [
            "0 ends",
            r#"1 {"type":"tool_use","id":"b","name":"B","input":{}}"#,
            r#"1 {"type":"input_json_delta","partial_json":"{"}"#,
        ]
    );
}

/// A call was closed at the first word in the middle of it, and what came after was lost; as it was if it said neither its
/// number nor its name.
#[test]
fn what_a_call_is_called_with_is_not_lost_to_words_inside_it_nor_for_want_of_a_name() {
    for (word, after) in [("", ""), (" ", ""), ("ok", "ok")] {
        let stream = [
            delta(r#""tool_calls":[{"id":"a","function":{"name":"A","arguments":"{\"x\""}}]"#),
            delta(&format!(r#""content":"{word}""#)),
            delta(r#""tool_calls":[{"function":{"arguments":":1}"}}]"#),
            delta(&format!(r#""content":"{word}""#)),
            ends("tool_calls"),
            DONE.to_owned(),
        ];
        let (events, end) = translated(&stream.concat(), usize::MAX);
        let mut made = made_of(&events.replace(r#""id":"a""#, r#""id":"call_a""#));
        assert_eq!((made.remove("call_a").as_deref(), end), (Some(r#"{"x":1}"#), Ok(())));
        assert_eq!(made.remove("text").unwrap_or_default().trim(), after.repeat(2), "{events}");
    }
}

/// All were `call`.
#[test]
fn calls_without_names_are_told_apart() {
    for index in [r#""index":0,"id":"","#, r#""id":"","#, ""] {
        let whole =
            delta(&format!(r#""tool_calls":[{{{index}"function":{{"name":"T","arguments":"{{}}"}}}}]"#));
        let stream = [whole.clone(), whole, ends("stop"), DONE.to_owned()].concat();
        let (events, _) = translated(&stream, usize::MAX);
        for id in ["call_15e_0_chatcmpl-1", "call_15e_1_chatcmpl-1"] {
            assert!(events.contains(&format!(r#""id":"{id}""#)), "{events}");
        }
    }
}

/// It was passed on as a message where events were waited for.
#[test]
fn an_answer_that_comes_whole_is_a_stream_too() {
    let body = r#"{"id":"x","model":"m","choices":[{"message":{"role":"assistant","content":"Hi","tool_calls":[{"id":"call_1","function":{"name":"A","arguments":"{}"}},{"id":"call_2","function":{"name":"B","arguments":{"b": 1}}}]},
        "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
    let mut streamed = Streamed::new(asked(1));
    assert!(body.as_bytes().chunks(9).all(|chunk| streamed.push(chunk).unwrap().is_empty()));
    let events = String::from_utf8(streamed.finish().unwrap().to_vec()).unwrap();
    let made = made_of(&events);
    let of = |name: &str| made.get(name).map(String::as_str);
    assert_eq!((of("text"), of("call_1"), of("call_2")), (Some("Hi"), Some("{}"), Some(r#"{"b": 1}"#)));
    assert!(events.contains(r#""stop_reason":"tool_use""#) && events.contains(r#""output_tokens":3"#));
    for body in ["", "<html>", "{}", r#"{"choices":[]}"#] {
        let mut streamed = Streamed::new(asked(1));
        streamed.push(body.as_bytes()).unwrap();
        assert_eq!(streamed.finish(), Err(Garbled), "{body}");
    }
}

/// Gemini counts each call as the first; others give no index, and each call whole.
#[test]
fn calls_that_are_counted_badly_are_told_apart_by_their_names() {
    let whole = |index: &str, id: &str| {
        delta(&format!(
            r#""tool_calls":[{{{index}"id":"{id}","function":{{"name":"T","arguments":"{{}}"}}}}]"#
        ))
    };
    for index in ["\"index\":0,", ""] {
        let stream = [whole(index, "a"), whole(index, "b"), ends("stop"), DONE.to_owned()].concat();
        let (events, end) = translated(&stream, usize::MAX);
        let begun = short(&events).iter().filter(|event| event.contains("tool_use\",\"id\"")).count();
        assert_eq!((begun, end), (2, Ok(())), "{events}");
    }
}

#[test]
fn an_error_inside_a_stream_is_one_and_nothing_comes_after_it() {
    let error = r#"data: {"error":{"message":"Rate limit reached","type":"rate_limit_error","code":"rate_limit_exceeded"}}"#;
    let stream = [&delta(r#""content":"hi""#), error, "\n\n", DONE].concat();
    let (events, end) = translated(&stream, usize::MAX);
    assert_eq!(
        short(&events).last().map(String::as_str),
        Some(r#"{"type":"rate_limit_error","message":"Rate limit reached"}"#)
    );
    assert_eq!(end, Ok(()));
}

#[test]
fn what_is_no_stream_is_none() {
    for stream in ["", DONE, "data: <html>\n\n", "data: [1]\n\n", "data: {}\n\n"] {
        assert_eq!(translated(stream, usize::MAX).1, Err(Garbled), "{stream}");
    }
}

#[test]
fn an_answer_without_words_is_one_that_has_ended() {
    let stream = [ends("length"), USAGE.to_owned(), DONE.to_owned()].concat();
    let (events, end) = translated(&stream, usize::MAX);
    assert_eq!(end, Ok(()));
    assert_eq!(short(&events).len(), 3, "{events}");
    assert!(events.contains(r#""stop_reason":"max_tokens""#));
}

/// What a model may send.
#[derive(Clone, Debug)]
enum Sent {
    Thought(String),
    Word(String),
    /// Of one of three calls: its name, or a piece of what it is called with.
    Begin(u64),
    Piece(u64, String),
    Comment,
}

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let text = || "[ -~é\n]{1,8}";
    let one = Union::new_weighted(vec![
        (2, text().prop_map(Sent::Thought).boxed()),
        (3, text().prop_map(Sent::Word).boxed()),
        (2, (0_u64..3).prop_map(Sent::Begin).boxed()),
        // No piece makes a call whole before its last.
        (4, (0_u64..3, "[ -|~é\n]{1,8}").prop_map(|(call, piece)| Sent::Piece(call, piece)).boxed()),
        (1, Just(Sent::Comment).boxed()),
    ]);
    proptest::collection::vec(one, 0..24)
}

fn json(text: &str) -> String {
    String::from_utf8(quoted(text)).unwrap()
}

fn written(sent: &Sent) -> String {
    match sent {
        Sent::Thought(text) => delta(&format!("\"reasoning\":{}", json(text))),
        Sent::Word(text) => delta(&format!("\"content\":{}", json(text))),
        Sent::Begin(index) => {
            call(*index, &format!(r#""id":"call_{index}","function":{{"name":"T{index}","arguments":""}}"#))
        }
        Sent::Piece(index, piece) => call(*index, &format!(r#""function":{{"arguments":{}}}"#, json(piece))),
        Sent::Comment => ": wait\n\n".to_owned(),
    }
}

/// What a client makes of events: of each kind of text all of it, and of each call what it is called with. It is as strict
/// as a client: one block is open at a time, in order, and each piece is of its kind.
fn made_of(events: &str) -> BTreeMap<String, String> {
    let (mut made, mut open, mut next) = (BTreeMap::new(), None, 0);
    for data in events.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let event = Value::read(data.as_bytes()).expect("it is JSON");
        let kind = event.get("type").and_then(Value::as_str).expect("it has a type");
        let index = || event.get("index").and_then(Value::as_u64);
        let name = |of: &str, field: &str| Some(event.get(of)?.get(field)?.as_str()?.into_owned());
        match &*kind {
            "content_block_start" => {
                assert!(open.is_none() && index() == Some(next), "{data}");
                let id = name("content_block", "id").or_else(|| name("content_block", "type"));
                open = Some(id.clone().expect("it has a type"));
                made.entry(id.unwrap_or_default()).or_default();
            }
            "content_block_delta" => {
                assert_eq!(index(), Some(next), "{data}");
                let piece =
                    ["thinking", "text", "partial_json"].iter().find_map(|field| name("delta", field));
                let block: &str = open.as_deref().expect("a block is open");
                let fits = match name("delta", "type").as_deref() {
                    Some("thinking_delta") => block == "thinking",
                    Some("text_delta") => block == "text",
                    Some("input_json_delta") => block.starts_with("call_"),
                    _ => false,
                };
                assert!(fits, "{data} inside {block}");
                made.entry(block.to_owned())
                    .or_insert_with(String::new)
                    .push_str(&piece.expect("it has a piece"));
            }
            "content_block_stop" => {
                assert!(open.take().is_some() && index() == Some(next), "{data}");
                next += 1;
            }
            _ => assert!(open.is_none(), "{data}"),
        }
    }
    made
}

proptest! {
    /// Whatever comes in whatever order, cut anywhere, a client gets all of it, in blocks that are well formed.
    #[test]
    fn whatever_a_model_sends_arrives_whole_in_well_formed_blocks(sent in sent(), piece in 1_usize..90) {
        let stream: String = sent.iter().map(written).chain([ends("stop"), USAGE.to_owned(), DONE.to_owned()]).collect();
        let (events, end) = translated(&stream, piece);
        prop_assert_eq!(end, Ok(()));
        let made = made_of(&events);
        let all = |of: &dyn Fn(&Sent) -> Option<String>| sent.iter().filter_map(of).collect::<String>();
        let thoughts = all(&|sent| if let Sent::Thought(text) = sent { Some(text.clone()) } else { None });
        let words = all(&|sent| if let Sent::Word(text) = sent { Some(text.clone()) } else { None });
        // Blanks in the middle of a call are nothing.
        let letters = |text: &str| text.split_whitespace().collect::<String>();
        let of = |kind: &str| made.get(kind).map(|text| letters(text)).unwrap_or_default();
        prop_assert_eq!((of("thinking"), of("text")), (letters(&thoughts), letters(&words)));
        for index in 0..3 {
            let pieces = all(&|sent| match sent { Sent::Piece(own, piece) if *own == index => Some(piece.clone()), _ => None });
            let is_named = sent.iter().any(|sent| matches!(sent, Sent::Begin(own) if *own == index));
            prop_assert_eq!(made.get(&format!("call_{index}")).cloned(), is_named.then_some(pieces));
        }
    }

    #[test]
    fn bytes_of_any_kind_are_no_trouble(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1_usize..50) {
        let mut stream = Stream::new(asked(1));
        for chunk in bytes.chunks(piece) {
            if stream.push(chunk).is_err() {
                break;
            }
        }
        let _ = stream.finish();
    }
}
