//! Questions that are being counted: each once, however many ask, and to its end, whoever still waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::answer::Answer;
use super::question::QuestionError;
use super::versions::Fingerprint;
use super::walk::Progress;
use crate::store::StoreError;

/// How long a request waits. The work goes on when it gives up.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) type Outcome = Result<Arc<Answer>, QuestionError>;

/// The question, and the versions of its days when it was asked: whoever recorded a session since asks for others.
type Key = (u128, Fingerprint);

#[derive(Clone)]
struct Flight {
    outcome: watch::Receiver<Option<Outcome>>,
    progress: Arc<Progress>,
}

/// See the module. Owned by the counter.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Key, Flight>>>);

/// Ends a flight, also if its work panics.
struct Landing(Flights, Key);

impl Drop for Landing {
    fn drop(&mut self) {
        self.0.0.lock().remove(&self.1);
    }
}

impl Flights {
    /// Waits for the answer to a question, which `work` finds, unless somebody asked it already.
    pub(super) async fn join<F>(&self, key: Key, work: impl FnOnce(Arc<Progress>) -> F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut flight = self.flight(key, work);
        let landed = tokio::time::timeout(PATIENCE, flight.outcome.wait_for(Option::is_some)).await;
        match landed {
            Err(_) => Err(StoreError::Counting(flight.progress.percent()).into()),
            Ok(Ok(outcome)) => outcome.clone().unwrap_or_else(|| Err(broken_off())),
            Ok(Err(_)) => Err(broken_off()),
        }
    }

    fn flight<F>(&self, key: Key, work: impl FnOnce(Arc<Progress>) -> F) -> Flight
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut flights = self.0.lock();
        if let Some(flight) = flights.get(&key) {
            return flight.clone();
        }
        let (landed, outcome) = watch::channel(None);
        let progress = Arc::<Progress>::default();
        let flight = Flight {
            outcome,
            progress: progress.clone(),
        };
        flights.insert(key, flight.clone());
        let landing = Landing(self.clone(), key);
        let work = work(progress);
        tokio::spawn(async move {
            let outcome = work.await;
            drop(landing);
            let _ = landed.send(Some(outcome));
        });
        flight
    }
}

fn broken_off() -> QuestionError {
    StoreError::Unavailable("counting was broken off".into()).into()
}
