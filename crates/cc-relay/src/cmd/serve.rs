//! `cc-relay serve`: runs the relay until a signal ends it.

use std::path::PathBuf;

use relay_config::{Config, Notice};

use crate::app::{self, Ground, LOG};
use crate::cli::Invocation;
use crate::find::{Found, find};
use crate::report::{Exit, Explained, Outcome};

/// Run the relay
#[derive(clap::Args)]
pub(crate) struct Serve {
    /// The least important lines that are logged: error, warn, info or debug
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,

    /// How log lines look: json, pretty (text everywhere), or auto (text on a terminal, else json)
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,

    /// Log everything there is to a request: level debug, body, headers and connection times
    #[arg(long)]
    debug: bool,

    /// Record sizes and times of calls, and nothing that is said, for `cc-relay plan --workload`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// A flag with a value that it cannot have.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct BadFlag(#[from] relay_config::Problem);

impl Explained for BadFlag {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

impl Serve {
    pub(crate) fn run(self, invocation: &Invocation) -> Outcome {
        let found = find(invocation)?;
        let config = self.over(found.config.clone())?;
        app::machine::look(&found)?;
        let runtime = app::runtime()?;
        let served = runtime.block_on(async {
            let mut ground = Ground::lay(&config)?;
            if let Some(file) = &self.record {
                ground.record(file)?;
            }
            announce(&found);
            app::serve(config, &invocation.environment, &ground).await
        });
        // What still runs after a drain is not waited for.
        runtime.shutdown_background();
        served
    }

    /// The configuration with these flags over it: a value of its own, which nothing else sees.
    fn over(&self, mut config: Config) -> Result<Config, BadFlag> {
        if self.debug {
            config.debug();
        }
        if let Some(level) = &self.log_level {
            config.log_level(level)?;
        }
        if let Some(format) = &self.log_format {
            config.log_format(format)?;
        }
        Ok(config)
    }
}

/// Where the configuration is from, and what is worth knowing about it.
fn announce(found: &Found) {
    match &found.file {
        Some(file) => tracing::info!(target: LOG, file = %file.display(), "configuration loaded"),
        None => assumed(&found.config),
    }
    for Notice { path, line, what, hint, .. } in &found.notices {
        let hint = hint.as_deref().unwrap_or_default();
        // The environment has none.
        let line = (*line > 0).then_some(*line);
        tracing::warn!(target: LOG, option = path.as_str(), line, hint, "{what}");
    }
}

/// What a relay without a file does.
fn assumed(config: &Config) {
    let keys = config.providers.iter().any(|provider| !provider.keys.is_empty());
    let credential = if keys { "ANTHROPIC_API_KEY" } else { "the client's own" };
    tracing::info!(
        target: LOG,
        listen = %config.server.listen,
        provider = config.providers.first().map(|provider| provider.name.as_str()).unwrap_or_default(),
        credential,
        hint = "`cc-relay config init` writes a file",
        "no configuration file: going by the environment"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use relay_config::checked::{DebugOptions, Format, Level};

    /// A command line of `serve`.
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        serve: Serve,
    }

    fn config() -> Config {
        Config::without_file(&|_| None).unwrap().config
    }

    fn over(flags: &[&str]) -> Result<Config, BadFlag> {
        Line::parse_from(["serve"].iter().chain(flags)).serve.over(config())
    }

    #[test]
    fn w53_flags_are_laid_over_a_copy_of_the_configuration() {
        let debug = over(&["--debug"]).unwrap();
        assert_eq!((debug.log.level, debug.log.debug), (Level::Debug, DebugOptions::ALL));
        let set = over(&["--log-level", "WARN", "--log-format", "json"]).unwrap();
        assert_eq!((set.log.level, set.log.format), (Level::Warn, Format::Json));
        // Everything else is as it was.
        assert_eq!(Config { log: config().log, ..set }, config());
        assert_eq!(over(&["--debug", "--log-level", "error"]).unwrap().log.level, Level::Error);
    }

    #[test]
    fn w55_flags_of_one_run_are_unknown_to_the_next() {
        over(&["--debug", "--log-format", "json"]).unwrap();
        assert_eq!(over(&[]).unwrap(), config());
    }

    #[test]
    fn a_level_that_is_none_is_wrong_usage() {
        let error = over(&["--log-level", "loud"]).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().starts_with("--log-level"), "{error}");
    }
}
