//! A client's connection, served: requests in a row, bodies of every framing, answers that break off.

use std::{
    collections::VecDeque,
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use relay_headers::{Headers, Request, Response, Value};
use relay_transport::server::{Ended, Fault, Inbound, Respond, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::Handle,
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

/// How long a connection may idle here.
const PATIENCE: Duration = Duration::from_secs(10);

/// 26 November 2026, 14:00:00 UTC.
const NOW: u64 = 1_795_701_600;

/// A body that is played: pieces, and how it ends.
struct Played {
    pieces: VecDeque<&'static str>,
    ends: Ends,
    /// How many pieces were taken. Dropped with it.
    held: Option<Arc<AtomicUsize>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Well,
    Badly,
    Never,
}

impl Played {
    fn new(pieces: &[&'static str], ends: Ends) -> Self {
        Self { pieces: pieces.iter().copied().collect(), ends, held: None }
    }
}

impl Body for Played {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        if let Some(taken) = &self.held {
            taken.fetch_add(1, Ordering::Relaxed);
        }
        match (self.pieces.pop_front(), self.ends) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece.as_bytes()))))),
            (None, Ends::Well) => Poll::Ready(None),
            (None, Ends::Badly) => Poll::Ready(Some(Err("broken"))),
            (None, Ends::Never) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.ends == Ends::Well
    }
}

/// What a test's service does with a request.
type Act = dyn Fn(Request<Inbound>) -> Pin<Box<dyn Future<Output = Response<Played>> + Send>> + Send + Sync;

struct Acts(Box<Act>);

impl Respond for Acts {
    type Body = Played;

    fn respond(&self, request: Request<Inbound>) -> impl Future<Output = Response<Played>> + Send {
        (self.0)(request)
    }

    fn now(&self) -> u64 {
        NOW
    }

    fn refuse(&self, fault: Fault) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(fault.to_string()));
        response.status = fault.status();
        response
    }
}

/// A client of a served connection.
struct Client {
    io: DuplexStream,
    served: JoinHandle<Result<(), Ended>>,
    draining: watch::Sender<bool>,
}

fn client<F>(act: impl Fn(Request<Inbound>) -> F + Send + Sync + 'static) -> Client
where
    F: Future<Output = Response<Played>> + Send + 'static,
{
    let (io, theirs) = tokio::io::duplex(1 << 16);
    let (draining, drains) = watch::channel(false);
    let acts = Acts(Box::new(move |request| Box::pin(act(request))));
    let served = Handle::current()
        .spawn(async move { serve(Box::new(theirs), BytesMut::new(), PATIENCE, drains, &acts).await });
    Client { io, served, draining }
}

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.io.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until what has come ends in that.
    async fn until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            let count = self.io.read_buf(&mut read).await.unwrap();
            assert_ne!(count, 0, "the connection ended: {}", read.escape_ascii());
        }
        String::from_utf8(read).unwrap()
    }

    /// Reads to the end, and how the server ended.
    async fn rest(mut self) -> (String, Result<(), Ended>) {
        let mut read = String::new();
        self.io.read_to_string(&mut read).await.unwrap();
        (read, self.served.await.unwrap())
    }
}

/// Tells what it was asked.
async fn echo(request: Request<Inbound>) -> Response<Played> {
    let said = match request.body.collect().await {
        Ok(body) => format!("{} {} {:?}", request.method, request.target, body.to_bytes()),
        Err(error) => error.to_string(),
    };
    Response::new(Played::new(&[said.leak()], Ends::Well))
}

fn answers(read: &str) -> Vec<&str> {
    read.split("HTTP/1.1 200 OK\r\n").skip(1).map(|answer| answer.split_once("\r\n\r\n").unwrap().1).collect()
}

#[tokio::test]
async fn requests_in_a_row_are_read_the_same_however_they_are_cut() {
    let asked = "GET /a HTTP/1.1\r\nhost: x\r\n\r\n\
        \r\nPOST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello\
        POST /c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nx-t: 1\r\n\r\n\
        POST /d HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let expected = [
        "a\r\nGET /a b\"\"\r\n0\r\n\r\n",
        "10\r\nPOST /b b\"hello\"\r\n0\r\n\r\n",
        "10\r\nPOST /c b\"hello\"\r\n0\r\n\r\n",
        "b\r\nPOST /d b\"\"\r\n0\r\n\r\n",
    ];
    for cut in 0..asked.len() {
        let mut client = client(echo);
        client.send(&asked[..cut]).await;
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        client.send(&asked[cut..]).await;
        let (read, ended) = client.rest().await;
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(answers(&read), expected, "cut at {cut}: {read}");
    }
}

