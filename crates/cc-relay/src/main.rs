//! Binds: wires all crates together into the program `cc-relay`.
//!
//! It knows which command was asked for, and where the parts of the relay are put together ([`app`]). It
//! refuses to know how a request is served: that is in the crates below, and can be tested without it.

mod cli;
mod cmd;

mod environment;
mod find;
mod report;

mod app;
mod cc;

use std::process::ExitCode;

use crate::environment::Environment;

/// Streams make and free many small buffers on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The one place that reads the environment; everything below is given it as a value.
    let environment = Environment::new(std::env::vars_os());
    cli::run(std::env::args_os(), environment).into()
}
