//! The product's own format: a JSON object a session, in an array or one a line.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::scalar::Name;
use super::wire::Wire;
use super::{Batch, Context, ItemError};
use crate::model::Session;

/// Sessions that one body may have.
pub const MAX_SESSIONS: usize = 10_000;

/// Why a whole body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not UTF-8.
    #[error("the body must be UTF-8; byte {0} is not")]
    NotUtf8(usize),
    /// Not JSON, or JSON of another shape.
    #[error("the body must be a JSON object with an array 'sessions': {0}")]
    Shape(String),
    /// Nothing in it.
    #[error("the body has no sessions; give 1 to {MAX_SESSIONS}")]
    Empty,
    /// Too many sessions.
    #[error("the body has more than {MAX_SESSIONS} sessions; send them in several requests")]
    TooMany,
    /// Not users' attributes.
    #[error("the body must be a JSON object with an array 'attributes': {0}")]
    UsersShape(String),
    /// No users in it.
    #[error("the body has no attributes; give 1 to {MAX_SESSIONS} items")]
    NoUsers,
    /// Too many of them.
    #[error("the body has more than {MAX_SESSIONS} items in 'attributes'; send them in several requests")]
    TooManyUsers,
}

/// Reads `{"sessions": [...]}`.
///
/// # Errors
/// When the body as a whole can't be read. Sessions that are refused one by one are in the batch.
pub fn read_object(body: &[u8], context: &Context<'_>) -> Result<Batch, BodyError> {
    let text = std::str::from_utf8(body).map_err(|error| BodyError::NotUtf8(error.valid_up_to()))?;
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|error| BodyError::Shape(cut(&error)))?;
    if envelope.too_many {
        return Err(BodyError::TooMany);
    }
    if envelope.sessions.is_empty() {
        return Err(BodyError::Empty);
    }
    let mut batch = Batch::default();
    batch.sessions.reserve(envelope.sessions.len());
    for (index, item) in envelope.sessions.iter().enumerate() {
        batch.push(index, session(item.get().as_bytes(), context));
    }
    Ok(batch)
}

/// Reads one session a line. Blank lines are passed over, but counted by the indexes of refused lines.
///
/// # Errors
/// When there is no session, or too many.
pub fn read_lines(body: &[u8], context: &Context<'_>) -> Result<Batch, BodyError> {
    let mut batch = Batch::default();
    let mut start = 0;
    let mut index = 0;
    while let Some(rest) = body.get(start..).filter(|rest| !rest.is_empty()) {
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..length).unwrap_or_default().trim_ascii();
        if !line.is_empty() {
            if batch.sessions.len() + batch.refused.len() == MAX_SESSIONS {
                return Err(BodyError::TooMany);
            }
            batch.push(index, session(line, context));
        }
        start += length + 1;
        index += 1;
    }
    if batch.sessions.is_empty() && batch.refused.is_empty() {
        return Err(BodyError::Empty);
    }
    Ok(batch)
}

/// Reads one session, a JSON object.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn session(json: &[u8], context: &Context<'_>) -> Result<Session, ItemError> {
    wire(json)?.into_session(context)
}

/// The same for a line of a file, which may have been exported with the attributes of users.
///
/// # Errors
/// As [`session`].
pub fn exported_session(json: &[u8], context: &Context<'_>) -> Result<Session, ItemError> {
    wire(json)?.into_exported_session(context)
}

fn wire(json: &[u8]) -> Result<Wire<'_>, ItemError> {
    let wire: Wire<'_> =
        serde_json::from_slice(json).map_err(|error| ItemError(format!("not a session: {}", cut(&error))))?;
    if let Some(name) = wire.repeated {
        return Err(ItemError(format!("'{name}' is given twice")));
    }
    Ok(wire)
}

struct Envelope<'a> {
    sessions: Vec<&'a RawValue>,
    too_many: bool,
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"{"sessions": [...]}"#)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found: Option<Items<'de>> = None;
        while let Some(name) = members.next_key::<Name<'de>>()? {
            if name.0 != "sessions" {
                members.next_value::<serde::de::IgnoredAny>()?;
            } else if found.replace(members.next_value()?).is_some() {
                return Err(serde::de::Error::duplicate_field("sessions"));
            }
        }
        let items = found.ok_or_else(|| serde::de::Error::missing_field("sessions"))?;
        Ok(Envelope {
            too_many: items.too_many,
            sessions: items.kept,
        })
    }
}

/// An array's items, kept only up to the limit.
pub(super) struct Items<'a> {
    pub(super) kept: Vec<&'a RawValue>,
    pub(super) too_many: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor)
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        let mut too_many = false;
        while let Some(item) = items.next_element()? {
            if kept.len() < MAX_SESSIONS {
                kept.push(item);
            } else {
                too_many = true;
            }
        }
        Ok(Items { kept, too_many })
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
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
    Attributes,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Wire<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WireVisitor)
    }
}

struct WireVisitor;

impl<'de> Visitor<'de> for WireVisitor {
    type Value = Wire<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut wire = Wire::default();
        while let Some(field) = members.next_key()? {
            let (slot, name) = match field {
                Field::AppId => (&mut wire.app_id, "app_id"),
                Field::SessionId => (&mut wire.session_id, "session_id"),
                Field::StartedAt => (&mut wire.started_at, "started_at"),
                Field::UserId => (&mut wire.user_id, "user_id"),
                Field::DeviceId => (&mut wire.device_id, "device_id"),
                Field::EndedAt => (&mut wire.ended_at, "ended_at"),
                Field::Duration => (&mut wire.duration, "duration"),
                Field::Platform => (&mut wire.platform, "platform"),
                Field::OsVersion => (&mut wire.os_version, "os_version"),
                Field::AppVersion => (&mut wire.app_version, "app_version"),
                Field::DeviceModel => (&mut wire.device_model, "device_model"),
                Field::Country => (&mut wire.country, "country"),
                Field::Language => (&mut wire.language, "language"),
                Field::Attributes => {
                    if wire.attributes.replace(members.next_value()?).is_some() {
                        wire.repeated = Some("attributes");
                    }
                    continue;
                }
                Field::Other => {
                    members.next_value::<serde::de::IgnoredAny>()?;
                    continue;
                }
            };
            if slot.replace(members.next_value()?).is_some() {
                wire.repeated = Some(name);
            }
        }
        Ok(wire)
    }
}

/// What the JSON reader says may repeat what it was given.
pub(super) fn cut(error: &serde_json::Error) -> String {
    const SHOWN: usize = 160;
    let text = error.to_string();
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_repeats_only_the_beginning_of_what_was_received() {
        let long = format!(r#"{{"sessions":"{}"}}"#, "é".repeat(10_000));
        let error = serde_json::from_str::<Envelope<'_>>(&long).err().unwrap();
        assert!(error.to_string().len() > 10_000);
        assert_eq!(cut(&error).chars().count(), 161);
    }
}
