//! JSON values as they come, so that a wrong type becomes a message that names the field.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// One JSON value; the content of arrays and objects is passed over.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(Cow<'a, str>),
    Array,
    Object,
}

impl Scalar<'_> {
    /// The same, borrowing nothing.
    pub(super) fn into_owned(self) -> Scalar<'static> {
        match self {
            Self::Null => Scalar::Null,
            Self::Bool(flag) => Scalar::Bool(flag),
            Self::Number(number) => Scalar::Number(number),
            Self::Text(text) => Scalar::Text(Cow::Owned(text.into_owned())),
            Self::Array => Scalar::Array,
            Self::Object => Scalar::Object,
        }
    }
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "'{}'", text.chars().take(100).collect::<String>()),
            Self::Array => f.write_str("an array"),
            Self::Object => f.write_str("an object"),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        any(deserializer)
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
pub(super) struct Name<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// A text or a member's name. JavaScript cuts texts in the middle of a character and writes `\ud83d`: that half becomes a
/// replacement character instead of making all of the body unreadable.
pub(super) struct LossyText<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for LossyText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(LossyTextVisitor).map(Self)
    }
}

struct LossyTextVisitor;

impl<'de> Visitor<'de> for LossyTextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(String::from_utf8_lossy(bytes))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
    }
}

/// A value that no session is lost for: see [`lenient`].
pub(super) struct Lenient<'a>(pub(super) Scalar<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Lenient<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        Ok(Self(lenient(raw.get())))
    }
}

/// A JSON value; a text may have half characters, and what can't be read at all, such as `1e999`, is as good as absent.
pub(super) fn lenient(raw: &str) -> Scalar<'_> {
    let text = || serde_json::from_str(raw).map(|LossyText(text)| Scalar::Text(text));
    let lossy = |_| text().ok().filter(|_| raw.starts_with('"'));
    serde_json::from_str(raw)
        .map_or_else(lossy, Some)
        .unwrap_or(Scalar::Null)
}

/// A value of any type: everything but an object is a scalar.
pub(super) trait FromAny<'de>: From<Scalar<'de>> {
    fn object<A: MapAccess<'de>>(members: A) -> Result<Self, A::Error>;
}

impl<'de> FromAny<'de> for Scalar<'de> {
    fn object<A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::Object)
    }
}

/// Reads a value of any type.
pub(super) fn any<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromAny<'de>,
{
    deserializer.deserialize_any(Any(PhantomData))
}

struct Any<T>(PhantomData<T>);

impl<'de, T: FromAny<'de>> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(Scalar::Null.into())
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(Scalar::Bool(value).into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<T, E> {
        Ok(Scalar::Number(value.into()).into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<T, E> {
        Ok(Scalar::Number(value.into()).into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<T, E> {
        serde_json::Number::from_f64(value)
            .map(|number| Scalar::Number(number).into())
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<T, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)).into())
    }

    fn visit_str<E>(self, value: &str) -> Result<T, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<T, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::object(members)
    }
}
