//! Filters: which sessions belong to a segment.
//!
//! A [`Filter`] is read from JSON by `parse` (errors name the place), evaluated over a session's [`Facts`] by
//! `evaluate`, and put into words for people by `words`. What it means is decided in `evaluate` alone.

mod evaluate;
mod json;
mod parse;
mod version;
mod words;

use std::fmt;
use std::str::FromStr;

use super::named::named;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

pub use evaluate::{Fact, Facts};
pub use parse::{FieldError, FilterError};

/// Groups (`all`, `any`, `not`) may stand in each other this deep.
pub const MAX_FILTER_DEPTH: usize = 8;
/// Conditions a filter may have.
pub const MAX_FILTER_CONDITIONS: usize = 64;

/// A valid filter. [`FromStr`] reads the JSON form, [`Serialize`] and [`Filter::to_json`] write it, [`fmt::Display`]
/// says it in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Condition(Condition),
}

/// One comparison. `values` has one value for most operators, any number for `in` and `not_in`; for `exists` it is
/// whether the field must be there.
#[derive(Debug, Clone, PartialEq)]
struct Condition {
    field: Field,
    op: Operator,
    values: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(Box<str>),
    Number(serde_json::Number),
    Bool(bool),
}

/// What a filter may ask of a session, and what sessions may be grouped by. [`FromStr`] reads its name, [`fmt::Display`]
/// writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    /// `app_id`
    AppId,
    /// `platform`
    Platform,
    /// `os_version`
    OsVersion,
    /// `app_version`
    AppVersion,
    /// `device_model`
    DeviceModel,
    /// `country`
    Country,
    /// `language`
    Language,
    /// `first_session`
    FirstSession,
    /// `attributes.NAME`, with the name
    Attribute(Box<str>),
}

const ATTRIBUTES: &str = "attributes.";

impl Field {
    /// Those that have a name of their own.
    pub const OWN: [Self; 8] = [
        Self::AppId,
        Self::Platform,
        Self::OsVersion,
        Self::AppVersion,
        Self::DeviceModel,
        Self::Country,
        Self::Language,
        Self::FirstSession,
    ];

    /// The name; for an attribute, what stands before it.
    fn prefix(&self) -> &'static str {
        match self {
            Self::AppId => "app_id",
            Self::Platform => "platform",
            Self::OsVersion => "os_version",
            Self::AppVersion => "app_version",
            Self::DeviceModel => "device_model",
            Self::Country => "country",
            Self::Language => "language",
            Self::FirstSession => "first_session",
            Self::Attribute(_) => ATTRIBUTES,
        }
    }

    fn is_version(&self) -> bool {
        matches!(self, Self::OsVersion | Self::AppVersion)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix())?;
        match self {
            Self::Attribute(name) => f.write_str(name),
            _ => Ok(()),
        }
    }
}

named! {
    enum Operator {
        Eq = "eq",
        Ne = "ne",
        In = "in",
        NotIn = "not_in",
        Exists = "exists",
        Lt = "lt",
        Lte = "lte",
        Gt = "gt",
        Gte = "gte",
        Prefix = "prefix",
        Contains = "contains",
    }
}

impl Operator {
    /// What an identifier or a flag can be asked.
    const IDENTITY: [Self; 5] = [Self::Eq, Self::Ne, Self::In, Self::NotIn, Self::Exists];

    fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::NotIn)
    }

    fn orders(self) -> bool {
        matches!(self, Self::Lt | Self::Lte | Self::Gt | Self::Gte)
    }
}

