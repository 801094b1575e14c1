//! Rows that stand for a secret or a name: versions, of which the newest counts. Whoever writes one holds a lock, so that a
//! row is handed out once.

use async_trait::async_trait;
use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::failure;
use super::literals::quoted;
use super::tables::Table;
use super::{ClickHouseStore, lock};
use crate::model::{KeyHash, Millis};
use crate::store::StoreError;
use crate::store::access::{Access, AccessKind, AccessRow};

const LOCK: &str = "access";

#[derive(Row, Serialize, Deserialize)]
struct Stored {
    kind: u8,
    /// The hash, in hexadecimal digits.
    id: String,
    deleted: u8,
    expires_at: i64,
    content: String,
}

impl Stored {
    fn is_there(&self, now: Millis) -> bool {
        self.deleted == 0 && self.expires_at > now
    }

    /// The row as columns of literals.
    fn columns(&self, version: u64) -> [(&'static str, String); 6] {
        [
            ("kind", format!("toUInt8({})", self.kind)),
            ("id", quoted(&self.id)),
            ("version", format!("toUInt64({version})")),
            ("deleted", format!("toUInt8({})", self.deleted)),
            ("expires_at", format!("toInt64({})", self.expires_at)),
            ("content", quoted(&self.content)),
        ]
    }

    fn row(self) -> Result<AccessRow, StoreError> {
        let hash = KeyHash::from_hex(&self.id)
            .ok_or_else(|| StoreError::damaged("a row of the table 'access' has no hash"))?;
        Ok(AccessRow {
            hash,
            content: self.content,
            expires_at: self.expires_at,
        })
    }
}

impl ClickHouseStore {
    async fn access_rows(&self, kind: AccessKind, condition: &str) -> Result<Vec<Stored>, StoreError> {
        let engine = &self.inner.engine;
        let sql = format!(
            "SELECT kind, id, argMax(deleted, version), argMax(expires_at, version), \
             argMax(content, version) FROM {}.access WHERE kind = {}{condition} GROUP BY kind, id",
            engine.address().database,
            kind.number()
        );
        engine.rows(&sql).await
    }

    async fn access_row(&self, kind: AccessKind, hash: KeyHash) -> Result<Option<Stored>, StoreError> {
        let condition = format!(" AND id = {}", quoted(&hash.to_hex()));
        let mut rows = self.access_rows(kind, &condition).await?;
        Ok(rows.pop())
    }

    /// Writes a row's next state, if `next` says which after it saw the one before.
    async fn change_access(
        &self,
        kind: AccessKind,
        hash: KeyHash,
        next: impl FnOnce(Option<&Stored>) -> Option<Stored>,
    ) -> Result<Option<Stored>, StoreError> {
        let engine = &self.inner.engine;
        lock::with(engine, LOCK, async |held| {
            // Before the row is read: what comes later is noticed when the next state is written.
            let newest = newest(engine).await?;
            let before = self.access_row(kind, hash).await?;
            if let Some(next) = next(before.as_ref()) {
                let version = newest.saturating_add(1);
                held.write(Table::Access, (newest, version), &next.columns(version))
                    .await?;
            }
            Ok(before)
        })
        .await
    }
}

/// The newest version in the table; each change has its own.
async fn newest(engine: &Engine) -> Result<u64, StoreError> {
    let sql = format!("SELECT max(version) FROM {}.access", engine.address().database);
    let newest = engine.rows(&sql).await?;
    // An aggregate without groups has one row, of an empty table too.
    newest.first().copied().ok_or_else(failure::broken_off)
}

#[async_trait]
impl Access for ClickHouseStore {
    async fn put_access(&self, kind: AccessKind, row: AccessRow, _now: Millis) -> Result<(), StoreError> {
        let next = |_: Option<&Stored>| Some(state(kind, row.hash, Some(&row)));
        self.change_access(kind, row.hash, next).await.map(|_| ())
    }

    async fn add_access(&self, kind: AccessKind, row: AccessRow, now: Millis) -> Result<bool, StoreError> {
        let is_new = |before: Option<&Stored>| before.is_none_or(|before| !before.is_there(now));
        let next = |before: Option<&Stored>| is_new(before).then(|| state(kind, row.hash, Some(&row)));
        let before = self.change_access(kind, row.hash, next).await?;
        Ok(is_new(before.as_ref()))
    }

    async fn replace_access(
        &self,
        kind: AccessKind,
        row: AccessRow,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let is_there = |before: Option<&Stored>| before.is_some_and(|before| before.is_there(now));
        let next = |before: Option<&Stored>| is_there(before).then(|| state(kind, row.hash, Some(&row)));
        let before = self.change_access(kind, row.hash, next).await?;
        Ok(is_there(before.as_ref()))
    }

    async fn find_access(
        &self,
        kind: AccessKind,
        hash: KeyHash,
        now: Millis,
    ) -> Result<Option<AccessRow>, StoreError> {
        let found = self.access_row(kind, hash).await?;
        found
            .filter(|found| found.is_there(now))
            .map(Stored::row)
            .transpose()
    }

    async fn take_access(
        &self,
        kind: AccessKind,
        hash: KeyHash,
        now: Millis,
    ) -> Result<Option<AccessRow>, StoreError> {
        let next = |before: Option<&Stored>| {
            let before = before.filter(|before| before.deleted == 0);
            before.map(|_| state(kind, hash, None))
        };
        let before = self.change_access(kind, hash, next).await?;
        before
            .filter(|before| before.is_there(now))
            .map(Stored::row)
            .transpose()
    }

    async fn list_access(&self, kind: AccessKind, now: Millis) -> Result<Vec<AccessRow>, StoreError> {
        let rows = self.access_rows(kind, "").await?;
        let there = rows.into_iter().filter(|row| row.is_there(now));
        let mut rows = there.map(Stored::row).collect::<Result<Vec<_>, _>>()?;
        rows.sort_by_key(|row| (row.expires_at, *row.hash.as_bytes()));
        Ok(rows)
    }
}

/// The next state of a row; without content it is gone.
fn state(kind: AccessKind, hash: KeyHash, row: Option<&AccessRow>) -> Stored {
    Stored {
        kind: kind.number(),
        id: hash.to_hex(),
        deleted: row.is_none().into(),
        expires_at: row.map_or(0, |row| row.expires_at),
        content: row.map_or_else(String::new, |row| row.content.clone()),
    }
}
