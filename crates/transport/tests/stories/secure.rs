//! TLS.

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use relay_transport::{BodyError, Http2, Kind, Origin, Phase, Protocol, TlsVersion, Transport, tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::{
    pipe::{Ask, DEADLINES, hello, pipes_with, settings, text},
    servers::{Fixed, Server, Speaks, certified},
};

async fn ok(_: Request<Incoming>) -> Response<Full<&'static [u8]>> {
    Response::new(Full::new(b"ok"))
}

/// A server that speaks HTTP/1.1 over TLS.
async fn http1() -> Server {
    Server::start(Speaks::Tls(&[b"http/1.1"]), |_| {}, ok).await
}

#[tokio::test]
async fn a_trusted_server_is_asked_and_the_handshake_is_told() {
    let server = http1().await;
    let transport = server.transport(|_| {});
    let response = transport.ask(&server.origin(), hello(), DEADLINES).await.unwrap();
    let timings = *response.body().timings();
    assert_eq!((timings.tls_version, timings.protocol), (Some(TlsVersion::V13), Protocol::Http1));
    assert!(timings.tls.is_some() && !timings.tls_resumed && !timings.reused);
    assert_eq!(text(response).await.unwrap(), "ok");

    // On the kept connection there is no handshake; on a new one the session is resumed.
    let response = transport.ask(&server.origin(), hello(), DEADLINES).await.unwrap();
    let timings = *response.body().timings();
    assert!(timings.tls.is_none() && timings.reused && timings.tls_version == Some(TlsVersion::V13));
    assert_eq!(text(response).await.unwrap(), "ok");
    transport.close_idle();
    let response = transport.ask(&server.origin(), hello(), DEADLINES).await.unwrap();
    assert!(response.body().timings().tls_resumed);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_large_body_passes_through_tls_in_both_directions() {
    let server = Server::start(
        Speaks::Tls(&[b"http/1.1"]),
        |_| {},
        async |request: Request<Incoming>| Response::new(request.into_body().collect_all().await),
    )
    .await;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[1] % 128).collect();
    let transport = server.transport(|_| {});
    let request = crate::pipe::post(bytes::Bytes::from(sent.clone()));
    let response = transport.ask(&server.origin(), request, DEADLINES).await.unwrap();
    assert!(text(response).await.unwrap().into_bytes() == sent);
}

/// Reads a body whole.
trait CollectAll {
    async fn collect_all(self) -> Full<bytes::Bytes>;
}

impl CollectAll for Incoming {
    async fn collect_all(self) -> Full<bytes::Bytes> {
        Full::new(http_body_util::BodyExt::collect(self).await.unwrap().to_bytes())
    }
}

#[tokio::test]
async fn an_unknown_issuer_and_a_wrong_name_are_certificate_errors() {
    let server = http1().await;
    let strangers = Transport::new(settings(), std::sync::Arc::new(Fixed(server.address)));
    let error = strangers.ask(&server.origin(), hello(), DEADLINES).await.err().unwrap();
    assert_eq!((error.phase, error.kind, error.sent), (Phase::Tls, Kind::Certificate, false));
    assert!(error.source.is_some());

    let friend = server.transport(|_| {});
    let misnamed = Origin::parse(&format!("https://other.test:{}", server.address.port())).unwrap();
    let error = friend.ask(&misnamed, hello(), DEADLINES).await.err().unwrap();
    assert_eq!((error.phase, error.kind), (Phase::Tls, Kind::Certificate));
    assert_eq!(friend.stats().open, 0);
}

#[tokio::test]
async fn a_server_without_tls_is_a_protocol_error() {
    let server = Server::start(Speaks::Plain, |_| {}, ok).await;
    let transport = server.transport(|settings| settings.tls = tls::client(tls::Roots::Bundled).unwrap());
    let origin = Origin::parse(&format!("https://localhost:{}", server.address.port())).unwrap();
    let error = transport.ask(&origin, hello(), DEADLINES).await.err().unwrap();
    assert_eq!((error.phase, error.sent), (Phase::Tls, false));
    assert!(matches!(error.kind, Kind::Protocol | Kind::Closed | Kind::Reset), "{:?}", error.kind);
}

#[tokio::test]
async fn an_end_that_tls_does_not_confirm_is_a_cut() {
    // Without a length, only the end of the connection ends the body: anybody on the way could cut
    // it short, if TLS had no word for it.
    for confirmed in [Ends::Confirmed, Ends::Cut] {
        let (config, certificate) = certified(&[]);
        let (transport, mut upstream) =
            pipes_with(4096, |settings| settings.tls = tls::client(tls::Roots::Pem(certificate)).unwrap());
        let origin = Origin::parse("https://upstream.test").unwrap();
        let client = async { text(transport.ask(&origin, hello(), DEADLINES).await.unwrap()).await };
        let (answered, ()) = tokio::join!(client, async {
            let mut stream = TlsAcceptor::from(config).accept(upstream.accept().await.io).await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"hello") {
                stream.read_buf(&mut request).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nuntil the end").await.unwrap();
            stream.flush().await.unwrap();
            if confirmed == Ends::Confirmed {
                stream.shutdown().await.unwrap();
            }
        });
        match confirmed {
            Ends::Confirmed => assert_eq!(answered.unwrap(), "until the end"),
            Ends::Cut => assert!(matches!(answered, Err(BodyError::Cut(_)))),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Confirmed,
    Cut,
}

#[tokio::test]
async fn http2_is_spoken_only_where_both_want_it() {
    let both: &[&[u8]] = &[b"h2", b"http/1.1"];
    for (offered, wanted, expected) in [
        (both, Http2::Negotiated, Protocol::Http2),
        (both, Http2::Never, Protocol::Http1),
        (&both[1..], Http2::Negotiated, Protocol::Http1),
        (&[], Http2::Negotiated, Protocol::Http1),
    ] {
        let server = Server::start(Speaks::Tls(offered), |_| {}, ok).await;
        let transport = server.transport(|settings| settings.http2 = wanted);
        let response = transport.ask(&server.origin(), hello(), DEADLINES).await.unwrap();
        assert_eq!(response.body().timings().protocol, expected);
        assert_eq!(text(response).await.unwrap(), "ok");
    }
}
