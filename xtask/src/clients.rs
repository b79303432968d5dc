//! The real clients which the tests drive through the relay: Python's `anthropic`, TypeScript's
//! `@anthropic-ai/sdk` and the Claude Code command line. Knows how to install them into the build
//! folder, pinned or newest; refuses to know what is tested with them.
//!
//! An installation is left alone while its stamp, a copy of all that it was made from, is unchanged.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::Failure;
use crate::program::Program;
use crate::say;
use crate::workshop::{Workshop, write};

/// The manifests of Python's client, below the root of the checkout.
const PYTHON: &str = "tests/clients/python/requirements.txt";
/// The manifests of Node's clients.
const NODE: &str = "tests/clients/node";
const NODE_MANIFEST: &str = "package.json";
const NODE_FILES: &[&str] = &[NODE_MANIFEST, "package-lock.json", ".npmrc"];

/// Where the clients are installed.
#[derive(Debug)]
pub(crate) struct Clients {
    python: PathBuf,
    node_modules: PathBuf,
    claude: PathBuf,
}

impl Clients {
    /// The versions which the manifests pin.
    pub(crate) fn pinned(workshop: &Workshop) -> Result<Self, Failure> {
        let clients = Self::below(&workshop.target.join("clients"));
        let requirements = workshop.read(PYTHON)?;
        let stamp = format!("{}{requirements}", version_of("python3")?);
        install_once(&clients.python_folder(), &stamp, |folder| {
            let list = workshop.root.join(PYTHON);
            make_python(folder, |pip| pip.arg("--requirement").arg(list))
        })?;
        let manifests = read_node_files(workshop)?;
        let stamp = manifests.iter().fold(version_of("node")?, |stamp, (_, text)| stamp + text);
        install_once(&clients.node_folder(), &stamp, |folder| {
            for (name, text) in &manifests {
                write(&folder.join(name), text)?;
            }
            npm(folder).arg("ci").run()
        })?;
        clients.check()?;
        Ok(clients)
    }

    /// The newest versions there are, in a folder of their own, installed anew each time.
    pub(crate) fn newest(workshop: &Workshop) -> Result<Self, Failure> {
        let clients = Self::below(&workshop.target.join("clients-newest"));
        install(&clients.python_folder(), |folder| make_python(folder, |pip| pip.arg("anthropic")))?;
        let manifests = read_node_files(workshop)?;
        install(&clients.node_folder(), |folder| {
            for (name, text) in manifests.iter().filter(|(name, _)| *name != "package-lock.json") {
                let text = if *name == NODE_MANIFEST { unpin(text)? } else { text.clone() };
                write(&folder.join(name), &text)?;
            }
            npm(folder).arg("install").run()
        })?;
        clients.check()?;
        Ok(clients)
    }

    /// The variables by which the tests find the clients.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 3] {
        [
            ("RELAY_PYTHON", &self.python),
            ("RELAY_NODE_MODULES", &self.node_modules),
            ("RELAY_CLAUDE", &self.claude),
        ]
    }

    fn below(folder: &Path) -> Self {
        let node_modules = folder.join("node/node_modules");
        let claude = node_modules.join(".bin/claude");
        Self { python: folder.join("python/bin/python"), node_modules, claude }
    }

    fn python_folder(&self) -> PathBuf {
        self.python.ancestors().nth(2).expect("the path ends in bin/python").to_owned()
    }

    fn node_folder(&self) -> PathBuf {
        self.node_modules.parent().expect("the path ends in node_modules").to_owned()
    }

    /// Asks each client for its version, so that a broken installation is found before the tests.
    fn check(&self) -> Result<(), Failure> {
        let python =
            Program::new(&self.python).args(["-c", "import anthropic; print(anthropic.__version__)"]);
        let node = Program::new("node").inside(&self.node_folder()).args([
            "--print",
            "require('@anthropic-ai/sdk'); JSON.parse(require('fs').readFileSync('node_modules/@anthropic-ai/sdk/package.json')).version",
        ]);
        // A home of its own: nobody's settings are read, and none are written.
        let home = self.node_folder().join("home");
        let claude =
            Program::new(&self.claude).arg("--version").env("HOME", home).env("DISABLE_AUTOUPDATER", "1");
        for (name, program) in
            [("python anthropic", python), ("node @anthropic-ai/sdk", node), ("claude", claude)]
        {
            say::note(&format!("{name} {}", program.read()?.trim()));
        }
        Ok(())
    }
}

/// Installs unless the stamp says that this very thing is installed.
fn install_once(
    folder: &Path,
    stamp: &str,
    make: impl FnOnce(&Path) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let file = folder.join("stamp");
    if std::fs::read_to_string(&file).is_ok_and(|written| written == stamp) {
        return Ok(());
    }
    install(folder, make)?;
    // Last, so that a broken-off installation is begun again.
    write(&file, stamp)
}

fn install(folder: &Path, make: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
    say::step(&format!("installing into {}", folder.display()));
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(Failure::file("remove", folder))?;
    }
    std::fs::create_dir_all(folder).map_err(Failure::file("create", folder))?;
    make(folder)
}

fn make_python(folder: &Path, choose: impl FnOnce(Program) -> Program) -> Result<(), Failure> {
    Program::new("python3").args(["-m", "venv"]).arg(folder).run()?;
    let python = Program::new(folder.join("bin/python"));
    choose(python.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])).run()
}

fn npm(folder: &Path) -> Program {
    Program::new("npm").inside(folder)
}

fn read_node_files(workshop: &Workshop) -> Result<Vec<(&'static str, String)>, Failure> {
    NODE_FILES.iter().map(|name| Ok((*name, workshop.read(&format!("{NODE}/{name}"))?))).collect()
}

fn version_of(program: &str) -> Result<String, Failure> {
    Program::new(program).arg("--version").read()
}

/// The same manifest, asking for the newest version of each dependency.
fn unpin(manifest: &str) -> Result<String, Failure> {
    let malformed = |problem: String| Failure::Malformed { path: format!("{NODE}/{NODE_MANIFEST}"), problem };
    let mut value: Value = serde_json::from_str(manifest).map_err(|error| malformed(error.to_string()))?;
    let dependencies = value.get_mut("dependencies").and_then(Value::as_object_mut);
    for version in dependencies.ok_or_else(|| malformed("no `dependencies`".to_owned()))?.values_mut() {
        *version = Value::from("latest");
    }
    Ok(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_manifest_keeps_everything_but_the_versions() {
        let text = r#"{"private":true,"dependencies":{"a":"1.2.3","b":"4.5.6"},"allowScripts":{"a":true}}"#;
        assert_eq!(
            unpin(text).unwrap(),
            r#"{"private":true,"dependencies":{"a":"latest","b":"latest"},"allowScripts":{"a":true}}"#
        );
    }

    #[test]
    fn the_tests_are_told_where_the_clients_lie() {
        let clients = Clients::below(Path::new("t/clients"));
        let told = clients.environment().map(|(name, path)| format!("{name}={}", path.display()));
        assert_eq!(
            told,
            [
                "RELAY_PYTHON=t/clients/python/bin/python",
                "RELAY_NODE_MODULES=t/clients/node/node_modules",
                "RELAY_CLAUDE=t/clients/node/node_modules/.bin/claude",
            ]
        );
        assert_eq!(clients.python_folder(), Path::new("t/clients/python"));
        assert_eq!(clients.node_folder(), Path::new("t/clients/node"));
    }
}
