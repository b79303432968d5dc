//! Does: the shell of the data path. Sockets, timers and one lock around [`relay_core`].
//!
//! [`relay`](self) begins in `relay.rs`, where the life of a request is read from top to bottom. The
//! modules are listed in the order in which a request meets them.

mod flush;
mod serve;
mod socket;
mod tls;

mod relay;

mod escape;
mod exchange;
mod surface;

mod admit;
mod slots;

mod catalog;

mod asked;
mod body;
mod decode;

mod clock;
mod live;
mod lock;

mod attempt;
mod source;
mod watch;

mod late;
mod outgoing;
mod property;
mod stream;
mod unified;
mod unread;
mod via;

mod preview;
mod reject;

mod announced;
mod handle;
mod identity;
mod keeper;
mod keyring;
mod refusals;
mod renew;
mod snapshot;
mod stamp;
mod tasks;
mod workers;

pub use crate::admit::PLACEHOLDER;
pub use crate::clock::Clock;
pub use crate::escape::escaped;
pub use crate::flush::Chunk;
pub use crate::handle::{Handle, Parts};
pub use crate::keeper::{Misplaced, look_at_place};
pub use crate::outgoing::Outgoing;
pub use crate::snapshot::Unusable;
pub use crate::tasks::Tasks;
pub use crate::tls::{Certificate, Unusable as UnusableCertificate};
pub use crate::workers::Workers;
