//! The relay's listener over real loopback sockets: TLS, both versions of HTTP, heads and bodies of every
//! shape, limits, and the end. Each file is named by what it is about. Nothing here sleeps: what must have
//! happened is waited for, and where time matters it is paused.

mod certificates;
mod client;
mod stage;
mod still;
mod upstream;

mod bodies;
mod drain;
mod heads;
mod protocols;
mod renewed_keys;
mod streams;
mod tls;
mod workers;
