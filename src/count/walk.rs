//! Walks over days: their cells or people are loaded some days at a time, and folded on a thread that may be busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::known::{KnownField, KnownFilter};
use crate::model::{AppId, WorkspaceId};
use crate::rollup::{Bitmap, Cells, People};
use crate::store::{DayVersion, Store, StoreError};

/// Sessions of the days that are loaded at one time, about: some 30 bytes each.
const LOADED: u64 = 750_000;
/// How long to wait before days are asked for again that are being built.
const AGAIN: Duration = Duration::from_millis(50);

/// How far counting has come, in sessions.
#[derive(Debug, Default)]
pub(super) struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// At most 99: who is done has an answer.
    pub(super) fn percent(&self) -> u64 {
        let (done, total) = (
            self.done.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        );
        (done.saturating_mul(100) / total.max(1)).min(99)
    }

    fn expect(&self, sessions: u64) {
        self.total.fetch_add(sessions, Ordering::Relaxed);
    }

    fn add(&self, sessions: u64) {
        self.done.fetch_add(sessions, Ordering::Relaxed);
    }
}

/// Whose sessions are counted, and by what.
#[derive(Clone)]
pub(super) struct Whose {
    pub(super) store: Arc<dyn Store>,
    pub(super) workspace: WorkspaceId,
    /// In the order of their ids.
    pub(super) apps: Arc<[AppId]>,
    /// `None` for everyone's.
    pub(super) filter: Option<Arc<KnownFilter>>,
    /// What sessions are grouped by.
    pub(super) field: Option<Arc<KnownField>>,
    pub(super) progress: Arc<Progress>,
}

/// What of a day is walked over.
#[async_trait]
pub(super) trait Part: Send + Sync + Sized + 'static {
    async fn load(
        store: &dyn Store,
        days: &[(AppId, i64)],
    ) -> Result<Vec<(DayVersion, Arc<Self>)>, StoreError>;

    fn all_combinations(&self) -> &[u64];
}

#[async_trait]
impl Part for Cells {
    async fn load(
        store: &dyn Store,
        days: &[(AppId, i64)],
    ) -> Result<Vec<(DayVersion, Arc<Self>)>, StoreError> {
        store.cells(days).await
    }

    fn all_combinations(&self) -> &[u64] {
        self.combinations()
    }
}

#[async_trait]
impl Part for People {
    async fn load(
        store: &dyn Store,
        days: &[(AppId, i64)],
    ) -> Result<Vec<(DayVersion, Arc<Self>)>, StoreError> {
        store.people(days).await
    }

    fn all_combinations(&self) -> &[u64] {
        self.combinations()
    }
}

type Loaded<P> = Vec<(DayVersion, Arc<P>)>;

/// Which sessions of a day belong, and to which group: what a fold looks at.
pub(super) struct Members<'a> {
    filters: Option<Vec<Option<&'a Bitmap>>>,
}

impl Members<'_> {
    /// Whether sessions of an app, by its place, with a combination belong.
    pub(super) fn has(&self, app: usize, combination: u64) -> bool {
        match &self.filters {
            None => true,
            Some(bitmaps) => {
                let bitmap = bitmaps.get(app).copied().flatten();
                bitmap.and_then(|bitmap| bitmap.get(combination)) == Some(true)
            }
        }
    }
}

