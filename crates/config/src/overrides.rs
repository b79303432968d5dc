//! What the command line sets over the file: `--debug`, `--log-level`, `--log-format`.

use crate::checked::{Config, DebugOptions, Level};
use crate::problem::Problem;
use crate::raw::leaf::{Choice, choices, choose};
use crate::raw::suggest::nearest;

impl Config {
    /// `--debug`: level debug, and everything that can be logged of a request.
    pub fn debug(&mut self) {
        self.log.level = Level::Debug;
        self.log.debug = DebugOptions::ALL;
    }

    /// `--log-level`: one of the words of `logging.level`, whatever its case.
    pub fn log_level(&mut self, word: &str) -> Result<(), Problem> {
        self.log.level = chosen("--log-level", word)?;
        Ok(())
    }

    /// `--log-format`: one of the words of `logging.format`, whatever its case.
    pub fn log_format(&mut self, word: &str) -> Result<(), Problem> {
        self.log.format = chosen("--log-format", word)?;
        Ok(())
    }
}

fn chosen<C: Choice>(flag: &str, word: &str) -> Result<C, Problem> {
    choose(&word.to_ascii_lowercase()).ok_or_else(|| {
        let words = C::words();
        Problem {
            path: flag.to_owned(),
            line: 0,
            column: 0,
            what: format!("must be {}, is `{}`", choices::<C>(), word.escape_debug()),
            hint: nearest(word, words.iter().map(|(word, _)| *word))
                .map(|near| format!("did you mean `{near}`?")),
        }
    })
}
