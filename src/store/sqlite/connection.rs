//! Connections and what SQLite's errors mean to a caller.

use std::path::Path;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::opening::Access;
use crate::store::StoreError;

/// What stands in a file's address as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_');

/// How long a write waits for another process's transaction.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The one connection of this process that writes. Changes nothing yet: the file may be somebody else's.
pub(super) fn open_writer(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags).map_err(|error| unusable(file, error))?;
    configure(&mut connection, file)?;
    Ok(connection)
}

/// Sets up a file that is known to be ours, or empty, for durable writing.
pub(super) fn prepare_writer(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    // page_size holds only while the file is empty. Larger pages cut write amplification; FULL is what makes an
    // acknowledged session survive a power cut.
    connection
        .execute_batch(
            "PRAGMA page_size = 8192;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA journal_size_limit = 134217728;
             PRAGMA cache_size = -32768;",
        )
        .map_err(|error| unusable(file, error))
}

/// A connection that only reads; it sees one consistent state for each statement or transaction.
pub(super) fn open_reader(file: &Path, access: Access) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = match access {
        Access::Write => Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_READ_WRITE),
        Access::Read => Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_READ_ONLY),
        Access::Frozen => {
            let path = percent_encode(file.as_os_str().as_encoded_bytes(), PATH);
            let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)
        }
    };
    let mut connection = opened.map_err(|error| unusable(file, error))?;
    configure(&mut connection, file)?;
    connection
        .execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048;")
        .map_err(|error| unusable(file, error))?;
    Ok(connection)
}

/// Closing the connection leaves the files as they are, whoever else has them open.
pub(super) fn abandon(connection: &Connection) {
    if let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        tracing::warn!(%error, "can't keep the journal as it is");
    }
}

/// From now on the connection waits for others as long as `patience` says.
pub(super) fn wait_for_others(
    connection: &mut Connection,
    patience: impl Fn() -> Duration + Send + 'static,
) -> rusqlite::Result<()> {
    // SQLite's own handler sleeps up to 100 ms at a time; a recorder that waits behind an import
    // wants its turn sooner.
    connection.busy_handler(Some(move |tries| {
        std::thread::sleep(Duration::from_millis(1));
        u128::try_from(tries).is_ok_and(|tries| tries < patience().as_millis())
    }))
}

fn configure(connection: &mut Connection, file: &Path) -> Result<(), StoreError> {
    wait_for_others(connection, || BUSY_TIMEOUT).map_err(|error| unusable(file, error))?;
    // Our files have neither triggers nor views; what somebody planted in one must not run.
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
    ] {
        connection
            .set_db_config(setting, on)
            .map_err(|error| unusable(file, error))?;
    }
    connection
        .execute_batch("PRAGMA cell_size_check = ON")
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
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, QueryReturnedNoRows,
            Utf8Error,
        };
        // A value that can't be, or a row that must be there: this program would never have written that.
        if matches!(
            error,
            FromSqlConversionFailure(..)
                | IntegralValueOutOfRange(..)
                | InvalidColumnType(..)
                | QueryReturnedNoRows
                | Utf8Error(..)
        ) {
            return Self::damaged(error);
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Unusable("this is not a sessionmeter store".into()),
            Some(ErrorCode::DatabaseCorrupt) => Self::damaged(error),
            Some(ErrorCode::DiskFull) => Self::Unavailable("the disk is full".into()),
            Some(ErrorCode::SystemIoFailure) => Self::Unavailable(format!("the disk fails: {error}")),
            Some(ErrorCode::ReadOnly) => {
                Self::Unavailable("the store can only be read here: permission to write it is missing".into())
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Unavailable("another process is writing".into())
            }
            // A table or a column is missing.
            Some(ErrorCode::Unknown) if error.to_string().contains("no such ") => Self::damaged(error),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
