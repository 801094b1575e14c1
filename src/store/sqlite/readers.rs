//! Connections that read, kept open between uses.

use std::path::PathBuf;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::connection::open_reader;
use crate::store::StoreError;

/// Connections kept when nobody reads.
const KEPT: usize = 4;

/// A pool: a reader takes a free connection or opens one.
pub(super) struct Readers {
    file: PathBuf,
    free: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            file,
            free: Mutex::new(Vec::new()),
        }
    }

    /// Runs `read` on a connection. A connection on which something failed is not used again.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let free = self.free.lock().pop();
        let connection = match free {
            Some(connection) => connection,
            None => open_reader(&self.file)?,
        };
        let value = read(&connection)?;
        let mut free = self.free.lock();
        if free.len() < KEPT {
            free.push(connection);
        }
        Ok(value)
    }
}
