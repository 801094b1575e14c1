//! What is known about a user and goes into every later session of theirs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::properties::{MAX_NAME_BYTES, MAX_VALUE_BYTES, Properties, write_json_string, write_value};
use super::{AttributeValue, MAX_IDENTITY_BYTES};

/// Attributes a user may have.
pub const MAX_USER_ATTRIBUTES: usize = 32;

/// Why an update of a user's attributes is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserUpdateError {
    /// Empty or too long.
    #[error("'external_id' must have 1 to {MAX_IDENTITY_BYTES} bytes, received {0}")]
    UserLength(usize),
    /// A name is empty or too long.
    #[error("an attribute's name must have 1 to {MAX_NAME_BYTES} bytes, received {0}")]
    Name(usize),
    /// A text is too long.
    #[error("'{name}' must have at most {MAX_VALUE_BYTES} bytes, received {bytes}")]
    ValueLength {
        /// The attribute's name.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// A name stands twice.
    #[error("'{0}' is given twice")]
    Twice(String),
}

/// Changes to one user's attributes. One that exists is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserUpdate {
    user_id: Box<str>,
    /// JSON values by name; `None` removes.
    changes: BTreeMap<Box<str>, Option<Box<str>>>,
}

impl UserUpdate {
    /// Checks the id, the names and the values; `None` in a value's place removes the attribute.
    ///
    /// # Errors
    /// The first limit that is broken.
    pub fn new<'a>(
        user_id: &str,
        changes: impl IntoIterator<Item = (Cow<'a, str>, Option<AttributeValue<'a>>)>,
    ) -> Result<Self, UserUpdateError> {
        if !(1..=MAX_IDENTITY_BYTES).contains(&user_id.len()) {
            return Err(UserUpdateError::UserLength(user_id.len()));
        }
        let mut checked = BTreeMap::new();
        for (name, value) in changes {
            if !(1..=MAX_NAME_BYTES).contains(&name.len()) {
                return Err(UserUpdateError::Name(name.len()));
            }
            if let Some(AttributeValue::Text(text)) = &value
                && text.len() > MAX_VALUE_BYTES
            {
                let (name, bytes) = (name.into_owned(), text.len());
                return Err(UserUpdateError::ValueLength { name, bytes });
            }
            let text = value.map(|value| {
                let mut text = String::new();
                write_value(&mut text, &value);
                text.into_boxed_str()
            });
            if checked.insert(name.as_ref().into(), text).is_some() {
                return Err(UserUpdateError::Twice(name.into_owned()));
            }
        }
        Ok(Self {
            user_id: user_id.into(),
            changes: checked,
        })
    }

    /// Whose.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }
}

/// A user's attributes in canonical form: a JSON object without white space, its members sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAttributes(Box<str>);

impl Default for UserAttributes {
    fn default() -> Self {
        Self("{}".into())
    }
}

type Members<'a> = BTreeMap<Cow<'a, str>, &'a str>;

impl UserAttributes {
    /// From a store, which keeps what [`UserAttributes::as_str`] wrote.
    pub fn from_stored(text: String) -> Self {
        Self(text.into())
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        &*self.0 == "{}"
    }

    /// These attributes after an update; `None` if they would be more than [`MAX_USER_ATTRIBUTES`].
    pub fn updated(&self, update: &UserUpdate) -> Option<Self> {
        let mut members = members(&self.0);
        for (name, value) in &update.changes {
            match value {
                Some(value) => _ = members.insert(Cow::Borrowed(name), value),
                None => _ = members.remove(name.as_ref()),
            }
        }
        (members.len() <= MAX_USER_ATTRIBUTES).then(|| {
            let mut text = String::new();
            write_members(&mut text, &members);
            Self(text.into())
        })
    }
}

impl Properties {
    /// These properties as they are recorded: with the attributes of the user, of which the session's own win,
    /// and with whether this is the first session of its user, if there is one. In canonical form again.
    pub fn recorded(&self, first_session: Option<bool>, user: &UserAttributes) -> String {
        let own = self.as_str();
        let mut text = if user.is_empty() {
            own.to_owned()
        } else {
            merged(own, user.as_str())
        };
        if let Some(first) = first_session {
            text.pop();
            let comma = if text.len() > 1 { "," } else { "" };
            text.push_str(&format!(r#"{comma}"first_session":{first}}}"#));
        }
        text
    }
}

/// Attributes stand last in the canonical form.
fn merged(own: &str, user: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Own<'a> {
        #[serde(borrow, default)]
        attributes: Option<&'a RawValue>,
    }
    let attributes = serde_json::from_str::<Own<'_>>(own)
        .ok()
        .and_then(|own| own.attributes)
        .map_or("{}", RawValue::get);
    let mut all = members(user);
    all.extend(members(attributes));
    let head = match own.strip_suffix('}').and_then(|own| own.strip_suffix(attributes)) {
        Some(fields) => fields.to_owned(),
        None => {
            let fields = own.strip_suffix('}').unwrap_or("{");
            let comma = if fields.len() > 1 { "," } else { "" };
            format!(r#"{fields}{comma}"attributes":"#)
        }
    };
    let mut text = head;
    write_members(&mut text, &all);
    text.push('}');
    text
}

/// The members of a canonical object; the values as they are written.
fn members(object: &str) -> Members<'_> {
    #[derive(serde::Deserialize)]
    #[serde(transparent)]
    struct Object<'a>(#[serde(borrow)] BTreeMap<NameText<'a>, &'a RawValue>);
    #[derive(PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
    struct NameText<'a>(#[serde(borrow)] Cow<'a, str>);
    // What is not an object has no members; only our own canonical texts come here.
    let object: Option<Object<'_>> = serde_json::from_str(object).ok();
    object
        .into_iter()
        .flat_map(|object| object.0)
        .map(|(name, value)| (name.0, value.get()))
        .collect()
}

