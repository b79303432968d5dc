//! The words after a task's name. Knows flags, options and plain words; refuses to know any
//! task's names for them. What nobody took is an error, so that no typing mistake passes.

use std::str::FromStr;

use crate::failure::Failure;

/// The words that have not been taken yet.
#[derive(Debug)]
pub(crate) struct Arguments {
    words: Vec<String>,
}

impl Arguments {
    pub(crate) fn new(words: Vec<String>) -> Self {
        Self { words }
    }

    /// The words as they are now, to hand them on to another process.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// Takes a flag, and says whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let place = self.words.iter().position(|word| word == name);
        place.map(|place| self.words.remove(place)).is_some()
    }

    /// Takes an option and its value (`--rounds 3`), or gives the default.
    pub(crate) fn option<T: FromStr>(&mut self, name: &str, default: T) -> Result<T, Failure> {
        let Some(place) = self.words.iter().position(|word| word == name) else {
            return Ok(default);
        };
        self.words.remove(place);
        if place == self.words.len() {
            return Err(Failure::Usage { problem: format!("`{name}` needs a value") });
        }
        read(name, &self.words.remove(place))
    }

    /// Takes the next plain word.
    pub(crate) fn word<T: FromStr>(&mut self, name: &str) -> Result<T, Failure> {
        if self.words.first().is_none_or(|word| word.starts_with('-')) {
            return Err(Failure::Usage { problem: format!("{name} is missing") });
        }
        read(name, &self.words.remove(0))
    }

    /// Everything must have been taken by now.
    pub(crate) fn end(self) -> Result<(), Failure> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => Err(Failure::Usage { problem: format!("unknown argument `{word}`") }),
        }
    }
}

fn read<T: FromStr>(name: &str, word: &str) -> Result<T, Failure> {
    word.parse().map_err(|_| Failure::Usage { problem: format!("`{word}` is no value for {name}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Arguments {
        Arguments::new(words.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn flags_options_and_words_are_taken_in_any_order() {
        let mut given = arguments(&["--rounds", "5", "streams", "--json"]);
        assert!(given.flag("--json"));
        assert!(!given.flag("--write"));
        assert_eq!(given.option("--rounds", 3).unwrap(), 5);
        assert_eq!(given.option("--seconds", 2).unwrap(), 2);
        assert_eq!(given.word::<String>("WHAT").unwrap(), "streams");
        given.end().unwrap();
    }

    #[test]
    fn what_nobody_takes_is_an_error() {
        let error = arguments(&["--chekc"]).end().unwrap_err();
        assert_eq!(error.to_string(), "unknown argument `--chekc`");
    }

    #[test]
    fn a_missing_or_unreadable_value_is_an_error() {
        let missing = arguments(&["--rounds"]).option("--rounds", 3).unwrap_err();
        assert_eq!(missing.to_string(), "`--rounds` needs a value");
        let unreadable = arguments(&["--rounds", "many"]).option("--rounds", 3).unwrap_err();
        assert_eq!(unreadable.to_string(), "`many` is no value for --rounds");
        let absent = arguments(&["--json"]).word::<u16>("PORT").unwrap_err();
        assert_eq!(absent.to_string(), "PORT is missing");
    }
}
