//! `queue`: how long a call may wait, as written.

use std::time::Duration;

use crate::raw::server::DAY;
use crate::raw::table::section;
use crate::raw::unit::Millis;

section! {
    /// How long a call may wait for a key.
    Queue {
        /// The longest wait for a key to become ready; 0 means that nothing waits.
        max_wait_ms: Millis<0, DAY> = Duration::from_secs(30);
        /// How long a call waits for another one that begins with the same tools and system prompt to be answered, so that it reads them from the cache instead of writing them as well; 0 means not at all.
        cold_prefix_wait_ms: Millis<0, DAY> = Duration::from_secs(3);
    }
}
