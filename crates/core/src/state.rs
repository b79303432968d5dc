//! All that was learned, and the verbs that change it. This is the whole interface of the domain.
//!
//! A plain struct: no locks, no clocks. The shell holds the whole of it under one mutex, for
//! microseconds, and never across an await.

mod announce;
mod books;
mod cheapest;
mod exhaust;
mod gate;
mod home;
mod inventory;
mod lines;
mod pardon;
mod pool;
mod remember;
mod report;
mod survey;
mod windows;

use std::collections::BTreeMap;

use crate::account::{Accounts, ClassId, Classes, Found};
use crate::affinity::Affinity;
use crate::estimate::Estimates;
use crate::event::Event;
use crate::fleet::{Class, Fleet, KeyId, ProviderId};
use crate::key::Keys;
use crate::memory::Memory;
use crate::owner::Owners;
use crate::plan::{Done, Exhausted, Lease, MOST_ATTEMPTS, Met, Plan, Size, Step, Whose};
use crate::prefix::Prefixes;
use crate::queue::{Queue, Spot, Ticket, Woken};
use crate::quota::Quota;
use crate::rest::Probe;
use crate::select::Select;
use crate::text::Text;
use crate::time::{Roll, Time};
use crate::usage::Usage;
use crate::verdict::{Fault, Next, Reason, Toll, Verdict};

use self::home::AtHome;
use self::survey::{Choice, Scratch, Wants};

pub use self::pool::{Pool, PoolWindow};
pub use self::report::{
    Around, CallsReport, Count, Holder, KeyReport, LimitReport, ProviderReport, Report, WindowReport,
};

/// All that was learned.
#[derive(Debug, Default)]
pub struct State {
    fleet: Fleet,
    keys: Keys,
    /// The places of each provider's keys, in the order of the fleet.
    pools: Vec<Vec<usize>>,
    accounts: Accounts,
    /// The parts of accounts, each with narrower limits, if it has any.
    workspaces: Accounts,
    classes: Classes,
    estimates: BTreeMap<crate::account::ClassId, Estimates>,
    /// What the headers of each key's answers said last.
    quotas: BTreeMap<KeyId, Quota>,
    among_providers: Option<Select>,
    among_keys: BTreeMap<ProviderId, Select>,
    queue: Queue,
    /// They were called, and have not heard of it yet.
    woken: Vec<Ticket>,
    owners: Owners,
    affinity: Affinity,
    prefixes: Prefixes,
    /// What is remembered of keys that are not there yet.
    unclaimed: Memory,
    events: Vec<Event>,
    /// Room for those who may be chosen, kept so that no choice allocates any.
    scratch: Scratch,
}

/// The answer to [`State::ask`].
#[derive(Debug)]
pub enum Ask {
    /// Go, with this.
    Granted(Lease),
    /// Not yet: ask again when the ticket is woken, at the latest then.
    Wait {
        /// The place in the queue.
        ticket: Ticket,
        /// The first moment at which, alone, it would be granted.
        until: Time,
    },
    /// Nobody serves it.
    Exhausted(Exhausted),
}

impl State {
    /// May this call go now, and with which key? If not: a place in the queue, or why not at all.
    pub fn ask(&mut self, plan: &mut Plan, now: Time, roll: Roll) -> Ask {
        // Who had to make room for another comes anew.
        let comes = plan.ticket.is_none_or(|ticket| !self.queue.is_carried(ticket));
        let asked = self.look_for(plan, now, roll);
        let Ask::Wait { ticket, until } = asked else { return asked };
        plan.ticket = Some(ticket);
        let Size { bytes, background, .. } = plan.size.unwrap_or_default();
        if comes && !self.has_room(bytes, background) {
            self.leave(plan);
            return Ask::Exhausted(Exhausted::Spent { until });
        }
        self.queue.carry(ticket, bytes);
        asked
    }

