//! A session as other formats give it, field by field, into one that is checked.

use std::borrow::Cow;

use super::attributes::{Attributes, attributes};
use super::scalar::Scalar;
use super::{Context, ItemError};
use crate::model::{
    AppId, End, MAX_ATTRIBUTES, MAX_RECORDED_ATTRIBUTES, Millis, NewSession, Properties, PropertyFields,
    Session,
};
use crate::series::iso8601::{self, Written};

/// A session as it came, nothing checked. `null` is as good as absent.
#[derive(Default)]
pub(super) struct Wire<'a> {
    pub(super) app_id: Option<Scalar<'a>>,
    pub(super) session_id: Option<Scalar<'a>>,
    pub(super) started_at: Option<Scalar<'a>>,
    pub(super) user_id: Option<Scalar<'a>>,
    pub(super) device_id: Option<Scalar<'a>>,
    pub(super) ended_at: Option<Scalar<'a>>,
    pub(super) duration: Option<Scalar<'a>>,
    pub(super) platform: Option<Scalar<'a>>,
    pub(super) os_version: Option<Scalar<'a>>,
    pub(super) app_version: Option<Scalar<'a>>,
    pub(super) device_model: Option<Scalar<'a>>,
    pub(super) country: Option<Scalar<'a>>,
    pub(super) language: Option<Scalar<'a>>,
    pub(super) attributes: Option<Attributes<'a>>,
    /// A field that was given twice.
    pub(super) repeated: Option<&'static str>,
}

/// A field with one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    AppId,
    SessionId,
    StartedAt,
    UserId,
    DeviceId,
    EndedAt,
    Duration,
    Platform,
    OsVersion,
    AppVersion,
    DeviceModel,
    Country,
    Language,
}

impl Field {
    pub(super) const ALL: [Self; 13] = [
        Self::AppId,
        Self::SessionId,
        Self::StartedAt,
        Self::UserId,
        Self::DeviceId,
        Self::EndedAt,
        Self::Duration,
        Self::Platform,
        Self::OsVersion,
        Self::AppVersion,
        Self::DeviceModel,
        Self::Country,
        Self::Language,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AppId => "app_id",
            Self::SessionId => "session_id",
            Self::StartedAt => "started_at",
            Self::UserId => "user_id",
            Self::DeviceId => "device_id",
            Self::EndedAt => "ended_at",
            Self::Duration => "duration",
            Self::Platform => "platform",
            Self::OsVersion => "os_version",
            Self::AppVersion => "app_version",
            Self::DeviceModel => "device_model",
            Self::Country => "country",
            Self::Language => "language",
        }
    }

    /// Whether its value may be a number.
    pub(super) fn may_be_number(self) -> bool {
        matches!(self, Self::StartedAt | Self::EndedAt | Self::Duration)
    }
}

impl<'a> Wire<'a> {
    pub(super) fn set(&mut self, field: Field, value: Scalar<'a>) {
        let slot = match field {
            Field::AppId => &mut self.app_id,
            Field::SessionId => &mut self.session_id,
            Field::StartedAt => &mut self.started_at,
            Field::UserId => &mut self.user_id,
            Field::DeviceId => &mut self.device_id,
            Field::EndedAt => &mut self.ended_at,
            Field::Duration => &mut self.duration,
            Field::Platform => &mut self.platform,
            Field::OsVersion => &mut self.os_version,
            Field::AppVersion => &mut self.app_version,
            Field::DeviceModel => &mut self.device_model,
            Field::Country => &mut self.country,
            Field::Language => &mut self.language,
        };
        *slot = Some(value);
    }
}

impl Wire<'_> {
    /// Checks everything.
    pub(super) fn into_session(self, context: &Context<'_>) -> Result<Session, ItemError> {
        self.with_limit(context, MAX_ATTRIBUTES)
    }

    /// The same for sessions that may have been exported, with the attributes of their users.
    pub(super) fn into_exported_session(self, context: &Context<'_>) -> Result<Session, ItemError> {
        self.with_limit(context, MAX_RECORDED_ATTRIBUTES)
    }

    fn with_limit(self, context: &Context<'_>, limit: usize) -> Result<Session, ItemError> {
        let app = app(self.app_id, context)?;
        let session_id = text("session_id", self.session_id)?
            .ok_or_else(|| required("session_id", "a string of 1 to 128 bytes"))?;
        let started_at = instant("started_at", self.started_at)?.ok_or_else(|| {
            required(
                "started_at",
                "ISO 8601 with an offset, or Unix seconds or milliseconds",
            )
        })?;
        let end = end(self.ended_at, self.duration)?;
        let user_id = text("user_id", self.user_id)?;
        let device_id = text("device_id", self.device_id)?;
        let platform = text("platform", self.platform)?;
        let os_version = text("os_version", self.os_version)?;
        let app_version = text("app_version", self.app_version)?;
        let device_model = text("device_model", self.device_model)?;
        let country = text("country", self.country)?;
        let language = text("language", self.language)?;
        let fields = PropertyFields {
            platform: platform.as_deref(),
            os_version: os_version.as_deref(),
            app_version: app_version.as_deref(),
            device_model: device_model.as_deref(),
            country: country.as_deref(),
            language: language.as_deref(),
        };
        let properties =
            Properties::with_limit(&fields, attributes(self.attributes, limit)?, limit).map_err(refused)?;
        let new = NewSession {
            app,
            session_id: &session_id,
            started_at,
            end,
            user_id: user_id.as_deref(),
            device_id: device_id.as_deref(),
            properties,
        };
        Session::new(new, context.now).map_err(refused)
    }
}

