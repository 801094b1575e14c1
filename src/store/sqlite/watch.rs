//! Notices what other processes changed in the same store.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::catalog::{Published, Snapshot};
use super::days;
use super::log::Log;
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
    pub(super) fn start(readers: Arc<Readers>, published: Arc<Published>, log: Arc<Log>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-watch".into())
            .spawn(move || {
                let mut said = None;
                while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    let failed = readers
                        .with(|connection| look(connection, &published, &log))
                        .err()
                        .map(|error| error.to_string());
                    if let Some(error) = failed.as_ref().filter(|_| failed != said) {
                        tracing::warn!(error, "can't look for changes by other processes");
                    }
                    said = failed;
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

/// Takes over what is newer than what this process knows: reads two numbers where nothing is.
pub(super) fn look(connection: &Connection, published: &Published, log: &Log) -> Result<(), StoreError> {
    let seqs = || -> Result<(i64, i64), StoreError> {
        let mut statement = connection.prepare_cached("SELECT commit_seq, catalog_seq FROM meta")?;
        Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
    };
    let (commit, catalog) = seqs()?;
    if commit > log.complete_to() {
        let _order = log.in_order();
        let complete_to = log.complete_to();
        if seqs()?.0 > complete_to {
            let (changed, newest) = days::changed_since(connection, complete_to)?;
            log.notice(changed, newest);
        }
    }
    if catalog > published.load().seq {
        published.publish(Snapshot::load(connection)?);
    }
    Ok(())
}
