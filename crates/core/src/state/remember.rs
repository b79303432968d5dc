//! What a restart must not forget: told now and then, and taken in again at the start.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::account::{Account, ClassId};
use crate::estimate::Estimates;
use crate::fleet::{Class, Key};
use crate::limits::{COUNTED, Limits};
use crate::memory::{EstimateMemory, HolderMemory, HomeMemory, KeyMemory, LimitMemory, Mark, Memory};
use crate::quota::Quota;
use crate::time::{Roll, Time};

use super::{Holder, State};

/// What was learned of models that nobody asked for since then is of no use: limits are others by then. So names that
/// clients made up once do not fill memory for ever.
const STALE: Duration = Duration::from_hours(24 * 30);

/// So many classes of models are remembered, those that were used last.
const MOST_CLASSES: usize = 200;

/// Those of one kind who hold limits, as they are told: each once, whoever they are shared by.
struct Told<'a> {
    names: &'a BTreeMap<ClassId, &'a Class>,
    now: Time,
    holders: Vec<HolderMemory>,
    /// The place of each among the holders; none if there is nothing to tell of it.
    places: BTreeMap<(Holder, usize), Option<usize>>,
}

impl State {
    /// What is to be remembered: of models, conversations and what keys own, only what is new since that mark. With
    /// the mark for the next time.
    ///
    /// As long as nothing happens to somebody it is told in the same words. Of answers that still flow it is assumed
    /// that they will have taken all that was promised to them.
    ///
    /// How much is dared while no limits are known, and which prefixes are warm, is not told: both come back within
    /// seconds.
    pub fn remember(&self, since: Mark, now: Time) -> (Memory, Mark) {
        let names = self.classes.names();
        let mut told = Told { names: &names, now, holders: Vec::new(), places: BTreeMap::new() };
        let pools = self.fleet.providers.iter().zip(&self.pools);
        let keys = pools.flat_map(|(provider, pool)| provider.keys.iter().zip(pool));
        let keys = keys.map(|(key, place)| self.remember_key(key, *place, &mut told)).collect();
        let new = self.estimates.iter().filter(|(_, known)| known.seen() >= since.at());
        let estimates = new.filter_map(|(id, known)| Some(known.remember((*names.get(id)?).clone())));
        let memory = Memory {
            at: now,
            keys,
            estimates: estimates.collect(),
            holders: told.holders,
            homes: self.affinity.remember(since.at()),
            owners: self.owners.remember(since.owners()),
        };
        (memory, Mark::new(now, self.owners.noted()))
    }

    /// Takes in what was remembered: of keys that are still there with the same secret, and as far as it is still true.
    /// What was learned since stays: of limits and rests the stricter holds, of the rest what is known here. With the mark of
    /// what need not be told again, if nothing was learned yet.
    pub fn recall(&mut self, memory: Memory, now: Time, roll: Roll) -> Mark {
        self.affinity.seed(roll);
        // What is of the future was told by a clock that went ahead. Since then no time has passed that anybody knows of.
        let (ahead, memory) = (memory.at > now, if memory.at > now { memory.moved(now) } else { memory });
        for known in latest(&memory.estimates, now) {
            let class = self.classes.id(&known.class);
            self.estimates.entry(class).or_insert_with(|| Estimates::recall(known));
        }
        for (name, key) in &memory.owners {
            if self.owners.of(name).is_none() {
                self.owners.note(name, *key);
            }
        }
        self.recall_keys(memory, now);
        // What was moved is to be told as it is now.
        if ahead { Mark::default() } else { Mark::new(now, self.owners.noted()) }
    }

    fn remember_key(&self, key: &Key, place: usize, told: &mut Told<'_>) -> KeyMemory {
        let standing = self.keys.at(place);
        let organization = self.accounts.now(standing.account);
        let workspace = self.workspaces.now(standing.workspace);
        let mut caps = Vec::new();
        note_limits(&Class::default(), &standing.caps, &mut caps);
        KeyMemory {
            key: key.id,
            secret: KeyMemory::secret(&key.label),
            organization: told.place(Holder::Organization, organization, self.accounts.get(organization)),
            workspace: told.place(Holder::Workspace, workspace, self.workspaces.get(workspace)),
            rests: standing.rests.remember(told.now),
            caps,
        }
    }

    /// Takes in what is remembered of keys that were not there yet when it was recalled: the commands of some take long.
    pub(super) fn claim(&mut self, now: Time) {
        if self.unclaimed.keys.iter().any(|known| self.keys.place_of(known.key).is_some()) {
            let memory = std::mem::take(&mut self.unclaimed);
            self.recall_keys(memory, now);
        }
    }

