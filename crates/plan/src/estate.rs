//! Who may be asked, and what they really allow: a fleet as the relay sees it, and behind it the organizations that
//! hold the limits. It knows what a configuration says of limits, and what is assumed where it says nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_core::{Caps, Families, Fleet, Key, KeyId, Provider, ProviderId};
use relay_sim::limiter::Account;
use relay_sim::{ClassLimit, Limit, Organization, Settings, Workspace};

/// The limits of an organization, by what they are of: requests, input and output a minute, calls at once, and tokens of
/// both kinds a minute, as a provider counts them who has one limit for both.
pub const N_METERS: usize = 5;

/// The place of calls at once.
pub const AT_ONCE: usize = 3;

/// The place of tokens of both kinds.
pub const TOKENS: usize = 4;

/// The default of `server.head_after_ms`.
const HEAD_AFTER: Duration = Duration::from_secs(15);

/// See the module.
#[derive(Clone, Debug)]
pub struct Estate {
    /// As the relay is configured.
    pub fleet: Fleet,
    /// Which models share limits.
    pub families: Families,
    /// The organizations behind it.
    pub provider: Settings,
    /// Whose limits each key counts against.
    pub accounts: BTreeMap<KeyId, Account>,
    /// What each organization has of tokens of both kinds together, a minute.
    pub tokens: Vec<Option<u64>>,
    /// Where the limits of each organization are known from.
    pub known: Vec<[Known; 3]>,
    /// A streaming call that has waited for so long has got its head: it cannot be told when to come back any more.
    pub head_after: Duration,
}

/// Where a limit is known from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// It is configured.
    Configured,
    /// Whoever asked for the plan said so.
    Said,
    /// It is that of the Start tier.
    StartTier,
    /// Nobody knows it, and so it is taken not to be there.
    Nowhere,
}

/// What is said of limits that are not configured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assumed {
    /// Requests, uncached input and output tokens a minute; 0 means no limit.
    pub rates: [Option<u64>; 3],
    /// How much of a rate a full bucket holds.
    pub burst: Duration,
}

/// What is assumed of a provider's limits where nothing is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsaid {
    /// The Start tier of Anthropic.
    StartTier,
    /// No limits.
    Unlimited,
}

/// Requests, input and output tokens a minute.
type Rates = [Option<u64>; 3];

/// The Start tier of Anthropic: requests, input and output tokens a minute
/// (<https://platform.claude.com/docs/en/api/rate-limits>, read 2026-08-22).
pub const START_TIER: [u64; 3] = [1_000, 2_000_000, 400_000];

/// The same for models that have less.
const START_TIER_FABLE: [u64; 3] = [1_000, 500_000, 100_000];
const FABLES: [&str; 2] = ["claude-fable-5-1", "claude-fable-5-2"];

impl Assumed {
    /// Nothing is said, but that buckets hold so much.
    pub const fn nothing(burst: Duration) -> Self {
        Self { rates: [None; 3], burst }
    }

    /// What a limit is of which only this much is configured.
    fn rate(&self, meter: usize, configured: Option<u64>, unsaid: Unsaid) -> (Option<u64>, Known) {
        match (configured, self.rates[meter], unsaid) {
            (Some(rate), ..) => (Some(rate), Known::Configured),
            (None, Some(said), _) => (Some(said).filter(|said| *said > 0), Known::Said),
            (None, None, Unsaid::StartTier) => (Some(START_TIER[meter]), Known::StartTier),
            (None, None, Unsaid::Unlimited) => (None, Known::Nowhere),
        }
    }
}

