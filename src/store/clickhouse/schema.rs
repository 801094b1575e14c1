//! The tables, and how a database gets them.
//!
//! Without a cluster each table is one MergeTree. With one, `NAME_local` is replicated on every shard, and `NAME` is
//! the `Distributed` table over them that all statements go to. Nothing is ever updated in place: of rows with equal
//! keys the one with the highest version counts, whether the server has merged them or not.

use futures_util::future::try_join_all;

use super::engine::Engine;
use super::lock;
use crate::store::{Role, StoreError};

/// The newest version that this program knows.
const VERSION: u32 = 2;

/// Seconds after which a day that nobody writes to any more is counted for good, where nobody said.
const CLOSE_AFTER: u32 = 60;
/// What that is called in the table of settings.
const CLOSE_AFTER_NAME: &str = "close_after";

/// With these settings a server acknowledges what is inserted when it is on disk.
const ON_DISK: &str = "fsync_after_insert = 1, fsync_part_directory = 1";

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// Versions of the tables' form.
    Format,
    /// Who is changing what, see [`super::lock`].
    Claims,
    /// Workspaces, apps, keys and segments.
    Catalog,
    /// When keys were last used.
    KeyUses,
    /// Users' attributes.
    Users,
    /// Users and devices that had a session.
    Persons,
    /// Combinations of properties.
    Properties,
    /// The truth.
    Sessions,
    /// Ends that came after their sessions.
    Ends,
    /// When a day of an app was last written to.
    Changes,
    /// Closed days, counted.
    Counts,
    /// Which processes write to a day.
    Writers,
    /// What all processes must agree on.
    Settings,
}

#[derive(clickhouse::Row, serde::Serialize, serde::Deserialize)]
struct Setting {
    name: String,
    value: u32,
}

#[derive(clickhouse::Row, serde::Serialize, serde::Deserialize)]
struct Version {
    version: u32,
}

struct Definition {
    columns: &'static str,
    /// Of rows with the same key the one with the highest value counts; `None`: rows are only added.
    version: Option<&'static str>,
    key: &'static str,
    /// Rows with equal values meet on one shard.
    shard: &'static str,
    /// Rows between two entries of the index.
    granularity: u32,
}

impl Table {
    pub(super) const ALL: [Self; 13] = [
        Self::Format,
        Self::Claims,
        Self::Catalog,
        Self::KeyUses,
        Self::Users,
        Self::Persons,
        Self::Properties,
        Self::Sessions,
        Self::Ends,
        Self::Changes,
        Self::Counts,
        Self::Writers,
        Self::Settings,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Claims => "claims",
            Self::Catalog => "catalog",
            Self::KeyUses => "key_uses",
            Self::Users => "users",
            Self::Persons => "persons",
            Self::Properties => "properties",
            Self::Sessions => "sessions",
            Self::Ends => "ends",
            Self::Changes => "changes",
            Self::Counts => "counts",
            Self::Writers => "writers",
            Self::Settings => "settings",
        }
    }

    /// Whether its rows are spread over the shards of a cluster.
    pub(super) fn is_spread(self) -> bool {
        self.definition().shard != "0"
    }

    fn definition(self) -> Definition {
        // What is small lies on one shard.
        let small = Definition {
            columns: "",
            version: None,
            key: "",
            shard: "0",
            granularity: 8192,
        };
        match self {
            Self::Format => Definition {
                columns: "version UInt32",
                key: "version",
                ..small
            },
            Self::Claims => Definition {
                columns: "name String, at UInt32 DEFAULT toUInt32(now()), holder String, released UInt8",
                key: "(name, at)",
                ..small
            },
            // kind: 1 workspace, 2 app, 3 key, 4 segment; content: JSON.
            Self::Catalog => Definition {
                columns: "kind UInt8, id String, version UInt64, deleted UInt8, content String",
                version: Some("version"),
                key: "(kind, id)",
                ..small
            },
            Self::KeyUses => Definition {
                columns: "id String, at Int64",
                version: Some("at"),
                key: "id",
                ..small
            },
            Self::Users => Definition {
                columns: "workspace UUID, user_id String, version UInt64, attributes String",
                version: Some("version"),
                key: "(workspace, user_id)",
                shard: "cityHash64(user_id)",
                granularity: 512,
            },
            // kind: 1 user_id, 2 device_id.
            Self::Persons => Definition {
                columns: "workspace UUID, kind UInt8, id String",
                version: Some("kind"),
                key: "(workspace, kind, id)",
                shard: "cityHash64(id)",
                granularity: 512,
            },
            Self::Properties => Definition {
                columns: "id UInt64, content String",
                version: Some("id"),
                key: "id",
                granularity: 512,
                ..small
            },
            // day: days since 1970-01-01 (UTC); start: milliseconds since the start of the day; precedence: higher for
            // what was delivered earlier; duration: milliseconds, -1 while the end is unknown; an empty user_id or
            // device_id: none.
            Self::Sessions => Definition {
                columns: "app UUID, day UInt16, session_id String, start UInt32, precedence UInt64, properties UInt64, user_id String, device_id String, duration Int32",
                version: Some("precedence"),
                key: "(app, day, session_id)",
                shard: "cityHash64(session_id)",
                granularity: 1024,
            },
            // at: milliseconds since the start of the day.
            Self::Ends => Definition {
                columns: "app UUID, day UInt16, session_id String, at Int64",
                version: Some("at"),
                key: "(app, day, session_id)",
                shard: "cityHash64(session_id)",
                ..small
            },
            // at: Unix seconds.
            Self::Changes => Definition {
                columns: "app UUID, day UInt16, at UInt32",
                version: Some("at"),
                key: "(app, day)",
                ..small
            },
            // series: 0 is everyone; changed: changes.at at the time of counting; quarters: sessions of the series by
            // quarter hour of the day.
            Self::Counts => Definition {
                columns: "app UUID, series UInt64, day UInt16, changed UInt32, quarters Array(UInt32)",
                version: Some("changed"),
                key: "(series, app, day)",
                ..small
            },
            // writer: a process; at: Unix seconds of its last announcement, or, where writer is odd, of the last one whose
            // sessions are all written. Since version 2; where those of version 1 write nothing, days are just closed later.
            Self::Writers => Definition {
                columns: "app UUID, day UInt16, writer UInt64, at UInt32",
                version: Some("at"),
                key: "(app, day, writer)",
                ..small
            },
            Self::Settings => Definition {
                columns: "name String, value UInt32",
                key: "name",
                ..small
            },
        }
    }

    /// The statements that make it.
    pub(super) fn statements(self, database: &str, cluster: Option<&str>) -> Vec<String> {
        let name = self.name();
        let Definition {
            columns,
            version,
            key,
            shard,
            granularity,
        } = self.definition();
        let family = if version.is_some() {
            "ReplacingMergeTree"
        } else {
            "MergeTree"
        };
        let tail = format!(" ORDER BY {key} SETTINGS index_granularity = {granularity}");
        match cluster {
            None => {
                let version = version.unwrap_or_default();
                vec![format!(
                    "CREATE TABLE IF NOT EXISTS {database}.{name} ({columns}) ENGINE = {family}({version}){tail}"
                )]
            }
            Some(cluster) => {
                let version = version.map_or(String::new(), |version| format!(", {version}"));
                vec![
                    format!(
                        "CREATE TABLE IF NOT EXISTS {database}.{name}_local ON CLUSTER '{cluster}' ({columns}) ENGINE = \
                         Replicated{family}('/clickhouse/tables/{{shard}}/{database}/{name}', '{{replica}}'{version}){tail}"
                    ),
                    format!(
                        "CREATE TABLE IF NOT EXISTS {database}.{name} ON CLUSTER '{cluster}' ({columns}) ENGINE = \
                         Distributed('{cluster}', {database}, {name}_local, {shard})"
                    ),
                ]
            }
        }
    }
}

