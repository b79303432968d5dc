//! Faults on demand, as clients meet them.

use std::{io::Read, time::Duration};

use flate2::read::GzDecoder;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use relay_sim::{
    Answers, Break, Fault, Kind, Lasting, Organization, Outcome, Refusal, Script, Settings, Sim,
};
use serde_json::{Value, json};

use crate::client::{KEY, Patience, ask, call, only_record, post, request, stream, try_send};

fn broken(fault: Fault) -> Sim {
    let sim = Sim::new(Settings::default());
    sim.script(Script::new(fault));
    sim
}

fn broken_off(after: usize, how: Break) -> Sim {
    broken(Fault::Break { after, how })
}

#[tokio::test(start_paused = true)]
async fn refusals_have_the_status_type_and_headers_that_were_scripted() {
    let cases = [
        (Fault::rate_limited(Some(7)), 429, "rate_limit_error", Some("7")),
        (Fault::rate_limited(None), 429, "rate_limit_error", None),
        (Fault::request_scoped(), 429, "rate_limit_error", None),
        (Fault::spend_cap(), 429, "rate_limit_error", None),
        (Fault::out_of_credit(), 402, "billing_error", None),
        (Fault::overloaded(), 529, "overloaded_error", None),
        (Fault::internal(), 500, "api_error", None),
        (Fault::dead_key(), 401, "authentication_error", None),
        (Fault::forbidden(), 403, "permission_error", None),
        (Fault::too_large(), 413, "request_too_large", None),
        (Fault::refuse(Kind::NotFound, "model: gone"), 404, "not_found_error", None),
        (Fault::refuse(Kind::Invalid, "no"), 400, "invalid_request_error", None),
        (Fault::refuse(Kind::Timeout, "late"), 504, "timeout_error", None),
    ];
    for (fault, status, kind, retry_after) in cases {
        let sim = broken(fault.clone());
        let reply = stream(&sim, "hello").await;
        assert_eq!(reply.status.as_u16(), status, "{fault:?}");
        assert_eq!(reply.error().0, kind);
        assert_eq!(reply.header("retry-after"), retry_after, "{fault:?}");
        assert_eq!(reply.header("anthropic-ratelimit-requests-limit"), None);
        assert_eq!(reply.header("anthropic-organization-id").is_none(), status == 401);
        assert_eq!(stream(&sim, "hello").await.status, 200, "it was for one request");
    }
    let capped = stream(&broken(Fault::spend_cap()), "hello").await.json();
    assert_eq!(capped["error"]["details"]["error_code"], "enforced_spend_limit_reached");
    let scoped = stream(&broken(Fault::request_scoped()), "hello").await;
    assert_eq!(scoped.header("x-should-retry"), Some("true"));
}

