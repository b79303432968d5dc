//! Many requests on one connection.

use std::{
    convert::Infallible,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, server};
use http::{Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Channel};
use hyper::body::Incoming;
use relay_transport::{BodyError, Http2, Kind, Phase, Protocol, RequestBody, Stats, Transport};
use tokio::{
    io::DuplexStream,
    sync::{Barrier, mpsc},
};

use crate::{
    pipe::{Ask, DEADLINES, Upstream, hello, pipes_with, post, send, text},
    servers::{Server, Speaks},
};

const H2: Speaks = Speaks::Tls(&[b"h2"]);

/// A transport that speaks HTTP/2 unasked, over pipes.
fn unasked() -> (Transport, Upstream) {
    pipes_with(64 * 1024, |settings| settings.http2 = Http2::Always)
}

/// The upstream's side of HTTP/2, played by hand.
async fn accept(upstream: &mut Upstream) -> server::Connection<DuplexStream, Bytes> {
    server::handshake(upstream.accept().await.io).await.unwrap()
}

#[tokio::test]
async fn a_burst_of_requests_shares_one_connection() {
    // Nobody is answered before all are there: they are on their way at once.
    let barrier = Arc::new(Barrier::new(20));
    let server = Server::start(
        H2,
        |_| {},
        move |request: Request<Incoming>| {
            let barrier = barrier.clone();
            async move {
                assert_eq!(request.version(), Version::HTTP_2);
                barrier.wait().await;
                Response::new(http_body_util::Full::new(
                    request.into_body().collect().await.unwrap().to_bytes(),
                ))
            }
        },
    )
    .await;
    let transport = server.transport(|_| {});
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (transport, origin) = (transport.clone(), server.origin());
        tasks.spawn(async move {
            let body = number.to_string();
            let response = transport.ask(&origin, post(Bytes::from(body.clone())), DEADLINES).await.unwrap();
            assert_eq!(response.body().timings().protocol, Protocol::Http2);
            assert_eq!(text(response).await.unwrap(), body);
        });
    }
    tasks.join_all().await;
    assert_eq!(server.connections(), 1);
    assert_eq!(transport.stats(), Stats { open: 1, idle: 1, opened: 1, reused: 19 });
}

#[tokio::test]
async fn a_peer_that_takes_few_streams_gets_more_connections() {
    let (free, mut wanted) = mpsc::channel::<()>(1);
    let free = Arc::new(free);
    let running = Arc::new(AtomicUsize::new(0));
    let seen = running.clone();
    let server = Server::start(
        H2,
        |builder| {
            builder.http2().max_concurrent_streams(2);
        },
        move |_: Request<Incoming>| {
            let (running, free) = (running.clone(), free.clone());
            async move {
                running.fetch_add(1, Ordering::SeqCst);
                // Until the test has seen enough.
                free.closed().await;
                Response::new(http_body_util::Full::new(Bytes::from_static(b"ok")))
            }
        },
    )
    .await;
    let transport = server.transport(|_| {});
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let (transport, origin) = (transport.clone(), server.origin());
        tasks.spawn(
            async move { text(transport.ask(&origin, hello(), DEADLINES).await.unwrap()).await.unwrap() },
        );
    }
    while seen.load(Ordering::SeqCst) < 5 {
        tokio::task::yield_now().await;
    }
    wanted.close();
    assert!(tasks.join_all().await.iter().all(|answer| answer == "ok"));
    // Five at once, two on each.
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_request_has_its_pseudo_headers_and_none_of_one_hop() {
    let (transport, mut upstream) = unasked();
    let request = Request::post("/v1/messages?beta=true")
        .header("x-api-key", "k")
        .header("connection", "close")
        .header("transfer-encoding", "chunked")
        .header("host", "elsewhere.test")
        .body(RequestBody::from(vec![Bytes::from_static(b"he"), Bytes::from_static(b"llo")]))
        .unwrap();
    let client = async move { text(send(&transport, request).await.unwrap()).await };
    let (answered, ()) = tokio::join!(client, async {
        let mut connection = accept(&mut upstream).await;
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        assert_eq!(request.uri(), "http://upstream.test/v1/messages?beta=true");
        let headers: Vec<_> =
            request.headers().iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        assert_eq!(headers, ["x-api-key=\"k\"", "content-length=\"5\""]);
        let response = Response::builder().status(200).body(()).unwrap();
        let mut stream = respond.send_response(response, false).unwrap();
        stream.send_data(Bytes::from_static(b"ok"), false).unwrap();
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        stream.send_trailers(trailers).unwrap();
        poll_fn(|cx| connection.poll_closed(cx)).await.unwrap();
    });
    assert_eq!(answered.unwrap(), "ok|x-sum=1");
}

