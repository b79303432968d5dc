//! The recording of a run, in the words of `relay_telemetry`.

use std::path::{Path, PathBuf};

use relay_proxy::Clock;
use relay_telemetry::{Guard, Recorder, Unrecordable};

use crate::app::LOG;
use crate::report::Explained;

/// A file that is not to be recorded into.
#[derive(Debug, thiserror::Error)]
#[error("cannot record into `{}`", file.display())]
pub(super) struct Unrecorded {
    file: PathBuf,
    #[source]
    cause: Unrecordable,
}

impl Explained for Unrecorded {
    fn hint(&self) -> Option<String> {
        let words = match self.cause {
            Unrecordable::Io(_) => return None,
            Unrecordable::NoFile(_) => "name a file, which is made if it is not there yet",
            Unrecordable::Other => "it was left as it is; name a file that is not there yet",
            Unrecordable::Taken => "each relay needs a file of its own",
        };
        Some(words.to_owned())
    }
}

/// Begins a recording, or goes on with one. None if the disk does not allow it, which is told in the log.
pub(super) fn open(path: &Path, clock: &Clock) -> Result<Option<(Recorder, Guard)>, Unrecorded> {
    match Recorder::open(path, clock.now()) {
        Ok(opened) => Ok(Some(opened)),
        Err(Unrecordable::Io(error)) => {
            let file = path.display();
            tracing::warn!(target: LOG, %file, %error, "nothing is recorded: the file cannot be opened or read");
            Ok(None)
        }
        Err(cause) => Err(Unrecorded { file: path.to_owned(), cause }),
    }
}
