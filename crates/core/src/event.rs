//! What happened, as data. The shell turns each into a log line and its metrics.

use crate::fleet::{Class, KeyId, ProviderId};
use crate::time::Time;
use crate::verdict::{Extent, Reason};
use crate::window::WindowName;

/// A change that an operator may want to know of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A key rests for a class of models until then.
    KeyCooled {
        /// Its provider.
        provider: ProviderId,
        /// The key.
        key: KeyId,
        /// The models.
        class: Class,
        /// The window of its subscription that is used up, if it is that: then it rests for all that this counts.
        window: Option<WindowName>,
        /// When it is ready again.
        until: Time,
    },
    /// A key is out until a probe succeeds.
    KeyBarred {
        /// Its provider.
        provider: ProviderId,
        /// The key.
        key: KeyId,
        /// Why.
        reason: Reason,
        /// The whole key, or the class of the call only.
        extent: Extent,
        /// When one call asks again.
        probe_at: Time,
    },
    /// An answer showed of a key whose limits it shares, or that it does not share those that it was thought to.
    KeyPlaced {
        /// Its provider.
        provider: ProviderId,
        /// The key.
        key: KeyId,
        /// So many keys its provider has,
        keys: usize,
        /// and so many that really hold limits.
        holders: usize,
    },
    /// A key was refused for want of room: with what shares its limits it has no more calls under way at once from now on.
    Crowded {
        /// Its provider.
        provider: ProviderId,
        /// The key.
        key: KeyId,
        /// The models.
        class: Class,
        /// So many.
        most: u32,
    },
    /// A key that rested or was barred has served a call.
    KeyBack {
        /// Its provider.
        provider: ProviderId,
        /// The key.
        key: KeyId,
    },
}
