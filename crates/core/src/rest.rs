//! What is held against somebody: that a quota is used up until a moment, or that he was refused until a probe
//! succeeds. It knows moments and classes; it refuses to know whether it is held against a key or against the
//! organization whose key it is.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fleet::Class;
use crate::memory::RestMemory;
use crate::time::Time;
use crate::verdict::{Extent, Reason};
use crate::window::{About, WindowName};

/// However long a provider says that a quota is gone, one call asks again this soon: limits are
/// raised, windows reset early, and users of other relays found keys benched for days that worked.
pub const LONGEST_UNPROBED: Duration = Duration::from_mins(5);

/// No quota is gone for longer: the longest window that any provider has is a week.
pub(crate) const LONGEST_REST: Duration = Duration::from_hours(24 * 7);

/// A barred key is asked again by one call after this long; each failure doubles it, up to
/// [`LONGEST_UNPROBED`]. Long enough not to look like an attack on the account, short enough that
/// a key repaired at the provider returns while the operator still watches.
pub const FIRST_REPROBE: Duration = Duration::from_secs(30);

/// Everything that is held against somebody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rests {
    rests: BTreeMap<Scope, Rest>,
    /// How many probes there have been: the last one's number.
    probes: u64,
}

/// Why a key is not used, for operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unready {
    /// Its quota is used up until then.
    Cooling(Time),
    /// That window of its subscription is used up until then.
    UsedUp(WindowName, Time),
    /// It was refused; asked again then.
    Barred(Reason, Time),
}

/// May a call go?
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Probe {
    /// The one of that number: what a later probe asks is not given back with it.
    Yes(u64),
    #[default]
    No,
}

/// What a rest speaks of. Being refused and being used up are apart, for neither ends the other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Scope {
    Key,
    Refused(Class),
    Spent(Class),
    Window(WindowName, About),
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

/// Why somebody rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// His quota is used up.
    Cooling {
        /// Until then.
        until: Time,
    },
    /// He was refused.
    Barred {
        /// Why.
        reason: Reason,
        /// How often in a row before this time.
        strikes: u32,
    },
}

impl Rests {
    /// Is nothing held against him?
    pub(crate) fn is_empty(&self) -> bool {
        self.rests.is_empty()
    }

