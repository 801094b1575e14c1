//! The recorder: everything that records hands its sessions here.
//!
//! One task gathers what waits, gives it to the store as one batch and wakes everyone whose sessions were in it.
//! What may wait is bounded in sessions: beyond that the caller is told to come back.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::metrics::{Metrics, OutcomeKind};
use crate::model::Session;
use crate::store::{Recorded, Store, StoreError};

/// Sessions that may wait, about 60 MB of them; also the most that one call may bring.
const MAX_WAITING: u32 = 200_000;
/// Calls that may wait.
const MAX_CALLS: usize = 4_096;
/// Sessions in a commit, unless one call brings more: longer commits make everyone wait longer and gain little.
const GROUP: usize = 20_000;
/// Commits under way: while one is being written, the next is prepared.
const COMMITS: usize = 2;

/// What became of the sessions of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Counted for the first time.
    pub new: u64,
    /// Had been recorded before.
    pub duplicates: u64,
}

/// Why nothing of a call was recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Too much waits already. Try again in a moment.
    #[error("too many sessions are waiting to be recorded")]
    Full,
    /// The store refused the commit.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
    /// The recorder was closed.
    #[error("the server is stopping")]
    Closed,
}

struct Submission {
    sessions: Vec<Session>,
    done: oneshot::Sender<Result<Tally, RecordError>>,
    /// Frees the sessions' places in the queue when the submission is done.
    _places: OwnedSemaphorePermit,
}

/// A handle to the recording task; clones share it.
#[derive(Clone)]
pub struct Recorder {
    places: Arc<Semaphore>,
    queue: Arc<Mutex<Option<mpsc::Sender<Submission>>>>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
    metrics: Arc<Metrics>,
}

impl Recorder {
    /// Starts the task. It ends with [`Recorder::close`].
    pub fn start(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        let (sender, receiver) = mpsc::channel(MAX_CALLS);
        let task = tokio::spawn(run(store, receiver, metrics.clone()));
        Self {
            places: Arc::new(Semaphore::new(MAX_WAITING as usize)),
            queue: Arc::new(Mutex::new(Some(sender))),
            task: Arc::new(Mutex::new(Some(task))),
            metrics,
        }
    }

    /// Records sessions; returns when they are durable and counted.
    ///
    /// If the caller stops waiting, the sessions are recorded all the same.
    ///
    /// # Errors
    /// [`RecordError::Full`] at once when too much waits; otherwise what the store says. In both cases nothing
    /// of this call was recorded.
    pub async fn record(&self, sessions: Vec<Session>) -> Result<Tally, RecordError> {
        let count = u32::try_from(sessions.len()).map_err(|_| RecordError::Full)?;
        let places = self
            .places
            .clone()
            .try_acquire_many_owned(count)
            .map_err(|_| RecordError::Full)?;
        let queue = self.queue.lock().clone().ok_or(RecordError::Closed)?;
        let (done, result) = oneshot::channel();
        let submission = Submission {
            sessions,
            done,
            _places: places,
        };
        queue.try_send(submission).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RecordError::Full,
            mpsc::error::TrySendError::Closed(_) => RecordError::Closed,
        })?;
        drop(queue);
        self.note_depth();
        let result = result.await.map_err(|_| RecordError::Closed)?;
        self.note_depth();
        result
    }

    /// Records what waits, then ends the task. Later calls are refused.
    pub async fn close(&self) {
        self.queue.lock().take();
        let task = self.task.lock().take();
        if let Some(task) = task
            && task.await.is_err()
        {
            tracing::error!("the recorder did not end cleanly");
        }
    }

    fn note_depth(&self) {
        let waiting = (MAX_WAITING as usize).saturating_sub(self.places.available_permits());
        self.metrics
            .queued_sessions
            .set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
}

async fn run(store: Arc<dyn Store>, mut queue: mpsc::Receiver<Submission>, metrics: Arc<Metrics>) {
    let slots = Arc::new(Semaphore::new(COMMITS));
    let mut held: Option<Submission> = None;
    while let Ok(slot) = slots.clone().acquire_owned().await {
        let Some(first) = (match held.take() {
            Some(submission) => Some(submission),
            None => queue.recv().await,
        }) else {
            break;
        };
        let mut size = first.sessions.len();
        let mut group = vec![first];
        while let Ok(next) = queue.try_recv() {
            if size + next.sessions.len() > GROUP {
                held = Some(next);
                break;
            }
            size += next.sessions.len();
            group.push(next);
        }
        let (store, metrics) = (store.clone(), metrics.clone());
        tokio::spawn(async move {
            commit(store.as_ref(), group, &metrics).await;
            drop(slot);
        });
    }
    // The last commits hold their slots until they are done.
    let all = u32::try_from(COMMITS).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(all).await;
}

/// Records a group as one batch and tells each caller what became of its part.
async fn commit(store: &dyn Store, mut group: Vec<Submission>, metrics: &Metrics) {
    let sizes: Vec<usize> = group.iter().map(|submission| submission.sessions.len()).collect();
    let mut sessions = Vec::with_capacity(sizes.iter().sum());
    for submission in &mut group {
        sessions.append(&mut submission.sessions);
    }
    metrics
        .commit_sessions
        .observe(sizes.iter().sum::<usize>() as f64);
    let started = Instant::now();
    let result = store.record(sessions).await.map_err(Arc::new);
    metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
    let mut outcomes = match &result {
        Ok(outcomes) => outcomes.iter(),
        Err(error) => {
            metrics.commit_failures.inc();
            tracing::error!(%error, "a commit failed; nothing of it was recorded");
            [].iter()
        }
    };
    for (submission, size) in group.into_iter().zip(sizes) {
        let answer = match &result {
            Ok(_) => Ok(tally(outcomes.by_ref().take(size))),
            Err(error) => Err(RecordError::Store(error.clone())),
        };
        if let Ok(tally) = &answer {
            metrics.sessions(OutcomeKind::recorded, tally.new);
            metrics.sessions(OutcomeKind::duplicate, tally.duplicates);
        }
        // Nobody waits any more: the sessions are recorded all the same.
        let _ = submission.done.send(answer);
    }
}

fn tally<'a>(outcomes: impl Iterator<Item = &'a Recorded>) -> Tally {
    outcomes.fold(Tally::default(), |mut tally, outcome| {
        match outcome {
            Recorded::New => tally.new += 1,
            Recorded::Duplicate => tally.duplicates += 1,
        }
        tally
    })
}
