//! `cc-relay demo`: the relay at work, without an account. It knows the flags; what is shown is [`demo`]'s.

use std::time::Duration;

use crate::app;
use crate::cli::Invocation;
use crate::cmd::duration;
use crate::demo::{self, Wishes, Workload};
use crate::report::{Exit, Explained, Outcome};

/// Show the relay at work, before a simulated provider
#[derive(clap::Args)]
pub(crate) struct Demo {
    /// End after this long, such as 10s or 2m [default: at Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = length)]
    length: Option<Duration>,

    /// The port of the relay; 0 lets the system choose [default: 8787, or any if that is taken]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// Send nothing, only wait for clients
    #[arg(long)]
    no_workload: bool,
}

/// Somebody named a configuration, of which nothing would be seen.
#[derive(Debug, thiserror::Error)]
#[error("`demo` reads no configuration")]
struct Configured;

impl Explained for Configured {
    fn hint(&self) -> Option<String> {
        Some("leave `--config` out; `cc-relay serve --config PATH` runs the relay of that file".to_owned())
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

impl Demo {
    /// Neither a configuration nor the environment has a say in it: it is the same on every machine.
    pub(crate) fn run(self, invocation: &Invocation) -> Outcome {
        if invocation.config.is_some() {
            return Err(Configured.into());
        }
        let workload = if self.no_workload { Workload::None } else { Workload::Conversations };
        let wishes = Wishes { length: self.length, port: self.port, workload };
        let runtime = app::runtime()?;
        let shown = runtime.block_on(demo::show(&wishes));
        // The provider and idle connections are not waited for.
        runtime.shutdown_background();
        shown
    }
}

/// The longest time that can be said: a year. Without any it goes on for as long as one likes.
const LONGEST: Duration = Duration::from_hours(8760);

fn length(text: &str) -> Result<Duration, String> {
    duration::at_most(text, LONGEST)
}
