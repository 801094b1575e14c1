//! A session as other formats give it, field by field, into one that is checked.

use std::borrow::Cow;

use super::attributes::{Attributes, attributes};
use super::digits;
use super::scalar::Scalar;
use super::{Context, ItemError};
use crate::model::{
    AppId, End, MAX_ATTRIBUTES, MAX_RECORDED_ATTRIBUTES, Millis, NewSession, Properties, PropertyFields,
    Session, SessionField,
};
use crate::series::Zone;
use crate::series::iso8601::{self, Written};

/// A session as it came, nothing checked. `null` is as good as absent.
#[derive(Default)]
pub(super) struct Wire<'a> {
    values: [Option<Scalar<'a>>; SessionField::ALL.len()],
    pub(super) attributes: Option<Attributes<'a>>,
    /// A field that was given twice.
    pub(super) repeated: Option<&'static str>,
}

impl<'a> Wire<'a> {
    /// Whether the field was set before.
    pub(super) fn set(&mut self, field: SessionField, value: Scalar<'a>) -> bool {
        let slot = self.values.get_mut(field as usize);
        slot.is_some_and(|slot| slot.replace(value).is_some())
    }

    pub(super) fn get(&self, field: SessionField) -> Option<&Scalar<'a>> {
        self.values.get(field as usize)?.as_ref()
    }

    pub(super) fn take(&mut self, field: SessionField) -> Option<Scalar<'a>> {
        self.values.get_mut(field as usize)?.take()
    }

    /// Takes an id of a session or of somebody.
    fn identity(&mut self, field: SessionField) -> Result<Option<Cow<'a, str>>, ItemError> {
        let id = text(field.name(), self.take(field))?;
        id.as_deref()
            .map_or(Ok(()), |id| digits::check_id(field.name(), id))?;
        Ok(id)
    }
}

/// What no session can be without.
pub(super) struct Required<'a> {
    pub(super) app: AppId,
    pub(super) session_id: Cow<'a, str>,
    pub(super) started_at: Millis,
}

impl<'a> Wire<'a> {
    /// Takes the required fields out; `instant` reads the start.
    pub(super) fn required(
        &mut self,
        context: &Context<'_>,
        instant: impl Fn(&str, Option<Scalar<'_>>) -> Result<Option<Millis>, ItemError>,
    ) -> Result<Required<'a>, ItemError> {
        let app = app(self.take(SessionField::AppId), context)?;
        let session_id = self
            .identity(SessionField::SessionId)?
            .ok_or_else(|| required("session_id", "a string of 1 to 128 bytes"))?;
        let started_at = instant("started_at", self.take(SessionField::StartedAt))?.ok_or_else(|| {
            required(
                "started_at",
                "ISO 8601 with an offset, or Unix seconds or milliseconds",
            )
        })?;
        Ok(Required {
            app,
            session_id,
            started_at,
        })
    }
}

