//! The store's format: recognised, created, migrated or refused.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::store::StoreError;

/// "SMTR": tells our files from other SQLite files.
const APPLICATION_ID: i32 = 0x534D_5452;

/// Migration n brings format n to format n + 1. Never change one that was released; add another.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_segments.sql"),
];

/// Creates the format in an empty file, or brings an older one up to date.
///
/// # Errors
/// [`StoreError::Unusable`] for a file of a newer version or of another program, which is left as it is.
pub(super) fn prepare(connection: &mut Connection, file: &Path, now: i64) -> Result<(), StoreError> {
    if check(connection, file)? == MIGRATIONS.len() {
        return Ok(());
    }
    // Two processes may start at once: look again under the write lock.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = check(&transaction, file)?;
    for migration in MIGRATIONS.iter().skip(version) {
        transaction.execute_batch(migration)?;
    }
    if version == 0 {
        let first = "INSERT INTO meta (id, commit_seq, catalog_seq, created_at) VALUES (1, 0, 0, ?1)";
        transaction.execute(first, [now])?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(
        None,
        "user_version",
        i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX),
    )?;
    transaction.commit()?;
    Ok(())
}

/// The format of a store, 0 for an empty file.
///
/// # Errors
/// As [`prepare`].
pub(super) fn check(connection: &Connection, file: &Path) -> Result<usize, StoreError> {
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let file = file.display();
    if tables == 0 && application == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(StoreError::Unusable(format!(
            "{file} is a database of another program, not a sessionmeter store"
        )));
    }
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(StoreError::Unusable(format!(
            "{file} has store format {version}, which a newer version of sessionmeter wrote; this one reads formats up to {}: upgrade it",
            MIGRATIONS.len()
        ))),
    }
}
