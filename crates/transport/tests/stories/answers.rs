//! Answers, well formed and not, cut anywhere.

use std::{io, sync::Arc, time::Duration};

use http::{Method, Request, StatusCode, Version};
use http_body_util::BodyExt;
use relay_transport::{BodyError, Kind, Malformed, Origin, Phase, RequestBody, Tcp, Transport};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Notify,
};

use crate::pipe::{Ask, Peer, hello, pipes, pipes_with, send, text};

/// What a client makes of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Made {
    status: StatusCode,
    headers: Vec<(String, String)>,
    /// The body, or what came before it went wrong, and how it went wrong.
    body: Vec<u8>,
    trailers: Vec<(String, String)>,
    error: Option<String>,
}

/// Sends one request and reads the answer to its end.
async fn made(method: Method, play: impl AsyncFnOnce(&mut Peer)) -> Result<Made, (Phase, Kind)> {
    let (transport, mut upstream) = pipes_with(1 << 20, |_| {});
    let request = Request::builder().method(method).uri("/").body(RequestBody::empty()).unwrap();
    let client = async {
        let response = send(&transport, request).await.map_err(|error| (error.phase, error.kind))?;
        assert_eq!(response.version(), Version::HTTP_11);
        let (parts, mut body) = response.into_parts();
        let pairs = |headers: &http::HeaderMap| {
            headers.iter().map(|(name, value)| (name.to_string(), format!("{value:?}"))).collect::<Vec<_>>()
        };
        let mut made = Made {
            status: parts.status,
            headers: pairs(&parts.headers),
            body: Vec::new(),
            trailers: Vec::new(),
            error: None,
        };
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) if frame.is_data() => made.body.extend(frame.into_data().unwrap()),
                Ok(frame) => made.trailers = pairs(frame.trailers_ref().unwrap()),
                Err(error) => made.error = Some(format!("{error:?}")),
            }
        }
        Ok(made)
    };
    let (made, ()) = tokio::join!(client, async {
        let mut peer = upstream.accept().await;
        peer.request().await;
        play(&mut peer).await;
    });
    made
}

const WELL_FORMED: &[&str] = &[
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n \r\nA\r\n0123456789\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n",
    "HTTP/1.1 529 \r\ncontent-length: 11\r\nretry-after: 3\r\n\r\nhello world",
    "HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes",
    "HTTP/1.1 204 No Content\r\nx: y\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nserver: old\r\n\r\nuntil the end",
    "HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\nfour",
    "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\ncontent-length: 2\r\n\r\nok",
];

