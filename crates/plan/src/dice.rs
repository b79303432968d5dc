//! Chance that can be replayed.

use std::time::Duration;

use relay_core::Roll;

/// Dice that fall the same way each time they begin with the same seed: `SplitMix64`
/// (<https://prng.di.unimi.it/splitmix64.c>).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice with that seed.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next roll.
    pub const fn roll(&mut self) -> Roll {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut state = self.0;
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Roll(state ^ (state >> 31))
    }

    /// These dice after so many rolls.
    pub const fn skip(self, rolls: u32) -> Self {
        Self(self.0.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(rolls as u64)))
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.roll().below(bound)
    }

    /// How long it is to the next of what comes so often on average, and whenever it likes.
    pub fn pause(&mut self, mean: Duration) -> Duration {
        // Between 0, which is left out, and 1.
        #[expect(clippy::cast_precision_loss, reason = "of 53 bits nothing is lost")]
        let part = ((self.roll().0 >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        mean.mul_f64(-part.ln())
    }
}