impl Estate {
    /// The organizations that a fleet most likely has behind it: keys of one `limit_group` are one organization, every
    /// other key is one of its own.
    pub fn of(fleet: Fleet, assumed: &Assumed, unsaid: &dyn Fn(&Provider) -> Unsaid) -> Self {
        let mut holders: Vec<(String, Unsaid, Vec<&Key>)> = Vec::new();
        for provider in &fleet.providers {
            for key in &provider.keys {
                let alone = format!("{}/{}", provider.name, key.label);
                let name = key.group.clone().unwrap_or(alone);
                let known = holders.iter_mut().find(|(known, ..)| *known == name && key.group.is_some());
                match known {
                    Some((.., keys)) => keys.push(key),
                    None => holders.push((unique(&holders, name), unsaid(provider), vec![key])),
                }
            }
        }
        let mut estate = Self {
            provider: Settings { organizations: Vec::new(), ..Settings::default() },
            accounts: BTreeMap::new(),
            tokens: Vec::new(),
            known: Vec::new(),
            head_after: HEAD_AFTER,
            fleet: Fleet::default(),
            families: Families::default(),
        };
        for (name, unsaid, keys) in holders {
            // What two keys of one organization are capped at says at least so much of what it has.
            let configured = keys.iter().fold([None; 3], |most: Rates, key| {
                let caps = [key.caps.requests, key.caps.input, key.caps.output];
                std::array::from_fn(|meter| most[meter].max(caps[meter]))
            });
            let limits = std::array::from_fn(|meter| assumed.rate(meter, configured[meter], unsaid));
            estate.settle(&name, &keys, (limits, assumed.burst));
            // Each key has its own cap of calls at once.
            let at_once: Option<u32> = keys.iter().map(|key| key.caps.at_once).sum();
            if let Some(held) = estate.provider.organizations.last_mut() {
                held.limit.at_once = at_once;
            }
            estate.tokens.push(keys.iter().map(|key| key.caps.tokens).sum());
        }
        estate.fleet = fleet;
        estate
    }

    /// One more organization, with these keys.
    fn settle(&mut self, name: &str, keys: &[&Key], (limits, burst): ([(Option<u64>, Known); 3], Duration)) {
        let organization = self.provider.organizations.len();
        let mut workspaces: Vec<Workspace> = Vec::new();
        for key in keys {
            let id = key.workspace.clone().unwrap_or_else(|| format!("the default workspace of {name}"));
            let workspace = workspaces.iter().position(|known| known.id == id).unwrap_or_else(|| {
                workspaces.push(Workspace::open(&id, &[]));
                workspaces.len() - 1
            });
            let held = &mut workspaces[workspace].keys;
            self.accounts.insert(key.id, Account { organization, workspace, key: held.len() });
            held.push(relay_sim::Key { name: key.label.clone(), secret: String::new() });
        }
        let known = limits.map(|(_, known)| known);
        let limit = limited(limits.map(|(rate, _)| rate), burst);
        let class_limits = if known.contains(&Known::StartTier) { fables(limits, burst) } else { Vec::new() };
        let opened = Organization::open(name, &[]);
        self.provider.organizations.push(Organization { limit, class_limits, workspaces, ..opened });
        self.known.push(known);
    }

    /// The organizations of a provider; each of their keys is a key of the relay, capped by its place.
    pub fn before(provider: &Settings, caps: &dyn Fn(usize) -> Caps) -> Self {
        let id = ProviderId::of("sim");
        let (mut accounts, mut keys, mut tokens) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (organization, held) in provider.organizations.iter().enumerate() {
            let first = keys.len();
            for (workspace, held) in held.workspaces.iter().enumerate() {
                for (key, held) in held.keys.iter().enumerate() {
                    let own = KeyId::of(id, held.secret.as_bytes());
                    accounts.insert(own, Account { organization, workspace, key });
                    keys.push(Key { caps: caps(keys.len()), ..Key::new(own, held.name.as_str()) });
                }
            }
            tokens.push(keys[first..].iter().map(|key: &Key| key.caps.tokens).sum());
        }
        let only = Provider::new("sim", keys);
        let max_wait = Duration::from_secs(30);
        Self {
            fleet: Fleet { providers: vec![only], max_wait, ..Fleet::default() },
            tokens,
            known: vec![[Known::Configured; 3]; provider.organizations.len()],
            head_after: HEAD_AFTER,
            provider: provider.clone(),
            accounts,
            families: Families::default(),
        }
    }

