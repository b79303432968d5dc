//! `cc-relay config cc`: points Claude Code at the relay, and away from it again.

mod init;
mod remove;
mod status;

use crate::cli::{self, Invocation};
use crate::cmd::commands;
use crate::report::Outcome;

/// Point Claude Code at the relay, or away from it
#[derive(clap::Args)]
pub(crate) struct Cc {
    #[command(subcommand)]
    command: Option<Command>,
}

commands! {
    Command {
        Init(init::Init),
        Remove(remove::Remove),
        Status(status::Status),
    }
}

impl Cc {
    /// Runs the command that was named; prints help if none was.
    pub(crate) fn run(self, invocation: &Invocation) -> Outcome {
        match self.command {
            Some(command) => command.run(invocation),
            None => cli::help(&["config", "cc"]),
        }
    }
}