impl Whose {
    /// Looks at which sessions belong. They were learnt for every combination that is asked for.
    pub(super) fn with_members<T>(&self, look: impl FnOnce(&Members<'_>) -> T) -> T {
        match &self.filter {
            None => look(&Members { filters: None }),
            Some(filter) => {
                let known = filter.look();
                look(&Members {
                    filters: Some(known.of(&self.apps)),
                })
            }
        }
    }

    /// The place of an app in the order of ids.
    fn place(&self, app: AppId) -> usize {
        self.apps.binary_search(&app).unwrap_or(usize::MAX)
    }

    /// Learns what has to be known of combinations of an app's sessions.
    pub(super) async fn learn(&self, app: AppId, combinations: &[u64]) -> Result<(), StoreError> {
        let store = self.store.as_ref();
        if let Some(filter) = &self.filter {
            filter.learn(store, self.workspace, app, combinations).await?;
        }
        if let Some(field) = &self.field {
            field.learn(store, self.workspace, app, combinations).await?;
        }
        Ok(())
    }

    /// Hands days to `step` in their order, all apps of a day together, and gives back what `step` made of `state`. The
    /// versions in `days` become those that were read. `step` says whether to go on.
    pub(super) async fn walk<P: Part, S: Send + 'static>(
        &self,
        days: &mut [DayVersion],
        state: S,
        step: impl Fn(&Self, &mut S, i64, &[(usize, &P)]) -> bool + Send + Sync + 'static,
    ) -> Result<S, StoreError> {
        let step = Arc::new(step);
        self.progress.expect(sessions(days));
        let mut state = Some(state);
        let mut goes_on = true;
        let mut chunks = chunks(days).into_iter();
        let mut loaded = match chunks.next() {
            None => None,
            Some(chunk) => {
                let first = days.get(chunk.clone()).unwrap_or_default();
                Some((self.load::<P>(first).await?, chunk))
            }
        };
        while let (Some((parts, chunk)), true) = (loaded.take(), goes_on) {
            if let Some(days) = days.get_mut(chunk) {
                for (day, (read, _)) in days.iter_mut().zip(&parts) {
                    day.version = read.version;
                }
                self.progress.add(sessions(days));
            }
            let (whose, step, mut folded) = (self.clone(), step.clone(), state.take());
            let folding = tokio::task::spawn_blocking(move || {
                let goes_on = folded
                    .as_mut()
                    .is_none_or(|state| fold(&whose, state, &parts, step.as_ref()));
                (folded, goes_on)
            });
            let next = chunks.next();
            let loading = async {
                match next {
                    None => Ok(None),
                    Some(chunk) => {
                        let days = days.get(chunk.clone()).unwrap_or_default();
                        self.load::<P>(days).await.map(|parts| Some((parts, chunk)))
                    }
                }
            };
            let (result, next) = tokio::join!(folding, loading);
            (state, goes_on) = result.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            loaded = next?;
        }
        state.ok_or_else(|| StoreError::Unavailable("counting was broken off".into()))
    }

    /// Loads days and learns what has to be known of their combinations, however long that takes.
    async fn load<P: Part>(&self, days: &[DayVersion]) -> Result<Loaded<P>, StoreError> {
        let asked: Vec<(AppId, i64)> = days.iter().map(|day| (day.app, day.day)).collect();
        let parts = loop {
            match P::load(self.store.as_ref(), &asked).await {
                Err(StoreError::Counting(_)) => tokio::time::sleep(AGAIN).await,
                parts => break parts?,
            }
        };
        if self.filter.is_some() || self.field.is_some() {
            for (day, part) in &parts {
                self.learn(day.app, part.all_combinations()).await?;
            }
        }
        Ok(parts)
    }
}

/// Hands loaded days to `step`, all apps of a day together.
fn fold<P: Part, S>(
    whose: &Whose,
    state: &mut S,
    parts: &Loaded<P>,
    step: &impl Fn(&Whose, &mut S, i64, &[(usize, &P)]) -> bool,
) -> bool {
    let mut days = parts.chunk_by(|(one, _), (other, _)| one.day == other.day);
    days.all(|apps| {
        let day = apps.first().map_or(0, |(day, _)| day.day);
        let apps: Vec<(usize, &P)> = apps
            .iter()
            .map(|(day, part)| (whose.place(day.app), part.as_ref()))
            .collect();
        step(whose, state, day, &apps)
    })
}

fn sessions(days: &[DayVersion]) -> u64 {
    days.iter().map(|day| day.sessions).sum()
}

/// Days in groups that are loaded at one time, all apps of a day in one of them.
fn chunks(days: &[DayVersion]) -> Vec<std::ops::Range<usize>> {
    let (mut chunks, mut begin, mut end, mut loaded) = (Vec::new(), 0, 0, 0);
    for apps in days.chunk_by(|one, other| one.day == other.day) {
        let more = sessions(apps);
        if end > begin && loaded + more > LOADED {
            chunks.push(begin..end);
            (begin, loaded) = (end, 0);
        }
        end += apps.len();
        loaded += more;
    }
    if end > begin {
        chunks.push(begin..end);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Version;

    #[test]
    fn the_apps_of_a_day_are_loaded_together() {
        let day = |day, app: u8, sessions| DayVersion {
            day,
            app: AppId::from_bytes([app; 16]),
            version: Version(1),
            sessions,
        };
        let days = [
            day(1, 1, LOADED / 2),
            day(1, 2, LOADED / 4),
            day(2, 1, LOADED / 4),
            day(2, 2, LOADED / 4),
            day(3, 1, 1),
            day(4, 1, LOADED * 3),
            day(5, 1, 1),
        ];
        assert_eq!(chunks(&days), [0..2, 2..5, 5..6, 6..7]);
        assert!(chunks(&[]).is_empty());
    }
}
