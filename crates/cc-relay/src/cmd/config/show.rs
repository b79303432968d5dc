//! `cc-relay config show`: the configuration as the relay understands it.

use relay_config::Notices;

use crate::app;
use crate::cli::Invocation;
use crate::find::find;
use crate::report::{self, Exit, Outcome};

/// Print the configuration in force: every default filled in, every secret masked
#[derive(clap::Args)]
pub(crate) struct Show {}

impl Show {
    #[expect(clippy::unused_self, reason = "every command of the table is run in the same way")]
    pub(crate) fn run(self, invocation: &Invocation) -> Outcome {
        let mut found = find(invocation)?;
        let state = &mut found.config.state;
        state.path = app::state_path(state, &invocation.environment);
        let name = found.name();
        report::notices(Notices { file: &name, list: &found.notices });
        report::tell(format_args!("# from {name}"));
        report::print(&relay_config::show::effective(&found.config))?;
        Ok(Exit::Done)
    }
}
