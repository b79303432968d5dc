//! Files that are generated and committed. Knows which, and who makes each; refuses to know
//! how. A new generated file is one row of [`GENERATED`].

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::guide;
use crate::layers;
use crate::say;
use crate::workshop::{Workshop, write};

/// One generated file: where it lies, and what it must hold.
struct Generated {
    path: &'static str,
    produce: fn(&Workshop) -> Result<String, Failure>,
}

const GENERATED: &[Generated] = &[
    Generated { path: layers::DOCUMENT, produce: layers::document },
    Generated { path: "example.yaml", produce: |_| Ok(relay_config::reference::example_yaml()) },
    Generated {
        path: "docs/book/reference/config.md",
        produce: |_| Ok(relay_config::reference::page_markdown()),
    },
    Generated {
        path: "docs/book/reference/config.schema.json",
        produce: |_| Ok(relay_config::reference::schema_json()),
    },
    Generated { path: guide::DOCUMENT, produce: guide::document },
    Generated { path: guide::PICTURE, produce: guide::picture },
];

/// `cargo xtask generate`.
pub(crate) fn run(workshop: &Workshop, mut arguments: Arguments) -> Result<(), Failure> {
    let check_only = arguments.flag("--check");
    arguments.end()?;
    if check_only { check(workshop) } else { generate(workshop) }
}

/// Fails if a committed file is not what its generator makes.
pub(crate) fn check(workshop: &Workshop) -> Result<(), Failure> {
    let stale = stale(workshop)?;
    for (path, _) in &stale {
        say::wrong(&format!("{path}: not up to date; run `cargo xtask generate`"));
    }
    if stale.is_empty() { Ok(()) } else { Err(Failure::findings("generate --check", stale.len())) }
}

fn generate(workshop: &Workshop) -> Result<(), Failure> {
    for (path, text) in stale(workshop)? {
        write(&workshop.root.join(path), &text)?;
        say::line(&format!("wrote {path}"));
    }
    Ok(())
}

/// The files that differ from what they must hold, with what that is.
fn stale(workshop: &Workshop) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut stale = Vec::new();
    for generated in GENERATED {
        let text = (generated.produce)(workshop)?;
        // A file that does not exist yet is as stale as one that differs.
        let committed = std::fs::read_to_string(workshop.root.join(generated.path));
        if committed.ok().as_deref() != Some(&text) {
            stale.push((generated.path, text));
        }
    }
    Ok(stale)
}