    /// Takes in what was known of keys that are still what they were, and whose they are. Of those that are not there, it
    /// is kept until they are.
    fn recall_keys(&mut self, mut memory: Memory, now: Time) {
        let listed = self.fleet.providers.iter().flat_map(|provider| &provider.keys);
        let secrets: BTreeMap<_, _> = listed.map(|key| (key.id, KeyMemory::secret(&key.label))).collect();
        let (here, away): (Vec<_>, _) =
            memory.keys.into_iter().partition(|known| secrets.contains_key(&known.key));
        let same = here.into_iter().filter(|known| secrets.get(&known.key) == Some(&known.secret));
        let same: Vec<_> = same.filter_map(|known| Some((self.keys.place_of(known.key)?, known))).collect();
        // That is no news.
        let news = self.events.len();
        // First whose they are, and then what that one holds: those who share it may be known only together.
        let name = |place: Option<usize>| memory.holders.get(place?)?.name.clone();
        for (place, known) in &same {
            let (organization, workspace) = (name(known.organization), name(known.workspace));
            self.identify(*place, &Quota { organization, workspace, ..Quota::default() }, now);
        }
        self.events.truncate(news);
        self.recall_holders(&same, &mut memory.holders, now);
        for (place, known) in &same {
            self.recall_key(*place, known, now);
        }
        let is_same = |home: &&HomeMemory| same.iter().any(|(_, known)| known.key == home.key);
        self.affinity.recall(memory.homes.iter().filter(is_same), now);
        memory.homes.retain(|home| away.iter().any(|known: &KeyMemory| known.key == home.key));
        let Memory { at, holders, homes, .. } = memory;
        self.unclaimed = Memory { at, holders, homes, keys: away, ..Memory::default() };
    }

    /// What is remembered of those who hold the limits of keys. Of each it is taken in once: later they know better.
    fn recall_holders(&mut self, keys: &[(usize, KeyMemory)], holders: &mut [HolderMemory], now: Time) {
        let mut recalled = BTreeSet::new();
        for (key, known) in keys {
            for (holder, told) in
                [(Holder::Organization, known.organization), (Holder::Workspace, known.workspace)]
            {
                let Some((told, known)) = told.and_then(|told| Some((told, holders.get(told)?))) else {
                    continue;
                };
                let place = self.holder(holder, *key);
                if recalled.insert((told, place)) {
                    self.recall_holder((holder, place), known, now);
                }
            }
        }
        for (told, _) in recalled {
            let HolderMemory { holder, .. } = holders[told];
            holders[told] = HolderMemory { name: holders[told].name.take(), ..HolderMemory::nothing(holder) };
        }
    }

    fn recall_key(&mut self, place: usize, known: &KeyMemory, now: Time) {
        let standing = self.keys.at_mut(place);
        for rest in &known.rests {
            standing.rests.recall(rest, now);
        }
        for cap in &known.caps {
            // The operator may have capped it otherwise since.
            if standing.caps.of(cap.counted).rate() == Some(cap.per_minute) {
                standing.caps.recall(cap, now);
            }
        }
    }

    /// The place of the one who holds limits of a key.
    fn holder(&self, holder: Holder, key: usize) -> usize {
        let standing = self.keys.at(key);
        match holder {
            Holder::Organization => self.accounts.now(standing.account),
            Holder::Workspace => self.workspaces.now(standing.workspace),
        }
    }

    fn recall_holder(&mut self, (holder, place): (Holder, usize), known: &HolderMemory, now: Time) {
        let holders = match holder {
            Holder::Organization => &mut self.accounts,
            Holder::Workspace => &mut self.workspaces,
        };
        let account = holders.get_mut(place);
        for rest in &known.rests {
            account.rests.recall(rest, now);
        }
        for window in &known.windows {
            account.windows_mut().recall(window, now);
        }
        let mut limits: Vec<_> = known.limits.iter().filter(|limit| now.since(limit.full) < STALE).collect();
        limits.sort_by_key(|limit| Reverse(limit.full));
        for limit in limits.into_iter().take(MOST_CLASSES * COUNTED.len()) {
            account.domain_mut(self.classes.id(&limit.class)).limits.recall(limit, now);
        }
        for (class, most) in known.calls.iter().take(MOST_CLASSES) {
            account.domain_mut(self.classes.id(class)).limits.recall_calls(*most, now);
        }
    }
}

impl Told<'_> {
    /// The place of one among the holders, who is told if he was not yet.
    fn place(&mut self, holder: Holder, place: usize, account: &Account) -> Option<usize> {
        if let Some(told) = self.places.get(&(holder, place)) {
            return *told;
        }
        let (mut limits, mut calls) = (Vec::new(), Vec::new());
        for (class, domain) in account.domains() {
            if let Some(class) = self.names.get(&class).filter(|_| domain.limits.is_limited()) {
                note_limits(class, &domain.limits, &mut limits);
                calls.extend(domain.limits.calls().found().map(|most| ((*class).clone(), most)));
            }
        }
        let (name, rests) = (account.organization.clone(), account.rests.remember(self.now));
        let windows = account.windows().remember(self.now);
        let known = HolderMemory { holder, name, rests, limits, calls, windows };
        let told = (known != HolderMemory::nothing(holder)).then(|| {
            self.holders.push(known);
            self.holders.len() - 1
        });
        self.places.insert((holder, place), told);
        told
    }
}

/// The limits that there are, of a class.
fn note_limits(class: &Class, limits: &Limits, noted: &mut Vec<LimitMemory>) {
    for counted in COUNTED {
        let meter = limits.of(counted);
        if let (Some(per_minute), Some(burst), Some(full)) = (meter.rate(), meter.burst(), meter.full()) {
            noted.push(LimitMemory { class: class.clone(), counted, per_minute, burst, full });
        }
    }
}

/// Those that were seen last, and not too long ago.
fn latest(estimates: &[EstimateMemory], now: Time) -> Vec<&EstimateMemory> {
    let mut latest: Vec<_> = estimates.iter().filter(|known| now.since(known.seen) < STALE).collect();
    latest.sort_by_key(|known| Reverse(known.seen));
    latest.truncate(MOST_CLASSES);
    latest
}
