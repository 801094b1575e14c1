//! A session: one period of use of an app, counted by its start. One that exists is valid.

use super::start_limits::FirstDay;
use super::{AppId, MAX_IDENTITY_BYTES, Properties, StartLimits};

/// Unix milliseconds.
pub type Millis = i64;

/// The longest session: seven days.
pub const MAX_DURATION_MILLIS: i64 = 604_800_000;
/// Longest `session_id`.
pub const MAX_SESSION_ID_BYTES: usize = 128;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// Why a session is refused. The message names the field, what was received and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Empty or too long.
    #[error("'session_id' must have 1 to {MAX_SESSION_ID_BYTES} bytes, received {0}")]
    SessionIdLength(usize),
    /// A control character.
    #[error("'session_id' must have no control characters")]
    SessionIdControl,
    /// Before 2000.
    #[error("'started_at' must not be before the year 2000")]
    TooEarly,
    /// Too far ahead of the server's clock.
    #[error("'started_at' must not be more than 24 hours in the future")]
    TooLate,
    /// Of a day that is older than the workspace's retention.
    #[error("'started_at' must not be before {0}")]
    TooOld(FirstDay),
    /// Empty or too long.
    #[error("'{field}' must have 1 to {MAX_IDENTITY_BYTES} bytes, received {bytes}")]
    UserLength {
        /// `user_id` or `device_id`.
        field: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// The end is before the start.
    #[error("'ended_at' must not be before 'started_at'")]
    EndsBeforeStart,
    /// An end on its own, before 2000.
    #[error("the end of a session must not be before the year 2000")]
    EndsTooEarly,
    /// An end on its own, too far ahead of the server's clock.
    #[error("the end of a session must not be more than 8 days in the future")]
    EndsTooLate,
    /// An end on its own, of a day that is older than the workspace's retention.
    #[error("the end of a session must not be before {0}")]
    EndsTooOld(FirstDay),
    /// Negative or longer than seven days.
    #[error("'{0}' must end the session 0 to 604800 seconds after its start")]
    Duration(&'static str),
}

/// How the end of a session was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `ended_at`, Unix milliseconds.
    At(Millis),
    /// `duration`, milliseconds from the start.
    After(i64),
}

/// What a wire format has read of a session, before it is checked.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// An app that exists; whoever reads the format has looked it up.
    pub app: AppId,
    /// As received.
    pub session_id: &'a str,
    /// Unix milliseconds.
    pub started_at: Millis,
    /// If it is known yet.
    pub end: Option<End>,
    /// As received.
    pub user_id: Option<&'a str>,
    /// As received.
    pub device_id: Option<&'a str>,
    /// Already checked.
    pub properties: Properties,
}

/// A session as a store kept it, valid since it was recorded.
#[derive(Debug, Clone)]
pub struct StoredSession {
    /// The app that was used.
    pub app: AppId,
    /// As it was delivered.
    pub session_id: Box<str>,
    /// Unix milliseconds.
    pub started_at: Millis,
    /// Milliseconds, if the end is known.
    pub duration: Option<u32>,
    /// If known, and not forgotten.
    pub user_id: Option<Box<str>>,
    /// The same.
    pub device_id: Option<Box<str>>,
    /// As they were recorded, with the attributes that the user had.
    pub properties: Properties,
}

/// One period of use of an app, identified by app, session id and the UTC date of its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    app: AppId,
    session_id: Box<str>,
    started_at: Millis,
    duration: Option<u32>,
    user_id: Option<Box<str>>,
    device_id: Option<Box<str>>,
    properties: Properties,
}

impl Session {
    /// Checks what was read; `limits` bound the start.
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn new(new: NewSession<'_>, limits: impl Into<StartLimits>) -> Result<Self, SessionError> {
        check_session_id(new.session_id)?;
        limits.into().check_start(new.started_at)?;
        Ok(Self {
            app: new.app,
            session_id: new.session_id.into(),
            started_at: new.started_at,
            duration: new.end.map(|end| duration(new.started_at, end)).transpose()?,
            user_id: identity("user_id", new.user_id)?,
            device_id: identity("device_id", new.device_id)?,
            properties: new.properties,
        })
    }

    /// What a store kept, unchecked.
    pub fn from_stored(stored: StoredSession) -> Self {
        Self {
            app: stored.app,
            session_id: stored.session_id,
            started_at: stored.started_at,
            duration: stored.duration,
            user_id: stored.user_id,
            device_id: stored.device_id,
            properties: stored.properties,
        }
    }

    /// The app that was used.
    pub fn app(&self) -> AppId {
        self.app
    }

    /// 1 to 128 bytes, no control characters.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// Unix milliseconds, from 2000 on.
    pub fn started_at(&self) -> Millis {
        self.started_at
    }

    /// Days from 1970-01-01 to the UTC date of the start.
    pub fn utc_day(&self) -> i64 {
        self.started_at.div_euclid(MILLIS_PER_DAY)
    }

    /// Milliseconds from the start of that day, less than 86,400,000.
    pub fn millis_of_day(&self) -> i64 {
        self.started_at.rem_euclid(MILLIS_PER_DAY)
    }

    /// Milliseconds from start to end, at most seven days; `None` while the end is unknown.
    pub fn duration(&self) -> Option<u32> {
        self.duration
    }

    /// Who, if known.
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    /// On what, if known.
    pub fn device_id(&self) -> Option<&str> {
        self.device_id.as_deref()
    }

    /// Platform, versions, place and attributes.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }
}

/// The end of a session whose start was delivered on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEnd {
    app: AppId,
    session_id: Box<str>,
    at: Millis,
}

