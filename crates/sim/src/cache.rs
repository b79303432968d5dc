//! The prompt cache: which prefixes of prompts a workspace has paid for and may read again.
//!
//! The rules are those of <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>:
//! exact prefixes, at most 20 blocks of look-back from each breakpoint, 5 minutes or 1 hour from
//! the start of the request and refreshed on use, a least size, and readable only once the first
//! answer has begun. It is pure: moments are passed in, and what is cached are sizes, not text.

use std::{collections::HashMap, time::Duration};

use crate::prefix::{Segment, Ttl};

/// How many blocks before a breakpoint are looked at for a cached prefix.
const LOOK_BACK: usize = 20;

/// Above this many entries the expired ones are cleared away.
const CROWDED: usize = 4096;

/// How the prompt of one request divides. The parts never overlap and sum up to the whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Split {
    /// `cache_read_input_tokens`
    pub read: u64,
    /// `ephemeral_5m_input_tokens`
    pub written_5m: u64,
    /// `ephemeral_1h_input_tokens`
    pub written_1h: u64,
    /// `input_tokens`: neither read nor written.
    pub uncached: u64,
}

/// What a request will do to the cache once its answer begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Visit {
    /// How its prompt divides.
    pub split: Split,
    workspace: (usize, usize),
    asked: Duration,
    touched: Vec<(u128, Ttl)>,
}

/// Which prefixes are cached, by workspace (its organization's place and its own) and digest.
#[derive(Debug, Default)]
pub struct PromptCache {
    entries: HashMap<((usize, usize), u128), Entry>,
    clear_at: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    ttl: Ttl,
    until: Duration,
}

impl Split {
    /// What counts against the limit of input tokens: everything but cache reads.
    pub fn limited(&self) -> u64 {
        self.uncached + self.written()
    }

    /// `cache_creation_input_tokens`
    pub fn written(&self) -> u64 {
        self.written_5m + self.written_1h
    }

    /// The whole prompt.
    pub fn total(&self) -> u64 {
        self.read + self.limited()
    }
}

impl PromptCache {
    /// Looks up a prompt whose prefixes are cached from `least` tokens up. Nothing changes before
    /// [`PromptCache::begin`].
    pub fn visit(&self, workspace: (usize, usize), segments: &[Segment], least: u64, now: Duration) -> Visit {
        let marks: Vec<(usize, Ttl)> = segments
            .iter()
            .enumerate()
            .filter_map(|(place, segment)| Some((place, segment.breakpoint?)))
            .filter(|(place, _)| segments[*place].tokens >= least)
            .collect();
        let found = self.longest(workspace, segments, &marks, now);
        let mut split = Split { read: found.map_or(0, |place| segments[place].tokens), ..Split::default() };
        let mut covered = split.read;
        let mut touched = Vec::new();
        if let Some(place) = found {
            let entry = self.entries[&(workspace, segments[place].digest)];
            touched.push((segments[place].digest, entry.ttl));
        }
        for (place, ttl) in marks {
            let segment = segments[place];
            let known = self.live(workspace, segment.digest, now);
            touched.push((segment.digest, known.map_or(ttl, |entry| longer(entry.ttl, ttl))));
            let more = segment.tokens.saturating_sub(covered);
            match ttl {
                Ttl::FiveMinutes => split.written_5m += more,
                Ttl::OneHour => split.written_1h += more,
            }
            covered += more;
        }
        split.uncached = segments.last().map_or(0, |last| last.tokens) - covered;
        Visit { split, workspace, asked: now, touched }
    }

    /// The answer has begun: what the visit read is refreshed, what it wrote is readable.
    pub fn begin(&mut self, visit: &Visit, now: Duration) {
        for &(digest, ttl) in &visit.touched {
            let until = visit.asked + ttl.duration();
            let entry = self.entries.entry((visit.workspace, digest)).or_insert(Entry { ttl, until });
            entry.ttl = ttl;
            entry.until = entry.until.max(until);
        }
        if self.entries.len() > self.clear_at.max(CROWDED) {
            self.entries.retain(|_, entry| entry.until > now);
            self.clear_at = self.entries.len() * 2;
        }
    }

    /// The place of the longest cached prefix within reach of a breakpoint.
    fn longest(
        &self,
        workspace: (usize, usize),
        segments: &[Segment],
        marks: &[(usize, Ttl)],
        now: Duration,
    ) -> Option<usize> {
        marks.iter().rev().find_map(|&(mark, _)| {
            let first = mark.saturating_sub(LOOK_BACK);
            (first..=mark).rev().find(|&place| self.live(workspace, segments[place].digest, now).is_some())
        })
    }

    fn live(&self, workspace: (usize, usize), digest: u128, now: Duration) -> Option<Entry> {
        self.entries.get(&(workspace, digest)).filter(|entry| entry.until > now).copied()
    }
}

