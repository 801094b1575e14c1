//! The threads that count days for filters and build rollups. Workspaces take turns, a day at a time, so that nobody waits for all that another asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::days::AppDay;
use super::filters::KnownFilter;
use crate::model::AppId;
use crate::store::StoreError;

/// Waits for the days that one request needs.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    left: AtomicUsize,
    /// Sessions of the days that are done.
    pub(super) done: AtomicU64,
    failed: Mutex<Option<StoreError>>,
    changed: Notify,
}

impl Ticket {
    /// Returns when all days are counted, or one can't be.
    pub(super) async fn all_done(&self) -> Result<(), StoreError> {
        loop {
            let changed = self.changed.notified();
            if let Some(error) = self.failed.lock().take() {
                return Err(error);
            }
            if self.left.load(Ordering::Acquire) == 0 {
                return Ok(());
            }
            changed.await;
        }
    }

    /// The same by a deadline, where `done` of `total` sessions were counted before.
    ///
    /// # Errors
    /// Why one can't be, or how far it is.
    pub(super) async fn all_done_by(
        &self,
        deadline: Instant,
        (done, total): (u64, u64),
    ) -> Result<(), StoreError> {
        match tokio::time::timeout_at(deadline, self.all_done()).await {
            Ok(result) => result,
            Err(_) => {
                let done = done + self.done.load(Ordering::Relaxed);
                let percent = done.saturating_mul(100) / total.max(1);
                Err(StoreError::Counting(percent.min(99)))
            }
        }
    }

    fn tell(&self, sessions: u64, result: &Result<(), StoreError>) {
        if let Err(error) = result {
            *self.failed.lock() = Some(error.clone());
        }
        self.done.fetch_add(sessions, Ordering::Relaxed);
        self.left.fetch_sub(1, Ordering::AcqRel);
        // One waits, and where it looks between two calls the permit stays.
        self.changed.notify_one();
    }
}

/// A day that somebody needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Day {
    pub(super) workspace: i64,
    pub(super) app: (i64, AppId),
    pub(super) day: i64,
    /// About.
    pub(super) sessions: u64,
    /// Whether whoever asks knows that nothing more comes for now, so that the rollup is kept at once.
    pub(super) is_complete: bool,
}

impl Day {
    pub(super) fn of(&self) -> AppDay {
        (self.app.0, self.day)
    }
}

/// What is to be done for a day.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) day: Day,
    /// Filters for which it is counted; its rollup is built for all of them at once.
    pub(super) filters: Vec<Arc<KnownFilter>>,
    tickets: Vec<Arc<Ticket>>,
}

#[derive(Default)]
struct State {
    /// Workspaces in turn, with their days.
    turns: VecDeque<(i64, VecDeque<AppDay>)>,
    tasks: HashMap<AppDay, Task>,
    /// With how many sessions each has, about.
    running: HashMap<AppDay, u64>,
}

impl State {
    /// The next task that nobody works on, of the workspace whose turn it is.
    fn take(&mut self) -> Option<Task> {
        for _ in 0..self.turns.len() {
            let (workspace, mut days) = self.turns.pop_front()?;
            let free = days.iter().position(|of| !self.running.contains_key(of));
            let of = free.and_then(|place| days.remove(place));
            if !days.is_empty() {
                self.turns.push_back((workspace, days));
            }
            if let Some(of) = of {
                let task = self.tasks.remove(&of)?;
                self.running.insert(of, task.day.sessions);
                return Some(task);
            }
        }
        None
    }
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    is_over: AtomicBool,
}

/// How far a task came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// To its end.
    ToItsEnd,
    /// Its turn is over. What was evaluated is remembered; it goes on when others have had theirs.
    ToTheEndOfItsTurn,
}

/// Does one task; the second argument says whether it is to be cut short.
type Work = dyn Fn(&Task, &dyn Fn() -> bool) -> Result<Came, StoreError> + Send + Sync;
/// Does what was put off until nothing else is to be done.
type Rest = dyn Fn() + Send + Sync;

