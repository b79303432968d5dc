//! Writes what was asked, without what was said: one line for each message call, from which `cc-relay plan` foresees
//! what other limits would make of it.
//!
//! It knows sizes, times and numbers. Whoever asks is known to it as a number that means nothing outside the file: it
//! is made with a salt that is written nowhere.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use relay_core::{Time, Usage};

use crate::happening::End;
use crate::sink::{Guard, Loss, Sink, Words};

/// How each part of a recording begins.
const HEAD: &str = "{\"cc_relay_recording\":1,\"began_us\":";

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum Unrecordable {
    /// The file cannot be opened, or read, or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no file, but a folder, a pipe or a device.
    #[error("it is {0}, where a file belongs")]
    NoFile(&'static str),
    /// It holds something else. It was not touched.
    #[error("the file is there, and is not a recording of this version")]
    Other,
    /// Another relay records into it.
    #[error("another relay records into it")]
    Taken,
}

/// Takes what is recorded. Clones write to the same file.
#[derive(Clone)]
pub struct Recorder {
    sink: Sink,
    salt: RandomState,
    began: Time,
}

/// What a call was, before it was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// A number for its session.
    pub session: Option<u64>,
    /// A number for the subagent in it.
    pub agent: Option<u64>,
    /// A number for what its prompt begins with.
    pub prefix: Option<u64>,
    /// The length of its body.
    pub bytes: u64,
    /// `max_tokens`.
    pub max_tokens: Option<u64>,
    /// A stream is asked for.
    pub stream: bool,
    /// It is of a subagent.
    pub background: bool,
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What it was.
    pub asked: Asked,
    /// Its model.
    pub model: &'a str,
    /// When it came.
    pub arrived: Time,
    /// The status that the client saw; 0 if it left before.
    pub status: u16,
    /// How it ended.
    pub end: End,
    /// The tokens used.
    pub usage: Usage,
    /// How long it waited for its turn.
    pub waited: Duration,
    /// From its arrival to when it was sent upstream, last.
    pub sent: Option<Duration>,
    /// From its arrival to when its answer began upstream.
    pub answered: Option<Duration>,
    /// From its arrival to the head that the client got, which may be there before the answer.
    pub first_byte: Option<Duration>,
    /// From its arrival to its end.
    pub duration: Duration,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("began", &self.began).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Goes on with a recording, or begins one, created with mode 0600. What is recorded is written when the guard is
    /// dropped, and every few milliseconds before.
    pub fn open(path: &Path, began: Time) -> Result<(Self, Guard), Unrecordable> {
        if let Ok(there) = path.metadata()
            && !there.is_file()
        {
            return Err(Unrecordable::NoFile(if there.is_dir() { "a folder" } else { "a pipe or a device" }));
        }
        let mut file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Unrecordable::Taken),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // A relay that was killed may have left half a line behind.
        let torn = ends_torn(&mut file)?;
        let (recorder, guard) = Self::start(Box::new(file), began)?;
        recorder.sink.write(format!("{}{}", if torn { "\n" } else { "" }, head(began)).as_bytes());
        Ok((recorder, guard))
    }

    /// Records into anything that takes bytes.
    pub fn into(out: Box<dyn Write + Send>, began: Time) -> io::Result<(Self, Guard)> {
        let (recorder, guard) = Self::start(out, began)?;
        recorder.sink.write(head(began).as_bytes());
        Ok((recorder, guard))
    }

    fn start(out: Box<dyn Write + Send>, began: Time) -> io::Result<(Self, Guard)> {
        let (sink, guard) = Sink::start(out, WORDS)?;
        Ok((Self { sink, salt: RandomState::new(), began }, guard))
    }

    /// A number for what these name together, the same for the same as long as the relay runs. It has 53 bits, so that
    /// every reader of JSON keeps all of them.
    pub fn number(&self, parts: &[&[u8]]) -> u64 {
        self.salt.hash_one(parts) >> 11
    }

    /// Records a call.
    pub fn write(&self, call: &Call<'_>) {
        self.sink.write(self.line(call).as_bytes());
    }

    fn line(&self, call: &Call<'_>) -> String {
        let mut line = format!("{{\"at_us\":{}", call.arrived.since(self.began).as_micros());
        let Asked { session, agent, prefix, bytes, max_tokens, stream, background } = call.asked;
        let known = [("session", session), ("agent", agent), ("prefix", prefix), ("max_tokens", max_tokens)];
        for (name, number) in known {
            if let Some(number) = number {
                // Writing to a `String` cannot fail, here and below.
                let _ = write!(line, ",\"{name}\":{number}");
            }
        }
        line.push_str(",\"model\":\"");
        // The name of a model is the client's own text: of that no more is kept than names of models have.
        line.extend(call.model.chars().filter(|it| it.is_ascii_alphanumeric() || "-_.:/@[]".contains(*it)));
        let Usage { input, output, cache_write, cache_write_long, cache_read } = call.usage;
        let _ = write!(
            line,
            "\",\"bytes\":{bytes},\"stream\":{stream},\"background\":{background},\"status\":{},\"end\":\"{}\",\
             \"input\":{input},\"cache_write\":{cache_write},\"cache_write_1h\":{cache_write_long},\
             \"cache_read\":{cache_read},\"output\":{output},\
             \"waited_us\":{}",
            call.status,
            call.end.name(),
            call.waited.as_micros(),
        );
        let known = [("sent", call.sent), ("answered", call.answered), ("first_byte", call.first_byte)];
        for (name, time) in known {
            if let Some(time) = time {
                let _ = write!(line, ",\"{name}_us\":{}", time.as_micros());
            }
        }
        let _ = writeln!(line, ",\"duration_us\":{}}}", call.duration.as_micros());
        line
    }
}

