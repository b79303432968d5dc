//! The fleet: all providers, keys and models as configured. Immutable; it knows nothing that was learned.

use std::fmt;
use std::time::Duration;

use crate::index::Hashed;
use crate::name::Name;
use crate::price::{Prices, Second};
use crate::select::Strategy;

/// All providers, in the order of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fleet {
    /// Those that are enabled and can be served.
    pub providers: Vec<Provider>,
    /// In which order providers are tried.
    pub strategy: Strategy,
    /// Which models belong to whom.
    pub ownership: Ownership,
    /// How long a call may wait for its turn.
    pub max_wait: Duration,
    /// How long a call waits for another one to write the prefix that they have in common; zero for not at all.
    pub prefix_wait: Duration,
    /// So many calls may wait at once; without a number, as many as come.
    pub queue_calls: Option<u64>,
    /// Their bodies may be so large together, in bytes.
    pub queue_bytes: Option<u64>,
    /// What models cost.
    pub prices: Prices,
    /// What a second of waiting is worth.
    pub second: Second,
}

impl Fleet {
    /// The provider of that id.
    pub fn provider(&self, id: ProviderId) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.id == id)
    }
}

/// A configured upstream account with keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Provider {
    /// Made from its name, so that it survives a reload and means the same on every relay.
    pub id: ProviderId,
    /// Its name in the configuration.
    pub name: String,
    /// Its keys, in the order of the configuration.
    pub keys: Vec<Key>,
    /// How one of its keys is chosen.
    pub strategy: Strategy,
    /// Higher goes first, under strategies that look at it.
    pub priority: u32,
    /// Its share, under strategies that look at it; at least 1.
    pub weight: u32,
    /// What it counts otherwise than Anthropic does.
    pub accounting: Accounting,
}

impl Provider {
    /// One like any other: of ordinary priority and weight, that counts as Anthropic does.
    pub fn new(name: impl Into<String>, keys: Vec<Key>) -> Self {
        let (name, strategy, accounting) = (name.into(), Strategy::LeastLoaded, Accounting::default());
        Self { id: ProviderId::of(&name), name, keys, strategy, priority: 0, weight: 1, accounting }
    }
}

/// What a provider counts otherwise than Anthropic does: requests, input and output, a minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Accounting {
    /// An account may have so many calls under way at once, for models whose names begin like that: the first that fits.
    pub at_once: &'static [(&'static str, u32)],
    /// One limit is for all tokens. When a call begins, all of its prompt counts against it, and an answer as long as it may
    /// be; in the end what is cached of the prompt does not, and each token of the answer counts so much.
    pub reserves: Option<u64>,
}

impl Accounting {
    /// How many calls an account may have under way at once for models of a class; none if that is not limited.
    pub fn at_once(&self, class: &Class) -> Option<u32> {
        let found = self.at_once.iter().find(|(start, _)| class.as_str().starts_with(start));
        found.map(|(_, most)| *most)
    }
}

/// An entry of a pool. Its secret is not here: core never sees one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Made from its provider and its secret or source.
    pub id: KeyId,
    /// What operators see: eight hexadecimal digits.
    pub label: String,
    /// Higher goes first, under strategies that look at it.
    pub priority: u32,
    /// Its share, under strategies that look at it; at least 1.
    pub weight: u32,
    /// What the operator caps it at, all models together.
    pub caps: Caps,
    /// Keys of the same group share their limits: they are of one organization.
    pub group: Option<String>,
    /// Keys of the same workspace share a prompt cache, and its narrower limits if it has any.
    pub workspace: Option<String>,
}

impl Key {
    /// A key like any other: no caps, no group, no workspace, of ordinary weight.
    pub fn new(id: KeyId, label: impl Into<String>) -> Self {
        let (caps, group, workspace) = (Caps::default(), None, None);
        Self { id, label: label.into(), priority: 0, weight: 1, caps, group, workspace }
    }
}

