//! What a look at a file sees of it: enough to tell that it was changed or is another one, without reading it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file as it was at a look. A copy may have the time and the length of what it replaces; it has not its
/// number, and nobody can set the time of its last change of any kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp(Option<Seen>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Seen {
    device: u64,
    number: u64,
    length: u64,
    /// In seconds since the epoch, and nanoseconds.
    changed: (i64, i64),
}

impl Stamp {
    /// A look at a file; links are followed. It waits for the disk.
    pub(crate) fn of(path: &Path) -> Self {
        let seen = |file: fs::Metadata| Seen {
            device: file.dev(),
            number: file.ino(),
            length: file.len(),
            changed: (file.ctime(), file.ctime_nsec()),
        };
        Self(fs::metadata(path).ok().map(seen))
    }

    /// A look at each of these.
    pub(crate) async fn of_all(paths: &[PathBuf]) -> Vec<Self> {
        let paths = paths.to_vec();
        let look = move || paths.iter().map(|path| Self::of(path)).collect();
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}
