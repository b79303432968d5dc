//! The laws of `wire`, held against independent oracles (`serde_json`, readers written naively) and
//! against the fixtures. It knows only what the crate shows to everybody.

// Marked as tests, which they are anyhow, because clippy lets only what is so marked `unwrap`.
#[cfg(test)]
mod edits;
#[cfg(test)]
mod files;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod garbage;
#[cfg(test)]
mod json;
#[cfg(test)]
mod spans;
#[cfg(test)]
mod streams;
