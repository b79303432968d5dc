//! The real clients through the real binary, against the simulated provider: Python's `anthropic`,
//! TypeScript's `@anthropic-ai/sdk` and the Claude Code command line.
//!
//! `cargo xtask test` installs the clients and says where they are; without that these tests fail.
//! Scenarios run twice: straight to the provider, which shows what a client makes of it, and through
//! the relay, which must change nothing that the client sees, or hide exactly the fault that it is
//! there to hide. Between the client and whoever serves it lies a tap that records both directions,
//! so that what left the client is compared with what reached the provider byte for byte.
//!
//! The harness runs as many tests at once as there are cores, and so as many clients.

// The attributes tell clippy that all of this is test code.
#[cfg(test)]
mod program;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod tap;
#[cfg(test)]
mod transcript;

#[cfg(test)]
mod claude;
#[cfg(test)]
mod sdk;

#[cfg(test)]
mod adapters;
#[cfg(test)]
mod conversations;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod surface;