impl Wire<'_> {
    /// Checks everything.
    pub(super) fn into_session(self, context: &Context<'_>) -> Result<Session, ItemError> {
        self.checked(context, MAX_ATTRIBUTES, instant)
    }

    /// The same for a line of a file: it may have been exported with the attributes of its user, and times may be written
    /// as databases write them, without an offset if it is known in which zone.
    pub(super) fn into_exported_session(
        self,
        context: &Context<'_>,
        zone: Option<&Zone>,
    ) -> Result<Session, ItemError> {
        self.checked(context, MAX_RECORDED_ATTRIBUTES, |name, value| {
            instant_in_file(name, value, zone)
        })
    }

    fn checked(
        mut self,
        context: &Context<'_>,
        limit: usize,
        instant: impl Fn(&str, Option<Scalar<'_>>) -> Result<Option<Millis>, ItemError>,
    ) -> Result<Session, ItemError> {
        let Required {
            app,
            session_id,
            started_at,
        } = self.required(context, &instant)?;
        let ended_at = instant("ended_at", self.take(SessionField::EndedAt))?;
        let end = end(ended_at, self.take(SessionField::Duration))?;
        let user_id = self.identity(SessionField::UserId)?;
        let device_id = self.identity(SessionField::DeviceId)?;
        let mut text = |field: SessionField| text(field.name(), self.take(field));
        let platform = text(SessionField::Platform)?;
        let os_version = text(SessionField::OsVersion)?;
        let app_version = text(SessionField::AppVersion)?;
        let device_model = text(SessionField::DeviceModel)?;
        let country = text(SessionField::Country)?;
        let language = text(SessionField::Language)?;
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
        Session::new(new, context.limits).map_err(refused)
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

/// Begins the reason for refusing an app that the workspace has not.
pub(super) const UNKNOWN_APP: &str = "'app_id' must be the id of an app of this workspace, received '";
const APP: &str = "app_id";
const AN_APP: &str = "the id of an app of this workspace";

pub(super) fn app(value: Option<Scalar<'_>>, context: &Context<'_>) -> Result<AppId, ItemError> {
    let Some(text) = text("app_id", value)? else {
        return context.default_app.ok_or_else(|| required(APP, AN_APP));
    };
    text.parse()
        .ok()
        .filter(|id| context.workspace.app(*id).is_some())
        .ok_or_else(|| wrong(APP, &Scalar::Text(text), AN_APP))
}

/// Whether [`app`] refused, for a reason other than that none was named.
pub(super) fn is_about_an_app(error: &ItemError) -> bool {
    let ItemError(reason) = error;
    reason.starts_with(&format!("'{APP}' must be {AN_APP}"))
}

const TIME: &str =
    "ISO 8601 with an offset such as 2018-06-28T23:59:59-05:00, or Unix seconds or milliseconds as a number";

pub(super) fn instant(name: &str, value: Option<Scalar<'_>>) -> Result<Option<Millis>, ItemError> {
    const WHAT: &str = TIME;
    match value {
        None | Some(Scalar::Null) => Ok(None),
        Some(Scalar::Text(text)) if digits::are_missing(&text) => Err(missing_digits(name, &text)),
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

/// A time or a number of seconds was shortened on its way.
pub(super) fn missing_digits(name: &str, received: &str) -> ItemError {
    let what = match name {
        "duration" => "0 to 604800 seconds",
        _ => TIME,
    };
    let received: String = received.chars().take(100).collect();
    ItemError(format!(
        "'{name}' must be {what}, with all digits: digits are missing, received '{received}'"
    ))
}

/// The same with what databases write into files: ` UTC` at the end, or no offset at all.
fn instant_in_file(
    name: &str,
    value: Option<Scalar<'_>>,
    zone: Option<&Zone>,
) -> Result<Option<Millis>, ItemError> {
    let Some(Scalar::Text(text)) = &value else {
        return instant(name, value);
    };
    if let Some(local) = text.strip_suffix(" UTC")
        && let Some(Written::Instant(millis)) = iso8601::read(&format!("{local}Z"))
    {
        return Ok(Some(millis));
    }
    let Some(Written::Local(_)) = iso8601::read(text) else {
        return instant(name, value);
    };
    // Read as UTC, for the milliseconds.
    match (zone, iso8601::read(&format!("{text}Z"))) {
        (Some(zone), Some(Written::Instant(local))) => {
            let (second, millis) = (local.div_euclid(1000), local.rem_euclid(1000));
            Ok(Some(zone.instant(second) * 1000 + millis))
        }
        (None, _) => Err(ItemError(format!(
            "'{name}' has no offset such as -05:00; --time-zone says what zone it is in, received {}",
            Scalar::Text(text.as_ref().into())
        ))),
        _ => instant(name, value),
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

fn end(ended_at: Option<Millis>, duration: Option<Scalar<'_>>) -> Result<Option<End>, ItemError> {
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
