//! Says: what happened, as log lines. It formats and writes; it decides nothing.
//!
//! Lines are written by a thread of their own, in batches, so that a request never waits for a disk.

mod event;
mod line;
mod log;
mod outlet;
mod sink;
mod value;

pub mod happening;

pub use crate::log::{Clock, Format, Level, Settings, Switch, init, overhear};
pub use crate::sink::{Guard, Target};
