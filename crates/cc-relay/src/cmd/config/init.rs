//! `cc-relay config init`: writes a configuration to begin with. It knows where and with which rights; what
//! is in it is `relay_config`'s.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use relay_config::{Problem, format_of, reference};

use crate::cli::Invocation;
use crate::environment::Environment;
use crate::report::{self, Exit, Explained, Outcome};

/// Write a configuration to begin with
#[derive(clap::Args)]
pub(crate) struct Init {
    /// Where to write it; as TOML, if its name ends so [default: ~/.config/cc-relay/config.yaml]
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Overwrite a file that is there
    #[arg(long)]
    force: bool,
}

/// Only its owner may read the file: keys may be written in it.
const FILE_MODE: u32 = 0o600;

/// The mode of folders that are made for it.
const FOLDER_MODE: u32 = 0o750;

/// A file that was not written.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    /// Nobody said where, and there is no usual place.
    #[error("neither `XDG_CONFIG_HOME` nor `HOME` is set")]
    Nowhere,
    /// It would overwrite another.
    #[error("`{}` exists already", .0.display())]
    Exists(PathBuf),
    /// What it is called says no format, and nobody could read it.
    #[error("{}", .0.what)]
    Format(Problem),
    /// The system does not let it.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
}

impl Explained for Unwritten {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Format(problem) => return problem.hint.clone(),
            Self::Nowhere => "say where with `--output PATH`",
            Self::Exists(_) => "`--force` overwrites it, `--output PATH` writes another",
            Self::Io { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

impl Init {
    pub(crate) fn run(self, invocation: &Invocation) -> Outcome {
        let usual = usual(&invocation.environment);
        let path = self.output.or_else(|| usual.clone()).ok_or(Unwritten::Nowhere)?;
        let text = reference::template(format_of(&path).map_err(Unwritten::Format)?);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder);
            made.map_err(|cause| Unwritten::Io { path: folder.to_owned(), cause })?;
        }
        let mut options = OpenOptions::new();
        options.write(true).mode(FILE_MODE);
        if self.force {
            options.create(true).truncate(true);
        } else {
            options.create_new(true);
        }
        write(&options, &path, text)?;
        // What is written elsewhere is not found without being named.
        next_steps(&path, usual.as_ref() != Some(&path));
        Ok(Exit::Done)
    }
}

/// Where `serve` finds it.
fn usual(environment: &Environment) -> Option<PathBuf> {
    let xdg = environment.path("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).map(Path::to_owned);
    let folder = xdg.or_else(|| environment.path("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("cc-relay").join("config.yaml"))
}

fn write(options: &OpenOptions, path: &Path, text: &str) -> Result<(), Unwritten> {
    let write = || {
        let mut file = options.open(path)?;
        // A file that was there keeps its own mode otherwise.
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => Unwritten::Exists(path.to_owned()),
        _ => Unwritten::Io { path: path.to_owned(), cause },
    })
}

fn next_steps(path: &Path, is_named: bool) {
    report::tell(format_args!("wrote {}", path.display()));
    report::tell("next:");
    let named = if is_named { format!(" --config {}", path.display()) } else { String::new() };
    let step = |command: &str, what: &str| format!("{:<37} {what}", format!("cc-relay{named} {command}"));
    report::tell("  1. export ANTHROPIC_API_KEY=…            the key that the file asks for");
    report::tell(format_args!("  2. edit {}   more keys, more providers", path.display()));
    report::tell(format_args!("  3. {}", step("config validate", "check what you wrote")));
    report::tell(format_args!("  4. {}", step("serve", "start the relay")));
    report::tell(format_args!("  5. {}", step("config cc init", "point Claude Code at it")));
}
