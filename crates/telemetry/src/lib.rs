//! Says: what happened, as log lines. It formats and writes; it decides nothing.
//!
//! Lines are written by a thread of their own, in batches, so that a request never waits for a disk.

mod line;
mod log;
mod sink;

pub mod happening;

pub use crate::log::{Clock, Format, Level, Settings, Switch, init};
pub use crate::sink::{Guard, Target};
