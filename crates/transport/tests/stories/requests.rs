//! The bytes of a request, as the upstream sees them.

use bytes::Bytes;
use http::Request;
use http_body_util::{Channel, Full, channel::Sender};
use proptest::prelude::{ProptestConfig, any, proptest};
use relay_transport::{Kind, Phase, RequestBody, Settings, Spawner, Transport};

use crate::pipe::{OK, hello, pipes, pipes_with, post, send, text};

/// A body that is fed by hand.
pub(crate) fn fed() -> (Sender<Bytes, &'static str>, RequestBody) {
    let (sender, body) = Channel::new(16);
    (sender, RequestBody::stream(body))
}

/// What an upstream reads of one request, up to `end`.
async fn seen(request: Request<RequestBody>, end: &str) -> String {
    let (transport, mut upstream) = pipes();
    let (answered, seen) = tokio::join!(send(&transport, request), async {
        let mut peer = upstream.accept().await;
        peer.read_until(end.as_bytes()).await;
        peer.write(OK).await;
        peer
    });
    assert_eq!(text(answered.unwrap()).await.unwrap(), "ok");
    drop(transport);
    let mut peer = seen;
    String::from_utf8(peer.closed().await).unwrap()
}

#[tokio::test]
async fn a_request_is_written_with_our_own_framing_and_without_headers_of_one_hop() {
    let request = Request::post("http://elsewhere.test/v1/messages?beta=true")
        .header("anthropic-version", "2023-06-01")
        .header("host", "elsewhere.test")
        .header("content-length", "99")
        .header("transfer-encoding", "chunked")
        .header("connection", "close")
        .header("keep-alive", "timeout=5")
        .header("proxy-connection", "keep-alive")
        .header("proxy-authorization", "Basic eA==")
        .header("te", "trailers")
        .header("trailer", "x")
        .header("upgrade", "h2c")
        .header("expect", "100-continue")
        .header("x-twice", "1")
        .header("x-twice", "2")
        .body(Bytes::from_static(b"hello").into())
        .unwrap();
    let expected = "POST /v1/messages?beta=true HTTP/1.1\r\nhost: upstream.test\r\nanthropic-version: 2023-06-01\r\n\
         x-twice: 1\r\nx-twice: 2\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(seen(request, "hello").await, expected);
}

#[tokio::test]
async fn a_request_says_how_long_its_body_is() {
    let segments = ["he", "", "llo"].map(|text| Bytes::from_static(text.as_bytes())).to_vec();
    let request =
        |method: &str, body: RequestBody| Request::builder().method(method).uri("/x").body(body).unwrap();
    let full = || RequestBody::stream(Full::new(Bytes::from_static(b"hello")));
    let table = [
        (request("GET", RequestBody::empty()), "GET /x HTTP/1.1\r\nhost: upstream.test\r\n\r\n"),
        (request("DELETE", RequestBody::empty()), "DELETE /x HTTP/1.1\r\nhost: upstream.test\r\n\r\n"),
        (
            request("POST", RequestBody::empty()),
            "POST /x HTTP/1.1\r\nhost: upstream.test\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            request("POST", Bytes::new().into()),
            "POST /x HTTP/1.1\r\nhost: upstream.test\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            request("POST", segments.into()),
            "POST /x HTTP/1.1\r\nhost: upstream.test\r\ncontent-length: 5\r\n\r\nhello",
        ),
        (request("PUT", full()), "PUT /x HTTP/1.1\r\nhost: upstream.test\r\ncontent-length: 5\r\n\r\nhello"),
    ];
    for (request, expected) in table {
        assert_eq!(seen(request, expected).await, expected);
    }
}

