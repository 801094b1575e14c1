//! `POST /users/track`: attributes of users, in the form in which connectors already send them.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess};

use super::ItemError;
use super::attributes::{Members, attribute};
use super::json::{BodyError, Items, cut};
use super::objects::{FromObject, object};
use super::scalar::{Name, Scalar};
use super::wire::{required, wrong};
use crate::model::UserUpdate;

/// Attributes that one item may change, removals included.
const MAX_CHANGES: usize = 100;
/// And the id.
const MAX_MEMBERS: usize = MAX_CHANGES + 1;
const ALLOWED: &str = "a string, a number or a boolean, or null to remove it";
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
    if users.updates.is_empty() && users.refused.is_empty() {
        Err(BodyError::NoUsers)
    } else {
        Ok(users)
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
        object(deserializer)
    }
}

impl<'de> FromObject<'de> for Envelope<'de> {
    const EXPECTED: &'static str = r#"{"attributes": [...]}"#;

    fn read<A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(Name(name)) = members.next_key::<Name<'de>>()? {
            if name == ATTRIBUTES {
                if envelope.attributes.replace(members.next_value()?).is_some() {
                    return Err(serde::de::Error::duplicate_field(ATTRIBUTES));
                }
            } else if let Some(known) = NOT_RECORDED.into_iter().find(|known| *known == name) {
                if envelope.not_recorded.iter().any(|(name, _)| *name == known) {
                    return Err(serde::de::Error::duplicate_field(known));
                }
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
struct Item<'a>(Members<'a>);

impl<'de> Deserialize<'de> for Item<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer)
    }
}

impl<'de> FromObject<'de> for Item<'de> {
    const EXPECTED: &'static str = "a JSON object";

    fn read<A: MapAccess<'de>>(members: A) -> Result<Self, A::Error> {
        Members::read(members, MAX_MEMBERS).map(Item)
    }
}

fn update(json: &str) -> Result<UserUpdate, ItemError> {
    let Item(members) = serde_json::from_str(json)
        .map_err(|error| ItemError(format!("not a user's attributes: {}", cut(&error))))?;
    if members.count > MAX_MEMBERS {
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
                let value = attribute(&name, value, str::to_owned, ALLOWED)?;
                changes.push((name, value));
            }
        }
    }
    let user_id = user_id.ok_or_else(|| required("external_id", "a string of 1 to 256 bytes"))?;
    UserUpdate::new(&user_id, changes).map_err(|error| ItemError(error.to_string()))
}