    /// The same with one limit of one organization raised by a quarter, and what its keys are capped at with it.
    pub fn raised(&self, organization: usize, meter: usize) -> Self {
        let mut estate = self.clone();
        let held = &mut estate.provider.organizations[organization];
        raise(&mut held.limit, meter);
        if meter == TOKENS {
            estate.tokens[organization] = estate.tokens[organization].map(quarter_more);
        }
        for limit in &mut held.class_limits {
            raise(&mut limit.limit, meter);
        }
        let of = |key: &Key| self.accounts.get(&key.id).map(|account| account.organization);
        for key in estate.fleet.providers.iter_mut().flat_map(|provider| &mut provider.keys) {
            if of(key) == Some(organization) {
                let Caps { requests, input, output, tokens, at_once } = &mut key.caps;
                match meter {
                    AT_ONCE => *at_once = at_once.map(quarter_more_calls),
                    TOKENS => *tokens = tokens.map(quarter_more),
                    meter => {
                        let cap = [requests, input, output];
                        *cap[meter] = cap[meter].map(quarter_more);
                    }
                }
            }
        }
        estate
    }

    /// What an organization has of a limit, a minute or at once, of all classes but those with a limit of their own.
    pub fn rate(&self, organization: usize, meter: usize) -> Option<u64> {
        self.rates_of(&self.provider.organizations[organization].limit, organization)[meter]
    }

    /// What an organization has of each limit for a class of models, a minute or at once.
    pub fn rates(&self, organization: usize, class: &str) -> [Option<u64>; N_METERS] {
        self.rates_of(&self.limit(organization, class), organization)
    }

    fn rates_of(&self, limit: &Limit, organization: usize) -> [Option<u64>; N_METERS] {
        let mut rates = rates(limit);
        rates[TOKENS] = self.tokens[organization];
        rates
    }

    /// How many times a token of output counts against a limit that is of both kinds together.
    pub fn weight(&self, key: KeyId) -> u64 {
        let provider = self.fleet.providers.iter().find(|provider| provider.has(key));
        provider.and_then(|provider| provider.accounting.reserves).unwrap_or(1)
    }

    /// What an organization has of each limit a minute, for a class of models.
    pub fn limit(&self, organization: usize, class: &str) -> Limit {
        let held = &self.provider.organizations[organization];
        let own = held.class_limits.iter().find(|own| own.class == class);
        Limit { at_once: held.limit.at_once, ..own.map_or(held.limit, |own| own.limit) }
    }
}

/// What a limit allows of each, a minute or at once.
pub(crate) fn rates(limit: &Limit) -> [Option<u64>; N_METERS] {
    let Limit { requests, input, output, at_once, .. } = *limit;
    [requests, input, output, at_once.map(u64::from), None]
}

fn limited([requests, input, output]: Rates, burst: Duration) -> Limit {
    Limit { requests, input, output, burst, at_once: None }
}

/// Of what was taken from the Start tier, some models have less.
fn fables(limits: [(Option<u64>, Known); 3], burst: Duration) -> Vec<ClassLimit> {
    let lower = |meter: usize| match limits[meter] {
        (_, Known::StartTier) => Some(START_TIER_FABLE[meter]),
        (rate, _) => rate,
    };
    let limit = limited(std::array::from_fn(lower), burst);
    FABLES.iter().map(|class| ClassLimit { class: (*class).to_owned(), limit }).collect()
}

fn raise(limit: &mut Limit, meter: usize) {
    match meter {
        AT_ONCE => limit.at_once = limit.at_once.map(quarter_more_calls),
        TOKENS => {}
        meter => {
            let rates = [&mut limit.requests, &mut limit.input, &mut limit.output];
            *rates[meter] = rates[meter].map(quarter_more);
        }
    }
}

fn quarter_more_calls(most: u32) -> u32 {
    most.saturating_add(most.div_ceil(4))
}

