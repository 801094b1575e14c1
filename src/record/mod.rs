//! The recorder: everything that records hands its sessions here, and the ends of sessions that are recorded already.
//!
//! A task gathers what waits, gives it to the store as one batch and wakes everyone whose sessions were in it; another
//! one does the same with ends. What may wait is bounded: beyond that the caller is told to come back.

mod queue;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use self::queue::{Commit, Queue};
use crate::metrics::{Metrics, OutcomeKind};
use crate::model::{AppId, Session, SessionEnd};
use crate::store::{Recorded, Store, StoreError};

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

/// A handle to the recording tasks; clones share them.
#[derive(Clone)]
pub struct Recorder {
    sessions: Queue<Sessions>,
    ends: Queue<Ends>,
    metrics: Arc<Metrics>,
}

impl Recorder {
    /// Starts the tasks. They end with [`Recorder::close`].
    pub fn start(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self {
            ends: Queue::start(Ends(store.clone())),
            sessions: Queue::start(Sessions {
                store,
                metrics: metrics.clone(),
            }),
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
        let outcomes = self.sessions.submit(sessions)?;
        self.note_depth();
        let outcomes = outcomes.await.map_err(|_| RecordError::Closed)?;
        self.note_depth();
        Ok(tally(&outcomes?))
    }

    /// Ends recorded sessions; returns when that is durable. Says of each whether there is such a session.
    ///
    /// # Errors
    /// As [`Recorder::record`]; nothing of this call was done.
    pub async fn end(&self, ends: Vec<SessionEnd>) -> Result<Vec<bool>, RecordError> {
        let outcomes = self.ends.submit(ends)?;
        outcomes.await.map_err(|_| RecordError::Closed)?
    }

    /// Records what waits, then ends the tasks. Later calls are refused.
    pub async fn close(&self) {
        self.sessions.close().await;
        self.ends.close().await;
    }

    fn note_depth(&self) {
        let waiting = i64::try_from(self.sessions.depth()).unwrap_or(i64::MAX);
        self.metrics.queued_sessions.set(waiting);
    }
}

struct Sessions {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

#[async_trait]
impl Commit for Sessions {
    type Item = Session;
    type Outcome = Recorded;

    fn bytes(session: &Session) -> usize {
        let identity = |id: Option<&str>| id.map_or(0, str::len);
        session.session_id().len()
            + identity(session.user_id())
            + identity(session.device_id())
            + session.properties().as_str().len()
    }

    async fn commit(&self, sessions: Vec<Session>) -> Result<Vec<Recorded>, StoreError> {
        let metrics = &self.metrics;
        metrics.commit_sessions.observe(sessions.len() as f64);
        let apps = runs(&sessions);
        let started = Instant::now();
        let result = self.store.record(sessions).await;
        let seconds = started.elapsed().as_secs_f64();
        metrics.commit_seconds.observe(seconds);
        metrics.last_commit_seconds.set(seconds);
        match &result {
            Ok(outcomes) => {
                let tally = tally(outcomes);
                metrics.sessions(OutcomeKind::recorded, tally.new);
                metrics.sessions(OutcomeKind::duplicate, tally.duplicates);
                note_apps(metrics, &apps, outcomes);
            }
            Err(_) => {
                metrics.commit_failures.inc();
            }
        }
        result
    }
}

struct Ends(Arc<dyn Store>);

#[async_trait]
impl Commit for Ends {
    type Item = SessionEnd;
    type Outcome = bool;

    fn bytes(end: &SessionEnd) -> usize {
        end.session_id().len()
    }

    async fn commit(&self, ends: Vec<SessionEnd>) -> Result<Vec<bool>, StoreError> {
        self.0.end_sessions(ends).await
    }
}

/// The apps of sessions, each with how many follow one another: one entry for most batches.
fn runs(sessions: &[Session]) -> Vec<(AppId, usize)> {
    let same_app = sessions.chunk_by(|one, next| one.app() == next.app());
    let run = |run: &[Session]| Some((run.first()?.app(), run.len()));
    same_app.filter_map(run).collect()
}

fn note_apps(metrics: &Metrics, apps: &[(AppId, usize)], outcomes: &[Recorded]) {
    let mut rest = outcomes;
    for (app, length) in apps {
        let Some((outcomes, later)) = rest.split_at_checked(*length) else {
            return;
        };
        rest = later;
        let new = tally(outcomes).new;
        if new > 0 {
            metrics.app_sessions(*app, new);
        }
    }
}

fn tally(outcomes: &[Recorded]) -> Tally {
    outcomes.iter().fold(Tally::default(), |mut tally, outcome| {
        match outcome {
            Recorded::New => tally.new += 1,
            Recorded::Duplicate => tally.duplicates += 1,
        }
        tally
    })
}