/// Caps of a key's own, a minute; none for what is not capped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Caps {
    /// Requests.
    pub requests: Option<u64>,
    /// Uncached input tokens.
    pub input: Option<u64>,
    /// Output tokens.
    pub output: Option<u64>,
    /// Tokens of both kinds together, as a provider counts them who has one limit for both.
    pub tokens: Option<u64>,
    /// Calls under way at once; not a minute.
    pub at_once: Option<u32>,
}

/// Names a provider, for ever: a hash of its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ProviderId(u64);

impl ProviderId {
    /// The id as a number, and back.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// See [`to_bits`](Self::to_bits).
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The id of the provider of that name.
    pub fn of(name: &str) -> Self {
        Self(fnv1a(FNV_OFFSET, name.as_bytes()))
    }
}

impl fmt::Debug for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "provider:{:016x}", self.0)
    }
}

/// Names a key, for ever: a hash of its provider and of what identifies it (its secret, or the
/// file or command it comes from). Never printed whole, for it is made from a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u64);

impl KeyId {
    /// The id as a number, for what is remembered of it. Not to be shown: it is made from a secret.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// See [`to_bits`](Self::to_bits).
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The id of the key that `identity` identifies at that provider.
    pub fn of(provider: ProviderId, identity: &[u8]) -> Self {
        Self(fnv1a(fnv1a(FNV_OFFSET, &provider.0.to_le_bytes()), identity))
    }
}

impl Hashed for KeyId {
    fn hash(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key:{:04x}", self.0 >> 48)
    }
}

/// What operators see of a key: the high half of the 64-bit FNV-1a hash of its secret, as eight
/// hexadecimal digits. The old program showed the same, and dashboards know it.
pub fn label(secret: &[u8]) -> String {
    format!("{:08x}", fnv1a(FNV_OFFSET, secret) >> 32)
}

/// Names a client of the relay: when clients wait for the same limit they take turns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct ClientId(u64);

impl ClientId {
    /// The id of the client of that name.
    pub fn of(name: &str) -> Self {
        Self(fnv1a(FNV_OFFSET, name.as_bytes()))
    }

    /// The id of that number.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// Which providers own a model: a filter, applied before any strategy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ownership {
    /// Prefix of a model name, provider. The longest prefix decides. Only under `model_based`.
    pub prefixes: Vec<(String, ProviderId)>,
    /// Who serves a model that no prefix names. Only under `model_based`.
    pub default: Option<ProviderId>,
}

/// A class of models that share one limit at a provider: `claude-opus-4-1` and `claude-opus-4-5` do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Class(Name);

impl Class {
    /// The class of that name.
    pub fn of(name: &str) -> Self {
        Self(Name::of(&name[..name.floor_char_boundary(Self::LONGEST)]))
    }

    /// Client-made names are kept no longer than this, in bytes.
    const LONGEST: usize = 128;

    /// Its name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Families of models that share one limit: the beginning of their names, and the class that they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Families(Vec<(String, Class)>);

impl Families {
    /// Models of Anthropic's fourth generation share a limit per family
    /// (<https://platform.claude.com/docs/en/api/rate-limits>, read 2026-08-22).
    pub const USUAL: [&str; 2] = ["claude-opus-4", "claude-sonnet-4"];

    /// These, and the usual ones that they do not name.
    pub fn with(own: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut all: Vec<_> = own.into_iter().map(|(start, class)| (start, Class::of(&class))).collect();
        for start in Self::USUAL {
            if !all.iter().any(|(known, _)| known == start) {
                all.push((start.to_owned(), Class::of(start)));
            }
        }
        Self(all)
    }

    /// The class of a model: that of the longest beginning which it has. A dated snapshot shares the limit of its model;
    /// any other name is a class of its own.
    pub fn class(&self, model: &str) -> Class {
        let model = model.strip_suffix("[1m]").unwrap_or(model);
        let is_of = |start: &str| {
            let rest = model.strip_prefix(start);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '@']))
        };
        let families = self.0.iter().filter(|(start, _)| is_of(start));
        let longest = families.max_by_key(|(start, _)| start.len());
        longest.map_or_else(|| Class::of(undated(model)), |(_, class)| class.clone())
    }
}

