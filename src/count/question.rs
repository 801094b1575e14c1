//! What can be asked.

use crate::model::{AppId, Field, Filter, SegmentId};
use crate::series::{Range, RangeError, Step};
use crate::store::StoreError;

/// Groups that an answer has where nothing else is said.
pub const DEFAULT_LIMIT: u32 = 10;
/// Groups that an answer may have.
pub const MAX_LIMIT: u32 = 1_000;
/// Points that an answer may have, of all its groups together.
pub const MAX_POINTS: usize = 100_000;
/// Units of a range where nothing else is said.
pub const DEFAULT_UNITS: u32 = 28;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Metric {
    /// Sessions, by their start.
    #[default]
    Sessions,
    /// Distinct users with a session in each unit, and in all of them together.
    Users,
    /// The same of each unit alone: without the total it is several times faster.
    Dau,
    /// Distinct users over the 30 days that end with each day. Days only.
    Mau,
    /// Users whose first session, of all that were ever recorded of these apps, is in the unit. Of everyone only.
    NewUsers,
    /// Users whose latest session up to the end of the unit is in the segment. Of a segment or a filter.
    Size,
}

impl Metric {
    /// The name of the number in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Users => "users",
            Self::Dau => "dau",
            Self::Mau => "mau",
            Self::NewUsers => "new_users",
            Self::Size => "size",
        }
    }
}

/// What sessions and users are grouped by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GroupBy {
    /// A field of the session as it was recorded.
    Field(Field),
    /// Each segment with analytics tracking. A session may be in several.
    Segment,
}

/// Whose sessions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Apps {
    /// Of all apps of the workspace.
    #[default]
    All,
    /// Of these.
    These(Vec<AppId>),
}

/// A question about a workspace. Everything but `metric`, `range` and `step` narrows it or cuts it up; what is left at its
/// default does not.
///
/// ```text
/// let question = Question { metric: Metric::Users, step: Step::Week, ..Question::default() };
/// let answer = counter.answer(&store, &workspace, &question, now).await?;
/// for (label, users) in answer.window.labels().zip(&answer.groups[0].counts) { … }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What is counted.
    pub metric: Metric,
    /// Which units.
    pub range: Range,
    /// What a unit is, in the workspace's time zone.
    pub step: Step,
    /// Whose sessions.
    pub apps: Apps,
    /// Those of a segment with analytics tracking.
    pub segment: Option<SegmentId>,
    /// Those for which this holds too; it is nobody's segment.
    pub filter: Option<Filter>,
    /// Cut up by this. Only [`Metric::Sessions`] and [`Metric::Users`] can be.
    pub group_by: Option<GroupBy>,
    /// How many groups, the largest over the whole range.
    pub limit: u32,
}

impl Default for Question {
    /// Sessions of the last 28 days, everyone's.
    fn default() -> Self {
        Self {
            metric: Metric::default(),
            range: Range::Last {
                length: DEFAULT_UNITS,
                ending_at: None,
            },
            step: Step::default(),
            apps: Apps::default(),
            segment: None,
            filter: None,
            group_by: None,
            limit: DEFAULT_LIMIT,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QuestionError {
    /// The range can't be counted.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// It names an app that the workspace has not.
    #[error("the workspace has no app {0}")]
    UnknownApp(AppId),
    /// It names a segment that the workspace has not.
    #[error("the workspace has no segment {0}")]
    UnknownSegment(SegmentId),
    /// It names a segment without analytics tracking, by its name.
    #[error("the segment '{0}' has no analytics tracking")]
    Untracked(String),
    /// This metric can't be asked like that. Says how it can.
    #[error("{0}")]
    Impossible(&'static str),
    /// The answer would have more than [`MAX_POINTS`] points: units and groups.
    #[error(
        "{0} units and {1} groups are more than {MAX_POINTS} rows: ask for a shorter range, larger units or a smaller limit"
    )]
    TooManyPoints(usize, usize),
    /// There are too many groups of users to be counted.
    #[error("there are too many pairs of user and group: ask for a shorter range, one app, or another field")]
    TooManyGroups,
    /// The store can't say, or not yet.
    #[error(transparent)]
    Store(#[from] StoreError),
}
