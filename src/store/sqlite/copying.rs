//! Users as another store takes them over.

use rusqlite::Connection;
use tokio::sync::mpsc::Sender;

use crate::model::WorkspaceId;
use crate::store::StoreError;
use crate::store::records::UserRecord;

/// Users handed out at a time.
const BATCH: usize = 5_000;

/// Returns when everything is handed out, or nobody receives any more.
pub(super) fn users(connection: &Connection, batches: &Sender<Vec<UserRecord>>) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let mut statement = transaction.prepare(include_str!("sql/users_with_attributes.sql"))?;
    let mut rows = statement.query([])?;
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(row) = rows.next()? {
        batch.push(UserRecord {
            workspace: read_id(&row.get::<_, String>("workspace")?)?,
            user_id: row.get("user_id")?,
            attributes: row.get("attributes")?,
        });
        if batch.len() == BATCH {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            if batches.blocking_send(full).is_err() {
                return Ok(());
            }
        }
    }
    // If nobody receives it, nobody wants it.
    let _ = batches.blocking_send(batch);
    Ok(())
}

fn read_id(text: &str) -> Result<WorkspaceId, StoreError> {
    text.parse()
        .map_err(|_| StoreError::damaged(format!("'{text}' is no workspace's id")))
}
