//! What each key carried: as the provider counted it, and how often the relay let it rest. A table, of which
//! the alternate form (`{:#}`) is for watching: it marks the keys that rest right now.

use std::fmt;

use indicatif::HumanCount;
use relay_proxy::Handle;
use relay_sim::{Limit, Sim, Totals};

/// What each key carried.
#[derive(Clone)]
pub(crate) struct Carried {
    organizations: Vec<Organization>,
    /// How many calls waited for a key when this was last looked at.
    pub(crate) waiting: usize,
    /// The most that were seen to wait at once.
    pub(crate) most_waiting: usize,
}

#[derive(Clone)]
struct Organization {
    name: String,
    limit: Limit,
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    name: String,
    load: Load,
    rests_now: bool,
}

/// A number for each of the [`HEADS`].
type Load = [u64; 7];

/// The heads of the columns: requests, those that were refused for a limit, how often the key began to rest,
/// and tokens. With the names before them, the table fits a terminal of 80.
const HEADS: [&str; 7] = ["requests", "429", "rests", "input", "from cache", "to cache", "output"];

impl Carried {
    /// The keys of that provider, which have carried nothing yet.
    pub(crate) fn by(provider: &Sim) -> Self {
        let organizations = provider.settings().organizations.iter().map(|organization| {
            let keys = organization.workspaces.iter().flat_map(|workspace| &workspace.keys);
            let keys = keys.map(|key| Key { name: key.name.clone(), load: [0; 7], rests_now: false });
            let keys: Vec<Key> = keys.collect();
            // The simulated keys are called after their organization, which itself has only an id.
            let name = keys.first().and_then(|key| key.name.rsplit_once('-')).map_or("", |(name, _)| name);
            Organization { name: name.to_owned(), limit: organization.limit, keys }
        });
        Self { organizations: organizations.collect(), waiting: 0, most_waiting: 0 }
    }

    /// Looks at what was carried until now. A rest is a second at least (`retry-after` is in whole seconds):
    /// who looks more often misses none.
    pub(crate) fn look(&mut self, provider: &Sim, relay: &Handle) {
        let (counted, standing) = (provider.report().keys, relay.report());
        self.waiting = standing.waiting;
        self.most_waiting = self.most_waiting.max(self.waiting);
        // The relay was given the keys in the provider's order.
        let standing = standing.providers.iter().flat_map(|provider| &provider.keys);
        let keys = self.organizations.iter_mut().flat_map(|organization| &mut organization.keys);
        for ((key, counted), standing) in keys.zip(&counted).zip(standing) {
            key.look(&counted.totals, !standing.held.is_empty());
        }
    }

    /// What was carried since it was `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        let keys = since.organizations.iter_mut().flat_map(|organization| &mut organization.keys);
        for (key, before) in keys.zip(before.keys()) {
            key.load = std::array::from_fn(|place| key.load[place] - before.load[place]);
        }
        since
    }

    /// How many requests were carried, those included that were refused.
    pub(crate) fn requests(&self) -> u64 {
        self.sum()[0]
    }

    /// How many requests were refused because a limit was reached.
    pub(crate) fn refused(&self) -> u64 {
        self.sum()[1]
    }

    /// How many organizations and how many keys there are.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.organizations.len(), self.keys().count())
    }

    fn sum(&self) -> Load {
        std::array::from_fn(|place| self.keys().map(|key| key.load[place]).sum())
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.organizations.iter().flat_map(|organization| &organization.keys)
    }
}

impl Key {
    fn look(&mut self, &Totals { requests, rate_limited, usage, .. }: &Totals, rests_now: bool) {
        let rests = self.load[2] + u64::from(rests_now && !self.rests_now);
        let (read, written) = (usage.cache_read, usage.cache_creation);
        self.load = [requests, rate_limited, rests, usage.input, read, written, usage.output];
        self.rests_now = rests_now;
    }
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ready, rests] = if f.alternate() { ["●", "○"] } else { [" "; 2] };
        row(f, if f.alternate() { "○ rests" } else { "" }, HEADS.map(str::to_owned))?;
        for Organization { name, limit, keys } in &self.organizations {
            let rates = [limit.requests, limit.input, limit.output];
            let [requests, input, output] = rates.map(|rate| HumanCount(rate.unwrap_or_default()));
            writeln!(
                f,
                "{name}, which has {requests} requests, {input} tokens in and {output} out a minute"
            )?;
            for Key { name, load, rests_now } in keys {
                row(f, &format!("{} {name}", if *rests_now { rests } else { ready }), load.map(count))?;
            }
        }
        row(f, "all", self.sum().map(count))
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, cells: [String; 7]) -> fmt::Result {
    let [requests, refused, rests, input, read, written, output] = cells;
    writeln!(f, "{name:<10}{requests:>9}{refused:>6}{rests:>7}{input:>10}{read:>13}{written:>12}{output:>9}")
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use relay_sim::{Settings, Usage};

    /// What the keys have carried when the first was asked that often, of which it refused two.
    fn carried(requests: u64) -> Carried {
        let mut carried = Carried::by(&Sim::new(Settings::demo()));
        let usage = Usage { input: 70, cache_creation: 81_000, cache_read: 1_234_567, output: 6_500 };
        let counted = Totals { requests, rate_limited: 2, usage, ..Totals::default() };
        carried.organizations[0].keys[0].look(&counted, true);
        carried.organizations[1].keys[1].look(&Totals { requests: 1, ..Totals::default() }, false);
        carried
    }

    #[test]
    fn the_table_names_every_key_adds_up_and_fits_a_terminal() {
        assert_snapshot!(format!("{:#}", carried(40)), @r"
        ○ rests    requests   429  rests     input   from cache    to cache   output
        amber, which has 600 requests, 400,000 tokens in and 80,000 out a minute
        ○ amber-1        40     2      1        70    1,234,567      81,000    6,500
        ● amber-2         0     0      0         0            0           0        0
        basil, which has 300 requests, 200,000 tokens in and 40,000 out a minute
        ● basil-1         0     0      0         0            0           0        0
        ● basil-2         1     0      0         0            0           0        0
        all              41     2      1        70    1,234,567      81,000    6,500
        ");
        assert!(carried(40).to_string().lines().all(|line| line.chars().count() < 80));
        assert!(!carried(40).to_string().contains(['○', '●']), "what is over does not rest");
    }

    #[test]
    fn a_rest_is_one_however_often_it_is_seen() {
        let mut carried = carried(40);
        let key = &mut carried.organizations[0].keys[0];
        for rests_now in [true, true, false, false, true] {
            key.look(&Totals::default(), rests_now);
        }
        assert_eq!(key.load[2], 2);
    }

    #[test]
    fn what_was_carried_before_is_not_counted() {
        let since = carried(45).since(&carried(40));
        assert_eq!(since.sum(), [5, 0, 0, 0, 0, 0, 0]);
    }
}
