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
mod tests;
