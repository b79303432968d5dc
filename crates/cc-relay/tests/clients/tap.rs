//! A tap on the wire between a client and whoever serves it: passes bytes and endings on in both
//! directions, as they come, and keeps a copy. Refuses to know what the bytes are.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::transcript::{self, Exchange};

/// A tap. It serves as long as it is held.
pub(crate) struct Tap {
    address: SocketAddr,
    wires: Arc<Mutex<Vec<Arc<Wire>>>>,
    _listener: JoinSet<()>,
}

/// What went over one connection.
#[derive(Default)]
struct Wire {
    sent: Mutex<Vec<u8>>,
    received: Mutex<Vec<u8>>,
}

/// How one direction of a connection ended.
enum Ending {
    /// In order: the other direction may go on.
    Closed,
    /// By a reset.
    Reset,
}

impl Tap {
    /// A tap on the way to `target`.
    pub(crate) async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let wires: Arc<Mutex<Vec<Arc<Wire>>>> = Arc::default();
        let kept = Arc::clone(&wires);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let wire = Arc::new(Wire::default());
                lock(&kept).push(Arc::clone(&wire));
                connections.spawn(pass(client, target, wire));
            }
        });
        Self { address, wires, _listener: accepting }
    }

    /// Where clients find it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that clients asked so far, with the answers: by connection, and on each in order.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        let wires = lock(&self.wires).clone();
        wires.iter().flat_map(|wire| transcript::read(&lock(&wire.sent), &lock(&wire.received))).collect()
    }
}

/// Passes one connection on until both directions have ended, or one by a reset.
async fn pass(client: TcpStream, target: SocketAddr, wire: Arc<Wire>) {
    let Ok(server) = TcpStream::connect(target).await else {
        // To the client it is the same as being refused.
        return reset(&client);
    };
    for stream in [&client, &server] {
        // Nothing may wait here for what comes after it.
        stream.set_nodelay(true).expect("a connection takes options");
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let broken = {
        let forth = copy(&mut from_client, &mut to_server, &wire.sent);
        let back = copy(&mut from_server, &mut to_client, &wire.received);
        let (mut forth, mut back, mut open) = (std::pin::pin!(forth), std::pin::pin!(back), true);
        loop {
            tokio::select! {
                // A client that has said all may still listen.
                ending = &mut forth, if open => match ending {
                    Ending::Reset => break true,
                    Ending::Closed => open = false,
                },
                // When whoever serves has closed, nothing more can come.
                ending = &mut back => break matches!(ending, Ending::Reset),
            }
        }
    };
    if broken {
        reset(&from_client.reunite(to_client).expect("they are halves of one connection"));
        reset(&from_server.reunite(to_server).expect("they are halves of one connection"));
    }
}

/// Copies one direction to its end, and passes that on.
async fn copy(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, kept: &Mutex<Vec<u8>>) -> Ending {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) => return if to.shutdown().await.is_ok() { Ending::Closed } else { Ending::Reset },
            Ok(length) => {
                lock(kept).extend_from_slice(&buffer[..length]);
                if to.write_all(&buffer[..length]).await.is_err() {
                    return Ending::Reset;
                }
            }
            Err(_) => return Ending::Reset,
        }
    }
}

/// Lets the peer see a reset when the connection is dropped.
fn reset(stream: &TcpStream) {
    // If the peer was faster there is nothing left to reset.
    drop(stream.set_zero_linger());
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