fn write_members(text: &mut String, members: &Members<'_>) {
    text.push('{');
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_json_string(text, name);
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PropertyFields;

    fn text(value: &str) -> Option<AttributeValue<'_>> {
        Some(AttributeValue::Text(value.into()))
    }

    fn update(changes: Vec<(&'static str, Option<AttributeValue<'static>>)>) -> UserUpdate {
        UserUpdate::new("u", changes.into_iter().map(|(name, value)| (name.into(), value))).unwrap()
    }

    #[test]
    fn updates_add_replace_and_remove() {
        let none = UserAttributes::default();
        let some = none
            .updated(&update(vec![
                ("plan", text("pro")),
                ("b\"", Some(AttributeValue::Bool(true))),
            ]))
            .unwrap();
        assert_eq!(some.as_str(), r#"{"b\"":true,"plan":"pro"}"#);
        let other = some
            .updated(&update(vec![
                ("plan", text("free")),
                ("b\"", None),
                ("gone", None),
            ]))
            .unwrap();
        assert_eq!(other.as_str(), r#"{"plan":"free"}"#);
        assert!(other.updated(&update(vec![("plan", None)])).unwrap().is_empty());
    }

    #[test]
    fn a_user_has_at_most_32_attributes() {
        let names: Vec<String> = (0..33).map(|number| format!("a{number}")).collect();
        let change = |range: std::ops::Range<usize>, value: fn() -> Option<AttributeValue<'static>>| {
            let changes = names[range]
                .iter()
                .map(|name| (Cow::Borrowed(name.as_str()), value()));
            UserUpdate::new("u", changes).unwrap()
        };
        let full = UserAttributes::default()
            .updated(&change(0..32, || text("x")))
            .unwrap();
        assert_eq!(full.updated(&change(32..33, || text("x"))), None);
        let less = full.updated(&change(0..1, || None)).unwrap();
        assert!(less.updated(&change(32..33, || text("x"))).is_some());
    }

    #[test]
    fn limits_name_what_breaks_them() {
        let error = |user: &str, name: &str, value: Option<AttributeValue<'_>>| {
            UserUpdate::new(user, [(Cow::from(name.to_owned()), value)])
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error("", "a", None),
            "'external_id' must have 1 to 256 bytes, received 0"
        );
        assert_eq!(
            error("u", "", None),
            "an attribute's name must have 1 to 64 bytes, received 0"
        );
        assert_eq!(
            error("u", "a", text(&"x".repeat(257))),
            "'a' must have at most 256 bytes, received 257"
        );
        let twice = UserUpdate::new("u", [("a".into(), None), ("a".into(), text("x"))]);
        assert_eq!(twice.unwrap_err().to_string(), "'a' is given twice");
    }

    #[test]
    fn recorded_properties_are_the_sessions_own_before_the_users() {
        let own = |attributes: Vec<(&'static str, AttributeValue<'static>)>, platform| {
            let fields = PropertyFields {
                platform,
                ..Default::default()
            };
            let attributes = attributes.into_iter().map(|(name, value)| (name.into(), value));
            Properties::new(&fields, attributes.collect()).unwrap()
        };
        let user = UserAttributes::default()
            .updated(&update(vec![("a", text("user")), ("c", text("user"))]))
            .unwrap();
        let none = UserAttributes::default();
        let attributes = || {
            vec![
                ("b", AttributeValue::Bool(true)),
                ("a", AttributeValue::Number(1.into())),
            ]
        };
        let full = own(attributes(), Some("i}os"));
        assert_eq!(
            full.recorded(Some(true), &user),
            r#"{"platform":"i}os","attributes":{"a":1,"b":true,"c":"user"},"first_session":true}"#
        );
        assert_eq!(
            own(attributes(), None).recorded(None, &user),
            r#"{"attributes":{"a":1,"b":true,"c":"user"}}"#
        );
        assert_eq!(
            own(vec![], Some("ios")).recorded(Some(false), &user),
            r#"{"platform":"ios","attributes":{"a":"user","c":"user"},"first_session":false}"#
        );
        assert_eq!(
            own(vec![], None).recorded(None, &user),
            r#"{"attributes":{"a":"user","c":"user"}}"#
        );
        assert_eq!(full.recorded(None, &none), full.as_str());
        assert_eq!(
            own(vec![], None).recorded(Some(false), &none),
            r#"{"first_session":false}"#
        );
    }
}
