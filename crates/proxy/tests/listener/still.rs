//! Time that stands still until the test moves it, also while real processes and files are at work. A paused
//! clock would otherwise jump to the next deadline whenever nothing but a child process is being waited for.

use std::future::Future;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

/// What takes longer than this, in real time, will never happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// While it lives, time stands still.
pub(crate) struct Still {
    /// Dropped, it ends the thread below.
    _until: mpsc::Sender<()>,
    late: oneshot::Receiver<()>,
}

impl Still {
    /// From now on. Tokio does not move a paused clock while a thread of its own is blocked.
    pub(crate) fn begin() -> Self {
        tokio::time::pause();
        Self::go_on()
    }

    /// The same where the clock is paused already.
    pub(crate) fn go_on() -> Self {
        let (until, ended) = mpsc::channel();
        let (late, noticed) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                // Nobody listens any more if the test ends in this very moment.
                let _ = late.send(());
            }
        });
        Self { _until: until, late: noticed }
    }

    /// The outcome, which must come soon, in real time.
    pub(crate) async fn within<T>(&mut self, future: impl Future<Output = T>) -> T {
        tokio::select! {
            outcome = future => outcome,
            _ = &mut self.late => unreachable!("what the test waits for has not happened"),
        }
    }
}
