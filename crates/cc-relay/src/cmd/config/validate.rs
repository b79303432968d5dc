//! `cc-relay config validate`: would `serve` start with this configuration? It asks the very same code.

use std::path::Path;

use relay_config::checked::{AdminSource, KeySource};
use relay_config::{Config, Notices};

use crate::app;
use crate::cli::Invocation;
use crate::find::find;
use crate::report::{self, Exit, Failure, Outcome};

/// Check the configuration as `serve` does, and print everything that is wrong with it
#[derive(clap::Args)]
pub(crate) struct Validate {}

impl Validate {
    #[expect(clippy::unused_self, reason = "every command of the table is run in the same way")]
    pub(crate) fn run(self, invocation: &Invocation) -> Outcome {
        let found = find(invocation).inspect_err(|failure| {
            if let Failure::Problems(problems) = failure {
                report::tell(format_args!("✗ {} is not valid", problems.file));
            }
        })?;
        let name = found.name();
        report::notices(Notices { file: &name, list: &found.notices });
        app::check(&found.config, &invocation.environment)
            .inspect_err(|_| report::tell(format_args!("✗ {name} cannot be served")))?;
        for file in missing_keys(&found.config) {
            report::tell(format_args!(
                "warning: `{}` is not there yet: its key is left out until it is",
                file.display()
            ));
        }
        if found.file.is_some() {
            report::tell(format_args!("✓ {name} is valid"));
        } else {
            report::tell("warning: no configuration file was found; `cc-relay config init` writes one");
            report::tell("✓ without a file, `cc-relay serve` would start with what the environment says");
        }
        Ok(Exit::Done)
    }
}

/// The files of keys that are not there. `serve` starts without them, and takes them up when they come.
fn missing_keys(config: &Config) -> impl Iterator<Item = &Path> {
    let keys = config.providers.iter().flat_map(|provider| &provider.keys);
    let files = keys.flat_map(|key| {
        let own = match &key.source {
            KeySource::File(path) => Some(path.as_path()),
            KeySource::Value(_) | KeySource::Command(_) => None,
        };
        let admin = match &key.admin {
            Some(AdminSource::File(path)) => Some(path.as_path()),
            Some(AdminSource::Value(_)) | None => None,
        };
        own.into_iter().chain(admin)
    });
    files.filter(|path| !path.is_file())
}
