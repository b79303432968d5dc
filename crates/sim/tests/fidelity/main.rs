//! What clients see of the simulated provider, over pipes and on a paused clock.

mod client;

mod calls;
mod faults;
mod files;
mod limits;
mod records;
mod sockets;
mod streams;
