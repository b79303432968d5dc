//! What is logged while a test runs: the lines themselves, as the relay writes them for people.
//!
//! There is one outlet for the whole program, which gives each line to whoever listens on the thread on
//! which it was written. An outlet for each test would do in theory; in practice `tracing` remembers for each place
//! that logs whether anybody listens, and a test that begins while another one ends is sometimes not asked.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, Once, PoisonError};

use tokio::sync::watch;

thread_local! {
    static HERE: RefCell<Option<Lines>> = const { RefCell::new(None) };
}

/// The lines that are logged on this thread while it lives, each as `HH:MM:SS LVL -> message field=value …`.
pub struct Log {
    lines: Lines,
    /// It is of one thread.
    _here: PhantomData<*const ()>,
}

#[derive(Clone)]
struct Lines(Arc<(Mutex<Vec<String>>, watch::Sender<usize>)>);

impl Log {
    /// Begins to listen, in place of whoever did before.
    pub fn listen() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            assert!(relay_telemetry::overhear(hear), "nobody else in a test starts the log");
        });
        let lines = Lines(Arc::new((Mutex::default(), watch::channel(0).0)));
        HERE.set(Some(lines.clone()));
        Self { lines, _here: PhantomData }
    }

    /// The lines so far that have these words in them.
    pub fn lines_with(&self, words: &str) -> Vec<String> {
        let lines = self.lines.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| line.contains(words)).cloned().collect()
    }

    /// How many they are.
    pub fn count(&self, words: &str) -> usize {
        self.lines_with(words).len()
    }

    /// Waits until that many lines have had these words in them.
    pub async fn until(&self, words: &str, count: usize) {
        let mut changed = self.lines.0.1.subscribe();
        while self.count(words) < count {
            changed.changed().await.expect("the log holds the sender");
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        HERE.set(None);
    }
}

/// Gives a line to whoever listens.
fn hear(line: &str) {
    let Some(lines) = HERE.with_borrow(Clone::clone) else { return };
    lines.0.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.trim_end().to_owned());
    lines.0.1.send_modify(|count| *count += 1);
}