#[tokio::test]
async fn the_head_of_an_answer_says_what_was_said_and_how_it_ends() {
    async fn act(request: Request<Inbound>) -> Response<Played> {
        let mut response = Response::new(Played::new(&["hello"], Ends::Well));
        response.headers.add("x-a", 1);
        response.headers.add("x-a", 2);
        match request.target.path() {
            "/length" => response.headers.add("Content-Length", 5),
            "/date" => response.headers.add("Date", Value::fixed("yesterday")),
            "/529" => response.status = StatusCode::from_u16(529).unwrap(),
            "/304" => response.status = StatusCode::NOT_MODIFIED,
            _ => {}
        }
        response
    }
    let now = "date: Thu, 26 Nov 2026 14:00:00 GMT\r\n\r\n";
    let table = [
        ("/", format!("200 OK\r\nx-a: 1\r\nx-a: 2\r\ntransfer-encoding: chunked\r\n{now}5\r\nhello\r\n0\r\n\r\n")),
        ("/length", format!("200 OK\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 5\r\n{now}hello")),
        (
            "/date",
            "200 OK\r\nx-a: 1\r\nx-a: 2\r\nDate: yesterday\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                .to_owned(),
        ),
        ("/529", format!("529 \r\nx-a: 1\r\nx-a: 2\r\ntransfer-encoding: chunked\r\n{now}5\r\nhello\r\n0\r\n\r\n")),
        ("/304", format!("304 Not Modified\r\nx-a: 1\r\nx-a: 2\r\n{now}")),
    ];
    let mut client = client(act);
    for (path, expected) in table {
        client.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let end = &expected[expected.len() - 8..];
        assert_eq!(client.until(end).await, format!("HTTP/1.1 {expected}"), "{path}");
    }
}

