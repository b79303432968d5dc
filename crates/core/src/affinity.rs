//! Where a conversation's prompt cache is, and what it costs to go elsewhere.
//!
//! It knows numbers by which conversations are told apart, and keys. It refuses to know what a conversation says.

use std::collections::VecDeque;
use std::time::Duration;

use crate::fleet::{Class, FNV_OFFSET, KeyId, ProviderId, fnv1a};
use crate::index::{Hashed, Index};
use crate::memory::HomeMemory;
use crate::price::Patience;
use crate::time::{Roll, Time};
use crate::usage::Usage;

/// The most conversations that are remembered; those that were quiet for longest are forgotten first.
const MOST: usize = 20_000;

/// How long a cache lives after it was used last, unless a call asks for longer
/// (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>).
pub(crate) const LIFETIME: Duration = Duration::from_mins(5);

/// The same, if it was written to live for longer.
pub(crate) const LONG_LIFETIME: Duration = Duration::from_hours(1);

/// A conversation: a session, or one agent of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Conversation(pub u64);

impl Conversation {
    /// The conversation that these name together.
    pub fn of(parts: &[&[u8]]) -> Self {
        // Each ends with a byte that no text has, so that two parts are not another one.
        let part = |hash, part: &&[u8]| fnv1a(fnv1a(hash, part), &[0xff]);
        Self(parts.iter().fold(FNV_OFFSET, part))
    }
}

impl Hashed for Conversation {
    fn hash(self) -> u64 {
        self.0
    }
}

/// What becomes of a conversation's prompt cache when a call is granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stay {
    /// None is known.
    #[default]
    New,
    /// It goes on where so many of its tokens are cached.
    Kept {
        /// Tokens.
        tokens: u64,
    },
    /// It goes elsewhere, where so many of its tokens are written anew.
    Left {
        /// Tokens.
        tokens: u64,
        /// Why.
        why: Leaving,
    },
}

impl Stay {
    pub(crate) const fn is_kept(self) -> bool {
        matches!(self, Self::Kept { .. })
    }
}

/// Why a conversation leaves its prompt cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaving {
    /// No key that could read it may be asked, for so long or for an unknown time.
    Unable,
    /// To wait so long for it would have cost more.
    Dear(Duration),
}

/// Where a conversation was last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Home {
    pub(crate) provider: ProviderId,
    pub(crate) key: KeyId,
    pub(crate) class: Class,
    /// So many tokens of it are in the cache there.
    pub(crate) cached: u64,
    /// What its last prompt had, and how long its body was.
    pub(crate) prompt: u64,
    pub(crate) bytes: u64,
    /// It was written to live for an hour.
    long: bool,
    /// It counts among those that were used within the last minutes.
    fresh: bool,
    used: Time,
}

/// Where every conversation was last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Affinity {
    homes: Index<Conversation, Home>,
    /// In the order in which they were used; some more than once.
    order: VecDeque<(Time, Conversation)>,
    /// So many of them are older than [`LIFETIME`], as far as somebody has looked.
    n_old: usize,
    /// Homes that were used since.
    n_fresh: u64,
}

/// How long a cache lives after it was used last.
pub(crate) const fn lifetime(long: bool) -> Duration {
    if long { LONG_LIFETIME } else { LIFETIME }
}

impl Home {
    /// How many of its tokens a call would read from the cache now.
    pub(crate) fn warm(&self, class: &Class, now: Time) -> u64 {
        let lives = now.since(self.used) < lifetime(self.long) && self.class == *class;
        if lives { self.cached } else { 0 }
    }

    /// Is a call of so many bytes, of which nothing is cached, none of this conversation? Clients ask small things beside
    /// it, the title of a session for example, and go on with it afterwards.
    fn is_beside(&self, class: &Class, bytes: u64, now: Time) -> bool {
        self.warm(class, now) > 0 && bytes < self.bytes / 2
    }

    /// How long it is worth to wait for it, rather than to go elsewhere now.
    pub(crate) fn worth(&self, class: &Class, patience: Patience, now: Time) -> Duration {
        let each = if self.long { patience.long } else { patience.short };
        Duration::from_nanos(self.warm(class, now).saturating_mul(each))
    }
}

impl Affinity {
    /// Conversations are named by clients, who do not know this roll.
    pub(crate) const fn seed(&mut self, roll: Roll) {
        self.homes.seed(roll);
    }