    fn look_for(&mut self, plan: &mut Plan, now: Time, roll: Roll) -> Ask {
        self.affinity.seed(roll);
        plan.class_id = Some(self.class(plan));
        let needs = self.needs(plan);
        if let Some(ticket) = plan.ticket
            && let Some(choice) = self.answer_call(plan, ticket, now)
        {
            return self.let_go(plan, choice, now);
        }
        let warm = match self.at_home(plan, &needs, now) {
            AtHome::Now(choice) => return self.let_go(plan, choice, now),
            AtHome::Soon(ticket, until) => return Ask::Wait { ticket, until },
            AtHome::Away(warm) => warm,
        };
        let wants = Wants { cold: &needs, warm: warm.map(|warm| (warm.key, warm.needs)), most: plan.most() };
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut survey = self.survey(plan, &wants, now, &mut scratch);
        let chosen = if plan.met.len() >= MOST_ATTEMPTS {
            // Who is ready now may be asked again, but by a new plan.
            survey.note(Some(now).filter(|_| !scratch.able.is_empty()), None);
            None
        } else {
            self.choose(plan, &wants, &mut scratch, (now, roll))
        };
        self.scratch = scratch;
        if let Some(choice) = chosen {
            return match self.stays(plan, warm.as_ref(), &choice, now) {
                Some((ticket, until)) => Ask::Wait { ticket, until },
                None => self.let_go(plan, choice, now),
            };
        }
        // Who stands in a line is not behind himself.
        if let Some(ticket) = plan.ticket
            && let Some(Spot::Line(domain, rank)) = self.queue.spot(ticket)
        {
            let at = Some(self.expected(domain, rank, now));
            survey.note(at, at);
        }
        if let Some((ticket, until)) = self.waits_at_home(plan, warm.as_ref(), &survey, &needs, now) {
            return Ask::Wait { ticket, until };
        }
        // It is worth waiting for a key that will be ready; and who waits may be a probe before that.
        let rests = survey.rested.is_some_and(|ready| ready <= plan.wait_until);
        let patient = rests || self.turn(plan, now).is_some() || survey.line(plan).is_some();
        if let Some(until) = survey.next.filter(|_| patient && plan.met.len() < MOST_ATTEMPTS) {
            let (ticket, until) = self.queue_up(plan, &wants, &survey, until, now);
            Ask::Wait { ticket, until }
        } else {
            self.leave(plan);
            Ask::Exhausted(plan.exhausted(&survey))
        }
    }

    /// The client left while waiting.
    pub fn cancel(&mut self, ticket: Ticket) {
        self.give_up(ticket);
    }

    /// Whose turn has come, and when to look again. The shell owns the timer and the wakers.
    pub fn wake(&mut self, now: Time) -> Woken {
        if self.woken.is_empty() && self.queue.is_empty() {
            return Woken { tickets: Vec::new(), next: None };
        }
        let mut tickets = std::mem::take(&mut self.woken);
        self.queue.resume(now, &mut tickets);
        while let Some(domain) = self.queue.due(now) {
            self.call_up(domain, now, &mut tickets);
        }
        Woken { tickets, next: self.queue.next() }
    }

    /// What the head of an answer tells about limits and who holds them.
    pub fn learn(&mut self, lease: &mut Lease, quota: &Quota, now: Time) {
        let Some(key) = lease.key else { return };
        if quota.organization.is_some() || quota.speaks_of_limits() {
            self.quotas.entry(key).or_default().renew(quota);
        }
        if let Some(book) = &lease.book {
            self.identify(book.key, quota, now);
        }
        self.note_windows(lease, quota, now);
        self.correct(lease, quota, now);
    }

    /// What an answer means, and how to go on.
    pub fn judge(&mut self, plan: &mut Plan, mut lease: Lease, verdict: Verdict, now: Time) -> Step {
        let verdict = match plan.whose {
            Whose::Pool => verdict,
            Whose::Client => verdict.for_own_credential(),
        };
        let effect = verdict.effect();
        let (provider, key, asked) = (lease.provider, lease.key, lease.since);
        plan.met.push(Met { provider, key, verdict });
        self.spend(&mut lease, effect.spends, now);
        if effect.next == Next::Commit {
            self.prove(&lease, now);
            return Step::Commit(lease);
        }
        let outdated = self.is_outdated(&lease) && matches!(effect.fault, Fault::Key | Fault::Domain);
        // Before the toll, so that a probe has been given back when the key is judged.
        self.end(&mut lease);
        plan.room = Some(lease.into_room());
        if outdated {
            return Step::Again;
        }
        if let Some(key) = key {
            self.exact((provider, key), &plan.class, effect.key, (asked, now));
        }
        plan.go_on(provider, key.map(|key| self.as_it_is(key)), effect.next, now)
    }

    /// Tokens used so far, by a reply that still flows.
    pub fn charge(&mut self, lease: &mut Lease, usage: Usage, now: Time) {
        let usage = lease.plausible(usage);
        if usage == lease.used {
            return;
        }
        if let Some(book) = &lease.book {
            self.keys.at_mut(book.key).charge(lease.used, usage);
        }
        self.post(lease, usage, now);
        lease.used = usage;
    }

    /// How many tokens the text of its answer has, as far as can be told before its provider counts them.
    pub fn text(&self, lease: &Lease) -> Text {
        let class = lease.book.as_ref().map(|book| self.resolve(book.domain).class);
        class.and_then(|class| self.estimates.get(&class)).map_or(Text::SEED, Estimates::text)
    }

