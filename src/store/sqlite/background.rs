//! The thread that counts the past of segments while a server runs.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc as jobs;

use super::Job;
use super::catalog::Published;
use super::past::Step;
use crate::store::StoreError;

/// How soon segments are noticed that another process tracks.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long to wait after a failure, such as a full disk.
const PAUSE: Duration = Duration::from_secs(5);

/// The counting thread. Owned by the store, which stops it when it closes.
pub(super) struct Background {
    nudge: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    pub(super) fn start(published: Arc<Published>, writer: jobs::WeakSender<Job>) -> Self {
        let (nudge, nudges) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-segments".into())
            .spawn(move || run(&published, &writer, &nudges));
        let thread = thread
            .inspect_err(|error| tracing::error!(%error, "can't count segments"))
            .ok();
        Self { nudge, thread }
    }

    /// There may be something to count.
    pub(super) fn nudge(&self) {
        // Without the thread nothing is counted, which was logged.
        let _ = self.nudge.send(());
    }

    /// Ends after the step that is being taken.
    pub(super) fn stop(self) {
        drop(self.nudge);
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}

fn run(published: &Published, writer: &jobs::WeakSender<Job>, nudges: &Receiver<()>) {
    let mut wait = INTERVAL;
    while nudges.recv_timeout(wait) != Err(RecvTimeoutError::Disconnected) {
        wait = INTERVAL;
        while published.load().waits_for_counting() && nudges.try_recv() != Err(TryRecvError::Disconnected) {
            match step(writer) {
                Some(Ok(Step::Idle)) => break,
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    tracing::warn!(%error, "can't count segments right now; trying again");
                    wait = PAUSE;
                    break;
                }
                None => return,
            }
        }
    }
}

/// One step on the writer's thread, between two commits; `None` when the store is closing.
fn step(writer: &jobs::WeakSender<Job>) -> Option<Result<Step, StoreError>> {
    let (done, result) = mpsc::sync_channel(1);
    let job: Job = Box::new(move |writer| {
        let _ = done.send(writer.count_some());
    });
    writer.upgrade()?.blocking_send(job).ok()?;
    result.recv().ok()
}
