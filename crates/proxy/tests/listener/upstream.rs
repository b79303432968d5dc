//! A provider on a real socket. It speaks just enough HTTP/1.1, and does to each request exactly what its
//! script says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use relay_proxy::Tasks;
use relay_testkit::{Reply, Step, replies};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::client::{find, header, within};

/// One thing that a provider does about a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Reads the whole body and remembers it.
    Body,
    /// Sends these bytes.
    Send(Bytes),
    /// Waits until the gate is open.
    Wait(Gate),
    /// The same, and reads nothing meanwhile.
    Ignore(Gate),
    /// Closes the connection, whatever was promised.
    Cut,
    /// Does nothing more until the relay closes the connection.
    Hang,
}

/// Something that has not happened until the test says so.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// Still closed.
    pub(crate) fn closed() -> Self {
        Self(Arc::new(watch::channel(false).0))
    }

    /// Lets everyone through who waits or will.
    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    async fn passed(&self) {
        let mut open = self.0.subscribe();
        // The gate itself holds the sender.
        let _ = open.wait_for(|open| *open).await;
    }
}

/// A request as the provider saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Its head, lines ended by CRLF.
    pub(crate) head: String,
    /// Its body, once it was read.
    pub(crate) body: Option<Vec<u8>>,
    /// The relay closed the connection before the script was through.
    pub(crate) cancelled: bool,
}

impl Seen {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

type Script = Box<dyn Fn(&str) -> Vec<Act> + Send + Sync>;

/// A provider.
pub(crate) struct Upstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Script,
    seen: Mutex<Vec<Seen>>,
    changed: watch::Sender<u64>,
}

/// A reply of the test kit, after the body was read.
pub(crate) fn acts(reply: Reply) -> Vec<Act> {
    std::iter::once(Act::Body).chain(reply.0.into_iter().map(act)).collect()
}

/// The same, all of it in one write.
pub(crate) fn at_once(reply: Reply) -> Vec<Act> {
    let whole = reply.0.into_iter().fold(BytesMut::new(), |mut whole, step| {
        if let Step::Send(bytes) = step {
            whole.extend_from_slice(&bytes);
        }
        whole
    });
    vec![Act::Body, Act::Send(whole.freeze())]
}

/// The beginning of a stream, with these pieces.
pub(crate) fn begun(pieces: &[&str]) -> Vec<Act> {
    acts(replies::events_then(pieces.iter().copied(), []))
}

/// These pieces and the end of a stream that has begun.
pub(crate) fn finished(pieces: &[&str]) -> Vec<Act> {
    pieces.iter().copied().map(replies::chunk).chain([replies::end()]).map(act).collect()
}

fn act(step: Step) -> Act {
    match step {
        Step::Send(bytes) => Act::Send(bytes),
        Step::Cut => Act::Cut,
        Step::Hang => Act::Hang,
        Step::Pause(_) => unreachable!("on real sockets a script waits for gates, not for time"),
    }
}

impl Upstream {
    /// Gives every request this reply.
    pub(crate) async fn always(reply: Reply) -> Self {
        Self::scripted(move |_| acts(reply.clone())).await
    }

    /// Does what the script says about the head of each request.
    pub(crate) async fn scripted(script: impl Fn(&str) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            script: Box::new(script),
            seen: Mutex::default(),
            changed: watch::channel(0).0,
        });
        let tasks = Tasks::default();
        tasks.clone().spawn("upstream", {
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tasks.spawn("upstream connection", Arc::clone(&shared).serve(stream));
                }
            }
        });
        Self { address, shared }
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen().clone()
    }

    /// The keys that came with them.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.header("x-api-key").unwrap_or_default().to_owned()).collect()
    }

    /// Waits until what it has seen is so.
    pub(crate) async fn until(&self, is_so: impl Fn(&[Seen]) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        within(async {
            while !is_so(&self.shared.seen()) {
                changed.changed().await.expect("the provider holds the sender");
            }
        })
        .await;
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Seen>)) {
        change(&mut self.seen());
        self.changed.send_modify(|count| *count += 1);
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = find(&buffer, b"\r\n\r\n") {
                    break at + 4;
                }
                if !fill(&mut stream, &mut buffer).await {
                    return;
                }
            };
            let head: Vec<u8> = buffer.drain(..end).collect();
            let head = String::from_utf8_lossy(&head).into_owned();
            // In one step: others come at the same time.
            let mut place = 0;
            self.change(|seen| {
                place = seen.len();
                seen.push(Seen { head: head.clone(), body: None, cancelled: false });
            });
            for act in (self.script)(&head) {
                match self.perform(act, &head, place, &mut stream, &mut buffer).await {
                    Some(Ended::Cut) => return,
                    Some(Ended::Cancelled) => {
                        return self.change(|seen| seen[place].cancelled = true);
                    }
                    None => {}
                }
            }
        }
    }

    async fn perform(
        &self,
        act: Act,
        head: &str,
        place: usize,
        stream: &mut TcpStream,
        buffer: &mut Vec<u8>,
    ) -> Option<Ended> {
        let mut byte = [0];
        let (mut read, mut write) = stream.split();
        match act {
            Act::Body => match body(head, stream, buffer).await {
                Some(body) => self.change(|seen| seen[place].body = Some(body)),
                None => return Some(Ended::Cancelled),
            },
            Act::Send(bytes) => tokio::select! {
                sent = write.write_all(&bytes) => if sent.is_err() { return Some(Ended::Cancelled) },
                _ = read.read(&mut byte) => return Some(Ended::Cancelled),
            },
            Act::Wait(gate) => tokio::select! {
                () = gate.passed() => {}
                _ = read.read(&mut byte) => return Some(Ended::Cancelled),
            },
            Act::Ignore(gate) => gate.passed().await,
            Act::Cut => return Some(Ended::Cut),
            Act::Hang => {
                let _ = read.read(&mut byte).await;
                return Some(Ended::Cancelled);
            }
        }
        None
    }
}

enum Ended {
    /// By the script.
    Cut,
    /// By the relay.
    Cancelled,
}

/// The whole body of a request; none if it broke off.
async fn body(head: &str, stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    if header(head, "transfer-encoding").is_none() {
        let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap_or(0));
        while buffer.len() < length {
            fill(stream, buffer).await.then_some(())?;
        }
        return Some(buffer.drain(..length).collect());
    }
    let mut body = Vec::new();
    loop {
        let end = loop {
            match find(buffer, b"\r\n") {
                Some(at) => break at,
                None => fill(stream, buffer).await.then_some(())?,
            }
        };
        let size = usize::from_str_radix(std::str::from_utf8(&buffer[..end]).ok()?, 16).ok()?;
        while buffer.len() < end + 2 + size + 2 {
            fill(stream, buffer).await.then_some(())?;
        }
        body.extend_from_slice(&buffer[end + 2..end + 2 + size]);
        buffer.drain(..end + 2 + size + 2);
        if size == 0 {
            return Some(body);
        }
    }
}

/// Reads more. False at the end.
async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    stream.read_buf(buffer).await.is_ok_and(|count| count > 0)
}
