//! The simulator's clock: monotonic Tokio time since a given moment, so that paused time governs.
//!
//! A moment is a [`Duration`] since the Unix epoch. The wall clock of the machine is never read.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimePrinter};
use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    epoch: Duration,
}

impl Clock {
    /// A clock which shows `epoch` (since the Unix epoch) now.
    pub(crate) fn starting_at(epoch: Duration) -> Self {
        Self { origin: Instant::now(), epoch }
    }

    /// The time since the Unix epoch.
    pub(crate) fn now(&self) -> Duration {
        self.epoch + self.origin.elapsed()
    }
}

/// A moment in RFC 3339, in whole seconds, rounded up: what is said to have happened by then has.
pub(crate) fn rfc3339(moment: Duration) -> String {
    let rounded = u64::from(moment.subsec_nanos() > 0);
    timestamp(moment.as_secs().saturating_add(rounded)).to_string()
}

/// A moment in the form of the `date` header, rounded down.
pub(crate) fn http_date(moment: Duration) -> String {
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&timestamp(moment.as_secs()))
        .expect("every timestamp from 1970 to 9999 has an HTTP date")
}

fn timestamp(seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Timestamp::from_duration(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Clock, http_date, rfc3339};

    #[test]
    fn moments_are_written_as_the_provider_writes_them() {
        let moment = Duration::from_millis(1_795_170_600_250);
        assert_eq!(rfc3339(moment), "2026-11-20T10:30:01Z");
        assert_eq!(http_date(moment), "Fri, 20 Nov 2026 10:30:00 GMT");
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_stands_still_with_paused_time() {
        let clock = Clock::starting_at(Duration::from_secs(100));
        assert_eq!(clock.now(), Duration::from_secs(100));
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now(), Duration::from_millis(101_500));
    }
}
