//! Rows that stand for a secret or a name, in a table of their own.

use async_trait::async_trait;
use rusqlite::types::{FromSqlError, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::SqliteStore;
use crate::model::{KeyHash, Millis};
use crate::store::StoreError;
use crate::store::access::{Access, AccessKind, AccessRow};

#[async_trait]
impl Access for SqliteStore {
    async fn put_access(&self, kind: AccessKind, row: AccessRow, now: Millis) -> Result<(), StoreError> {
        self.on_writer(move |writer| {
            writer.transact(|transaction| {
                transaction.execute("DELETE FROM access WHERE expires_at <= ?1", [now])?;
                put(transaction, kind, &row)
            })
        })
        .await
    }

    async fn add_access(&self, kind: AccessKind, row: AccessRow, now: Millis) -> Result<bool, StoreError> {
        self.on_writer(move |writer| {
            writer.transact(|transaction| {
                let is_new = find(transaction, kind, row.hash, now)?.is_none();
                if is_new {
                    put(transaction, kind, &row)?;
                }
                Ok(is_new)
            })
        })
        .await
    }

    async fn replace_access(
        &self,
        kind: AccessKind,
        row: AccessRow,
        now: Millis,
    ) -> Result<bool, StoreError> {
        self.on_writer(move |writer| {
            writer.transact(|transaction| {
                let found = find(transaction, kind, row.hash, now)?.is_some();
                if found {
                    put(transaction, kind, &row)?;
                }
                Ok(found)
            })
        })
        .await
    }

    async fn find_access(
        &self,
        kind: AccessKind,
        hash: KeyHash,
        now: Millis,
    ) -> Result<Option<AccessRow>, StoreError> {
        self.on_reader(move |connection| find(connection, kind, hash, now))
            .await
    }

    async fn take_access(
        &self,
        kind: AccessKind,
        hash: KeyHash,
        now: Millis,
    ) -> Result<Option<AccessRow>, StoreError> {
        self.on_writer(move |writer| {
            writer.transact(|transaction| {
                let found = find(transaction, kind, hash, now)?;
                let remove = "DELETE FROM access WHERE kind = ?1 AND hash = ?2";
                transaction.execute(remove, params![kind.number(), hash.as_bytes()])?;
                Ok(found)
            })
        })
        .await
    }

    async fn list_access(&self, kind: AccessKind, now: Millis) -> Result<Vec<AccessRow>, StoreError> {
        self.on_reader(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT hash, content, expires_at FROM access WHERE kind = ?1 AND expires_at > ?2
                 ORDER BY expires_at, hash",
            )?;
            let rows = statement.query_map(params![kind.number(), now], read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn put(transaction: &Transaction<'_>, kind: AccessKind, row: &AccessRow) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT OR REPLACE INTO access (kind, hash, content, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![kind.number(), row.hash.as_bytes(), row.content, row.expires_at],
    )?;
    Ok(())
}

fn find(
    connection: &Connection,
    kind: AccessKind,
    hash: KeyHash,
    now: Millis,
) -> Result<Option<AccessRow>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT hash, content, expires_at FROM access WHERE kind = ?1 AND hash = ?2 AND expires_at > ?3",
    )?;
    let row = statement.query_row(params![kind.number(), hash.as_bytes(), now], read);
    Ok(row.optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<AccessRow> {
    let hash = match row.get_ref(0)? {
        ValueRef::Blob(bytes) => KeyHash::from_bytes(bytes),
        _ => None,
    };
    Ok(AccessRow {
        hash: hash.ok_or(FromSqlError::InvalidType)?,
        content: row.get(1)?,
        expires_at: row.get(2)?,
    })
}
