//! Writes what was learned.

use std::time::Duration;

use relay_core::memory::{EstimateMemory, HomeMemory, WindowMemory};
use relay_core::{Class, KeyId, Memory, Time, WindowName};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::code::{Kind, bars, bits, cause, counted, moment, name_of, nanos, status};
use crate::rows::{Holding, KeyRow, Rows};

type Done = Result<(), rusqlite::Error>;

/// A conversation that was quiet for so long has nothing in any cache.
const STALE_HOME: Duration = Duration::from_hours(1);

/// A key or a model that was not seen for so long is not there any more.
const STALE: Duration = Duration::from_hours(24 * 30);

/// As many as are remembered while the relay runs.
const MOST_OWNERS: i64 = 10_000;
const MOST_CLASSES: i64 = 1_000;

/// Is it the first time since the file was opened?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    First,
    Later,
}

/// Writes what is not as it stands in these rows.
pub(crate) fn memory(connection: &mut Connection, memory: &Memory, rows: (&Rows, &Rows), turn: Turn) -> Done {
    let (told, stands) = rows;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = moment(memory.at);
    for (key, row) in told.new_keys(stands) {
        write_key(&transaction, key, row, now)?;
    }
    for (kind, id, holding) in told.new_holdings(stands) {
        write_holding(&transaction, (kind, id), holding)?;
    }
    for known in &memory.estimates {
        write_estimate(&transaction, known)?;
    }
    for known in &memory.homes {
        write_home(&transaction, known)?;
    }
    let mut own = transaction.prepare_cached("INSERT OR REPLACE INTO owners (name, key) VALUES (?1, ?2)")?;
    for (name, key) in &memory.owners {
        own.execute(params![name, bits(key.to_bits())])?;
    }
    drop(own);
    if turn == Turn::First {
        forget_long_ago(&transaction, memory.at)?;
    }
    forget(&transaction, memory.at)?;
    transaction.execute("INSERT OR REPLACE INTO written VALUES (1, ?1)", [now])?;
    transaction.commit()
}

fn write_key(transaction: &Transaction<'_>, key: KeyId, row: &KeyRow, seen: i64) -> Done {
    let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO keys VALUES (?1, ?2, ?3, ?4, ?5)")?;
    insert.execute(params![name_of(key), bits(row.secret), row.organization, row.workspace, seen])?;
    Ok(())
}

/// What stood there of the same one is replaced.
fn write_holding(transaction: &Transaction<'_>, (kind, id): (Kind, &str), holding: &Holding) -> Done {
    let kind = kind.code();
    for clear in [
        "DELETE FROM rests WHERE kind = ?1 AND id = ?2",
        "DELETE FROM limits WHERE kind = ?1 AND id = ?2",
        "DELETE FROM calls WHERE kind = ?1 AND id = ?2",
        "DELETE FROM windows WHERE kind = ?1 AND id = ?2",
    ] {
        transaction.prepare_cached(clear)?.execute(params![kind, id])?;
    }
    let mut insert =
        transaction.prepare_cached("INSERT INTO rests VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for rest in &holding.rests {
        let (what, until, strikes) = cause(rest.cause);
        let (class, window) =
            (rest.class.as_ref().map(Class::as_str), rest.window.as_ref().map(WindowName::as_str));
        insert.execute(params![kind, id, class, window, what, until, strikes, moment(rest.probe_at)])?;
    }
    let mut insert = transaction.prepare_cached("INSERT INTO limits VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for limit in &holding.limits {
        insert.execute(params![
            kind,
            id,
            limit.class.as_str(),
            counted(limit.counted),
            bits(limit.per_minute),
            nanos(limit.burst),
            moment(limit.full)
        ])?;
    }
    let mut insert = transaction.prepare_cached("INSERT INTO calls VALUES (?1, ?2, ?3, ?4)")?;
    for (class, most) in &holding.calls {
        insert.execute(params![kind, id, class.as_str(), most])?;
    }
    let mut insert =
        transaction.prepare_cached("INSERT INTO windows VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for WindowMemory { name, class, status: said, used, ends, told } in &holding.windows {
        let (class, used) = (class.as_ref().map(Class::as_str), used.map(|share| share.0));
        let (said, ends) = (said.map(status), moment(*ends));
        insert.execute(params![kind, id, name.as_str(), class, said, used, ends, told])?;
    }
    Ok(())
}

fn write_estimate(transaction: &Transaction<'_>, known: &EstimateMemory) -> Done {
    let class = known.class.as_str();
    let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO estimates VALUES (?1, ?2, ?3)")?;
    insert.execute(params![class, moment(known.seen), known.caches])?;
    let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO spreads VALUES (?1, ?2, ?3, ?4)")?;
    for spread in &known.spreads {
        insert.execute(params![class, spread.of, bars(&spread.bars), bits(spread.sum)])?;
    }
    Ok(())
}

fn write_home(transaction: &Transaction<'_>, known: &HomeMemory) -> Done {
    let mut insert = transaction
        .prepare_cached("INSERT OR REPLACE INTO homes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    insert.execute(params![
        bits(known.conversation.0),
        bits(known.provider.to_bits()),
        bits(known.key.to_bits()),
        known.class.as_str(),
        bits(known.cached),
        bits(known.prompt),
        bits(known.bytes),
        known.long,
        moment(known.used)
    ])?;
    Ok(())
}

/// What is of no use after an hour. What is of the future was written by a clock that went ahead.
fn forget(transaction: &Transaction<'_>, now: Time) -> Done {
    transaction
        .prepare_cached("DELETE FROM homes WHERE used < ?1 OR used > ?2")?
        .execute([moment(now.before(STALE_HOME)), moment(now)])?;
    transaction
        .prepare_cached("DELETE FROM owners WHERE place <= (SELECT max(place) FROM owners) - ?1")?
        .execute([MOST_OWNERS])?;
    Ok(())
}

/// What is of no use after a month.
fn forget_long_ago(transaction: &Transaction<'_>, now: Time) -> Done {
    let (since, now) = (moment(now.before(STALE)), moment(now));
    transaction.execute("DELETE FROM keys WHERE seen < ?1 OR seen > ?2", [since, now])?;
    for table in ["rests", "limits", "windows"] {
        for (kind, column) in
            [(Kind::Organization, "organization"), (Kind::Workspace, "workspace"), (Kind::Key, "id")]
        {
            let known = format!("SELECT {column} FROM keys WHERE {column} IS NOT NULL");
            let orphans = format!("DELETE FROM {table} WHERE kind = ?1 AND id NOT IN ({known})");
            transaction.execute(&orphans, [kind.code()])?;
        }
    }
    transaction.execute("DELETE FROM estimates WHERE seen < ?1 OR seen > ?2", [since, now])?;
    let last = "SELECT class FROM estimates ORDER BY seen DESC LIMIT ?1";
    transaction.execute(&format!("DELETE FROM estimates WHERE class NOT IN ({last})"), [MOST_CLASSES])?;
    transaction.execute("DELETE FROM spreads WHERE class NOT IN (SELECT class FROM estimates)", [])?;
    Ok(())
}
