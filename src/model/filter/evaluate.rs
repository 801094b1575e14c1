//! What a filter means.
//!
//! A missing field makes every condition false but `exists` and the negations `ne` and `not_in`, which are the exact
//! opposites of `eq` and `in`. Types never coerce: a number is never equal to, below or above a text.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::version::Version;
use super::{Condition, Field, Node, Operator, Value};
use crate::model::{AppId, SessionField, StoredProperties};

/// What a filter may ask about a session: its app, and the properties it was recorded with.
#[derive(Debug, Clone)]
pub struct Facts {
    app: String,
    properties: StoredProperties<String, HashMap<String, serde_json::Value>>,
}

impl Facts {
    /// From a session's app and the canonical text of its recorded properties.
    ///
    /// # Errors
    /// When the text is not what [`Properties`](crate::model::Properties) writes.
    pub fn read(app: AppId, properties: &str) -> Result<Self, serde_json::Error> {
        Ok(Self {
            app: app.to_string(),
            properties: serde_json::from_str(properties)?,
        })
    }

    /// What a field says; `None` where it is missing.
    pub fn get(&self, field: &Field) -> Option<Fact<'_>> {
        let recorded = &self.properties;
        let text = |field| recorded.get(field).map(|text| Fact::Text(text));
        match field {
            Field::AppId => Some(Fact::Text(&self.app)),
            Field::FirstSession => recorded.first_session.map(Fact::Bool),
            Field::Platform => text(SessionField::Platform),
            Field::OsVersion => text(SessionField::OsVersion),
            Field::AppVersion => text(SessionField::AppVersion),
            Field::DeviceModel => text(SessionField::DeviceModel),
            Field::Country => text(SessionField::Country),
            Field::Language => text(SessionField::Language),
            Field::Attribute(name) => match recorded.attributes.get(name.as_ref())? {
                serde_json::Value::String(text) => Some(Fact::Text(text)),
                serde_json::Value::Number(number) => Some(Fact::Number(number)),
                serde_json::Value::Bool(flag) => Some(Fact::Bool(*flag)),
                _ => None,
            },
        }
    }
}

