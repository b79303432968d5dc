//! The law: any body and any answer leave as they came, whatever the chunking, but for the listed
//! edits and the relay's own pings.

use bytes::Bytes;
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use relay_testkit::client::End;
use relay_testkit::story::{ask, post};
use relay_testkit::{Reply, Step, replies, story};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

/// Bytes cut into pieces anywhere.
fn cut(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Bytes> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| Bytes::copy_from_slice(&bytes[pair[0]..pair[1]]))
        .filter(|it| !it.is_empty())
        .collect()
}

/// Chunks of an HTTP body, each announced by its length.
fn chunked(pieces: &[Bytes]) -> Vec<Step> {
    let frame = |piece: &Bytes| {
        let head = format!("{:x}\r\n", piece.len());
        Step::Send([head.as_bytes(), piece, b"\r\n"].concat().into())
    };
    pieces.iter().map(frame).chain([replies::end()]).collect()
}

fn text() -> impl Strategy<Value = String> {
    prop::string::string_regex("[a-zA-Z0-9 \\\\\"<>&é中\n]{0,60}").expect("a valid pattern")
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 48, ..Default::default() })]

    #[test]
    fn any_request_body_arrives_as_it_was_sent(body in prop::collection::vec(any::<u8>(), 0..3000), json in any::<bool>(), words in text()) {
        let body: Bytes = if json {
            format!("{{ \"z\" : 12345678901234567890, \"model\":\"claude-x\",\"a\": 1.0, \"t\": {words:?} }}\n").into()
        } else {
            body.into()
        };
        runtime().block_on(async {
            let relay = story().provider("a", [replies::message("hello")]).start().await;
            let answer = relay.send(post("/v1/messages?beta=true&x=%20y", body.clone())).await;
            prop_assert_eq!(answer.status.as_u16(), 200);
            let seen = relay.upstream("a").seen();
            prop_assert_eq!(&seen[0].body, &body);
            prop_assert_eq!(seen[0].line.as_str(), "POST /v1/messages?beta=true&x=%20y");
            Ok(())
        })?;
    }

    #[test]
    fn any_stream_arrives_as_it_was_sent_however_it_is_cut(
        words in prop::collection::vec(text(), 0..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let deltas: String = words.iter().map(|words| replies::delta(words)).collect();
        let stream = [replies::MESSAGE_START, replies::BLOCK_START, ": comment\n\n", &deltas, "event: unknown\ndata: {}\n\n", replies::MESSAGE_STOP].concat();
        let mut steps = vec![Step::Send(replies::stream_head())];
        steps.extend(chunked(&cut(stream.as_bytes(), &cuts)));
        runtime().block_on(async {
            let relay = story().provider("a", [Reply(steps)]).start().await;
            let answer = relay.ask("hi").await;
            prop_assert_eq!(answer.body_text(), stream);
            prop_assert_eq!(answer.end, End::Whole);
            Ok(())
        })?;
    }

    #[test]
    fn any_answer_arrives_as_it_was_sent(
        body in prop::collection::vec(any::<u8>(), 0..5000),
        status in prop::sample::select(vec![200_u16, 201, 400, 413, 418, 422]),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nx-kept: 1\r\ntransfer-encoding: chunked\r\n\r\n");
        let mut steps = vec![Step::Send(head.into())];
        steps.extend(chunked(&cut(&body, &cuts)));
        runtime().block_on(async {
            let relay = story().provider("a", [Reply(steps)]).start().await;
            let answer = relay.ask_whole("hi").await;
            prop_assert_eq!(answer.status.as_u16(), status);
            prop_assert!(answer.body() == body);
            prop_assert_eq!(answer.header("x-kept"), Some("1"));
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn headers_pass_in_both_directions_but_for_those_that_end_here() {
    let head = [
        ("content-type", "application/json"),
        ("request-id", "req_up"),
        ("anthropic-ratelimit-requests-remaining", "7"),
        ("anthropic-ratelimit-unified-status", "allowed"),
        ("x-unknown", "kept"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "gone"),
        ("keep-alive", "timeout=5"),
        ("x-cc-relay-key-id", "forged"),
        ("x-request-id", "theirs"),
    ];
    let body = replies::message_body("hello");
    let relay = story().provider("a", [replies::raw(200, &head, body.as_bytes())]).start().await;
    let mut request = ask("hi", relay_testkit::story::Manner::Whole);
    for (name, value) in [
        ("cookie", "a=b"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-claude-code-session-id", "s-1"),
        ("x-request-id", "mine-1"),
        ("accept-encoding", "gzip, br"),
        ("anthropic-beta", "one-more"),
    ] {
        request.headers_mut().append(name, value.parse().unwrap());
    }
    let answer = relay.send(request).await;
    let sent = relay.upstream("a").seen().remove(0);
    for (name, expect) in [
        ("cookie", None),
        ("x-forwarded-for", None),
        ("x-claude-code-session-id", Some("s-1")),
        ("accept-encoding", Some("identity")),
        ("host", Some("a.localhost")),
        ("x-api-key", Some("sk-a-1")),
        ("authorization", None),
    ] {
        assert_eq!(sent.header(name), expect, "{name}");
    }
    let betas: Vec<_> = sent.headers.iter().filter(|(name, _)| name == "anthropic-beta").collect();
    assert_eq!(betas.len(), 2);
    for (name, expect) in [
        ("request-id", Some("req_up")),
        ("anthropic-ratelimit-requests-remaining", Some("7")),
        ("anthropic-ratelimit-unified-status", Some("allowed")),
        ("x-unknown", Some("kept")),
        ("x-hop", None),
        ("x-request-id", Some("mine-1")),
        ("x-cc-relay-keys-total", Some("1")),
    ] {
        assert_eq!(answer.header(name), expect, "{name}");
    }
    assert_ne!(answer.header("x-cc-relay-key-id"), Some("forged"));
    assert_eq!(answer.headers.get_all("x-request-id").iter().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mapped_model_is_the_only_change() {
    let yaml = "routing: { debug: true }";
    let relay = story().provider("a", [replies::message("hello")]).with(yaml).start().await;
    let body = r#"{"messages":[],"model":"claude-opus-5-5","n":1e400}"#;
    relay.send(post("/v1/messages", body)).await;
    assert_eq!(relay.upstream("a").seen()[0].body, body);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_compressed_all_the_same_is_decoded_and_says_so() {
    use std::io::Write;
    let stream = replies::stream_text("hello");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(stream.as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let head = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
    let relay = story().provider("a", [replies::raw(200, &head, &body)]).start().await;
    let answer = relay.ask("hi").await;
    assert_eq!(answer.body_text(), stream);
    assert_eq!((answer.header("content-encoding"), answer.header("content-length")), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_compressed_request_is_looked_at_and_forwarded_as_it_came() {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(br#"{"model":"claude-opus-5-5","stream":true}"#).unwrap();
    let body: Bytes = encoder.finish().unwrap().into();
    let relay = story()
        .provider("a", [replies::after(std::time::Duration::from_secs(20), replies::stream("hello"))])
        .start()
        .await;
    let mut request = post("/v1/messages", body.clone());
    request.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    let answer = relay.send(request).await;
    assert!(answer.body_text().starts_with(replies::PING), "it was understood to ask for a stream");
    let seen = relay.upstream("a").seen().remove(0);
    assert_eq!((seen.body.clone(), seen.header("content-encoding")), (body, Some("gzip")));
}
