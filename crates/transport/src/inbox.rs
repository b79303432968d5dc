//! What was read from a connection and not yet taken up, and how much is read at once.
//!
//! Knows one thing: how large a read is worth its memory. Refuses to know what the bytes are.

use std::{
    future::Future,
    io,
    pin::pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use crate::dial::Io;

/// Room asked for before a read, in bytes, at least and at most. It doubles while reads fill it,
/// so that a large body takes few reads, and halves while they do not, so that thousands of slow
/// streams stay small.
const MIN_READ: usize = 4 * 1024;
const MAX_READ: usize = 128 * 1024;

/// The most that is asked for before it is known how long a message is, in bytes: what comes of a long one with its
/// head is copied to where the whole of it will lie.
const FIRST_READ: usize = 32 * 1024;

/// As little room as is still worth a read, in bytes: more than a usual event of a stream.
const LEAST_ROOM: usize = 1024;

/// For what is announced and awaited whole, so much room is made at once, in bytes, and then as much
/// again as has come. More than nearly all conversations have, so that theirs are never moved; memory of which
/// nothing is written yet is only promised, so what is announced and never sent costs little.
const EAGER: usize = 4 << 20;

/// Less room than this is made more of while much is still missing, in bytes.
const SHORT: usize = 64 * 1024;

/// Bytes that have come.
pub(crate) struct Inbox {
    /// Whoever understands them takes them from here.
    pub(crate) bytes: BytesMut,
    room: usize,
    /// The last read was given more room than it filled.
    drained: bool,
}

impl Inbox {
    /// With these bytes in it.
    pub(crate) fn with(bytes: BytesMut) -> Self {
        Self { bytes, room: MIN_READ, drained: false }
    }

    /// A message begins: if nothing of it is here, and nobody has a part of what came before any more, the
    /// whole of the room is used again.
    pub(crate) fn begin(&mut self) {
        self.room = self.room.min(FIRST_READ);
        if self.bytes.is_empty() && self.bytes.capacity() != 0 {
            self.bytes.reserve(self.room);
        }
    }

    /// Makes room for what is awaited whole, so that it comes to lie in one piece.
    pub(crate) fn expect(&mut self, missing: usize) {
        // With room to spare, or the last reads would ask for more.
        let missing = missing.saturating_add(LEAST_ROOM);
        if self.bytes.capacity() - self.bytes.len() < missing.min(SHORT) {
            self.bytes.reserve(missing.min(EAGER.max(self.bytes.len())));
        }
    }

    /// Takes the first `length` bytes, which are here.
    pub(crate) fn take(&mut self, length: usize) -> Bytes {
        if length == self.bytes.len() && SHORT <= length {
            // What is left over of a large buffer would only keep all of it in memory.
            return std::mem::take(&mut self.bytes).freeze();
        }
        self.bytes.split_to(length).freeze()
    }

    /// Gives back the memory of an empty inbox: it may be long until it is needed.
    pub(crate) fn rest(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() != 0 {
            *self = Self::with(BytesMut::new());
        }
    }

    /// Whether all that had come when it was last read has been taken up, so that reading again would find nothing.
    /// Of TLS that is most often so: a read may end with a record.
    pub(crate) fn is_drained(&self) -> bool {
        self.drained && self.bytes.is_empty()
    }

    /// Reads once. Zero is the end.
    pub(crate) fn poll_fill(&mut self, io: &mut dyn Io, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.bytes.capacity() - self.bytes.len() < LEAST_ROOM {
            self.bytes.reserve(self.room);
        }
        let room = self.bytes.capacity() - self.bytes.len();
        let read = {
            let read = pin!(io.read_buf(&mut self.bytes));
            ready!(read.poll(cx))?
        };
        self.drained = read < room;
        if !self.drained {
            self.room = (self.room * 2).min(MAX_READ);
        } else if read < self.room / 4 {
            self.room = (self.room / 2).max(MIN_READ);
        }
        Poll::Ready(Ok(read))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[test]
    fn what_is_announced_and_never_sent_costs_little_memory() {
        let mut inbox = Inbox::with(BytesMut::from(&b"the beginning"[..]));
        inbox.expect(usize::MAX);
        assert!(inbox.bytes.capacity() <= 2 * EAGER, "{}", inbox.bytes.capacity());
        inbox.expect(usize::MAX);
        assert!(inbox.bytes.capacity() <= 2 * EAGER, "once is enough");
    }

    #[test]
    fn a_usual_conversation_comes_to_lie_where_it_begins() {
        const LENGTH: usize = (1 << 20) + 600;
        let mut inbox = Inbox::with(BytesMut::from(&b"the beginning"[..]));
        inbox.expect(LENGTH);
        let place = inbox.bytes.as_ptr();
        while inbox.bytes.len() < LENGTH {
            inbox.expect(LENGTH - inbox.bytes.len());
            inbox.bytes.extend_from_slice(&[b'x'; 1000]);
        }
        assert_eq!(inbox.bytes.as_ptr(), place);
    }

    #[tokio::test]
    async fn what_is_awaited_whole_is_moved_a_few_times_however_large_it_is() {
        const LENGTH: usize = 20 << 20;
        let (mut io, mut peer) = tokio::io::duplex(100 << 10);
        let sending = async {
            peer.write_all(&vec![b'x'; LENGTH]).await.unwrap();
        };
        let reading = async {
            let mut inbox = Inbox::with(BytesMut::new());
            let (mut moves, mut place) = (0, inbox.bytes.as_ptr());
            while inbox.bytes.len() < LENGTH {
                inbox.expect(LENGTH - inbox.bytes.len());
                poll_fn(|cx| inbox.poll_fill(&mut io, cx)).await.unwrap();
                moves += usize::from(inbox.bytes.as_ptr() != place);
                place = inbox.bytes.as_ptr();
            }
            assert!(moves <= 7, "{moves}");
            assert_eq!(inbox.take(LENGTH).len(), LENGTH);
            assert_eq!(inbox.bytes.capacity(), 0, "nothing of a large buffer is kept");
        };
        tokio::join!(sending, reading);
    }

    #[tokio::test]
    async fn a_read_that_was_not_filled_took_all_there_was() {
        let (mut io, mut peer) = tokio::io::duplex(100 << 10);
        let mut inbox = Inbox::with(BytesMut::new());
        assert!(!inbox.is_drained(), "nobody has looked");
        peer.write_all(&[b'x'; 2 * MIN_READ + 1]).await.unwrap();
        let mut drained = Vec::new();
        for _ in 0..2 {
            poll_fn(|cx| inbox.poll_fill(&mut io, cx)).await.unwrap();
            assert!(!inbox.is_drained(), "what was read has not been taken up");
            let here = inbox.bytes.len();
            inbox.take(here);
            drained.push((here, inbox.is_drained()));
        }
        assert_eq!(drained, [(MIN_READ, false), (MIN_READ + 1, true)]);
    }

    #[tokio::test]
    async fn a_message_after_another_lies_where_that_lay_once_nobody_has_it_any_more() {
        let (mut io, mut peer) = tokio::io::duplex(100 << 10);
        let mut inbox = Inbox::with(BytesMut::new());
        let mut places = Vec::new();
        for _ in 0..20 {
            inbox.begin();
            peer.write_all(&[b'x'; 3000]).await.unwrap();
            while inbox.bytes.len() < 3000 {
                poll_fn(|cx| inbox.poll_fill(&mut io, cx)).await.unwrap();
            }
            let message = inbox.take(3000);
            places.push(message.as_ptr());
        }
        assert!(places.windows(2).all(|pair| pair[0] == pair[1]), "{places:?}");
    }
}
