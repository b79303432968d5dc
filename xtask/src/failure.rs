//! All the ways in which a task of the workshop can fail. Knows words; refuses to print them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The task was called wrongly.
    #[error("{problem}")]
    Usage { problem: String },
    /// A program could not be started at all.
    #[error("could not start `{line}`")]
    Start { line: String, source: io::Error },
    /// A program was started and did not succeed.
    #[error("`{line}` ended with {status}")]
    Program { line: String, status: ExitStatus },
    /// A program succeeded, but said something we cannot read.
    #[error("could not read what `{line}` printed: {problem}")]
    Output { line: String, problem: String },
    /// A file could not be read or written.
    #[error("could not {verb} `{}`", path.display())]
    File { verb: &'static str, path: PathBuf, source: io::Error },
    /// A file was read and does not have the form it must have.
    #[error("`{path}` is malformed: {problem}")]
    Malformed { path: String, problem: String },
    /// Programs which a task needs are not on this machine.
    #[error("missing on this machine: {}\n  hint: {hint}", what.join(", "))]
    Missing { what: Vec<&'static str>, hint: String },
    /// Rules were broken; each one has been printed.
    #[error("`{task}` found {n_findings}, see above")]
    Findings { task: &'static str, n_findings: String },
    /// Some tests did not pass, or were not run.
    #[error("{failed} failed and {ignored} ignored tests")]
    Tests { failed: u32, ignored: u32 },
    /// A part of a measurement spoke otherwise than it must.
    #[error("{doing}: {problem}")]
    Measurement { doing: String, problem: String },
    /// A connection failed while measuring.
    #[error("{doing}")]
    Connection { doing: String, source: io::Error },
    /// An HTTP exchange failed while measuring.
    #[error("{doing}")]
    Exchange { doing: &'static str, source: hyper::Error },
}

impl Failure {
    /// Wraps an I/O error with what was being done to which file.
    pub(crate) fn file(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { verb, path: path.to_owned(), source }
    }

    /// Wraps an I/O error of a connection.
    pub(crate) fn connection(doing: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Connection { doing: doing.to_owned(), source }
    }

    /// So many broken rules, in words.
    pub(crate) fn findings(task: &'static str, n: usize) -> Self {
        Self::Findings {
            task,
            n_findings: if n == 1 { "1 problem".to_owned() } else { format!("{n} problems") },
        }
    }
}