fn longer(one: Ttl, other: Ttl) -> Ttl {
    if one == Ttl::OneHour { one } else { other }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::{collection::vec, option, prop_assert, prop_assert_eq, proptest, strategy::Strategy};

    use super::{PromptCache, Split};
    use crate::prefix::{Segment, Ttl};

    const START: Duration = Duration::from_secs(1_795_000_000);
    const HERE: (usize, usize) = (0, 0);
    const ELSEWHERE: (usize, usize) = (0, 1);
    const MARK: Option<Ttl> = Some(Ttl::FiveMinutes);

    /// Segments from (tokens, breakpoint); equal beginnings have equal digests.
    fn prompt(parts: &[(u64, Option<Ttl>)]) -> Vec<Segment> {
        let mut tokens = 0;
        let mut digest = 17_u128;
        parts
            .iter()
            .map(|&(size, breakpoint)| {
                tokens += size;
                digest = digest.wrapping_mul(1_000_003).wrapping_add(u128::from(size) + 1);
                Segment { digest, tokens, breakpoint }
            })
            .collect()
    }

    fn ask(cache: &mut PromptCache, segments: &[Segment], now: Duration) -> Split {
        let visit = cache.visit(HERE, segments, 512, now);
        cache.begin(&visit, now);
        visit.split
    }

    fn ttl() -> impl Strategy<Value = Option<Ttl>> {
        option::of(proptest::sample::select(vec![Ttl::FiveMinutes, Ttl::OneHour]))
    }

    proptest! {
        /// The parts of a prompt never overlap, whatever was cached before.
        #[test]
        fn parts_sum_up_to_the_whole(
            prompts in vec(vec((1_u64..900, ttl()), 1..30), 1..8),
            pauses in vec(0_u64..400, 8),
        ) {
            let mut cache = PromptCache::default();
            let mut now = START;
            for (parts, pause) in prompts.iter().zip(pauses) {
                now += Duration::from_secs(pause);
                let segments = prompt(parts);
                let split = ask(&mut cache, &segments, now);
                prop_assert_eq!(split.total(), segments.last().expect("at least one").tokens);
                let again = ask(&mut cache, &segments, now);
                prop_assert_eq!(again.written(), 0, "the same prompt again writes nothing");
                prop_assert_eq!(again.uncached, split.uncached);
                prop_assert!(again.read >= split.read);
            }
        }
    }

    #[test]
    fn a_growing_conversation_reads_what_it_wrote_before() {
        let mut cache = PromptCache::default();
        let first = ask(&mut cache, &prompt(&[(1000, None), (500, MARK), (20, None)]), START);
        assert_eq!(first, Split { written_5m: 1500, uncached: 20, ..Split::default() });
        let second = ask(&mut cache, &prompt(&[(1000, None), (500, None), (20, None), (80, MARK)]), START);
        assert_eq!(second, Split { read: 1500, written_5m: 100, ..Split::default() });
    }

    #[test]
    fn another_workspace_and_another_beginning_read_nothing() {
        let mut cache = PromptCache::default();
        ask(&mut cache, &prompt(&[(1000, None), (500, MARK)]), START);
        assert_eq!(cache.visit(ELSEWHERE, &prompt(&[(1000, None), (500, MARK)]), 512, START).split.read, 0);
        assert_eq!(ask(&mut cache, &prompt(&[(1001, None), (500, MARK)]), START).read, 0);
    }

    #[test]
    fn parallel_first_calls_all_pay() {
        let mut cache = PromptCache::default();
        let segments = prompt(&[(2000, MARK)]);
        let visits: Vec<_> = (0..3).map(|_| cache.visit(HERE, &segments, 512, START)).collect();
        assert!(visits.iter().all(|visit| visit.split.written_5m == 2000));
        cache.begin(&visits[0], START);
        assert_eq!(cache.visit(HERE, &segments, 512, START).split.read, 2000);
    }

    #[test]
    fn entries_live_five_minutes_from_the_start_of_the_last_request_that_used_them() {
        let mut cache = PromptCache::default();
        let segments = prompt(&[(2000, MARK)]);
        let minutes = |minutes| START + Duration::from_mins(minutes);
        let visit = cache.visit(HERE, &segments, 512, START);
        cache.begin(&visit, minutes(2));
        assert_eq!(ask(&mut cache, &segments, minutes(4)).read, 2000);
        assert_eq!(ask(&mut cache, &segments, minutes(8)).read, 2000, "refreshed at minute 4");
        assert_eq!(ask(&mut cache, &segments, minutes(13)).read, 0, "forgotten at minute 13");
    }

    #[test]
    fn an_hour_is_an_hour_and_is_counted_apart() {
        let mut cache = PromptCache::default();
        let segments = prompt(&[(1000, Some(Ttl::OneHour)), (600, MARK)]);
        let first = ask(&mut cache, &segments, START);
        assert_eq!((first.written_1h, first.written_5m), (1000, 600));
        let later = ask(&mut cache, &segments, START + Duration::from_mins(59));
        assert_eq!((later.read, later.written_5m), (1000, 600));
    }

    #[test]
    fn small_prefixes_are_not_cached() {
        let mut cache = PromptCache::default();
        let segments = prompt(&[(511, MARK)]);
        assert_eq!(ask(&mut cache, &segments, START), Split { uncached: 511, ..Split::default() });
        assert_eq!(ask(&mut cache, &segments, START).read, 0);
    }

    #[test]
    fn a_breakpoint_looks_back_twenty_blocks_and_no_further() {
        let conversation = |more: usize| {
            let mut parts = vec![(1000, if more == 0 { MARK } else { None })];
            parts.extend((0..more).map(|place| (10, if place + 1 == more { MARK } else { None })));
            prompt(&parts)
        };
        let mut cache = PromptCache::default();
        ask(&mut cache, &conversation(0), START);
        assert_eq!(cache.visit(HERE, &conversation(20), 512, START).split.read, 1000);
        assert_eq!(cache.visit(HERE, &conversation(21), 512, START).split.read, 0);
    }

    #[test]
    fn expired_entries_are_cleared_away() {
        let mut cache = PromptCache::default();
        for size in 0..5000 {
            let now = START + Duration::from_secs(size);
            ask(&mut cache, &prompt(&[(1000 + size, MARK)]), now);
        }
        assert!(cache.entries.len() < 4200, "{} entries", cache.entries.len());
    }
}
