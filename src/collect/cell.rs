//! Values of tables: what CSV writes and what Parquet has, as fields of a session may be.

use std::borrow::Cow;

use super::ItemError;
use super::attributes::Attributes;
use super::scalar::Scalar;
use super::wire::wrong;

/// Begins the name of a column that is one attribute.
pub(super) const ATTRIBUTE: &str = "attributes.";
/// A column of JSON objects.
pub(super) const ATTRIBUTES: &str = "attributes";

/// A value as a table gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Absent,
    /// As it is written in a format that has only texts: the column decides what it is.
    Written(&'a [u8]),
    /// A text.
    Text(Cow<'a, str>),
    /// A number.
    Number(serde_json::Number),
    /// True or false.
    Bool(bool),
    /// Something that no field can be; its name for messages.
    Other(&'static str),
}

/// The value of a field. A written one is a number only where the field may be one.
pub(super) fn scalar<'a>(name: &str, cell: Cell<'a>, may_be_number: bool) -> Result<Scalar<'a>, ItemError> {
    Ok(match cell {
        Cell::Absent => Scalar::Null,
        Cell::Written(bytes) => {
            let text = utf8(name, bytes)?;
            match number(text).filter(|_| may_be_number) {
                Some(number) => Scalar::Number(number),
                None => Scalar::Text(Cow::Borrowed(text)),
            }
        }
        Cell::Text(text) => Scalar::Text(text),
        Cell::Number(number) => Scalar::Number(number),
        Cell::Bool(flag) => Scalar::Bool(flag),
        Cell::Other(what) => return Err(ItemError(format!("'{name}' must be one value, received {what}"))),
    })
}

/// The value of an attribute. What is written as JSON writes `true`, `false` or a number is that, all else text.
pub(super) fn attribute<'a>(name: &str, cell: Cell<'a>) -> Result<Scalar<'a>, ItemError> {
    match cell {
        Cell::Written(b"true") => Ok(Scalar::Bool(true)),
        Cell::Written(b"false") => Ok(Scalar::Bool(false)),
        cell => scalar(
            &format!("{ATTRIBUTE}{}", name.chars().take(64).collect::<String>()),
            cell,
            true,
        ),
    }
}

pub(super) fn attributes(cell: Cell<'_>) -> Result<Attributes<'_>, ItemError> {
    let parsed = match &cell {
        Cell::Written(bytes) => serde_json::from_slice::<Owned>(bytes),
        Cell::Text(text) => serde_json::from_str(text),
        _ => return Err(ItemError("'attributes' must be a JSON object".into())),
    };
    match parsed {
        Ok(Owned(attributes)) => Ok(attributes),
        Err(_) => {
            let received = scalar(ATTRIBUTES, cell, false)?;
            Err(wrong(ATTRIBUTES, &received, "a JSON object"))
        }
    }
}

/// Attributes that borrow nothing.
struct Owned(Attributes<'static>);

impl<'de> serde::Deserialize<'de> for Owned {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Attributes::deserialize(deserializer).map(|attributes| Self(attributes.into_owned()))
    }
}

/// A text that is a JSON number, without white space.
fn number(text: &str) -> Option<serde_json::Number> {
    let begins = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let ends = text.ends_with(|last: char| last.is_ascii_digit());
    (begins && ends)
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, ItemError> {
    std::str::from_utf8(bytes).map_err(|_| {
        let shown: String = String::from_utf8_lossy(bytes).chars().take(100).collect();
        ItemError(format!("'{name}' must be UTF-8, received '{shown}'"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_attributes_are_what_json_would_read() {
        let read = |text: &'static str| attribute("a", Cell::Written(text.as_bytes())).unwrap();
        assert_eq!(read("true"), Scalar::Bool(true));
        for text in ["1", "-1.5", "1e3", "0"] {
            assert!(matches!(read(text), Scalar::Number(_)), "{text}");
        }
        for text in [
            "TRUE", "null", "01", "+1", "1.", ".5", " 1", "1 ", "1e999", "0x1", "-", "a",
        ] {
            assert_eq!(read(text), Scalar::Text(text.into()), "{text}");
        }
    }
}
