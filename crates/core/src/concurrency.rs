//! How many calls one holder may have under way at once, as providers limit it who count by the minute neither requests
//! nor tokens. It knows numbers and moments; it refuses to know whose calls they are.

use std::time::Duration;

use crate::time::Time;

/// A limit that was found by being refused is raised a little when it has been full for so long without a refusal: it was
/// somebody else who had used it up, or it was raised. Each raise that is refused doubles this, up to [`LONGEST_CALM`].
const CALM: Duration = Duration::from_mins(1);

/// See [`CALM`]: a refusal an hour is little to pay for finding out.
const LONGEST_CALM: Duration = Duration::from_hours(1);

/// How long a call is under way, as long as nothing is known of that: so little that nobody is refused for it. Whoever
/// waits in vain is told so later.
pub(crate) const UNKNOWN: Duration = Duration::from_secs(1);

/// However quickly they end, one more is looked for no sooner than after this.
pub(crate) const SHORTEST: Duration = Duration::from_millis(10);

/// Of how long calls take, one that has ended counts for one in so many.
const WEIGHT: u32 = 8;

/// The calls of one holder. Choices look at very many of them, and most are not limited: what is known of a limit lies
/// elsewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Concurrency {
    /// Under way, or called and about to be.
    open: u32,
    /// How many may be: [`u32::MAX`] if that is not limited.
    most: u32,
    known: Option<Box<Known>>,
}

/// What is known of a limit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Known {
    /// How many calls there may be, as the operator or the provider says.
    told: Option<u32>,
    /// The same, as it seems since one was refused.
    found: Option<Found>,
    /// When the last one began.
    begun: Time,
    /// How long they take, if any has ended.
    takes: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Found {
    most: u32,
    /// When that was last found to be so.
    since: Time,
    /// When more is dared.
    calm: Duration,
    /// More was dared since the last refusal.
    is_dared: bool,
    /// One was served since.
    is_proven: bool,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { open: 0, most: u32::MAX, known: None }
    }
}

impl Concurrency {
    /// Under way now.
    pub(crate) const fn open(&self) -> u32 {
        self.open
    }

    /// How many may be; none if that is not limited.
    pub(crate) fn most(&self) -> Option<u32> {
        Some(self.most).filter(|most| *most < u32::MAX)
    }

    /// How many may be, as was found out.
    pub(crate) fn found(&self) -> Option<u32> {
        self.known.as_ref()?.found.map(|found| found.most)
    }

    /// So many may be from now on, as somebody says who knows.
    pub(crate) fn tell(&mut self, most: Option<u32>) {
        if most.is_some() || self.known.is_some() {
            self.know(|known| known.told = most.map(|most| most.max(1)));
        }
    }

    /// Something is known from now on that was not.
    fn know(&mut self, learn: impl FnOnce(&mut Known)) {
        let known = self.known.get_or_insert_default();
        learn(known);
        let found = known.found.map(|found| found.most);
        self.most = known.told.into_iter().chain(found).min().unwrap_or(u32::MAX);
    }

    /// So many begin.
    pub(crate) fn begin(&mut self, calls: u32, now: Time) {
        self.open = self.open.saturating_add(calls);
        if let Some(known) = &mut self.known {
            known.begun = now;
        }
    }

    /// So many have ended.
    pub(crate) const fn end(&mut self, calls: u32) {
        self.open = self.open.saturating_sub(calls);
    }

    /// One took so long.
    pub(crate) fn note(&mut self, took: Duration) {
        let Some(known) = &mut self.known else { return };
        known.takes = Some(match known.takes {
            None => took,
            Some(before) => (before.saturating_mul(WEIGHT - 1).saturating_add(took)) / WEIGHT,
        });
    }