pub(super) fn refused(error: impl std::error::Error) -> ItemError {
    ItemError(error.to_string())
}

pub(super) fn required(name: &str, what: &str) -> ItemError {
    ItemError(format!("'{name}' is required: {what}"))
}

pub(super) fn wrong(name: &str, received: &Scalar<'_>, what: &str) -> ItemError {
    ItemError(format!("'{name}' must be {what}, received {received}"))
}

pub(super) fn text<'a>(name: &str, value: Option<Scalar<'a>>) -> Result<Option<Cow<'a, str>>, ItemError> {
    match value {
        None | Some(Scalar::Null) => Ok(None),
        Some(Scalar::Text(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(name, &other, "a string")),
    }
}

pub(super) fn app(value: Option<Scalar<'_>>, context: &Context<'_>) -> Result<AppId, ItemError> {
    let Some(text) = text("app_id", value)? else {
        return context
            .default_app
            .ok_or_else(|| required("app_id", "the id of an app of this workspace"));
    };
    text.parse()
        .ok()
        .filter(|id| context.workspace.app(*id).is_some())
        .ok_or_else(|| {
            wrong(
                "app_id",
                &Scalar::Text(text),
                "the id of an app of this workspace",
            )
        })
}

pub(super) fn instant(name: &str, value: Option<Scalar<'_>>) -> Result<Option<Millis>, ItemError> {
    const WHAT: &str = "ISO 8601 with an offset such as 2018-06-28T23:59:59-05:00, or Unix seconds or milliseconds as a number";
    match value {
        None | Some(Scalar::Null) => Ok(None),
        Some(Scalar::Text(text)) => match iso8601::read(&text) {
            Some(Written::Instant(millis)) => Ok(Some(millis)),
            _ => Err(wrong(name, &Scalar::Text(text), WHAT)),
        },
        Some(Scalar::Number(number)) => match unix_millis(&number) {
            Some(millis) => Ok(Some(millis)),
            None => Err(wrong(name, &Scalar::Number(number), WHAT)),
        },
        Some(other) => Err(wrong(name, &other, WHAT)),
    }
}

/// Below this a number is seconds (the year 5138), from it on milliseconds (March 1973).
const FIRST_MILLIS: f64 = 1e11;

fn unix_millis(number: &serde_json::Number) -> Option<Millis> {
    if let Some(integer) = number.as_i64() {
        return if (integer as f64).abs() < FIRST_MILLIS {
            integer.checked_mul(1000)
        } else {
            Some(integer)
        };
    }
    let float = number.as_f64()?;
    rounded(if float.abs() < FIRST_MILLIS {
        float * 1000.0
    } else {
        float
    })
}

/// To the nearest integer, where an `f64` can still tell integers apart.
fn rounded(float: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (float.abs() < EXACT).then(|| float.round() as i64)
}

fn end(ended_at: Option<Scalar<'_>>, duration: Option<Scalar<'_>>) -> Result<Option<End>, ItemError> {
    let ended_at = instant("ended_at", ended_at)?;
    let duration = self::duration(duration)?;
    match (ended_at, duration) {
        (Some(_), Some(_)) => Err(ItemError("give either 'ended_at' or 'duration', not both".into())),
        (Some(at), None) => Ok(Some(End::At(at))),
        (None, Some(millis)) => Ok(Some(End::After(millis))),
        (None, None) => Ok(None),
    }
}

/// Seconds into milliseconds.
pub(super) fn duration(value: Option<Scalar<'_>>) -> Result<Option<i64>, ItemError> {
    match value {
        None | Some(Scalar::Null) => Ok(None),
        Some(Scalar::Number(number)) => {
            let millis = number.as_f64().and_then(|seconds| rounded(seconds * 1000.0));
            match millis {
                Some(millis) => Ok(Some(millis)),
                None => Err(wrong("duration", &Scalar::Number(number), "0 to 604800 seconds")),
            }
        }
        Some(other) => Err(wrong("duration", &other, "0 to 604800 seconds, as a number")),
    }
}
