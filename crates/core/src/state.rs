//! All that was learned, and the verbs that change it. This is the whole interface of the domain.
//!
//! A plain struct: no locks, no clocks. The shell holds the whole of it under one mutex, for
//! microseconds, and never across an await.

mod exhaust;
mod inventory;
mod report;
mod survey;

use std::collections::BTreeMap;

use crate::event::Event;
use crate::fleet::{Class, Fleet, KeyId, ProviderId};
use crate::key::{Probe, Standing};
use crate::owner::Owners;
use crate::plan::{Done, Exhausted, Lease, MOST_ATTEMPTS, Met, Plan, Step, Subject, Whose};
use crate::queue::{Queue, Ticket, Woken};
use crate::quota::Quota;
use crate::select::Select;
use crate::time::{Roll, Time};
use crate::usage::Usage;
use crate::verdict::{Fault, Next, Toll, Verdict};

pub use self::report::{Count, KeyReport, ProviderReport, Report};

/// All that was learned.
#[derive(Debug, Default)]
pub struct State {
    fleet: Fleet,
    keys: BTreeMap<KeyId, Standing>,
    /// What the headers of each key's answers said last.
    quotas: BTreeMap<KeyId, Quota>,
    among_providers: Option<Select>,
    among_keys: BTreeMap<ProviderId, Select>,
    queue: Queue,
    owners: Owners,
    events: Vec<Event>,
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
        let mut survey = self.survey(plan, now);
        if plan.met.len() >= MOST_ATTEMPTS {
            // Who is ready now may be asked again, but by a new plan.
            survey.note(Some(now).filter(|_| !survey.able.is_empty()), None);
            return Ask::Exhausted(plan.exhausted(&survey));
        }
        if let Some((provider, key)) = self.choose(plan, &survey, roll) {
            return Ask::Granted(self.grant(plan, provider, key, now));
        }
        // It is worth waiting for a key that will be ready; and who waits may be a probe before that.
        let patient = survey.ready.is_some_and(|ready| ready <= plan.wait_until);
        match survey.next.filter(|_| patient) {
            Some(until) => Ask::Wait { ticket: self.queue.join(until), until },
            None => Ask::Exhausted(plan.exhausted(&survey)),
        }
    }

    /// The client left while waiting.
    pub fn cancel(&mut self, ticket: Ticket) {
        self.queue.leave(ticket);
    }

    /// Whose turn has come, and when to look again. The shell owns the timer and the wakers.
    pub fn wake(&mut self, now: Time) -> Woken {
        self.queue.wake(now)
    }

    /// What the head of an answer tells about limits and who holds them.
    pub fn learn(&mut self, lease: &Lease, quota: &Quota) {
        if let Some(key) = lease.key
            && (quota.organization.is_some() || quota.speaks_of_limits())
        {
            let known = self.quotas.entry(key).or_default();
            // Not every answer says whose it is; what was said once stays true.
            let organization = quota.organization.clone().or_else(|| known.organization.take());
            *known = Quota { organization, ..quota.clone() };
        }
    }

    /// What an answer means, and how to go on.
    pub fn judge(&mut self, plan: &mut Plan, lease: Lease, verdict: Verdict, now: Time) -> Step {
        let verdict = match plan.whose {
            Whose::Pool => verdict,
            Whose::Client => verdict.for_own_credential(),
        };
        let effect = verdict.effect();
        let (provider, key) = (lease.provider, lease.key);
        plan.met.push(Met { provider, key, verdict });
        if effect.next == Next::Commit {
            self.prove(&lease);
            return Step::Commit(lease);
        }
        let outdated = self.is_outdated(&lease) && matches!(effect.fault, Fault::Key | Fault::Domain);
        // Before the toll, so that a probe has been given back when the key is judged.
        self.end(lease);
        if outdated {
            return Step::Again;
        }
        if let Some(key) = key {
            self.exact(provider, key, &plan.class, effect.key, now);
        }
        plan.go_on(provider, key.map(|key| self.as_it_is(key)), effect.next, now)
    }

    /// Tokens used so far, by a reply that still flows.
    pub fn charge(&mut self, lease: &mut Lease, usage: Usage) {
        if let Some(standing) = lease.key.and_then(|key| self.keys.get_mut(&key)) {
            standing.charge(lease.used, usage);
        }
        lease.used = usage;
    }

    /// Ends a lease with what it really cost.
    pub fn close(&mut self, mut lease: Lease, usage: Usage) {
        self.charge(&mut lease, usage);
        self.end(lease);
    }

    /// That key owns a file, a batch or a container of that name.
    pub fn own(&mut self, name: &str, key: KeyId) {
        self.owners.note(name, key);
    }

    /// Which key owns it, if that is known and the key is still there.
    pub fn owner(&self, name: &str) -> Option<KeyId> {
        self.owners.of(name).filter(|key| self.fleet.providers.iter().any(|provider| provider.has(*key)))
    }

    /// Everything held against a key is forgotten: it was renewed, or an operator says so.
    pub fn pardon(&mut self, key: KeyId) {
        let pardoned = self.keys.get_mut(&key).is_some_and(Standing::pardon);
        if pardoned {
            self.announce_back(key);
        }
    }

    /// What happened since this was last asked.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// A key, told apart from what it will be when it is renewed.
    pub(super) fn as_it_is(&self, key: KeyId) -> Done {
        Done { key, pardons: self.keys.get(&key).map_or(0, |standing| standing.pardons) }
    }

    fn grant(&mut self, plan: &Plan, provider: ProviderId, key: Option<KeyId>, now: Time) -> Lease {
        let class = plan.class.clone();
        let (probe, pardons) = match key {
            Some(key) => {
                let standing = self.keys.entry(key).or_default();
                (standing.begin(&class, now), standing.pardons)
            }
            None => (Probe::No, 0),
        };
        Lease { provider, key, class, probe, pardons, since: now, used: Usage::ZERO }
    }

    /// Was its key renewed since it was granted? Then what was said of the key was said of the old one.
    fn is_outdated(&self, lease: &Lease) -> bool {
        let standing = lease.key.and_then(|key| self.keys.get(&key));
        standing.is_some_and(|standing| standing.pardons > lease.pardons)
    }

    #[expect(clippy::needless_pass_by_value, reason = "it ends the lease: nobody can use it again")]
    fn end(&mut self, lease: Lease) {
        let Some(key) = lease.key else { return };
        if let Some(standing) = self.keys.get_mut(&key) {
            standing.end(lease.probe);
        }
        self.forget_if_gone(key);
    }

    /// The key of a lease works. If it was a probe, it has done its duty and is given back, though its
    /// reply still flows; that it is given back once more when the lease ends does no harm.
    fn prove(&mut self, lease: &Lease) {
        if let Some(key) = lease.key
            && let Some(standing) = self.keys.get_mut(&key)
        {
            standing.totals.served += 1;
            if standing.prove(&lease.class, lease.since, lease.probe) {
                self.announce_back(key);
            }
        }
    }

    fn announce_back(&mut self, key: KeyId) {
        self.queue.stir();
        if let Some(provider) = self.fleet.providers.iter().find(|provider| provider.has(key)) {
            self.events.push(Event::KeyBack { provider: provider.id, key });
        }
    }

    /// A key pays for a verdict.
    fn exact(&mut self, provider: ProviderId, key: KeyId, class: &Class, toll: Toll, now: Time) {
        let Some(standing) = self.keys.get_mut(&key) else { return };
        match toll {
            Toll::Nothing | Toll::Proven => {}
            Toll::Cools(until) => {
                let until = standing.cool(class, until, now);
                self.events.push(Event::KeyCooled { provider, key, class: class.clone(), until });
            }
            Toll::Barred(reason, extent) => {
                let probe_at = standing.bar(class, reason, extent, now);
                self.events.push(Event::KeyBarred { provider, key, reason, extent, probe_at });
            }
        }
    }
}

