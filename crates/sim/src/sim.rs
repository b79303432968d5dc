//! The simulated provider as its host holds it: started with settings, scripted, and asked what it
//! saw.
//!
//! All that changes is in one place behind one lock, which is held for moments and never across an
//! `.await`.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    auth::Directory,
    batches::Batches,
    cache::PromptCache,
    canned::Canned,
    clock::Clock,
    digest::Digest,
    files::{Containers, Files},
    limiter::{Account, Gauge, Limiter},
    record::{Journal, Record, Totals},
    script::{Script, Scripts},
    settings::Settings,
    signature::Seal,
};

/// A simulated provider. Clones are the same provider.
#[derive(Clone, Debug)]
pub struct Sim {
    shared: Arc<Shared>,
}

/// What everybody used, and how near the limits they came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Every key, in the order of the settings.
    pub keys: Vec<KeyTotals>,
    /// Every model class that an organization used.
    pub classes: Vec<ClassTotals>,
    /// Every bucket that was used.
    pub buckets: Vec<Gauge>,
    /// Canned answers, which are counted and nothing else.
    pub canned: u64,
}

/// What one key used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyTotals {
    /// Its name.
    pub key: String,
    /// The id of its organization.
    pub organization: String,
    /// The id of its workspace.
    pub workspace: String,
    /// What it used.
    pub totals: Totals,
}

/// What one organization used of one model class.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClassTotals {
    /// The id of the organization.
    pub organization: String,
    /// The class.
    pub class: String,
    /// What it used.
    pub totals: Totals,
}

/// What does not change, and the lock around what does.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) directory: Directory,
    pub(crate) seal: Seal,
    pub(crate) canned: Canned,
    state: Mutex<State>,
    connections: AtomicU64,
    ids: AtomicU64,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) limiter: Limiter,
    pub(crate) cache: PromptCache,
    pub(crate) files: Files,
    pub(crate) containers: Containers,
    pub(crate) batches: Batches,
    pub(crate) journal: Journal,
    pub(crate) scripts: Scripts,
}

impl Sim {
    /// A provider whose buckets are full and whose clock starts now, at the settings' epoch.
    pub fn new(settings: Settings) -> Self {
        let state = State {
            limiter: Limiter::new(&settings, settings.epoch),
            cache: PromptCache::default(),
            files: Files::default(),
            containers: Containers::default(),
            batches: Batches::default(),
            journal: Journal::new(settings.memory),
            scripts: Scripts::default(),
        };
        let shared = Shared {
            clock: Clock::starting_at(settings.epoch),
            directory: Directory::new(&settings),
            seal: Seal::new(settings.seed),
            canned: Canned::default(),
            state: Mutex::new(state),
            connections: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            settings,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Adds a script to the end of the queue.
    pub fn script(&self, script: Script) {
        let now = self.now();
        self.state().scripts.add(script, now);
    }

    /// Forgets every script: the provider is well again.
    pub fn forget_scripts(&self) {
        self.state().scripts.clear();
    }

    /// What was seen, oldest first, as far as it is remembered.
    pub fn seen(&self) -> Vec<Record> {
        self.state().journal.seen()
    }

    /// The provider's time, since the Unix epoch.
    pub fn now(&self) -> Duration {
        self.shared.clock.now()
    }

    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Totals of everybody, from the beginning.
    pub fn report(&self) -> Report {
        let now = self.now();
        let state = self.state();
        let mut report = Report {
            keys: Vec::new(),
            classes: Vec::new(),
            buckets: Vec::new(),
            canned: self.shared.canned.served(),
        };
        let settings = &self.shared.settings;
        for (organization, holder) in settings.organizations.iter().enumerate() {
            for (workspace, part) in holder.workspaces.iter().enumerate() {
                for (key, known) in part.keys.iter().enumerate() {
                    report.keys.push(KeyTotals {
                        key: known.name.clone(),
                        organization: holder.id.clone(),
                        workspace: part.id.clone(),
                        totals: state.journal.of_key(Account { organization, workspace, key }),
                    });
                }
            }
            for (class, totals) in state.journal.of_classes(organization) {
                report.classes.push(ClassTotals { organization: holder.id.clone(), class, totals });
            }
        }
        report.buckets = state.limiter.gauges(settings, now);
        report
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Everything that changes. A panic elsewhere leaves counters that are at worst a little off.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.shared.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// A new id, which nothing else has.
    pub(crate) fn next_id(&self, prefix: &str) -> String {
        let number = self.shared.ids.fetch_add(1, Ordering::Relaxed);
        Digest::seeded(self.shared.settings.seed).with(b"id").with(&number.to_le_bytes()).id(prefix)
    }
}

impl Report {
    /// The greatest number of units ever taken beyond any bucket; 0 if no bucket was overdrawn.
    pub fn greatest_overshoot(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.overshoot).max().unwrap_or(0)
    }
}