impl SessionEnd {
    /// Checks what was read; `limits` bound the end, `at` (Unix milliseconds).
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn new(
        app: AppId,
        session_id: &str,
        at: Millis,
        limits: impl Into<StartLimits>,
    ) -> Result<Self, SessionError> {
        check_session_id(session_id)?;
        limits.into().check_end(at)?;
        Ok(Self {
            app,
            session_id: session_id.into(),
            at,
        })
    }

    /// The app that was used.
    pub fn app(&self) -> AppId {
        self.app
    }

    /// As its start had it.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// Unix milliseconds.
    pub fn at(&self) -> Millis {
        self.at
    }

    /// Days from 1970-01-01 to the UTC dates on which the session can have started, the latest first, and the
    /// milliseconds from the start of each to the end.
    pub fn possible_days(&self) -> impl Iterator<Item = (i64, i64)> + use<> {
        let at = self.at;
        let last = at.div_euclid(MILLIS_PER_DAY);
        let first = (at - MAX_DURATION_MILLIS).div_euclid(MILLIS_PER_DAY);
        (first..=last)
            .rev()
            .map(move |day| (day, at - day * MILLIS_PER_DAY))
    }
}

fn check_session_id(session_id: &str) -> Result<(), SessionError> {
    if !(1..=MAX_SESSION_ID_BYTES).contains(&session_id.len()) {
        return Err(SessionError::SessionIdLength(session_id.len()));
    }
    if session_id.chars().any(char::is_control) {
        return Err(SessionError::SessionIdControl);
    }
    Ok(())
}

fn duration(started_at: Millis, end: End) -> Result<u32, SessionError> {
    let (millis, field) = match end {
        End::At(ended_at) if ended_at < started_at => return Err(SessionError::EndsBeforeStart),
        End::At(ended_at) => (ended_at.saturating_sub(started_at), "ended_at"),
        End::After(millis) => (millis, "duration"),
    };
    match u32::try_from(millis) {
        Ok(short) if millis <= MAX_DURATION_MILLIS => Ok(short),
        _ => Err(SessionError::Duration(field)),
    }
}

fn identity(field: &'static str, value: Option<&str>) -> Result<Option<Box<str>>, SessionError> {
    match value {
        Some(value) if !(1..=MAX_IDENTITY_BYTES).contains(&value.len()) => Err(SessionError::UserLength {
            field,
            bytes: value.len(),
        }),
        value => Ok(value.map(Into::into)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PropertyFields;

    const NOW: Millis = 1_700_000_000_000;

    fn new() -> NewSession<'static> {
        NewSession {
            app: "00dc3cf6-1763-5d5b-8264-db458aa346c3".parse().unwrap(),
            session_id: "s",
            started_at: NOW,
            end: None,
            user_id: None,
            device_id: None,
            properties: Properties::new(&PropertyFields::default(), vec![]).unwrap(),
        }
    }

    fn refusal(change: impl FnOnce(&mut NewSession<'static>)) -> Option<SessionError> {
        let mut session = new();
        change(&mut session);
        Session::new(session, NOW).err()
    }

    #[test]
    fn an_end_names_the_dates_on_which_its_session_can_have_started() {
        let app = new().app;
        let end = |at| SessionEnd::new(app, "s", at, NOW);
        let days: Vec<_> = end(NOW).unwrap().possible_days().collect();
        assert_eq!(days.len(), 8);
        assert!(
            days.iter()
                .all(|(day, after)| day * MILLIS_PER_DAY + after == NOW)
        );
        assert_eq!(days[0].0, NOW.div_euclid(MILLIS_PER_DAY));
        assert_eq!(end(0), Err(SessionError::EndsTooEarly));
        assert_eq!(end(i64::MAX), Err(SessionError::EndsTooLate));
        assert!(SessionEnd::new(app, "", NOW, NOW).is_err());
    }

    #[test]
    fn each_limit_holds_to_the_last_value() {
        assert_eq!(refusal(|_| ()), None);
        assert_eq!(
            refusal(|s| s.session_id = ""),
            Some(SessionError::SessionIdLength(0))
        );
        assert_eq!(refusal(|s| s.session_id = "x".repeat(128).leak()), None);
        assert_eq!(
            refusal(|s| s.session_id = "x".repeat(129).leak()),
            Some(SessionError::SessionIdLength(129))
        );
        assert_eq!(
            refusal(|s| s.session_id = "a\0"),
            Some(SessionError::SessionIdControl)
        );
        assert_eq!(refusal(|s| s.started_at = 0), Some(SessionError::TooEarly));
        assert_eq!(refusal(|s| s.started_at = i64::MAX), Some(SessionError::TooLate));
        assert_eq!(refusal(|s| s.end = Some(End::At(NOW))), None);
        assert_eq!(
            refusal(|s| s.end = Some(End::At(NOW - 1))),
            Some(SessionError::EndsBeforeStart)
        );
        assert_eq!(refusal(|s| s.end = Some(End::After(MAX_DURATION_MILLIS))), None);
        assert_eq!(
            refusal(|s| s.end = Some(End::After(MAX_DURATION_MILLIS + 1))),
            Some(SessionError::Duration("duration"))
        );
        assert_eq!(
            refusal(|s| s.end = Some(End::At(i64::MAX))),
            Some(SessionError::Duration("ended_at"))
        );
        assert_eq!(
            refusal(|s| s.user_id = Some("")),
            Some(SessionError::UserLength {
                field: "user_id",
                bytes: 0
            })
        );
        assert_eq!(
            refusal(|s| s.device_id = Some("x".repeat(257).leak())),
            Some(SessionError::UserLength {
                field: "device_id",
                bytes: 257
            })
        );
    }
}