#[tokio::test(start_paused = true)]
async fn a_dead_key_stays_dead_while_others_live_until_it_is_forgotten() {
    let sim = Sim::new(Settings {
        organizations: vec![Organization::open("acme", &[("one", "k1"), ("two", "k2")])],
        ..Settings::default()
    });
    sim.script(Script::new(Fault::dead_key()).for_key("one").lasting(Lasting::Ever));
    for _ in 0..3 {
        assert_eq!(ask(&sim, "k1", "hello").await.status, 401);
        assert_eq!(ask(&sim, "k2", "hello").await.status, 200);
    }
    sim.forget_scripts();
    assert_eq!(ask(&sim, "k1", "hello").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_fault_can_last_for_a_time_and_meet_only_streams() {
    let sim = Sim::new(Settings::default());
    let script = Script::new(Fault::overloaded()).for_answers(Answers::Streamed);
    sim.script(script.lasting(Lasting::For(Duration::from_secs(10))));
    assert_eq!(stream(&sim, "hello").await.status.as_u16(), 529);
    assert_eq!(ask(&sim, KEY, "hello").await.status, 200);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(stream(&sim, "hello").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_html_is_what_it_says() {
    let reply = stream(&broken(Fault::html(StatusCode::SERVICE_UNAVAILABLE)), "hello").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(reply.body.starts_with(b"<!doctype html>"));
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_closed_before_any_header() {
    let sim = broken(Fault::Reset);
    let request = request(Method::POST, "/v1/messages", KEY, call("hello", &json!({})));
    assert!(try_send(&sim, request, Patience::Endless).await.is_none());
    assert_eq!(only_record(&sim).outcome, Outcome::Broken);
}

#[tokio::test(start_paused = true)]
async fn a_silence_comes_before_the_head_also_of_a_refusal() {
    let sim = Sim::new(Settings::default());
    sim.script(Script::new(Fault::overloaded()).delayed(Duration::from_secs(8)));
    sim.script(Script::new(Fault::Nothing).delayed(Duration::from_secs(8)));
    for status in [529, 200] {
        let reply = ask(&sim, KEY, "hello").await;
        assert_eq!(reply.status.as_u16(), status);
        assert!(reply.times[0] >= Duration::from_secs(8));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_cut_after_so_many_events() {
    for how in [Break::Close, Break::Reset] {
        for after in [0, 1, 4] {
            let sim = broken_off(after, how.clone());
            let reply = stream(&sim, "sim: tokens 100").await;
            assert!(!reply.whole, "{how:?} after {after}");
            assert_eq!(reply.names().len(), after, "{how:?}");
            assert_eq!(only_record(&sim).outcome, Outcome::Broken);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_is_cut_in_its_middle() {
    let reply = ask(&broken_off(1, Break::Close), KEY, "hello").await;
    assert!(!reply.whole);
    let promised: usize =
        reply.header("content-length").and_then(|length| length.parse().ok()).expect("a length");
    assert_eq!(reply.body.len(), promised / 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_as_if_it_were_whole() {
    let reply = stream(&broken_off(5, Break::End), "sim: tokens 100").await;
    assert!(reply.whole);
    assert_eq!(reply.names().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_error_event_ends_a_stream_first_or_later() {
    for after in [0, 4] {
        let sim = broken(Fault::error_event(after, Kind::Overloaded, "Overloaded"));
        let reply = stream(&sim, "sim: tokens 100").await;
        assert_eq!((reply.status, reply.whole), (StatusCode::OK, true));
        let events = reply.events();
        assert_eq!(events.len(), after + 1);
        let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        assert_eq!(events[after], ("error".to_owned(), error));
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_not_json() {
    let sim = broken_off(3, Break::Garbage);
    let reply = stream(&sim, "sim: tokens 100").await;
    let text = String::from_utf8(reply.body).expect("text");
    let good: Vec<bool> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str::<Value>(data).is_ok())
        .collect();
    assert_eq!(good.iter().filter(|good| !**good).count(), 1);
    assert!(!good[3]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_stalls_for_a_time_or_for_ever() {
    let reply = stream(&broken_off(4, Break::Stall(Some(Duration::from_secs(90)))), "sim: tokens 100").await;
    assert!(reply.whole);
    assert_eq!(reply.names().last().map(String::as_str), Some("message_stop"));
    assert!(*reply.times.last().expect("frames") >= Duration::from_secs(90));
    assert!(reply.times[0] < Duration::from_secs(1));

    let sim = broken_off(4, Break::Stall(None));
    let body = call("sim: tokens 100", &json!({"stream": true}));
    let patience = Patience::For(Duration::from_mins(5));
    assert!(try_send(&sim, request(Method::POST, "/v1/messages", KEY, body), patience).await.is_none());
    let record = only_record(&sim);
    assert!(record.cancelled_by_client());
    let lasted = record.ended.expect("it ended").checked_sub(record.arrived).expect("after it came");
    assert!(lasted >= Duration::from_mins(5));
}

#[tokio::test(start_paused = true)]
async fn events_come_without_their_names() {
    let reply = stream(&broken(Fault::DataOnly), "sim: say hello").await;
    let text = String::from_utf8(reply.body).expect("text");
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with("data: {")), "{text}");
    assert!(text.ends_with("data: {\"type\":\"message_stop\"}\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_compressed_answer_is_the_same_answer() {
    let plain = stream(&Sim::new(Settings::default()), "hello").await;
    let packed = stream(&broken(Fault::Gzip), "hello").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut bytes = Vec::new();
    GzDecoder::new(&packed.body[..]).read_to_end(&mut bytes).expect("it is gzip");
    assert_eq!(bytes, plain.body);
}

#[tokio::test(start_paused = true)]
async fn a_content_type_and_headers_can_be_other_ones() {
    let sim = Sim::new(Settings::default());
    let header = HeaderName::from_static("anthropic-ratelimit-unified-status");
    let script = Script::new(Fault::ContentType("text/plain"));
    sim.script(script.with_header(header, HeaderValue::from_static("allowed_warning")));
    let reply = stream(&sim, "hello").await;
    assert_eq!(reply.header("content-type"), Some("text/plain"));
    assert_eq!(reply.header("anthropic-ratelimit-unified-status"), Some("allowed_warning"));
}

#[tokio::test(start_paused = true)]
async fn a_scripted_refusal_charges_nothing() {
    let refusal = Refusal::new(Kind::RateLimit, "later");
    let sim = broken(Fault::Refuse(refusal));
    post(&sim, KEY, "/v1/messages", call("hello", &json!({}))).await;
    let totals = sim.report().keys[0].totals;
    assert_eq!((totals.requests, totals.rate_limited, totals.usage.input), (1, 1, 0));
}
