//! Where the work is done: the checkout, its build folder, and the environment. Knows paths;
//! refuses to know what lies behind them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::metadata::Metadata;
use crate::program::Program;

/// The environment as it was at the start.
#[derive(Debug)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

/// The checkout and what surrounds it.
#[derive(Debug)]
pub(crate) struct Workshop {
    /// The folder of the workspace's manifest.
    pub(crate) root: PathBuf,
    /// Cargo's build folder, wherever the user put it.
    pub(crate) target: PathBuf,
    /// The packages of the workspace.
    pub(crate) metadata: Metadata,
    environment: Environment,
}

impl Environment {
    pub(crate) fn new(pairs: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }
}

impl Workshop {
    /// Asks cargo where we are.
    pub(crate) fn open(environment: Environment) -> Result<Self, Failure> {
        let cargo = cargo_of(&environment);
        let text = cargo.args(["metadata", "--format-version", "1", "--no-deps"]).read()?;
        let metadata = Metadata::parse(&text)?;
        let (root, target) = (metadata.root.clone(), metadata.target.clone());
        Ok(Self { root, target, metadata, environment })
    }

    /// The cargo that runs us, in the root of the workspace.
    pub(crate) fn cargo(&self) -> Program {
        cargo_of(&self.environment).inside(&self.root)
    }

    /// Where a program lies, if it is on the path.
    pub(crate) fn find_program(&self, name: &str) -> Option<PathBuf> {
        let paths = self.environment.get("PATH")?;
        std::env::split_paths(paths).map(|folder| folder.join(name)).find(|file| file.is_file())
    }

    /// The names of variables that begin with one of these prefixes.
    pub(crate) fn variables_beginning_with<'a>(
        &'a self,
        prefixes: &'a [&str],
    ) -> impl Iterator<Item = &'a OsStr> {
        let names = self.environment.0.keys().map(OsString::as_os_str);
        names.filter(move |name| {
            name.to_str().is_some_and(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        })
    }

    /// The files which are committed or would be: all that git knows or does not ignore, in order.
    pub(crate) fn files(&self) -> Result<Vec<String>, Failure> {
        let git = Program::new("git").inside(&self.root);
        let listing = git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).read()?;
        let names = listing.split('\0').filter(|name| !name.is_empty());
        // A file which was deleted but not committed is still in git's list.
        let mut files: Vec<String> =
            names.filter(|name| self.root.join(name).is_file()).map(str::to_owned).collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// Reads a file of the checkout.
    pub(crate) fn read(&self, path: &str) -> Result<String, Failure> {
        let path = self.root.join(path);
        std::fs::read_to_string(&path).map_err(Failure::file("read", &path))
    }
}

/// Writes a whole file, and the folders above it.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Failure::file("create", folder))?;
    }
    std::fs::write(path, text).map_err(Failure::file("write", path))
}

/// Whether a path ends in `.<extension>`.
pub(crate) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

fn cargo_of(environment: &Environment) -> Program {
    // Cargo tells its children where it lies, so that they use the same one.
    Program::new(environment.get("CARGO").unwrap_or(OsStr::new("cargo")))
}
