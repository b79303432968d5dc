//! One key's standing: ready, resting until a moment, or barred until a probe succeeds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fleet::Class;
use crate::time::Time;
use crate::usage::Usage;
use crate::verdict::{Extent, Reason};

/// However long a provider says that a quota is gone, one call asks again this soon: limits are
/// raised, windows reset early, and users of other relays found keys benched for days that worked.
pub const LONGEST_UNPROBED: Duration = Duration::from_mins(5);

/// A barred key is asked again by one call after this long; each failure doubles it, up to
/// [`LONGEST_UNPROBED`]. Long enough not to look like an attack on the account, short enough that
/// a key repaired at the provider returns while the operator still watches.
pub const FIRST_REPROBE: Duration = Duration::from_secs(30);

/// What is known of one key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Leases open now.
    pub(crate) in_flight: u32,
    /// What it has carried since the start.
    pub(crate) totals: Totals,
    rests: BTreeMap<Scope, Rest>,
    /// How often it was pardoned: what is said of a lease that is older speaks of a key that was another.
    pub(crate) pardons: u64,
    /// How many probes there have been: the last one's number.
    probes: u64,
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

/// Why a key is not used, for operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unready {
    /// Its quota is used up until then.
    Cooling(Time),
    /// It was refused; asked again then.
    Barred(Reason, Time),
}

/// May a key be used?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Readiness {
    /// Yes.
    Ready,
    /// By one call, to see whether it works again.
    Probe,
    /// Not now.
    Resting {
        /// When its quota is there again; none if it is barred.
        ready: Option<Time>,
        /// When the next call may go, be it a probe; none while a barred key is being probed.
        next: Option<Time>,
    },
}

/// Is a lease a probe?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Probe {
    /// The one of that number: what a later probe asks is not given back with it.
    Yes(u64),
    No,
}

/// What a rest speaks of. Being refused and being used up are apart, for neither ends the other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Scope {
    Key,
    Refused(Class),
    Spent(Class),
}

/// Why and how long a key is not used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rest {
    cause: Cause,
    /// When it was imposed, last. An answer to a call that is older disproves nothing.
    since: Time,
    /// When one call may ask all the same.
    probe_at: Time,
    /// The probe that is on its way.
    probe: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cause {
    Cooling { until: Time },
    Barred { reason: Reason, strikes: u32 },
}

impl Standing {
    /// May it serve a call of this class now?
    pub(crate) fn readiness(&self, class: &Class, now: Time) -> Readiness {
        let mut readiness = Readiness::Ready;
        let (mut ready, mut next) = (Some(now), Some(now));
        for rest in self.touching(class).filter(|rest| rest.holds(now)) {
            let opens = rest.opens();
            next = next.zip(opens).map(|(next, opens)| next.max(opens));
            if opens.is_none_or(|opens| now < opens) {
                ready = ready.zip(rest.ends()).map(|(ready, ends)| ready.max(ends));
                readiness = Readiness::Resting { ready, next };
            } else if readiness == Readiness::Ready {
                readiness = Readiness::Probe;
            }
        }
        readiness
    }

    /// A lease begins. If it is a probe, nobody else may probe until it has ended.
    pub(crate) fn begin(&mut self, class: &Class, now: Time) -> Probe {
        self.in_flight = self.in_flight.saturating_add(1);
        self.totals.leases += 1;
        if self.readiness(class, now) != Readiness::Probe {
            return Probe::No;
        }
        self.probes += 1;
        for (_, rest) in self.rests.iter_mut().filter(|(scope, _)| scope.touches(class)) {
            rest.probe = Some(self.probes);
        }
        Probe::Yes(self.probes)
    }

