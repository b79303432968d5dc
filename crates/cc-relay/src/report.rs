//! What the program says to the one who ran it, and the status it ends with. The only file that prints.
//!
//! Standard output carries what was asked for (help, a version, a configuration); everything else goes to
//! standard error, as the scripts around the old program expect.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use relay_config::{Notices, Problems};

/// How a command ended.
pub(crate) type Outcome = Result<Exit, Failure>;

/// The status that the program ends with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// It did what was asked.
    Done,
    /// It did not.
    Failed,
    /// It was asked wrongly.
    Usage,
    /// It was ended at once by a signal of that number: 128 and the number, as shells count.
    Signal(u8),
}

/// An error that a command may end with.
pub(crate) trait Explained: Error + Send + Sync + 'static {
    /// What can be done about it.
    fn hint(&self) -> Option<String> {
        None
    }

    /// The status that the program ends with.
    fn exit(&self) -> Exit {
        Exit::Failed
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A configuration does not load.
    Problems(Problems),
    /// Anything else.
    Error(Box<dyn Explained>),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Usage => Self::from(2),
            Exit::Signal(number) => Self::from(128 + number),
        }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl<E: Explained> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(Box::new(error))
    }
}

/// Standard output cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
struct Unwritten(#[source] io::Error);

impl Explained for Unwritten {}

/// Writes what was asked for to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    asked_for(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What is asked for is missed by whoever asked, if it is not written.
fn asked_for(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        // The reader of a pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Unwritten(error).into()),
    }
}

/// Says what the command line itself has to say, and gives the status for it: help and the version on standard output,
/// wrong usage on standard error.
pub(crate) fn said(said: &clap::Error) -> Exit {
    let written = said.print().and_then(|()| io::stdout().flush());
    if said.use_stderr() {
        return Exit::Usage;
    }
    asked_for(written).map_or_else(|failure| self::failure(&failure), |()| Exit::Done)
}

/// Says something in a line on standard error.
pub(crate) fn tell(text: impl Display) {
    // If nobody can be told, nobody can be told that either.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says what is worth knowing about a configuration, if anything is.
pub(crate) fn notices(notices: Notices<'_>) {
    if !notices.list.is_empty() {
        tell(notices);
    }
}

/// Says why a command failed, and gives the status for it.
pub(crate) fn failure(failure: &Failure) -> Exit {
    match failure {
        Failure::Problems(problems) => {
            tell(problems);
            Exit::Failed
        }
        Failure::Error(error) => {
            tell(explained(error.as_ref()));
            error.exit()
        }
    }
}

/// An error with what caused it in one line, and what can be done about it in another.
fn explained(error: &dyn Explained) -> String {
    let mut text = format!("error: {}", relay_telemetry::chain(error));
    if let Some(hint) = error.hint() {
        text = format!("{text}\n  hint: {hint}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the roof leaks")]
    struct Roof(#[source] io::Error);

    impl Explained for Roof {
        fn hint(&self) -> Option<String> {
            Some("mend it".to_owned())
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_its_hint() {
        let roof = Roof(io::Error::other("it rains"));
        assert_eq!(explained(&roof), "error: the roof leaks: it rains\n  hint: mend it");
        assert_eq!(
            explained(&Unwritten(io::Error::other("full"))),
            "error: cannot write to standard output: full"
        );
    }
}
