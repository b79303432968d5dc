//! The same bytes read by hyper's client and by ours must be the same answer: hyper is the more
//! widely tried of the two.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proptest::{
    collection::vec,
    prelude::{Just, ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest},
    test_runner::RngSeed,
};
use relay_transport::RequestBody;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::{Builder, Runtime},
};

use crate::pipe::{pipes_with, send};

/// An answer as both clients tell it.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: StatusCode,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Good,
    Bad,
}

fn pairs(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

async fn told<B: Body<Data = Bytes> + Unpin>(response: http::Response<B>) -> Told {
    let (parts, mut body) = response.into_parts();
    let (status, headers) = (parts.status, pairs(&parts.headers));
    let mut told = Told { status, headers, body: Vec::new(), trailers: Vec::new(), end: End::Good };
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => told.body.extend(data),
            Ok(Err(frame)) => told.trailers = pairs(frame.trailers_ref().unwrap()),
            Err(_) => {
                told.end = End::Bad;
                break;
            }
        }
    }
    told
}

async fn play(mut io: DuplexStream, answer: &[u8]) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        io.read_buf(&mut request).await.unwrap();
    }
    let _ = io.write_all(answer).await;
}

/// `None` where no head came.
async fn by_hyper(answer: &[u8]) -> Option<Told> {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await.unwrap();
    let request = Request::get("/").header("host", "upstream.test").body(Empty::<Bytes>::new()).unwrap();
    let client = async move {
        let response = sender.send_request(request).await.ok()?;
        drop(sender);
        Some(told(response).await)
    };
    let (told, _, ()) = tokio::join!(client, connection, play(theirs, answer));
    told
}

async fn by_us(answer: &[u8]) -> Option<Told> {
    let (transport, mut upstream) = pipes_with(1 << 20, |_| {});
    let request = Request::get("/").body(RequestBody::empty()).unwrap();
    let client = async { Some(told(send(&transport, request).await.ok()?).await) };
    let server = async { play(upstream.accept().await.io, answer).await };
    tokio::join!(client, server).0
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn header() -> impl Strategy<Value = String> {
    ("[a-zA-Z][a-zA-Z0-9-]{0,12}", "[ -~]{0,20}").prop_filter_map(
        "framing is added apart",
        |(name, value)| {
            let framing = ["content-length", "transfer-encoding", "connection", "upgrade"];
            (!framing.contains(&name.to_ascii_lowercase().as_str())).then(|| format!("{name}: {value}\r\n"))
        },
    )
}

fn head() -> impl Strategy<Value = String> {
    let status = prop_oneof![
        Just("HTTP/1.1 200 OK"),
        Just("HTTP/1.1 429 Too Many Requests"),
        Just("HTTP/1.1 529 "),
        Just("HTTP/1.0 200 OK"),
        Just("HTTP/1.1 204 No Content"),
        Just("HTTP/1.1 304 Not Modified"),
        Just("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK"),
    ];
    (status, vec(header(), 0..6)).prop_map(|(status, headers)| format!("{status}\r\n{}", headers.concat()))
}

fn framed() -> impl Strategy<Value = Vec<u8>> {
    let bytes = vec(any::<u8>(), 0..50);
    prop_oneof![
        bytes
            .clone()
            .prop_map(|body| [format!("content-length: {}\r\n\r\n", body.len()).into_bytes(), body].concat()),
        bytes.clone().prop_map(|body| [b"\r\n".to_vec(), body].concat()),
        (vec(vec(any::<u8>(), 1..30), 0..6), vec(header(), 0..3)).prop_map(|(chunks, trailers)| {
            let mut framed = b"transfer-encoding: chunked\r\n\r\n".to_vec();
            for chunk in chunks {
                framed.extend(format!("{:X}\r\n", chunk.len()).into_bytes());
                framed.extend(chunk);
                framed.extend(b"\r\n");
            }
            framed.extend(format!("0\r\n{}\r\n", trailers.concat()).into_bytes());
            framed
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn hyper_and_we_read_the_same_answer(head in head(), framed in framed(), cut in 0_usize..400) {
        let mut answer = [head.into_bytes(), framed].concat();
        if cut < answer.len() && cut % 3 == 0 {
            answer.truncate(cut);
        }
        runtime().block_on(async {
            prop_assert_eq!(by_us(&answer).await, by_hyper(&answer).await, "{}", answer.escape_ascii());
            Ok(())
        })?;
    }

    #[test]
    fn of_a_spoilt_answer_we_never_make_more_than_hyper_does(
        head in head(),
        framed in framed(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut answer = [head.into_bytes(), framed].concat();
        let at = at.index(answer.len());
        answer[at] = byte;
        runtime().block_on(async {
            // An empty member of a list means nothing (RFC 9110 section 5.6.1); hyper thinks otherwise.
            if answer.windows(8).any(|window| window == b"chunked,") {
                return Ok(());
            }
            // Stricter we may be, and are with line feeds that stand alone in trailers.
            if let Some(ours @ Told { end: End::Good, .. }) = by_us(&answer).await {
                prop_assert_eq!(Some(ours), by_hyper(&answer).await, "{}", answer.escape_ascii());
            }
            Ok(())
        })?;
    }
}
