//! `cc-relay config`: the commands around the configuration file, and around Claude Code's own.

mod init;
mod show;
mod validate;

use crate::cli::{self, Invocation};
use crate::cmd::{cc, commands};
use crate::report::Outcome;

/// Write, check and show the configuration
#[derive(clap::Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    command: Option<Command>,
}

commands! {
    Command {
        Init(init::Init),
        Validate(validate::Validate),
        Show(show::Show),
        Cc(cc::Cc),
    }
}

impl Config {
    /// Runs the command that was named; prints help if none was.
    pub(crate) fn run(self, invocation: &Invocation) -> Outcome {
        match self.command {
            Some(command) => command.run(invocation),
            None => cli::help(&["config"]),
        }
    }
}