/// See the module. Owned by the store, which stops it when it closes.
pub(super) struct Pool {
    shared: Arc<Shared>,
    work: Arc<Work>,
    rest: Arc<Rest>,
    /// How many threads it may have.
    most: usize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    /// No thread is started before something is to be done.
    pub(super) fn new(
        threads: usize,
        work: impl Fn(&Task, &dyn Fn() -> bool) -> Result<Came, StoreError> + Send + Sync + 'static,
        rest: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                wake: Condvar::new(),
                is_over: AtomicBool::new(false),
            }),
            work: Arc::new(work),
            rest: Arc::new(rest),
            most: threads.max(1),
            threads: Mutex::default(),
        }
    }

    /// Counts days for a filter, or only builds their rollups.
    pub(super) fn submit(
        &self,
        days: impl IntoIterator<Item = Day>,
        filter: Option<&Arc<KnownFilter>>,
    ) -> Arc<Ticket> {
        let ticket = Arc::new(Ticket::default());
        {
            let mut state = self.shared.state.lock();
            if self.shared.is_over.load(Ordering::Acquire) {
                *ticket.failed.lock() = Some(StoreError::closed());
                return ticket;
            }
            for day in days {
                ticket.left.fetch_add(1, Ordering::AcqRel);
                let task = Task {
                    day,
                    filters: filter.cloned().into_iter().collect(),
                    tickets: vec![ticket.clone()],
                };
                add(&mut state, task);
            }
        }
        if ticket.left.load(Ordering::Acquire) > 0 {
            self.start();
            self.shared.wake.notify_all();
        }
        ticket
    }

    /// Whether there is nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.shared.state.lock();
        state.tasks.is_empty() && state.running.is_empty()
    }

    /// Sessions, about, of the days that are worked on or wait.
    pub(super) fn sessions_left(&self) -> u64 {
        let state = self.shared.state.lock();
        let waiting = state.tasks.values().map(|task| task.day.sessions);
        waiting.chain(state.running.values().copied()).sum()
    }

    fn start(&self) {
        let mut threads = self.threads.lock();
        if !threads.is_empty() || self.shared.is_over.load(Ordering::Acquire) {
            return;
        }
        for number in 0..self.most {
            let (shared, work, rest) = (self.shared.clone(), self.work.clone(), self.rest.clone());
            let thread = std::thread::Builder::new()
                .name(format!("store-rollup-{number}"))
                .spawn(move || run(&shared, work.as_ref(), rest.as_ref()));
            match thread {
                Ok(thread) => threads.push(thread),
                Err(error) => tracing::error!(%error, "can't start a thread that counts days"),
            }
        }
    }

    /// Ends its threads within moments; what waited is given up.
    pub(super) fn stop(&self) {
        self.shared.is_over.store(true, Ordering::Release);
        let tasks = {
            let mut state = self.shared.state.lock();
            state.turns.clear();
            std::mem::take(&mut state.tasks)
        };
        self.shared.wake.notify_all();
        for task in tasks.into_values() {
            let closed = Err(StoreError::closed());
            task.tickets.iter().for_each(|ticket| ticket.tell(0, &closed));
        }
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

fn add(state: &mut State, task: Task) {
    let (of, workspace) = (task.day.of(), task.day.workspace);
    if let Some(known) = state.tasks.get_mut(&of) {
        known.tickets.extend(task.tickets);
        known.day.is_complete |= task.day.is_complete;
        for filter in task.filters {
            if known.filters.iter().all(|known| known.number != filter.number) {
                known.filters.push(filter);
            }
        }
        return;
    }
    state.tasks.insert(of, task);
    match state.turns.iter_mut().find(|(other, _)| *other == workspace) {
        Some((_, days)) => days.push_back(of),
        None => state.turns.push_back((workspace, VecDeque::from([of]))),
    }
}

fn run(shared: &Shared, work: &Work, rest: &Rest) {
    let is_over = || shared.is_over.load(Ordering::Acquire);
    loop {
        let task = {
            let mut state = shared.state.lock();
            loop {
                if is_over() {
                    return;
                }
                if let Some(task) = state.take() {
                    break task;
                }
                shared.wake.wait(&mut state);
            }
        };
        let result = work(&task, &is_over);
        let mut state = shared.state.lock();
        state.running.remove(&task.day.of());
        // Another thread may have left this day for later.
        shared.wake.notify_one();
        let result = match result {
            Ok(Came::ToTheEndOfItsTurn) if !is_over() => {
                add(&mut state, task);
                continue;
            }
            Ok(Came::ToTheEndOfItsTurn) => Err(StoreError::closed()),
            Ok(Came::ToItsEnd) => Ok(()),
            Err(error) => Err(error),
        };
        let is_idle = state.tasks.is_empty() && state.running.is_empty();
        drop(state);
        // Before anybody is told that all is done.
        if is_idle {
            rest();
        }
        for ticket in &task.tickets {
            ticket.tell(task.day.sessions, &result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(workspace: i64, day: i64) -> Day {
        Day {
            workspace,
            app: (workspace, AppId::random()),
            day,
            sessions: 1,
            is_complete: false,
        }
    }

    #[tokio::test]
    async fn workspaces_take_turns_and_a_long_task_gives_way() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let seen = order.clone();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let rests = Arc::new(AtomicUsize::new(0));
        let rested = rests.clone();
        let work = move |task: &Task, _: &dyn Fn() -> bool| {
            if seen.lock().is_empty() {
                // Until everything is submitted.
                let _ = wait.lock().recv();
            }
            let mut seen = seen.lock();
            seen.push(task.day.of());
            let is_first_turn = seen.iter().filter(|of| **of == (2, 0)).count() == 1;
            if task.day.of() == (2, 0) && is_first_turn {
                Ok(Came::ToTheEndOfItsTurn)
            } else {
                Ok(Came::ToItsEnd)
            }
        };
        let pool = Pool::new(1, work, move || _ = rested.fetch_add(1, Ordering::Relaxed));
        let many = pool.submit((0..4).map(|number| day(1, number)), None);
        let again = pool.submit([day(1, 3)], None);
        let other = pool.submit([day(2, 0), day(2, 1)], None);
        go.send(()).unwrap();
        for ticket in [&many, &again, &other] {
            ticket.all_done().await.unwrap();
        }
        assert_eq!(many.done.load(Ordering::Relaxed), 4);
        let order = order.lock().clone();
        assert_eq!(order.len(), 7, "{order:?}");
        let at = |of: AppDay| order.iter().rposition(|other| *other == of).unwrap();
        assert!(at((2, 1)) < at((1, 3)), "{order:?}");
        assert!(at((2, 1)) < at((2, 0)), "{order:?}");
        assert_eq!(rests.load(Ordering::Relaxed), 1);
        pool.stop();
        let closed = pool.submit([day(1, 9)], None);
        assert!(closed.all_done().await.is_err());
    }

    #[tokio::test]
    async fn who_waits_hears_what_went_wrong() {
        let pool = Pool::new(2, |_, _| Err(StoreError::Unavailable("disk".into())), || ());
        let ticket = pool.submit([day(1, 0)], None);
        assert!(matches!(ticket.all_done().await, Err(StoreError::Unavailable(_))));
        pool.stop();
    }
}
