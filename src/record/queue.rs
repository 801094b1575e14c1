//! Work that waits for the store: gathered into groups, bounded in items and in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::RecordError;
use crate::store::StoreError;

/// Places for items that wait, about 60 MB of sessions as most are. One call never needs more.
const MAX_WAITING: u32 = 200_000;
/// Bytes of an item beyond which it takes more than one place: sessions can have 16 KiB.
const PLACE: usize = 1_024;
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

    /// About how many bytes an item holds.
    fn bytes(item: &Self::Item) -> usize;

    /// All of them or none; the outcomes in the order of the items.
    async fn commit(&self, items: Vec<Self::Item>) -> Result<Vec<Self::Outcome>, StoreError>;
}

/// A handle to the task that commits; clones share it.
pub(super) struct Queue<C: Commit> {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    sender: Arc<Mutex<Option<mpsc::Sender<Submission<C>>>>>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl<C: Commit> Clone for Queue<C> {
    fn clone(&self) -> Self {
        Self {
            places: self.places.clone(),
            waiting: self.waiting.clone(),
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
    _places: Places,
}

struct Places {
    items: usize,
    waiting: Arc<AtomicUsize>,
    _taken: OwnedSemaphorePermit,
}

impl Drop for Places {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.items, Ordering::Relaxed);
    }
}

impl<C: Commit> Queue<C> {
    pub(super) fn start(commit: C) -> Self {
        let (sender, receiver) = mpsc::channel(MAX_CALLS);
        Self {
            places: Arc::new(Semaphore::new(MAX_WAITING as usize)),
            waiting: Arc::default(),
            sender: Arc::new(Mutex::new(Some(sender))),
            task: Arc::new(Mutex::new(Some(tokio::spawn(run(Arc::new(commit), receiver))))),
        }
    }

    /// Puts items into the queue; what comes back can be awaited. They are committed even if nobody does.
    pub(super) fn submit(
        &self,
        items: Vec<C::Item>,
    ) -> Result<oneshot::Receiver<Result<Outcomes<C>, RecordError>>, RecordError> {
        let places = self.places_for(&items)?;
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

    fn places_for(&self, items: &[C::Item]) -> Result<Places, RecordError> {
        let needed: usize = items.iter().map(|item| 1 + C::bytes(item) / PLACE).sum();
        let needed = u32::try_from(needed).unwrap_or(u32::MAX).min(MAX_WAITING);
        let taken = self.places.clone().try_acquire_many_owned(needed);
        let taken = taken.map_err(|_| RecordError::Full)?;
        self.waiting.fetch_add(items.len(), Ordering::Relaxed);
        Ok(Places {
            items: items.len(),
            waiting: self.waiting.clone(),
            _taken: taken,
        })
    }

    /// Items that wait or are being committed.
    pub(super) fn depth(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
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
            tracing::error!(%error, "a commit failed; nothing of it is acknowledged");
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that never answers.
    struct Stuck;

    #[async_trait]
    impl Commit for Stuck {
        type Item = Vec<u8>;
        type Outcome = ();

        fn bytes(item: &Vec<u8>) -> usize {
            item.len()
        }

        async fn commit(&self, _: Vec<Vec<u8>>) -> Result<Vec<()>, StoreError> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_items_and_in_memory() {
        for (bytes, per_call, calls) in [(100, 10_000, 20), (10 * PLACE, 1_000, 18)] {
            let queue = Queue::start(Stuck);
            let call = || queue.submit(vec![vec![0; bytes]; per_call]);
            let accepted: Vec<_> = std::iter::from_fn(|| call().ok()).collect();
            assert_eq!(accepted.len(), calls);
            assert_eq!(queue.depth(), calls * per_call);
            assert!(matches!(call(), Err(RecordError::Full)));
        }
        // One call may bring more than may wait otherwise.
        let queue = Queue::start(Stuck);
        assert!(queue.submit(vec![vec![0; 100]; 300_000]).is_ok());
    }
}
