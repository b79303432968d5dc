//! Reads what `cc-relay serve --record` wrote: one line for each call, with sizes and times and nothing that was said.
//! A line that cannot be read is told with its number and left out.

use std::io::{self, BufRead};

use relay_core::Usage;
use serde::Deserialize;
use serde::de::Error as _;

/// The version of the format that is read here.
pub const VERSION: u32 = 1;

/// One recorded call. Times are in microseconds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Recorded {
    /// When it came, after the part of the recording began to which it belongs.
    #[serde(rename = "at_us")]
    pub at: u64,
    /// A number for its session.
    pub session: Option<u64>,
    /// A number for the subagent in it.
    pub agent: Option<u64>,
    /// A number for what its prompt begins with.
    pub prefix: Option<u64>,
    /// Its model.
    pub model: String,
    /// The length of its body.
    pub bytes: u64,
    /// `max_tokens`.
    pub max_tokens: Option<u64>,
    /// Its answer came as a stream.
    pub stream: bool,
    /// It is of a subagent.
    pub background: bool,
    /// What the client got; 0 if it left before.
    pub status: u16,
    /// How it ended: `whole`, or in one word why not.
    pub end: String,
    /// Tokens of the prompt that have nothing to do with a cache.
    pub input: u64,
    /// Tokens of the prompt that were written to the cache.
    pub cache_write: u64,
    /// So many of them to one that lives for an hour.
    #[serde(rename = "cache_write_1h")]
    pub cache_write_long: u64,
    /// Tokens of the prompt that were read from the cache.
    pub cache_read: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// How long it waited for its turn.
    #[serde(rename = "waited_us")]
    pub waited: u64,
    /// From its arrival to when it was sent upstream, last.
    #[serde(rename = "sent_us")]
    pub sent: Option<u64>,
    /// From its arrival to when its answer began upstream.
    #[serde(rename = "answered_us")]
    pub answered: Option<u64>,
    /// From its arrival to the head that the client got, which may be there before the answer.
    #[serde(rename = "first_byte_us")]
    pub first_byte: Option<u64>,
    /// From its arrival to its end.
    #[serde(rename = "duration_us")]
    pub duration: u64,
}

/// A recording as far as it could be read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recording {
    /// Its calls, in the order in which they came; when, is after the beginning of the first part.
    pub calls: Vec<Recorded>,
    /// The first lines that say nothing that could be used.
    pub bad: Vec<Bad>,
    /// So many more of them there are.
    pub worse: u64,
    /// So many calls were not written, because the disk was too slow.
    pub dropped: u64,
}

/// A line that was left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bad {
    /// Its number, from 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// Something that is no recording.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It cannot be read at all.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It begins otherwise.
    #[error("it does not begin as a recording does")]
    Other,
    /// It is newer than this program.
    #[error("it has version {0} of the format, and this program reads version {VERSION}")]
    Version(u32),
}

#[derive(Deserialize)]
struct Head {
    cc_relay_recording: u32,
    began_us: u64,
}

#[derive(Deserialize)]
struct Dropped {
    dropped: u64,
}

/// Whatever is said to be later is damaged, in microseconds: a year.
const LONGEST_US: u64 = 366 * 86_400 * 1_000_000;

/// How the first line of each part begins.
const HEAD: &[u8] = b"{\"cc_relay_recording\":";

impl Recorded {
    /// With its tokens as far as the relay believes a provider.
    fn plausible(self) -> Self {
        let Self { input, output, cache_write, cache_write_long, cache_read, max_tokens, .. } = self;
        let told = Usage { input, output, cache_write, cache_write_long, cache_read };
        let Usage { input, output, cache_write, cache_write_long, cache_read } = told.plausible(max_tokens);
        Self { input, cache_write, cache_write_long, cache_read, output, ..self }
    }
}

impl Recording {
    /// Reads lines. Each start of a relay that records begins a new part of it.
    pub fn read(lines: impl BufRead) -> Result<Self, Unreadable> {
        let mut recording = Self::default();
        let (mut first, mut offset) = (None, 0);
        let mut lines = Lines { lines, line: Vec::new() };
        let mut number = 0;
        while let Some(line) = lines.next()? {
            number += 1;
            if line.starts_with(HEAD) {
                match serde_json::from_slice::<Head>(line) {
                    Ok(Head { cc_relay_recording: VERSION, began_us }) => {
                        offset = began_us.saturating_sub(*first.get_or_insert(began_us));
                    }
                    Ok(Head { cc_relay_recording: version, .. }) => return Err(Unreadable::Version(version)),
                    Err(_) if first.is_none() => return Err(Unreadable::Other),
                    Err(error) => recording.leave_out(number, &error),
                }
            } else if first.is_none() {
                return Err(Unreadable::Other);
            } else if let Err(error) = recording.take(line, offset) {
                recording.leave_out(number, &error);
            }
        }
        if first.is_none() {
            return Err(Unreadable::Other);
        }
        recording.calls.sort_by_key(|call| call.at);
        Ok(recording)
    }

    fn take(&mut self, line: &[u8], offset: u64) -> serde_json::Result<()> {
        if line.starts_with(b"{\"dropped\":") {
            self.dropped = self.dropped.saturating_add(serde_json::from_slice::<Dropped>(line)?.dropped);
        } else if !line.trim_ascii().is_empty() {
            let call: Recorded = serde_json::from_slice(line)?;
            let at = call.at.saturating_add(offset);
            if at.max(call.duration).max(call.waited) > LONGEST_US {
                return Err(serde_json::Error::custom("no recording goes on for more than a year"));
            }
            self.calls.push(Recorded { at, ..call.plausible() });
        }
        Ok(())
    }

