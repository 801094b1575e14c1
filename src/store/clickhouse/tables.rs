//! The tables: what rows look like, by what they are told apart, and where they lie.
//!
//! Without a cluster each table is one MergeTree. With one, `NAME_local` is replicated on every shard, and `NAME` is
//! the `Distributed` table over them that all statements go to. Nothing is ever updated in place: of rows with equal
//! keys the one with the highest version counts, whether the server has merged them or not.

use super::address::Address;

/// A hash of everything of a session that is counted or identifies; rows are always looked at by app.
pub(super) const ROW_HASH: &str =
    "row_hash UInt64 MATERIALIZED cityHash64(day, session_id, start, properties, user_id, device_id)";
/// Stands in a definition for what the server computes for sessions that come without a person's number.
const PERSON: &str = "{person}";
/// The table over the shards that has the hash as well: old servers take no inserts into one that has.
pub(super) const HASHED: &str = "sessions_hashed";

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// Versions of the tables' form.
    Format,
    /// The key of the hashes that are persons' numbers.
    Secret,
    /// Who is changing what, see [`super::lock`].
    Locks,
    /// Workspaces, apps, keys and segments.
    Catalog,
    /// When keys were last used.
    KeyUses,
    /// Users' attributes.
    Users,
    /// Users and devices that had a session, as numbers.
    People,
    /// Combinations of properties.
    Properties,
    /// The truth.
    Sessions,
    /// Ends of sessions, whichever delivery they came with.
    Ends,
    /// Days, counted.
    Rollups,
    /// Who may look at the dashboard.
    Access,
    /// Days whose sessions are gone, counted.
    Sealed,
    /// Ids of persons who have visits on sealed days.
    Names,
}

struct Definition {
    columns: &'static str,
    /// A column that servers compute, and the table over the shards that has it.
    computed: Option<(&'static str, &'static str)>,
    /// Of rows with the same key the one with the highest value counts; `None`: rows are only added.
    version: Option<&'static str>,
    /// What rows have in common that are removed together.
    partition: Option<&'static str>,
    key: &'static str,
    /// Rows with equal values meet on one shard.
    shard: &'static str,
    /// Rows between two entries of the index.
    granularity: u32,
}

