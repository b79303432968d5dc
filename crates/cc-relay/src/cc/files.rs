//! The files beside each other in Claude Code's folder: its settings, our record, and one copy of the
//! settings as they were. It knows how they are read and replaced whole; it refuses to know what is in them.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::cc::document::{Document, Unfit};
use crate::cc::record::{Record, Unusable};
use crate::environment::Environment;
use crate::report::Explained;

/// Where the files are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Files {
    /// Claude Code's settings.
    pub(crate) settings: PathBuf,
    /// What was set, and what it replaced.
    pub(crate) record: PathBuf,
    /// The settings before the first change.
    pub(crate) copy: PathBuf,
}

/// Settings as they were read.
pub(crate) struct Read {
    /// Their bytes; none if there is no file.
    pub(crate) bytes: Option<Vec<u8>>,
    /// What they say.
    pub(crate) document: Option<Document>,
    /// What was set in them, if anything was.
    pub(crate) record: Option<Record>,
}

/// A file that cannot be used, or could not be changed. Whatever it was, the settings are as they were.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unchanged {
    /// Nobody said where Claude Code keeps its settings.
    #[error("neither `CLAUDE_CONFIG_DIR` nor `HOME` is set")]
    Nowhere,
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The settings are not what Claude Code would read.
    #[error("`{}` is left as it is", path.display())]
    Unfit {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: Unfit,
    },
    /// The record is not one.
    #[error("cannot use the record `{}`", path.display())]
    Record {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: Unusable,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Unwritable {
        /// Its path.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// Somebody else wrote the settings in between.
    #[error("`{}` was changed by somebody else just now", .0.display())]
    Overtaken(PathBuf),
}

impl Explained for Unchanged {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Nowhere => Some("set `HOME` to the folder that holds `.claude`".to_owned()),
            Self::Record { .. } => Some("move it away, and the settings count as set by hand".to_owned()),
            Self::Overtaken(_) => Some("try again".to_owned()),
            Self::Unreadable { .. } | Self::Unfit { .. } | Self::Unwritable { .. } => None,
        }
    }
}

/// The settings of a folder: one's own, and those that are shared.
const OF_THE_FOLDER: [&str; 2] = ["./.claude/settings.local.json", "./.claude/settings.json"];

/// Settings may hold keys: only their owner may read those that are made here.
const FILE_MODE: u32 = 0o600;

/// The mode of a folder that is made for them.
const FOLDER_MODE: u32 = 0o750;

impl Files {
    /// Those of the user whose environment it is.
    pub(crate) fn of(environment: &Environment) -> Result<Self, Unchanged> {
        let named = environment.path("CLAUDE_CONFIG_DIR").map(Path::to_owned);
        let folder = named.or_else(|| environment.path("HOME").map(|home| home.join(".claude")));
        Ok(Self::inside(&folder.ok_or(Unchanged::Nowhere)?))
    }

    fn inside(folder: &Path) -> Self {
        Self {
            settings: folder.join("settings.json"),
            record: folder.join("cc-relay-backup.json"),
            copy: folder.join("settings.json.cc-relay.bak"),
        }
    }

    /// Waits until nobody else changes these files, and keeps others from it until what is returned is dropped. The
    /// folder itself is locked: it leaves nothing behind, and the system opens it when a process ends. Without a folder
    /// there is nothing to be changed, and where a file system knows no locks everybody goes on without.
    pub(crate) fn lock(&self) -> Option<File> {
        let folder = File::open(self.settings.parent()?).ok()?;
        folder.lock().ok()?;
        Some(folder)
    }

    /// Makes the folder, if there is none.
    pub(crate) fn make_folder(&self) -> Result<(), Unchanged> {
        self.settings.parent().map_or(Ok(()), make_folder)
    }

    /// Reads settings and record.
    pub(crate) fn read(&self) -> Result<Read, Unchanged> {
        let bytes = contents(&self.settings)?;
        let document = bytes.as_deref().map(Document::read).transpose();
        let document = document.map_err(|cause| Unchanged::Unfit { path: self.settings.clone(), cause })?;
        let record = contents(&self.record)?.as_deref().map(Record::read).transpose();
        let record = record.map_err(|cause| Unchanged::Record { path: self.record.clone(), cause })?;
        Ok(Read { bytes, document, record })
    }

    /// The settings of the current folder that go before those of the user, the first of them first
    /// (<https://code.claude.com/docs/en/settings#settings-precedence>).
    pub(crate) fn before(&self) -> Result<Vec<(&'static Path, Document)>, Unchanged> {
        let user = fs::canonicalize(&self.settings).ok();
        let mut found = Vec::new();
        for path in OF_THE_FOLDER.map(Path::new) {
            if user.is_some() && fs::canonicalize(path).ok() == user {
                continue;
            }
            let document = contents(path)?.as_deref().map(Document::read).transpose();
            let document = document.map_err(|cause| Unchanged::Unfit { path: path.to_owned(), cause })?;
            found.extend(document.map(|document| (path, document)));
        }
        Ok(found)
    }

    /// Keeps a copy of the settings as they were before the first change. One that is there is not
    /// overwritten, and settings that were changed here already are not copied.
    pub(crate) fn keep_copy(&self, read: &Read) -> Result<(), Unchanged> {
        match (&read.bytes, &read.record) {
            (Some(before), None) if !is_there(&self.copy) => put(&self.copy, before, None),
            _ => Ok(()),
        }
    }

    /// Writes what was set, or takes the record away.
    pub(crate) fn write_record(&self, record: Option<&Record>) -> Result<(), Unchanged> {
        match record {
            Some(record) => put(&self.record, record.text().as_bytes(), None),
            None => take_away(&self.record),
        }
    }

