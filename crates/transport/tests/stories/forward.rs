//! Forward proxies.

use http::StatusCode;
use relay_transport::{Kind, Origin, Phase, ProxyRules, ProxyVariables, Settings, tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    pipe::{Ask, DEADLINES, OK, hello, pipes_with, send, text},
    servers::certified,
};

fn behind(settings: &mut Settings) {
    let url = Some("http://user:pass@proxy.test:3128");
    let variables =
        ProxyVariables { https: url, http: url, none: Some("direct.test"), ..ProxyVariables::default() };
    settings.proxy = ProxyRules::read(variables).unwrap();
}

const CREDENTIAL: &str = "proxy-authorization: Basic dXNlcjpwYXNz\r\n";

#[tokio::test]
async fn a_plain_origin_is_asked_for_by_its_whole_url() {
    let (transport, mut upstream) = pipes_with(1024, behind);
    let (answered, (peer, (head, _))) = tokio::join!(send(&transport, hello()), async {
        let mut peer = upstream.accept().await;
        let request = peer.answer(OK).await;
        (peer, request)
    });
    assert_eq!(text(answered.unwrap()).await.unwrap(), "ok");
    assert_eq!(peer.origin.to_string(), "http://proxy.test:3128");
    assert_eq!(
        head,
        format!(
            "POST http://upstream.test/v1/messages?beta=true HTTP/1.1\r\nhost: upstream.test\r\nx-api-key: k\r\n\
             {CREDENTIAL}content-length: 5\r\n\r\n"
        )
    );
}

#[tokio::test]
async fn what_needs_no_proxy_is_asked_directly() {
    let (transport, mut upstream) = pipes_with(1024, behind);
    for url in ["http://direct.test", "http://127.0.0.1:11434"] {
        let origin = Origin::parse(url).unwrap();
        let (answered, (peer, (head, _))) = tokio::join!(transport.ask(&origin, hello(), DEADLINES), async {
            let mut peer = upstream.accept().await;
            let request = peer.answer(OK).await;
            (peer, request)
        });
        text(answered.unwrap()).await.unwrap();
        assert_eq!(peer.origin, origin);
        assert!(head.starts_with("POST /v1/messages") && !head.contains("proxy-authorization"), "{head}");
    }
}

#[tokio::test]
async fn an_origin_with_tls_is_reached_through_a_tunnel() {
    let (transport, mut upstream) = pipes_with(4096, behind);
    let origin = Origin::parse("https://upstream.test:8443").unwrap();
    let (answered, ()) = tokio::join!(transport.ask(&origin, hello(), DEADLINES), async {
        let mut peer = upstream.accept().await;
        assert_eq!(peer.origin.to_string(), "http://proxy.test:3128");
        let (head, _) = peer.answer("HTTP/1.1 200 Connection established\r\n\r\n").await;
        let expected =
            format!("CONNECT upstream.test:8443 HTTP/1.1\r\nhost: upstream.test:8443\r\n{CREDENTIAL}\r\n");
        assert_eq!(head, expected);
        // What follows in the tunnel is TLS, and no word of it names the credential.
        peer.read_until(&[0x16, 0x03]).await;
    });
    let error = answered.err().unwrap();
    assert_eq!((error.phase, error.sent), (Phase::Tls, false));
}

/// Settings behind a proxy at `proxy`, which trust `certificate`.
fn trusting(proxy: &'static str, certificate: Vec<u8>) -> impl FnOnce(&mut Settings) {
    move |settings| {
        let variables = ProxyVariables { https: Some(proxy), http: Some(proxy), ..ProxyVariables::default() };
        settings.proxy = ProxyRules::read(variables).unwrap();
        settings.tls = tls::client(tls::Roots::Pem(certificate)).unwrap();
    }
}

#[tokio::test]
async fn a_request_through_a_tunnel_is_between_us_and_the_origin() {
    let (config, certificate) = certified(&[b"http/1.1"]);
    let (transport, mut upstream) = pipes_with(4096, trusting("http://proxy.test", certificate));
    let origin = Origin::parse("https://upstream.test").unwrap();
    let (answered, request) = tokio::join!(transport.ask(&origin, hello(), DEADLINES), async {
        let mut peer = upstream.accept().await;
        peer.answer("HTTP/1.1 200 OK\r\n\r\n").await;
        let mut secured = Secured(TlsAcceptor::from(config).accept(peer.io).await.unwrap());
        let request = secured.request().await;
        secured.0.write_all(OK.as_bytes()).await.unwrap();
        request
    });
    assert_eq!(text(answered.unwrap()).await.unwrap(), "ok");
    assert!(
        request.starts_with("POST /v1/messages?beta=true HTTP/1.1\r\nhost: upstream.test\r\n"),
        "{request}"
    );
    assert!(!request.contains("proxy"), "{request}");
}

#[tokio::test]
async fn a_proxy_may_want_tls_for_itself() {
    let (config, certificate) = certified(&[]);
    let (transport, mut upstream) = pipes_with(4096, trusting("https://proxy.test", certificate));
    let (answered, request) = tokio::join!(send(&transport, hello()), async {
        let peer = upstream.accept().await;
        assert_eq!(peer.origin.to_string(), "https://proxy.test");
        let mut secured = Secured(TlsAcceptor::from(config).accept(peer.io).await.unwrap());
        let request = secured.request().await;
        secured.0.write_all(OK.as_bytes()).await.unwrap();
        request
    });
    assert_eq!(text(answered.unwrap()).await.unwrap(), "ok");
    assert!(request.starts_with("POST http://upstream.test/v1/messages?beta=true HTTP/1.1\r\n"), "{request}");
}

/// The server's side of a connection with TLS.
struct Secured(TlsStream<DuplexStream>);

impl Secured {
    /// Reads a request that ends with `hello`.
    async fn request(&mut self) -> String {
        let mut request = Vec::new();
        while !request.ends_with(b"hello") {
            assert_ne!(self.0.read_buf(&mut request).await.unwrap(), 0, "the connection ended");
        }
        String::from_utf8(request).unwrap()
    }
}

#[tokio::test]
async fn a_tunnel_that_is_refused_or_spoilt_is_told() {
    let table = [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
            Kind::Denied(StatusCode::PROXY_AUTHENTICATION_REQUIRED),
        ),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", Kind::Denied(StatusCode::BAD_GATEWAY)),
        ("SSH-2.0-hello\r\n\r\n", Kind::Protocol),
        ("HTTP/1.1 200 OK\r\n\r\nearly", Kind::Protocol),
        ("", Kind::Closed),
    ];
    for (answer, expected) in table {
        let (transport, mut upstream) = pipes_with(4096, behind);
        let origin = Origin::parse("https://upstream.test").unwrap();
        let (answered, _) = tokio::join!(transport.ask(&origin, hello(), DEADLINES), async {
            upstream.accept().await.answer(answer).await
        });
        let error = answered.err().unwrap();
        assert_eq!((error.phase, error.kind, error.sent), (Phase::Tunnel, expected, false), "{answer}");
    }
}