    /// A lease ends, whatever became of it. A probe is given back.
    pub(crate) fn end(&mut self, probe: Probe) {
        self.give_back(probe);
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Could it serve a call of this class now?
    pub(crate) fn is_ready(&self, class: &Class, now: Time) -> bool {
        matches!(self.readiness(class, now), Readiness::Ready | Readiness::Probe)
    }

    /// A call that was counted with `before` is found to have used `after`.
    pub(crate) fn charge(&mut self, before: Usage, after: Usage) {
        self.totals.usage = self.totals.usage.less(before) + after;
    }

    /// It rests for this class until then. A later word extends a rest, an earlier one does not shorten it.
    pub(crate) fn cool(&mut self, class: &Class, until: Time, now: Time) -> Time {
        let scope = Scope::Spent(class.clone());
        let known = self.rests.get(&scope).copied();
        let until = match known {
            Some(Rest { cause: Cause::Cooling { until: known }, .. }) => known.max(until),
            _ => until,
        };
        let probe_at = until.min(now + LONGEST_UNPROBED);
        let probe = known.and_then(|rest| rest.probe);
        self.rests.insert(scope, Rest { cause: Cause::Cooling { until }, since: now, probe_at, probe });
        until
    }

    /// It is out until a probe succeeds. Each bar in a row doubles the time to the next probe.
    pub(crate) fn bar(&mut self, class: &Class, reason: Reason, extent: Extent, now: Time) -> Time {
        let scope = match extent {
            Extent::Key => Scope::Key,
            Extent::Class => Scope::Refused(class.clone()),
        };
        let known = self.rests.get(&scope).copied();
        let strikes = match known {
            // Calls that were under way together are one strike, not many.
            Some(Rest { cause: Cause::Barred { .. }, probe_at, .. }) if now < probe_at => return probe_at,
            Some(Rest { cause: Cause::Barred { strikes, .. }, .. }) => strikes.saturating_add(1),
            _ => 0,
        };
        let pause = FIRST_REPROBE.saturating_mul(1 << strikes.min(8)).min(LONGEST_UNPROBED);
        let probe_at = now + pause;
        let probe = known.and_then(|rest| rest.probe);
        self.rests
            .insert(scope, Rest { cause: Cause::Barred { reason, strikes }, since: now, probe_at, probe });
        probe_at
    }

    /// It serves a call of this class, granted at `asked`. What was held against it before is disproved;
    /// what another call has met since is not. True if something was disproved.
    pub(crate) fn prove(&mut self, class: &Class, asked: Time, probe: Probe) -> bool {
        self.give_back(probe);
        let known = self.rests.len();
        self.rests.retain(|scope, rest| !scope.touches(class) || rest.since >= asked);
        self.rests.len() < known
    }

    /// Everything held against it is forgotten: it was renewed, or an operator says so.
    pub(crate) fn pardon(&mut self) -> bool {
        let held = !self.rests.is_empty();
        self.pardons += 1;
        self.rests.clear();
        held
    }

    /// What is held against it now: the class it speaks of, if not the whole key, and what.
    pub(crate) fn held(&self, now: Time) -> impl Iterator<Item = (Option<&Class>, Unready)> {
        self.rests.iter().filter(move |(_, rest)| rest.holds(now)).map(|(scope, rest)| match rest.cause {
            Cause::Cooling { until } => (scope.class(), Unready::Cooling(until)),
            Cause::Barred { reason, .. } => (scope.class(), Unready::Barred(reason, rest.probe_at)),
        })
    }

    /// The rests that bear on a class.
    fn touching(&self, class: &Class) -> impl Iterator<Item = &Rest> {
        self.rests.iter().filter(|(scope, _)| scope.touches(class)).map(|(_, rest)| rest)
    }

    fn give_back(&mut self, probe: Probe) {
        let Probe::Yes(number) = probe else { return };
        for rest in self.rests.values_mut().filter(|rest| rest.probe == Some(number)) {
            rest.probe = None;
        }
    }
}

impl Scope {
    /// The class it speaks of; none if of the whole key.
    const fn class(&self) -> Option<&Class> {
        match self {
            Self::Key => None,
            Self::Refused(class) | Self::Spent(class) => Some(class),
        }
    }

    /// Does it bear on a class?
    fn touches(&self, class: &Class) -> bool {
        self.class().is_none_or(|of| of == class)
    }
}

impl Rest {
    /// Is it still in force?
    fn holds(&self, now: Time) -> bool {
        !matches!(self.cause, Cause::Cooling { until } if until <= now)
    }

    /// When it lets a call through; none while the probe of a barred key is on its way.
    const fn opens(&self) -> Option<Time> {
        match (self.cause, self.probe) {
            (_, None) => Some(self.probe_at),
            (Cause::Cooling { until }, Some(_)) => Some(until),
            (Cause::Barred { .. }, Some(_)) => None,
        }
    }

