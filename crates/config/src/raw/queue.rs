//! `queue`: how long a call may wait, as written.

use std::time::Duration;

use crate::raw::leaf::Whole;
use crate::raw::money::Dollars;
use crate::raw::server::DAY;
use crate::raw::table::section;
use crate::raw::unit::{Millis, Size};

section! {
    /// How long a call may wait for a key.
    Queue {
        /// The longest wait for a key to become ready; 0 means that nothing waits.
        max_wait_ms: Millis<0, DAY> = Duration::from_secs(30);
        /// How long a call waits for another one that begins with the same tools and system prompt to be answered, so that it reads them from the cache instead of writing them as well; 0 means not at all.
        cold_prefix_wait_ms: Millis<0, DAY> = Duration::from_secs(3);
        /// How many calls may wait at once. Whoever comes when so many do is told when to come back.
        max_calls: Whole<1, { u32::MAX as u64 }> = 10_000;
        /// What a second of waiting is worth, in dollars: a conversation waits for the key where its prompts are cached as long as that is worth less than writing them anew elsewhere costs. With 0, as long as a call may wait at all.
        dollars_per_second: Dollars = 50_000_000_u64;
        /// How large the bodies of those that wait may be together: they are kept in memory.
        max_bytes: Size<1, { 1 << 40 }> = 1 << 30;
    }
}
