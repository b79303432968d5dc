//! Laws of the list of headers.

// This crate is compiled for tests only; `cfg(test)` tells clippy so, which allows `unwrap` in tests.
#[cfg(test)]
mod list;
