//! `cc-relay completion`: what a shell needs to complete a command line.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{Cli, Invocation};
use crate::report::{self, Exit, Outcome};

/// Print the completion script of a shell
#[derive(clap::Args)]
pub(crate) struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    /// Prints it to standard output, from where the shell can take it.
    pub(crate) fn run(self, _: &Invocation) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "cc-relay", &mut script);
        report::print(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}
