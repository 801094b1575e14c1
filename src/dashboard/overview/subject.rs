//! Whose sessions a question is about, and how many there are between any two instants.

use super::asked::Asked;
use crate::count::{Apps, Question};
use crate::model::{Filter, FilterError, SegmentId};
use crate::series::{EndingAt, Range, Step, Window};
use crate::store::{Scope, Store, StoreError, Whose};

const DAY: i64 = 86_400;
const QUARTER: i64 = 900;

/// See the module.
pub(crate) struct Subject {
    scope: Scope,
    segment: Option<SegmentId>,
    filter: Option<Filter>,
}

impl Subject {
    /// # Errors
    /// When segment and filter together are more than a filter may be.
    pub(crate) fn of(asked: &Asked) -> Result<Self, FilterError> {
        let scope = asked
            .app
            .map_or(Scope::Workspace(asked.workspace.workspace.id), Scope::App);
        // A segment and a filter at once are one filter.
        let (segment, filter) = match (asked.chosen_segment(), &asked.filter) {
            (Some(segment), Some(filter)) => {
                let both = format!("{{\"all\":[{},{}]}}", segment.filter.to_json(), filter.to_json());
                (None, Some(both.parse()?))
            }
            (segment, filter) => (segment.map(|segment| segment.id), filter.clone()),
        };
        Ok(Self {
            scope,
            segment,
            filter,
        })
    }

    fn whose(&self) -> Whose<'_> {
        match (&self.filter, self.segment) {
            (Some(filter), _) => Whose::Filter(filter),
            (None, Some(segment)) => Whose::Segment(segment),
            (None, None) => Whose::Everyone,
        }
    }

    async fn count(&self, store: &dyn Store, edges: &[i64]) -> Result<Vec<u64>, StoreError> {
        store.count(self.scope, self.whose(), edges).await
    }

    /// Sessions of a window's units, of which the last one ends at `cut` (Unix seconds).
    pub(crate) async fn total_up_to(
        &self,
        store: &dyn Store,
        window: &Window,
        cut: i64,
    ) -> Result<u64, StoreError> {
        let mut edges = window.edges().to_vec();
        if let Some(last) = edges.last_mut() {
            *last = cut;
        }
        Ok(self.count(store, &edges).await?.iter().sum())
    }

    /// Sessions of the running and the two finished quarter hours before it: since when (Unix seconds), and how many.
    pub(crate) async fn live(&self, store: &dyn Store, now: i64) -> Result<(i64, u64), StoreError> {
        let since = now.div_euclid(QUARTER) * QUARTER - 2 * QUARTER;
        let counts = self.count(store, &[since, since + 3 * QUARTER]).await?;
        Ok((since, counts.iter().sum()))
    }

    /// The day (Unix seconds of its beginning, UTC) of the first session there is.
    pub(crate) async fn first(&self, store: &dyn Store, now: i64) -> Result<Option<i64>, StoreError> {
        // By years first, then by days: two questions.
        let years: Vec<i64> = (0..=(now / DAY / 365 + 1)).map(|year| year * 365 * DAY).collect();
        let counts = self.count(store, &years).await?;
        let found = counts.iter().position(|count| *count > 0);
        let Some(year) = found.and_then(|year| years.get(year)) else {
            return Ok(None);
        };
        let days: Vec<i64> = (0..=365).map(|day| year + day * DAY).collect();
        let counts = self.count(store, &days).await?;
        let found = counts.iter().position(|count| *count > 0);
        Ok(found.and_then(|day| days.get(day)).copied())
    }
}

/// A question about the same sessions, in the units of a window.
pub(crate) fn question(asked: &Asked, step: Step, window: &Window) -> Question {
    let edges = window.edges();
    let first = edges.first().copied().unwrap_or_default();
    let last = edges.last().copied().unwrap_or_default();
    Question {
        range: Range::Between {
            from: EndingAt::Second(first),
            to: Some(EndingAt::Second(last - 1)),
        },
        step,
        apps: asked.app.map_or(Apps::All, |app| Apps::These(vec![app])),
        segment: asked.segment,
        filter: asked.filter.clone(),
        ..Question::default()
    }
}
