//! Checks: text becomes a [`Config`], or every problem at once.
//!
//! ```text
//! text ─ tree ─► nodes with lines ─ raw + expand ─► options as written ─ check ─► Config
//! ```
//!
//! Nothing here opens a file or reads the environment: both are arguments. The options are one table
//! (`raw`), from which the reader, `example.yaml`, the JSON schema and the book's page are made.

pub mod checked;
pub mod discover;
pub mod problem;
pub mod reference;
pub mod show;

mod check;
mod emit;
mod expand;
mod fleet;
mod overrides;
mod raw;
mod tree;

pub use crate::checked::Config;
use crate::problem::Findings;

pub use crate::problem::{Notice, Notices, Places, Problem, Problems};
pub use crate::tree::{Format, format_of};

/// A configuration that loaded, and what is worth knowing about it.
#[derive(Clone, PartialEq, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What loads, but perhaps does not mean what its writer thinks. In the order of the lines.
    pub notices: Vec<Notice>,
    /// Where the options are that name something of the machine.
    pub places: Places,
}

/// A configuration that is looked at without its secrets.
#[derive(Clone, PartialEq, Debug)]
pub struct Sketch {
    /// The configuration. Of its secrets nothing is to be believed.
    pub loaded: Loaded,
    /// The variables that are not set, and were to hold a secret or to name its place.
    pub unset: Vec<String>,
}

/// Loads a configuration. `environment` gives the value of a variable, or none if it is not set.
///
/// # Errors
/// Every problem that was found: of the text if it is not YAML or TOML, otherwise of all its options.
pub fn load(
    text: &str,
    format: Format,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Problems> {
    let tree = tree::parse(text, format).map_err(Problems::new)?;
    let (root, findings) = raw::read(&tree, environment);
    checked(&root, findings)
}

/// Loads a configuration for its limits alone: a variable that is to hold a secret, or to name its place, and is not
/// set is no problem. What stands in its place opens nothing, so nobody can be asked with it.
///
/// # Errors
/// Every other problem.
pub fn sketch(
    text: &str,
    format: Format,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Sketch, Problems> {
    let tree = tree::parse(text, format).map_err(Problems::new)?;
    let (root, findings, mut unset) = raw::read_without_secrets(&tree, environment);
    let loaded = checked(&root, findings)?;
    unset.sort_unstable();
    unset.dedup();
    Ok(Sketch { loaded, unset })
}

fn checked(root: &raw::Root, mut findings: Findings) -> Result<Loaded, Problems> {
    let config = check::check(root, &mut findings);
    if !findings.problems.is_empty() {
        return Err(Problems::new(findings.problems));
    }
    let mut notices = findings.notices;
    notices.sort_by_key(|notice| (notice.line == 0, notice.line, notice.column));
    Ok(Loaded { config, notices, places: root.places() })
}

impl Config {
    /// The configuration of a relay that has no file: it listens on 127.0.0.1:8787 and asks the Anthropic
    /// API with `ANTHROPIC_API_KEY`, or with the credential of the client if that is not set.
    ///
    /// `ANTHROPIC_BASE_URL` is not looked at: it usually leads clients to this relay. Another upstream is
    /// named by `CC_RELAY_ANTHROPIC_BASE_URL`.
    ///
    /// # Errors
    /// What is wrong with the values of these variables.
    pub fn without_file(environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
        let loaded = load(WITHOUT_FILE, Format::Yaml, environment);
        let loaded = loaded.map_err(|problems| problems.without_lines().in_file("the environment"))?;
        // Nobody sees its lines.
        let notices = loaded.notices.into_iter().map(of_the_environment).collect();
        Ok(Loaded { notices, places: Places::default(), ..loaded })
    }
}

/// A notice where there is no file in which anything could be written.
fn of_the_environment(notice: Notice) -> Notice {
    let mut notice = notice.without_line();
    if notice.path.rsplit('.').next() == Some("key") {
        notice.hint("set it, or unset it if the client's own credential is meant");
    }
    notice
}

/// What a relay without a file does, said as a file.
const WITHOUT_FILE: &str = "
providers:
  - name: anthropic
    type: anthropic
    enabled: true
    base_url: ${CC_RELAY_ANTHROPIC_BASE_URL:-https://api.anthropic.com}
    keys:
      - key: ${ANTHROPIC_API_KEY:-}
";
