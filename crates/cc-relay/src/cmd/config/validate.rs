//! `cc-relay config validate`: would `serve` start with this configuration? It asks the very same code.

use std::fs::File;
use std::io::ErrorKind;
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
        app::check(&found, &invocation.environment)
            .inspect_err(|_| report::tell(format_args!("✗ {name} cannot be served")))?;
        for file in key_files(&found.config) {
            if let Some(what) = missing(file) {
                report::tell(format_args!("warning: `{}` {what}", file.display()));
            }
        }
        let state = app::state_path(&found.config.state, &invocation.environment);
        if let Some(Err(misplaced)) = state.as_deref().map(relay_proxy::look_at_place) {
            report::tell(format_args!("warning: {misplaced}: what is learned is forgotten at the end"));
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

/// Why there is no key in a file, if it is for the file. `serve` starts without it, and takes it up when it comes.
fn missing(file: &Path) -> Option<String> {
    let belongs = |what| format!("is {what}, where a file with a key belongs: the key is left out");
    match std::fs::metadata(file) {
        Ok(there) if there.is_dir() => Some(belongs("a folder")),
        Ok(there) if !there.is_file() => Some(belongs("a pipe or a device")),
        Ok(_) => {
            File::open(file).err().map(|error| format!("cannot be read, and its key is left out: {error}"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Some("is not there yet: its key is left out until it is".to_owned())
        }
        Err(error) => Some(format!("cannot be read, and its key is left out: {error}")),
    }
}

/// The files of all keys, those of clients among them.
fn key_files(config: &Config) -> impl Iterator<Item = &Path> {
    let keys = config.providers.iter().flat_map(|provider| &provider.keys);
    let files = keys.flat_map(|key| {
        let own = match &key.source {
            KeySource::File(path) => Some(path.as_path()),
            KeySource::Value(_) | KeySource::Command(_) | KeySource::Identity(_) => None,
        };
        let admin = match &key.admin {
            Some(AdminSource::File(path)) => Some(path.as_path()),
            Some(AdminSource::Value(_)) | None => None,
        };
        own.into_iter().chain(admin)
    });
    files.chain(config.auth.client_files.iter().map(|client| client.path.as_path()))
}