/// Sends a request, waits until the upstream has it, does what `cancel` does with it, and returns
/// how the upstream's side of the stream ends.
async fn cancelled(respond_first: Responds) -> Reason {
    let (transport, mut upstream) = unasked();
    let (arrived, mut arrivals) = mpsc::channel(1);
    let client = async {
        let mut sending = Box::pin(send(&transport, hello()));
        match respond_first {
            Responds::Never => tokio::select! {
                _ = &mut sending => unreachable!("there is no answer"),
                arrived = arrivals.recv() => arrived.unwrap(),
            },
            Responds::Head => drop(sending.await.unwrap()),
        }
    };
    let server = async {
        let mut connection = accept(&mut upstream).await;
        let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
        let reset = match respond_first {
            Responds::Never => {
                arrived.send(()).await.unwrap();
                tokio::select! {
                    reset = poll_fn(|cx| respond.poll_reset(cx)) => reset,
                    _ = connection.accept() => unreachable!("there is no second request"),
                }
            }
            Responds::Head => {
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                tokio::select! {
                    reset = poll_fn(|cx| stream.poll_reset(cx)) => reset,
                    _ = connection.accept() => unreachable!("there is no second request"),
                }
            }
        };
        reset.unwrap()
    };
    // The client's future is dropped as soon as it is done.
    tokio::join!(client, server).1
}

#[derive(Clone, Copy)]
enum Responds {
    Never,
    Head,
}

#[tokio::test]
async fn a_dropped_request_resets_its_stream() {
    assert_eq!(cancelled(Responds::Never).await, Reason::CANCEL);
}

#[tokio::test]
async fn a_dropped_body_resets_its_stream() {
    assert_eq!(cancelled(Responds::Head).await, Reason::CANCEL);
}

#[tokio::test]
async fn a_stream_that_is_reset_is_a_cut_and_its_neighbour_goes_on() {
    let (transport, mut upstream) = unasked();
    let (begun, mut begins) = mpsc::channel(1);
    let client = async {
        let first = async {
            let mut body = send(&transport, hello()).await.unwrap().into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "x");
            begun.send(()).await.unwrap();
            assert!(matches!(body.frame().await.unwrap().unwrap_err(), BodyError::Cut(_)));
        };
        let second =
            async { assert_eq!(text(send(&transport, hello()).await.unwrap()).await.unwrap(), "ok") };
        tokio::join!(biased; first, second);
        assert_eq!(transport.stats(), Stats { open: 1, idle: 1, opened: 1, reused: 1 });
    };
    let server = async {
        let mut connection = accept(&mut upstream).await;
        let (_, mut first) = connection.accept().await.unwrap().unwrap();
        let (_, mut second) = connection.accept().await.unwrap().unwrap();
        let mut cut = first.send_response(Response::new(()), false).unwrap();
        cut.send_data(Bytes::from_static(b"x"), false).unwrap();
        tokio::select! {
            begun = begins.recv() => begun.unwrap(),
            _ = connection.accept() => unreachable!("there is no third request"),
        }
        cut.send_reset(Reason::INTERNAL_ERROR);
        let mut stream = second.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(b"ok"), true).unwrap();
        poll_fn(|cx| connection.poll_closed(cx)).await
    };
    tokio::select! {
        () = client => {}
        _ = server => unreachable!("the client keeps the connection"),
    }
}

