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
    hands: Hands,
}

/// What a wall clock is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hands {
    /// The machine's own.
    Machine,
    /// None: a test says what time it is.
    None,
}

impl Clock {
    /// Begins now, with the wall clock's time.
    pub fn start() -> Self {
        Self { hands: Hands::Machine, ..Self::at(machine()) }
    }

    /// Begins now, at that time.
    pub fn at(wall: Time) -> Self {
        Self { wall, start: Instant::now(), hands: Hands::None }
    }

    /// What the clock on the wall shows, for what outlives this one: it may have been set, and it goes on while the
    /// machine sleeps.
    pub fn wall(&self) -> Time {
        match self.hands {
            Hands::Machine => machine(),
            Hands::None => self.now(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.wall + self.start.elapsed()
    }

    /// Waits until that moment has come.
    pub(crate) async fn reached(&self, time: Time) {
        tokio::time::sleep_until(self.instant(time)).await;
    }

    /// The same moment for Tokio's timers.
    pub fn instant(&self, time: Time) -> Instant {
        /// Tokio's timers reach two years; "for ever" is a month here.
        const FOR_EVER: Duration = Duration::from_hours(24 * 30);
        let after = time.since(self.wall).min(self.start.elapsed().saturating_add(FOR_EVER));
        self.start + after
    }
}

fn machine() -> Time {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    let now = std::time::SystemTime::now();
    Time::from_epoch(now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default())
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
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let (high, low) = (self.roll().0, self.roll().0);
        let (high, low) = (high & !0xf000 | 0x4000, low & !(0b11 << 62) | 0b10 << 62);
        let bits = u128::from(high) << 64 | u128::from(low);
        let mut id = *b"00000000-0000-0000-0000-000000000000";
        let places = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
        for (byte, place) in bits.to_be_bytes().into_iter().zip(places) {
            id[place] = DIGITS[usize::from(byte >> 4)];
            id[place + 1] = DIGITS[usize::from(byte & 0xf)];
        }
        String::from_utf8(id.to_vec()).expect("it is of digits and hyphens")
    }
}

/// Whole seconds. Rounded up, and never clamped: whoever comes back sooner than he was told is refused again.
pub(crate) const fn seconds_up(span: Duration) -> u64 {
    span.as_secs() + if span.subsec_nanos() > 0 { 1 } else { 0 }
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
        for (at, byte) in id.bytes().enumerate() {
            let expect: &[u8] = match at {
                8 | 13 | 18 | 23 => b"-",
                14 => b"4",
                19 => b"89ab",
                _ => b"0123456789abcdef",
            };
            assert!(expect.contains(&byte), "{id}");
        }
        assert_ne!(id, dice.uuid());
    }
}
