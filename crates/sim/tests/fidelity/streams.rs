//! Streams: the order of their events, their pace, and who leaves them.

use std::time::Duration;

use http::Method;
use relay_sim::{Outcome, Pace, Settings, Sim};
use serde_json::json;

use crate::client::{KEY, Patience, call, only_record, post, request, stream, try_send};

fn paced() -> Sim {
    let pace = Pace {
        first_event: Duration::from_millis(800),
        between_events: Duration::from_millis(50),
        tokens_per_event: 8,
    };
    Sim::new(Settings { pace, ..Settings::default() })
}

#[tokio::test(start_paused = true)]
async fn a_text_streams_as_the_providers_do() {
    let reply = stream(&Sim::new(Settings::default()), "sim: say hello there, this is a little longer").await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(
        reply.names(),
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let events = reply.events();
    assert_eq!(events[0].1["message"]["usage"]["output_tokens"], 1);
    assert_eq!(events[0].1["message"]["stop_reason"], json!(null));
    let text: String = events.iter().filter_map(|(_, data)| data["delta"]["text"].as_str()).collect();
    assert_eq!(text, "hello there, this is a little longer");
    assert_eq!(events[6].1["delta"], json!({"stop_reason": "end_turn", "stop_sequence": null}));
    assert_eq!(events[6].1["usage"]["output_tokens"], 11);
}

#[tokio::test(start_paused = true)]
async fn thinking_and_tools_stream_in_their_own_deltas() {
    let sim = Sim::new(Settings::default());
    let tool = json!({"name": "Bash", "input_schema": {"type": "object", "required": ["command"]}});
    let fields = json!({
        "stream": true, "tools": [tool], "thinking": {"type": "adaptive", "display": "omitted"},
    });
    let reply = post(
        &sim,
        KEY,
        "/v1/messages",
        call(r#"sim: tool Bash {"command":"echo this is longer than one fragment"}"#, &fields),
    )
    .await;
    let deltas: Vec<_> = reply
        .events()
        .into_iter()
        .filter(|(name, _)| name == "content_block_delta")
        .map(|(_, data)| (data["index"].clone(), data["delta"]["type"].clone()))
        .collect();
    assert_eq!(deltas[0], (json!(0), json!("signature_delta")), "an omitted thought has no text");
    assert!(deltas[1..].iter().all(|delta| *delta == (json!(1), json!("input_json_delta"))));
    assert!(deltas.len() > 3, "an empty fragment, then the input in several");
    let end = reply.events().into_iter().find(|(name, _)| name == "message_delta").expect("an end");
    assert_eq!(end.1["delta"]["stop_reason"], "tool_use");
}

#[tokio::test(start_paused = true)]
async fn events_come_at_their_pace() {
    let sim = paced();
    let reply = stream(&sim, "sim: tokens 80").await;
    assert_eq!(reply.times.len(), 16, "ten deltas and six others");
    let expected = |place: u32| Duration::from_millis(800) + Duration::from_millis(50) * place;
    for (place, time) in (0..).zip(&reply.times) {
        let late = time.checked_sub(expected(place)).expect("no event is early");
        // Tokio's timer counts whole milliseconds and rounds up.
        assert!(late <= Duration::from_millis(u64::from(place) + 1), "event {place} is {late:?} late");
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_takes_as_long_as_its_stream() {
    let sim = paced();
    let reply = post(&sim, KEY, "/v1/messages", call("sim: tokens 80", &json!({}))).await;
    assert!(reply.times[0] >= Duration::from_millis(1300), "{:?}", reply.times);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_noticed_in_every_phase() {
    let phases = [
        (Patience::For(Duration::from_millis(400)), None, 0),
        (Patience::Frames(0), Some(200), 0),
        (Patience::Frames(6), Some(200), 24),
    ];
    for (patience, status, at_least) in phases {
        let sim = paced();
        let body = call("sim: tokens 800", &json!({"stream": true}));
        try_send(&sim, request(Method::POST, "/v1/messages", KEY, body), patience).await;
        let record = only_record(&sim);
        assert!(record.cancelled_by_client(), "{record:?}");
        assert_eq!(record.status.map(|status| status.as_u16()), status);
        assert!((at_least..at_least + 24).contains(&record.usage.output), "{:?}", record.usage);
        assert_eq!(sim.report().keys[0].totals.cancelled, 1);
        let left = record.ended.expect("it ended").checked_sub(record.arrived).expect("after it came");
        assert!(left < Duration::from_millis(1500), "it is noticed at once, not after {left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stays_sees_everything_and_is_charged_for_it() {
    let sim = paced();
    stream(&sim, "sim: tokens 100").await;
    let record = only_record(&sim);
    assert_eq!((record.outcome, record.usage.output), (Outcome::Finished, 100));
    assert!(!record.cancelled_by_client());
}
