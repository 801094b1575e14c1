//! Connections and what SQLite's errors mean to a caller.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::store::StoreError;

/// How long a write waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The one connection of this process that writes. Changes nothing yet: the file may be somebody else's.
pub(super) fn open_writer(file: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(file).map_err(|error| unusable(file, error))?;
    configure(&mut connection, file)?;
    Ok(connection)
}

/// Sets up a file that is known to be ours, or empty, for durable writing.
pub(super) fn prepare_writer(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    // page_size holds only while the file is empty. Larger pages and rarer checkpoints cut write
    // amplification; FULL is what makes an acknowledged session survive a power cut.
    connection
        .execute_batch(
            "PRAGMA page_size = 8192;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA wal_autocheckpoint = 8000;
             PRAGMA journal_size_limit = 134217728;
             PRAGMA cache_size = -32768;",
        )
        .map_err(|error| unusable(file, error))
}

/// A connection that only reads; it sees one consistent state for each statement or transaction.
pub(super) fn open_reader(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags).map_err(|error| unusable(file, error))?;
    configure(&mut connection, file)?;
    connection
        .execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048;")
        .map_err(|error| unusable(file, error))?;
    Ok(connection)
}

fn configure(connection: &mut Connection, file: &Path) -> Result<(), StoreError> {
    // SQLite's own handler sleeps up to 100 ms at a time; a recorder that waits behind an import
    // wants its turn sooner.
    connection
        .busy_handler(Some(|tries| {
            std::thread::sleep(Duration::from_millis(1));
            u128::try_from(tries).is_ok_and(|tries| tries < BUSY_TIMEOUT.as_millis())
        }))
        .map_err(|error| unusable(file, error))
}

fn unusable(file: &Path, error: rusqlite::Error) -> StoreError {
    match StoreError::from(error) {
        StoreError::Unusable(reason) => StoreError::Unusable(format!("{}: {reason}", file.display())),
        StoreError::Unavailable(reason) => StoreError::Unavailable(format!("{}: {reason}", file.display())),
        other => other,
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Unusable("this is not a sessionmeter store".into()),
            Some(ErrorCode::DatabaseCorrupt) => Self::damaged(error),
            Some(ErrorCode::DiskFull) => Self::Unavailable("the disk is full".into()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Unavailable("another process is writing".into())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
