//! Where lines go: a bounded buffer that a thread of its own writes out in batches.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The most that may wait to be written, in bytes. Beyond it lines are dropped and counted: a slow disk
/// must not slow a relay or fill its memory.
const MOST: usize = 8 << 20;

/// After the first line of a batch, this long for others to join it: one write instead of many.
const BATCH: Duration = Duration::from_millis(10);

/// At the end, this long for what is left to be written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Where lines are written.
#[derive(Clone, Debug)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to, created with mode 0600.
    File(PathBuf),
}

impl Target {
    /// Could lines be written there? Leaves everything as it is.
    pub fn check(&self) -> io::Result<()> {
        let Self::File(path) = self else { return Ok(()) };
        let is_new = !path.exists();
        self.open()?;
        // It was made for the question, and nothing was written to it.
        if is_new { std::fs::remove_file(path) } else { Ok(()) }
    }

    fn open(&self) -> io::Result<Box<dyn Write + Send>> {
        Ok(match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::Stderr => Box::new(io::stderr()),
            Self::File(path) => {
                Box::new(OpenOptions::new().create(true).append(true).mode(0o600).open(path)?)
            }
        })
    }
}

/// Takes lines.
#[derive(Clone)]
pub(crate) struct Sink(Arc<Shared>);

/// How the thread is called that writes, and what is said of what it cannot.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    pub(crate) thread: &'static str,
    /// So many lines are missing: the line that stands for them.
    pub(crate) dropped: fn(u64) -> String,
    /// Lines are lost, for the first time for this reason.
    pub(crate) lost: fn(Loss<'_>),
}

/// Why lines are lost.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss<'a> {
    /// They come faster than they can be written.
    Slow,
    /// They cannot be written.
    Unwritten(&'a io::Error),
}

impl Words {
    /// Of the log: nobody is left to tell when that cannot be written.
    const LOG: Self = Self {
        thread: "log",
        dropped: |count| {
            format!("{{\"level\":\"warn\",\"message\":\"log lines dropped\",\"count\":{count}}}\n")
        },
        lost: |_| (),
    };
}

/// The thread that writes.
struct Writer {
    out: Box<dyn Write + Send>,
    words: Words,
    /// So many lines are missing, and the line that says so is not written yet.
    missing: u64,
    /// What was written last may end in the middle of a line.
    torn: bool,
    /// What was told already.
    told_slow: bool,
    told_unwritten: bool,
}

struct Shared {
    pending: Mutex<Pending>,
    arrived: Condvar,
    /// The thread has ended.
    done: Condvar,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    dropped: u64,
    closed: bool,
    /// Everything has been written.
    done: bool,
}

/// Writes out what is left when it is dropped.
pub struct Guard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    patience: Duration,
}

impl Sink {
    /// Opens the target and starts the thread that writes to it.
    pub(crate) fn open(target: &Target) -> io::Result<(Self, Guard)> {
        Self::start(target.open()?, Words::LOG)
    }

    pub(crate) fn start(out: Box<dyn Write + Send>, words: Words) -> io::Result<(Self, Guard)> {
        let shared = Shared::new();
        let theirs = Arc::clone(&shared);
        let mut writer =
            Writer { out, words, missing: 0, torn: false, told_slow: false, told_unwritten: false };
        let thread = std::thread::Builder::new().name(words.thread.to_owned()).spawn(move || {
            let mut batch = Vec::new();
            while let Some(dropped) = theirs.next(&mut batch) {
                writer.write(&batch, dropped);
                batch.clear();
            }
            // What is locked or shared with it is free before anybody hears that it is done.
            drop(writer);
            theirs.lock().done = true;
            theirs.done.notify_all();
        })?;
        Ok((Self(Arc::clone(&shared)), Guard { shared, thread: Some(thread), patience: LAST_WORDS }))
    }

