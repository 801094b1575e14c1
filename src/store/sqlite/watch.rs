//! Notices what other processes changed in the same store.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::catalog::Published;
use super::counters::Counters;
use super::readers::Readers;
use crate::store::StoreError;

/// A fifth of the second within which changes by other processes must be honoured.
const INTERVAL: Duration = Duration::from_millis(200);

/// The watching thread. Owned by the store, which stops it when it closes.
pub(super) struct Watch {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(readers: Arc<Readers>, published: Arc<Published>, counters: Arc<Counters>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-watch".into())
            .spawn(move || {
                while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    if let Err(error) = look(&readers, &published, &counters) {
                        tracing::warn!(%error, "can't look for changes by other processes");
                    }
                }
            });
        let thread = thread
            .inspect_err(|error| tracing::error!(%error, "can't watch for changes by other processes"))
            .ok();
        Self { stop, thread }
    }

    pub(super) fn stop(self) {
        drop(self.stop);
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}

fn look(readers: &Readers, published: &Published, counters: &Counters) -> Result<(), StoreError> {
    readers.with(|connection| {
        let mut statement = connection.prepare_cached("SELECT commit_seq, catalog_seq FROM meta")?;
        let (commit, catalog): (i64, i64) = statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        counters.expire(commit);
        match catalog > published.load().seq {
            true => published.reload(connection, counters),
            false => Ok(()),
        }
    })
}
