//! `state`: what a restart does not forget, as written.

use crate::raw::leaf::{FilePath, Flag};
use crate::raw::table::section;

section! {
    /// What was learned, and where it is kept over a restart: limits, cooldowns, what calls use, and where the prompts of conversations are cached.
    State {
        /// Whether it is kept. Without it, a relay that starts learns everything anew.
        enabled: Flag = true;
        /// The file, which is made for its user alone and is used by one relay at a time. It holds no secret.
        /// The default is `cc-relay/state.db` in `$XDG_STATE_HOME`, or in `~/.local/state`.
        path: FilePath => "/var/lib/cc-relay/state.db";
    }
}
