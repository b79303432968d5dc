//! The workshop's clocks. Knows how to read them; refuses to wait.

use std::time::{Duration, Instant};

/// The moment, for measuring durations inside this process.
#[expect(
    clippy::disallowed_methods,
    reason = "measuring is what the workshop does; nothing it decides is replayed"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The machine's monotonic clock, which all processes share (`CLOCK_MONOTONIC`, see the manual page `clock_gettime(2)`):
/// what one process writes, another may subtract.
pub(crate) fn shared() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).expect("a monotonic clock counts up from the machine's start");
    let nanos = u32::try_from(time.tv_nsec).expect("a timespec holds less than a second of nanoseconds");
    Duration::new(seconds, nanos)
}