    /// When it ends of itself, if it does.
    const fn ends(&self) -> Option<Time> {
        match self.cause {
            Cause::Cooling { until } => Some(until),
            Cause::Barred { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Time = Time::from_epoch(Duration::from_secs(1_000));

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn class() -> Class {
        Class::of("claude-opus-5")
    }

    /// Rests until a moment at which it is ready; one call may go at `next`.
    fn cooling(until: Time, next: Time) -> Readiness {
        Readiness::Resting { ready: Some(until), next: Some(next) }
    }

    /// Barred; the next probe may go then.
    fn barred(next: Option<Time>) -> Readiness {
        Readiness::Resting { ready: None, next }
    }

    #[test]
    fn a_cooling_key_is_ready_at_its_moment_and_only_its_class_rests() {
        let mut key = Standing::default();
        key.cool(&class(), T + seconds(10), T);
        assert_eq!(key.readiness(&class(), T), cooling(T + seconds(10), T + seconds(10)));
        assert_eq!(key.readiness(&Class::of("claude-haiku-5-5"), T), Readiness::Ready);
        assert_eq!(key.readiness(&class(), T + seconds(10)), Readiness::Ready);
    }

    #[test]
    fn a_cooldown_is_extended_and_never_shortened_by_a_refusal() {
        let mut key = Standing::default();
        key.cool(&class(), T + seconds(60), T);
        assert_eq!(key.cool(&class(), T + seconds(20), T + seconds(1)), T + seconds(60));
        assert_eq!(key.cool(&class(), T + seconds(90), T + seconds(2)), T + seconds(90));
    }

    #[test]
    fn a_long_cooldown_is_probed_by_one_call_at_a_time() {
        let mut key = Standing::default();
        let until = T + seconds(124_633);
        key.cool(&class(), until, T);
        let probe_at = T + LONGEST_UNPROBED;
        assert_eq!(key.readiness(&class(), T), cooling(until, probe_at));
        assert_eq!(key.readiness(&class(), probe_at), Readiness::Probe);
        let probe = key.begin(&class(), probe_at);
        assert_eq!(probe, Probe::Yes(1));
        assert_eq!(key.readiness(&class(), probe_at), cooling(until, until), "nobody else before its end");
        key.end(probe);
        assert_eq!(key.readiness(&class(), probe_at), Readiness::Probe, "given back");
        let probe = key.begin(&class(), probe_at);
        assert!(key.prove(&class(), probe_at, probe));
        assert_eq!(key.readiness(&class(), probe_at), Readiness::Ready);
    }

    #[test]
    fn a_barred_key_is_probed_less_and_less_often() {
        let mut key = Standing::default();
        let first = key.bar(&class(), Reason::Unaccepted, Extent::Key, T);
        assert_eq!(first, T + FIRST_REPROBE);
        assert_eq!(key.bar(&class(), Reason::Unaccepted, Extent::Key, T + seconds(1)), first, "one strike");
        assert_eq!(key.readiness(&Class::of("other"), T), barred(Some(first)));
        let second = key.bar(&class(), Reason::Unaccepted, Extent::Key, first);
        assert_eq!(second, first + FIRST_REPROBE * 2);
        let mut at = second;
        for _ in 0..20 {
            let next = key.bar(&class(), Reason::Unaccepted, Extent::Key, at);
            assert!(next.since(at) <= LONGEST_UNPROBED);
            at = next;
        }
        assert_eq!(key.readiness(&class(), at), Readiness::Probe);
        assert!(key.pardon());
        assert_eq!(key.readiness(&class(), T), Readiness::Ready);
        assert!(!key.pardon(), "nothing was held against it");
    }

    #[test]
    fn a_class_that_is_refused_bars_only_that_class() {
        let mut key = Standing::default();
        key.bar(&class(), Reason::Unaccepted, Extent::Class, T);
        assert_eq!(key.readiness(&class(), T), barred(Some(T + FIRST_REPROBE)));
        assert_eq!(key.readiness(&Class::of("other"), T), Readiness::Ready);
        assert_eq!(key.held(T).count(), 1);
    }

    #[test]
    fn a_class_that_is_refused_stays_so_when_it_is_used_up_as_well() {
        let mut key = Standing::default();
        let probe_at = key.bar(&class(), Reason::Unaccepted, Extent::Class, T);
        key.cool(&class(), T + seconds(1), T);
        assert_eq!(key.readiness(&class(), T + seconds(2)), barred(Some(probe_at)));
        key.cool(&class(), T + seconds(100), T);
        key.bar(&class(), Reason::Unaccepted, Extent::Class, T + seconds(2));
        assert_eq!(key.readiness(&class(), probe_at), cooling(T + seconds(100), T + seconds(100)));
        assert_eq!(key.readiness(&class(), T + seconds(100)), Readiness::Probe);
    }

    #[test]
    fn a_probe_that_ends_late_does_not_give_back_a_later_one() {
        let mut key = Standing::default();
        let first = key.bar(&class(), Reason::Unaccepted, Extent::Key, T);
        let slow = key.begin(&class(), first);
        assert!(key.pardon(), "an operator forgives it meanwhile");
        let second = key.bar(&class(), Reason::Unaccepted, Extent::Key, first);
        let probe = key.begin(&class(), second);
        key.end(slow);
        assert_eq!(key.readiness(&class(), second), barred(None), "still being probed");
        key.end(probe);
        assert_eq!(key.readiness(&class(), second), Readiness::Probe);
    }

    #[test]
    fn a_call_proves_nothing_against_what_was_met_after_it_was_granted() {
        let mut key = Standing::default();
        let older = key.begin(&class(), T);
        key.cool(&class(), T + seconds(60), T);
        assert!(!key.prove(&class(), T, older));
        assert_eq!(key.readiness(&class(), T), cooling(T + seconds(60), T + seconds(60)));
        assert!(key.prove(&class(), T + seconds(61), Probe::No), "a younger one does");
        assert_eq!(key.held(T).count(), 0);
    }
}