#[tokio::test]
async fn an_answer_cut_at_any_byte_into_two_reads_is_the_same_answer() {
    for answer in WELL_FORMED {
        let whole = made(Method::GET, async |peer| {
            peer.write(answer).await;
        })
        .await
        .unwrap();
        assert_eq!(whole.error, None, "{answer}");
        for at in 0..=answer.len() {
            let (first, second) = answer.as_bytes().split_at(at);
            let cut = made(Method::GET, async |peer| {
                peer.write(first).await;
                // Until the client has read it all and waits.
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                peer.write(second).await;
            });
            assert_eq!(cut.await.as_ref(), Ok(&whole), "{answer} at {at}");
        }
        let bytewise = made(Method::GET, async |peer| {
            for byte in answer.as_bytes() {
                peer.write([*byte]).await;
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(bytewise.await.as_ref(), Ok(&whole), "{answer} bytewise");
    }
}

#[tokio::test]
async fn an_answer_that_ends_before_its_end_is_cut_wherever_it_ends() {
    for answer in WELL_FORMED {
        // Those that end with the connection have no other end; the others end with a byte.
        let counted = answer.contains("content-length") || answer.contains("chunked");
        let bodyless = answer.contains(" 204 ") || answer.contains(" 304 ");
        let interim = answer.find("HTTP/1.1 200").unwrap_or(0);
        let ending = if answer.contains("\r\n\r\n") { "\r\n\r\n" } else { "\n\n" };
        let head = interim + answer[interim..].find(ending).unwrap() + ending.len();
        for at in 0..answer.len() {
            let cut = made(Method::GET, async |peer| peer.write(&answer.as_bytes()[..at]).await).await;
            if at < head {
                assert_eq!(cut, Err((Phase::FirstByte, Kind::Closed)), "{answer} at {at}");
            } else if counted && !bodyless {
                let error = cut.unwrap().error.expect("a cut");
                assert!(error.starts_with("Cut("), "{answer} at {at}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_response_to_head_has_no_body_whatever_its_length_says() {
    let made =
        made(Method::HEAD, async |peer| peer.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await);
    let made = made.await.unwrap();
    assert_eq!((made.body.len(), made.headers[0].1.as_str()), (0, "\"5\""));
}

#[tokio::test]
async fn both_framings_at_once_are_chunked_and_lose_their_length() {
    let answer =
        "HTTP/1.1 200 OK\r\ncontent-length: 99\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let made = made(Method::GET, async |peer| peer.write(answer).await).await.unwrap();
    assert_eq!(made.body, b"ok");
    assert_eq!(made.headers, [("transfer-encoding".to_owned(), "\"chunked\"".to_owned())]);
}

#[tokio::test]
async fn a_head_that_is_none_is_a_broken_protocol() {
    let many = "x: y\r\n".repeat(257);
    let large = format!("x: {}\r\n", "y".repeat(256 * 1024));
    let table = [
        "hello\r\n\r\n".to_owned(),
        "\r\n\r\n".to_owned(),
        "HTTP/2.0 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 99 Low\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nspace : x\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        format!("HTTP/1.1 200 OK\r\n{large}\r\n"),
        // A head that is too large need not end to be refused.
        format!("HTTP/1.1 200 OK\r\n{large}"),
    ];
    for answer in table {
        let made = made(Method::GET, async |peer| peer.write(&answer).await).await;
        assert_eq!(made, Err((Phase::FirstByte, Kind::Protocol)), "{}", &answer[..answer.len().min(80)]);
    }
}

#[tokio::test]
async fn a_large_head_is_taken() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\n{}x-large: {}\r\ncontent-length: 2\r\n\r\nok",
        "x: y\r\n".repeat(254),
        "y".repeat(200 * 1024)
    );
    let made = made(Method::GET, async |peer| peer.write(&answer).await).await.unwrap();
    assert_eq!((made.headers.len(), made.body.as_slice()), (256, &b"ok"[..]));
}

#[tokio::test]
async fn broken_framing_is_told_after_the_good_bytes_before_it() {
    let long = format!("1;{}\r\nx", "y".repeat(5000));
    let trailers = format!("0\r\nx: {}\r\n\r\n", "y".repeat(17 * 1024));
    let table = [
        ("x\r\n", Malformed::ChunkSize),
        ("\r\n", Malformed::ChunkSize),
        ("-1\r\n", Malformed::ChunkSize),
        ("1 1\r\n", Malformed::ChunkSize),
        ("5\nhello", Malformed::ChunkSize),
        ("11111111111111111\r\n", Malformed::ChunkSize),
        (long.as_str(), Malformed::ChunkSize),
        ("2\r\nokxx0\r\n\r\n", Malformed::ChunkEnd),
        ("2\r\nok\n\n0\r\n\r\n", Malformed::ChunkEnd),
        ("0\r\nno colon\r\n\r\n", Malformed::Trailers),
        (trailers.as_str(), Malformed::Trailers),
    ];
    for (rest, expected) in table {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n{rest}");
        let made = made(Method::GET, async |peer| peer.write(&answer).await).await.unwrap();
        assert!(made.body.starts_with(b"good"), "{rest}");
        assert_eq!(made.error, Some(format!("{:?}", BodyError::Malformed(expected))), "{rest}");
    }
}

#[tokio::test]
async fn an_early_refusal_is_delivered_and_ends_the_upload() {
    // The pipe takes a hundredth of the body; the upstream reads none of it.
    let (transport, mut upstream) = pipes_with(1024, |_| {});
    let body = bytes::Bytes::from(vec![b'x'; 100 * 1024]);
    let (answered, peer) = tokio::join!(send(&transport, crate::pipe::post(body)), async {
        let mut peer = upstream.accept().await;
        peer.write("HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nlarge").await;
        peer
    });
    let answered = answered.unwrap();
    assert_eq!(answered.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(text(answered).await.unwrap(), "large");
    // The connection cannot be used again, for half a request is on it.
    assert_eq!(transport.stats().open, 0);
    drop(peer);
}

#[tokio::test]
async fn an_early_refusal_is_delivered_although_the_connection_broke_meanwhile() {
    let (transport, mut upstream) = pipes_with(1024, |_| {});
    let body = bytes::Bytes::from(vec![b'x'; 100 * 1024]);
    let (answered, ()) = tokio::join!(send(&transport, crate::pipe::post(body)), async {
        let mut peer = upstream.accept().await;
        peer.write("HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\nno").await;
        drop(peer);
    });
    assert_eq!(text(answered.unwrap()).await.unwrap(), "no");
}

#[tokio::test]
async fn an_early_success_lets_the_upload_go_on() {
    let (transport, mut upstream) = pipes_with(1024, |_| {});
    let sent = bytes::Bytes::from(vec![b'x'; 100 * 1024]);
    let length = sent.len();
    let (answered, received) = tokio::join!(
        async {
            let response = send(&transport, crate::pipe::post(sent)).await.unwrap();
            text(response).await.unwrap()
        },
        async {
            let mut peer = upstream.accept().await;
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n").await;
            let (_, body) = peer.request().await;
            peer.write("done").await;
            body.len()
        }
    );
    assert_eq!((answered.as_str(), received), ("done", length));
}

#[tokio::test]
async fn a_reset_is_told_from_an_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = Origin::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let transport = Transport::new(crate::pipe::settings(), Arc::new(Tcp));
    for head in ["", "HTTP/1.1 200 OK\r\n\r\nuntil the"] {
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"hello") {
                stream.read_buf(&mut request).await.unwrap();
            }
            stream.write_all(head.as_bytes()).await.unwrap();
            stream
        };
        let client = transport.ask(&origin, hello(), crate::pipe::DEADLINES);
        let reset = |stream| {
            // Closing with unsent data thrown away is a reset.
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            drop(stream);
        };
        if head.is_empty() {
            let (answered, ()) = tokio::join!(client, async { reset(server.await) });
            let error = answered.err().unwrap();
            assert_eq!((error.phase, error.kind, error.sent), (Phase::FirstByte, Kind::Reset, true));
        } else {
            let (answered, stream) = tokio::join!(client, server);
            let mut body = answered.unwrap().into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "until the");
            reset(stream);
            let BodyError::Cut(cause) = body.frame().await.unwrap().unwrap_err() else { panic!("no cut") };
            assert_eq!(cause.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::ConnectionReset);
        }
    }
}

#[tokio::test]
async fn every_chunk_is_given_out_in_the_poll_in_which_it_came() {
    let (transport, mut upstream) = pipes();
    let taken = Notify::new();
    let ((), ()) = tokio::join!(
        async {
            let mut body = send(&transport, hello()).await.unwrap().into_body();
            for expected in ["one", "two", "three"] {
                assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), expected);
                taken.notify_one();
            }
            assert!(body.frame().await.is_none());
        },
        async {
            let mut peer = upstream.accept().await;
            peer.request().await;
            peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            for chunk in ["3\r\none\r\n", "3\r\ntwo\r\n", "5\r\nthree\r\n"] {
                peer.write(chunk).await;
                taken.notified().await;
            }
            peer.write("0\r\n\r\n").await;
        }
    );
}

#[tokio::test]
async fn small_chunks_that_came_together_are_one_piece_and_large_ones_are_not_moved() {
    let large = "x".repeat(5000);
    let chunks = format!("3\r\none\r\n03\r\ntwo\r\n{:x}\r\n{large}\r\n5\r\nthree\r\n0\r\n\r\n", large.len());
    let (transport, mut upstream) = pipes();
    let (pieces, _) = tokio::join!(
        async {
            let mut body = send(&transport, hello()).await.unwrap().into_body();
            let mut pieces = Vec::new();
            while let Some(frame) = body.frame().await {
                pieces.push(frame.unwrap().into_data().unwrap());
            }
            pieces
        },
        async {
            let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
            upstream.accept().await.answer(answer).await
        }
    );
    assert_eq!(pieces.first().unwrap(), "onetwo");
    assert_eq!(pieces.last().unwrap().slice(pieces.last().unwrap().len() - 5..), "three");
    assert_eq!(pieces.concat(), format!("onetwo{large}three").as_bytes());
}
