//! Connections that read, kept open between uses.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::condition::Condition;
use super::connection::{abandon, open_reader};
use super::opening::Access;
use crate::store::StoreError;

/// Connections kept when nobody reads.
const KEPT: usize = 4;
/// Connections at one time; who comes later waits. Each has three files open, and memory of its own.
const MOST: usize = 32;

/// A pool: a reader takes a free connection or opens one.
pub(super) struct Readers {
    file: PathBuf,
    access: Access,
    condition: Arc<Condition>,
    most: usize,
    pool: Mutex<Pool>,
    given_back: Condvar,
}

#[derive(Default)]
struct Pool {
    free: Vec<Connection>,
    taken: usize,
}

/// A place in the pool, given back when dropped.
struct Place<'a>(&'a Readers);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.pool.lock().taken -= 1;
        self.0.given_back.notify_one();
    }
}

impl Readers {
    pub(super) fn new(file: PathBuf, access: Access, condition: Arc<Condition>) -> Self {
        Self::with_most(file, access, condition, MOST)
    }

    fn with_most(file: PathBuf, access: Access, condition: Arc<Condition>, most: usize) -> Self {
        Self {
            file,
            access,
            condition,
            most,
            pool: Mutex::default(),
            given_back: Condvar::new(),
        }
    }

    /// Runs `read` on a connection. A connection on which something failed is not used again.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // A connection that is opened now would have another file than the others.
        self.condition.check_files()?;
        self.condition.noting(self.read(read))
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let (place, free) = self.take();
        let connection = match free {
            Some(connection) => connection,
            None => open_reader(&self.file, self.access)?,
        };
        let value = read(&connection)?;
        let mut pool = self.pool.lock();
        if pool.free.len() < KEPT {
            pool.free.push(connection);
        }
        drop(pool);
        drop(place);
        Ok(value)
    }

    fn take(&self) -> (Place<'_>, Option<Connection>) {
        let mut pool = self.pool.lock();
        while pool.taken == self.most {
            self.given_back.wait(&mut pool);
        }
        pool.taken += 1;
        (Place(self), pool.free.pop())
    }

    /// Leaves the files alone from now on: those with the store's names are not those that are open.
    pub(super) fn abandon(&self) {
        self.pool.lock().free.iter().for_each(abandon);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::file_identity::FileIdentity;
    use super::*;

    #[test]
    fn there_are_never_more_connections_than_allowed() {
        let directory = tempfile::TempDir::new().unwrap();
        let file = directory.path().join("store.sqlite");
        Connection::open(&file).unwrap();
        let condition = Arc::new(Condition::new(FileIdentity::of(&file)));
        let readers = Readers::with_most(file, Access::Write, condition, 2);
        let (reading, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let read = |fails: bool| {
            readers.with(|_| {
                most.fetch_max(reading.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                reading.fetch_sub(1, Ordering::SeqCst);
                if fails {
                    Err(StoreError::Unavailable("for the test".into()))
                } else {
                    Ok(())
                }
            })
        };
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let read = &read;
                scope.spawn(move || (0..20).for_each(|round| _ = read((thread + round) % 3 == 0)));
            }
        });
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
        assert_eq!(readers.pool.lock().taken, 0, "every place is given back");
    }
}
