//! Work that waits for the store: gathered into groups, bounded in items.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::RecordError;
use crate::store::StoreError;

/// Items that may wait, about 60 MB of sessions; also the most that one call may bring.
const MAX_WAITING: u32 = 200_000;
/// Calls that may wait.
const MAX_CALLS: usize = 4_096;
/// Items in a commit, unless one call brings more: longer commits make everyone wait longer and gain little.
const GROUP: usize = 20_000;
/// Commits under way: while one is being written, the next is prepared.
const COMMITS: usize = 2;

/// What is done with a group.
#[async_trait]
pub(super) trait Commit: Send + Sync + 'static {
    type Item: Send + 'static;
    type Outcome: Send + 'static;

    /// All of them or none; the outcomes in the order of the items.
    async fn commit(&self, items: Vec<Self::Item>) -> Result<Vec<Self::Outcome>, StoreError>;
}

/// A handle to the task that commits; clones share it.
pub(super) struct Queue<C: Commit> {
    places: Arc<Semaphore>,
    sender: Arc<Mutex<Option<mpsc::Sender<Submission<C>>>>>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl<C: Commit> Clone for Queue<C> {
    fn clone(&self) -> Self {
        Self {
            places: self.places.clone(),
            sender: self.sender.clone(),
            task: self.task.clone(),
        }
    }
}

type Outcomes<C> = Vec<<C as Commit>::Outcome>;

struct Submission<C: Commit> {
    items: Vec<C::Item>,
    done: oneshot::Sender<Result<Outcomes<C>, RecordError>>,
    /// Frees the items' places in the queue when the submission is done.
    _places: OwnedSemaphorePermit,
}

impl<C: Commit> Queue<C> {
    pub(super) fn start(commit: C) -> Self {
        let (sender, receiver) = mpsc::channel(MAX_CALLS);
        Self {
            places: Arc::new(Semaphore::new(MAX_WAITING as usize)),
            sender: Arc::new(Mutex::new(Some(sender))),
            task: Arc::new(Mutex::new(Some(tokio::spawn(run(Arc::new(commit), receiver))))),
        }
    }

    /// Puts items into the queue; what comes back can be awaited. They are committed even if nobody does.
    pub(super) fn submit(
        &self,
        items: Vec<C::Item>,
    ) -> Result<oneshot::Receiver<Result<Outcomes<C>, RecordError>>, RecordError> {
        let count = u32::try_from(items.len()).map_err(|_| RecordError::Full)?;
        let places = self
            .places
            .clone()
            .try_acquire_many_owned(count)
            .map_err(|_| RecordError::Full)?;
        let sender = self.sender.lock().clone().ok_or(RecordError::Closed)?;
        let (done, outcomes) = oneshot::channel();
        let submission = Submission {
            items,
            done,
            _places: places,
        };
        sender.try_send(submission).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RecordError::Full,
            mpsc::error::TrySendError::Closed(_) => RecordError::Closed,
        })?;
        Ok(outcomes)
    }

    /// Items that wait or are being committed.
    pub(super) fn depth(&self) -> usize {
        (MAX_WAITING as usize).saturating_sub(self.places.available_permits())
    }

    /// Commits what waits, then ends the task. Later calls are refused.
    pub(super) async fn close(&self) {
        self.sender.lock().take();
        let task = self.task.lock().take();
        if let Some(task) = task
            && task.await.is_err()
        {
            tracing::error!("the recorder did not end cleanly");
        }
    }
}

async fn run<C: Commit>(committer: Arc<C>, mut queue: mpsc::Receiver<Submission<C>>) {
    let slots = Arc::new(Semaphore::new(COMMITS));
    let mut held: Option<Submission<C>> = None;
    while let Ok(slot) = slots.clone().acquire_owned().await {
        let Some(first) = (match held.take() {
            Some(submission) => Some(submission),
            None => queue.recv().await,
        }) else {
            break;
        };
        let mut size = first.items.len();
        let mut group = vec![first];
        while let Ok(next) = queue.try_recv() {
            if size + next.items.len() > GROUP {
                held = Some(next);
                break;
            }
            size += next.items.len();
            group.push(next);
        }
        let committer = committer.clone();
        tokio::spawn(async move {
            commit(committer.as_ref(), group).await;
            drop(slot);
        });
    }
    // The last commits hold their slots until they are done.
    let all = u32::try_from(COMMITS).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(all).await;
}

/// Commits a group as one batch and tells each caller what became of its part.
async fn commit<C: Commit>(committer: &C, mut group: Vec<Submission<C>>) {
    let sizes: Vec<usize> = group.iter().map(|submission| submission.items.len()).collect();
    let mut items = Vec::with_capacity(sizes.iter().sum());
    for submission in &mut group {
        items.append(&mut submission.items);
    }
    let result = committer.commit(items).await.map_err(Arc::new);
    let (mut outcomes, failure) = match result {
        Ok(outcomes) => (outcomes.into_iter(), None),
        Err(error) => {
            tracing::error!(%error, "a commit failed; nothing of it was recorded");
            (Vec::new().into_iter(), Some(error))
        }
    };
    for (submission, size) in group.into_iter().zip(sizes) {
        let answer = match &failure {
            None => Ok(outcomes.by_ref().take(size).collect()),
            Some(error) => Err(RecordError::Store(error.clone())),
        };
        // Nobody waits any more: the items are committed all the same.
        let _ = submission.done.send(answer);
    }
}