impl Default for Families {
    fn default() -> Self {
        Self::with([])
    }
}

/// The name of a model and nothing else: `claude-x-20250219[1m]` is `claude-x`.
pub(crate) fn plain(model: &str) -> &str {
    undated(model.strip_suffix("[1m]").unwrap_or(model))
}

/// The model without the date of its snapshot: `claude-x-20250219` and `claude-x@20250219` are `claude-x`.
fn undated(model: &str) -> &str {
    match model.rsplit_once(['-', '@']) {
        Some((name, date)) if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => model,
    }
}

pub(crate) const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// 64-bit FNV-1a (<https://datatracker.ietf.org/doc/html/rfc9923>), continued from `hash`.
pub(crate) fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbers_and_back_and_differ() {
        let (one, other) = (ProviderId::of("one"), ProviderId::of("other"));
        let keys = [KeyId::of(one, b"a"), KeyId::of(one, b"b"), KeyId::of(other, b"a")];
        assert_ne!(one.to_bits(), other.to_bits());
        assert_eq!(ProviderId::from_bits(one.to_bits()), one);
        for (place, key) in keys.into_iter().enumerate() {
            assert_eq!(KeyId::from_bits(key.to_bits()), key);
            assert!(keys[..place].iter().all(|known| known.hash() != key.hash()));
        }
    }

    #[test]
    fn labels_are_those_of_the_old_program() {
        let known = [
            ("a", "af63dc4c"),
            ("b", "af63df4c"),
            ("k", "af63e64c"),
            ("sk-z1", "9c6a0e40"),
            ("sk-z2", "9c6a0f40"),
            ("sk-ant-test-key-1", "4c7bb2af"),
        ];
        for (secret, expect) in known {
            assert_eq!(label(secret.as_bytes()), expect, "{secret}");
        }
    }

    #[test]
    fn models_of_one_limit_are_of_one_class() {
        let table = [
            ("claude-opus-4-1-20250805", "claude-opus-4"),
            ("claude-opus-4", "claude-opus-4"),
            ("claude-sonnet-4-5[1m]", "claude-sonnet-4"),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4"),
            ("claude-opus-5", "claude-opus-5"),
            ("claude-opus-5-5", "claude-opus-5-5"),
            ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
            ("claude-opus-42", "claude-opus-42"),
            ("glm-5.3", "glm-5.3"),
            ("", ""),
        ];
        for (model, expect) in table {
            assert_eq!(Families::default().class(model).as_str(), expect, "{model}");
        }
    }

    #[test]
    fn families_of_ones_own_go_before_the_usual_ones_and_the_longest_beginning_decides() {
        let own = [
            ("claude-opus-4-5", "opus"),
            ("claude-opus-5", "opus"),
            ("claude-sonnet-4", "claude-sonnet-4-x"),
        ];
        let families = Families::with(own.map(|(start, class)| (start.to_owned(), class.to_owned())));
        for (model, expect) in [
            ("claude-opus-4-5-20251101", "opus"),
            ("claude-opus-5-5", "opus"),
            ("claude-opus-4-1", "claude-opus-4"),
            ("claude-sonnet-4", "claude-sonnet-4-x"),
            ("claude-opus-4-50", "claude-opus-4"),
        ] {
            assert_eq!(families.class(model).as_str(), expect, "{model}");
        }
    }

    #[test]
    fn the_same_secret_at_two_providers_is_two_keys() {
        let here = KeyId::of(ProviderId::of("a"), b"sk");
        let there = KeyId::of(ProviderId::of("b"), b"sk");
        assert_ne!(here, there);
        assert_eq!(here, KeyId::of(ProviderId::of("a"), b"sk"));
    }
}
