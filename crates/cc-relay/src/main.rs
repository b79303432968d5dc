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
mod demo;

use std::process::ExitCode;

use crate::environment::Environment;

/// Streams make and free many small buffers on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Every crate names its cryptography itself; a library that does not gets the same. It cannot be there
    // already: nothing ran before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // The one place that reads the environment; everything below is given it as a value.
    let environment = Environment::new(std::env::vars_os());
    cli::run(std::env::args_os(), environment).into()
}
