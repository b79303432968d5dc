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
    }
}