    /// Is a prompt for those models to be measured? See [`reckon`](Self::reckon).
    pub fn wants_measure(&self, class: &Class) -> bool {
        self.known(class).is_none_or(Estimates::wants_measure)
    }

    /// How many tokens those models count, most likely, where so many are measured: as many, until answers have shown by how
    /// much they differ. At least one.
    pub fn reckon(&self, class: &Class, measured: u64) -> u64 {
        self.known(class).map_or(measured.max(1), |known| known.reckon(measured))
    }

    fn known(&self, class: &Class) -> Option<&Estimates> {
        self.estimates.get(&self.classes.find(class)?)
    }

    /// Its answer has been streamed, and its tokens have been counted.
    pub fn note_text(&mut self, lease: &Lease, text: Text) {
        if let Some(book) = &lease.book {
            let class = self.resolve(book.domain).class;
            let tokens = lease.plausible(Usage { output: text.tokens, ..Usage::ZERO }).output;
            self.estimates.entry(class).or_default().note_text(Text { tokens, ..text });
        }
    }

    /// Ends a lease with what it really cost.
    pub fn close(&mut self, mut lease: Lease, usage: Usage, now: Time) {
        self.charge(&mut lease, usage, now);
        self.settle(&mut lease, now);
        self.end(&mut lease);
    }

    /// That key owns a file, a batch or a container of that name.
    pub fn own(&mut self, name: &str, key: KeyId) {
        self.owners.note(name, key);
    }

    /// Which key owns it, if that is known and the key is still there.
    pub fn owner(&self, name: &str) -> Option<KeyId> {
        self.owners.of(name).filter(|key| self.fleet.providers.iter().any(|provider| provider.has(*key)))
    }

    /// What happened since this was last asked.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The places of the keys of a provider.
    fn pool_of(&self, provider: ProviderId) -> &[usize] {
        let place = self.fleet.providers.iter().position(|listed| listed.id == provider);
        place.map_or(&[][..], |place| &self.pools[place])
    }

    /// The place of the class of a call.
    fn class(&mut self, plan: &Plan) -> ClassId {
        plan.class_id.unwrap_or_else(|| self.classes.id(&plan.class))
    }

    /// A key, told apart from what it will be when it is renewed.
    pub(super) fn as_it_is(&self, key: KeyId) -> Done {
        Done { key, pardons: self.keys.get(key).map_or(0, |standing| standing.pardons) }
    }

    /// It may go, unless it is better to wait until another one has written what both begin with.
    fn let_go(&mut self, plan: &mut Plan, choice: Choice, now: Time) -> Ask {
        self.leave(plan);
        match self.gate(plan, &choice, now) {
            Some((ticket, until)) => Ask::Wait { ticket, until },
            None => Ask::Granted(self.grant(plan, choice, now)),
        }
    }

    fn grant(&mut self, plan: &mut Plan, choice: Choice, now: Time) -> Lease {
        let prefix = self.mark(plan, &choice, now);
        let stay = self.settle_stay(plan, &choice);
        let mut lease = Lease::of(plan.room.take().unwrap_or_default());
        (lease.provider, lease.key, lease.pardons) = (choice.provider, None, 0);
        lease.class.clone_from(&plan.class);
        (lease.size, lease.conversation) = (plan.size, plan.conversation);
        (lease.probe, lease.account_probe) = (Probe::No, Probe::No);
        (lease.since, lease.stay, lease.prefix) = (now, stay, prefix);
        (lease.used, lease.book) = (Usage::ZERO, None);
        if let Some(place) = choice.key {
            self.tell(place, &choice, &lease.class);
            let probes = self.is_probe(place, &lease.class, now);
            let standing = self.keys.at_mut(place);
            (lease.key, lease.pardons) = (Some(standing.id), standing.pardons);
            standing.begin();
            if !std::mem::take(&mut plan.called) {
                let Size { client, .. } = plan.size.unwrap_or_default();
                self.queue.pass(choice.domain, client, choice.needs.tokens());
            }
            if probes {
                lease.probe = standing.rests.probe(&lease.class);
                let account = standing.account;
                lease.account_probe = self.accounts.get_mut(account).rests.probe(&lease.class);
            }
            lease.book = Some(self.open_book(place, &choice, now));
        }
        lease
    }

    /// Was its key renewed since it was granted? Then what was said of the key was said of the old one.
    fn is_outdated(&self, lease: &Lease) -> bool {
        let standing = lease.key.and_then(|key| self.keys.get(key));
        standing.is_some_and(|standing| standing.pardons > lease.pardons)
    }

    fn end(&mut self, lease: &mut Lease) {
        let Some(key) = lease.key else { return };
        self.mark_ended(lease);
        self.close_book(lease);
        if let Some(standing) = self.keys.get_mut(key) {
            standing.end(lease.probe);
            let account = standing.account;
            self.accounts.get_mut(account).rests.give_back(lease.account_probe);
        }
        self.forget_if_gone(key);
    }

