//! All that is printed, so that the rest of the workshop prints nothing. Knows terminals and
//! error chains; refuses to know what the words mean.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this file is the workshop's one mouth")]

use std::error::Error;

use crate::failure::Failure;

/// A line of result, on standard output.
pub(crate) fn line(words: &str) {
    println!("{words}");
}

/// A heading before the output of another program, on standard error.
pub(crate) fn step(words: &str) {
    eprintln!("\n== {words}");
}

/// A remark that changes nothing, on standard error.
pub(crate) fn note(words: &str) {
    eprintln!("   {words}");
}

/// What is wrong, on standard error.
pub(crate) fn wrong(words: &str) {
    eprintln!("{words}");
}

/// A failure with all its causes, on standard error.
pub(crate) fn failure(failure: &Failure) {
    eprintln!("error: {failure}");
    let mut cause = failure.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
}
