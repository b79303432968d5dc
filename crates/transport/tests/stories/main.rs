//! What a transport does, seen from both of its ends: over pipes with a scripted server, and over
//! loopback with hyper's.

// This crate is compiled for tests only; each `cfg(test)` tells clippy so, which allows `unwrap`
// in tests and looks for tests function by function.
#[cfg(test)]
mod pipe;
#[cfg(test)]
mod servers;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod cancel;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod forward;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod retry;
#[cfg(test)]
mod secure;
#[cfg(test)]
mod serving;
