//! Who really holds limits: organizations, each with a domain for every class of models. Which key belongs to which is
//! found out from what answers show.
//!
//! The workspaces of organizations are kept in the same way, for they may have narrower limits: a call counts against
//! both.
//!
//! Every key begins alone, or with those of its `limit_group`. When two turn out to be of one organization, what is
//! known of both is put together; what is under way stays outstanding.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fleet::Class;
use crate::limits::{Backlog, Limits};
use crate::rest::Rests;
use crate::time::Time;
use crate::window::{EVEN, Windows};

/// The most classes that are told apart. The names of models come from clients, and whoever makes them up must not
/// fill memory; those beyond share one.
const MOST_CLASSES: usize = 1_000;

/// A class by its place in the table of those that were met.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ClassId(usize);

/// The classes that were met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Classes(BTreeMap<Class, ClassId>);

/// A limit domain: of one account, for one class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct DomainId {
    pub(crate) account: usize,
    pub(crate) class: ClassId,
}

/// Everybody who holds limits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    all: Vec<Account>,
    organizations: BTreeMap<String, usize>,
    groups: BTreeMap<String, usize>,
}

/// One who holds limits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// As it names itself, once it has.
    pub(crate) organization: Option<String>,
    /// As the configuration calls it.
    pub(crate) group: Option<String>,
    /// That something is used up, or that there is no money.
    pub(crate) rests: Rests,
    /// The windows of its subscription, if it has one. They lie elsewhere: choices look at very many accounts, and most
    /// have none.
    pub(crate) windows: Option<Box<Windows>>,
    domains: Vec<(ClassId, Domain)>,
    /// It turned out to be that one.
    into: Option<usize>,
}

/// The limits of one class of models at one account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Domain {
    pub(crate) limits: Limits,
    /// What those need who wait here.
    pub(crate) ahead: Backlog,
    /// It has been asked how many calls its provider allows at once.
    pub(crate) is_told: bool,
    ramp: Ramp,
}

/// How much is dared while nothing is known of limits: one call at a time at first, and twice as many with each success
/// and each second.
#[derive(Clone, Copy, Debug, Default)]
struct Ramp {
    since: Option<Time>,
    successes: u32,
}

/// Which account a key turned out to belong to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// Nothing new.
    Known,
    /// Its account has a name now.
    Named,
    /// It and all that share its limits are of that account, which is known already.
    Same(usize),
    /// It alone is of that account.
    Moved(usize),
}

impl Classes {
    /// The place of a class.
    pub(crate) fn id(&mut self, class: &Class) -> ClassId {
        if let Some(known) = self.0.get(class) {
            return *known;
        }
        let next = ClassId(self.0.len());
        if next.0 >= MOST_CLASSES {
            return ClassId(MOST_CLASSES);
        }
        self.0.insert(class.clone(), next);
        next
    }

    /// The place of a class that was met.
    pub(crate) fn find(&self, class: &Class) -> Option<ClassId> {
        self.0.get(class).copied()
    }

    /// What each is called; those that were too many have no name.
    pub(crate) fn names(&self) -> BTreeMap<ClassId, &Class> {
        self.0.iter().map(|(class, id)| (*id, class)).collect()
    }

    /// What a class is called; nothing, if it is the one of those that were too many.
    pub(crate) fn name(&self, id: ClassId) -> Class {
        let known = self.0.iter().find(|(_, known)| **known == id);
        known.map(|(class, _)| class.clone()).unwrap_or_default()
    }
}

impl Accounts {
    /// Every domain there is.
    pub(crate) fn domains_mut(&mut self) -> impl Iterator<Item = &mut Domain> {
        self.all.iter_mut().flat_map(|account| account.domains.iter_mut().map(|(_, domain)| domain))
    }

    /// The account with which a key begins: its group's, or one of its own.
    pub(crate) fn begin(&mut self, group: Option<&str>) -> usize {
        if let Some(known) = group.and_then(|group| self.groups.get(group)) {
            return self.now(*known);
        }
        let account = self.open();
        if let Some(group) = group {
            self.groups.insert(group.to_owned(), account);
            self.all[account].group = Some(group.to_owned());
        }
        account
    }

    fn open(&mut self) -> usize {
        self.all.push(Account::default());
        self.all.len() - 1
    }

    /// What an account has turned out to be by now.
    pub(crate) fn now(&self, mut account: usize) -> usize {
        while let Some(into) = self.all[account].into {
            account = into;
        }
        account
    }