    /// The key of a lease works. If it was a probe, it has done its duty and is given back, though its
    /// reply still flows; that it is given back once more when the lease ends does no harm.
    fn prove(&mut self, lease: &Lease, now: Time) {
        let Some(key) = lease.key else { return };
        if let Some(book) = &lease.book {
            let domain = self.resolve(book.domain);
            let held = self.accounts.get_mut(domain.account).domain_mut(domain.class);
            held.succeed();
            if held.limits.calm(now) || !held.limits.is_limited() {
                // More is dared now.
                self.queue.touch(domain.account);
            }
        }
        let Some(standing) = self.keys.get_mut(key) else { return };
        standing.totals.served += 1;
        let own = standing.rests.prove(&lease.class, lease.since, lease.probe);
        let rests = &mut self.accounts.get_mut(standing.account).rests;
        let shared = rests.prove(&lease.class, lease.since, lease.account_probe);
        if own || shared {
            self.announce_back(key);
        }
    }

    fn announce_back(&mut self, key: KeyId) {
        self.queue.stir();
        if let Some(provider) = self.fleet.providers.iter().find(|provider| provider.has(key)) {
            self.events.push(Event::KeyBack { provider: provider.id, key });
        }
    }

    fn announce_placed(&mut self, place: usize) {
        let key = self.keys.at(place).id;
        if let Some(provider) = self.fleet.providers.iter().find(|provider| provider.has(key)) {
            let (keys, holders) = (provider.keys.len(), self.holders_of(provider));
            self.events.push(Event::KeyPlaced { provider: provider.id, key, keys, holders });
        }
    }

    /// A key pays for a verdict, or the organization that holds its limits.
    fn exact(
        &mut self,
        (provider, key): (ProviderId, KeyId),
        class: &Class,
        toll: Toll,
        (asked, now): (Time, Time),
    ) {
        let Some(standing) = self.keys.get_mut(key) else { return };
        match toll {
            Toll::Nothing | Toll::Proven => {}
            Toll::Cools(until) => {
                let account = standing.account;
                self.disappoint(key, class, (asked, now));
                // Against both: if a sibling is served all the same, it was not the organization's limit but one of the
                // key's workspace.
                let Some(standing) = self.keys.get_mut(key) else { return };
                let until = standing.rests.cool(class, until, now);
                self.accounts.get_mut(account).rests.cool(class, until, now);
                let (window, until) = match self.use_up_windows(key, class, now) {
                    Some((window, reset)) => (Some(window), until.max(reset)),
                    None => (None, until),
                };
                self.events.push(Event::KeyCooled { provider, key, class: class.clone(), window, until });
            }
            Toll::Crowds(until) => {
                let account = standing.account;
                let domain = self.classes.id(class);
                let limits = &mut self.accounts.get_mut(account).domain_mut(domain).limits;
                let (before, is_why) = (limits.calls().most(), limits.crowd(now));
                if !is_why {
                    return self.exact((provider, key), class, Toll::Cools(until), (asked, now));
                }
                if let Some(most) = limits.calls().found().filter(|most| before != Some(*most)) {
                    self.events.push(Event::Crowded { provider, key, class: class.clone(), most });
                }
                self.queue.touch(account);
            }
            Toll::Barred(reason, extent) => {
                let rests = match reason {
                    // The money is the organization's.
                    Reason::OutOfMoney => &mut self.accounts.get_mut(standing.account).rests,
                    Reason::Unaccepted => &mut standing.rests,
                };
                let probe_at = rests.bar(class, reason, extent, now);
                self.events.push(Event::KeyBarred { provider, key, reason, extent, probe_at });
            }
        }
    }

    /// An answer names the organization that holds the limits of a key, and its workspace there.
    fn identify(&mut self, place: usize, quota: &Quota, now: Time) {
        if let Some(organization) = &quota.organization {
            let account = self.accounts.now(self.keys.at(place).account);
            match self.accounts.identify(account, organization, now) {
                Found::Known | Found::Named => {}
                Found::Same(into) => {
                    self.queue.move_all(account, into);
                    self.announce_placed(place);
                }
                Found::Moved(into) => {
                    self.keys.at_mut(place).account = into;
                    // Whoever waits for it waits for the limits of others.
                    self.dissolve();
                    self.announce_placed(place);
                }
            }
        }
        if let Some(workspace) = &quota.workspace {
            let known = self.workspaces.now(self.keys.at(place).workspace);
            if let Found::Moved(into) = self.workspaces.identify(known, workspace, now) {
                self.keys.at_mut(place).workspace = into;
            }
        }
    }
}
