//! What `verify` found.

use crate::model::{AppId, SegmentId};

/// A derived count that is not what the sessions say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Of this app.
    pub app: AppId,
    /// Of this segment; `None`: of everyone.
    pub segment: Option<SegmentId>,
    /// Unix seconds at which the quarter hour begins.
    pub quarter: i64,
    /// As the counters have it.
    pub counted: u64,
    /// As the sessions have it.
    pub recorded: u64,
}

/// The outcome of recounting everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Sessions that were walked.
    pub sessions: u64,
    /// Sessions of sealed days, which are there as counts alone.
    pub sealed: u64,
    /// Quarter-hour counters that were compared.
    pub counters: u64,
    /// Counters that disagree, the first hundred.
    pub mismatches: Vec<Mismatch>,
    /// Everything else that is wrong, in words: damaged pages, dangling references.
    pub damages: Vec<String>,
}

impl Verification {
    /// Whether everything agrees.
    pub fn agrees(&self) -> bool {
        self.mismatches.is_empty() && self.damages.is_empty()
    }
}
