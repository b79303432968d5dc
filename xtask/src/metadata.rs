//! What `cargo metadata` tells about the packages of the workspace. Knows its JSON; refuses
//! to know which dependency is allowed.

use std::path::PathBuf;

use serde_json::Value;

use crate::failure::Failure;

/// The workspace as cargo sees it.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One package of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a package's manifest.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// When a dependency is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Dev,
    Build,
}

impl Metadata {
    /// Reads the output of `cargo metadata --format-version 1 --no-deps`
    /// (<https://doc.rust-lang.org/cargo/commands/cargo-metadata.html>).
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let value: Value = serde_json::from_str(text).map_err(|error| malformed(&error.to_string()))?;
        let packages = array(&value, "packages")?.iter().map(package).collect::<Result<_, _>>()?;
        Ok(Self {
            root: PathBuf::from(string(&value, "workspace_root")?),
            target: PathBuf::from(string(&value, "target_directory")?),
            packages,
        })
    }
}

fn package(value: &Value) -> Result<Package, Failure> {
    let dependencies = array(value, "dependencies")?.iter().map(dependency).collect::<Result<_, _>>()?;
    Ok(Package { name: string(value, "name")?.to_owned(), dependencies })
}

fn dependency(value: &Value) -> Result<Dependency, Failure> {
    let kind = match value.get("kind").and_then(Value::as_str) {
        None => Kind::Normal,
        Some("dev") => Kind::Dev,
        Some("build") => Kind::Build,
        Some(other) => return Err(malformed(&format!("unknown kind of dependency `{other}`"))),
    };
    Ok(Dependency { name: string(value, "name")?.to_owned(), kind })
}

fn array<'a>(value: &'a Value, name: &str) -> Result<&'a Vec<Value>, Failure> {
    value.get(name).and_then(Value::as_array).ok_or_else(|| malformed(&format!("no list `{name}`")))
}

fn string<'a>(value: &'a Value, name: &str) -> Result<&'a str, Failure> {
    value.get(name).and_then(Value::as_str).ok_or_else(|| malformed(&format!("no text `{name}`")))
}

fn malformed(problem: &str) -> Failure {
    Failure::Output { line: "cargo metadata".to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_dependencies_are_told_apart() {
        let text = r#"{"workspace_root": "/x", "target_directory": "/x/target", "packages": [
            {"name": "relay-core", "dependencies": [
                {"name": "bytes", "kind": null}, {"name": "proptest", "kind": "dev"}, {"name": "cc", "kind": "build"}
            ]}]}"#;
        let metadata = Metadata::parse(text).unwrap();
        let found: Vec<_> =
            metadata.packages[0].dependencies.iter().map(|one| (one.name.as_str(), one.kind)).collect();
        assert_eq!(found, [("bytes", Kind::Normal), ("proptest", Kind::Dev), ("cc", Kind::Build)]);
    }

    #[test]
    fn a_missing_list_is_named() {
        let error = Metadata::parse(r#"{"workspace_root": "/x"}"#).unwrap_err();
        assert_eq!(error.to_string(), "could not read what `cargo metadata` printed: no list `packages`");
    }
}