#[tokio::test]
async fn a_large_body_lies_in_one_piece_if_that_is_wanted() {
    const LENGTH: usize = 3 << 20;
    let mut client = client(async |request: Request<Inbound>| {
        let mut body = request.body;
        body.whole();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let nothing = body.frame().await.is_none();
        let said = format!("{} {nothing} {}", first.len(), first.iter().all(|byte| *byte == b'x'));
        Response::new(Played::new(&[said.leak()], Ends::Well))
    });
    for _ in 0..2 {
        client.send(format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {LENGTH}\r\n\r\n")).await;
        client.send(vec![b'x'; LENGTH]).await;
        let said = client.until("0\r\n\r\n").await;
        assert!(said.contains(&format!("{LENGTH} true true")), "{said}");
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_ends_the_connection_unless_all_of_it_is_here() {
    let no = async |_: Request<Inbound>| {
        let mut response = Response::new(Played::new(&["no"], Ends::Well));
        response.status = StatusCode::UNAUTHORIZED;
        response
    };
    for (framing, goes_on) in [
        ("content-length: 4\r\n\r\nbody", true),
        ("transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", true),
        ("content-length: 5\r\n\r\nbody", false),
        ("transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n", false),
        ("expect: 100-continue\r\ncontent-length: 4\r\n\r\n", false),
    ] {
        let mut client = client(no);
        client.send(format!("POST / HTTP/1.1\r\nhost: x\r\n{framing}")).await;
        let said = client.until("0\r\n\r\n").await;
        assert!(said.starts_with("HTTP/1.1 401 "), "{said}");
        assert_eq!(!said.contains("connection: close"), goes_on, "{framing}");
        if goes_on {
            client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
            client.until("0\r\n\r\n").await;
        } else {
            client.io.shutdown().await.unwrap();
            assert_eq!(client.rest().await.0, "", "{framing}");
        }
    }
}

#[tokio::test]
async fn a_client_is_told_to_go_on_when_its_body_is_asked_for_and_not_before() {
    let mut client = client(echo);
    client.send("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hi").await;
    let said = client.until("0\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 200 ") && said.contains("POST / b\"hi\""), "{said}");
    // One that does not wait needs no telling.
    client.send("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nhi").await;
    assert!(client.until("0\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_so_after_what_came_before() {
    let broken = async |_: Request<Inbound>| Response::new(Played::new(&["one", "two"], Ends::Badly));
    let mut client = client(broken);
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (said, ended) = client.rest().await;
    assert!(said.ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n"), "{said}");
    assert!(matches!(ended, Err(Ended::Broken)), "{ended:?}");
}

#[tokio::test]
async fn no_more_of_an_answer_is_taken_than_its_client_reads() {
    // Each piece with its framing is 15 bytes, of which the pipe holds 64 KiB.
    let taken = Arc::new(AtomicUsize::new(0));
    let inside = taken.clone();
    let mut client = client(move |_: Request<Inbound>| {
        let mut body = Played::new(&vec!["ten bytes."; 8_000], Ends::Well);
        body.held = Some(inside.clone());
        async move { Response::new(body) }
    });
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut before = 0;
    while before == 0 || taken.load(Ordering::Relaxed) > before {
        before = taken.load(Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
    assert!(before < 8_000, "the pipe holds all of it");
    // Each byte that is read lets the connection look whether more can be written.
    for _ in 0..1_000 {
        client.io.read_u8().await.unwrap();
        tokio::task::yield_now().await;
    }
    let more = taken.load(Ordering::Relaxed) - before;
    assert!(more <= 1_000 / 15 + 1, "{more} pieces of 15 bytes were taken for 1,000 bytes");
    assert!(client.until("0\r\n\r\n").await.len() > 15 * 8_000 - 1_000);
}

#[tokio::test]
async fn an_answer_of_another_length_than_it_says_is_no_whole_answer() {
    for (length, arrives) in [("4", ""), ("6", "hello")] {
        let mut client = client(async move |_: Request<Inbound>| {
            let mut response = Response::new(Played::new(&["hello"], Ends::Well));
            response.headers.add("content-length", Value::fixed(length));
            response
        });
        client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let (said, ended) = client.rest().await;
        assert!(said.is_empty() || said.ends_with(arrives), "{said}");
        assert!(matches!(ended, Err(Ended::Length)), "{ended:?}");
    }
}

/// Ready once nobody but the test holds it.
async fn let_go<T>(held: &Arc<T>) {
    while Arc::strong_count(held) > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_what_is_done_for_it() {
    // Before it has an answer; while an answer flows; while its body is read. Also if it has sent something behind its
    // request: an empty line, as some do after a body, or another request.
    for (request, begun) in [
        ("GET /waits HTTP/1.1\r\nhost: x\r\n\r\n", ""),
        ("GET /waits HTTP/1.1\r\nhost: x\r\n\r\n\r\n", ""),
        ("GET /waits HTTP/1.1\r\nhost: x\r\n\r\nGET /waits HTTP/1.1\r\nhost: x\r\n\r\n", ""),
        ("GET /flows HTTP/1.1\r\nhost: x\r\n\r\n\r\n", "3\r\none\r\n"),
        ("GET /flows HTTP/1.1\r\nhost: x\r\n\r\n", "3\r\none\r\n"),
        ("POST /reads HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf", ""),
    ] {
        let held = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(Mutex::new(0));
        let (inside, count) = (held.clone(), seen.clone());
        let mut client = client(move |request: Request<Inbound>| {
            let held = inside.clone();
            let count = count.clone();
            async move {
                *count.lock().unwrap() += 1;
                let path = request.target.path().to_owned();
                if path == "/waits" {
                    pending::<()>().await;
                } else if path == "/reads" {
                    assert!(request.body.collect().await.is_err());
                }
                let mut body = Played::new(&["one"], Ends::Never);
                body.held = Some(held);
                Response::new(body)
            }
        });
        client.send(request).await;
        client.until(begun).await;
        while *seen.lock().unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        let Client { io, served, draining: _draining } = client;
        drop(io);
        assert!(served.await.unwrap().is_err(), "{request}");
        // The service itself, which held it too, ended with the connection.
        let_go(&held).await;
    }
}

#[tokio::test]
async fn a_body_may_still_be_read_while_the_answer_flows() {
    /// Reads the request's body and gives it back as it comes.
    struct Mirror(Inbound);

    impl Body for Mirror {
        type Data = Bytes;
        type Error = relay_transport::server::InboundError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Pin::new(&mut self.0).poll_frame(cx)
        }
    }

    struct Mirrors;

    impl Respond for Mirrors {
        type Body = Mirror;

        async fn respond(&self, request: Request<Inbound>) -> Response<Mirror> {
            Response::new(Mirror(request.body))
        }

        fn now(&self) -> u64 {
            NOW
        }

        fn refuse(&self, _: Fault) -> Response<Bytes> {
            unreachable!("every request here is one")
        }
    }

    let (mut io, theirs) = tokio::io::duplex(1 << 16);
    let (_draining, drains) = watch::channel(false);
    let served = Handle::current()
        .spawn(async move { serve(Box::new(theirs), BytesMut::new(), PATIENCE, drains, &Mirrors).await });
    let mut read = Vec::new();
    for _ in 0..2 {
        io.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\none").await.unwrap();
        while !read.ends_with(b"one\r\n") && !read.ends_with(b"one") {
            io.read_buf(&mut read).await.unwrap();
        }
        io.write_all(b"two").await.unwrap();
        while !read.ends_with(b"two\r\n0\r\n\r\n") && !read.ends_with(b"two") {
            io.read_buf(&mut read).await.unwrap();
        }
    }
    drop(io);
    let _ = served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_kept_for_a_client_that_says_nothing() {
    for (said, answer) in [("", ""), ("GET / HT", "HTTP/1.1 408 ")] {
        let mut client = client(echo);
        client.send(said).await;
        let began = tokio::time::Instant::now();
        let (read, _) = timeout(PATIENCE * 2, client.rest()).await.unwrap();
        assert_eq!(began.elapsed(), PATIENCE);
        assert!(read.starts_with(answer) && read.is_empty() == answer.is_empty(), "{read}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_draining_server_lets_idle_clients_go_and_answers_the_others() {
    let mut idle = client(echo);
    idle.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    idle.until("0\r\n\r\n").await;
    let mut busy = client(echo);
    busy.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nh").await;
    idle.draining.send_replace(true);
    busy.draining.send_replace(true);
    assert!(idle.rest().await.1.is_ok());
    busy.send("i").await;
    let (read, ended) = busy.rest().await;
    assert!(read.contains("connection: close\r\n") && read.ends_with("0\r\n\r\n"), "{read}");
    assert!(ended.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_draining_server_does_not_wait_long_for_the_rest_of_a_head() {
    for (rest, answer) in [("", "HTTP/1.1 408 "), ("host: x\r\n\r\n", "HTTP/1.1 200 ")] {
        let mut client = client(echo);
        client.send("GET / HTTP/1.1\r\n").await;
        client.draining.send_replace(true);
        let begun = tokio::time::Instant::now();
        client.send(rest).await;
        let (read, _) = client.rest().await;
        assert!(read.starts_with(answer), "{read}");
        assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn what_is_no_request_is_told_why() {
    let mut client = client(echo);
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    client.io.shutdown().await.unwrap();
    let (read, ended) = client.rest().await;
    assert!(read.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{read}");
    assert!(read.contains("connection: close\r\n") && read.ends_with("exactly one `host`"), "{read}");
    assert!(matches!(ended, Err(Ended::Faulty(Fault::Host))), "{ended:?}");
}

#[tokio::test]
async fn a_client_of_http_1_0_is_answered_in_its_own_version() {
    let mut client = client(echo);
    client.send("GET /a HTTP/1.0\r\n\r\n").await;
    let (read, ended) = client.rest().await;
    let (head, body) = read.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n") && head.contains("connection: close"), "{head}");
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert_eq!(body, "GET /a b\"\"");
    assert!(ended.is_ok());
}

#[test]
fn headers_of_a_request_come_in_their_order_and_letters() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let seen = Arc::new(Mutex::new(Headers::default()));
        let kept = seen.clone();
        let mut client = client(move |request: Request<Inbound>| {
            request.headers.clone_into(&mut kept.lock().unwrap());
            echo(request)
        });
        client.send("GET / HTTP/1.1\r\nHost: x\r\nX-B: 1\r\nx-a: \u{e9}\r\nx-b: 2\r\n\r\n").await;
        client.until("0\r\n\r\n").await;
        let seen = seen.lock().unwrap();
        let pairs: Vec<_> = seen.iter().map(|header| (header.name(), header.value())).collect();
        let expected: [(&[u8], &[u8]); 4] =
            [(b"Host", b"x"), (b"X-B", b"1"), (b"x-a", "\u{e9}".as_bytes()), (b"x-b", b"2")];
        assert_eq!(pairs, expected);
    });
}
