//! How a connection is closed whose client may still be sending.
//!
//! A system that gets bytes for a closed connection answers with a reset, and a reset makes the
//! client's system forget the answer that it has not read yet. So this side is closed, and what the
//! client still sends is taken for a while.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::ReadBuf,
    time::{Instant, Sleep},
};

use super::wire::Shared;
use crate::dial::Io;

/// How long what a client still sends is taken after its connection was closed from this side. These
/// are the defaults of nginx (`lingering_time`, `lingering_timeout`).
pub const LINGER: Duration = Duration::from_secs(30);

/// The same, while nothing comes.
pub const LINGER_IN_SILENCE: Duration = Duration::from_secs(5);

/// The most that is taken, in bytes: twice the largest file that the Anthropic API accepts.
const LINGER_FOR: usize = 1 << 30;

/// Whether a client may still be sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Client {
    Sends,
    HasSentAll,
}

/// Closes this side, and waits for the other if it still sends.
pub(super) async fn close(shared: &Shared, client: Client) -> io::Result<()> {
    poll_fn(|cx| Pin::new(&mut *shared.lock().io).poll_shutdown(cx)).await?;
    if client == Client::Sends {
        let mut lingering = Box::pin(Lingering::new());
        poll_fn(|cx| lingering.poll(&mut *shared.lock().io, cx)).await;
    }
    Ok(())
}

/// This side is closed, and the other is waited for.
struct Lingering {
    timer: Pin<Box<Sleep>>,
    until: Instant,
    left: usize,
}

impl Lingering {
    fn new() -> Self {
        let now = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(now + LINGER_IN_SILENCE));
        Self { timer, until: now + LINGER, left: LINGER_FOR }
    }

    /// Takes what comes and drops it. Ready when the client has closed too, or was given enough time.
    fn poll(&mut self, io: &mut dyn Io, cx: &mut Context<'_>) -> Poll<()> {
        let mut taken = [const { MaybeUninit::uninit() }; 16 << 10];
        while self.timer.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::uninit(&mut taken);
            let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer));
            let count = buffer.filled().len();
            self.left = self.left.saturating_sub(count);
            if read.is_err() || count == 0 || self.left == 0 {
                break;
            }
            let due = self.until.min(Instant::now() + LINGER_IN_SILENCE);
            self.timer.as_mut().reset(due);
        }
        Poll::Ready(())
    }
}
