//! Files: what is written is read again, whatever happens to the program, and what is not ours is left alone.

// Marked, so that clippy knows what is shared by the tests for a part of them.
#[cfg(test)]
mod memories;

mod crashes;
mod others;
mod rounds;