#[tokio::test]
async fn a_stream_of_unknown_length_is_chunked() {
    for (pieces, expected) in [
        (&["hello", "", "worldworldworldworld"][..], "5\r\nhello\r\n14\r\nworldworldworldworld\r\n0\r\n\r\n"),
        (&[], "0\r\n\r\n"),
    ] {
        let (mut sender, body) = fed();
        for piece in pieces {
            sender.send_data(Bytes::from_static(piece.as_bytes())).await.unwrap();
        }
        drop(sender);
        let head = "POST /v1/messages?beta=true HTTP/1.1\r\nhost: upstream.test\r\nx-api-key: k\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        assert_eq!(seen(post(body), "0\r\n\r\n").await, format!("{head}{expected}"));
    }
}

#[tokio::test]
async fn a_stream_is_sent_on_as_it_comes() {
    let (transport, mut upstream) = pipes();
    let (mut sender, body) = fed();
    let (answered, ()) = tokio::join!(send(&transport, post(body)), async {
        let mut peer = upstream.accept().await;
        for piece in ["one", "two"] {
            sender.send_data(Bytes::from_static(piece.as_bytes())).await.unwrap();
            // The next piece is not given before this one has arrived.
            peer.read_until(format!("3\r\n{piece}").as_bytes()).await;
        }
        drop(sender);
        peer.read_until(b"\r\n0\r\n\r\n").await;
        peer.write(OK).await;
    });
    assert_eq!(text(answered.unwrap()).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_the_clients_fault_and_closes_the_connection() {
    let (transport, mut upstream) = pipes();
    let (mut sender, body) = fed();
    sender.send_data(Bytes::from_static(b"hel")).await.unwrap();
    sender.abort("the client left");
    let (answered, sent) =
        tokio::join!(send(&transport, post(body)), async { upstream.accept().await.closed().await });
    let error = answered.err().unwrap();
    assert_eq!((error.phase, error.kind), (Phase::Send, Kind::Body));
    assert!(!String::from_utf8(sent).unwrap().contains("0\r\n\r\n"));
}

#[tokio::test]
async fn many_segments_arrive_in_order_through_the_narrowest_pipe() {
    // More segments than one vectored write takes, and a pipe that takes 7 bytes at a time.
    let (transport, mut upstream) = pipes_with(7, |_| {});
    let segments: Vec<Bytes> = (0..100).map(|number| Bytes::from(format!("<{number}>"))).collect();
    let expected: Vec<u8> = segments.concat();
    let (answered, (_, body)) =
        tokio::join!(async { text(send(&transport, post(segments)).await.unwrap()).await.unwrap() }, async {
            let mut peer = upstream.accept().await;
            let request = peer.request().await;
            peer.write(OK).await;
            request
        });
    assert_eq!((answered.as_str(), body), ("ok", expected));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_segments_through_any_pipe_are_the_same_body(
        segments in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..40),
        size in 1_usize..200,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let expected = segments.concat();
        let segments: Vec<Bytes> = segments.into_iter().map(Bytes::from).collect();
        let body = runtime.block_on(async {
            let (transport, mut upstream) = pipes_with(size, |_| {});
            let (_, (_, body)) = tokio::join!(
                async { text(send(&transport, post(segments)).await.unwrap()).await.unwrap() },
                async {
                    let mut peer = upstream.accept().await;
                    let request = peer.request().await;
                    peer.write(OK).await;
                    request
                }
            );
            body
        });
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn a_request_over_http1_spawns_nothing() {
    let (transport, mut upstream) = pipes_with(64 * 1024, |settings| {
        *settings = Settings {
            spawner: Spawner::new(|name, _| assert_eq!(name, "connection-sweeper")),
            ..Settings::new(settings.spawner.clone(), settings.tls.clone())
        };
    });
    let ask = async |transport: &Transport| text(send(transport, hello()).await.unwrap()).await.unwrap();
    let ((), ()) = tokio::join!(
        async {
            for _ in 0..3 {
                assert_eq!(ask(&transport).await, "ok");
            }
        },
        async {
            let mut peer = upstream.accept().await;
            for _ in 0..3 {
                peer.answer(OK).await;
            }
        }
    );
}
