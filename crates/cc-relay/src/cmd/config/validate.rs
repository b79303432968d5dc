//! `cc-relay config validate`: would `serve` start with this configuration? It asks the very same code.

use relay_config::Notices;

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
        if found.file.is_some() {
            report::tell(format_args!("✓ {name} is valid"));
        } else {
            report::tell("warning: no configuration file was found; `cc-relay config init` writes one");
            report::tell("✓ without a file, `cc-relay serve` would start with what the environment says");
        }
        Ok(Exit::Done)
    }
}
