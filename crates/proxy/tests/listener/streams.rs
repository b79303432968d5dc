//! Streams of one connection: who is cut when an answer breaks off, what still arrives, and who waits for whom.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body_util::{BodyExt, Channel};
use relay_testkit::replies;
use relay_testkit::story::post;

use crate::client::{Answer, Http2, Raw, next, together, within};
use crate::protocols::number;
use crate::stage::Stage;
use crate::upstream::{Act, Gate, Upstream, acts, at_once, begun, finished};

/// A streaming request that the script can tell from others.
fn numbered(number: usize) -> http::Request<Bytes> {
    post(&format!("/v1/messages?n={number}"), r#"{"model":"claude-opus-5-5","stream":true}"#)
}

/// A few hundred kilobytes of events.
fn long() -> String {
    (0..400).map(|number| replies::delta(&format!("{number} {}", "x".repeat(700)))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_resets_its_own_stream_and_no_other() {
    let (cut, end) = (Gate::closed(), Gate::closed());
    let upstream = Upstream::scripted({
        let (cut, end) = (cut.clone(), end.clone());
        move |head| {
            let mut script = begun(&[replies::MESSAGE_START, &replies::delta("half")]);
            if number(head) == 0 {
                script.extend([Act::Wait(cut.clone()), Act::Cut]);
            } else {
                script.push(Act::Wait(end.clone()));
                script.extend(finished(&[replies::MESSAGE_DELTA, replies::MESSAGE_STOP]));
            }
            script
        }
    })
    .await;
    let stage = Stage::with(&upstream, "").await;
    let mut client = stage.http2().await;
    let half = [replies::MESSAGE_START, &replies::delta("half")].concat();
    let mut flowing = Vec::new();
    for stream in 0..2 {
        let mut response = client.begin(numbered(stream)).await.unwrap();
        let mut came = Vec::new();
        while came.len() < half.len() {
            came.extend_from_slice(&next(response.body_mut()).await);
        }
        assert_eq!(String::from_utf8(came).unwrap(), half);
        flowing.push(response);
    }
    let (whole, broken) = (flowing.pop().unwrap(), flowing.pop().unwrap());

    // Everything before the cut is with the client already: there is nothing to wait for.
    cut.open();
    let broken = Answer::of(broken).await;
    assert!(broken.cut.is_some_and(|error| !error.is_user()), "a cut is not an end");
    assert_eq!(broken.body.len(), 0);
    end.open();
    let whole = Answer::of(whole).await;
    assert!(whole.cut.is_none(), "{:?}", whole.cut);
    assert_eq!(whole.text(), [replies::MESSAGE_DELTA, replies::MESSAGE_STOP].concat());
    assert_eq!(client.ask(numbered(1)).await.status(), 200, "the connection goes on");
}

/// Begins an answer with much, in one piece, and breaks it off in the same moment.
async fn much_and_a_cut() -> Upstream {
    Upstream::scripted(|_| {
        let mut script = begun(&[replies::MESSAGE_START, &long()]);
        script.push(Act::Cut);
        script
    })
    .await
}

/// W4 of the old program: a cut lost what was buffered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w4_everything_before_a_cut_arrives_first_on_every_stream() {
    let upstream = much_and_a_cut().await;
    let stage = Stage::with(&upstream, "").await;
    let expected = replies::MESSAGE_START.to_owned() + &long();
    // A window that holds it all, and one for which the relay has to wait.
    for window in [8 << 20, 20_000] {
        let client = Http2::with_window(stage.connect().await, window).await.unwrap();
        let asking: Vec<_> = (0..16)
            .map(|number| {
                let mut client = client.clone();
                together(async move { client.ask(numbered(number)).await })
            })
            .collect();
        for asking in asking {
            let answer = asking.await.unwrap();
            assert!(answer.cut.is_some(), "a cut is not an end");
            assert_eq!(answer.body.len(), expected.len(), "window of {window}");
            assert!(answer.body == expected);
        }
    }
    stage.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w4_everything_before_a_cut_arrives_first_in_http1_too() {
    let upstream = much_and_a_cut().await;
    let stage = Stage::with(&upstream, "").await;
    let expected = replies::MESSAGE_START.to_owned() + &long();
    for _ in 0..16 {
        let answer = stage.http1().await.ask(numbered(0)).await;
        assert!(answer.cut.is_some(), "a cut is not an end");
        assert_eq!(answer.body.len(), expected.len());
        assert!(answer.body == expected);
    }
    stage.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_a_stream_cancels_its_own_request_upstream_and_no_other() {
    let end = Gate::closed();
    let upstream = Upstream::scripted({
        let end = end.clone();
        move |head| match number(head) {
            // Before the head, and in the middle of the body.
            0 => vec![Act::Body, Act::Hang],
            1 => [begun(&[replies::MESSAGE_START]), vec![Act::Hang]].concat(),
            _ => {
                let mut script = begun(&[replies::MESSAGE_START]);
                script.push(Act::Wait(end.clone()));
                script.extend(finished(&[replies::MESSAGE_STOP]));
                script
            }
        }
    })
    .await;
    let stage = Stage::with(&upstream, "").await;
    let mut client = stage.http2().await;
    let other = client.begin(numbered(2)).await.unwrap();

    let mut early = client.clone();
    tokio::select! {
        _ = early.begin(numbered(0)) => unreachable!("the provider says nothing"),
        () = upstream.until(|seen| seen.len() == 2 && seen[1].body.is_some()) => {}
    }
    upstream.until(|seen| seen[1].cancelled).await;

    let mut flowing = client.begin(numbered(1)).await.unwrap();
    assert_eq!(next(flowing.body_mut()).await, replies::MESSAGE_START);
    drop(flowing);
    upstream.until(|seen| seen[2].cancelled).await;

    assert!(!upstream.seen()[0].cancelled);
    end.open();
    let whole = Answer::of(other).await;
    assert!(whole.cut.is_none(), "{:?}", whole.cut);
    assert_eq!(whole.text(), [replies::MESSAGE_START, replies::MESSAGE_STOP].concat());
    stage.idle().await;
}

/// All streams of a connection share one window for what the client sends. An upload that waits for a key, with
/// its body unread, must not use it up.
#[tokio::test]
async fn an_upload_that_waits_does_not_hold_up_other_streams() {
    let upstream = Upstream::scripted(|head| {
        acts(if head.starts_with("POST /v1/files") {
            replies::spent("25")
        } else {
            replies::message("hello")
        })
    })
    .await;
    let stage = Stage::with(&upstream, "").await;
    let mut client = stage.http2().await;
    assert_eq!(client.ask(post("/v1/files", "x")).await.status(), 429, "and the next has to wait");
    let (mut feed, upload) = Channel::new(1);
    let upload = post("/v1/files", "").map(|_: Bytes| upload.boxed());
    let mut uploading = client.clone();
    let message = async {
        within(async {
            while stage.handle.report().waiting == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // The first piece fills the stream's window, the second is in the client's hands, the third in the channel.
        for _ in 0..3 {
            within(feed.send_data(Bytes::from(vec![b'x'; 1 << 20]))).await.unwrap();
        }
        let body = format!("{{\"model\":\"claude-opus-5-5\",\"pad\":\"{}\"}}", "y".repeat(300_000));
        client.ask(post("/v1/messages", body)).await
    };
    tokio::select! {
        _ = uploading.begin_with(upload) => unreachable!("it waits for a key"),
        answer = message => assert_eq!(answer.text(), replies::message_body("hello")),
    }
    assert_eq!(stage.handle.report().waiting, 1, "the upload has not moved on");
    stage.idle().await;
}

/// A write of its own for the five bytes of the last chunk cost as much as one for fifty events.
#[tokio::test]
async fn what_is_there_together_leaves_in_one_write_head_and_end_with_it() {
    let upstream = Upstream::scripted(|head| {
        at_once(if head.contains("?stream") { replies::stream("hello") } else { replies::message("hello") })
    })
    .await;
    let stage = Stage::with(&upstream, "").await;
    for (query, body, end) in [
        ("", r#"{"model":"claude-opus-5-5"}"#.to_owned(), replies::message_body("hello")),
        ("?stream", r#"{"model":"claude-opus-5-5","stream":true}"#.to_owned(), "\r\n0\r\n\r\n".to_owned()),
    ] {
        let (pipe, writes) = stage.counted_pipe();
        let mut raw = Raw::over(pipe);
        raw.send(format!(
            "POST /v1/messages{query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        let (said, ended) = raw.rest().await;
        assert!(said.ends_with(&end) && ended.is_ok(), "{said}");
        assert_eq!(writes.load(Ordering::Relaxed), 1, "{said}");
    }
}
