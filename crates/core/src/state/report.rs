//! What operators see of the state: plain data, copied out in small pieces.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::fleet::{Class, KeyId, Provider, ProviderId};
use crate::key::{Standing, Totals};
use crate::limits::{COUNTED, Counted, Limits};
use crate::plan::Lease;
use crate::quota::{Quota, UnifiedStatus};
use crate::rest::{Readiness, Unready};
use crate::time::Time;
use crate::window::{Share, Window, WindowName};

use super::State;

/// The state as operators see it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// In the order of the configuration.
    pub providers: Vec<ProviderReport>,
    /// How many calls wait for a key.
    pub waiting: usize,
}

/// One provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderReport {
    /// Which one.
    pub id: ProviderId,
    /// Its keys, in the order of the configuration.
    pub keys: Vec<KeyReport>,
    /// How many really hold their limits, as far as is known: keys of one organization share them.
    pub holders: usize,
}

/// One key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyReport {
    /// Which one.
    pub id: KeyId,
    /// Its label.
    pub label: String,
    /// Leases open now.
    pub in_flight: u32,
    /// What it has carried.
    pub totals: Totals,
    /// What is held against it; without a class it speaks of the whole key.
    pub held: Vec<(Option<Class>, Unready)>,
    /// What the headers of its answers said last.
    pub quota: Option<Quota>,
    /// The organization that holds its limits, once an answer has named it.
    pub organization: Option<String>,
    /// Its workspace there, once an answer has named it.
    pub workspace: Option<String>,
    /// The limits that are known, of its organization, of its workspace and its own; those that keys share are told with
    /// each of them.
    pub limits: Vec<LimitReport>,
    /// How many calls those may have under way at once, where that is limited.
    pub calls: Vec<CallsReport>,
    /// The windows of its subscription, as far as they have not been reset since they were told of.
    pub windows: Vec<WindowReport>,
}

/// Who holds a limit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Holder {
    /// The organization.
    Organization,
    /// A part of it.
    Workspace,
}

/// One limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LimitReport {
    /// Whose it is. None: the key's own, to which its operator caps it.
    pub holder: Option<Holder>,
    /// Of which models. None: of all together.
    pub class: Option<Class>,
    /// What is counted.
    pub counted: Counted,
    /// How many a minute.
    pub per_minute: u64,
    /// How many minutes' worth it holds when full, as a time.
    pub burst: Duration,
    /// How many are neither used nor promised; 0 in debt.
    pub available: u64,
    /// How many are owed: what was used turned out to be more than there was. Nobody is served before they are back.
    pub owed: u64,
    /// How long that takes.
    pub owes_for: Duration,
}

/// How many calls somebody may have under way at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallsReport {
    /// Whose they are. None: the key's own, to which its operator caps them.
    pub holder: Option<Holder>,
    /// For which models. None: for all together.
    pub class: Option<Class>,
    /// So many may be.
    pub most: u32,
    /// So many are.
    pub open: u32,
}

/// One window of a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WindowReport {
    /// Which one.
    pub name: WindowName,
    /// The models that it is about, where its name does not say that.
    pub class: Option<Class>,
    /// What was said of it last.
    pub status: Option<UnifiedStatus>,
    /// The most that was told to be used of it.
    pub used: Option<Share>,
    /// When it is reset, if that was told.
    pub reset: Option<Time>,
}

/// The limits around a call that was granted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Around {
    /// Who holds them: the organization as it names itself, or its group in the configuration.
    pub holder: Option<String>,
    /// How much is left of each that is limited, for anybody: neither used nor promised, by the narrowest of those
    /// that hold.
    pub remaining: Vec<(Counted, u64)>,
    /// How many more calls may be under way at once, if that is limited.
    pub calls: Option<u32>,
}

/// How many keys a provider has, and how many of them could serve now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// All of them.
    pub total: usize,
    /// Those neither cooling for the class nor barred.
    pub available: usize,
}

impl State {
    /// Everything, for operators.
    pub fn report(&self, now: Time) -> Report {
        let providers = self.fleet.providers.iter().map(|provider| ProviderReport {
            id: provider.id,
            keys: provider.keys.iter().map(|key| self.report_key(key.id, &key.label, now)).collect(),
            holders: self.holders_of(provider),
        });
        Report { providers: providers.collect(), waiting: self.queue.len() }
    }

    /// How many hold the limits of a provider's keys.
    pub(super) fn holders_of(&self, provider: &Provider) -> usize {
        let places = provider.keys.iter().filter_map(|key| self.keys.place_of(key.id));
        let accounts: BTreeSet<usize> =
            places.map(|place| self.accounts.now(self.keys.at(place).account)).collect();
        accounts.len()
    }