/// How the thread that writes is called, and what it says of what it could not.
const WORDS: Words = Words {
    thread: "recorder",
    dropped: |count| format!("{{\"dropped\":{count}}}\n"),
    lost: |loss| match loss {
        Loss::Slow => tracing::warn!("calls are missing in the recording: it is not written fast enough"),
        Loss::Unwritten(error) => {
            tracing::warn!(%error, "calls are missing in the recording: it cannot be written");
        }
    },
};

fn head(began: Time) -> String {
    format!("{HEAD}{}}}\n", began.since_epoch().as_micros())
}

/// Does it end in the middle of a line? A file that holds anything but a recording is an error.
fn ends_torn(file: &mut File) -> Result<bool, Unrecordable> {
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(false);
    }
    let mut head = [0; HEAD.len()];
    match file.read_exact(&mut head) {
        Ok(()) if head == *HEAD.as_bytes() => {}
        Ok(()) => return Err(Unrecordable::Other),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Unrecordable::Other),
        Err(error) => return Err(error.into()),
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Time = Time::from_epoch(Duration::from_secs(1_000));

    fn call(model: &str) -> Call<'_> {
        Call {
            asked: Asked {
                session: Some(7),
                max_tokens: Some(9),
                bytes: 400,
                stream: true,
                ..Asked::default()
            },
            model,
            arrived: BEGAN + Duration::from_millis(3),
            status: 200,
            end: End::Whole,
            usage: Usage { input: 1, output: 2, cache_write: 3, cache_write_long: 1, cache_read: 4 },
            waited: Duration::from_micros(5),
            sent: Some(Duration::from_micros(5)),
            answered: Some(Duration::from_millis(5)),
            first_byte: Some(Duration::from_millis(6)),
            duration: Duration::from_millis(7),
        }
    }

    #[test]
    fn a_line_has_sizes_and_times_and_is_one_whatever_a_model_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        let (recorder, guard) = Recorder::open(&path, BEGAN).unwrap();
        recorder.write(&call("m\"\n\\"));
        drop((recorder, guard));
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            concat!(
                "{\"cc_relay_recording\":1,\"began_us\":1000000000}\n",
                r#"{"at_us":3000,"session":7,"max_tokens":9,"model":"m","bytes":400,"stream":true,"#,
                r#""background":false,"status":200,"end":"whole","input":1,"cache_write":3,"cache_write_1h":1,"#,
                r#""cache_read":4,"#,
                r#""output":2,"waited_us":5,"sent_us":5,"answered_us":5000,"first_byte_us":6000,"duration_us":7000}"#,
                "\n"
            )
        );
    }

    #[test]
    fn the_guide_names_every_field() {
        let guide = include_str!("../../../docs/book/guides/plan.md");
        let (recorder, _guard) = Recorder::into(Box::new(io::sink()), BEGAN).unwrap();
        let all = Asked { agent: Some(1), prefix: Some(2), ..call("m").asked };
        let line = recorder.line(&Call { asked: all, ..call("m") });
        let names = line.trim_start_matches("{\"").split(",\"").filter_map(|field| field.split('"').next());
        let names: Vec<&str> = names.collect();
        assert_eq!(names.len(), 21, "{line}");
        for name in names {
            assert!(guide.contains(&format!("`{name}`")), "the guide does not name `{name}`");
        }
    }

    #[test]
    fn a_recording_goes_on_behind_half_a_line_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        let first = "{\"cc_relay_recording\":1,\"began_us\":5}\n{\"at_us\":1,\"cl";
        std::fs::write(&path, first).unwrap();
        drop(Recorder::open(&path, BEGAN).unwrap());
        let expect = format!("{first}\n{{\"cc_relay_recording\":1,\"began_us\":1000000000}}\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expect);
        for other in ["server: {}\n", "{", "{\"cc_relay_recording\":2,\"began_us\":5}\n"] {
            std::fs::write(&path, other).unwrap();
            assert!(matches!(Recorder::open(&path, BEGAN), Err(Unrecordable::Other)), "{other}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), other);
        }
        for (path, expect) in [
            (folder.path(), "it is a folder, where a file belongs"),
            (Path::new("/dev/null"), "it is a pipe or a device, where a file belongs"),
        ] {
            assert_eq!(
                Recorder::open(path, BEGAN).err().map(|error| error.to_string()).as_deref(),
                Some(expect)
            );
        }
    }

    #[test]
    fn two_relays_do_not_record_into_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        let first = Recorder::open(&path, BEGAN).unwrap();
        assert!(matches!(Recorder::open(&path, BEGAN), Err(Unrecordable::Taken)));
        drop(first);
        Recorder::open(&path, BEGAN).unwrap();
    }

    #[test]
    fn numbers_tell_apart_and_mean_nothing_elsewhere() {
        let (one, _guard) = Recorder::into(Box::new(io::sink()), BEGAN).unwrap();
        let (other, _other) = Recorder::into(Box::new(io::sink()), BEGAN).unwrap();
        let parts: [&[u8]; 2] = [b"alice", b"session"];
        assert_eq!(one.number(&parts), one.clone().number(&parts));
        assert_ne!(one.number(&parts), one.number(&[b"alices", b"ession"]));
        assert_ne!(one.number(&parts), other.number(&parts));
        assert!(one.number(&parts) < 1 << 53);
    }
}