/// Makes the tables where they are missing, or brings them to the newest version. Any number of processes may do so at
/// once.
pub(super) async fn prepare(engine: &Engine, role: Role) -> Result<(), StoreError> {
    let address = engine.address();
    let (database, everywhere) = (address.database.as_str(), everywhere(engine));
    match version(engine).await? {
        Some(VERSION) => {
            acknowledge_on_disk(engine, role).await;
            return agree(engine).await;
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
    create(engine, &[Table::Format, Table::Claims]).await?;
    lock::with(engine, "format", async |_| {
        if newest(engine).await? < VERSION {
            create(engine, &Table::ALL).await?;
            let close_after = Setting {
                name: CLOSE_AFTER_NAME.into(),
                value: address.close_after.unwrap_or(CLOSE_AFTER),
            };
            engine.insert(Table::Settings, &[close_after]).await?;
            engine
                .insert(Table::Format, &[Version { version: VERSION }])
                .await?;
        }
        Ok(())
    })
    .await?;
    acknowledge_on_disk(engine, role).await;
    agree(engine).await
}

/// Learns what the store's processes have agreed on. One that closes days earlier than another would count what the other
/// is still writing.
async fn agree(engine: &Engine) -> Result<(), StoreError> {
    let address = engine.address();
    // Where making the tables was begun more than once there may be several: all processes take the same one.
    let sql = format!(
        "SELECT max(value) FROM {}.settings WHERE name = '{CLOSE_AFTER_NAME}'",
        address.database
    );
    let agreed: u32 = engine.rows(&sql).await?.first().copied().unwrap_or_default();
    if agreed == 0 {
        return Err(StoreError::damaged(format!(
            "the table of settings has no {CLOSE_AFTER_NAME}"
        )));
    }
    match address.close_after {
        Some(asked) if asked != agreed => Err(StoreError::Unusable(format!(
            "the store was made with close_after={agreed}, which all its processes must use: leave close_after={asked} \
             out of the store's address"
        ))),
        _ => {
            engine.agree_to_close_after(agreed);
            Ok(())
        }
    }
}

fn everywhere(engine: &Engine) -> String {
    let cluster = engine.address().cluster.as_ref();
    cluster.map_or(String::new(), |cluster| format!(" ON CLUSTER '{cluster}'"))
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
    let (database, everywhere) = (&engine.address().database, everywhere(engine));
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
async fn create(engine: &Engine, tables: &[Table]) -> Result<(), StoreError> {
    let address = engine.address();
    let statements = |nth: usize| {
        let of_table = move |table: &Table| {
            let statements = table.statements(&address.database, address.cluster.as_deref());
            statements.into_iter().nth(nth)
        };
        tables.iter().filter_map(of_table)
    };
    for nth in 0..2 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_stand_at_their_own_places() {
        for (place, table) in Table::ALL.iter().enumerate() {
            assert_eq!(*table as usize, place);
        }
    }

    #[test]
    fn a_cluster_gets_replicated_tables_and_one_over_them() {
        let statements = Table::Sessions.statements("db", Some("main"));
        assert_eq!(statements.len(), 2);
        assert!(statements[0].contains(
            "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/db/sessions', '{replica}', precedence)"
        ));
        assert!(statements[1].contains("Distributed('main', db, sessions_local, cityHash64(session_id))"));
    }
}
