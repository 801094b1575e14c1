//! Braze Currents: events of types `users.behaviors.app.SessionStart` and `SessionEnd` in Avro files.

use std::borrow::Cow;

use serde_json::{Number, json};

use super::avro::Value;
use super::scalar::Scalar;
use super::wire::{self, Wire, refused, required};
use super::{Context, ItemError};
use crate::model::{MAX_DURATION_MILLIS, Millis, Session, SessionEnd};

/// The fields that are read, in the order in which [`start`] and [`end`] take them.
pub const FIELDS: [&str; 10] = [
    "session_id",
    "time",
    "app_id",
    "external_user_id",
    "user_id",
    "device_id",
    "platform",
    "os_version",
    "device_model",
    "duration",
];
/// Without the first of them, records are no sessions.
const REQUIRED: usize = 2;

/// What the records of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Each begins a session.
    Starts,
    /// Each ends one.
    Ends,
    /// Those with a `duration` end a session, the others begin one.
    ByDuration,
}

impl Kind {
    /// By the schema's full name; `has_field` tells which of [`FIELDS`] there are.
    ///
    /// # Errors
    /// Why no record of the file can be a session.
    pub fn of(schema: &str, has_field: impl Fn(usize) -> bool) -> Result<Self, String> {
        let shown = || schema.chars().take(100).collect::<String>();
        let other = schema.ends_with("FirstSession") || schema.starts_with("users");
        let kind = match schema {
            starts if starts.ends_with("SessionStart") => Self::Starts,
            ends if ends.ends_with("SessionEnd") => Self::Ends,
            _ if other => return Err(format!("its events are '{}', not sessions", shown())),
            _ => Self::ByDuration,
        };
        let missing = (0..REQUIRED).find(|index| !has_field(*index));
        match missing.and_then(|index| FIELDS.get(index)) {
            None => Ok(kind),
            Some(name) => Err(format!("its records have no field '{name}'")),
        }
    }

