//! Reads what was learned. A row that this version does not understand is passed over.

use std::collections::BTreeMap;

use relay_core::memory::{
    EstimateMemory, HolderMemory, HomeMemory, KeyMemory, LimitMemory, RestMemory, SpreadMemory,
};
use relay_core::{Class, Conversation, Holder, KeyId, Memory, ProviderId, Time};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::code::{Kind, as_bars, as_cause, as_counted, as_key, duration, number, time};
use crate::rows::{Holding, kind};

type Rows<T> = Result<Vec<T>, rusqlite::Error>;
type Holdings = BTreeMap<(Kind, String), Holding>;

pub(crate) fn memory(connection: &Connection) -> Result<Memory, rusqlite::Error> {
    let at: Option<i64> = connection.query_row("SELECT at FROM written", [], |row| row.get(0)).optional()?;
    let (keys, holders) = keys(connection, holdings(connection)?)?;
    Ok(Memory {
        at: at.map_or(Time::EPOCH, time),
        holders,
        keys,
        estimates: estimates(connection)?,
        homes: homes(connection)?,
        owners: owners(connection)?,
    })
}

fn rows<T>(
    connection: &Connection,
    query: &str,
    read: impl Fn(&Row<'_>) -> Result<Option<T>, rusqlite::Error>,
) -> Rows<T> {
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], read)?;
    rows.filter_map(Result::transpose).collect()
}

/// The keys, and everybody to whom they belong.
fn keys(
    connection: &Connection,
    mut holdings: Holdings,
) -> Result<(Vec<KeyMemory>, Vec<HolderMemory>), rusqlite::Error> {
    let (mut keys, mut holders) = (Vec::new(), Vec::new());
    let mut places: BTreeMap<(Kind, String), usize> = BTreeMap::new();
    let told = rows(connection, "SELECT id, secret, organization, workspace FROM keys", |row| {
        let id: String = row.get(0)?;
        let (secret, organization, workspace): (i64, Option<String>, Option<String>) =
            (row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(as_key(&id).map(|key| (id, key, number(secret), organization, workspace)))
    })?;
    for (id, key, secret, organization, workspace) in told {
        let mut place = |holder: Holder, id: Option<String>| {
            let named = (kind(holder), id?);
            Some(*places.entry(named).or_insert_with_key(|named| {
                let Holding { rests, limits } = holdings.remove(named).unwrap_or_default();
                let name = named.1.strip_prefix('=').map(str::to_owned);
                holders.push(HolderMemory { holder, name, rests, limits });
                holders.len() - 1
            }))
        };
        let organization = place(Holder::Organization, organization);
        let workspace = place(Holder::Workspace, workspace);
        let Holding { rests, limits: caps } = holdings.remove(&(Kind::Key, id)).unwrap_or_default();
        keys.push(KeyMemory { key, secret, organization, workspace, rests, caps });
    }
    Ok((keys, holders))
}

/// What is held against whom, and limited of whom.
fn holdings(connection: &Connection) -> Result<Holdings, rusqlite::Error> {
    let mut holdings = Holdings::new();
    let whose = |row: &Row<'_>| -> Result<_, rusqlite::Error> {
        let (kind, id): (i64, String) = (row.get(0)?, row.get(1)?);
        Ok(Kind::of(kind).map(|kind| (kind, id)))
    };
    let query = "SELECT kind, id, class, what, until, strikes, probe_at FROM rests ORDER BY rowid";
    let rests = rows(connection, query, |row| {
        let class: Option<String> = row.get(2)?;
        let cause = as_cause(row.get(3)?, row.get(4)?, row.get(5)?);
        let (class, probe_at) = (class.as_deref().map(Class::of), time(row.get(6)?));
        let rest = cause.map(|cause| RestMemory { class, cause, probe_at });
        Ok(whose(row)?.zip(rest))
    })?;
    for (whose, rest) in rests {
        holdings.entry(whose).or_default().rests.push(rest);
    }
    let query = "SELECT kind, id, class, counted, per_minute, burst, full FROM limits ORDER BY rowid";
    let limits = rows(connection, query, |row| {
        let class: String = row.get(2)?;
        let (counted, per_minute) = (as_counted(row.get(3)?), number(row.get(4)?));
        let (class, burst, full) = (Class::of(&class), duration(row.get(5)?), time(row.get(6)?));
        let limit = counted.map(|counted| LimitMemory { class, counted, per_minute, burst, full });
        Ok(whose(row)?.zip(limit))
    })?;
    for (whose, limit) in limits {
        holdings.entry(whose).or_default().limits.push(limit);
    }
    Ok(holdings)
}

fn estimates(connection: &Connection) -> Rows<EstimateMemory> {
    let mut spreads: BTreeMap<String, Vec<SpreadMemory>> = BTreeMap::new();
    let told = rows(connection, "SELECT class, of, bars, sum FROM spreads", |row| {
        let bars: Vec<u8> = row.get(2)?;
        let spread = SpreadMemory { of: row.get(1)?, bars: as_bars(&bars), sum: number(row.get(3)?) };
        Ok(Some((row.get::<_, String>(0)?, spread)))
    })?;
    for (class, spread) in told {
        spreads.entry(class).or_default().push(spread);
    }
    let known = rows(connection, "SELECT class, seen, caches FROM estimates ORDER BY class", |row| {
        Ok(Some((row.get::<_, String>(0)?, time(row.get(1)?), row.get(2)?)))
    })?;
    let of = |(class, seen, caches): (String, Time, bool)| {
        let spreads = spreads.remove(&class).unwrap_or_default();
        EstimateMemory { class: Class::of(&class), seen, caches, spreads }
    };
    Ok(known.into_iter().map(of).collect())
}

fn homes(connection: &Connection) -> Rows<HomeMemory> {
    let query =
        "SELECT conversation, provider, key, class, cached, prompt, bytes, used FROM homes ORDER BY used";
    rows(connection, query, |row| {
        let class: String = row.get(3)?;
        Ok(Some(HomeMemory {
            conversation: Conversation(number(row.get(0)?)),
            provider: ProviderId::from_bits(number(row.get(1)?)),
            key: KeyId::from_bits(number(row.get(2)?)),
            class: Class::of(&class),
            cached: number(row.get(4)?),
            prompt: number(row.get(5)?),
            bytes: number(row.get(6)?),
            used: time(row.get(7)?),
        }))
    })
}

fn owners(connection: &Connection) -> Rows<(String, KeyId)> {
    rows(connection, "SELECT name, key FROM owners ORDER BY place", |row| {
        Ok(Some((row.get(0)?, KeyId::from_bits(number(row.get(1)?)))))
    })
}
