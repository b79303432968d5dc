//! Remembers: what was learned of keys, limits, calls and conversations, in one small database.
//!
//! It knows how [`relay_core::Memory`] is written down and read again. It refuses to know what any of it means, who
//! asks, and when it is time to write: nothing here runs on the path of a request.

mod code;
mod read;
mod rows;
mod schema;
mod write;

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use relay_core::Memory;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::rows::Rows;
use crate::schema::Found;
use crate::write::Turn;

/// A relay that ends may be about to close it; one that runs does not.
const PATIENCE: Duration = Duration::from_millis(100);

/// A database that is open. As long as it is, nobody else can use the file.
#[derive(Debug)]
pub struct Ledger {
    connection: Connection,
    path: PathBuf,
    /// What stands in it of keys and limits, as far as that was written here.
    stands: Rows,
    turn: Turn,
}

/// A database that cannot be used. Whatever it is, it is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something else than a file is there.
    #[error("`{}` is {what}, where a file belongs", path.display())]
    NoFile {
        /// Its path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// It is to be in something that has no room for files.
    #[error("`{}` is no folder, so there can be no `{}` in it", above.display(), path.display())]
    NoFolder {
        /// Its path.
        path: PathBuf,
        /// What is no folder.
        above: PathBuf,
    },
    /// Its folder cannot be made.
    #[error("cannot make the folder of `{}`", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// It cannot be opened, or made.
    #[error("cannot open `{}`", .0.display())]
    Unopened(PathBuf, #[source] io::Error),
    /// Another relay has it open.
    #[error("another relay uses `{}`", .0.display())]
    Taken(PathBuf),
    /// It was written by a later version.
    #[error("`{}` was written by a later version of this program, in format {version}", path.display())]
    Newer {
        /// Its path.
        path: PathBuf,
        /// The format.
        version: u32,
    },
    /// It is something else.
    #[error("`{}` is not a state file of this program", .0.display())]
    Foreign(PathBuf),
    /// It is damaged.
    #[error("`{}` is damaged", .0.display())]
    Broken(PathBuf, #[source] rusqlite::Error),
    /// The system does not let it be read or written.
    #[error("cannot use `{}`", .0.display())]
    Failed(PathBuf, #[source] rusqlite::Error),
}

/// Could a database be there, whatever is there now? Leaves everything as it is.
///
/// # Errors
/// [`Error::NoFile`] or [`Error::NoFolder`], which no waiting will mend.
pub fn look_at_place(path: &Path) -> Result<(), Error> {
    if let Ok(there) = std::fs::metadata(path) {
        let what = if there.is_dir() { "a folder" } else { "a pipe or a device" };
        return if there.is_file() { Ok(()) } else { Err(Error::NoFile { path: path.to_owned(), what }) };
    }
    let above = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
    // The nearest that is there is where the others would be made.
    let nearest = above
        .map(|above| (above, std::fs::metadata(above)))
        .find_map(|(above, there)| Some((above, there.ok()?)));
    match nearest {
        Some((above, there)) if !there.is_dir() => {
            Err(Error::NoFolder { path: path.to_owned(), above: above.to_owned() })
        }
        _ => Ok(()),
    }
}

impl Ledger {
    /// Opens a database, which is made if there is none: then nobody but the user can read it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        prepare(path)?;
        let unopened = |error| Error::Unopened(path.to_owned(), error);
        judge(path, schema::look(path).map_err(unopened)?)?;
        let journal = journal(path);
        let is_new = !journal.exists();
        let opened = connect(path);
        if opened.is_err() && is_new && std::fs::metadata(&journal).is_ok_and(|journal| journal.len() == 0) {
            // It was made in looking at the file. That it cannot be removed does no harm.
            let _ = std::fs::remove_file(&journal);
        }
        let connection = opened?;
        Ok(Self { connection, path: path.to_owned(), stands: Rows::default(), turn: Turn::First })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that is written there.
    pub fn read(&self) -> Result<Memory, Error> {
        read::memory(&self.connection).map_err(|error| Error::of(&self.path, error))
    }

    /// Writes what was learned over what is there of the same keys, models and conversations. All of it, or nothing. True
    /// if there was anything to write.
    pub fn write(&mut self, memory: &Memory) -> Result<bool, Error> {
        let told = Rows::of(memory);
        let is_new = told.new_keys(&self.stands).next().is_some()
            || told.new_holdings(&self.stands).next().is_some()
            || !(memory.estimates.is_empty() && memory.homes.is_empty() && memory.owners.is_empty());
        if is_new {
            write::memory(&mut self.connection, memory, (&told, &self.stands), self.turn)
                .map_err(|error| Error::of(&self.path, error))?;
            (self.stands, self.turn) = (told, Turn::Later);
        }
        Ok(is_new)
    }
}

impl Error {
    /// What the database says.
    fn of(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Taken(path),
            Some(ErrorCode::NotADatabase) => Self::Foreign(path),
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::DiskFull
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OutOfMemory
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure,
            ) => Self::Failed(path, error),
            // Tables that are not there, values that are of another kind: whoever wrote that was not this program.
            _ => Self::Broken(path, error),
        }
    }
}

fn judge(path: &Path, found: Found) -> Result<(), Error> {
    match found {
        Found::Ours => Ok(()),
        Found::Newer(version) => Err(Error::Newer { path: path.to_owned(), version }),
        Found::Foreign => Err(Error::Foreign(path.to_owned())),
    }
}

/// Its folder and the file itself, both for the user alone if they are made.
fn prepare(path: &Path) -> Result<(), Error> {
    look_at_place(path)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| Error::Folder(path.to_owned(), error))?;
    }
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    opened.map(drop).map_err(|error| Error::Unopened(path.to_owned(), error))
}

/// Where the database keeps what is not in the file itself yet (<https://sqlite.org/wal.html>).
fn journal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Opens a file that is ours, as far as can be told from its beginning.
fn connect(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| Error::of(path, error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    // Until it is known whose it is, nothing is tidied up in it either.
    let left_alone = |connection: &Connection, is_left| {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_left).map(drop)
    };
    left_alone(&connection, true).map_err(failed)?;
    judge(path, schema::lay(&mut connection).map_err(failed)?)?;
    look_for_damage(&connection).map_err(failed)?;
    left_alone(&connection, false).map_err(failed)?;
    Ok(connection)
}

/// Is every page what it should be?
fn look_for_damage(connection: &Connection) -> Result<(), rusqlite::Error> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    let corrupt = rusqlite::ffi::Error { code: ErrorCode::DatabaseCorrupt, extended_code: 11 };
    Err(rusqlite::Error::SqliteFailure(corrupt, Some(found)))
}
