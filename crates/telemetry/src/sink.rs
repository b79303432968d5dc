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
        Self::start(target.open()?)
    }

    fn start(mut out: Box<dyn Write + Send>) -> io::Result<(Self, Guard)> {
        let shared = Shared::new();
        let writer = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            let mut batch = Vec::new();
            while let Some(dropped) = writer.next(&mut batch) {
                if dropped > 0 {
                    batch.extend_from_slice(
                        format!(
                            "{{\"level\":\"warn\",\"message\":\"log lines dropped\",\"count\":{dropped}}}\n"
                        )
                        .as_bytes(),
                    );
                }
                // Nobody is left to tell when the log itself cannot be written.
                let _ = out.write_all(&batch).and_then(|()| out.flush());
                batch.clear();
            }
            writer.lock().done = true;
            writer.done.notify_all();
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
        let (sink, guard) = Sink::start(Box::new(kept.clone())).unwrap();
        sink.write(b"one\n");
        sink.write(b"two\n");
        drop(guard);
        assert_eq!(*kept.0.lock().unwrap(), b"one\ntwo\n");
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
        let (sink, mut guard) = Sink::start(Box::new(Stuck(Arc::clone(&stuck)))).unwrap();
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
