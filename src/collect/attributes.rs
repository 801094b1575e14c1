//! Attributes: members of a JSON object with scalar values.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::ItemError;
use super::scalar::{Name, Scalar};
use super::wire::wrong;
use crate::model::{AttributeValue, MAX_RECORDED_ATTRIBUTES};

/// The value of `attributes`: entries, or what stands there instead.
pub(super) enum Attributes<'a> {
    Entries(Members<'a>),
    Other(Scalar<'a>),
}

/// Members of an object: those up to a limit, and how many there are.
pub(super) struct Members<'a> {
    pub(super) kept: Vec<(Cow<'a, str>, Scalar<'a>)>,
    pub(super) count: usize,
}

impl<'a> Members<'a> {
    pub(super) fn read<A: MapAccess<'a>>(mut members: A, limit: usize) -> Result<Self, A::Error> {
        let mut kept = Vec::new();
        let mut count = 0;
        while let Some((Name(name), value)) = members.next_entry()? {
            count += 1;
            if count <= limit {
                kept.push((name, value));
            }
        }
        Ok(Self { kept, count })
    }
}

impl Attributes<'_> {
    /// The same, borrowing nothing.
    pub(super) fn into_owned(self) -> Attributes<'static> {
        let owned =
            |(name, value): (Cow<'_, str>, Scalar<'_>)| (Cow::Owned(name.into_owned()), value.into_owned());
        match self {
            Self::Entries(Members { kept, count }) => Attributes::Entries(Members {
                kept: kept.into_iter().map(owned).collect(),
                count,
            }),
            Self::Other(value) => Attributes::Other(value.into_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Attributes<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AttributesVisitor)
    }
}

struct AttributesVisitor;

impl<'de> Visitor<'de> for AttributesVisitor {
    type Value = Attributes<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Attributes::Other(Scalar::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Attributes::Other(Scalar::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Attributes::Other(Scalar::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Attributes::Other(Scalar::Number(value.into())))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        serde_json::Number::from_f64(value)
            .map(|number| Attributes::Other(Scalar::Number(number)))
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Attributes::Other(Scalar::Text(Cow::Owned(value.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(Attributes::Other(Scalar::Array))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        Members::read(members, MAX_RECORDED_ATTRIBUTES).map(Attributes::Entries)
    }
}

/// A name and its value.
pub(super) type Entry<'a> = (Cow<'a, str>, AttributeValue<'a>);

/// As properties take them; `null` is as good as absent.
pub(super) fn attributes(value: Option<Attributes<'_>>, limit: usize) -> Result<Vec<Entry<'_>>, ItemError> {
    let (kept, count) = match value {
        None | Some(Attributes::Other(Scalar::Null)) => return Ok(Vec::new()),
        Some(Attributes::Other(other)) => return Err(wrong("attributes", &other, "an object")),
        Some(Attributes::Entries(Members { kept, count })) => (kept, count),
    };
    if count > limit {
        return Err(ItemError(format!(
            "'attributes' must have at most {limit} entries, received {count}"
        )));
    }
    kept.into_iter()
        .filter_map(|(name, value)| {
            let refused = |name: &str| format!("attributes.{name}");
            let value = attribute(&name, value, refused, "a string, a number or a boolean");
            value.transpose().map(|value| Ok((name, value?)))
        })
        .collect()
}

/// The value of an attribute, `None` for `null`. What is refused is said under a name made from the attribute's own,
/// which is cut before.
pub(super) fn attribute<'a>(
    name: &str,
    value: Scalar<'a>,
    refused: impl FnOnce(&str) -> String,
    allowed: &str,
) -> Result<Option<AttributeValue<'a>>, ItemError> {
    match value {
        Scalar::Null => Ok(None),
        Scalar::Text(text) => Ok(Some(AttributeValue::Text(text))),
        Scalar::Number(number) => Ok(Some(AttributeValue::Number(number))),
        Scalar::Bool(flag) => Ok(Some(AttributeValue::Bool(flag))),
        other => {
            let name: String = name.chars().take(64).collect();
            Err(wrong(&refused(&name), &other, allowed))
        }
    }
}
