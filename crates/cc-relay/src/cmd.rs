//! The table of commands. A command is a file with a type of arguments and its `run`, a `mod`, and a line
//! in the table; `--help` and the completions follow.

pub(crate) mod version;

mod cc;
mod completion;
mod config;
mod demo;
mod duration;
mod plan;
mod reset;
mod serve;
mod status;

/// A table of commands: each by its name, with the type that holds its arguments and runs it.
macro_rules! commands {
    ($table:ident { $($name:ident($command:ty),)+ }) => {
        #[derive(clap::Subcommand)]
        pub(crate) enum $table {
            $($name($command),)+
        }

        impl $table {
            /// Does what the command is for.
            pub(crate) fn run(self, invocation: &crate::cli::Invocation) -> crate::report::Outcome {
                match self {
                    $(Self::$name(command) => command.run(invocation),)+
                }
            }
        }
    };
}
pub(crate) use commands;

commands! {
    Command {
        Serve(serve::Serve),
        Demo(demo::Demo),
        Plan(plan::Plan),
        Status(status::Status),
        Reset(reset::Reset),
        Config(config::Config),
        Completion(completion::Completion),
        Version(version::Version),
    }
}
