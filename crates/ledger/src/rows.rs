//! Who is known and what is held against him, as it stands in the tables: what was not told otherwise since is not written
//! again.

use std::collections::BTreeMap;

use relay_core::memory::{HolderMemory, LimitMemory, RestMemory, WindowMemory};
use relay_core::{Class, Holder, KeyId, Memory};

use crate::code::{Kind, name_of};

/// What stands in the tables of keys, rests and limits.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) keys: BTreeMap<KeyId, KeyRow>,
    pub(crate) holdings: BTreeMap<(Kind, String), Holding>,
}

/// A key, and who holds its limits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KeyRow {
    pub(crate) secret: u64,
    pub(crate) organization: Option<String>,
    pub(crate) workspace: Option<String>,
}

/// What one has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Holding {
    pub(crate) rests: Vec<RestMemory>,
    pub(crate) limits: Vec<LimitMemory>,
    /// How many calls at once, as was found out. Not of keys.
    pub(crate) calls: Vec<(Class, u32)>,
    /// Of organizations only.
    pub(crate) windows: Vec<WindowMemory>,
}

impl Rows {
    pub(crate) fn of(memory: &Memory) -> Self {
        let mut rows = Self::default();
        // Whoever has no name goes by that of the first key that is his.
        let mut names: Vec<Option<String>> = vec![None; memory.holders.len()];
        for known in &memory.keys {
            let mut name = |place: Option<usize>| {
                let (place, holder) = (place?, memory.holders.get(place?)?);
                let name = names[place].get_or_insert_with(|| {
                    holder.name.as_ref().map_or_else(|| name_of(known.key), |name| format!("={name}"))
                });
                Some(name.clone())
            };
            let (organization, workspace) = (name(known.organization), name(known.workspace));
            rows.keys.insert(known.key, KeyRow { secret: known.secret, organization, workspace });
            let (rests, limits) = (known.rests.clone(), known.caps.clone());
            let holding = Holding { rests, limits, ..Holding::default() };
            rows.holdings.insert((Kind::Key, name_of(known.key)), holding);
        }
        for (holder, name) in memory.holders.iter().zip(names) {
            let HolderMemory { rests, limits, calls, windows, .. } = holder.clone();
            if let Some(name) = name {
                rows.holdings.insert((kind(holder.holder), name), Holding { rests, limits, calls, windows });
            }
        }
        rows
    }

    /// The keys that are not as they are in the others.
    pub(crate) fn new_keys<'a>(&'a self, others: &'a Self) -> impl Iterator<Item = (KeyId, &'a KeyRow)> {
        let keys = self.keys.iter().filter(|(key, row)| others.keys.get(key) != Some(row));
        keys.map(|(key, row)| (*key, row))
    }

    /// Those whose rests and limits are not as they are in the others.
    pub(crate) fn new_holdings<'a>(
        &'a self,
        others: &'a Self,
    ) -> impl Iterator<Item = (Kind, &'a str, &'a Holding)> {
        let new = self.holdings.iter().filter(|(name, holding)| others.holdings.get(name) != Some(holding));
        new.map(|((kind, name), holding)| (*kind, name.as_str(), holding))
    }
}

pub(crate) const fn kind(holder: Holder) -> Kind {
    match holder {
        Holder::Organization => Kind::Organization,
        Holder::Workspace => Kind::Workspace,
    }
}
