//! The thread that has rollups built while a server has nothing else to do, so that nobody waits for them.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::catalog::Published;
use super::counting::{self, Counting};
use super::log::Log;
use super::readers::Readers;
use crate::store::StoreError;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(5);
/// How often it looks, in intervals, once it has found nothing: looking takes some milliseconds.
const REST: u32 = 12;
/// Days that are built before it looks again.
const DAYS: usize = 100;

/// The thread. Owned by the store, which stops it when it closes.
pub(super) struct Background {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    pub(super) fn start(
        published: Arc<Published>,
        counting: Arc<Counting>,
        log: Arc<Log>,
        readers: Arc<Readers>,
    ) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-rollups".into())
            .spawn(move || {
                let mut rest = 0_u32;
                while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    if rest > 0 || !counting.is_idle() {
                        rest = rest.saturating_sub(1);
                        continue;
                    }
                    match look(&published, &counting, &log, &readers) {
                        Ok(true) => {}
                        Ok(false) => rest = REST,
                        Err(error) => {
                            tracing::warn!(%error, "can't look for days to count");
                            rest = REST;
                        }
                    }
                }
            });
        let thread = thread
            .inspect_err(|error| tracing::error!(%error, "can't build rollups in the background"))
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

/// Has some rollups built; whether there were any to build.
fn look(
    published: &Published,
    counting: &Counting,
    log: &Log,
    readers: &Readers,
) -> Result<bool, StoreError> {
    let apps = published.load().app_ids();
    let days =
        readers.with(|connection| counting::quiet_days_without_rollup(connection, log, &apps, DAYS))?;
    let is_any = !days.is_empty();
    counting.build(days);
    Ok(is_any)
}
