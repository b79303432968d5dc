//! Real sockets on loopback: resets, and an end that lets streams finish.

use std::{io::ErrorKind, time::Duration};

use relay_sim::{Break, Fault, Pace, Script, Settings, Sim};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    join,
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use crate::client::{KEY, call};

/// A request as bytes, after which the client closes the connection if the server does not.
fn request(text: &str) -> Vec<u8> {
    let body = call(text, &json!({"stream": true}));
    let mut bytes = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nAnthropic-Version: 2023-06-01\r\nX-Api-Key: {KEY}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

/// What is read before the end, and how it ended.
async fn read(stream: &mut TcpStream) -> (String, Result<(), ErrorKind>) {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    let end = loop {
        match stream.read(&mut buffer).await {
            Ok(0) => break Ok(()),
            Ok(length) => text.extend_from_slice(&buffer[..length]),
            Err(error) => break Err(error.kind()),
        }
    };
    (String::from_utf8(text).expect("text"), end)
}

/// Sends one request to a simulator on a socket; what was read, and how it ended.
async fn exchange(sim: &Sim, text: &str) -> (String, Result<(), ErrorKind>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let client = async {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(&request(text)).await.expect("it is read");
        let outcome = read(&mut stream).await;
        stop.send(()).expect("it still listens");
        outcome
    };
    let (outcome, ()) = join!(client, sim.listen(listener, async { drop(stopped.await) }));
    outcome
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_close_is_a_close() {
    let cases = [
        (Fault::Reset, 0, Err(ErrorKind::ConnectionReset)),
        (Fault::Break { after: 4, how: Break::Reset }, 4, Err(ErrorKind::ConnectionReset)),
        (Fault::Break { after: 4, how: Break::Close }, 4, Ok(())),
    ];
    for (fault, events, end) in cases {
        let sim = Sim::new(Settings::default());
        sim.script(Script::new(fault.clone()));
        let (text, ended) = exchange(&sim, "sim: tokens 100").await;
        assert_eq!(ended, end, "{fault:?}");
        assert_eq!(text.matches("event: ").count(), events, "{fault:?}");
        assert!(!text.ends_with("0\r\n\r\n"), "there is no last chunk");
    }
}

#[tokio::test]
async fn a_stream_finishes_after_the_listener_was_stopped() {
    let pace = Pace { between_events: Duration::from_millis(20), ..Pace::at_once() };
    let sim = Sim::new(Settings { pace, ..Settings::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let client = async {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(&request("sim: tokens 40")).await.expect("it is read");
        let mut first = [0];
        stream.read_exact(&mut first).await.expect("the head has come");
        stop.send(()).expect("it still listens");
        read(&mut stream).await
    };
    let ((text, end), ()) = join!(client, sim.listen(listener, async { drop(stopped.await) }));
    assert_eq!(end, Ok(()));
    assert!(text.contains("message_stop") && text.ends_with("0\r\n\r\n"), "{text}");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
