//! The program ends in the middle of something: what a crash leaves on the disk is what the files are at any moment.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use relay_core::{KeyId, Memory};
use relay_ledger::Ledger;
use tempfile::TempDir;

use crate::memories::{START, key, memories, open, read};

/// Copies of a database and its journal as they are now, in a folder of their own: what would be found if the program had
/// been killed.
fn killed(path: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let copy = folder.path().join("state.db");
    fs::copy(path, &copy).expect("it can be copied");
    if let Ok(journal) = fs::read(journal(path)) {
        fs::write(self::journal(&copy), journal).expect("it can be written");
    }
    (folder, copy)
}

fn journal(path: &Path) -> PathBuf {
    path.with_file_name("state.db-wal")
}

/// Which key owned the only file, after each of several writes.
fn owners(path: &Path) -> Option<KeyId> {
    read(path).owners.first().map(|(_, owner)| *owner)
}

fn write(ledger: &mut Ledger, number: u64) {
    let at = START + Duration::from_secs(number);
    let memory = Memory { at, owners: vec![("file".to_owned(), key(number))], ..Memory::default() };
    ledger.write(&memory).expect("it can be written");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whoever_is_killed_after_a_write_loses_nothing_of_it(memory in memories(0)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let mut ledger = open(&path);
        let wrote = ledger.write(&memory).unwrap();
        let (_copies, copy) = killed(&path);
        prop_assert_eq!(read(&copy), if wrote { memory } else { Memory::default() });
    }

    /// A journal of which only the beginning came to the disk, or whose end was overwritten.
    #[test]
    fn whatever_a_crash_leaves_of_the_journal_the_file_is_whole(
        writes in 1_u64..20,
        kept in 0_usize..1_000,
        torn in vec(any::<u8>(), 0..200),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let mut ledger = open(&path);
        for number in 0..writes {
            write(&mut ledger, number);
        }
        let (_copies, copy) = killed(&path);
        let whole = fs::read(journal(&copy)).unwrap();
        let kept = whole.len() * kept / 1_000;
        fs::write(journal(&copy), [&whole[..kept], &torn].concat()).unwrap();
        let left = owners(&copy);
        prop_assert!(left.is_none() || (0..writes).any(|number| left == Some(key(number))), "{:?}", left);
        // And it can be used as any other.
        write(&mut open(&copy), 77);
        prop_assert_eq!(owners(&copy), Some(key(77)));
    }
}

#[test]
fn whoever_is_killed_before_anything_was_written_leaves_a_file_that_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let ledger = open(&path);
    let (_copies, copy) = killed(&path);
    assert_eq!(read(&copy), Memory::default());
    drop(ledger);
    // Killed between making the file and making the tables.
    fs::write(&path, "").unwrap();
    assert_eq!(read(&path), Memory::default());
}