impl Plan {
    /// How the plan goes on after an answer that was not the one.
    fn go_on(&mut self, provider: ProviderId, asked: Option<Done>, next: Next, now: Time) -> Step {
        let key = asked.map(|asked| asked.key);
        match next {
            Next::Commit | Next::Stop => return Step::Stop,
            // Whatever short pause it names, this call asks it less and less often.
            Next::KeyOrWait => self.back_off(provider, key, None, now),
            Next::Key => self.drop_key(provider, asked),
            Next::Provider if self.subject == Subject::Property => self.drop_key(provider, asked),
            Next::Provider => self.left.push(provider),
            Next::Hop => {
                self.hops += 1;
                if self.hops > 1 {
                    return Step::Stop;
                }
                self.drop_key(provider, asked);
            }
            Next::BackOff(until) => self.back_off(provider, key, until, now),
            Next::Retry => {
                let broken =
                    |met: &&Met| met.provider == provider && matches!(met.verdict, Verdict::Broken(_));
                if self.met.iter().filter(broken).count() > 1 {
                    self.left.push(provider);
                } else {
                    self.drop_key(provider, asked);
                }
            }
        }
        Step::Again
    }

    /// That key is not asked again; without a key, nor is the provider.
    fn drop_key(&mut self, provider: ProviderId, asked: Option<Done>) {
        match asked {
            Some(asked) => self.done.push(asked),
            None => self.left.push(provider),
        }
    }
}
