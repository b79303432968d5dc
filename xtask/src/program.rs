//! Other programs. Knows how to start one and how it ended; refuses to know what it does.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::say;

/// A program which is about to be run.
pub(crate) struct Program {
    command: Command,
    line: String,
}

impl Program {
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        let line = name.as_ref().to_string_lossy().into_owned();
        Self { command: Command::new(name), line }
    }

    pub(crate) fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.line.push(' ');
        self.line.push_str(&word.as_ref().to_string_lossy());
        self.command.arg(word);
        self
    }

    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(self, words: I) -> Self {
        words.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without_env(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn inside(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it before the user's eyes.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        let status = self.command.status().map_err(|source| self.not_started(source))?;
        if status.success() { Ok(()) } else { Err(Failure::Program { line: self.line, status }) }
    }

    /// Runs it and gives what it printed; its complaints go to the user.
    pub(crate) fn read(mut self) -> Result<String, Failure> {
        let output =
            self.command.stderr(Stdio::inherit()).output().map_err(|source| self.not_started(source))?;
        if !output.status.success() {
            return Err(Failure::Program { line: self.line, status: output.status });
        }
        String::from_utf8(output.stdout)
            .map_err(|error| Failure::Output { line: self.line, problem: error.to_string() })
    }

    /// Runs it unseen and says whether it succeeded; a program that is not there did not.
    pub(crate) fn succeeds(mut self) -> bool {
        let silent = self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        silent.status().is_ok_and(|status| status.success())
    }

    /// Runs it before the user's eyes and hands each line of its output to `reader` as well.
    pub(crate) fn run_read_along(mut self, reader: &mut dyn FnMut(&str)) -> Result<(), Failure> {
        // The test runners write their results to different streams; both become one, in order.
        let (lines, writer) = std::io::pipe().map_err(Failure::connection("opening a pipe"))?;
        let second = writer.try_clone().map_err(Failure::connection("opening a pipe"))?;
        let mut child =
            self.command.stdout(writer).stderr(second).spawn().map_err(|source| self.not_started(source))?;
        // The command still holds the pipe's writing ends: without this, reading would not end.
        self.command = Command::new("");
        for line in BufReader::new(lines).split(b'\n') {
            let line = line.map_err(Failure::connection("reading a program's output"))?;
            let line = String::from_utf8_lossy(&line);
            say::wrong(&line);
            reader(&line);
        }
        let status = child.wait().map_err(|source| self.not_started(source))?;
        if status.success() { Ok(()) } else { Err(Failure::Program { line: self.line, status }) }
    }

    fn not_started(&self, source: std::io::Error) -> Failure {
        Failure::Start { line: self.line.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_read() {
        assert_eq!(Program::new("echo").args(["a", "b"]).read().unwrap(), "a b\n");
    }

    #[test]
    fn a_program_that_fails_is_named_with_its_arguments() {
        let error = Program::new("false").arg("--really").run().unwrap_err();
        assert!(error.to_string().starts_with("`false --really` ended with"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_does_not_succeed() {
        assert!(!Program::new("a-program-nobody-wrote").succeeds());
        assert!(Program::new("true").succeeds());
    }

    #[test]
    fn both_streams_are_read_along_to_the_end() {
        let mut seen = Vec::new();
        let program = Program::new("sh").args(["-c", "echo out; echo complaint >&2; exit 3"]);
        let result = program.run_read_along(&mut |line| seen.push(line.to_owned()));
        assert_eq!(seen, ["out", "complaint"]);
        assert!(matches!(result, Err(Failure::Program { .. })));
    }
}
