//! What a store holds, read behind the program's back where that is possible.

use std::path::Path;

use sessionmeter::store::{Place, Role, Selection};

use super::clickhouse;

/// A stored session.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub session_id: String,
    /// Unix milliseconds.
    pub start: i64,
    /// Milliseconds.
    pub duration: Option<i64>,
    pub user: Option<String>,
    pub device: Option<String>,
    /// As they were recorded.
    pub properties: String,
}

/// All sessions, in the order of their starts.
pub fn stored(data: &Path) -> Vec<Stored> {
    let mut sessions = match clickhouse::address(data) {
        Some(address) => in_clickhouse(&address),
        None => in_a_file(data),
    };
    sessions.sort_by(|one, two| (one.start, &one.session_id).cmp(&(two.start, &two.session_id)));
    sessions
}

fn in_a_file(data: &Path) -> Vec<Stored> {
    let store = rusqlite::Connection::open(data.join("sessions.sqlite")).unwrap();
    let sql =
        "SELECT session_id, day * 86400000 + start, duration, u.value, d.value, p.content FROM sessions s
               JOIN properties p ON p.ordinal = s.properties
               LEFT JOIN identities u ON u.ordinal = s.user LEFT JOIN identities d ON d.ordinal = s.device
               ORDER BY day, session_id";
    let mut statement = store.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        Ok(Stored {
            session_id: match row.get(0)? {
                rusqlite::types::Value::Blob(id) => uuid::Uuid::from_slice(&id).unwrap().to_string(),
                rusqlite::types::Value::Text(id) => id,
                other => panic!("{other:?}"),
            },
            start: row.get(1)?,
            duration: row.get(2)?,
            user: row.get(3)?,
            device: row.get(4)?,
            properties: row.get(5)?,
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn in_clickhouse(address: &str) -> Vec<Stored> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Place::read(address).unwrap().open(Role::Existing).await.unwrap();
        let mut stored = Vec::new();
        for entry in store.catalog().workspaces() {
            let selection = Selection {
                workspace: entry.workspace.id,
                app: None,
                from: None,
                to: None,
            };
            let (sender, mut batches) = tokio::sync::mpsc::channel(1);
            let receive = async {
                let mut all = Vec::new();
                while let Some(batch) = batches.recv().await {
                    all.extend(batch);
                }
                all
            };
            let (dumped, records) = tokio::join!(store.dump_sessions(selection, sender), receive);
            dumped.unwrap();
            stored.extend(records.into_iter().map(|record| Stored {
                session_id: record.session.session_id().to_owned(),
                start: record.session.started_at(),
                duration: record.session.duration().map(Into::into),
                user: record.session.user_id().map(Into::into),
                device: record.session.device_id().map(Into::into),
                properties: record.recorded,
            }));
        }
        store.close().await;
        stored
    })
}
