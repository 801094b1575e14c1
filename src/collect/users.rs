//! `POST /users/track`: attributes of users, in the form in which connectors already send them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::ItemError;
use super::json::{BodyError, Items, cut, required, wrong};
use super::scalar::{Name, Scalar};
use crate::model::{AttributeValue, UserUpdate};

/// Attributes that one item may change, removals included.
const MAX_CHANGES: usize = 100;
/// Members that such bodies may have and that are not recorded here.
const NOT_RECORDED: [&str; 2] = ["events", "purchases"];

/// The array of a body whose items are recorded.
pub const ATTRIBUTES: &str = "attributes";

/// What stands in a body.
#[derive(Debug, Default)]
pub struct Users {
    /// Valid updates in their order, with their indexes in `attributes`.
    pub updates: Vec<(usize, UserUpdate)>,
    /// Everything that can't be recorded: array, index in it, reason.
    pub refused: Vec<(&'static str, usize, ItemError)>,
}

/// Reads `{"attributes": [...]}`.
///
/// # Errors
/// When the body as a whole can't be read, or there is nothing in it.
pub fn read(body: &[u8]) -> Result<Users, BodyError> {
    let text = std::str::from_utf8(body).map_err(|error| BodyError::NotUtf8(error.valid_up_to()))?;
    let envelope: Envelope<'_> =
        serde_json::from_str(text).map_err(|error| BodyError::UsersShape(cut(&error)))?;
    let mut users = Users::default();
    if let Some(items) = envelope.attributes {
        if items.too_many {
            return Err(BodyError::TooManyUsers);
        }
        for (index, item) in items.kept.iter().enumerate() {
            match update(item.get()) {
                Ok(update) => users.updates.push((index, update)),
                Err(error) => users.refused.push((ATTRIBUTES, index, error)),
            }
        }
    }
    for (name, count) in envelope.not_recorded {
        let refused = (0..count).map(|index| {
            let reason = format!("'{name}' are not recorded here; only 'attributes' are");
            (name, index, ItemError(reason))
        });
        users.refused.extend(refused);
    }
    match users.updates.is_empty() && users.refused.is_empty() {
        true => Err(BodyError::NoUsers),
        false => Ok(users),
    }
}

#[derive(Default)]
struct Envelope<'a> {
    attributes: Option<Items<'a>>,
    /// Names and numbers of items.
    not_recorded: Vec<(&'static str, usize)>,
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
        f.write_str(r#"{"attributes": [...]}"#)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(Name(name)) = members.next_key::<Name<'de>>()? {
            if name == ATTRIBUTES {
                if envelope.attributes.replace(members.next_value()?).is_some() {
                    return Err(serde::de::Error::duplicate_field(ATTRIBUTES));
                }
            } else if let Some(known) = NOT_RECORDED.into_iter().find(|known| *known == name) {
                let items: Items<'de> = members.next_value()?;
                envelope.not_recorded.push((known, items.kept.len()));
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(envelope)
    }
}

/// An item: its members, as far as there may be so many.
struct Members<'a> {
    kept: Vec<(Cow<'a, str>, Scalar<'a>)>,
    too_many: bool,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        let mut too_many = false;
        while let Some((Name(name), value)) = members.next_entry()? {
            // One more for the id.
            if kept.len() <= MAX_CHANGES {
                kept.push((name, value));
            } else {
                too_many = true;
            }
        }
        Ok(Members { kept, too_many })
    }
}

fn update(json: &str) -> Result<UserUpdate, ItemError> {
    let members: Members<'_> = serde_json::from_str(json)
        .map_err(|error| ItemError(format!("not a user's attributes: {}", cut(&error))))?;
    if members.too_many {
        return Err(ItemError(format!(
            "an item may change at most {MAX_CHANGES} attributes"
        )));
    }
    let mut user_id: Option<Cow<'_, str>> = None;
    let mut changes = Vec::with_capacity(members.kept.len());
    for (name, value) in members.kept {
        match (name.as_ref(), value) {
            ("external_id", Scalar::Text(id)) => {
                if user_id.replace(id).is_some() {
                    return Err(ItemError("'external_id' is given twice".into()));
                }
            }
            ("external_id", Scalar::Null) => {}
            ("external_id", other) => return Err(wrong("external_id", &other, "a string")),
            ("_update_existing_only", Scalar::Bool(false)) => {}
            ("_update_existing_only" | "braze_id" | "user_alias", _) => {
                return Err(ItemError(format!(
                    "'{name}' is not supported: users are known by 'external_id' alone"
                )));
            }
            (_, value) => {
                let value = attribute(&name, value)?;
                changes.push((name, value));
            }
        }
    }
    let user_id = user_id.ok_or_else(|| required("external_id", "a string of 1 to 256 bytes"))?;
    UserUpdate::new(&user_id, changes).map_err(|error| ItemError(error.to_string()))
}

/// `None` removes.
fn attribute<'a>(name: &str, value: Scalar<'a>) -> Result<Option<AttributeValue<'a>>, ItemError> {
    match value {
        Scalar::Null => Ok(None),
        Scalar::Text(text) => Ok(Some(AttributeValue::Text(text))),
        Scalar::Number(number) => Ok(Some(AttributeValue::Number(number))),
        Scalar::Bool(flag) => Ok(Some(AttributeValue::Bool(flag))),
        other => {
            let name: String = name.chars().take(64).collect();
            Err(wrong(
                &name,
                &other,
                "a string, a number or a boolean, or null to remove it",
            ))
        }
    }
}