    pub(crate) fn get(&self, account: usize) -> &Account {
        &self.all[self.now(account)]
    }

    pub(crate) fn get_mut(&mut self, account: usize) -> &mut Account {
        let account = self.now(account);
        &mut self.all[account]
    }

    /// An answer of a key of that account names this organization.
    pub(crate) fn identify(&mut self, account: usize, organization: &str, now: Time) -> Found {
        let account = self.now(account);
        let known = self.organizations.get(organization).copied().map(|known| self.now(known));
        match &self.all[account].organization {
            Some(own) if own == organization => Found::Known,
            // It said otherwise before: the key is another's now, and so was put into a group by mistake or renewed.
            Some(_) => Found::Moved(known.unwrap_or_else(|| {
                let other = self.open();
                self.name(other, organization);
                other
            })),
            None => {
                if let Some(known) = known {
                    self.merge(account, known, now);
                    Found::Same(known)
                } else {
                    self.name(account, organization);
                    Found::Named
                }
            }
        }
    }

    fn name(&mut self, account: usize, organization: &str) {
        self.all[account].organization = Some(organization.to_owned());
        self.organizations.insert(organization.to_owned(), account);
    }

    fn merge(&mut self, account: usize, into: usize, now: Time) {
        let Account { domains, rests, windows, .. } = std::mem::take(&mut self.all[account]);
        self.all[account].into = Some(into);
        let other = &mut self.all[into];
        other.rests.absorb(&rests);
        if let Some(windows) = windows {
            other.windows_mut().absorb(*windows, now);
        }
        for (class, domain) in domains {
            other.domain_mut(class).absorb(&domain, now);
        }
    }
}

impl Account {
    /// Does nobody call it anything?
    pub(crate) const fn is_nameless(&self) -> bool {
        self.organization.is_none() && self.group.is_none()
    }

    /// How strained its windows are for a class.
    pub(crate) fn strain(&self, class: &Class, now: Time) -> u32 {
        self.windows.as_ref().map_or(EVEN, |windows| windows.strain(class, now))
    }

    pub(crate) fn windows(&self) -> &Windows {
        const NONE: &Windows = &Windows::NONE;
        self.windows.as_deref().unwrap_or(NONE)
    }

    pub(crate) fn windows_mut(&mut self) -> &mut Windows {
        self.windows.get_or_insert_default()
    }

    pub(crate) fn domains(&self) -> impl Iterator<Item = (ClassId, &Domain)> {
        self.domains.iter().map(|(class, domain)| (*class, domain))
    }

    /// Nothing is owed to its limits any more.
    pub(crate) fn forgive(&mut self, now: Time) {
        self.domains.iter_mut().for_each(|(_, domain)| domain.limits.forgive(now));
    }

    pub(crate) fn domain(&self, class: ClassId) -> Option<&Domain> {
        self.domains.iter().find(|(own, _)| *own == class).map(|(_, domain)| domain)
    }

    pub(crate) fn domain_mut(&mut self, class: ClassId) -> &mut Domain {
        let known = self.domains.iter().position(|(own, _)| *own == class);
        let place = known.unwrap_or_else(|| {
            self.domains.push((class, Domain::default()));
            self.domains.len() - 1
        });
        &mut self.domains[place].1
    }
}

impl Domain {
    /// While nothing is known of limits, may one more go? If not, when.
    pub(crate) fn dares(&self, now: Time) -> Time {
        let Some(since) = self.ramp.since.filter(|_| !self.limits.is_limited()) else { return now };
        // So many doublings allow more than are open.
        let wanted = u32::BITS - self.limits.calls().open().leading_zeros();
        let missing = wanted.saturating_sub(self.ramp.successes);
        now.max(since + Duration::from_secs(u64::from(missing)))
    }

    /// One more goes.
    pub(crate) fn begin(&mut self, now: Time) {
        self.ramp.since.get_or_insert(now);
    }

    /// One was refused for want of what nobody knows: the next one is dared as the first was.
    pub(crate) fn refuse(&mut self) {
        self.ramp = Ramp::default();
    }

    /// One was served.
    pub(crate) const fn succeed(&mut self) {
        self.ramp.successes = self.ramp.successes.saturating_add(1);
    }

    fn absorb(&mut self, other: &Self, now: Time) {
        self.limits.absorb(&other.limits, now);
        self.ahead.join(&other.ahead);
        self.is_told &= other.is_told;
        self.ramp.successes = self.ramp.successes.max(other.ramp.successes);
        self.ramp.since = self.ramp.since.max(other.ramp.since);
    }
}