    /// Takes a line, which ends in a newline.
    pub(crate) fn write(&self, line: &[u8]) {
        let mut pending = self.0.lock();
        if pending.bytes.len() + line.len() > MOST {
            pending.dropped += 1;
            return;
        }
        let first = pending.bytes.is_empty();
        pending.bytes.extend_from_slice(line);
        drop(pending);
        if first {
            self.0.arrived.notify_one();
        }
    }
}

impl Writer {
    /// Writes whole lines, and before them how many are missing.
    fn write(&mut self, lines: &[u8], dropped: u64) {
        if dropped > 0 && !std::mem::replace(&mut self.told_slow, true) {
            (self.words.lost)(Loss::Slow);
        }
        self.missing += dropped;
        let (written, outcome) = self.begin().map_or_else(|error| (0, Err(error)), |()| self.push(lines));
        self.torn |= lines[..written].last().is_some_and(|last| *last != b'\n');
        let Err(error) = outcome.and_then(|()| self.out.flush()) else { return };
        self.missing += unwritten(&lines[written..]);
        if !std::mem::replace(&mut self.told_unwritten, true) {
            (self.words.lost)(Loss::Unwritten(&error));
        }
    }

    /// Ends a line of which only a part was written, and says what is missing.
    fn begin(&mut self) -> io::Result<()> {
        let ended = if self.torn { "\n" } else { "" };
        let missing = if self.missing > 0 { (self.words.dropped)(self.missing) } else { String::new() };
        let begin = [ended, &missing].concat();
        let (written, outcome) = self.push(begin.as_bytes());
        if written > 0 {
            self.torn = written < begin.len();
        }
        if unwritten(&begin.as_bytes()[written..]) == 0 {
            self.missing = 0;
        }
        outcome
    }

    /// Writes as much as can be, and says how much that was.
    fn push(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < bytes.len() {
            match self.out.write(&bytes[written..]) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(()))
    }
}

