//! A workspace: the tenant.

use std::str::FromStr;

use super::{Millis, Name, Retention, StartLimits, WorkspaceId};

/// Requests per clock hour that a workspace has where nothing else is configured.
pub const DEFAULT_RATE_LIMIT: u64 = 250_000;

/// Requests per clock hour; 0 means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// Shared by all export endpoints.
    pub export: u64,
    /// Shared by all recording endpoints.
    pub recording: u64,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            export: DEFAULT_RATE_LIMIT,
            recording: DEFAULT_RATE_LIMIT,
        }
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Weekday {
    /// The first day of a week where nothing else is said.
    #[default]
    Monday,
    /// The day after.
    Tuesday,
    /// The day after.
    Wednesday,
    /// The day after.
    Thursday,
    /// The day after.
    Friday,
    /// The day after.
    Saturday,
    /// The day before Monday.
    Sunday,
}

impl Weekday {
    /// All of them, from Monday.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// As answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        }
    }

    /// All of them, as messages name them.
    pub fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    /// Days since Monday.
    pub fn days_since_monday(self) -> i64 {
        match self {
            Self::Monday => 0,
            Self::Tuesday => 1,
            Self::Wednesday => 2,
            Self::Thursday => 3,
            Self::Friday => 4,
            Self::Saturday => 5,
            Self::Sunday => 6,
        }
    }
}

/// No day of the week.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {}, received '{}'", Weekday::names(), .0.chars().take(100).collect::<String>())]
pub struct WeekdayError(String);

impl FromStr for Weekday {
    type Err = WeekdayError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_meant = |day: &Self| day.as_str().eq_ignore_ascii_case(text);
        let day = Self::ALL.into_iter().find(is_meant);
        day.ok_or_else(|| WeekdayError(text.to_owned()))
    }
}

/// The tenant: a name, a time zone and limits; apps and keys belong to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Unique on the server.
    pub id: WorkspaceId,
    /// Unique among workspaces.
    pub name: Name,
    /// IANA name of the zone whose days and hours its series count.
    pub time_zone: String,
    /// Requests per clock hour.
    pub rate_limits: RateLimits,
    /// Segments that may have analytics tracking on.
    pub segment_limit: u32,
    /// How long sessions are kept one by one; `None`: for ever.
    pub retention: Option<Retention>,
    /// The first UTC day (days since 1970-01-01) that was not to be sealed when days were sealed last; 0: none ever was.
    pub sealed_before: i64,
    /// The day on which its weeks begin.
    pub first_weekday: Weekday,
}

impl Workspace {
    /// The first UTC day (days since 1970-01-01) that is not to be sealed at `now`; 0: none is. What was begun under a shorter
    /// retention is brought to its end.
    pub fn due_before(&self, now: Millis) -> i64 {
        let retained = self.retention.map(|retention| retention.first_unsealed_day(now));
        retained.unwrap_or_default().max(self.sealed_before)
    }

    /// When its sessions may start, at `now` (Unix milliseconds).
    pub fn start_limits(&self, now: Millis) -> StartLimits {
        StartLimits::new(now, self.retention).after_sealing(self.sealed_before)
    }
}

/// What is needed to create a workspace.
#[derive(Debug, Clone)]
pub struct NewWorkspace {
    /// Chosen by the caller, or random.
    pub id: WorkspaceId,
    /// Must not be taken.
    pub name: Name,
    /// IANA name, known to the bundled database.
    pub time_zone: String,
}