    /// Puts new settings in the place of those that were read; none takes the file away. Whoever reads the
    /// file meanwhile sees the old ones or the new ones, whole. Settings behind a symbolic link stay there.
    pub(crate) fn write_settings(&self, read: &Read, text: Option<&str>) -> Result<(), Unchanged> {
        if contents(&self.settings)? != read.bytes {
            return Err(Unchanged::Overtaken(self.settings.clone()));
        }
        let Some(text) = text else { return take_away(&self.settings) };
        let unwritable = |cause| Unchanged::Unwritable { path: self.settings.clone(), cause };
        if read.bytes.is_none() {
            return put(&self.settings, text.as_bytes(), None);
        }
        let place = fs::canonicalize(&self.settings).map_err(unwritable)?;
        let metadata = fs::metadata(&place).map_err(unwritable)?;
        put(&place, text.as_bytes(), Some(&metadata))
    }

    /// Takes the copy away if the settings are again what it holds.
    pub(crate) fn drop_copy(&self, settings: Option<&str>) -> Result<(), Unchanged> {
        let copied = fs::read(&self.copy).ok();
        if copied.is_some() && copied.as_deref() == settings.map(str::as_bytes) {
            return take_away(&self.copy);
        }
        Ok(())
    }
}

/// The bytes of a file, or none if there is no such file. A link that leads nowhere is no such absence.
fn contents(path: &Path) -> Result<Option<Vec<u8>>, Unchanged> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_there(path) => Ok(None),
        Err(cause) => Err(Unchanged::Unreadable { path: path.to_owned(), cause }),
    }
}

/// Is there anything of that name, be it a link that leads nowhere?
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn take_away(path: &Path) -> Result<(), Unchanged> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(Unchanged::Unwritable { path: path.to_owned(), cause })
        }
        _ => Ok(()),
    }
}

fn make_folder(folder: &Path) -> Result<(), Unchanged> {
    let unwritable = |cause| Unchanged::Unwritable { path: folder.to_owned(), cause };
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(unwritable)
}

/// Writes a file whole: beside its place first, then in one step into it. It gets the mode and the owner of
/// `like`, or is its owner's alone.
fn put(path: &Path, bytes: &[u8], like: Option<&fs::Metadata>) -> Result<(), Unchanged> {
    let unwritable = |cause| Unchanged::Unwritable { path: path.to_owned(), cause };
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_folder(folder)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = folder.join(name);
    let written = write_beside(&beside, bytes, like).and_then(|()| fs::rename(&beside, path));
    written.map_err(|cause| {
        // What cannot be removed does no harm: nobody reads it.
        let _ = fs::remove_file(&beside);
        unwritable(cause)
    })
}

fn write_beside(beside: &Path, bytes: &[u8], like: Option<&fs::Metadata>) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(beside)?;
    if let Some(like) = like {
        let ours = file.metadata()?;
        if (ours.uid(), ours.gid()) != (like.uid(), like.gid()) {
            fchown(&file, Some(like.uid()), Some(like.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(like.mode() & 0o7777))?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files in a folder of their own, with settings of that text.
    fn files(settings: &str) -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::inside(folder.path());
        fs::write(&files.settings, settings).unwrap();
        (folder, files)
    }

    #[test]
    fn w50_settings_that_somebody_else_wrote_in_between_are_not_overwritten() {
        let (_folder, files) = files("{}");
        let read = files.read().unwrap();
        fs::write(&files.settings, "{\"model\": \"opus\"}").unwrap();
        for text in [Some("{}\n"), None] {
            let error = files.write_settings(&read, text).unwrap_err();
            assert!(matches!(error, Unchanged::Overtaken(_)), "{error}");
        }
        assert_eq!(fs::read_to_string(&files.settings).unwrap(), "{\"model\": \"opus\"}");
    }

    #[test]
    fn whoever_changes_settings_keeps_others_from_it_until_it_is_done() {
        let (folder, files) = files("{}");
        let lock = files.lock();
        assert!(lock.is_some());
        let other = File::open(folder.path()).unwrap();
        assert!(matches!(other.try_lock(), Err(fs::TryLockError::WouldBlock)));
        drop(lock);
        other.try_lock().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "there is nothing but the settings");
        assert!(Files::inside(&folder.path().join("none")).lock().is_none());
    }

    #[test]
    fn w50_a_file_that_cannot_be_put_in_place_leaves_nothing_behind() {
        let (folder, files) = files("{}");
        // A folder stands where the file belongs, and is not empty.
        fs::create_dir_all(files.copy.join("full")).unwrap();
        let error = put(&files.copy, b"{}", None).unwrap_err();
        assert!(matches!(error, Unchanged::Unwritable { .. }), "{error}");
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        assert_eq!(names, [files.settings, files.copy]);
    }

    #[test]
    fn a_copy_is_made_before_the_first_change_only() {
        let (_folder, files) = files("{}");
        let mut read = files.read().unwrap();
        read.record = Some(Record::new(crate::cc::document::Shape::Full, crate::cc::document::Shape::Full));
        files.keep_copy(&read).unwrap();
        assert!(!files.copy.exists(), "these are not the settings before the first change");
        read.record = None;
        files.keep_copy(&read).unwrap();
        assert_eq!(fs::read_to_string(&files.copy).unwrap(), "{}");
        files.drop_copy(Some("{} ")).unwrap();
        assert!(files.copy.exists());
        files.drop_copy(Some("{}")).unwrap();
        assert!(!files.copy.exists());
    }
}