/// How many lines end in what was not written. One of which nothing but its end is missing will be whole.
fn unwritten(rest: &[u8]) -> u64 {
    let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    rest.split(|byte| *byte == b'\n').count() as u64 - 1
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { pending: Mutex::default(), arrived: Condvar::new(), done: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // A panic while a line was appended leaves at worst half a line.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines and takes them all; none when the sink is closed and empty.
    fn next(&self, batch: &mut Vec<u8>) -> Option<u64> {
        let mut pending = self.lock();
        while pending.bytes.is_empty() && pending.dropped == 0 {
            if pending.closed {
                return None;
            }
            pending = self.arrived.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        if !pending.closed {
            let wait = self.arrived.wait_timeout_while(pending, BATCH, |pending| !pending.closed);
            pending = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(batch, &mut pending.bytes);
        Some(std::mem::take(&mut pending.dropped))
    }
}

impl Drop for Guard {
    /// Waits for the thread, but not for a reader who takes nothing more: a program must come to its end.
    fn drop(&mut self) {
        let mut pending = self.shared.lock();
        pending.closed = true;
        self.shared.arrived.notify_all();
        let wait = self.shared.done.wait_timeout_while(pending, self.patience, |pending| !pending.done);
        let done = wait.unwrap_or_else(PoisonError::into_inner).0.done;
        if let Some(thread) = self.thread.take().filter(|_| done) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_a_file_can_be_written_is_known_without_a_trace() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = |name: &str| Target::File(folder.path().join(name));
        file("new").check().unwrap();
        assert!(!folder.path().join("new").exists());
        std::fs::write(folder.path().join("old"), "a line\n").unwrap();
        file("old").check().unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("old")).unwrap(), "a line\n");
        assert_eq!(file("none/log").check().unwrap_err().kind(), io::ErrorKind::NotFound);
        Target::File(folder.path().to_owned()).check().unwrap_err();
        Target::Stderr.check().unwrap();
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_taken_is_written_before_the_guard_is_gone() {
        let kept = Kept::default();
        let (sink, guard) = Sink::start(Box::new(kept.clone()), Words::LOG).unwrap();
        sink.write(b"one\n");
        sink.write(b"two\n");
        drop(guard);
        assert_eq!(*kept.0.lock().unwrap(), b"one\ntwo\n");
    }

    /// A disk on which there is so much room.
    #[derive(Clone, Default)]
    struct Disk {
        room: Arc<Mutex<usize>>,
        kept: Kept,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut room = self.room.lock().unwrap();
            let fits = bytes.len().min(*room);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= fits;
            self.kept.write(&bytes[..fits])
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    thread_local! {
        static TOLD: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    fn told() -> Vec<String> {
        TOLD.with_borrow_mut(std::mem::take)
    }

    const TELLING: Words = Words {
        thread: "test",
        dropped: |count| format!("{count} missing\n"),
        lost: |loss| TOLD.with_borrow_mut(|told| told.push(format!("{loss:?}"))),
    };

    fn writer(out: impl Write + Send + 'static) -> Writer {
        Writer {
            out: Box::new(out),
            words: TELLING,
            missing: 0,
            torn: false,
            told_slow: false,
            told_unwritten: false,
        }
    }

    #[test]
    fn a_full_disk_is_told_once_and_what_is_missing_is_said_when_there_is_room_again() {
        let disk = Disk::default();
        let mut writer = writer(disk.clone());
        *disk.room.lock().unwrap() = 6;
        writer.write(b"one\ntwo\nthree\n", 0);
        writer.write(b"four\n", 3);
        let expect = ["Unwritten(Kind(StorageFull))", "Slow"];
        assert_eq!(told(), expect);
        *disk.room.lock().unwrap() = usize::MAX;
        writer.write(b"five\n", 0);
        writer.write(b"six\n", 0);
        assert_eq!(*disk.kept.0.lock().unwrap(), b"one\ntw\n6 missing\nfive\nsix\n");
        *disk.room.lock().unwrap() = 0;
        writer.write(b"seven\n", 1);
        assert!(told().is_empty(), "each is told once");
    }

    /// Wherever the room ends, each line is there or counted.
    #[test]
    fn no_line_is_lost_without_being_counted() {
        for room in 0..40 {
            let disk = Disk::default();
            *disk.room.lock().unwrap() = room;
            let mut writer = writer(disk.clone());
            writer.write(b"one\ntwo\n", 1);
            writer.write(b"three\n", 0);
            *disk.room.lock().unwrap() = usize::MAX;
            writer.write(b"four\n", 0);
            let text = String::from_utf8(disk.kept.0.lock().unwrap().clone()).unwrap();
            let whole = |line: &&str| ["one", "two", "three", "four"].contains(line);
            let counted =
                text.lines().filter_map(|line| line.strip_suffix(" missing")?.parse::<usize>().ok());
            assert_eq!(text.lines().filter(whole).count() + counted.sum::<usize>(), 5, "{room}: {text:?}");
        }
        told();
    }

    /// A pipe that nobody reads.
    struct Stuck(Arc<(Mutex<bool>, Condvar)>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (free, told) = &*self.0;
            let wait = told.wait_while(free.lock().unwrap(), |free| !*free);
            drop(wait.unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_takes_nothing_does_not_keep_the_program() {
        let stuck = Arc::new((Mutex::new(false), Condvar::new()));
        let (sink, mut guard) = Sink::start(Box::new(Stuck(Arc::clone(&stuck))), Words::LOG).unwrap();
        sink.write(b"one\n");
        guard.patience = Duration::ZERO;
        drop(guard);
        // It got here although the thread still writes; let it go.
        assert!(!sink.0.lock().done);
        *stuck.0.lock().unwrap() = true;
        stuck.1.notify_all();
    }

    #[test]
    fn a_full_buffer_drops_lines_and_says_how_many() {
        let shared = Shared::new();
        let sink = Sink(Arc::clone(&shared));
        sink.write(&vec![b'x'; MOST]);
        sink.write(b"lost\n");
        sink.write(b"lost\n");
        shared.lock().closed = true;
        let mut batch = Vec::new();
        assert_eq!(shared.next(&mut batch), Some(2));
        assert_eq!(batch.len(), MOST);
        batch.clear();
        assert_eq!(shared.next(&mut batch), None);
    }
}
