//! One key: which organization holds its limits, what it is capped at, and what is held against it alone.

use crate::fleet::KeyId;
use crate::index::Index;
use crate::limits::{Backlog, Limits};
use crate::rest::{Probe, Rests};
use crate::usage::Usage;

/// What is known of one key.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) id: KeyId,
    /// The place of the organization that holds its limits.
    pub(crate) account: usize,
    /// The place of its workspace there: it may have narrower limits, and it has the prompt cache.
    pub(crate) workspace: usize,
    /// As it is configured, or was last.
    pub(crate) priority: u32,
    pub(crate) weight: u32,
    /// See [`Accounting`](crate::Accounting).
    pub(crate) reserves: Option<u64>,
    /// The operator's own caps, all models together.
    pub(crate) caps: Limits,
    /// What those need who wait to be given this key.
    pub(crate) ahead: Backlog,
    /// Leases open now.
    pub(crate) in_flight: u32,
    /// It is configured. If not, it is there until its last lease has ended.
    pub(crate) is_listed: bool,
    /// What it has carried since the start.
    pub(crate) totals: Totals,
    /// That it was refused. What is used up is held against its organization.
    pub(crate) rests: Rests,
    /// How often it was pardoned: what is said of a lease that is older speaks of a key that was another.
    pub(crate) pardons: u64,
}

/// What a key has carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Leases granted.
    pub leases: u64,
    /// Answers that were committed to.
    pub served: u64,
    /// Tokens, as settled.
    pub usage: Usage,
}

/// Every key that is configured, or still has a lease.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    all: Vec<Standing>,
    places: Index<KeyId, usize>,
    /// Places of keys that are gone.
    free: Vec<usize>,
}

impl Standing {
    pub(crate) fn new(id: KeyId, account: usize, workspace: usize) -> Self {
        Self {
            id,
            account,
            workspace,
            priority: 0,
            weight: 1,
            reserves: None,
            caps: Limits::default(),
            ahead: Backlog::NONE,
            in_flight: 0,
            is_listed: true,
            totals: Totals::default(),
            rests: Rests::default(),
            pardons: 0,
        }
    }

    /// A lease begins.
    pub(crate) const fn begin(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
        self.totals.leases += 1;
    }

    /// A lease ends, whatever became of it. A probe is given back.
    pub(crate) fn end(&mut self, probe: Probe) {
        self.rests.give_back(probe);
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A call that was counted with `before` is found to have used `after`.
    pub(crate) fn charge(&mut self, before: Usage, after: Usage) {
        self.totals.usage = self.totals.usage.less(before) + after;
    }

    /// What is held against it alone is forgotten. True if there was anything.
    pub(crate) fn pardon(&mut self) -> bool {
        self.pardons += 1;
        self.rests.clear()
    }
}

impl Keys {
    /// The place of a key, which is made if it is new.
    pub(crate) fn place(&mut self, id: KeyId, begin: impl FnOnce() -> (usize, usize)) -> usize {
        if let Some(place) = self.places.get(id) {
            return *place;
        }
        let (account, workspace) = begin();
        let standing = Standing::new(id, account, workspace);
        let place = if let Some(place) = self.free.pop() {
            self.all[place] = standing;
            place
        } else {
            self.all.push(standing);
            self.all.len() - 1
        };
        self.places.insert(id, place);
        place
    }

    /// It is gone.
    pub(crate) fn forget(&mut self, id: KeyId) {
        self.free.extend(self.places.remove(id));
    }

    pub(crate) fn at(&self, place: usize) -> &Standing {
        &self.all[place]
    }

    pub(crate) fn at_mut(&mut self, place: usize) -> &mut Standing {
        &mut self.all[place]
    }

    pub(crate) fn get(&self, id: KeyId) -> Option<&Standing> {
        self.place_of(id).map(|place| &self.all[place])
    }

    pub(crate) fn get_mut(&mut self, id: KeyId) -> Option<&mut Standing> {
        self.place_of(id).map(|place| &mut self.all[place])
    }

    pub(crate) fn place_of(&self, id: KeyId) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// None is configured, until that is said again.
    pub(crate) fn unlist(&mut self) {
        self.all.iter_mut().for_each(|standing| standing.is_listed = false);
    }

    /// In the order of their ids.
    pub(crate) fn ids(&self) -> Vec<KeyId> {
        let mut ids: Vec<_> = self.places.names().collect();
        ids.sort_unstable();
        ids
    }
}
