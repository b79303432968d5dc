//! Files that are not ours, not of this version, or damaged: they are told apart, and left as they are.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use relay_core::Memory;
use relay_core::memory::HolderMemory;
use relay_ledger::{Error, Ledger, look_at_place};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::memories::{key, open};

/// A folder, and the path of a file in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("state.db");
    (folder, path)
}

/// All files of a folder, with what they hold.
fn all(folder: &TempDir) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder.path()).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let mut all: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).expect("it can be read"))).collect();
    all.sort();
    all
}

/// Nobody but the ledger says what is wrong with a file; and it is as it was afterwards.
fn refused(folder: &TempDir, path: &Path) -> Error {
    let before = all(folder);
    let error = Ledger::open(path).expect_err("it cannot be used");
    assert!(all(folder) == before, "it was touched: {error}");
    error
}

/// A database that somebody else made.
fn made(path: &Path, statements: &str) {
    let connection = Connection::open(path).expect("it is new");
    connection.execute_batch(statements).expect("they are right");
}

/// A file of ours with something in it.
fn ours(path: &Path) {
    let owners = (0..2_000).map(|name| (format!("file_{name}"), key(name)));
    open(path).write(&Memory { owners: owners.collect(), ..Memory::default() }).expect("it can be written");
}

#[test]
fn a_file_of_a_later_version_is_told_from_ours() {
    for statements in ["PRAGMA user_version = 7;", "PRAGMA journal_mode = WAL; PRAGMA user_version = 7;"] {
        let (folder, path) = place();
        ours(&path);
        made(&path, statements);
        let error = refused(&folder, &path);
        assert!(matches!(error, Error::Newer { version: 7, .. }), "{error:?}");
        assert!(
            error.to_string().ends_with("written by a later version of this program, in format 7"),
            "{error}"
        );
    }
}

#[test]
fn a_file_of_an_earlier_version_is_begun_anew() {
    let (_folder, path) = place();
    ours(&path);
    made(&path, "DROP TABLE homes; ALTER TABLE keys DROP COLUMN seen; PRAGMA user_version = 1;");
    let mut ledger = open(&path);
    assert_eq!(ledger.read().unwrap(), Memory::default());
    let known = Memory { owners: vec![("file_1".to_owned(), key(1))], ..Memory::default() };
    ledger.write(&known).unwrap();
    drop(ledger);
    assert_eq!(open(&path).read().unwrap(), known);
}

#[test]
fn a_database_of_somebody_else_is_left_alone() {
    for statements in [
        "CREATE TABLE mine (a); INSERT INTO mine VALUES (1);",
        "PRAGMA application_id = 252006674; CREATE TABLE mine (a);",
        "PRAGMA user_version = 3; CREATE TABLE mine (a);",
        "PRAGMA journal_mode = WAL; CREATE TABLE mine (a); INSERT INTO mine VALUES (1);",
    ] {
        let (folder, path) = place();
        made(&path, statements);
        let error = refused(&folder, &path);
        assert!(matches!(error, Error::Foreign(_)), "{statements}: {error:?}");
    }
}

#[test]
fn what_is_no_database_is_left_alone() {
    for bytes in [&b"x"[..], b"SQLite format 3\0", &[0; 5_000], b"{\"mine\": true}", &[b'x'; 100]] {
        let (folder, path) = place();
        fs::write(&path, bytes).unwrap();
        let error = refused(&folder, &path);
        assert!(matches!(error, Error::Foreign(_)), "{bytes:?}: {error:?}");
    }
    let (folder, path) = place();
    fs::create_dir(&path).unwrap();
    assert!(matches!(Ledger::open(&path), Err(Error::NoFile { .. })));
    drop(folder);
}

#[test]
fn a_damaged_file_is_told_before_it_is_used() {
    let (folder, path) = place();
    ours(&path);
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 40_000, "{}", whole.len());
    // Cut off, and overwritten in the middle.
    let mut overwritten = whole.clone();
    overwritten[8_192..24_000].fill(0xa5);
    for bytes in [&whole[..20_000], &overwritten] {
        fs::write(&path, bytes).unwrap();
        let error = refused(&folder, &path);
        assert!(matches!(error, Error::Broken(..)), "{error:?}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(open(&path).read().unwrap().owners.len(), 2_000);
}

#[test]
fn a_file_of_ours_whose_tables_are_not_is_damaged() {
    let (_folder, path) = place();
    ours(&path);
    made(&path, "DROP TABLE limits;");
    assert!(matches!(open(&path).read(), Err(Error::Broken(..))));
}

#[test]
fn a_row_of_which_nothing_is_known_is_passed_over() {
    let (_folder, path) = place();
    ours(&path);
    made(
        &path,
        "INSERT INTO keys VALUES ('#00000000000000ff', 1, '=org', NULL, 1), ('odd', 1, NULL, NULL, 1);
         INSERT INTO rests VALUES (0, '=org', NULL, NULL, 99, 0, 0, 0), (9, '=org', NULL, NULL, 0, 0, 0, 0),
             (0, '=org', NULL, 'odd', 0, 1, 0, 0);
         INSERT INTO windows VALUES (0, '=org', 'odd', NULL, 0, 1, 1, 1), (0, '=org', '5h', NULL, 99, -1, 1, 1);
         INSERT INTO limits VALUES (0, '=org', 'm', 99, 1, 1, 1), (0, '=org', 'm', 0, 5, -1, -1);",
    );
    let memory = open(&path).read().unwrap();
    assert_eq!((memory.keys.len(), memory.holders.len()), (1, 1));
    let HolderMemory { rests, limits, windows, .. } = &memory.holders[0];
    assert_eq!((rests.len(), limits.len(), windows.len()), (0, 1, 1));
    assert_eq!((windows[0].status, windows[0].used), (None, None));
}

#[test]
fn a_place_where_nothing_can_be_made_is_told() {
    let (folder, _) = place();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = refused(&folder, &folder.path().join("file/state.db"));
    assert!(matches!(error, Error::NoFolder { .. }), "{error:?}");
    // Whoever is root may write anywhere.
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(locked.join("probe"), "").is_err() {
        let error = Ledger::open(&locked.join("state.db")).unwrap_err();
        assert!(matches!(error, Error::Unopened(..)), "{error:?}");
    }
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_place_where_no_file_can_be_is_known_without_a_trace() {
    let (folder, path) = place();
    look_at_place(&path).expect("it could be made");
    look_at_place(&folder.path().join("new/deep/state.db")).expect("its folders could be made");
    fs::write(&path, "mine").expect("it can be written");
    look_at_place(&path).expect("whose it is, is seen when it is opened");
    let before = all(&folder);
    let said = |path: &Path| look_at_place(path).expect_err("no file can be there").to_string();
    assert_eq!(
        said(folder.path()),
        format!("`{}` is a folder, where a file belongs", folder.path().display())
    );
    assert_eq!(said(Path::new("/dev/null")), "`/dev/null` is a pipe or a device, where a file belongs");
    for below in ["state.db", "deep/state.db"] {
        let below = path.join(below);
        let expect =
            format!("`{}` is no folder, so there can be no `{}` in it", path.display(), below.display());
        assert_eq!(said(&below), expect);
        assert_eq!(Ledger::open(&below).expect_err("nor can it be opened").to_string(), expect);
    }
    assert!(all(&folder) == before);
}
