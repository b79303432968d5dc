//! Reads: bytes in and values out, and back again.
//!
//! Everything that is known of formats lives here: what a request asks ([`call`]), how one of its
//! fields is changed while every other byte stays the client's own ([`edit`]), how a stream is cut
//! into events however it was cut into chunks ([`sse`], and [`eventstream`] as AWS frames them), what an answer used ([`usage`]), what its
//! head says about limits ([`quota`]), how a provider lists them when it is asked ([`rate_limits`]), how an error is
//! written and read ([`refusal`]) and which moment a sentence names ([`moment`]).
//!
//! Nothing here knows a provider, opens a socket, reads a clock or rolls dice. Unknown fields,
//! roles and events are never an error: the protocol changes weekly, and what is not understood is
//! forwarded all the same. Input may be hostile: no reader panics, recurses or keeps more than it
//! documents. The modules are listed in reading order.

pub mod scan;

pub mod call;
pub mod edit;
pub mod eventstream;
pub mod sse;

pub mod measure;
pub mod moment;
pub mod quota;
pub mod rate_limits;
pub mod refusal;
pub mod thoughts;
pub mod usage;

pub use crate::call::Call;
pub use crate::edit::{Edits, Outline, Segments};
pub use crate::refusal::{ErrorKind, Refusal};
pub use crate::scan::Malformed;
pub use crate::usage::Tally;
