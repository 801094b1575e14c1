//! Braze Currents: events of types `users.behaviors.app.SessionStart` and `SessionEnd` in Avro files.

use std::borrow::Cow;

use serde_json::{Number, json};

use super::avro::Value;
use super::scalar::Scalar;
use super::wire::{self, Wire, refused, required};
use super::{Context, ItemError};
use crate::model::{MAX_DURATION_MILLIS, Session, SessionEnd, SessionField};

/// The fields that are read, in the order in which [`start`] and [`end`] take them, and what they are of a session. Of two
/// that are the same the first counts.
const FIELDS: [(&str, SessionField); 10] = [
    ("session_id", SessionField::SessionId),
    ("time", SessionField::StartedAt),
    ("app_id", SessionField::AppId),
    ("external_user_id", SessionField::UserId),
    ("user_id", SessionField::UserId),
    ("device_id", SessionField::DeviceId),
    ("platform", SessionField::Platform),
    ("os_version", SessionField::OsVersion),
    ("device_model", SessionField::DeviceModel),
    ("duration", SessionField::Duration),
];

/// The names of the fields that are read, in the order in which [`start`] and [`end`] take them.
pub fn fields() -> [&'static str; FIELDS.len()] {
    FIELDS.map(|(name, _)| name)
}

/// Without the first of them, records are no sessions.
const REQUIRED: usize = 2;

/// Names of records that say nothing about them: what tools write that were given none. Whatever has another name is
/// an event of another type, even if it has all fields of a session's.
const GENERIC: [&str; 9] = [
    "",
    "topLevelRecord",
    "record",
    "root",
    "schema",
    "spark_schema",
    "hive_schema",
    "session",
    "sessions",
];

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
    /// By the schema's full name; `has_field` tells which of [`fields`] there are.
    ///
    /// # Errors
    /// Why no record of the file can be a session.
    pub fn of(schema: &str, has_field: impl Fn(usize) -> bool) -> Result<Self, String> {
        // Some tools write a whole name with underscores.
        let event = schema.rsplit(['.', '_']).next().unwrap_or(schema);
        let is = |name: &str| event.eq_ignore_ascii_case(name);
        let name = schema.rsplit('.').next().unwrap_or(schema);
        let kind = if is("SessionStart") {
            Self::Starts
        } else if is("SessionEnd") {
            Self::Ends
        } else if GENERIC.iter().any(|generic| generic.eq_ignore_ascii_case(name)) {
            Self::ByDuration
        } else {
            let shown: String = schema.chars().take(100).collect();
            return Err(format!("its events are '{shown}', not sessions"));
        };
        let missing = (0..REQUIRED).find(|index| !has_field(*index));
        match missing.and_then(|index| FIELDS.get(index)) {
            None => Ok(kind),
            Some((name, _)) => Err(format!("its records have no field '{name}'")),
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
/// The first thing that is wrong with the record, whose values stand in the order of [`fields`].
pub fn start(record: &[Value<'_>], context: &Context<'_>) -> Result<Session, ItemError> {
    let mut wire = read(record);
    wire.take(SessionField::Duration);
    wire.into_session(context)
}

/// A session that ends: its end, and the session to record where its start is not known.
///
/// # Errors
/// As [`start`].
pub fn end(record: &[Value<'_>], context: &Context<'_>) -> Result<(SessionEnd, Session), ItemError> {
    let mut wire = read(record);
    let app = wire::app(wire.get(SessionField::AppId).cloned(), context)?;
    let session_id = wire::text("session_id", wire.get(SessionField::SessionId).cloned())?
        .ok_or_else(|| required("session_id", "a string of 1 to 128 bytes"))?;
    let at = wire::instant("time", wire.take(SessionField::StartedAt))?
        .ok_or_else(|| required("time", "Unix seconds, as a number"))?;
    let end = SessionEnd::new(app, &session_id, at, context.limits).map_err(refused)?;
    let received = wire.take(SessionField::Duration);
    let duration = wire::duration(received.clone())?;
    if let (Some(millis), Some(received)) = (duration, &received)
        && !(0..=MAX_DURATION_MILLIS).contains(&millis)
    {
        return Err(wire::wrong("duration", received, "0 to 604800 seconds"));
    }
    let started_at = at.saturating_sub(duration.unwrap_or(0));
    for (field, millis) in [(SessionField::StartedAt, started_at), (SessionField::EndedAt, at)] {
        wire.set(field, Scalar::Number(millis.into()));
    }
    Ok((end, wire.into_session(context)?))
}

/// A refused record in the product's own format, so that it can be mended.
pub fn as_json(record: &[Value<'_>]) -> String {
    let wire = read(record);
    let value = |field| match wire.get(field) {
        Some(Scalar::Text(text)) => Some(json!(text)),
        Some(Scalar::Number(number)) => Some(json!(number)),
        Some(Scalar::Bool(flag)) => Some(json!(flag)),
        _ => None,
    };
    let fields = SessionField::ALL.into_iter();
    let mut object: serde_json::Map<_, _> = fields
        .filter_map(|field| Some((field.name().to_owned(), value(field)?)))
        .collect();
    // The time of an end, not of a start.
    if let (Some(time), Some(duration)) = (object.get("started_at"), object.get("duration"))
        && let (Some(time), Some(duration)) = (time.as_f64(), duration.as_f64())
    {
        object.insert("started_at".to_owned(), json!(time - duration));
    }
    serde_json::Value::Object(object).to_string()
}

/// The values as fields of a session, nothing checked. An empty text stands for nothing.
fn read<'a>(record: &[Value<'a>]) -> Wire<'a> {
    let mut wire = Wire::default();
    for ((_, field), value) in FIELDS.into_iter().zip(record) {
        if let Some(value) = scalar(*value).filter(|_| wire.get(field).is_none()) {
            wire.set(field, value);
        }
    }
    wire
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
            (
                "com.example.currents.users.behaviors.app.SessionStart",
                Kind::Starts,
            ),
            ("users_behaviors_app_sessionend", Kind::Ends),
            ("org.example.topLevelRecord", Kind::ByDuration),
            ("sessions", Kind::ByDuration),
            ("topLevelRecord", Kind::ByDuration),
            ("", Kind::ByDuration),
        ] {
            assert_eq!(kind(name), Ok(expected), "{name}");
        }
        for name in [
            "users.behaviors.app.FirstSession",
            "FirstSession",
            "users.messages.email.Open",
            "com.example.currents.users.behaviors.CustomEvent",
            "com.example.currents.users.behaviors.app.FirstSession",
            "users_behaviors_CustomEvent",
            "CustomEvent",
            "PreSessionStart",
        ] {
            assert!(kind(name).unwrap_err().contains("not sessions"), "{name}");
        }
        assert_eq!(
            Kind::of("topLevelRecord", |index| index != 1),
            Err("its records have no field 'time'".into())
        );
    }
}
