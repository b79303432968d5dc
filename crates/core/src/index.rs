//! Things by names that are hashes, found at the first look. It refuses to know what is named.
//!
//! A table of places with open addressing and linear probing, and the things themselves in a row. What is removed leaves
//! no trace (Knuth, "The Art of Computer Programming", volume 3, section 6.4, algorithm R), so while as many come as go it
//! asks for no memory. Names may come from clients: with a seed that they do not know, nobody can choose names of which
//! many meet at one place.

use crate::time::Roll;

/// The least slots that there are, once there are any.
const LEAST: usize = 16;

/// A name that is a hash, and so as good as random.
pub(crate) trait Hashed: Copy + Eq {
    fn hash(self) -> u64;
}

/// The table.
#[derive(Clone, Debug)]
pub(crate) struct Index<N, T> {
    seed: Option<Roll>,
    /// As many as a power of two, of which a quarter is free at least. The others have the place of a thing.
    slots: Vec<Option<(N, usize)>>,
    things: Vec<(N, T)>,
}

impl<N, T> Default for Index<N, T> {
    fn default() -> Self {
        Self { seed: None, slots: Vec::new(), things: Vec::new() }
    }
}

impl<N: Hashed, T> Index<N, T> {
    /// Whoever does not know this roll cannot tell where a name is looked for. The first one counts.
    pub(crate) const fn seed(&mut self, roll: Roll) {
        if self.seed.is_none() && self.things.is_empty() {
            self.seed = Some(roll);
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.things.len()
    }

    /// All names, in no order that means anything.
    pub(crate) fn names(&self) -> impl Iterator<Item = N> {
        self.things.iter().map(|(name, _)| *name)
    }

    pub(crate) fn get(&self, name: N) -> Option<&T> {
        let (_, place) = self.find(name)?;
        Some(&self.things[place].1)
    }

    pub(crate) fn get_mut(&mut self, name: N) -> Option<&mut T> {
        let (_, place) = self.find(name)?;
        Some(&mut self.things[place].1)
    }

    /// Puts something there, instead of what was there.
    pub(crate) fn insert(&mut self, name: N, thing: T) {
        if let Some((_, place)) = self.find(name) {
            self.things[place].1 = thing;
            return;
        }
        if (self.things.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.put(name, self.things.len());
        self.things.push((name, thing));
    }

    /// Takes away what is there, if there is anything.
    pub(crate) fn remove(&mut self, name: N) -> Option<T> {
        let (slot, place) = self.find(name)?;
        self.free(slot);
        let (_, thing) = self.things.swap_remove(place);
        // The last one has taken its place.
        if let Some((moved, _)) = self.things.get(place)
            && let Some((slot, _)) = self.find(*moved)
        {
            self.slots[slot] = Some((*moved, place));
        }
        Some(thing)
    }

    /// The slot of a name that is there, and the place of its thing.
    fn find(&self, name: N) -> Option<(usize, usize)> {
        let mut slot = self.home(name);
        loop {
            let (known, place) = (*self.slots.get(slot)?)?;
            if known == name {
                return Some((slot, place));
            }
            slot = self.after(slot);
        }
    }

    /// Into the first free slot from its own on.
    fn put(&mut self, name: N, place: usize) {
        let mut slot = self.home(name);
        while self.slots[slot].is_some() {
            slot = self.after(slot);
        }
        self.slots[slot] = Some((name, place));
    }

    /// A slot becomes free, and those behind it that would not be found any more move up.
    fn free(&mut self, mut hole: usize) {
        let mask = self.slots.len() - 1;
        let mut slot = self.after(hole);
        while let Some((name, _)) = self.slots[slot] {
            let distance = |from: usize| slot.wrapping_sub(from) & mask;
            if distance(self.home(name)) >= distance(hole) {
                self.slots[hole] = self.slots[slot];
                hole = slot;
            }
            slot = self.after(slot);
        }
        self.slots[hole] = None;
    }

    fn grow(&mut self) {
        self.slots = vec![None; (self.slots.len() * 2).max(LEAST)];
        for place in 0..self.things.len() {
            self.put(self.things[place].0, place);
        }
    }

    /// The slot at which a name is looked for first.
    fn home(&self, name: N) -> usize {
        let Roll(seed) = self.seed.unwrap_or(Roll(0));
        let Roll(mixed) = Roll(name.hash() ^ seed).again();
        let mask = self.slots.len().wrapping_sub(1);
        usize::try_from(mixed & u64::try_from(mask).unwrap_or(u64::MAX)).unwrap_or_default()
    }

    const fn after(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl Hashed for u64 {
        fn hash(self) -> u64 {
            self
        }
    }

    proptest! {
        /// Few names, so that they come again; whatever the seed.
        #[test]
        fn it_holds_what_a_map_holds(
            seed in any::<u64>(),
            steps in proptest::collection::vec((0_u64..60, proptest::option::of(any::<u8>())), 0..300),
        ) {
            let (mut index, mut map) = (Index::default(), BTreeMap::new());
            index.seed(Roll(seed));
            for (name, thing) in steps {
                if let Some(thing) = thing {
                    index.insert(name, thing);
                    map.insert(name, thing);
                } else {
                    prop_assert_eq!(index.remove(name), map.remove(&name));
                }
                prop_assert_eq!(index.len(), map.len());
                for name in 0..60 {
                    prop_assert_eq!(index.get(name), map.get(&name), "{}", name);
                }
            }
            let mut names: Vec<_> = index.names().collect();
            names.sort_unstable();
            prop_assert!(names.iter().eq(map.keys()));
        }
    }

    #[test]
    fn while_as_many_come_as_go_it_does_not_grow() {
        let mut index = Index::default();
        (0..1_000_u64).for_each(|name| index.insert(name, name));
        let (slots, things) = (index.slots.len(), index.things.capacity());
        for name in 1_000..100_000 {
            assert_eq!(index.remove(name - 1_000), Some(name - 1_000));
            index.insert(name, name);
        }
        assert_eq!((index.slots.len(), index.things.capacity(), index.len()), (slots, things, 1_000));
    }

    #[test]
    fn a_table_is_three_quarters_full_at_most_and_names_are_spread_over_it() {
        let mut index = Index::<u64, ()>::default();
        (0..12).for_each(|name| index.insert(name, ()));
        assert_eq!(index.slots.len(), LEAST);
        index.insert(12, ());
        assert_eq!(index.slots.len(), 2 * LEAST);
        let homes = |seed| {
            let mut index = Index::<u64, ()>::default();
            index.seed(Roll(seed));
            (0..700).for_each(|name| index.insert(name, ()));
            (0..700).map(|name| index.home(name)).collect::<Vec<_>>()
        };
        for seed in [0, 12_345, u64::MAX] {
            let mut places = homes(seed);
            assert_ne!(places, homes(seed ^ 1), "who does not know the seed cannot choose places");
            places.sort_unstable();
            places.dedup();
            assert!(places.len() > 450, "{} places for 700 names, with seed {seed}", places.len());
        }
    }

    #[test]
    fn the_first_seed_counts_and_none_once_something_is_there() {
        let mut index = Index::<u64, ()>::default();
        index.seed(Roll(1));
        index.seed(Roll(2));
        assert_eq!(index.seed, Some(Roll(1)));
        let mut unseeded = Index::default();
        unseeded.insert(7_u64, ());
        unseeded.seed(Roll(1));
        assert_eq!((unseeded.seed, unseeded.get(7)), (None, Some(&())));
    }
}