    /// May a call of this class go now, as far as he and, if there is one, somebody else are concerned?
    pub(crate) fn readiness(&self, other: &Self, class: &Class, now: Time) -> Readiness {
        if self.is_empty() && other.is_empty() {
            return Readiness::Ready;
        }
        let mut readiness = Readiness::Ready;
        let (mut ready, mut next) = (Some(now), Some(now));
        let both = self.touching(class).chain(other.touching(class));
        for rest in both.filter(|rest| rest.holds(now)) {
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

    /// A probe begins: nobody else may probe until it has ended.
    pub(crate) fn probe(&mut self, class: &Class) -> Probe {
        let mut touched = self.rests.iter_mut().filter(|(scope, _)| scope.touches(class)).peekable();
        if touched.peek().is_none() {
            return Probe::No;
        }
        self.probes += 1;
        touched.for_each(|(_, rest)| rest.probe = Some(self.probes));
        Probe::Yes(self.probes)
    }

    /// A probe is given back.
    pub(crate) fn give_back(&mut self, probe: Probe) {
        let Probe::Yes(number) = probe else { return };
        for rest in self.rests.values_mut().filter(|rest| rest.probe == Some(number)) {
            rest.probe = None;
        }
    }

    /// He rests for this class until then. A later word extends a rest, an earlier one does not shorten it.
    pub(crate) fn cool(&mut self, class: &Class, until: Time, now: Time) -> Time {
        self.cool_for(Scope::Spent(class.clone()), until, now)
    }

    /// The same for all that a window counts.
    pub(crate) fn use_up(&mut self, name: WindowName, about: &About, until: Time, now: Time) -> Time {
        self.cool_for(Scope::Window(name, about.clone()), until, now)
    }

    /// Does he rest for a window already?
    pub(crate) fn has_used_up(&self, name: WindowName, about: &About, now: Time) -> bool {
        let same = |scope: &Scope| matches!(scope, Scope::Window(own, of) if *own == name && of == about);
        self.rests.iter().any(|(scope, rest)| same(scope) && rest.holds(now))
    }

    fn cool_for(&mut self, scope: Scope, until: Time, now: Time) -> Time {
        let known = self.rests.get(&scope).copied();
        let until = until.min(now + LONGEST_REST);
        let until = match known {
            Some(Rest { cause: Cause::Cooling { until: known }, .. }) => known.max(until),
            _ => until,
        };
        let probe_at = until.min(now + LONGEST_UNPROBED);
        let probe = known.and_then(|rest| rest.probe);
        self.rests.insert(scope, Rest { cause: Cause::Cooling { until }, since: now, probe_at, probe });
        until
    }

    /// He is out until a probe succeeds. Each bar in a row doubles the time to the next probe.
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

    /// He serves a call of this class, granted at `asked`. What was held against him before is disproved; what another
    /// call has met since is not. True if something was disproved.
    pub(crate) fn prove(&mut self, class: &Class, asked: Time, probe: Probe) -> bool {
        self.give_back(probe);
        let known = self.rests.len();
        self.rests.retain(|scope, rest| !scope.touches(class) || rest.since >= asked);
        self.rests.len() < known
    }

    /// Everything is forgotten. True if there was something.
    pub(crate) fn clear(&mut self) -> bool {
        let held = !self.rests.is_empty();
        self.rests.clear();
        held
    }

    /// What is held against another is held against him too, and the stricter of two counts.
    pub(crate) fn absorb(&mut self, other: &Self) {
        for (scope, theirs) in &other.rests {
            // Who probed probed somebody else.
            let theirs = Rest { probe: None, ..*theirs };
            let ours = self.rests.entry(scope.clone()).or_insert(theirs);
            if theirs.stricter() > ours.stricter() {
                *ours = Rest { probe: ours.probe, ..theirs };
            }
        }
    }

    /// What is held against him now: the class it speaks of, if not the whole key, and what.
    pub(crate) fn held(&self, now: Time) -> impl Iterator<Item = (Option<&Class>, Unready)> {
        self.rests.iter().filter(move |(_, rest)| rest.holds(now)).map(|(scope, rest)| match rest.cause {
            Cause::Cooling { until } => (scope.class(), scope.unready(until)),
            Cause::Barred { reason, .. } => (scope.class(), Unready::Barred(reason, rest.probe_at)),
        })
    }

    /// What is held against him now, as plain values.
    pub(crate) fn remember(&self, now: Time) -> Vec<RestMemory> {
        let held = self.rests.iter().filter(|(_, rest)| rest.holds(now));
        let told = held.map(|(scope, rest)| {
            let (class, cause, probe_at) = (scope.class().cloned(), rest.cause, rest.probe_at);
            RestMemory { class, window: scope.window(), cause, probe_at }
        });
        told.collect()
    }

    /// Takes in what was held against him, as far as it still is. It ends, and is asked about, when it would have been
    /// without a restart; but no later than if it had been imposed now.
    pub(crate) fn recall(&mut self, known: &RestMemory, now: Time) {
        let Some(scope) = Scope::of(known) else { return };
        let (cause, latest) = match known.cause {
            Cause::Cooling { until } => {
                let until = until.min(now + LONGEST_REST);
                (Cause::Cooling { until }, until.min(now + LONGEST_UNPROBED))
            }
            barred @ Cause::Barred { .. } => (barred, now + LONGEST_UNPROBED),
        };
        // Whoever is asked from now on is asked after it was imposed.
        let rest = Rest { cause, since: Time::EPOCH, probe_at: known.probe_at.min(latest), probe: None };
        if rest.holds(now) {
            let ours = self.rests.entry(scope).or_insert(rest);
            if rest.stricter() > ours.stricter() {
                *ours = rest;
            }
        }
    }

    /// The rests that bear on a class.
    fn touching(&self, class: &Class) -> impl Iterator<Item = &Rest> {
        self.rests.iter().filter(|(scope, _)| scope.touches(class)).map(|(_, rest)| rest)
    }
}

impl Scope {
    /// Of what is remembered; none if that does not say which.
    fn of(known: &RestMemory) -> Option<Self> {
        let class = known.class.clone();
        Some(match (known.window, class, known.cause) {
            (Some(name), class, _) => Self::Window(name, About::of(name, class.as_ref())?),
            (None, None, _) => Self::Key,
            (None, Some(class), Cause::Cooling { .. }) => Self::Spent(class),
            (None, Some(class), Cause::Barred { .. }) => Self::Refused(class),
        })
    }

    /// The class it speaks of; none if of more than one.
    const fn class(&self) -> Option<&Class> {
        match self {
            Self::Key => None,
            Self::Refused(class) | Self::Spent(class) => Some(class),
            Self::Window(_, about) => about.class(),
        }
    }

    /// The window it speaks of.
    const fn window(&self) -> Option<WindowName> {
        match self {
            Self::Window(name, _) => Some(*name),
            Self::Key | Self::Refused(_) | Self::Spent(_) => None,
        }
    }

    fn unready(&self, until: Time) -> Unready {
        self.window().map_or(Unready::Cooling(until), |window| Unready::UsedUp(window, until))
    }

    /// Does it bear on a class?
    fn touches(&self, class: &Class) -> bool {
        match self {
            Self::Key => true,
            Self::Refused(of) | Self::Spent(of) => of == class,
            Self::Window(_, about) => about.bears_on(class),
        }
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

    /// What may be compared with another of the same scope.
    const fn stricter(&self) -> (Option<Time>, Time) {
        match self.cause {
            Cause::Cooling { until } => (Some(until), self.probe_at),
            Cause::Barred { .. } => (None, self.probe_at),
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

    fn ready(rests: &Rests, class: &Class, now: Time) -> Readiness {
        rests.readiness(&Rests::default(), class, now)
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
    fn of_two_who_turn_out_to_be_one_the_stricter_rest_counts_and_no_probe_of_the_other() {
        for (ours, theirs, expect) in
            [(None, 10, 10), (Some(5), 10, 10), (Some(10), 5, 10), (Some(10), 10, 10)]
        {
            let (mut one, mut other) = (Rests::default(), Rests::default());
            if let Some(ours) = ours {
                one.cool(&class(), T + seconds(ours), T);
            }
            other.cool(&class(), T + seconds(theirs), T);
            // One call asks the other already.
            assert_ne!(other.probe(&class()), Probe::No);
            one.absorb(&other);
            let later = T + seconds(expect);
            let ready = one.readiness(&Rests::default(), &class(), T);
            assert!(
                matches!(ready, Readiness::Resting { ready: Some(until), .. } if until == later),
                "{ready:?}"
            );
            let at_the_end = one.readiness(&Rests::default(), &class(), later);
            assert_ne!(at_the_end, Readiness::Resting { ready: None, next: None });
            assert!(one.rests.values().all(|rest| rest.probe.is_none()), "nobody asks for both");
        }
    }

    #[test]
    fn of_what_is_remembered_and_what_is_known_the_stricter_counts() {
        for (known, remembered, expect) in [(None, 10, 10), (Some(5), 10, 10), (Some(10), 5, 10)] {
            let (mut rests, mut before) = (Rests::default(), Rests::default());
            if let Some(known) = known {
                rests.cool(&class(), T + seconds(known), T);
            }
            before.cool(&class(), T + seconds(remembered), T);
            for memory in before.remember(T) {
                rests.recall(&memory, T);
            }
            let until = rests.held(T).map(|(_, held)| held).collect::<Vec<_>>();
            assert_eq!(until, [Unready::Cooling(T + seconds(expect))], "{known:?} {remembered}");
        }
    }

    #[test]
    fn a_rest_for_a_window_is_of_that_window_and_has_an_end() {
        let (five, week) = (WindowName::of("5h").unwrap(), WindowName::of("7d").unwrap());
        let about = |name| About::of(name, None).unwrap();
        let mut rests = Rests::default();
        rests.use_up(five, &about(five), T + seconds(60), T);
        assert!(rests.has_used_up(five, &about(five), T));
        assert!(!rests.has_used_up(week, &about(week), T), "it is another window");
        assert!(!rests.has_used_up(five, &about(five), T + seconds(60)), "it has ended");
    }

    #[test]
    fn a_cooling_key_is_ready_at_its_moment_and_only_its_class_rests() {
        let mut rests = Rests::default();
        rests.cool(&class(), T + seconds(10), T);
        assert_eq!(ready(&rests, &class(), T), cooling(T + seconds(10), T + seconds(10)));
        assert_eq!(ready(&rests, &Class::of("claude-haiku-5-5"), T), Readiness::Ready);
        assert_eq!(ready(&rests, &class(), T + seconds(10)), Readiness::Ready);
    }

    #[test]
    fn a_cooldown_is_extended_and_never_shortened_by_a_refusal() {
        let mut rests = Rests::default();
        rests.cool(&class(), T + seconds(60), T);
        assert_eq!(rests.cool(&class(), T + seconds(20), T + seconds(1)), T + seconds(60));
        assert_eq!(rests.cool(&class(), T + seconds(90), T + seconds(2)), T + seconds(90));
    }

    #[test]
    fn a_long_cooldown_is_probed_by_one_call_at_a_time() {
        let mut rests = Rests::default();
        let until = T + seconds(124_633);
        rests.cool(&class(), until, T);
        let probe_at = T + LONGEST_UNPROBED;
        assert_eq!(ready(&rests, &class(), T), cooling(until, probe_at));
        assert_eq!(ready(&rests, &class(), probe_at), Readiness::Probe);
        let probe = rests.probe(&class());
        assert_eq!(probe, Probe::Yes(1));
        assert_eq!(ready(&rests, &class(), probe_at), cooling(until, until), "nobody else before its end");
        rests.give_back(probe);
        assert_eq!(ready(&rests, &class(), probe_at), Readiness::Probe, "given back");
        let probe = rests.probe(&class());
        assert!(rests.prove(&class(), probe_at, probe));
        assert_eq!(ready(&rests, &class(), probe_at), Readiness::Ready);
    }

    #[test]
    fn a_barred_key_is_probed_less_and_less_often() {
        let mut rests = Rests::default();
        let first = rests.bar(&class(), Reason::Unaccepted, Extent::Key, T);
        assert_eq!(first, T + FIRST_REPROBE);
        assert_eq!(rests.bar(&class(), Reason::Unaccepted, Extent::Key, T + seconds(1)), first, "one strike");
        assert_eq!(ready(&rests, &Class::of("other"), T), barred(Some(first)));
        let second = rests.bar(&class(), Reason::Unaccepted, Extent::Key, first);
        assert_eq!(second, first + FIRST_REPROBE * 2);
        let mut at = second;
        for _ in 0..20 {
            let next = rests.bar(&class(), Reason::Unaccepted, Extent::Key, at);
            assert!(next.since(at) <= LONGEST_UNPROBED);
            at = next;
        }
        assert_eq!(ready(&rests, &class(), at), Readiness::Probe);
        assert!(rests.clear());
        assert_eq!(ready(&rests, &class(), T), Readiness::Ready);
        assert!(!rests.clear(), "nothing was held against it");
    }

    #[test]
    fn a_class_that_is_refused_bars_only_that_class() {
        let mut rests = Rests::default();
        rests.bar(&class(), Reason::Unaccepted, Extent::Class, T);
        assert_eq!(ready(&rests, &class(), T), barred(Some(T + FIRST_REPROBE)));
        assert_eq!(ready(&rests, &Class::of("other"), T), Readiness::Ready);
        assert_eq!(rests.held(T).count(), 1);
    }

    #[test]
    fn a_class_that_is_refused_stays_so_when_it_is_used_up_as_well() {
        let mut rests = Rests::default();
        let probe_at = rests.bar(&class(), Reason::Unaccepted, Extent::Class, T);
        rests.cool(&class(), T + seconds(1), T);
        assert_eq!(ready(&rests, &class(), T + seconds(2)), barred(Some(probe_at)));
        rests.cool(&class(), T + seconds(100), T);
        rests.bar(&class(), Reason::Unaccepted, Extent::Class, T + seconds(2));
        assert_eq!(ready(&rests, &class(), probe_at), cooling(T + seconds(100), T + seconds(100)));
        assert_eq!(ready(&rests, &class(), T + seconds(100)), Readiness::Probe);
    }

    #[test]
    fn a_probe_that_ends_late_does_not_give_back_a_later_one() {
        let mut rests = Rests::default();
        let first = rests.bar(&class(), Reason::Unaccepted, Extent::Key, T);
        let slow = rests.probe(&class());
        assert!(rests.clear(), "an operator forgives it meanwhile");
        let second = rests.bar(&class(), Reason::Unaccepted, Extent::Key, first);
        let probe = rests.probe(&class());
        rests.give_back(slow);
        assert_eq!(ready(&rests, &class(), second), barred(None), "still being probed");
        rests.give_back(probe);
        assert_eq!(ready(&rests, &class(), second), Readiness::Probe);
    }

    #[test]
    fn a_call_proves_nothing_against_what_was_met_after_it_was_granted() {
        let mut rests = Rests::default();
        let older = rests.probe(&class());
        rests.cool(&class(), T + seconds(60), T);
        assert!(!rests.prove(&class(), T, older));
        assert_eq!(ready(&rests, &class(), T), cooling(T + seconds(60), T + seconds(60)));
        assert!(rests.prove(&class(), T + seconds(61), Probe::No), "a younger one does");
        assert_eq!(rests.held(T).count(), 0);
    }

    #[test]
    fn two_who_rest_are_ready_when_both_are() {
        let (mut key, mut account) = (Rests::default(), Rests::default());
        let probe_at = key.bar(&class(), Reason::Unaccepted, Extent::Key, T);
        account.cool(&class(), T + seconds(100), T);
        assert_eq!(key.readiness(&account, &class(), T), barred(Some(T + seconds(100))));
        assert_eq!(key.readiness(&account, &class(), T + seconds(100)), Readiness::Probe);
        assert!(probe_at < T + seconds(100));
        key.clear();
        assert_eq!(key.readiness(&account, &class(), T), cooling(T + seconds(100), T + seconds(100)));
    }

    #[test]
    fn of_two_who_turn_out_to_be_one_the_longer_rest_counts() {
        let (mut one, mut other) = (Rests::default(), Rests::default());
        one.cool(&class(), T + seconds(10), T);
        other.cool(&class(), T + seconds(20), T);
        other.cool(&Class::of("other"), T + seconds(30), T);
        one.absorb(&other);
        assert_eq!(ready(&one, &class(), T), cooling(T + seconds(20), T + seconds(20)));
        assert_eq!(ready(&one, &Class::of("other"), T), cooling(T + seconds(30), T + seconds(30)));
        other.absorb(&one);
        assert_eq!(ready(&other, &class(), T), cooling(T + seconds(20), T + seconds(20)));
    }
}
