//! A question about a workspace, with everything that it names looked up.

use std::hash::Hash as _;
use std::ops::RangeInclusive;
use std::sync::Arc;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::question::{Apps, GroupBy, MAX_POINTS, Metric, Question, QuestionError};
use crate::model::{AppId, Field, Filter, Millis, Segment, SegmentId, WorkspaceId};
use crate::rollup::days_of;
use crate::series::{Range, Step, Window};
use crate::store::WorkspaceEntry;

/// Days of a month of active users.
pub(super) const MONTH: usize = 30;

/// See the module.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) metric: Metric,
    pub(super) workspace: WorkspaceId,
    /// In the order of their ids.
    pub(super) apps: Arc<[AppId]>,
    /// Whether these are all that the workspace has.
    pub(super) is_all_apps: bool,
    /// The segment, where nothing else narrows it.
    pub(super) segment: Option<SegmentId>,
    /// The segment's filter and the other one, where both have to hold.
    pub(super) filter: Option<Filter>,
    pub(super) group_by: Option<GroupBy>,
    /// Segments with analytics tracking, where they are what is grouped by, each with the filter that has to hold for a
    /// session that counts.
    pub(super) segments: Vec<(SegmentId, Filter)>,
    pub(super) limit: usize,
    pub(super) window: Window,
    /// Where units begin that have to be read: those of the window, and of active users the 29 days before as well.
    pub(super) edges: Arc<[i64]>,
}

impl Asked {
    pub(super) fn new(
        workspace: &WorkspaceEntry,
        question: &Question,
        now: Millis,
    ) -> Result<Self, QuestionError> {
        check(question)?;
        let weeks_begin = workspace.workspace.first_weekday.days_since_monday();
        let of_range =
            |range: &Range| Window::of_range(&workspace.zone, question.step, weeks_begin, range, now);
        let window = of_range(&question.range)?;
        let edges = match question.metric {
            Metric::Mau => of_range(&with_a_month(&question.range, &window))?.edges().into(),
            _ => window.edges().into(),
        };
        let segment = question.segment.map(|id| tracked(workspace, id)).transpose()?;
        let filter = both(
            segment.map(|segment| segment.filter.clone()),
            question.filter.clone(),
        );
        if question.metric == Metric::Size && filter.is_none() {
            return Err(QuestionError::Impossible(
                "a size is a segment's: name one, or a filter",
            ));
        }
        let segments = match question.group_by {
            Some(GroupBy::Segment) => {
                let tracked = workspace.segments.iter().filter(|segment| segment.tracked);
                let with_filter = |segment: &Segment| {
                    let own = segment.filter.clone();
                    (segment.id, both(filter.clone(), Some(own.clone())).unwrap_or(own))
                };
                tracked.map(with_filter).collect()
            }
            _ => Vec::new(),
        };
        let (apps, is_all_apps) = apps(workspace, &question.apps)?;
        Ok(Self {
            metric: question.metric,
            workspace: workspace.workspace.id,
            apps,
            is_all_apps,
            segment: question.segment.filter(|_| question.filter.is_none()),
            filter,
            group_by: question.group_by.clone(),
            segments,
            limit: usize::try_from(question.limit).unwrap_or(usize::MAX),
            window,
            edges,
        })
    }

    /// The days that the answer rests on.
    pub(super) fn days(&self) -> Option<RangeInclusive<i64>> {
        let days = days_of(&self.edges)?;
        match self.metric {
            // Whoever is new is so because of all days before.
            Metric::NewUsers | Metric::Size => Some(0..=*days.end()),
            _ => Some(days),
        }
    }

    /// The field that sessions are grouped by, where that is not their app.
    pub(super) fn field(&self) -> Option<&Field> {
        match &self.group_by {
            Some(GroupBy::Field(Field::AppId)) | Some(GroupBy::Segment) | None => None,
            Some(GroupBy::Field(field)) => Some(field),
        }
    }

    /// Writes whose sessions are asked for into a hash.
    pub(super) fn hash_whose(&self, hasher: &mut SipHasher13) {
        self.workspace.hash(hasher);
        self.apps.hash(hasher);
        self.filter.as_ref().map(Filter::to_json).hash(hasher);
    }

    /// A name for the whole question.
    pub(super) fn key(&self, mut hasher: SipHasher13) -> u128 {
        self.hash_whose(&mut hasher);
        self.metric.hash(&mut hasher);
        self.group_by.hash(&mut hasher);
        for (segment, filter) in &self.segments {
            segment.hash(&mut hasher);
            filter.to_json().hash(&mut hasher);
        }
        self.limit.hash(&mut hasher);
        self.edges.hash(&mut hasher);
        // Units with the same edges may have other labels.
        for label in self.window.labels() {
            label.to_string().hash(&mut hasher);
        }
        hasher.finish128().as_u128()
    }

    /// # Errors
    /// When there are too many points with so many groups.
    pub(super) fn check_points(&self, groups: usize) -> Result<(), QuestionError> {
        let units = self.window.labels().len();
        if units.saturating_mul(groups) > MAX_POINTS {
            return Err(QuestionError::TooManyPoints(units, groups));
        }
        Ok(())
    }
}

/// What a metric can't be asked.
fn check(question: &Question) -> Result<(), QuestionError> {
    let is_grouped = question.group_by.is_some();
    let is_narrowed = question.segment.is_some() || question.filter.is_some();
    let refused = |message| Err(QuestionError::Impossible(message));
    match question.metric {
        Metric::Sessions | Metric::Users => Ok(()),
        _ if is_grouped => refused("only sessions and distinct users can be grouped"),
        Metric::NewUsers if is_narrowed => refused("new users are everyone's: leave out segment and filter"),
        Metric::Mau if question.step != Step::Day => refused("users of 30 days are counted by day"),
        Metric::Dau | Metric::Mau | Metric::NewUsers | Metric::Size => Ok(()),
    }
}

/// The same units, and the 29 before the first of them.
fn with_a_month(range: &Range, window: &Window) -> Range {
    let more = u32::try_from(MONTH - 1).unwrap_or_default();
    let units = u32::try_from(window.labels().len()).unwrap_or(u32::MAX);
    let ending_at = match *range {
        Range::Last { ending_at, .. } => ending_at,
        Range::Between { to, .. } => to,
    };
    Range::Last {
        length: units.saturating_add(more),
        ending_at,
    }
}

fn both(one: Option<Filter>, other: Option<Filter>) -> Option<Filter> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.and(other)),
        (one, other) => one.or(other),
    }
}

fn tracked(workspace: &WorkspaceEntry, id: SegmentId) -> Result<&Segment, QuestionError> {
    let segment = workspace.segment(id).ok_or(QuestionError::UnknownSegment(id))?;
    if segment.tracked {
        Ok(segment)
    } else {
        Err(QuestionError::Untracked(segment.name.to_string()))
    }
}

/// Apps in the order of their ids, and whether they are all.
fn apps(workspace: &WorkspaceEntry, asked: &Apps) -> Result<(Arc<[AppId]>, bool), QuestionError> {
    let mut all: Vec<AppId> = workspace.apps.iter().map(|app| app.id).collect();
    all.sort_unstable();
    let Apps::These(wanted) = asked else {
        return Ok((all.into(), true));
    };
    let mut wanted = wanted.clone();
    wanted.sort_unstable();
    wanted.dedup();
    if let Some(unknown) = wanted.iter().find(|app| all.binary_search(app).is_err()) {
        return Err(QuestionError::UnknownApp(*unknown));
    }
    let is_all = wanted == all;
    Ok((wanted.into(), is_all))
}
