//! What was learned is read when the relay begins and written while it runs: beside requests, and never on their way.
//!
//! It knows when; how it is written is `relay_ledger`'s, and what there is to write `relay_core`'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use relay_core::Memory;
use relay_core::memory::Mark;
use relay_ledger::{Error, Ledger};
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;

use crate::live::Live;
use crate::serve::drained;

/// How often what is new is written: whoever is killed loses so much.
const EVERY: Duration = Duration::from_secs(10);

/// Neither the beginning nor the end of the relay waits longer for a disk than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// Keeps what is learned in a file.
pub(crate) struct Keeper {
    live: Arc<Live>,
    path: PathBuf,
    kept: Mutex<Kept>,
}

/// A file, as it was found at the start, and all that stands in it.
pub(crate) struct Found {
    path: PathBuf,
    file: File,
    memory: Memory,
}

struct Kept {
    file: File,
    /// So far is written.
    mark: Mark,
    /// The last time it could not be written, and that was said.
    failing: bool,
}

enum File {
    Open(Box<Ledger>),
    /// Another relay has it. It is looked at again now and then.
    Taken,
    /// Nothing more is written.
    Closed,
}

/// What is learned can be kept nowhere.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Misplaced(Error);

/// Could what is learned be kept there? Leaves everything as it is.
pub fn look_at_place(path: &Path) -> Result<(), Misplaced> {
    relay_ledger::look_at_place(path).map_err(Misplaced)
}

impl Found {
    /// Opens a file and reads it. What cannot be used is said, and left as it is; the relay goes on without it.
    pub(crate) async fn look(path: PathBuf) -> Self {
        let opened = spawn_blocking({
            let path = path.clone();
            move || Ledger::open(&path).and_then(|ledger| Ok((ledger.read()?, ledger)))
        });
        let (file, memory) = match tokio::time::timeout(PATIENCE, opened).await {
            Ok(Ok(Ok((memory, ledger)))) => (File::Open(Box::new(ledger)), memory),
            Ok(Ok(Err(error))) => {
                let (text, hint) = (relay_telemetry::chain(&error), hint(&error));
                tracing::warn!(error = %text, hint, "starting without what was learned before");
                let taken = matches!(error, Error::Taken(_));
                (if taken { File::Taken } else { File::Closed }, Memory::default())
            }
            // It panicked, and has said so.
            Ok(Err(_)) => (File::Closed, Memory::default()),
            Err(_) => {
                let hint = "let `state.path` name a file on another disk";
                tracing::warn!(file = %path.display(), hint, "the disk does not tell what was learned before");
                (File::Closed, Memory::default())
            }
        };
        Self { path, file, memory }
    }

    /// The relay knows again what it knew, and keeps what it learns. To be called before it is asked anything.
    pub(crate) fn keep(self, live: &Arc<Live>) -> Keeper {
        let Self { path, file, memory } = self;
        if matches!(file, File::Open(_)) {
            let (keys, conversations, models) =
                (memory.keys.len(), memory.homes.len(), memory.estimates.len());
            tracing::info!(file = %path.display(), keys, models, conversations, "state loaded");
        }
        let kept = Kept { file, mark: live.recall(memory), failing: false };
        Keeper { live: Arc::clone(live), path, kept: Mutex::new(kept) }
    }
}

impl Keeper {
    /// Writes what is new every now and then, and what an operator says at once, until the relay drains.
    pub(crate) async fn run(self: Arc<Self>, mut draining: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + EVERY, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !matches!(self.kept.lock().await.file, File::Closed) {
            tokio::select! {
                () = drained(&mut draining) => return,
                _ = ticks.tick() => {}
                () = self.live.is_told() => {}
            }
            // The end of the relay is not kept waiting by a disk that is.
            tokio::select! {
                () = self.write() => {}
                () = async { drained(&mut draining).await; tokio::time::sleep(PATIENCE).await } => return,
            }
        }
    }