impl Table {
    pub(super) const ALL: [Self; 14] = [
        Self::Format,
        Self::Secret,
        Self::Locks,
        Self::Catalog,
        Self::KeyUses,
        Self::Users,
        Self::People,
        Self::Properties,
        Self::Sessions,
        Self::Ends,
        Self::Rollups,
        Self::Access,
        Self::Sealed,
        Self::Names,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Secret => "secret",
            Self::Locks => "locks",
            Self::Catalog => "catalog",
            Self::KeyUses => "key_uses",
            Self::Users => "users",
            Self::People => "people",
            Self::Properties => "properties",
            Self::Sessions => "sessions",
            Self::Ends => "session_ends",
            Self::Rollups => "rollups",
            Self::Access => "access",
            Self::Sealed => "sealed",
            Self::Names => "names",
        }
    }

    /// Its name on each shard of a cluster.
    pub(super) fn local_name(self) -> String {
        format!("{}_local", self.name())
    }

    /// The beginning of a statement that alters it, where its rows are.
    pub(super) fn alter(self, address: &Address) -> String {
        let name = match address.cluster {
            Some(_) => self.local_name(),
            None => self.name().to_owned(),
        };
        format!("ALTER TABLE {}.{name}{}", address.database, everywhere(address))
    }

    /// Whether its rows are spread over the shards of a cluster.
    pub(super) fn is_spread(self) -> bool {
        self.definition().shard != "0"
    }

    fn definition(self) -> Definition {
        // What is small lies on one shard.
        let small = Definition {
            columns: "",
            computed: None,
            version: None,
            partition: None,
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
            Self::Secret => Definition {
                columns: "key String",
                key: "key",
                ..small
            },
            // A day's claims are removed together.
            Self::Locks => Definition {
                columns: "name String, at UInt32 DEFAULT toUInt32(now()), holder String, released UInt8",
                partition: Some("intDiv(at, 86400)"),
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
                ..small
            },
            // id: the person's number in the first generation; first: a hash of the key of the first session, 0 for none;
            // precedence: that of the session.
            Self::People => Definition {
                columns: "workspace UUID, id UInt64, generation UInt32, first UInt64, precedence UInt64",
                version: Some("precedence"),
                key: "(workspace, id, generation)",
                shard: "id",
                granularity: 512,
                ..small
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
            // device_id: none; person: 0 for nobody.
            Self::Sessions => Definition {
                columns: "app UUID, day UInt16, session_id String, start UInt32, precedence UInt64, properties UInt64, user_id String, device_id String, duration Int32, person UInt64 DEFAULT {person}",
                computed: Some((ROW_HASH, HASHED)),
                version: Some("precedence"),
                partition: None,
                key: "(app, day, session_id)",
                shard: "cityHash64(session_id)",
                granularity: 1024,
            },
            // id: sipHash64 of the session's id; at: milliseconds since the start of the day.
            Self::Ends => Definition {
                columns: "app UUID, day UInt16, id UInt64, at Int64",
                version: Some("at"),
                key: "(app, day, id)",
                shard: "id",
                ..small
            },
            // kind: see `kept`; sessions, content: number and sum of hashes of the rows that were counted, one of each session;
            // rows, hash: of all rows that there were; at: Unix seconds, by the server; body: what was counted.
            Self::Rollups => Definition {
                columns: "kind UInt8, app UUID, day UInt16, sessions UInt64, content UInt64, rows UInt64, hash UInt64, at UInt32 DEFAULT toUInt32(now()), body String",
                version: Some("at"),
                key: "(kind, app, day)",
                shard: "day",
                granularity: 64,
                ..small
            },
            // kind: see store::access; id: a SHA-256 in hexadecimal digits; expires_at: Unix milliseconds; content: JSON.
            Self::Access => Definition {
                columns: "kind UInt8, id String, version UInt64, deleted UInt8, expires_at Int64, content String",
                version: Some("version"),
                key: "(kind, id)",
                ..small
            },
            // sessions, content: number and sum of hashes of the sessions that were counted; version: a later one counts more;
            // totals, cells, people: see `kept`.
            Self::Sealed => Definition {
                columns: "app UUID, day UInt16, version UInt64, sessions UInt64, content UInt64, totals String, cells String, people String",
                version: Some("version"),
                key: "(app, day)",
                shard: "day",
                granularity: 64,
                ..small
            },
            // person: the number in sessions and rollups; kind: see `people`.
            Self::Names => Definition {
                columns: "workspace UUID, person UInt64, kind UInt8, id String, version UInt64",
                version: Some("version"),
                key: "(workspace, person)",
                shard: "person",
                granularity: 512,
                ..small
            },
        }
    }

    /// The statements that make it; `person` computes a person's number.
    pub(super) fn statements(self, database: &str, cluster: Option<&str>, person: &str) -> Vec<String> {
        let name = self.name();
        let Definition {
            columns,
            computed,
            version,
            partition,
            key,
            shard,
            granularity,
        } = self.definition();
        let columns = &columns.replace(PERSON, person);
        let family = if version.is_some() {
            "ReplacingMergeTree"
        } else {
            "MergeTree"
        };
        let partition = partition.map_or(String::new(), |by| format!(" PARTITION BY {by}"));
        let tail = format!("{partition} ORDER BY {key} SETTINGS index_granularity = {granularity}");
        let more = computed.map_or(String::new(), |(column, _)| format!(", {column}"));
        match cluster {
            None => {
                let version = version.unwrap_or_default();
                vec![format!(
                    "CREATE TABLE IF NOT EXISTS {database}.{name} ({columns}{more}) ENGINE = {family}({version}){tail}"
                )]
            }
            Some(cluster) => {
                let version = version.map_or(String::new(), |version| format!(", {version}"));
                let local = self.local_name();
                let over = |name: &str, columns: &str| {
                    format!(
                        "CREATE TABLE IF NOT EXISTS {database}.{name} ON CLUSTER '{cluster}' ({columns}) ENGINE = \
                         Distributed('{cluster}', {database}, {local}, {shard})"
                    )
                };
                let mut statements = vec![
                    format!(
                        "CREATE TABLE IF NOT EXISTS {database}.{local} ON CLUSTER '{cluster}' ({columns}{more}) ENGINE = \
                         Replicated{family}('/clickhouse/tables/{{shard}}/{database}/{name}', '{{replica}}'{version}){tail}"
                    ),
                    over(name, columns),
                ];
                statements.extend(computed.map(|(column, hashed)| {
                    let column = column.split(" MATERIALIZED").next().unwrap_or(column);
                    over(hashed, &format!("{columns}, {column}"))
                }));
                statements
            }
        }
    }
}

/// What makes every server of a cluster do the same.
pub(super) fn everywhere(address: &Address) -> String {
    let cluster = address.cluster.as_ref();
    cluster.map_or(String::new(), |cluster| format!(" ON CLUSTER '{cluster}'"))
}

/// The table of sessions with the hash of each row.
pub(super) fn hashed_sessions(address: &Address) -> String {
    let name = match address.cluster {
        Some(_) => HASHED,
        None => Table::Sessions.name(),
    };
    format!("{}.{name}", address.database)
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
        let statements = Table::Sessions.statements("db", Some("main"), "toUInt64(0)");
        assert_eq!(statements.len(), 3);
        assert!(statements[0].contains(
            "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/db/sessions', '{replica}', precedence)"
        ));
        assert!(
            statements[0]
                .contains("person UInt64 DEFAULT toUInt64(0), row_hash UInt64 MATERIALIZED cityHash64(")
        );
        for statement in &statements[1..] {
            assert!(statement.contains("Distributed('main', db, sessions_local, cityHash64(session_id))"));
        }
        assert!(!statements[1].contains("row_hash"));
        assert!(statements[2].contains("db.sessions_hashed ") && statements[2].contains("row_hash UInt64)"));
    }
}
