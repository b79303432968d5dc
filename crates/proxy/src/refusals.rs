//! Keys that were refused. Whoever keeps keys fresh hears of it, and a call that nobody else can serve waits until
//! he has looked: a key that was just replaced, or that its command prints anew, then serves that very call.

use std::time::Duration;

use relay_config::Config;
use relay_config::checked::KeySource;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::keyring;

/// A call waits no longer than this for keys to be looked at: as long as a command may take.
const PATIENCE: Duration = keyring::COMMAND_DEADLINE;

/// What was refused, and how far that was followed up.
pub(crate) struct Refusals {
    /// How often a key was refused.
    count: watch::Sender<u64>,
    files: watch::Sender<Looked>,
    commands: watch::Sender<Looked>,
}

/// How far one kind of sources was followed up.
#[derive(Clone, Copy, Debug)]
struct Looked {
    /// Up to this refusal they were looked at after it.
    upto: u64,
    /// They are looked at then, and not before.
    put_off: Option<Instant>,
}

impl Looked {
    /// Where there is nothing to look at, or nobody to do it.
    const FOR_EVER: Self = Self { upto: u64::MAX, put_off: None };

    const fn at_start(there: bool) -> Self {
        if there { Self { upto: 0, put_off: None } } else { Self::FOR_EVER }
    }

    const fn is_behind(self, count: u64) -> bool {
        self.upto < count && self.put_off.is_none()
    }
}

impl Refusals {
    /// `awaited`: the first run of the commands is under way.
    pub(crate) fn new(config: &Config, awaited: bool) -> Self {
        let any = |wanted: fn(&KeySource) -> bool| keyring::sources(config).any(|(_, source)| wanted(source));
        let files = any(|source| matches!(source, KeySource::File(_)));
        let commands = any(KeySource::is_run);
        Self {
            // That there is no key is followed up as if one had been refused.
            count: watch::channel(u64::from(awaited)).0,
            files: watch::channel(Looked::at_start(files)).0,
            commands: watch::channel(Looked::at_start(commands)).0,
        }
    }

    /// A key was refused.
    pub(crate) fn note(&self) {
        self.count.send_modify(|count| *count += 1);
    }

    /// For whoever follows them up.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    /// The files were looked at, after that many refusals.
    pub(crate) fn looked_at_files(&self, upto: u64) {
        self.files.send_replace(Looked { upto, put_off: None });
    }

    /// The commands were run, after that many refusals.
    pub(crate) fn ran_commands(&self, upto: u64) {
        self.commands.send_replace(Looked { upto, put_off: None });
    }

    /// The commands will be run then; without a moment, they are run now.
    pub(crate) fn put_commands_off(&self, until: Option<Instant>) {
        self.commands.send_modify(|looked| looked.put_off = until);
    }

    /// Nobody follows them up any more.
    pub(crate) fn give_up(&self) {
        self.files.send_replace(Looked::FOR_EVER);
        self.commands.send_replace(Looked::FOR_EVER);
    }

    /// No key that could serve a call is accepted: the last look may have been before one was renewed.
    pub(crate) async fn look_again(&self) -> bool {
        self.note();
        self.settled().await
    }

    /// Waits until the refusals up to now have been followed up. False if they have been, or are not for the
    /// time being: asking again is then of no use.
    pub(crate) async fn settled(&self) -> bool {
        let count = *self.count.borrow();
        let is_behind = |looked: &watch::Sender<Looked>| looked.borrow().is_behind(count);
        if !is_behind(&self.files) && !is_behind(&self.commands) {
            return false;
        }
        let (mut files, mut commands) = (self.files.subscribe(), self.commands.subscribe());
        let both = async {
            // The senders are here.
            let _ = files.wait_for(|looked| !looked.is_behind(count)).await;
            let _ = commands.wait_for(|looked| !looked.is_behind(count)).await;
        };
        tokio::time::timeout(PATIENCE, both).await.is_ok()
    }

    /// How long it is until commands are run that were put off.
    pub(crate) fn put_off(&self) -> Option<Duration> {
        let until = self.commands.borrow().put_off?;
        Some(until.saturating_duration_since(Instant::now()))
    }
}
