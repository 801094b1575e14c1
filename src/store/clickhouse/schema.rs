//! How a database gets its tables, and how those of earlier versions become the newest.

use futures_util::future::try_join_all;

use super::engine::Engine;
use super::lock;
use super::people::Secret;
use super::tables::{HASHED, ROW_HASH, Table, everywhere};
use crate::store::{Role, StoreError};

/// The newest version that this program knows.
const VERSION: u32 = 5;
/// The version from which on only tables were added.
const ADDED_TO: u32 = 4;

/// Tables of earlier versions, of which nothing is needed any more: the first two once their rows are copied.
const FORMER: [&str; 8] = [
    FORMER_ENDS,
    FORMER_PERSONS,
    "changes",
    "counts",
    "writers",
    "settings",
    "claims",
    "day_counts",
];
const FORMER_ENDS: &str = "ends";
const FORMER_PERSONS: &str = "persons";

/// With these settings a server acknowledges what is inserted when it is on disk.
const ON_DISK: &str = "fsync_after_insert = 1, fsync_part_directory = 1";

#[derive(clickhouse::Row, serde::Serialize, serde::Deserialize)]
struct Version {
    version: u32,
}

#[derive(clickhouse::Row, serde::Serialize, serde::Deserialize)]
struct SecretRow {
    key: String,
}

/// Makes the tables where they are missing, or brings them to the newest version. Any number of processes may do so at
/// once. Returns the key of persons' numbers.
pub(super) async fn prepare(engine: &Engine, role: Role) -> Result<String, StoreError> {
    let address = engine.address();
    let (database, everywhere) = (address.database.as_str(), everywhere(engine.address()));
    match version(engine).await? {
        Some(VERSION) => {
            acknowledge_on_disk(engine, role).await;
            return secret(engine).await?.ok_or_else(no_secret);
        }
        Some(newer) if newer > VERSION => {
            return Err(StoreError::Unusable(format!(
                "the store has format {newer}, this program knows formats up to {VERSION}; use a newer sessionmeter"
            )));
        }
        None if role == Role::Existing => {
            return Err(StoreError::NotFound(format!(
                "there is no store at {address}; 'sessionmeter serve' makes one"
            )));
        }
        _ => {}
    }
    engine
        .execute(&format!("CREATE DATABASE IF NOT EXISTS {database}{everywhere}"))
        .await?;
    create(engine, &[Table::Format, Table::Secret, Table::Locks], "").await?;
    let secret = lock::with(engine, "format", async |_| {
        let before = newest(engine).await?;
        if before == VERSION {
            return secret(engine).await?.ok_or_else(no_secret);
        }
        if secret(engine).await?.is_none() {
            let key = Secret::random();
            engine.insert(Table::Secret, &[SecretRow { key }]).await?;
        }
        let secret = secret(engine).await?.ok_or_else(no_secret)?;
        create(engine, &Table::ALL, &Secret::in_sql(&secret)).await?;
        if before > 0 && before < ADDED_TO {
            tracing::warn!(
                "the store in ClickHouse has format {before} and gets format {VERSION}: persons get numbers, days are \
                 counted anew; processes of older versions must have ended"
            );
            migrate(engine, &secret).await?;
        } else if before > 0 {
            tracing::warn!(
                "the store in ClickHouse has format {before} and gets format {VERSION}: it gets room for days whose sessions \
                 retention removes; processes of older versions must have ended"
            );
        }
        engine
            .insert(Table::Format, &[Version { version: VERSION }])
            .await?;
        Ok(secret)
    })
    .await?;
    acknowledge_on_disk(engine, role).await;
    Ok(secret)
}

fn no_secret() -> StoreError {
    StoreError::damaged("the table 'secret' is empty")
}

/// The key of persons' numbers, if there is one.
async fn secret(engine: &Engine) -> Result<Option<String>, StoreError> {
    let database = &engine.address().database;
    let sql = format!("SELECT key FROM {database}.secret ORDER BY key LIMIT 1");
    Ok(engine.rows(&sql).await?.into_iter().next())
}

/// Removes claims that were made before yesterday; those of a moment ago are void already.
pub(super) async fn drop_old_claims(engine: &Engine) -> Result<(), StoreError> {
    let (database, locks) = (&engine.address().database, Table::Locks.name());
    let sql = format!(
        "SELECT DISTINCT toUInt32(intDiv(at, 86400)) FROM {database}.{locks} WHERE at < toUInt32(now()) - 2 * 86400"
    );
    let alter = Table::Locks.alter(engine.address());
    for day in engine.rows::<u32>(&sql).await? {
        engine.execute(&format!("{alter} DROP PARTITION {day}")).await?;
    }
    Ok(())
}

/// Whether one of the server's own tables has a row of this database.
async fn exists(engine: &Engine, table: &str, condition: &str) -> Result<bool, StoreError> {
    let database = &engine.address().database;
    let sql = format!(
        "SELECT toUInt8(count() > 0) FROM system.{table} WHERE database = '{database}' AND {condition}"
    );
    Ok(engine.rows::<u8>(&sql).await?.first() == Some(&1))
}