fn quarter_more(rate: u64) -> u64 {
    rate.saturating_add(rate.div_ceil(4))
}

/// A name that nobody has yet.
fn unique(holders: &[(String, Unsaid, Vec<&Key>)], name: String) -> String {
    let taken = |name: &str| holders.iter().any(|(known, ..)| known == name);
    if !taken(&name) {
        return name;
    }
    // One of so many is free.
    let mut numbered = (2..=holders.len() + 2).map(|number| format!("{name} #{number}"));
    numbered.find(|name| !taken(name)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: Duration = Duration::from_secs(6);

    fn key(label: &str, group: Option<&str>, requests: Option<u64>) -> Key {
        let caps = Caps { requests, ..Caps::default() };
        let id = KeyId::of(ProviderId::of("a"), label.as_bytes());
        Key { group: group.map(str::to_owned), caps, ..Key::new(id, label) }
    }

    fn estate(keys: Vec<Key>, assumed: &Assumed, unsaid: Unsaid) -> Estate {
        let provider = Provider::new("a", keys);
        Estate::of(Fleet { providers: vec![provider], ..Fleet::default() }, assumed, &|_| unsaid)
    }

    #[test]
    fn keys_of_a_group_are_one_organization_and_every_other_key_is_its_own() {
        let keys = vec![
            key("one", Some("team"), Some(50)),
            key("two", None, None),
            key("three", Some("team"), Some(80)),
            key("two", None, Some(7)),
        ];
        let estate = estate(keys, &Assumed::nothing(BURST), Unsaid::StartTier);
        let held: Vec<_> = estate.provider.organizations.iter().map(|held| held.id.as_str()).collect();
        assert_eq!(held, ["team", "a/two", "a/two #2"]);
        let requests = [0, 1, 2].map(|organization| estate.rate(organization, 0));
        assert_eq!(requests, [Some(80), Some(1_000), Some(7)]);
    }

    #[test]
    fn a_limit_is_what_is_configured_or_what_is_said_or_that_of_the_tier_or_none() {
        let said = Assumed { rates: [None, Some(0), Some(9)], burst: BURST };
        let (nothing, tier, none) = (Assumed::nothing(BURST), Unsaid::StartTier, Unsaid::Unlimited);
        let (million, fable) = (Some(2_000_000), Some(500_000));
        let table = [
            (nothing, tier, [Some(7), million, Some(400_000)], [Some(7), fable, Some(100_000)]),
            (nothing, none, [Some(7), None, None], [Some(7), None, None]),
            (said, tier, [Some(7), None, Some(9)], [Some(7), None, Some(9)]),
            (said, none, [Some(7), None, Some(9)], [Some(7), None, Some(9)]),
        ];
        for (assumed, unsaid, expect, expect_of_fable) in table {
            let estate = estate(vec![key("one", None, Some(7))], &assumed, unsaid);
            let rates = [0, 1, 2].map(|meter| estate.rate(0, meter));
            assert_eq!(rates, expect, "{assumed:?}, {unsaid:?}");
            let Limit { requests, input, output, .. } = estate.limit(0, "claude-fable-5-2");
            assert_eq!([requests, input, output], expect_of_fable, "{assumed:?}, {unsaid:?}");
        }
    }

    #[test]
    fn one_limit_is_raised_by_a_quarter_and_its_caps_with_it() {
        let keys = vec![key("one", Some("team"), Some(50)), key("two", None, Some(50))];
        let estate = estate(keys, &Assumed::nothing(BURST), Unsaid::StartTier).raised(0, 0);
        assert_eq!(
            (estate.rate(0, 0), estate.rate(1, 0), estate.rate(0, 1)),
            (Some(63), Some(50), Some(2_000_000))
        );
        let caps: Vec<_> = estate.fleet.providers[0].keys.iter().map(|key| key.caps.requests).collect();
        assert_eq!(caps, [Some(63), Some(50)]);
        assert_eq!(estate.limit(0, "claude-fable-5-1").requests, Some(63));
    }
}
