//! The product's own format: a JSON object a session, in an array or one a line.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::digits;
use super::objects::{FromObject, object};
use super::scalar::{Name, Scalar};
use super::wire::{Wire, missing_digits};
use super::{Batch, Context, ItemError, mend, without_byte_order_mark};
use crate::model::{Session, SessionField};
use crate::series::Zone;

/// Sessions that one body may have.
pub const MAX_SESSIONS: usize = 10_000;
/// Lines that one body may have, blank ones included.
const MAX_LINES: usize = 10 * MAX_SESSIONS;

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
    /// Hardly anything but blank lines.
    #[error("the body has more than {MAX_LINES} lines; send no blank ones")]
    TooManyLines,
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
    read_items(text, |item| session(item.as_bytes(), context))
}

/// The same, from clients that nobody can ask to correct themselves: a session is not refused for an optional field.
///
/// # Errors
/// As [`read_object`].
pub fn read_mended_object(body: &[u8], context: &Context<'_>) -> Result<Batch, BodyError> {
    let text = String::from_utf8_lossy(body);
    read_items(&text, |item| mend::session(item, context))
}

fn read_items(
    text: &str,
    mut read: impl FnMut(&str) -> Result<Session, ItemError>,
) -> Result<Batch, BodyError> {
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
        batch.push(index, read(item.get()));
    }
    Ok(batch)
}

/// Reads one session a line. Blank lines are passed over, but counted by the indexes of refused lines. Files that were
/// put together have a byte order mark in their middle.
///
/// # Errors
/// When there is no session, or too many.
pub fn read_lines(body: &[u8], context: &Context<'_>) -> Result<Batch, BodyError> {
    let mut batch = Batch::default();
    let mut start = 0;
    let mut index = 0;
    while let Some(rest) = body.get(start..).filter(|rest| !rest.is_empty()) {
        if index == MAX_LINES {
            return Err(BodyError::TooManyLines);
        }
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = without_byte_order_mark(rest.get(..length).unwrap_or_default()).trim_ascii();
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

/// The same for a line of a file, which may have been exported with the attributes of users. Times without an offset are
/// those of `zone`.
///
/// # Errors
/// As [`session`].
pub fn exported_session(
    json: &[u8],
    context: &Context<'_>,
    zone: Option<&Zone>,
) -> Result<Session, ItemError> {
    wire(json)?.into_exported_session(context, zone)
}

fn wire(json: &[u8]) -> Result<Wire<'_>, ItemError> {
    let wire: Wire<'_> =
        serde_json::from_slice(json).map_err(|error| ItemError(format!("not a session: {}", cut(&error))))?;
    if let Some(name) = wire.repeated {
        return Err(ItemError(format!("'{name}' is given twice")));
    }
    let mut numbers = SessionField::ALL
        .into_iter()
        .filter(|field| field.may_be_number());
    if numbers.any(|field| wire.get(field).is_some_and(is_round)) {
        check_digits(json)?;
    }
    Ok(wire)
}

/// Whether a number may have lost digits; how it was written is not known any more.
fn is_round(value: &Scalar<'_>) -> bool {
    let Scalar::Number(number) = value else {
        return false;
    };
    number.is_f64() && number.as_f64().is_some_and(|float| float % 10.0 == 0.0)
}

/// Refuses a session with a number that lost digits.
fn check_digits(json: &[u8]) -> Result<(), ItemError> {
    #[derive(Deserialize)]
    struct Numbers<'a> {
        #[serde(borrow)]
        started_at: Option<&'a RawValue>,
        #[serde(borrow)]
        ended_at: Option<&'a RawValue>,
        #[serde(borrow)]
        duration: Option<&'a RawValue>,
    }
    let numbers: Numbers<'_> =
        serde_json::from_slice(json).map_err(|error| ItemError(format!("not a session: {}", cut(&error))))?;
    for (name, value) in [
        ("started_at", numbers.started_at),
        ("ended_at", numbers.ended_at),
        ("duration", numbers.duration),
    ] {
        if let Some(text) = value.map(RawValue::get).filter(|text| digits::are_missing(text)) {
            return Err(missing_digits(name, text));
        }
    }
    Ok(())
}

struct Envelope<'a> {
    sessions: Vec<&'a RawValue>,
    too_many: bool,
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer)
    }
}

impl<'de> FromObject<'de> for Envelope<'de> {
    const EXPECTED: &'static str = r#"{"sessions": [...]}"#;

    fn read<A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
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

impl<'de> Deserialize<'de> for Wire<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer)
    }
}

impl<'de> FromObject<'de> for Wire<'de> {
    const EXPECTED: &'static str = "a JSON object";

    fn read<A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        let mut wire = Wire::default();
        while let Some(Name(name)) = members.next_key::<Name<'de>>()? {
            if let Some(field) = SessionField::named(&name) {
                if wire.set(field, members.next_value()?) {
                    wire.repeated = Some(field.name());
                }
            } else if name != "attributes" {
                members.next_value::<serde::de::IgnoredAny>()?;
            } else if wire.attributes.replace(members.next_value()?).is_some() {
                wire.repeated = Some("attributes");
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
