//! How late the events of paced streams arrive, and what each costs who passes it on. Knows the stamp which the
//! upstream writes into each event; refuses to know what stands between.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::bench::load::{Connection, request};
use crate::bench::measure::Usage;
use crate::bench::upstream::{Reply, STAMP};
use crate::clock;
use crate::failure::Failure;

/// As Claude Code sends for a trivial prompt, roughly.
const BODY: usize = 20 * 1024;

/// Streams that are watched.
#[derive(Debug)]
pub(super) struct Paced {
    pub(super) address: SocketAddr,
    pub(super) n_streams: usize,
    /// No new stream is asked for after this; those that run are watched to their end.
    pub(super) time: Duration,
}

/// Finds the stamps in a stream, however it is cut.
#[derive(Debug, Default)]
struct Stamps {
    line: Vec<u8>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Watched {
    /// The time from writing to arrival of every event that says when it was written, sorted.
    pub(super) delays: Vec<Duration>,
    /// What the proxy's processes used for them.
    pub(super) cpu: Option<Duration>,
}

impl Paced {
    /// Runs, and asks `usage` before and after.
    pub(super) async fn run(
        &self,
        usage: impl Fn() -> Result<Option<Usage>, Failure>,
    ) -> Result<Watched, Failure> {
        let before = usage()?;
        let mut streams = JoinSet::new();
        for _ in 0..self.n_streams {
            streams.spawn(watch(self.address, self.time));
        }
        let mut delays = Vec::new();
        while let Some(watched) = streams.join_next().await {
            delays.extend(watched.expect("a client does not panic, and nobody aborts it")?);
        }
        delays.sort_unstable();
        let cpu = before.zip(usage()?).map(|(before, after)| after - before);
        Ok(Watched { delays, cpu })
    }
}

async fn watch(address: SocketAddr, time: Duration) -> Result<Vec<Duration>, Failure> {
    let (mut connection, request) = (Connection::open(address).await?, request(Reply::Paced, BODY));
    let (begun, mut delays) = (clock::now(), Vec::new());
    while begun.elapsed() < time {
        let mut stamps = Stamps::default();
        let mut read = |bytes: &[u8]| {
            let arrived = clock::shared();
            stamps.read(bytes, &mut |written| delays.push(arrived.saturating_sub(written)));
        };
        connection.ask(&request, &mut read).await?;
    }
    Ok(delays)
}

impl Stamps {
    fn read(&mut self, bytes: &[u8], found: &mut impl FnMut(Duration)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.ends_with(b"\n") {
                if let Some(stamp) = stamp(&self.line) {
                    found(stamp);
                }
                self.line.clear();
            }
        }
    }
}

fn stamp(line: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(line).ok()?;
    let (_, rest) = text.split_once(STAMP)?;
    let digits = rest.split('"').next()?;
    Some(Duration::from_nanos(digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_found_however_the_stream_is_cut() {
        let text = "event: ping\ndata: {}\n\ndata: {\"text\":\"t=1500\"}\n\ndata: {\"text\":\"t=2500\"}\n\n";
        for piece in 1..=text.len() {
            let (mut stamps, mut found) = (Stamps::default(), Vec::new());
            for bytes in text.as_bytes().chunks(piece) {
                stamps.read(bytes, &mut |stamp| found.push(stamp));
            }
            assert_eq!(found, [Duration::from_nanos(1500), Duration::from_nanos(2500)], "{piece}");
        }
    }

    #[test]
    fn a_stamp_that_is_no_number_is_none() {
        assert_eq!(stamp(b"data: {\"text\":\"t=soon\"}\n"), None);
        assert_eq!(stamp(b"data: {}\n"), None);
    }
}
