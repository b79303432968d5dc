//! The real clients through the real binary, against the simulated provider: Python's `anthropic`,
//! TypeScript's `@anthropic-ai/sdk` and the Claude Code command line.
//!
//! `cargo xtask test` installs the clients and says where they are; without that these tests fail.
//! Every scenario runs twice: straight to the provider, which shows what a client makes of it, and
//! through the relay, which must change nothing that the client sees, or hide exactly the fault that
//! it is there to hide. Between the client and whoever serves it lies a tap that records both
//! directions, so that what left the client is compared with what reached the provider byte for byte.

mod program;
mod relay;
mod stage;
mod tap;
mod transcript;

mod claude;
mod sdk;

mod conversations;
mod failures;
mod limits;
mod surface;
