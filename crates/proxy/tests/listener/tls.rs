//! TLS on the listener: which version of HTTP, who may connect, and certificates that change.

use std::time::Duration;

use relay_testkit::story::{Manner, ask, get};
use relay_testkit::{Log, replies};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::certificates::{Authority, Files, Handshake, shown};
use crate::client::{Http1, Http2, within};
use crate::stage::Stage;
use crate::upstream::Upstream;

const BOTH: [&str; 2] = ["h2", "http/1.1"];

/// How often the relay looks at files (the guide promises "within seconds").
const LOOK: Duration = Duration::from_secs(2);

#[tokio::test]
async fn the_version_of_http_is_chosen_in_the_handshake() {
    let authority = Authority::new();
    let files = Files::with(&authority.issue());
    let upstream = Upstream::always(replies::stream("hello")).await;
    let stage = Stage::with(&upstream, &files.yaml()).await;

    let stream = Handshake::new(&authority, &BOTH, None).with(&stage).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut client = Http2::over(stream).await.unwrap();
    let answer = client.ask(ask("hi", Manner::Stream)).await;
    assert_eq!((answer.status(), answer.text()), (200, replies::stream_text("hello")));

    for offered in [&["http/1.1"][..], &[]] {
        let stream = Handshake::new(&authority, offered, None).with(&stage).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), offered.first().map(|name| name.as_bytes()));
        let mut client = Http1::over(stream).await;
        let answer = client.ask(ask("hi", Manner::Stream)).await;
        assert_eq!((answer.status(), answer.text()), (200, replies::stream_text("hello")));
    }
}

#[tokio::test]
async fn without_http2_it_is_not_offered() {
    let authority = Authority::new();
    let files = Files::with(&authority.issue());
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with(&upstream, &format!("enable_http2: false, {}", files.yaml())).await;

    let stream = Handshake::new(&authority, &BOTH, None).with(&stage).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(Http1::over(stream).await.ask(get("/health")).await.status(), 200);
    assert!(Handshake::new(&authority, &["h2"], None).with(&stage).await.is_err());
}

#[tokio::test]
async fn only_clients_with_a_certificate_of_the_right_authority_are_served() {
    let (authority, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    let files = Files::with(&authority.issue());
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with(&upstream, &files.yaml_with_client_authority(&clients)).await;

    for own in [None, Some(others.issue_to_client())] {
        let handshake = Handshake::new(&authority, &BOTH, own.as_ref());
        // In TLS 1.3 the client is through before the relay has seen its certificate: the first read tells.
        let refused = match handshake.with(&stage).await {
            Err(error) => Err(error),
            Ok(mut stream) => within(stream.read_u8()).await,
        };
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("alert"), "{error}");
    }
    assert!(upstream.seen().is_empty());

    let own = clients.issue_to_client();
    let stream = Handshake::new(&authority, &BOTH, Some(&own)).with(&stage).await.unwrap();
    let answer = Http2::over(stream).await.unwrap().ask(ask("hi", Manner::Whole)).await;
    assert_eq!((answer.status(), answer.text()), (200, replies::message_body("hello")));
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_new_connections_and_a_broken_one_to_nobody() {
    let authority = Authority::new();
    let (first, second) = (authority.issue(), authority.issue());
    let files = Files::with(&first);
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with(&upstream, &files.yaml()).await;
    let handshake = Handshake::new(&authority, &["http/1.1"], None);
    let certificate = stage.certificate.as_ref().unwrap();

    let stream = handshake.with(&stage).await.unwrap();
    assert_eq!(shown(&stream), first.der());
    let mut open = Http1::over(stream).await;
    files.write(&second);
    certificate.renew().unwrap();
    // The same client, so that a resumed session would keep the old one.
    assert_eq!(shown(&handshake.with(&stage).await.unwrap()), second.der());
    assert_eq!(open.ask(get("/health")).await.status(), 200, "what is open goes on");

    // Not PEM; no certificate at all; one that the key does not belong to, as between two writes.
    for broken in ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", &first.certificate] {
        files.write_certificate(broken);
        certificate.renew().unwrap_err();
        assert_eq!(shown(&handshake.with(&stage).await.unwrap()), second.der(), "{broken}");
    }
    files.write(&first);
    certificate.renew().unwrap();
    assert_eq!(shown(&handshake.with(&stage).await.unwrap()), first.der());
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_changes_on_disk_is_taken_over_at_the_next_look() {
    let log = Log::listen();
    let authority = Authority::new();
    let (first, second) = (authority.issue(), authority.issue());
    let files = Files::with(&first);
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with(&upstream, &files.yaml()).await;
    let handshake = Handshake::new(&authority, &["http/1.1"], None);
    stage.handle.keep_fresh(stage.certificate.clone());
    assert_eq!(shown(&handshake.with(&stage).await.unwrap()), first.der());

    let (began, renewed) = (Instant::now(), log.count("certificate renewed"));
    files.write(&second);
    log.until("certificate renewed", renewed + 1).await;
    assert!(began.elapsed() <= LOOK, "{:?}", began.elapsed());
    assert_eq!(shown(&handshake.with(&stage).await.unwrap()), second.der());

    let began = Instant::now();
    files.write_certificate("not a certificate");
    log.until("WRN -> the changed certificate was not taken over", 1).await;
    assert!(began.elapsed() <= LOOK, "{:?}", began.elapsed());
    assert_eq!(shown(&handshake.with(&stage).await.unwrap()), second.der());

    files.write(&first);
    log.until("certificate renewed", renewed + 2).await;
    assert_eq!(shown(&handshake.with(&stage).await.unwrap()), first.der());
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_changes_between_the_start_and_the_first_look_is_taken_over() {
    let log = Log::listen();
    let authority = Authority::new();
    let (first, second) = (authority.issue(), authority.issue());
    let files = Files::with(&first);
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with(&upstream, &files.yaml()).await;
    files.write(&second);
    stage.handle.keep_fresh(stage.certificate.clone());
    tokio::time::timeout(LOOK, log.until("certificate renewed", 1)).await.unwrap();
    let handshake = Handshake::new(&authority, &["http/1.1"], None);
    assert_eq!(shown(&handshake.with(&stage).await.unwrap()), second.der());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_shake_hands_is_let_go() {
    let files = Files::with(&Authority::new().issue());
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with(&upstream, &files.yaml()).await;
    let began = Instant::now();
    let mut mute = stage.connect().await;
    assert_eq!(mute.read(&mut [0]).await.unwrap(), 0, "it is closed without a word");
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_handshakes() {
    let files = Files::with(&Authority::new().issue());
    let upstream = Upstream::always(replies::message("hello")).await;
    let stage = Stage::with(&upstream, &files.yaml()).await;
    let mut mute = stage.connect().await;
    // The next connection is accepted after it.
    assert!(within(stage.raw().await.try_send(b"not a handshake")).await.is_ok());
    assert!(stage.handle.drain(Duration::from_secs(5)).await);
    assert!(!matches!(within(mute.read(&mut [0])).await, Ok(1)));
}