    fn leave_out(&mut self, line: usize, error: &serde_json::Error) {
        // A relay that was killed, or a disk that is full, leaves the beginning of a line behind.
        let what = if error.is_eof() { "it was not written to its end".to_owned() } else { plain(error) };
        if self.bad.len() < MOST_TOLD {
            self.bad.push(Bad { line, what });
        } else {
            self.worse += 1;
        }
    }
}

/// No more bad lines than this are told one by one.
const MOST_TOLD: usize = 20;

/// What is wrong with a line. Its number is told elsewhere, and the parser takes each for the first.
fn plain(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match words.strip_suffix(&place) {
        Some(what) => format!("{what} at column {}", error.column()),
        None => words,
    }
}

/// Lines of a file, one at a time.
struct Lines<R> {
    lines: R,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The next line, without its end.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        if self.lines.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        Ok(Some(self.line.strip_suffix(b"\n").unwrap_or(&self.line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEGIN: &str = "{\"cc_relay_recording\":1,\"began_us\":1000}\n";

    fn call(at: u64, bytes: u64) -> String {
        format!("{{\"at_us\":{at},\"model\":\"m\",\"bytes\":{bytes},\"status\":200}}\n")
    }

    fn read(parts: &[&str]) -> Recording {
        Recording::read(parts.concat().as_bytes()).unwrap()
    }

    /// Two such lines together made `plan` go on without end.
    #[test]
    fn what_nobody_believes_is_not_believed_here() {
        let recording = read(&[
            BEGIN,
            &call(5, 10),
            &call(1 << 63, 10),
            "{\"at_us\":7,\"model\":\"m\",\"bytes\":9,\"status\":200,\"max_tokens\":100,\"output\":18446744073709551615}\n",
            "{\"at_us\":8,\"model\":\"m\",\"bytes\":9,\"status\":200,\"input\":18446744073709551615}\n",
        ]);
        let seen: Vec<_> = recording.calls.iter().map(|call| (call.at, call.input, call.output)).collect();
        assert_eq!(seen, [(5, 0, 0), (7, 0, 100), (8, 10_000_000, 0)]);
        let what = "no recording goes on for more than a year".to_owned();
        assert_eq!(recording.bad, [Bad { line: 3, what }]);
    }

    #[test]
    fn what_is_no_recording_is_told_apart_from_a_newer_one() {
        let other = "it does not begin as a recording does";
        let newer = "it has version 2 of the format, and this program reads version 1";
        let table = [
            ("", other),
            ("server: {}\n", other),
            ("\n", other),
            ("{\"at_us\":1}\n", other),
            ("{\"cc_relay_recording\":\n", other),
            ("{\"cc_relay_recording\":2,\"began_us\":0}\n", newer),
        ];
        for (text, expect) in table {
            assert_eq!(Recording::read(text.as_bytes()).unwrap_err().to_string(), expect, "{text}");
        }
    }

    #[test]
    fn a_line_that_was_not_written_to_its_end_is_forgiven_and_a_bad_one_is_named() {
        let later = "{\"cc_relay_recording\":1,\"began_us\":5000}\n";
        let torn = "{\"at_us\":9,\"mod";
        let parts = [
            BEGIN,
            &call(7, 1),
            "{\"at_us\":\"soon\"}\n",
            &call(3, 2),
            torn,
            "\n",
            later,
            &call(1, 3),
            "{\"dropped\":4}\n",
            "{\"dropped\":true}\n",
            torn,
        ];
        let bytes = [parts.concat().as_bytes(), b"\n\xff\n"].concat();
        let recording = Recording::read(&bytes[..]).unwrap();
        let calls: Vec<_> = recording.calls.iter().map(|call| (call.at, call.bytes)).collect();
        assert_eq!(calls, [(3, 2), (7, 1), (4_001, 3)]);
        assert_eq!(recording.dropped, 4);
        let bad: Vec<_> = recording.bad.iter().map(|bad| (bad.line, bad.what.as_str())).collect();
        let words = "it was not written to its end";
        let expect = [
            (3, "invalid type: string \"soon\", expected u64 at column 15"),
            (5, words),
            (9, "invalid type: boolean `true`, expected u64 at column 15"),
            (10, words),
            (11, "expected value at column 1"),
        ];
        assert_eq!(bad, expect);
    }

    proptest! {
        /// However a recording is cut off, what was whole is read, and no more than one line is lost.
        #[test]
        fn a_recording_may_be_cut_off_anywhere(
            sizes in proptest::collection::vec(0_u64..1_000_000, 0..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let lines: Vec<String> = sizes.iter().map(|bytes| call(*bytes, *bytes)).collect();
            let text = [BEGIN, &lines.concat()].concat();
            let cut = BEGIN.len() + cut.index(text.len() - BEGIN.len() + 1);
            let whole = text[BEGIN.len()..cut].matches('\n').count();
            let recording = read(&[&text[..cut]]);
            let found = recording.calls.len();
            prop_assert!(found == whole || found == whole + 1 && recording.bad.is_empty());
            prop_assert!(recording.bad.len() <= 1);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Recording::read(&bytes[..]);
            let _ = Recording::read(&[BEGIN.as_bytes(), &bytes].concat()[..]);
        }
    }
}