    pub(crate) fn home(&self, conversation: Conversation) -> Option<&Home> {
        self.homes.get(conversation)
    }

    /// Those that were used since then, the oldest first.
    pub(crate) fn remember(&self, since: Time) -> Vec<HomeMemory> {
        let recent = self.order.iter().rev().take_while(|(used, _)| *used >= since);
        let current = recent.filter_map(|(used, conversation)| {
            let home = self.homes.get(*conversation).filter(|home| home.used == *used)?;
            let Home { provider, key, cached, prompt, bytes, long, used, .. } = *home;
            let class = home.class.clone();
            Some(HomeMemory {
                conversation: *conversation,
                provider,
                key,
                class,
                cached,
                prompt,
                bytes,
                long,
                used,
            })
        });
        let mut all: Vec<_> = current.collect();
        all.reverse();
        all
    }

    /// Takes in those whose cache may live, and who were not heard of since. The one that was used last comes last.
    pub(crate) fn recall<'a>(&mut self, homes: impl DoubleEndedIterator<Item = &'a HomeMemory>, now: Time) {
        for known in homes.rev().filter(|known| now.since(known.used) < lifetime(known.long)) {
            let HomeMemory { conversation, provider, key, cached, prompt, bytes, long, used, .. } = *known;
            if self.homes.get(conversation).is_none() {
                let (class, used) = (known.class.clone(), used.min(now));
                let fresh = now.since(used) < LIFETIME;
                self.n_fresh += u64::from(fresh);
                let home = Home { provider, key, class, cached, prompt, bytes, long, fresh, used };
                self.homes.insert(conversation, home);
                self.order.push_front((used, conversation));
                self.n_old = 0;
            }
        }
        self.forget();
    }

    /// An answer of that key begins, and says what was read and written.
    pub(crate) fn settle(
        &mut self,
        conversation: Conversation,
        (provider, key, class): (ProviderId, KeyId, &Class),
        (usage, bytes): (&Usage, u64),
        now: Time,
    ) {
        let cached = usage.cache_read.saturating_add(usage.cache_write);
        if cached == 0 && self.homes.get(conversation).is_some_and(|home| home.is_beside(class, bytes, now)) {
            return;
        }
        let prompt = cached.saturating_add(usage.input);
        // Who only reads leaves what is cached as it was.
        let before = || self.homes.get(conversation).is_some_and(|home| home.long && home.key == key);
        let long = usage.cache_write_long > 0 || usage.cache_write == 0 && before();
        let home =
            Home { provider, key, class: class.clone(), cached, prompt, bytes, long, fresh: true, used: now };
        self.count(now);
        self.n_fresh += u64::from(!self.homes.get(conversation).is_some_and(|home| home.fresh));
        self.homes.insert(conversation, home);
        self.order.push_back((now, conversation));
        self.forget();
    }

    /// How many conversations were used within the last minutes: as long as a cache lives. After a long silence it takes a
    /// few looks until all who have left are known.
    pub(crate) fn count(&mut self, now: Time) -> u64 {
        /// The lock is held meanwhile.
        const AT_ONCE: usize = 64;
        let end = self.n_old + AT_ONCE;
        while let Some((used, conversation)) = self.order.get(self.n_old).filter(|_| self.n_old < end)
            && now.since(*used) >= LIFETIME
        {
            // Whoever was used again since is further behind.
            if let Some(home) =
                self.homes.get_mut(*conversation).filter(|home| home.used == *used && home.fresh)
            {
                home.fresh = false;
                self.n_fresh -= 1;
            }
            self.n_old += 1;
        }
        self.n_fresh
    }

    /// Those that were quiet for longest go, if there are too many.
    fn forget(&mut self) {
        // Whoever was used again since is further behind.
        let many = |affinity: &Self| affinity.homes.len() > MOST || affinity.order.len() > 2 * MOST;
        while many(self)
            && let Some((used, conversation)) = self.order.pop_front()
        {
            self.n_old = self.n_old.saturating_sub(1);
            if self.homes.get(conversation).is_some_and(|home| home.used == used)
                && let Some(home) = self.homes.remove(conversation)
            {
                self.n_fresh -= u64::from(home.fresh);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Time = Time::from_epoch(Duration::from_secs(1_000));

    fn settle(affinity: &mut Affinity, conversation: u64, cached: u64, now: Time) {
        let provider = ProviderId::of("p");
        let usage = Usage { cache_read: cached / 2, cache_write: cached - cached / 2, ..Usage::ZERO };
        let at = (provider, KeyId::of(provider, b"k"), &Class::of("m"));
        affinity.settle(Conversation(conversation), at, (&usage, 1), now);
    }

    const PATIENCE: Patience = Patience { short: 100_000, long: 160_000 };

    #[test]
    fn a_cache_is_worth_waiting_for_while_it_lives() {
        let mut affinity = Affinity::default();
        settle(&mut affinity, 1, 150_000, T);
        let home = affinity.home(Conversation(1)).unwrap();
        assert_eq!(home.worth(&Class::of("m"), PATIENCE, T), Duration::from_secs(15));
        assert_eq!(home.warm(&Class::of("other"), T), 0);
        assert_eq!(home.warm(&Class::of("m"), T + LIFETIME), 0);
        assert_eq!(affinity.home(Conversation(2)), None);
    }

    #[test]
    fn a_cache_that_was_written_for_an_hour_lives_for_one_and_is_worth_more() {
        let (mut affinity, provider, class) = (Affinity::default(), ProviderId::of("p"), Class::of("m"));
        let mut settle = |key: &[u8], cache_read, cache_write, cache_write_long, now| {
            let usage = Usage { cache_write, cache_write_long, cache_read, ..Usage::ZERO };
            let at = (provider, KeyId::of(provider, key), &class);
            affinity.settle(Conversation(1), at, (&usage, 1), now);
            let home = affinity.home(Conversation(1)).unwrap();
            let lives = |age| home.warm(&class, now + age) > 0;
            assert!(lives(LIFETIME.saturating_sub(Duration::from_nanos(1))));
            assert!(!lives(LONG_LIFETIME));
            (lives(LIFETIME), home.worth(&class, PATIENCE, now))
        };
        assert_eq!(settle(b"k", 0, 100_000, 1, T), (true, Duration::from_secs(16)));
        assert_eq!(settle(b"k", 100_000, 0, 0, T + LIFETIME * 2), (true, Duration::from_secs(16)));
        assert_eq!(settle(b"k", 50_000, 50_000, 0, T + LIFETIME * 3), (false, Duration::from_secs(10)));
        assert_eq!(settle(b"k", 50_000, 50_000, 50_000, T + LIFETIME * 4), (true, Duration::from_secs(16)));
        assert_eq!(settle(b"other", 100_000, 0, 0, T + LIFETIME * 5), (false, Duration::from_secs(10)));
    }

    #[test]
    fn it_is_counted_how_many_conversations_are_under_way() {
        let mut affinity = Affinity::default();
        assert_eq!(affinity.count(T), 0);
        let minutes = |minutes| T + Duration::from_mins(minutes);
        for (conversation, minute) in [(1, 0), (2, 1), (1, 2), (3, 3)] {
            settle(&mut affinity, conversation, 10, minutes(minute));
        }
        for (minute, expect) in [(3, 3), (5, 3), (6, 2), (7, 1), (8, 0), (9, 0)] {
            assert_eq!(affinity.count(minutes(minute)), expect, "{minute}");
        }
        settle(&mut affinity, 2, 10, minutes(10));
        assert_eq!(affinity.count(minutes(10)), 1);
        // Also of what was remembered, and of those that are forgotten, for there are too many.
        let mut later = Affinity::default();
        later.recall(affinity.remember(T).iter(), minutes(11));
        assert_eq!(later.count(minutes(11)), 1);
        for conversation in 0..=MOST as u64 {
            settle(&mut later, conversation, 10, minutes(12));
        }
        assert_eq!(later.count(minutes(12)), MOST as u64);
        let looks = (0..=MOST).map(|_| later.count(minutes(20)));
        assert_eq!(looks.last(), Some(0));
    }

    #[test]
    fn those_that_were_quiet_for_longest_are_forgotten() {
        let mut affinity = Affinity::default();
        let at = |index: u64| T + Duration::from_millis(index);
        settle(&mut affinity, 0, 10, T);
        for index in 1..=MOST as u64 {
            settle(&mut affinity, index, 10, at(index));
            settle(&mut affinity, 0, 10, at(index));
        }
        assert_eq!(affinity.homes.len(), MOST);
        assert!(affinity.home(Conversation(0)).is_some() && affinity.home(Conversation(1)).is_none());
        assert!(affinity.order.len() <= 2 * MOST);
    }
}
