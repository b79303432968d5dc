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
pub mod recorder;

use std::error::Error;

pub use crate::log::{Clock, Format, Level, Settings, Switch, init, overhear};
pub use crate::recorder::{Recorder, Unrecordable};
pub use crate::sink::{Guard, Target};

/// An error with what caused it, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
