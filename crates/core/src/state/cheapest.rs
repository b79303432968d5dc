//! Of the keys of a pool that could serve a call now, the one at which that costs the others least.

use std::cmp::Reverse;
use std::hint::black_box;

use crate::account::{Account, ClassId, Domain, DomainId};
use crate::fleet::Class;
use crate::key::Standing;
use crate::limits::{Limits, Needs};
use crate::plan::Plan;
use crate::time::{Roll, Time};

use super::State;
use super::survey::{Look, Wants};

/// Pools up to this size are looked at whole.
const SMALL: usize = 32;

/// Of a larger pool so many keys are looked at, drawn by the dice: the best of so many is nearly as good as the best
/// (Mitzenmacher, "The power of two choices in randomized load balancing").
const SAMPLE: usize = 8;

/// Loads are compared in so many parts of a share.
const SHARES: u64 = 1 << 16;

/// Which of two keys is chosen: the one of higher priority; then by cost, by how strained its windows are, by load, by
/// how often it was its turn, and by its place.
type Rank = (Reverse<u32>, u64, u32, u64, u64, usize);

/// One key, and who holds its limits.
#[derive(Clone, Copy)]
struct Sight<'a> {
    standing: &'a Standing,
    account: &'a Account,
    held: Option<&'a Domain>,
    room: Option<&'a Domain>,
}

impl State {
    /// The key at which serving the call costs the others least; of a higher priority, if one could serve now.
    pub(super) fn cheapest(
        &self,
        plan: &Plan,
        (place, class): (usize, ClassId),
        wants: &Wants<'_>,
        (now, roll): (Time, Roll),
    ) -> Option<usize> {
        let (provider, pool) = (self.fleet.providers[place].id, &self.pools[place]);
        let able = |index: usize| {
            let (domain, needs) = (self.domain(pool[index], class), self.wanted(wants, pool[index]));
            matches!(self.look(plan, (provider, pool[index], domain), &needs, now), Look::Able)
        };
        let mut best: Option<Rank> = None;
        // Whether somebody could serve now is asked last, for of most it is not needed to know.
        let mut compare = |index: usize, sight: &Sight<'_>| {
            let needs = self.wanted(wants, pool[index]);
            if let Some(rank) = sight.rank(index, best.as_ref(), (&needs, &plan.class), now)
                && able(index)
            {
                best = Some(rank);
            }
        };
        if pool.len() <= SMALL {
            pool.iter().enumerate().for_each(|(index, key)| compare(index, &self.sight(*key, class)));
        } else {
            let mut dice = roll;
            let drawn: [usize; SAMPLE] = std::array::from_fn(|_| {
                dice = dice.again();
                usize::try_from(dice.below(pool.len() as u64)).unwrap_or_default()
            });
            let sights = self.sights(drawn.map(|index| pool[index]), class);
            drawn.iter().zip(&sights).for_each(|(index, sight)| compare(*index, sight));
        }
        let chosen = best.map(|(.., index)| index);
        chosen.or_else(|| (0..pool.len()).find(|index| able(*index))).map(|index| pool[index])
    }

    /// What serving a call with that key costs the others.
    pub(super) fn cost(&self, key: usize, domain: DomainId, needs: &Needs, now: Time) -> u64 {
        self.sight(key, domain.class).cost(needs, u64::MAX, now)
    }

    /// For how long serving a call with that key keeps its limits busy, in nanoseconds.
    pub(super) fn takes(&self, key: usize, domain: DomainId, needs: &Needs) -> u64 {
        let sight = self.sight(key, domain.class);
        let own = sight.standing.caps.takes(needs);
        let holders = sight.held.into_iter().chain(sight.room);
        holders.map(|held| held.limits.takes(needs)).fold(own, u64::saturating_add)
    }

    /// For how long all limits of a key have been full, in nanoseconds: whatever they gave in that time nobody wanted.
    pub(super) fn idle(&self, key: usize, domain: DomainId, now: Time) -> u64 {
        let sight = self.sight(key, domain.class);
        let holders = sight.held.into_iter().chain(sight.room).map(|held| &held.limits);
        let full = holders.chain([&sight.standing.caps]).filter_map(Limits::full).max();
        full.map_or(0, |full| u64::try_from(now.since(full).as_nanos()).unwrap_or(u64::MAX))
    }

    fn sight(&self, key: usize, class: ClassId) -> Sight<'_> {
        let standing = self.keys.at(key);
        let account = self.accounts.get(standing.account);
        let room = self.workspaces.get(standing.workspace).domain(class);
        Sight { standing, account, held: account.domain(class), room }
    }

    /// Several keys, of very many. They lie far apart in memory, so they are looked at step by step, all side by side:
    /// whatever is not near is waited for once, and not once for each.
    fn sights(&self, keys: [usize; SAMPLE], class: ClassId) -> [Sight<'_>; SAMPLE] {
        let standings = keys.map(|key| self.keys.at(key));
        let own = standings.map(|standing| (standing.in_flight, standing.caps.glance()));
        let accounts = standings.map(|standing| self.accounts.get(standing.account));
        let workspaces = standings.map(|standing| self.workspaces.get(standing.workspace));
        let held = accounts.map(|account| account.domain(class));
        let rooms = workspaces.map(|workspace| workspace.domain(class));
        let glance = |held: Option<&Domain>| held.map_or(0, |held| held.limits.glance());
        black_box((own, held.map(glance), rooms.map(glance)));
        let sight = |nth: usize| (standings[nth], accounts[nth], held[nth], rooms[nth]);
        std::array::from_fn(|nth| {
            let (standing, account, held, room) = sight(nth);
            Sight { standing, account, held, room }
        })
    }
}

impl Sight<'_> {
    /// How it compares, if that is better than the best so far.
    fn rank(
        &self,
        index: usize,
        best: Option<&Rank>,
        (needs, class): (&Needs, &Class),
        now: Time,
    ) -> Option<Rank> {
        let Standing { priority, weight, in_flight, .. } = *self.standing;
        // What costs more than this is not chosen.
        let most = match best {
            Some((Reverse(known), ..)) if *known > priority => return None,
            Some((Reverse(known), cost, ..)) if *known == priority => *cost,
            _ => u64::MAX,
        };
        let cost = self.cost(needs, most, now);
        if cost > most {
            return None;
        }
        let share = |count: u64| count.saturating_mul(SHARES) / u64::from(weight.max(1));
        // Those that are alike take turns.
        let turns = share(self.standing.totals.leases);
        let strain = self.account.strain(class, now);
        let rank = (Reverse(priority), cost, strain, share(u64::from(in_flight)), turns, index);
        best.is_none_or(|best| rank < *best).then_some(rank)
    }

    /// What serving a call costs the others; if it is more than `most`, it does not matter how much more.
    fn cost(&self, needs: &Needs, most: u64, now: Time) -> u64 {
        let own = self.standing.caps.add_cost(0, needs, &self.standing.ahead, most, now);
        let holders = self.held.into_iter().chain(self.room);
        holders.fold(own, |cost, held| held.limits.add_cost(cost, needs, &held.ahead, most, now))
    }
}