#[tokio::test]
async fn a_refused_stream_on_a_kept_connection_is_tried_once_more() {
    let (transport, mut upstream) = unasked();
    let client = async {
        text(send(&transport, hello()).await.unwrap()).await.unwrap();
        // Refused without having been looked at, then answered.
        assert_eq!(text(send(&transport, hello()).await.unwrap()).await.unwrap(), "ok");
        // Refused twice.
        let error = send(&transport, hello()).await.err().unwrap();
        assert_eq!((error.kind, error.sent), (Kind::Reset, false));
        // Reset with an unknown fate: not tried again.
        let error = send(&transport, hello()).await.err().unwrap();
        assert_eq!((error.kind, error.sent), (Kind::Reset, true));
    };
    let server = async {
        let mut connection = accept(&mut upstream).await;
        let mut script = [None, Some(Reason::REFUSED_STREAM), None].into_iter().chain([
            Some(Reason::REFUSED_STREAM),
            Some(Reason::REFUSED_STREAM),
            Some(Reason::INTERNAL_ERROR),
        ]);
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            if let Some(reason) = script.next().expect("no further request") {
                respond.send_reset(reason);
            } else {
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                stream.send_data(Bytes::from_static(b"ok"), true).unwrap();
            }
        }
    };
    tokio::select! {
        () = client => {}
        () = server => unreachable!("the client keeps the connection"),
    }
}

#[tokio::test]
async fn a_connection_that_went_away_is_replaced() {
    let (transport, mut upstream) = unasked();
    let (gone, mut goes) = mpsc::channel(1);
    let client = async move {
        for _ in 0..2 {
            assert_eq!(text(send(&transport, hello()).await.unwrap()).await.unwrap(), "ok");
            goes.recv().await.unwrap();
        }
        assert_eq!(transport.stats().opened, 2);
    };
    let server = async {
        for _ in 0..2 {
            let mut connection = accept(&mut upstream).await;
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"ok"), true).unwrap();
            connection.graceful_shutdown();
            assert!(!matches!(connection.accept().await, Some(Ok(_))), "a second request");
            gone.send(()).await.unwrap();
        }
    };
    tokio::join!(client, server);
}

#[tokio::test(start_paused = true)]
async fn deadlines_hold_on_shared_connections_and_end_the_stream_alone() {
    let (transport, mut upstream) = unasked();
    let start = tokio::time::Instant::now();
    let client = async {
        let error = send(&transport, hello()).await.err().unwrap();
        assert_eq!((error.phase, error.kind, error.sent), (Phase::FirstByte, Kind::Timeout, true));
        assert_eq!(start.elapsed().as_secs(), DEADLINES.first_byte.as_secs());
        let mut body = send(&transport, hello()).await.unwrap().into_body();
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(matches!(error, BodyError::Idle(idle) if idle == DEADLINES.idle));
        assert_eq!(start.elapsed().as_secs(), (DEADLINES.first_byte + DEADLINES.idle).as_secs());
        assert_eq!(transport.stats().opened, 1);
    };
    let server = async {
        let mut connection = accept(&mut upstream).await;
        let _first = connection.accept().await.unwrap().unwrap();
        let (_, mut second) = connection.accept().await.unwrap().unwrap();
        let _stream = second.send_response(Response::new(()), false).unwrap();
        while connection.accept().await.is_some() {}
    };
    tokio::select! {
        () = client => {}
        () = server => unreachable!("the client keeps the connection"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_that_carries_nothing_is_closed_in_time() {
    let (transport, mut upstream) = unasked();
    let client = async {
        assert_eq!(text(send(&transport, hello()).await.unwrap()).await.unwrap(), "ok");
        assert_eq!(transport.stats().idle, 1);
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(transport.stats(), Stats { open: 0, idle: 0, opened: 1, reused: 0 });
    };
    let server = async {
        let mut connection = accept(&mut upstream).await;
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(b"ok"), true).unwrap();
        while connection.accept().await.is_some() {}
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn events_pass_one_by_one_in_both_directions() {
    let server = Server::start(
        H2,
        |_| {},
        async |request: Request<Incoming>| {
            let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
            tokio::runtime::Handle::current().spawn(async move {
                let mut events = request.into_body();
                while let Some(Ok(frame)) = events.frame().await {
                    let _ = sender.send(Frame::data(frame.into_data().unwrap())).await;
                }
            });
            Response::new(body)
        },
    )
    .await;
    let transport = server.transport(|_| {});
    let (mut sender, body) = crate::requests::fed();
    let response = transport.ask(&server.origin(), post(body), DEADLINES).await.unwrap();
    let mut echoed = response.into_body();
    for event in ["one", "two", "three"] {
        // Each is sent only when the one before has come back.
        sender.send_data(Bytes::from_static(event.as_bytes())).await.unwrap();
        assert_eq!(echoed.frame().await.unwrap().unwrap().into_data().unwrap(), event);
    }
    drop(sender);
    assert!(echoed.frame().await.is_none());
}