    /// Whether this record ends a session.
    pub fn is_end(self, record: &[Value<'_>]) -> bool {
        match self {
            Self::Starts => false,
            Self::Ends => true,
            Self::ByDuration => !matches!(record.last(), None | Some(Value::Null)),
        }
    }
}

/// A session that begins.
///
/// # Errors
/// The first thing that is wrong with the record, whose values stand in the order of [`FIELDS`].
pub fn start(record: &[Value<'_>], context: &Context<'_>) -> Result<Session, ItemError> {
    Fields::new(record).wire(None).into_session(context)
}

/// A session that ends: its end, and the session to record where its start is not known.
///
/// # Errors
/// As [`start`].
pub fn end(record: &[Value<'_>], context: &Context<'_>) -> Result<(SessionEnd, Session), ItemError> {
    let fields = Fields::new(record);
    let app = wire::app(fields.app_id.clone(), context)?;
    let session_id = wire::text("session_id", fields.session_id.clone())?
        .ok_or_else(|| required("session_id", "a string of 1 to 128 bytes"))?;
    let at = wire::instant("time", fields.time.clone())?
        .ok_or_else(|| required("time", "Unix seconds, as a number"))?;
    let end = SessionEnd::new(app, &session_id, at, context.now).map_err(refused)?;
    let duration = wire::duration(fields.duration.clone())?;
    if let (Some(millis), Some(received)) = (duration, &fields.duration)
        && !(0..=MAX_DURATION_MILLIS).contains(&millis)
    {
        return Err(wire::wrong("duration", received, "0 to 604800 seconds"));
    }
    let started_at = at.saturating_sub(duration.unwrap_or(0));
    let alone = fields.wire(Some((started_at, at)));
    Ok((end, alone.into_session(context)?))
}

/// A refused record in the product's own format, so that it can be mended.
pub fn as_json(record: &[Value<'_>]) -> String {
    let fields = Fields::new(record);
    let value = |value: &Option<Scalar<'_>>| match value {
        Some(Scalar::Text(text)) => json!(text),
        Some(Scalar::Number(number)) => json!(number),
        Some(Scalar::Bool(flag)) => json!(flag),
        _ => serde_json::Value::Null,
    };
    let members = [
        ("app_id", &fields.app_id),
        ("session_id", &fields.session_id),
        ("started_at", &fields.time),
        ("user_id", &fields.user_id),
        ("device_id", &fields.device_id),
        ("platform", &fields.platform),
        ("os_version", &fields.os_version),
        ("device_model", &fields.device_model),
        ("duration", &fields.duration),
    ];
    let mut object: serde_json::Map<_, _> = members
        .into_iter()
        .map(|(name, field)| (name.to_owned(), value(field)))
        .filter(|(_, value)| !value.is_null())
        .collect();
    // The time of an end, not of a start.
    if let (Some(time), Some(duration)) = (object.get("started_at"), object.get("duration"))
        && let (Some(time), Some(duration)) = (time.as_f64(), duration.as_f64())
    {
        object.insert("started_at".to_owned(), json!(time - duration));
    }
    serde_json::Value::Object(object).to_string()
}

/// The values by their names. An empty text stands for nothing.
struct Fields<'a> {
    session_id: Option<Scalar<'a>>,
    time: Option<Scalar<'a>>,
    app_id: Option<Scalar<'a>>,
    user_id: Option<Scalar<'a>>,
    device_id: Option<Scalar<'a>>,
    platform: Option<Scalar<'a>>,
    os_version: Option<Scalar<'a>>,
    device_model: Option<Scalar<'a>>,
    duration: Option<Scalar<'a>>,
}

impl<'a> Fields<'a> {
    fn new(record: &[Value<'a>]) -> Self {
        let mut values = record.iter().map(|value| scalar(*value));
        let mut next = || values.next().flatten();
        let (session_id, time, app_id) = (next(), next(), next());
        let (external_user_id, user_id) = (next(), next());
        Self {
            session_id,
            time,
            app_id,
            user_id: external_user_id.or(user_id),
            device_id: next(),
            platform: next(),
            os_version: next(),
            device_model: next(),
            duration: next(),
        }
    }

    /// A session that began when the event says, or when `times` says: the start and the end.
    fn wire(self, times: Option<(Millis, Millis)>) -> Wire<'a> {
        let millis = |millis: Millis| Scalar::Number(Number::from(millis));
        let (started_at, ended_at) = match times {
            Some((start, end)) => (Some(millis(start)), Some(millis(end))),
            None => (self.time, None),
        };
        Wire {
            app_id: self.app_id,
            session_id: self.session_id,
            started_at,
            ended_at,
            user_id: self.user_id,
            device_id: self.device_id,
            platform: self.platform,
            os_version: self.os_version,
            device_model: self.device_model,
            ..Wire::default()
        }
    }
}

fn scalar(value: Value<'_>) -> Option<Scalar<'_>> {
    match value {
        Value::Null | Value::Text("") => None,
        Value::Boolean(flag) => Some(Scalar::Bool(flag)),
        Value::Integer(number) => Some(Scalar::Number(number.into())),
        Value::Float(number) => Some(match Number::from_f64(number) {
            Some(number) => Scalar::Number(number),
            None => Scalar::Text(Cow::Owned(number.to_string())),
        }),
        Value::Text(text) => Some(Scalar::Text(Cow::Borrowed(text))),
        Value::Other => Some(Scalar::Object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_holds_is_told_by_the_name_of_its_schema() {
        let kind = |name: &str| Kind::of(name, |_| true);
        for (name, expected) in [
            ("users.behaviors.app.SessionStart", Kind::Starts),
            ("SessionStart", Kind::Starts),
            ("com.example.users_behaviors_app_SessionEnd", Kind::Ends),
            ("topLevelRecord", Kind::ByDuration),
            ("", Kind::ByDuration),
        ] {
            assert_eq!(kind(name), Ok(expected), "{name}");
        }
        for name in [
            "users.behaviors.app.FirstSession",
            "FirstSession",
            "users.messages.email.Open",
        ] {
            assert!(kind(name).unwrap_err().contains("not sessions"), "{name}");
        }
        assert_eq!(
            Kind::of("topLevelRecord", |index| index != 1),
            Err("its records have no field 'time'".into())
        );
    }
}
