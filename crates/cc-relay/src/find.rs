//! Finds the configuration and loads it: for `serve`, `status`, `validate` and `show` alike, so that they
//! cannot disagree. It knows files; which places are looked at, and what a file means, is `relay_config`'s.

use std::io;
use std::path::{Path, PathBuf};

use relay_config::discover::{Search, Surroundings, search};
use relay_config::{Config, Format, Loaded, Notice, Places, Problems};

use crate::cli::Invocation;
use crate::environment::Environment;
use crate::report::{Explained, Failure};

/// A configuration and where it came from.
pub(crate) struct Found {
    /// Its file; none if there is no file anywhere, and the relay goes by its environment alone.
    pub(crate) file: Option<PathBuf>,
    /// What it means.
    pub(crate) config: Config,
    /// What is worth knowing about it.
    pub(crate) notices: Vec<Notice>,
    /// Where the options are that name something of the machine.
    pub(crate) places: Places,
}

/// A configuration that cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfound {
    /// Somebody named a file that is not there.
    #[error("there is no configuration at `{}`", .0.display())]
    Missing(PathBuf),
    /// A file that is there cannot be read.
    #[error("cannot read the configuration `{}`", file.display())]
    Unreadable {
        /// Its path.
        file: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
}

impl Explained for Unfound {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing(file) => {
                Some(format!("`cc-relay config init --output {}` writes one", file.display()))
            }
            Self::Unreadable { .. } => None,
        }
    }
}

impl Found {
    /// What was loaded, from that file if there is one.
    pub(crate) fn of(file: Option<PathBuf>, loaded: Loaded) -> Self {
        let Loaded { config, notices, places } = loaded;
        Self { file, config, notices, places }
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> String {
        self.file.as_deref().map_or_else(|| "the environment".to_owned(), |file| file.display().to_string())
    }
}

/// A file that was found, and is not understood yet.
pub(crate) struct Written {
    /// Its path.
    pub(crate) file: PathBuf,
    /// What it is written in.
    pub(crate) format: Format,
    /// What is in it.
    pub(crate) text: String,
}

impl Written {
    /// Problems of it, with its name.
    pub(crate) fn problems(&self, problems: Problems) -> Problems {
        problems.in_file(self.file.display().to_string())
    }
}

/// Finds the configuration that these arguments, this environment and this folder lead to, and loads it.
pub(crate) fn find(invocation: &Invocation) -> Result<Found, Failure> {
    let lookup = |name: &str| invocation.environment.text(name);
    let Some(written) = locate(invocation.config.as_deref(), &invocation.environment)? else {
        return Ok(Found::of(None, Config::without_file(&lookup)?));
    };
    let loaded = relay_config::load(&written.text, written.format, &lookup);
    let loaded = loaded.map_err(|problems| written.problems(problems))?;
    Ok(Found::of(Some(written.file), loaded))
}

/// Finds the file of a configuration, perhaps one that somebody named; none if there is none anywhere.
pub(crate) fn locate(named: Option<&Path>, environment: &Environment) -> Result<Option<Written>, Failure> {
    let surroundings = Surroundings {
        explicit: named,
        variable: environment.path("CC_RELAY_CONFIG"),
        current: Some(Path::new(".")),
        xdg: environment.path("XDG_CONFIG_HOME"),
        home: environment.path("HOME"),
    };
    match search(surroundings) {
        Search::Named(file) => {
            read(&file)?.map_or_else(|| Err(Unfound::Missing(file).into()), |it| Ok(Some(it)))
        }
        Search::First(files) => files.iter().find_map(|file| read(file).transpose()).transpose(),
    }
}

/// What is in a file, or none if it is not there. It is opened only if its name says how to read it: a pipe, say, gives
/// what is in it once, and to whoever waits for its end.
fn read(file: &Path) -> Result<Option<Written>, Failure> {
    let format = relay_config::format_of(file).map_err(|problem| {
        Problems { file: String::new(), list: vec![problem] }.in_file(file.display().to_string())
    })?;
    Ok(text(file)?.map(|text| Written { file: file.to_owned(), format, text }))
}

/// The text of a file, or none if it is not there.
fn text(file: &Path) -> Result<Option<String>, Unfound> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(cause) => Err(Unfound::Unreadable { file: file.to_owned(), cause }),
    }
}
