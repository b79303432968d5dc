//! The command line: its global options, its help, and how it ends. The commands themselves are the table
//! in `cmd.rs`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, CommandFactory, Parser};

use crate::cmd::Command;
use crate::environment::Environment;
use crate::report::{self, Exit, Outcome};

/// One address between Claude Code and many model providers.
#[derive(Parser)]
#[command(name = "cc-relay", version = crate::cmd::version::text(), disable_version_flag = true)]
pub(crate) struct Cli {
    /// The configuration file [default: ./config.yaml, ~/.config/cc-relay/, /etc/cc-relay/]
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,

    /// Print the version
    #[arg(short = 'v', short_alias = 'V', long, action = ArgAction::Version)]
    version: (),

    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command is given.
pub(crate) struct Invocation {
    /// `--config`.
    pub(crate) config: Option<PathBuf>,
    /// The environment of the process.
    pub(crate) environment: Environment,
}

/// Does what the arguments ask for, the first of which is the name of the program.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>, environment: Environment) -> Exit {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.run(environment).unwrap_or_else(|failure| report::failure(&failure)),
        Err(said) => report::said(&said),
    }
}

/// Prints the help of the command of that path; of the program itself if it is empty.
pub(crate) fn help(path: &[&str]) -> Outcome {
    let mut root = Cli::command();
    root.build();
    let mut command = &mut root;
    for name in path {
        command = command.find_subcommand_mut(name).expect("a command asks for its own help");
    }
    report::print(&command.render_help().to_string())?;
    Ok(Exit::Done)
}

impl Cli {
    fn run(self, environment: Environment) -> Outcome {
        let invocation = Invocation { config: self.config, environment };
        match self.command {
            Some(command) => command.run(&invocation),
            None => help(&[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_commands_is_consistent() {
        Cli::command().debug_assert();
    }
}