    /// Writes what is new for the last time, and lets go of the file.
    pub(crate) async fn finish(&self) {
        let last = async {
            self.write().await;
            let file = std::mem::replace(&mut self.kept.lock().await.file, File::Closed);
            // To close it is to tidy it up.
            let _ = spawn_blocking(move || drop(file)).await;
        };
        if tokio::time::timeout(PATIENCE, last).await.is_err() {
            tracing::warn!(file = %self.path.display(), "the disk did not take what was learned last");
        }
    }

    async fn write(&self) {
        let mut kept = self.kept.lock().await;
        match std::mem::replace(&mut kept.file, File::Closed) {
            File::Open(ledger) => self.write_to(ledger, &mut kept).await,
            File::Taken => self.look_again(&mut kept).await,
            File::Closed => {}
        }
    }

    /// Whoever removes a file of a relay that runs wants it to begin anew, and not that nothing is written any more.
    async fn make_anew(&self, gone: Box<Ledger>, kept: &mut Kept) {
        tracing::warn!(file = %self.path.display(), "the file of what is learned was removed: it is made anew");
        let path = self.path.clone();
        let opened = spawn_blocking(move || {
            drop(gone);
            Ledger::open(&path)
        });
        match opened.await {
            Ok(Ok(ledger)) => {
                // In the new one nothing is written yet.
                (kept.file, kept.mark) = (File::Open(Box::new(ledger)), Mark::default());
            }
            Ok(Err(error)) => {
                let (text, hint) = (relay_telemetry::chain(&error), hint(&error));
                tracing::warn!(error = %text, hint, "what is learned is not written");
            }
            // It panicked, and has said so.
            Err(_) => {}
        }
    }

    async fn write_to(&self, mut ledger: Box<Ledger>, kept: &mut Kept) {
        let (memory, mark) = self.live.remember(kept.mark);
        let written = spawn_blocking(move || {
            let is_there = ledger.path().try_exists().unwrap_or(true);
            (if is_there { Some(ledger.write(&memory).map(drop)) } else { None }, ledger)
        });
        // Whoever panics has said so, and is not tried again.
        let Ok((written, ledger)) = written.await else { return };
        let Some(written) = written else { return self.make_anew(ledger, kept).await };
        kept.file = File::Open(ledger);
        match written {
            Ok(()) => {
                kept.mark = mark;
                if std::mem::take(&mut kept.failing) {
                    tracing::info!(file = %self.path.display(), "what is learned is written again");
                }
            }
            Err(error) => {
                // It is tried again and again, and said once.
                if !std::mem::replace(&mut kept.failing, true) {
                    let (text, hint) = (relay_telemetry::chain(&error), hint(&error));
                    tracing::warn!(error = %text, hint, "what is learned is not written");
                }
            }
        }
    }

    /// Is the file free by now? What the other one knew is known here from now on too, and so is not lost when this one
    /// writes what it knows in its place.
    async fn look_again(&self, kept: &mut Kept) {
        let path = self.path.clone();
        let opened =
            spawn_blocking(move || Ledger::open(&path).and_then(|ledger| Ok((ledger.read()?, ledger))));
        kept.file = match opened.await {
            Ok(Ok((memory, ledger))) => {
                let keys = memory.keys.len();
                self.live.recall(memory);
                tracing::info!(file = %self.path.display(), keys, "the file is free now: what stands there is known, and what is learned is written");
                File::Open(Box::new(ledger))
            }
            Ok(Err(Error::Taken(_))) => File::Taken,
            Ok(Err(_)) | Err(_) => File::Closed,
        };
    }
}

/// What can be done about it.
const fn hint(error: &Error) -> &'static str {
    match error {
        Error::Taken(_) => {
            "give each relay a `state.path` of its own; what this one learns is kept once the other has ended"
        }
        Error::Newer { .. } => "run that version, or move the file away to begin anew",
        Error::Foreign(_) => "let `state.path` name another file",
        Error::Broken(..) => "move the file away to begin anew",
        Error::NoFile { .. }
        | Error::NoFolder { .. }
        | Error::Folder(..)
        | Error::Unopened(..)
        | Error::Failed(..) => {
            "let `state.path` name a file that can be written, or set `state.enabled: false`"
        }
    }
}
