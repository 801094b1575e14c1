//! Attributes: members of a JSON object with scalar values.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess};

use super::ItemError;
use super::scalar::{FromAny, Name, Scalar, any};
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
        any(deserializer)
    }
}

impl<'de> FromAny<'de> for Attributes<'de> {
    fn object<A: MapAccess<'de>>(members: A) -> Result<Self, A::Error> {
        Members::read(members, MAX_RECORDED_ATTRIBUTES).map(Self::Entries)
    }
}

impl<'a> From<Scalar<'a>> for Attributes<'a> {
    fn from(value: Scalar<'a>) -> Self {
        Self::Other(value)
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