    /// Is it limited, and nothing known of how long calls take?
    pub(crate) fn has_no_pace(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.takes.is_none())
    }

    /// What was found out was somebody else's doing, or is no more so.
    pub(crate) fn forget(&mut self) {
        if self.found().is_some() {
            self.know(|known| known.found = None);
        }
    }

    /// May one more begin, behind so many?
    pub(crate) const fn admits(&self, ahead: u32) -> bool {
        self.open.saturating_add(ahead) < self.most
    }

    /// When it may, most likely: whoever is under way ends when he has done, and somebody's end is told to those who wait.
    pub(crate) fn admissible_at(&self, ahead: u32, now: Time) -> Time {
        let Some(known) = self.known.as_ref().filter(|_| !self.admits(ahead)) else { return now };
        let missing = self.open.saturating_add(ahead).saturating_add(1).saturating_sub(self.most);
        let wait = known.turn(self.most).saturating_mul(missing);
        // What has taken longer than usual already takes on.
        (known.begun + wait).max(now + wait / 4)
    }

    /// For how long one call keeps busy what there is, in nanoseconds; and how much of `full`, in nanoseconds too, is in
    /// use with half of it and so many ahead. Nothing where it is not limited.
    pub(crate) fn backlog(&self, ahead: u32, full: Duration) -> Option<(u64, u64)> {
        let (known, most) = (self.known.as_ref()?, self.most()?);
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let halves = self.open.saturating_add(ahead).saturating_mul(2).saturating_add(1);
        let in_use = nanos(full / most.saturating_mul(2)).saturating_mul(u64::from(halves));
        Some((in_use, nanos(known.turn(most))))
    }

    /// One was refused, for so many as are open now were under way already. False if none was: then that is not why, nor
    /// was it of those that were refused with it.
    pub(crate) fn refuse(&mut self, now: Time) -> bool {
        if self.open == 0 {
            let found = self.known.as_ref().and_then(|known| known.found);
            if found.is_some_and(|found| !found.is_proven) {
                self.forget();
            }
            return false;
        }
        let most = self.most.min(self.open);
        self.know(|known| {
            let calm = match known.found {
                Some(Found { calm, is_dared: true, .. }) => (calm * 2).min(LONGEST_CALM),
                Some(Found { calm, .. }) => calm,
                None => CALM,
            };
            known.found = Some(Found { most, since: now, calm, is_dared: false, is_proven: false });
        });
        true
    }

    /// One was served. True if more is dared from now on.
    pub(crate) fn calm(&mut self, now: Time) -> bool {
        let found = self.known.as_mut().and_then(|known| known.found.as_mut());
        let found = found.map(|found| {
            found.is_proven = true;
            *found
        });
        let due = found.filter(|found| self.open >= found.most && now.since(found.since) >= found.calm);
        let Some(Found { most, calm, is_dared, .. }) = due else { return false };
        let most = most.saturating_add((most / 8).max(1));
        // What was dared last has held.
        let calm = if is_dared { (calm / 2).max(CALM) } else { calm };
        self.know(|known| {
            let is_as_told = known.told.is_some_and(|told| most >= told);
            let found = Found { most, since: now, calm, is_dared: true, is_proven: true };
            known.found = Some(found).filter(|_| !is_as_told);
        });
        true
    }

    /// That was found before a restart.
    pub(crate) fn recall(&mut self, most: u32, now: Time) {
        if most > 0 && self.found().is_none_or(|known| known > most) {
            let found = Found { most, since: now, calm: CALM, is_dared: false, is_proven: true };
            self.know(|known| known.found = Some(found));
        }
    }

    /// What is known of another turns out to be of this one too.
    pub(crate) fn absorb(&mut self, other: &Self) {
        self.open = self.open.saturating_add(other.open);
        if let Some(other) = &other.known {
            self.know(|known| {
                known.told = known.told.into_iter().chain(other.told).min();
                known.found = known.found.into_iter().chain(other.found).min_by_key(|found| found.most);
                known.begun = known.begun.max(other.begun);
                known.takes = known.takes.max(other.takes);
            });
        }
    }
}

