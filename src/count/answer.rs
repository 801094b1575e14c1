//! What is answered.

use std::sync::Arc;

use crate::model::{AppId, Fact, SegmentId};
use crate::series::Window;

/// The answer to a [`Question`](super::Question).
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Labels and edges of the units, oldest first.
    pub window: Window,
    /// One where nothing is grouped, also if it is 0 throughout; else those that have a session in the range, the largest
    /// first, and behind them the others as one, if there are more than the limit.
    pub groups: Vec<Group>,
    /// Of the whole range and all groups, those that the limit cuts off as well: sessions, or distinct users. Where numbers of
    /// units don't add up to anything ([`Dau`](super::Metric::Dau), [`Mau`](super::Metric::Mau),
    /// [`Size`](super::Metric::Size)) there is none.
    pub total: Option<u64>,
}

/// A group and its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which one.
    pub key: GroupKey,
    /// A number for each unit, in their order.
    pub counts: Vec<u64>,
    /// Of the whole range, where there is such a number; see [`Answer::total`].
    pub total: Option<u64>,
}

/// Which group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupKey {
    /// Nothing is grouped.
    Everyone,
    /// The sessions whose field is this; `None` where it is missing.
    Value(Option<GroupValue>),
    /// Those of an app.
    App(AppId),
    /// Those in a segment.
    Segment(SegmentId),
    /// All that are in no other group.
    Others,
}

/// What the sessions of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupValue {
    /// `true` or `false`
    Bool(bool),
    /// An integer, also one that was written with a fraction of 0.
    Integer(i128),
    /// Another number.
    Fraction(Fraction),
    /// A string.
    Text(Arc<str>),
}

/// A number that is no integer, or too large for one.
#[derive(Debug, Clone, Copy)]
pub struct Fraction(pub f64);

impl PartialEq for Fraction {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Fraction {}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fraction {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::hash::Hash for Fraction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl From<Fact<'_>> for GroupValue {
    /// Numbers that filters take for equal are one value.
    fn from(fact: Fact<'_>) -> Self {
        /// Up to here each integer has a fraction of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let number = match fact {
            Fact::Text(text) => return Self::Text(text.into()),
            Fact::Bool(flag) => return Self::Bool(flag),
            Fact::Number(number) => number,
        };
        match (number.as_i128(), number.as_f64()) {
            (Some(integer), _) => Self::Integer(integer),
            (None, Some(float)) if float.fract() == 0.0 && float.abs() <= EXACT => {
                Self::Integer(float as i128)
            }
            (None, Some(float)) => Self::Fraction(Fraction(float)),
            (None, None) => Self::Text(number.to_string().into()),
        }
    }
}
