//! Answers to questions about sessions and users: one code for the API, the command line and the dashboard.
//!
//! A [`Question`] names a metric, units, and whose sessions; [`Counter::answer`] gives an [`Answer`] with labels and a number
//! for each unit, by group where it is grouped.
//!
//! Series of sessions are what stores count themselves ([`Rollups::count`](crate::store::Rollups::count)). Everything else is
//! folded here over the rollups that stores hand out ([`Rollups`](crate::store::Rollups)): `breakdown` by the value of a
//! field, `distinct` users and those of 30 days, `new_users`, and `sizes` of segments. `walk` loads days and folds them, `known` is
//! which combinations of properties belong and to which group.
//!
//! An answer holds as long as its days have the versions that it rests on. Each question begins with a look at them; where
//! they are as they were, the answer is the one that is held. `flights` are questions that are being counted: whoever asks waits some seconds, and the work
//! goes on when nobody waits.

mod answer;
mod asked;
mod breakdown;
mod counter;
mod distinct;
mod flights;
mod known;
mod new_users;
mod preview;
mod question;
mod recent;
mod sizes;
mod states;
mod versions;
mod walk;

pub use answer::{Answer, Fraction, Group, GroupKey, GroupValue};
pub use counter::Counter;
pub use preview::{Preview, preview_window};
pub use question::{
    Apps, DEFAULT_LIMIT, DEFAULT_UNITS, GroupBy, MAX_LIMIT, MAX_POINTS, Metric, Question, QuestionError,
};