impl Known {
    /// How long it takes until one has ended, when as many are under way as may be.
    fn turn(&self, most: u32) -> Duration {
        (self.takes.unwrap_or(UNKNOWN) / most).max(SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Time = Time::from_epoch(Duration::from_secs(1_000));

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn of(most: u32, open: u32) -> Concurrency {
        let mut calls = Concurrency::default();
        calls.tell(Some(most));
        calls.begin(open, T);
        calls
    }

    #[test]
    fn as_many_go_as_may_and_those_ahead_go_first() {
        for (most, open, ahead, expect) in
            [(2, 0, 0, true), (2, 1, 0, true), (2, 1, 1, false), (2, 2, 0, false)]
        {
            assert_eq!(of(most, open).admits(ahead), expect, "{open} of {most}, {ahead} ahead");
        }
        assert!(Concurrency::default().admits(9_999), "nothing is limited");
        assert!(of(0, 0).admits(0), "to be allowed nothing at all is no limit that anybody could wait for");
    }

    #[test]
    fn the_next_ends_when_calls_have_taken_as_long_as_they_do() {
        let mut calls = of(4, 4);
        calls.note(seconds(40));
        // Of four that take 40 s, one ends every ten.
        for (ahead, wait) in [(0, 10), (1, 20), (3, 40)] {
            assert_eq!(calls.admissible_at(ahead, T), T + seconds(wait), "{ahead} ahead");
        }
        assert_eq!(calls.admissible_at(0, T + seconds(4)), T + seconds(10), "it does not move with the time");
        assert_eq!(
            calls.admissible_at(0, T + seconds(10)),
            T + seconds(10) + seconds(10) / 4,
            "it is overdue"
        );
        calls.end(1);
        assert_eq!(calls.admissible_at(0, T), T);
        assert_eq!(Concurrency::default().admissible_at(9, T), T);
    }

    #[test]
    fn nobody_goes_who_may_not_however_quickly_calls_end() {
        let mut calls = of(3, 3);
        calls.note(Duration::ZERO);
        let later = T + seconds(60);
        assert!(calls.admissible_at(0, T) > T);
        assert!(calls.admissible_at(0, later) > later);
    }

    #[test]
    fn how_long_calls_take_is_an_average_in_which_the_last_ones_count_most() {
        let mut calls = of(1, 1);
        assert!(calls.has_no_pace());
        assert_eq!(calls.admissible_at(0, T), T + UNKNOWN);
        calls.note(seconds(80));
        calls.note(seconds(0));
        assert_eq!(calls.admissible_at(0, T), T + seconds(70));
    }

    #[test]
    fn a_refusal_shows_that_there_are_as_many_as_are_open() {
        let mut calls = Concurrency::default();
        calls.begin(6, T);
        // Of six, three are refused, and each has ended by then.
        for left in [5, 4, 3] {
            calls.end(1);
            assert!(calls.refuse(T));
            assert_eq!(calls.most(), Some(left));
        }
        assert!(!calls.calm(T), "one was served");
        calls.end(3);
        assert!(!calls.refuse(T), "none was open: that cannot be why");
        assert_eq!(calls.most(), Some(3));
        calls.begin(9, T);
        assert!(calls.refuse(T));
        assert_eq!(calls.most(), Some(3), "more are open than may be, for some began before");
    }

    /// Of twelve that were all refused the last but one had shown that there is room for one.
    #[test]
    fn where_all_are_refused_none_was_refused_for_the_sake_of_another() {
        let mut calls = Concurrency::default();
        calls.begin(12, T);
        for left in (1..12).rev() {
            calls.end(1);
            assert!(calls.refuse(T));
            assert_eq!(calls.most(), Some(left));
        }
        calls.end(1);
        assert!(!calls.refuse(T));
        assert_eq!((calls.most(), calls.found()), (None, None));
    }

    #[test]
    fn after_a_minute_at_the_limit_one_more_is_dared_and_less_often_if_that_is_refused() {
        let mut calls = Concurrency::default();
        calls.begin(3, T);
        assert!(calls.refuse(T));
        assert!(!calls.calm(T + seconds(59)));
        assert!(calls.calm(T + seconds(60)));
        assert_eq!(calls.most(), Some(4));
        assert!(!calls.calm(T + seconds(900)), "the fourth was never wanted");
        // The fourth is refused: the next time is two minutes away, then four.
        let mut at = T + seconds(60);
        for minutes in [2, 4, 8, 16, 32, 60, 60] {
            assert!(calls.refuse(at));
            assert_eq!(calls.most(), Some(3));
            assert!(!calls.calm(at + seconds(minutes * 60 - 1)), "{minutes}");
            at = at + seconds(minutes * 60);
            assert!(calls.calm(at), "{minutes}");
            assert_eq!(calls.most(), Some(4));
        }
        // It is not refused any more: soon it is as patient as at first.
        for (open, minutes) in [(4, 60), (5, 30), (6, 15), (7, 7)] {
            calls.begin(open - calls.open(), at);
            at = at + seconds(minutes * 60);
            assert!(calls.calm(at + seconds(30)), "{open}");
            assert_eq!(calls.most(), Some(open + 1));
            at = at + seconds(30);
        }
        calls.begin(32 - calls.open(), at);
        for _ in 0..20 {
            at = at + seconds(3_600);
            calls.calm(at);
        }
        assert_eq!(calls.most(), Some(33), "of many, an eighth more is dared; beyond what is open, nothing");
    }

    #[test]
    fn what_was_found_is_forgotten_when_it_is_as_much_as_was_told() {
        let mut calls = of(4, 3);
        assert!(calls.refuse(T));
        assert_eq!((calls.most(), calls.found()), (Some(3), Some(3)));
        assert!(calls.calm(T + CALM));
        assert_eq!((calls.most(), calls.found()), (Some(4), None));
    }

    #[test]
    fn of_two_that_are_one_the_stricter_limit_holds_for_the_calls_of_both() {
        let (mut ours, mut theirs) = (of(5, 2), of(7, 3));
        theirs.recall(4, T);
        ours.absorb(&theirs);
        assert_eq!((ours.open(), ours.most(), ours.found()), (5, Some(4), Some(4)));
        ours.recall(6, T);
        ours.recall(0, T);
        assert_eq!(ours.most(), Some(4), "what is remembered raises nothing");
        ours.recall(3, T);
        assert_eq!((ours.most(), ours.found()), (Some(3), Some(3)), "but lowers");
        ours.forget();
        assert_eq!((ours.most(), ours.found()), (Some(5), None), "what was told stays");
    }

    #[test]
    fn one_call_is_dearer_the_fewer_are_left() {
        let full = seconds(6);
        let mut calls = of(10, 0);
        calls.note(seconds(20));
        assert_eq!(calls.backlog(0, full), Some((300_000_000, 2_000_000_000)));
        calls.begin(9, T);
        assert_eq!(calls.backlog(0, full), Some((5_700_000_000, 2_000_000_000)));
        assert_eq!(calls.backlog(1, full), Some((6_300_000_000, 2_000_000_000)));
        assert_eq!(Concurrency::default().backlog(9, full), None);
    }
}
