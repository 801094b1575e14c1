//! Properties and attributes as stores keep them, and whether a text is one that this program wrote.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::SessionField;

/// The members of properties in canonical form: the fields as `T`, the attributes as `A`. What a newer version added is
/// passed over.
#[derive(Debug, Clone, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>, A: Deserialize<'de> + Default"))]
pub struct StoredProperties<T, A> {
    platform: Option<T>,
    os_version: Option<T>,
    app_version: Option<T>,
    device_model: Option<T>,
    country: Option<T>,
    language: Option<T>,
    /// The session's own, and those that its user had.
    #[serde(default)]
    pub attributes: A,
    /// Whether it was the first session of its person.
    pub first_session: Option<bool>,
}

impl<T, A> StoredProperties<T, A> {
    /// The value of a field, if it is a property.
    pub fn get(&self, field: SessionField) -> Option<&T> {
        match field {
            SessionField::Platform => self.platform.as_ref(),
            SessionField::OsVersion => self.os_version.as_ref(),
            SessionField::AppVersion => self.app_version.as_ref(),
            SessionField::DeviceModel => self.device_model.as_ref(),
            SessionField::Country => self.country.as_ref(),
            SessionField::Language => self.language.as_ref(),
            _ => None,
        }
    }
}

/// Whether a store's text is a combination of properties, as sessions are recorded with.
pub fn is_stored_properties(text: &str) -> bool {
    let is_property = |(name, value): (&String, &Value)| match name.as_str() {
        "attributes" => value
            .as_object()
            .is_some_and(|members| members.values().all(is_scalar)),
        "first_session" => value.is_boolean(),
        name => value.is_string() && SessionField::named(name).is_some_and(SessionField::is_property),
    };
    serde_json::from_str::<HashMap<String, Value>>(text).is_ok_and(|members| members.iter().all(is_property))
}

/// Whether a store's text is a combination of users' attributes.
pub fn is_stored_attributes(text: &str) -> bool {
    serde_json::from_str::<HashMap<String, Value>>(text).is_ok_and(|members| members.values().all(is_scalar))
}

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_was_not_is_refused() {
        for good in [
            "{}",
            r#"{"platform":"i\"os","attributes":{"a":1,"b":true,"c":"x"},"first_session":true}"#,
        ] {
            assert!(is_stored_properties(good), "{good}");
        }
        for bad in [
            "",
            "{",
            "[]",
            "null",
            r#"{"platform":"ios"#,
            r#"{"pl`tform":"ios"}"#,
            r#"{"platform":1}"#,
            "{\"platform\":\"i\nos\"}",
            r#"{"attributes":{"a":[]}}"#,
            r#"{"attributes":{"a":null}}"#,
            r#"{"first_session":"yes"}"#,
            "{} {}",
        ] {
            assert!(!is_stored_properties(bad), "{bad}");
        }
        assert!(is_stored_attributes(r#"{"plan":"pro","n":0.1}"#) && is_stored_attributes("{}"));
        assert!(!is_stored_attributes(r#"{"plan":{}}"#) && !is_stored_attributes(r#"{"plan""#));
    }
}
