//! The one clock and the one source of chance. Everything below is told the time and the dice.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use relay_core::{Roll, Time};
use tokio::time::Instant;

/// Wall time as it was at the start, plus what Tokio's clock has counted since. So it never runs
/// backwards, and stands still while a test has paused time.
#[derive(Debug)]
pub struct Clock {
    wall: Time,
    start: Instant,
}

impl Clock {
    /// Begins now, with the wall clock's time.
    pub fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::at(Time::from_epoch(wall))
    }

    /// Begins now, at that time.
    pub fn at(wall: Time) -> Self {
        Self { wall, start: Instant::now() }
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.wall + self.start.elapsed()
    }

    /// The same moment for Tokio's timers.
    pub fn instant(&self, time: Time) -> Instant {
        /// Tokio's timers reach two years; "for ever" is a month here.
        const FOR_EVER: Duration = Duration::from_hours(24 * 30);
        let after = time.since(self.wall).min(self.start.elapsed().saturating_add(FOR_EVER));
        self.start + after
    }
}

/// Dice. Good enough to spread load and to name requests; not for secrets.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    /// Seeded by the system.
    pub(crate) fn seeded() -> Self {
        Self(AtomicU64::new(RandomState::new().hash_one("dice")))
    }

    /// The next roll: splitmix64 (Steele, Lea, Flood 2014).
    pub(crate) fn roll(&self) -> Roll {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Roll(z ^ (z >> 31))
    }

    /// A random UUID, version 4.
    pub(crate) fn uuid(&self) -> String {
        let (high, low) = (self.roll().0, self.roll().0);
        let (high, low) = (high & !0xf000 | 0x4000, low & !(0b11 << 62) | 0b10 << 62);
        let bits = u128::from(high) << 64 | u128::from(low);
        let mut id = String::with_capacity(36);
        for nibble in 0..32 {
            if matches!(nibble, 8 | 12 | 16 | 20) {
                id.push('-');
            }
            let digit = (bits >> (124 - 4 * nibble)) & 0xf;
            id.push(char::from(b"0123456789abcdef"[digit as usize]));
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_stands_still_while_time_is_paused() {
        let clock = Clock::at(Time::from_epoch(Duration::from_secs(100)));
        assert_eq!(clock.now(), clock.now());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.now(), Time::from_epoch(Duration::from_secs(105)));
        tokio::time::sleep_until(clock.instant(Time::from_epoch(Duration::from_secs(107)))).await;
        assert_eq!(clock.now(), Time::from_epoch(Duration::from_secs(107)));
    }

    #[test]
    fn ids_are_uuids_of_version_4_and_differ() {
        let dice = Dice::seeded();
        let id = dice.uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        assert_ne!(id, dice.uuid());
    }
}
