//! The tables, and whose a file is. It knows names and columns; what is in them is `read`'s and `write`'s.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// The format of the tables, which a change of them counts up. A file of an earlier one is begun anew: what is in it can
/// be learned again.
pub(crate) const VERSION: u32 = 3;

/// Says whose file it is: "ccrl", as the `application_id` of the database.
const OURS: u32 = 0x6363_726c;

/// How a database begins (<https://sqlite.org/fileformat.html>, section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Keys and holders are named by text: `#` and the id of a key, or `=` and the name of an organization or workspace.
const TABLES: &str = "
CREATE TABLE written (only INTEGER PRIMARY KEY CHECK (only = 1), at INTEGER NOT NULL) STRICT;
CREATE TABLE keys (id TEXT PRIMARY KEY, secret INTEGER NOT NULL, organization TEXT, workspace TEXT,
    seen INTEGER NOT NULL) STRICT;
CREATE TABLE rests (kind INTEGER NOT NULL, id TEXT NOT NULL, class TEXT, window TEXT, what INTEGER NOT NULL,
    until INTEGER NOT NULL, strikes INTEGER NOT NULL, probe_at INTEGER NOT NULL) STRICT;
CREATE INDEX rests_of ON rests (kind, id);
CREATE TABLE limits (kind INTEGER NOT NULL, id TEXT NOT NULL, class TEXT NOT NULL, counted INTEGER NOT NULL,
    per_minute INTEGER NOT NULL, burst INTEGER NOT NULL, full INTEGER NOT NULL) STRICT;
CREATE INDEX limits_of ON limits (kind, id);
CREATE TABLE calls (kind INTEGER NOT NULL, id TEXT NOT NULL, class TEXT NOT NULL, most INTEGER NOT NULL) STRICT;
CREATE INDEX calls_of ON calls (kind, id);
CREATE TABLE windows (kind INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, class TEXT, status INTEGER,
    used INTEGER, ends INTEGER NOT NULL, told INTEGER NOT NULL) STRICT;
CREATE INDEX windows_of ON windows (kind, id);
CREATE TABLE estimates (class TEXT PRIMARY KEY, seen INTEGER NOT NULL, caches INTEGER NOT NULL) STRICT;
CREATE TABLE spreads (class TEXT NOT NULL, of INTEGER NOT NULL, bars BLOB NOT NULL, sum INTEGER NOT NULL,
    PRIMARY KEY (class, of)) STRICT;
CREATE TABLE homes (conversation INTEGER PRIMARY KEY, provider INTEGER NOT NULL, key INTEGER NOT NULL,
    class TEXT NOT NULL, cached INTEGER NOT NULL, prompt INTEGER NOT NULL, bytes INTEGER NOT NULL,
    long INTEGER NOT NULL, used INTEGER NOT NULL) STRICT;
CREATE INDEX homes_by_use ON homes (used);
CREATE TABLE owners (place INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, key INTEGER NOT NULL) STRICT;
";

/// What a file turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// Of this format or an earlier one, or nothing yet.
    Ours,
    /// Of a later format.
    Newer(u32),
    /// Somebody else's.
    Foreign,
}

/// Looks at how a file begins, without the database, which may write into what it opens.
pub(crate) fn look(path: &Path) -> std::io::Result<Found> {
    let mut head = [0; 72];
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(Found::Foreign);
    }
    match file.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            let is_new = file.metadata()?.len() == 0;
            return Ok(if is_new { Found::Ours } else { Found::Foreign });
        }
        Err(error) => return Err(error),
    }
    let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (version, owner) = (number(60), number(68));
    Ok(if head.starts_with(MAGIC) { whose(owner, version) } else { Found::Foreign })
}

fn whose(owner: u32, version: u32) -> Found {
    match (owner, version) {
        (OURS, version) if version > VERSION => Found::Newer(version),
        // Whether a file of nobody is a new one is seen when its tables are counted.
        (OURS, 1..=VERSION) | (0, 0) => Found::Ours,
        _ => Found::Foreign,
    }
}

/// Makes the tables in a new file, and looks whose an old one is. As long as the connection is open, nobody else can use
/// the file.
pub(crate) fn lay(connection: &mut Connection) -> Result<Found, rusqlite::Error> {
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number =
        |pragma: &str| transaction.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, u32>(0));
    let (owner, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match whose(owner, version) {
        Found::Ours if owner == OURS && version == VERSION => drop(transaction),
        Found::Ours if owner == OURS || tables == 0 => {
            clear(&transaction)?;
            transaction.execute_batch(TABLES)?;
            let ours = format!("PRAGMA application_id = {OURS}; PRAGMA user_version = {VERSION};");
            transaction.execute_batch(&ours)?;
            transaction.commit()?;
        }
        Found::Ours => return Ok(Found::Foreign),
        other => return Ok(other),
    }
    // With the power a few seconds of learning are lost, and never the file.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // In pages and, below zero, KiB: it is small, and looked into once.
    connection.pragma_update(None, "wal_autocheckpoint", 256)?;
    connection.pragma_update(None, "cache_size", -512)?;
    Ok(Found::Ours)
}

/// Drops all tables, and what belongs to them.
fn clear(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let names: Vec<String> =
        transaction.prepare(names)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for name in names {
        transaction.execute_batch(&format!("DROP TABLE \"{}\"", name.replace('"', "\"\"")))?;
    }
    Ok(())
}