/// What a field of a session says.
#[derive(Debug, Clone, Copy)]
pub enum Fact<'a> {
    /// A string, also an id.
    Text(&'a str),
    /// An integer or a fraction.
    Number(&'a serde_json::Number),
    /// `true` or `false`
    Bool(bool),
}

pub(super) fn matches(node: &Node, facts: &Facts) -> bool {
    match node {
        Node::All(nodes) => nodes.iter().all(|node| matches(node, facts)),
        Node::Any(nodes) => nodes.iter().any(|node| matches(node, facts)),
        Node::Not(node) => !matches(node, facts),
        Node::Condition(condition) => holds(condition, facts.get(&condition.field)),
    }
}

fn holds(condition: &Condition, fact: Option<Fact<'_>>) -> bool {
    let Condition { field, op, values } = condition;
    let version = field.is_version();
    let equal = || fact.is_some_and(|fact| values.iter().any(|value| equals(fact, value, version)));
    let order = || {
        fact.zip(values.first())
            .and_then(|(fact, value)| compare(fact, value, version))
    };
    let texts = || match (fact, values.first()) {
        (Some(Fact::Text(text)), Some(Value::Text(value))) => Some((text, value.as_ref())),
        _ => None,
    };
    match op {
        Operator::Eq | Operator::In => equal(),
        Operator::Ne | Operator::NotIn => !equal(),
        Operator::Exists => fact.is_some() == (values.first() != Some(&Value::Bool(false))),
        Operator::Lt => order().is_some_and(Ordering::is_lt),
        Operator::Lte => order().is_some_and(Ordering::is_le),
        Operator::Gt => order().is_some_and(Ordering::is_gt),
        Operator::Gte => order().is_some_and(Ordering::is_ge),
        Operator::Prefix => texts().is_some_and(|(text, value)| text.starts_with(value)),
        Operator::Contains => texts().is_some_and(|(text, value)| text.contains(value)),
    }
}

fn equals(fact: Fact<'_>, value: &Value, version: bool) -> bool {
    match (fact, value) {
        (Fact::Text(text), Value::Text(value)) if version => {
            Version::read(text).equals(&Version::read(value))
        }
        (Fact::Text(text), Value::Text(value)) => text == value.as_ref(),
        (Fact::Number(number), Value::Number(value)) => {
            compare_numbers(number, value) == Some(Ordering::Equal)
        }
        (Fact::Bool(flag), Value::Bool(value)) => flag == *value,
        _ => false,
    }
}

fn compare(fact: Fact<'_>, value: &Value, version: bool) -> Option<Ordering> {
    match (fact, value) {
        (Fact::Text(text), Value::Text(value)) if version => {
            Version::read(text).compare(&Version::read(value))
        }
        // By code point, which is how UTF-8 sorts.
        (Fact::Text(text), Value::Text(value)) => Some(text.cmp(value.as_ref())),
        (Fact::Number(number), Value::Number(value)) => compare_numbers(number, value),
        _ => None,
    }
}

/// Exactly, whether they are integers or fractions: 2^53 + 1 is above 2^53.
fn compare_numbers(one: &serde_json::Number, two: &serde_json::Number) -> Option<Ordering> {
    match (one.as_i128(), two.as_i128()) {
        (Some(one), Some(two)) => Some(one.cmp(&two)),
        (Some(one), None) => compare_to_float(one, two.as_f64()?),
        (None, Some(two)) => compare_to_float(two, one.as_f64()?).map(Ordering::reverse),
        (None, None) => one.as_f64()?.partial_cmp(&two.as_f64()?),
    }
}

fn compare_to_float(integer: i128, float: f64) -> Option<Ordering> {
    // Beyond 2^65 no integer of 64 bits reaches; below, the whole part fits.
    const FAR: f64 = 36_893_488_147_419_103_232.0;
    if float.abs() >= FAR {
        return 0.0.partial_cmp(&float);
    }
    let whole = float.trunc();
    let order = integer.cmp(&(whole as i128));
    Some(order.then_with(|| 0.0_f64.total_cmp(&(float - whole + 0.0))))
}

#[cfg(test)]
mod tests {
    use super::super::Filter;
    use super::*;

    const APP: &str = "00dc3cf6-1763-5d5b-8264-db458aa346c3";

    fn facts() -> Facts {
        let properties = r#"{"platform":"ios","os_version":"17.4.1","app_version":"4.10","country":"BR","attributes":{"a":"5","b":true,"big":9007199254740993,"f":2.5,"n":5,"neg":-3}}"#;
        Facts::read(APP.parse().unwrap(), properties).unwrap()
    }

    fn matches(filter: &str) -> bool {
        let filter: Filter = filter.parse().unwrap_or_else(|error| panic!("{filter}: {error}"));
        filter.matches(&facts())
    }

    fn condition(field: &str, op: &str, value: &str) -> bool {
        matches(&format!(r#"{{"field":"{field}","op":"{op}","value":{value}}}"#))
    }

    #[test]
    fn conditions_that_hold_and_their_opposites() {
        for (field, op, opposite, value) in [
            ("country", "eq", "ne", r#""BR""#),
            ("country", "in", "not_in", r#"["MX","br"]"#),
            ("app_id", "eq", "ne", &format!(r#""{APP}""#)),
            ("os_version", "eq", "ne", r#""17.4.1.0""#),
            ("attributes.n", "eq", "ne", "5"),
            ("attributes.n", "eq", "ne", "5.0"),
            ("attributes.b", "eq", "ne", "true"),
            ("attributes.a", "in", "not_in", r#"[5,"5"]"#),
            ("attributes.neg", "eq", "ne", "-3"),
            ("attributes.big", "eq", "ne", "9007199254740993"),
        ] {
            assert!(condition(field, op, value), "{field} {op} {value}");
            assert!(!condition(field, opposite, value), "{field} {opposite} {value}");
        }
    }

    #[test]
    fn order_is_total_within_a_type_and_false_across_types() {
        for (field, value, order) in [
            ("app_version", r#""4.9""#, Ordering::Greater),
            ("app_version", r#""4.10""#, Ordering::Equal),
            ("app_version", r#""4.11""#, Ordering::Less),
            ("platform", r#""j""#, Ordering::Less),
            ("attributes.a", r#""10""#, Ordering::Greater),
            ("attributes.n", "4.5", Ordering::Greater),
            ("attributes.n", "5", Ordering::Equal),
            ("attributes.n", "1e300", Ordering::Less),
            ("attributes.n", "-1e300", Ordering::Greater),
            ("attributes.f", "2", Ordering::Greater),
            ("attributes.f", "3", Ordering::Less),
            ("attributes.neg", "-3.5", Ordering::Greater),
            ("attributes.neg", "-2.5", Ordering::Less),
            ("attributes.big", "9007199254740992.0", Ordering::Greater),
        ] {
            assert_eq!(condition(field, "lt", value), order.is_lt(), "{field} lt {value}");
            assert_eq!(
                condition(field, "lte", value),
                order.is_le(),
                "{field} lte {value}"
            );
            assert_eq!(condition(field, "gt", value), order.is_gt(), "{field} gt {value}");
            assert_eq!(
                condition(field, "gte", value),
                order.is_ge(),
                "{field} gte {value}"
            );
        }
        for (field, value) in [
            ("attributes.a", "1"),
            ("attributes.n", r#""1""#),
            ("attributes.b", "0"),
            ("attributes.none", "0"),
            ("language", r#""a""#),
        ] {
            for op in ["lt", "lte", "gt", "gte"] {
                assert!(!condition(field, op, value), "{field} {op} {value}");
            }
        }
    }

    #[test]
    fn types_never_coerce() {
        for (field, value) in [
            ("attributes.a", "5"),
            ("attributes.n", r#""5""#),
            ("attributes.b", r#""true""#),
            ("attributes.b", "1"),
        ] {
            assert!(!condition(field, "eq", value), "{field} {value}");
            assert!(condition(field, "ne", value), "{field} {value}");
        }
        assert!(!condition("attributes.n", "prefix", r#""5""#));
        assert!(!condition("attributes.b", "contains", r#""r""#));
    }

    #[test]
    fn a_missing_field_leaves_only_the_negations() {
        for op in ["eq", "lt", "lte", "gt", "gte", "prefix", "contains"] {
            assert!(!condition("language", op, r#""""#), "{op}");
        }
        assert!(!condition("language", "in", r#"["pt"]"#));
        assert!(condition("language", "ne", r#""pt""#));
        assert!(condition("language", "not_in", r#"["pt"]"#));
        assert!(!condition("language", "exists", "true"));
        assert!(condition("language", "exists", "false"));
        assert!(!condition("first_session", "eq", "false"));
        assert!(matches(r#"{"not":{"field":"language","op":"eq","value":"pt"}}"#));
        assert!(matches(r#"{"field":"country","op":"exists"}"#));
    }

    #[test]
    fn groups() {
        assert!(matches(r#"{"all":[]}"#));
        assert!(!matches(r#"{"any":[]}"#));
        let (yes, no) = (
            r#"{"field":"platform","op":"prefix","value":"i"}"#,
            r#"{"field":"platform","op":"contains","value":"x"}"#,
        );
        assert!(matches(&format!(r#"{{"any":[{no},{yes}]}}"#)));
        assert!(!matches(&format!(r#"{{"all":[{no},{yes}]}}"#)));
        assert!(matches(&format!(r#"{{"all":[{{"not":{no}}},{yes}]}}"#)));
    }
}
