//! Sessions of clients that nobody can ask to correct themselves, such as web pages: an optional value that does not fit
//! is mended or left out, and the session counts all the same. Only a wrong app, id or start refuses it.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, MapAccess};
use serde_json::value::RawValue;

use super::attributes::Entry;
use super::json::{cut, session as strict_session};
use super::objects::{FromObject, object};
use super::scalar::{Lenient, LossyText, Scalar, lenient};
use super::wire::{Required, Wire, duration, instant, refused};
use super::{Context, ItemError};
use crate::model::{
    AttributeValue, End, MAX_ATTRIBUTES, MAX_DURATION_MILLIS, MAX_NAME_BYTES, MAX_VALUE_BYTES, Millis,
    NewSession, Properties, PropertyFields, Session, SessionField,
};

const MAX_IDENTITY_BYTES: usize = 256;

/// Reads one session, a JSON object. What [`strict_session`] takes is taken as it does.
///
/// # Errors
/// When its app, id or start is wrong.
pub(super) fn session(json: &str, context: &Context<'_>) -> Result<Session, ItemError> {
    if let Ok(session) = strict_session(json.as_bytes(), context) {
        return Ok(session);
    }
    let Mended { mut wire, attributes } =
        serde_json::from_str(json).map_err(|error| ItemError(format!("not a session: {}", cut(&error))))?;
    let Required {
        app,
        session_id,
        started_at,
    } = wire.required(context, instant)?;
    let ended_at = instant("ended_at", wire.take(SessionField::EndedAt))
        .ok()
        .flatten();
    let lasted = ended_at.map(|at| at.saturating_sub(started_at));
    let duration = duration(wire.take(SessionField::Duration)).ok().flatten();
    let mut text = |field| text(wire.take(field));
    let user_id = text(SessionField::UserId);
    let device_id = text(SessionField::DeviceId);
    let platform = text(SessionField::Platform);
    let os_version = text(SessionField::OsVersion);
    let app_version = text(SessionField::AppVersion);
    let device_model = text(SessionField::DeviceModel);
    let country = text(SessionField::Country);
    let language = text(SessionField::Language).map(|tag| tag.replace('_', "-"));
    let fields = fields(&PropertyFields {
        platform: platform.as_deref(),
        os_version: os_version.as_deref(),
        app_version: app_version.as_deref(),
        device_model: device_model.as_deref(),
        country: country.as_deref(),
        language: language.as_deref(),
    });
    let new = NewSession {
        app,
        session_id: &session_id,
        started_at,
        end: end(lasted).or(end(duration)),
        user_id: identity(user_id.as_deref()),
        device_id: identity(device_id.as_deref()),
        properties: Properties::new(&fields, attributes.0).map_err(refused)?,
    };
    Session::new(new, context.limits).map_err(refused)
}

/// Numbers are as good as their texts: ids and versions are often written so.
fn text(value: Option<Scalar<'_>>) -> Option<Cow<'_, str>> {
    match value {
        Some(Scalar::Text(text)) => Some(text),
        Some(Scalar::Number(number)) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// The fields that fit.
pub(super) fn fields<'a>(fields: &PropertyFields<'a>) -> PropertyFields<'a> {
    let none = PropertyFields::default();
    let fits = |fields: PropertyFields<'_>| Properties::new(&fields, Vec::new()).is_ok();
    let short = |text: &&str| {
        let platform = Some(*text);
        fits(PropertyFields { platform, ..none })
    };
    PropertyFields {
        platform: fields.platform.filter(short),
        os_version: fields.os_version.filter(short),
        app_version: fields.app_version.filter(short),
        device_model: fields.device_model.filter(short),
        country: fields.country.filter(|text| {
            let country = Some(*text);
            fits(PropertyFields { country, ..none })
        }),
        language: fields.language.filter(|text| {
            let language = Some(*text);
            fits(PropertyFields { language, ..none })
        }),
    }
}

/// An id that fits. A part of one would be somebody else's.
pub(super) fn identity(id: Option<&str>) -> Option<&str> {
    id.filter(|id| (1..=MAX_IDENTITY_BYTES).contains(&id.len()))
}

/// An end that can be, of the milliseconds that a session lasted.
pub(super) fn end(lasted: Option<Millis>) -> Option<End> {
    let possible = lasted.filter(|millis| (0..=MAX_DURATION_MILLIS).contains(millis));
    possible.map(End::After)
}

/// Attributes that fit, the first of each name.
#[derive(Default)]
pub(super) struct Fitting<'a>(pub(super) Vec<Entry<'a>>);

impl<'a> Fitting<'a> {
    pub(super) fn push(&mut self, name: Cow<'a, str>, value: AttributeValue<'a>) {
        let value_fits = match &value {
            AttributeValue::Text(text) => text.len() <= MAX_VALUE_BYTES,
            AttributeValue::Number(_) | AttributeValue::Bool(_) => true,
        };
        let name_fits = (1..=MAX_NAME_BYTES).contains(&name.len());
        let has_room = self.0.len() < MAX_ATTRIBUTES && self.0.iter().all(|(other, _)| *other != name);
        if value_fits && name_fits && has_room {
            self.0.push((name, value));
        }
    }
}

/// A session whose members may be of any type. Of a member that is given twice the last counts, as in JavaScript.
struct Mended<'a> {
    wire: Wire<'a>,
    attributes: Fitting<'a>,
}

impl<'de> Deserialize<'de> for Mended<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer)
    }
}

impl<'de> FromObject<'de> for Mended<'de> {
    const EXPECTED: &'static str = "a JSON object";

    fn read<A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        let mut wire = Wire::default();
        let mut attributes = Fitting::default();
        while let Some(LossyText(name)) = members.next_key::<LossyText<'de>>()? {
            let value = members.next_value::<&'de RawValue>()?.get();
            match SessionField::named(&name) {
                Some(field) => _ = wire.set(field, lenient(value)),
                // Whatever is no object has no attributes.
                None if name == "attributes" => attributes = serde_json::from_str(value).unwrap_or_default(),
                None => {}
            }
        }
        Ok(Mended { wire, attributes })
    }
}

impl<'de> Deserialize<'de> for Fitting<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer)
    }
}

impl<'de> FromObject<'de> for Fitting<'de> {
    const EXPECTED: &'static str = "an object";

    fn read<A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        let mut attributes = Fitting::default();
        while let Some((LossyText(name), Lenient(value))) = members.next_entry()? {
            match value {
                Scalar::Text(text) => attributes.push(name, AttributeValue::Text(text)),
                Scalar::Number(number) => attributes.push(name, AttributeValue::Number(number)),
                Scalar::Bool(flag) => attributes.push(name, AttributeValue::Bool(flag)),
                Scalar::Null | Scalar::Array | Scalar::Object => {}
            }
        }
        Ok(attributes)
    }
}
