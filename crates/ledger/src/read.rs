//! Reads what was learned. A row that this version does not understand is passed over.

use std::collections::BTreeMap;

use relay_core::memory::{
    EstimateMemory, HolderMemory, HomeMemory, KeyMemory, LimitMemory, RestMemory, SpreadMemory, WindowMemory,
};
use relay_core::{Class, Conversation, Holder, KeyId, Memory, ProviderId, Share, Time, WindowName};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::code::{Kind, as_bars, as_cause, as_counted, as_key, as_status, duration, number, time};
use crate::rows::{Holding, kind};

type Rows<T> = Result<Vec<T>, rusqlite::Error>;
type Holdings = BTreeMap<Whose, Holding>;

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
                let Holding { rests, limits, calls, windows } = holdings.remove(named).unwrap_or_default();
                let name = named.1.strip_prefix('=').map(str::to_owned);
                holders.push(HolderMemory { holder, name, rests, limits, calls, windows });
                holders.len() - 1
            }))
        };
        let organization = place(Holder::Organization, organization);
        let workspace = place(Holder::Workspace, workspace);
        let Holding { rests, limits: caps, .. } = holdings.remove(&(Kind::Key, id)).unwrap_or_default();
        keys.push(KeyMemory { key, secret, organization, workspace, rests, caps });
    }
    Ok((keys, holders))
}

/// What is held against whom, and limited of whom.
fn holdings(connection: &Connection) -> Result<Holdings, rusqlite::Error> {
    let mut holdings = Holdings::new();
    for (whose, rest) in rests(connection)? {
        holdings.entry(whose).or_default().rests.push(rest);
    }
    for (whose, limit) in limits(connection)? {
        holdings.entry(whose).or_default().limits.push(limit);
    }
    for (whose, known) in calls(connection)? {
        holdings.entry(whose).or_default().calls.push(known);
    }
    for (whose, window) in windows(connection)? {
        holdings.entry(whose).or_default().windows.push(window);
    }
    Ok(holdings)
}

type Whose = (Kind, String);

fn whose(row: &Row<'_>) -> Result<Option<Whose>, rusqlite::Error> {
    let (kind, id): (i64, String) = (row.get(0)?, row.get(1)?);
    Ok(Kind::of(kind).map(|kind| (kind, id)))
}

fn class(row: &Row<'_>, column: usize) -> Result<Option<Class>, rusqlite::Error> {
    Ok(row.get::<_, Option<String>>(column)?.as_deref().map(Class::of))
}

fn rests(connection: &Connection) -> Rows<(Whose, RestMemory)> {
    let query = "SELECT kind, id, class, window, what, until, strikes, probe_at FROM rests ORDER BY rowid";
    rows(connection, query, |row| {
        let name: Option<String> = row.get(3)?;
        let window = name.as_deref().map(WindowName::of);
        let cause = as_cause(row.get(4)?, row.get(5)?, row.get(6)?);
        // What is held against him for a window that this version does not know is not held for anything else.
        let cause = cause.filter(|_| window != Some(None));
        let (class, window, probe_at) = (class(row, 2)?, window.flatten(), time(row.get(7)?));
        let rest = cause.map(|cause| RestMemory { class, window, cause, probe_at });
        Ok(whose(row)?.zip(rest))
    })
}

fn limits(connection: &Connection) -> Rows<(Whose, LimitMemory)> {
    let query = "SELECT kind, id, class, counted, per_minute, burst, full FROM limits ORDER BY rowid";
    rows(connection, query, |row| {
        let class: String = row.get(2)?;
        let (counted, per_minute) = (as_counted(row.get(3)?), number(row.get(4)?));
        let (class, burst, full) = (Class::of(&class), duration(row.get(5)?), time(row.get(6)?));
        let limit = counted.map(|counted| LimitMemory { class, counted, per_minute, burst, full });
        Ok(whose(row)?.zip(limit))
    })
}

fn calls(connection: &Connection) -> Rows<(Whose, (Class, u32))> {
    let query = "SELECT kind, id, class, most FROM calls ORDER BY rowid";
    rows(connection, query, |row| {
        let (class, most): (String, i64) = (row.get(2)?, row.get(3)?);
        let most = u32::try_from(most).ok();
        Ok(whose(row)?.zip(most.map(|most| (Class::of(&class), most))))
    })
}

fn windows(connection: &Connection) -> Rows<(Whose, WindowMemory)> {
    let query = "SELECT kind, id, name, class, status, used, ends, told FROM windows ORDER BY rowid";
    rows(connection, query, |row| {
        let name: String = row.get(2)?;
        let (status, used): (Option<i64>, Option<i64>) = (row.get(4)?, row.get(5)?);
        let used = used.and_then(|used| u32::try_from(used).ok()).map(Share);
        let (class, ends, told) = (class(row, 3)?, time(row.get(6)?), row.get(7)?);
        let status = status.and_then(as_status);
        let window = WindowName::of(&name).map(|name| WindowMemory { name, class, status, used, ends, told });
        Ok(whose(row)?.zip(window))
    })
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
    let query = "SELECT conversation, provider, key, class, cached, prompt, bytes, long, used FROM homes ORDER BY used";
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
            long: row.get(7)?,
            used: time(row.get(8)?),
        }))
    })
}

fn owners(connection: &Connection) -> Rows<(String, KeyId)> {
    rows(connection, "SELECT name, key FROM owners ORDER BY place", |row| {
        Ok(Some((row.get(0)?, KeyId::from_bits(number(row.get(1)?)))))
    })
}