impl Filter {
    /// The operators of conditions, as they are written.
    pub fn operators() -> impl Iterator<Item = &'static str> {
        Operator::ALL.into_iter().map(Operator::name)
    }

    /// The JSON form, without white space. Equal filters have equal texts.
    pub fn to_json(&self) -> String {
        // Only maps with string keys, and no number that is not finite: this can't fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether it asks which app a session is of: else sessions of every app with the same properties are alike.
    pub fn asks_for_the_app(&self) -> bool {
        self.0.any(&mut |condition| condition.field == Field::AppId)
    }

    /// The fields of its conditions, in their order.
    pub fn fields(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        self.0.any(&mut |condition| {
            fields.push(condition.field.clone());
            false
        });
        fields
    }

    /// A filter that holds where both hold.
    pub fn and(self, other: Self) -> Self {
        Self(Node::All(vec![self.0, other.0]))
    }

    /// Whether a session with these facts belongs to the segment.
    pub fn matches(&self, facts: &Facts) -> bool {
        evaluate::matches(&self.0, facts)
    }
}

impl Node {
    /// Whether this is true of a condition; none behind it is looked at.
    fn any(&self, is_true: &mut impl FnMut(&Condition) -> bool) -> bool {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(|node| node.any(is_true)),
            Self::Not(node) => node.any(is_true),
            Self::Condition(condition) => is_true(condition),
        }
    }
}

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        parse::field(text)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        parse::parse(text).map(Self)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        words::write(&self.0, f)
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::All(nodes) => map.serialize_entry("all", nodes)?,
            Self::Any(nodes) => map.serialize_entry("any", nodes)?,
            Self::Not(node) => map.serialize_entry("not", node)?,
            Self::Condition(condition) => {
                map.serialize_entry("field", &condition.field.to_string())?;
                map.serialize_entry("op", condition.op.name())?;
                match (condition.op, condition.values.as_slice()) {
                    // What `exists` means where nothing else is said.
                    (Operator::Exists, [Value::Bool(true)]) => {}
                    (op, [value]) if !op.takes_list() => map.serialize_entry("value", value)?,
                    (_, values) => map.serialize_entry("value", &List(values))?,
                }
            }
        }
        map.end()
    }
}

struct List<'a>(&'a [Value]);

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for value in self.0 {
            list.serialize_element(value)?;
        }
        list.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => number.serialize(serializer),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            r#"{"all":[]}"#,
            r#"{"not":{"any":[{"field":"country","op":"in","value":["BR","MX"]}]}}"#,
            r#"{"field":"attributes.a.b","op":"exists"}"#,
            r#"{"field":"attributes.a","op":"exists","value":false}"#,
            r#"{"field":"attributes.a","op":"not_in","value":["5",5,5.0,true]}"#,
            r#"{"field":"first_session","op":"eq","value":true}"#,
            r#"{"field":"app_version","op":"gte","value":"4.10"}"#,
            r#"{"field":"app_id","op":"in","value":["00dc3cf6-1763-5d5b-8264-db458aa346c3"]}"#,
        ] {
            let filter: Filter = text.parse().unwrap();
            assert_eq!(filter.to_json(), text);
        }
    }

    #[test]
    fn a_filter_says_whether_it_asks_for_the_app() {
        let app = r#"{"field":"app_id","op":"exists"}"#;
        let other = r#"{"field":"attributes.app_id","op":"exists"}"#;
        for (text, asks) in [
            (
                format!(r#"{{"all":[{other},{{"any":[{{"not":{app}}}]}}]}}"#),
                true,
            ),
            (app.to_owned(), true),
            (format!(r#"{{"all":[{other}]}}"#), false),
        ] {
            assert_eq!(text.parse::<Filter>().unwrap().asks_for_the_app(), asks, "{text}");
        }
    }

    #[test]
    fn white_space_capitals_and_order_of_members_make_no_difference() {
        let one: Filter = r#"{"field":"country","op":"eq","value":"BR"}"#.parse().unwrap();
        let two: Filter = r#" {"value":"br", "op":"eq", "field":"country"} "#.parse().unwrap();
        assert_eq!(one, two);
        let capitals = r#"{"field":"app_id","op":"eq","value":"00DC3CF6-1763-5D5B-8264-DB458AA346C3"}"#;
        let filter: Filter = capitals.parse().unwrap();
        assert!(filter.to_json().contains("00dc3cf6"));
    }
}