/// Brings the tables of earlier versions to the newest. May be begun again wherever it ended.
async fn migrate(engine: &Engine, secret: &str) -> Result<(), StoreError> {
    let (database, everywhere) = (&engine.address().database, everywhere(engine.address()));
    let suffixes = match engine.address().cluster {
        Some(_) => &["", "_local"][..],
        None => &[""][..],
    };
    let person = format!("person UInt64 DEFAULT {}", Secret::in_sql(secret));
    let table = match engine.address().cluster {
        Some(_) => Table::Sessions.local_name(),
        None => Table::Sessions.name().to_owned(),
    };
    for (name, column) in [("person", person.as_str()), ("row_hash", ROW_HASH)] {
        let is_there = format!("table = '{table}' AND name = '{name}'");
        if !exists(engine, "columns", &is_there).await? {
            let alter = Table::Sessions.alter(engine.address());
            engine.execute(&format!("{alter} ADD COLUMN {column}")).await?;
        }
    }
    if engine.address().cluster.is_some() {
        // What stands over the tables on the shards holds nothing, and old servers can't alter it.
        for table in [Table::Sessions.name(), HASHED] {
            let drop = format!("DROP TABLE IF EXISTS {database}.{table}{everywhere}");
            engine.execute(&drop).await?;
        }
        create(engine, &[Table::Sessions], &Secret::in_sql(secret)).await?;
    }
    if exists(engine, "tables", &format!("name = '{FORMER_ENDS}'")).await? {
        let columns =
            format!("SELECT app, day, sipHash64(session_id) AS id, at FROM {database}.{FORMER_ENDS}");
        engine.insert_selected(Table::Ends, &columns).await?;
    }
    if exists(engine, "tables", &format!("name = '{FORMER_PERSONS}'")).await? {
        // Which session was the first is not known any more: none that comes is.
        let columns = format!(
            "SELECT workspace, sipHash64(concat('{secret}', toString(kind), id)) AS number, toUInt32(0) AS generation, \
             toUInt64(1) AS first, toUInt64({}) AS precedence FROM {database}.{FORMER_PERSONS}",
            u64::MAX
        );
        engine.insert_selected(Table::People, &columns).await?;
    }
    for suffix in suffixes {
        let drop = |name: &&str| format!("DROP TABLE IF EXISTS {database}.{name}{suffix}{everywhere}");
        let statements = FORMER.iter().map(drop);
        let all = statements.map(|statement| async move { engine.execute(&statement).await });
        try_join_all(all).await?;
    }
    Ok(())
}

/// Has tables acknowledge what is on disk, where they don't yet: they may be of a version, or made on a server, that had
/// no such settings.
async fn acknowledge_on_disk(engine: &Engine, role: Role) {
    // The oldest servers can't.
    if engine.is_old() || role == Role::Existing {
        return;
    }
    if let Err(error) = set_on_disk(engine).await {
        tracing::warn!(%error, "ClickHouse does not write to disk before it acknowledges; trying again at the next start");
    }
}

async fn set_on_disk(engine: &Engine) -> Result<(), StoreError> {
    let (database, everywhere) = (&engine.address().database, everywhere(engine.address()));
    let sql = format!(
        "SELECT name FROM system.tables WHERE database = '{database}' AND engine LIKE '%MergeTree' \
         AND position(create_table_query, 'fsync_after_insert') = 0"
    );
    let tables: Vec<String> = engine.rows(&sql).await?;
    let statements = tables
        .iter()
        .map(|table| format!("ALTER TABLE {database}.{table}{everywhere} MODIFY SETTING {ON_DISK}"));
    let all = statements.map(|statement| async move { engine.execute(&statement).await });
    try_join_all(all).await.map(|_| ())
}

/// First what lies on the shards, then what stands over it: a cluster takes its time for each statement, but not for
/// several at once.
async fn create(engine: &Engine, tables: &[Table], person: &str) -> Result<(), StoreError> {
    let address = engine.address();
    let statements = |nth: usize| {
        let of_table = move |table: &Table| {
            let statements = table.statements(&address.database, address.cluster.as_deref(), person);
            statements.into_iter().nth(nth)
        };
        tables.iter().filter_map(of_table)
    };
    for nth in 0..3 {
        let all = statements(nth).map(|statement| async move { engine.execute(&statement).await });
        try_join_all(all).await?;
    }
    Ok(())
}

/// The version of the store; `None` where there is none.
async fn version(engine: &Engine) -> Result<Option<u32>, StoreError> {
    let database = &engine.address().database;
    let sql = format!(
        "SELECT toUInt8(count()) FROM system.tables WHERE database = '{database}' AND name = 'format'"
    );
    let there: Vec<u8> = engine.rows(&sql).await?;
    if there.first() != Some(&1) {
        return Ok(None);
    }
    match newest(engine).await? {
        0 => Ok(None),
        version => Ok(Some(version)),
    }
}

async fn newest(engine: &Engine) -> Result<u32, StoreError> {
    let sql = format!("SELECT max(version) FROM {}.format", engine.address().database);
    Ok(engine.rows(&sql).await?.first().copied().unwrap_or_default())
}
