//! The program from outside: what it prints, what it ends with, what it leaves on disk.
//!
//! Every test has a folder of its own as home, and an environment with nothing in it but what the test
//! says. What is waited for is a line of the log, never a time.

// Marked, so that clippy knows what is shared by the tests for a part of them.
#[cfg(test)]
mod program;

mod announcing;
mod claude_code;
mod commands;
mod configuration;
mod identities;
mod machine;
mod planning;
mod remembering;
mod serving;
mod standing;
