//! What is logged of a request: one line at its end, and a body only when asked for, for those who may ask.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use relay_testkit::story::post;
use relay_testkit::{replies, story};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// Keeps every line, as `LEVEL field=value …`.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl<S: Subscriber> Layer<S> for Kept {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().expect("no test panics in it").push(line.0);
    }
}

impl Kept {
    fn lines_with(&self, words: &str) -> Vec<String> {
        let lines = self.0.lock().expect("no test panics in it");
        lines.iter().filter(|line| line.contains(words)).cloned().collect()
    }
}

/// W56 of the old program: bodies were logged at info, and before anyone had asked who sends them.
#[tokio::test(start_paused = true)]
async fn w56_bodies_are_logged_at_debug_only_and_only_of_those_who_may_ask() {
    let kept = Kept::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(kept.clone()));
    let yaml = "server: { listen: \"127.0.0.1:0\", auth: { api_key: relay-key } }\nlogging: { debug_options: { log_request_body: true } }";
    let relay = story().provider("a", [replies::message("hello")]).with(yaml).start().await;
    let body = r#"{"model":"claude-opus-5-5","api_key":"sk-ant-hidden","messages":[]}"#;
    let mut wrong = post("/v1/messages", body);
    wrong.headers_mut().insert("x-api-key", "guess".parse().unwrap());
    assert_eq!(relay.send(wrong).await.status, 401);
    assert!(kept.lines_with("body_preview").is_empty());
    let mut right = post("/v1/messages", body);
    right.headers_mut().insert("x-api-key", "relay-key".parse().unwrap());
    assert_eq!(relay.send(right).await.status, 200);
    let previews = kept.lines_with("body_preview");
    assert_eq!(previews.len(), 1);
    assert!(previews[0].starts_with("DEBUG") && previews[0].contains("claude-opus-5-5"), "{}", previews[0]);
    assert!(kept.lines_with("hidden").is_empty() && kept.lines_with("relay-key").is_empty());
}

/// The completion line of the old program had neither provider nor model nor key.
#[tokio::test(start_paused = true)]
async fn a_request_has_one_line_at_its_end_with_who_served_it_and_what_it_used() {
    let kept = Kept::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(kept.clone()));
    let relay = story()
        .provider("a", [replies::overloaded()])
        .provider("b", [replies::stream("hello")])
        .start()
        .await;
    let mut request = relay_testkit::story::ask("hi", relay_testkit::story::Manner::Stream);
    request.headers_mut().insert("x-request-id", "mine-1".parse().unwrap());
    relay.send(request).await;
    let lines = kept.lines_with("request finished");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        "INFO",
        "request_id=\"mine-1\"",
        "client=\"open\"",
        "model=\"claude-opus-5-5\"",
        "provider=\"b\"",
        "status=200",
        "end=\"whole\"",
        "attempts=2",
        "overloaded",
        "input_tokens=15",
        "cache_read_tokens=10",
        "output_tokens=7",
        "sse_events=7",
        "path=\"/v1/messages\"",
    ] {
        assert!(lines[0].contains(part), "{part} is not in {}", lines[0]);
    }
    assert!(!lines[0].contains("sk-"), "{}", lines[0]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_told_apart_from_an_end() {
    let kept = Kept::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(kept.clone()));
    let hung = replies::events_then([replies::MESSAGE_START], [relay_testkit::Step::Hang]);
    let relay = story().provider("a", [hung]).start().await;
    let mut client = relay.client().await;
    let request = relay_testkit::story::ask("hi", relay_testkit::story::Manner::Stream);
    let mut flowing = client.begin(request).await.unwrap();
    flowing.next().await.unwrap().unwrap();
    drop((flowing, client));
    relay.upstream("a").cancelled().await;
    while kept.lines_with("request finished").is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(kept.lines_with("end=\"left\"").len() == 1);
}