    /// How many keys that provider has for calls of that class. It looks at each of them.
    pub fn count(&self, provider: ProviderId, class: &Class, now: Time) -> Count {
        let pool = self.pool_of(provider);
        let ready =
            |key: &&usize| matches!(self.readiness(**key, class, now), Readiness::Ready | Readiness::Probe);
        Count { total: pool.len(), available: pool.iter().filter(ready).count() }
    }

    /// The limits around a call.
    pub fn around(&self, lease: &Lease, now: Time) -> Around {
        let Some(book) = &lease.book else { return Around::default() };
        let account = self.accounts.get(book.domain.account);
        let domain = account.domain(book.domain.class);
        let room = self.workspaces.get(book.room.account).domain(book.room.class);
        let holders = domain.into_iter().chain(room).map(|held| &held.limits);
        let holders: Vec<_> = holders.chain([&self.keys.at(book.key).caps]).collect();
        let least = |counted: Counted| {
            let left = holders.iter().filter_map(|limits| limits.of(counted).available(now)).min()?;
            Some((counted, left))
        };
        let holder = account.organization.clone().or_else(|| account.group.clone());
        let left = holders.iter().filter_map(|limits| {
            let calls = limits.calls();
            calls.most().map(|most| most.saturating_sub(calls.open()))
        });
        Around { holder, remaining: COUNTED.into_iter().filter_map(least).collect(), calls: left.min() }
    }

    /// All limits of a key, and of whom and of which models they are: none, if they are its own.
    fn limits_of<'a>(
        &'a self,
        standing: &'a Standing,
    ) -> impl Iterator<Item = (Option<Holder>, Option<Class>, &'a Limits)> {
        let accounts = [
            (Holder::Organization, self.accounts.get(standing.account)),
            (Holder::Workspace, self.workspaces.get(standing.workspace)),
        ];
        let domains = accounts.into_iter().flat_map(|(holder, account)| {
            let class = |class| Some(self.classes.name(class));
            account.domains().map(move |(id, domain)| (Some(holder), class(id), &domain.limits))
        });
        domains.chain([(None, None, &standing.caps)])
    }

    fn report_calls(&self, standing: &Standing) -> Vec<CallsReport> {
        let limited = self.limits_of(standing).filter_map(|(holder, class, limits)| {
            let calls = limits.calls();
            Some(CallsReport { holder, class, most: calls.most()?, open: calls.open() })
        });
        limited.collect()
    }

    fn report_limits(&self, standing: &Standing, now: Time) -> Vec<LimitReport> {
        let all = self.limits_of(standing).flat_map(|(holder, class, limits)| {
            COUNTED.map(|counted| (holder, class.clone(), limits.of(counted), counted))
        });
        let known = all.filter_map(|(holder, class, meter, counted)| {
            let (per_minute, burst) = meter.rate().zip(meter.burst())?;
            let (available, (owed, owes_for)) = (meter.available(now)?, meter.owed(now));
            Some(LimitReport { holder, class, counted, per_minute, burst, available, owed, owes_for })
        });
        known.collect()
    }

    fn report_windows(&self, standing: &Standing, now: Time) -> Vec<WindowReport> {
        let windows = self.accounts.get(standing.account).windows().current(now);
        let report = |window: &Window| WindowReport {
            name: window.name,
            class: window.about.class().cloned(),
            status: window.status,
            used: window.used(now),
            reset: window.reset(),
        };
        windows.map(report).collect()
    }

    fn report_key(&self, id: KeyId, label: &str, now: Time) -> KeyReport {
        let standing = self.keys.get(id);
        let held = standing.map(|it| {
            let shared = &self.accounts.get(it.account).rests;
            let own: Vec<_> = it.rests.held(now).collect();
            let others = shared.held(now).filter(|held| !own.contains(held));
            own.iter().copied().chain(others).map(|(class, what)| (class.cloned(), what)).collect()
        });
        KeyReport {
            id,
            label: label.to_owned(),
            in_flight: standing.map_or(0, |standing| standing.in_flight),
            totals: standing.map_or_else(Totals::default, |standing| standing.totals),
            held: held.unwrap_or_default(),
            quota: self.quotas.get(&id).cloned(),
            organization: standing.and_then(|it| self.accounts.get(it.account).organization.clone()),
            workspace: standing.and_then(|it| self.workspaces.get(it.workspace).organization.clone()),
            limits: standing.map_or_else(Vec::new, |it| self.report_limits(it, now)),
            calls: standing.map_or_else(Vec::new, |it| self.report_calls(it)),
            windows: standing.map_or_else(Vec::new, |it| self.report_windows(it, now)),
        }
    }
}
