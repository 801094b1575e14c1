//! What a session says about where it happened: platform, versions, device, place and attributes.
//!
//! Thousands of sessions share one combination, so stores keep each combination once. Two combinations
//! are the same if and only if their canonical texts are.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::SessionField;

/// Attributes a session may have.
pub const MAX_ATTRIBUTES: usize = 32;
/// Attributes that a recorded session may have: its own and those of its user.
pub const MAX_RECORDED_ATTRIBUTES: usize = MAX_ATTRIBUTES + super::MAX_USER_ATTRIBUTES;
const MAX_FIELD_BYTES: usize = 64;
/// Longest name of an attribute.
pub const MAX_NAME_BYTES: usize = 64;
/// Longest text of an attribute.
pub const MAX_VALUE_BYTES: usize = 256;

/// Why a property is refused. The message names it and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// One of the six fields is too long.
    #[error("'{field}' must have at most {MAX_FIELD_BYTES} bytes, received {bytes}")]
    FieldLength {
        /// Its name.
        field: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// Not two letters.
    #[error("'country' must be an ISO 3166-1 alpha-2 code such as BR, received '{0}'")]
    Country(String),
    /// Not a language tag.
    #[error("'language' must be a BCP 47 tag such as pt-BR, received '{0}'")]
    Language(String),
    /// Too many.
    #[error("'attributes' must have at most {limit} entries, received {count}")]
    AttributeCount {
        /// How many there may be.
        limit: usize,
        /// How many there are.
        count: usize,
    },
    /// A name is empty or too long.
    #[error("a name in 'attributes' must have 1 to {MAX_NAME_BYTES} bytes, received {0}")]
    AttributeName(usize),
    /// A text is too long.
    #[error("'attributes.{name}' must have at most {MAX_VALUE_BYTES} bytes, received {bytes}")]
    AttributeLength {
        /// Its name.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// A name stands twice.
    #[error("'attributes.{0}' is given twice")]
    AttributeTwice(String),
}

/// The six fields, as they were received.
#[derive(Debug, Clone, Copy, Default)]
pub struct PropertyFields<'a> {
    /// For example `ios`.
    pub platform: Option<&'a str>,
    /// For example `17.4.1`.
    pub os_version: Option<&'a str>,
    /// For example `4.10`.
    pub app_version: Option<&'a str>,
    /// For example `iPhone15,3`.
    pub device_model: Option<&'a str>,
    /// ISO 3166-1 alpha-2, either case.
    pub country: Option<&'a str>,
    /// BCP 47.
    pub language: Option<&'a str>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue<'a> {
    /// Up to 256 bytes.
    Text(Cow<'a, str>),
    /// An integer or a finite fraction.
    Number(serde_json::Number),
    /// `true` or `false`.
    Bool(bool),
}

/// A combination of properties in canonical form: a JSON object without white space whose members
/// stand in a fixed order (the fields, then `attributes` by name); what is absent is left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Properties(Box<str>);

impl Properties {
    /// Checks the fields and attributes and puts them into canonical form.
    ///
    /// # Errors
    /// The first property that breaks a limit.
    pub fn new<'a>(
        fields: &PropertyFields<'a>,
        attributes: Vec<(Cow<'a, str>, AttributeValue<'a>)>,
    ) -> Result<Self, PropertyError> {
        Self::with_limit(fields, attributes, MAX_ATTRIBUTES)
    }

    /// The same, with as many attributes as `limit` says.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_limit<'a>(
        fields: &PropertyFields<'a>,
        mut attributes: Vec<(Cow<'a, str>, AttributeValue<'a>)>,
        limit: usize,
    ) -> Result<Self, PropertyError> {
        let mut text = String::with_capacity(128);
        text.push('{');
        write_field(&mut text, SessionField::Platform, fields.platform)?;
        write_field(&mut text, SessionField::OsVersion, fields.os_version)?;
        write_field(&mut text, SessionField::AppVersion, fields.app_version)?;
        write_field(&mut text, SessionField::DeviceModel, fields.device_model)?;
        let country = fields.country.map(canonical_country).transpose()?;
        write_field(&mut text, SessionField::Country, country.as_deref())?;
        if let Some(language) = fields
            .language
            .filter(|tag| tag.len() <= MAX_FIELD_BYTES && !is_language_tag(tag))
        {
            return Err(PropertyError::Language(language.to_owned()));
        }
        write_field(&mut text, SessionField::Language, fields.language)?;
        if attributes.len() > limit {
            let count = attributes.len();
            return Err(PropertyError::AttributeCount { limit, count });
        }
        if !attributes.is_empty() {
            attributes.sort_by(|(one, _), (two, _)| one.cmp(two));
            write_attributes(&mut text, &attributes)?;
        }
        text.push('}');
        Ok(Self(text.into_boxed_str()))
    }

    /// From the canonical text that a store kept, but for what the store itself found out about the session.
    pub fn from_stored(content: &str) -> Self {
        // That member always stands last, and nothing else that stands last ends like this.
        let own = [r#""first_session":true}"#, r#""first_session":false}"#]
            .iter()
            .find_map(|found| content.strip_suffix(found));
        Self(match own {
            Some(own) => format!("{}}}", own.strip_suffix(',').unwrap_or(own)).into_boxed_str(),
            None => content.into(),
        })
    }

    /// The same without attributes.
    #[must_use]
    pub fn without_attributes(&self) -> Self {
        // Quotes within texts are escaped, so this stands nowhere but where the last member begins.
        match self.0.split_once(r#""attributes":{"#) {
            None => self.clone(),
            Some((fields, _)) => {
                let fields = fields.strip_suffix(',').unwrap_or(fields);
                Self(format!("{fields}}}").into_boxed_str())
            }
        }
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn write_field(text: &mut String, field: SessionField, value: Option<&str>) -> Result<(), PropertyError> {
    // Many SDKs send an empty text for what they don't know.
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(());
    };
    if value.len() > MAX_FIELD_BYTES {
        return Err(PropertyError::FieldLength {
            field: field.name(),
            bytes: value.len(),
        });
    }
    if text.len() > 1 {
        text.push(',');
    }
    text.push('"');
    text.push_str(field.name());
    text.push_str("\":");
    write_json_string(text, value);
    Ok(())
}

fn write_attributes(
    text: &mut String,
    attributes: &[(Cow<'_, str>, AttributeValue<'_>)],
) -> Result<(), PropertyError> {
    text.push_str(if text.len() > 1 {
        ",\"attributes\":{"
    } else {
        "\"attributes\":{"
    });
    let mut previous: Option<&str> = None;
    for (name, value) in attributes {
        if !(1..=MAX_NAME_BYTES).contains(&name.len()) {
            return Err(PropertyError::AttributeName(name.len()));
        }
        if previous == Some(name) {
            return Err(PropertyError::AttributeTwice(name.clone().into_owned()));
        }
        if previous.is_some() {
            text.push(',');
        }
        previous = Some(name);
        write_json_string(text, name);
        text.push(':');
        match value {
            AttributeValue::Text(value) if value.len() > MAX_VALUE_BYTES => {
                return Err(PropertyError::AttributeLength {
                    name: name.clone().into_owned(),
                    bytes: value.len(),
                });
            }
            value => write_value(text, value),
        }
    }
    text.push('}');
    Ok(())
}

pub(super) fn write_value(text: &mut String, value: &AttributeValue<'_>) {
    match value {
        AttributeValue::Text(value) => write_json_string(text, value),
        // Writing to a String can't fail.
        AttributeValue::Number(number) => _ = write!(text, "{number}"),
        AttributeValue::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
    }
}

/// Escapes only what JSON demands, so that equal strings have equal texts.
pub(super) fn write_json_string(text: &mut String, value: &str) {
    text.push('"');
    if value
        .bytes()
        .any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
    {
        for character in value.chars() {
            match character {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                control if (control as u32) < 0x20 => _ = write!(text, "\\u{:04x}", control as u32),
                other => text.push(other),
            }
        }
    } else {
        text.push_str(value);
    }
    text.push('"');
}

fn canonical_country(code: &str) -> Result<Cow<'_, str>, PropertyError> {
    if code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(PropertyError::Country(code.chars().take(100).collect()));
    }
    Ok(if code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Cow::Borrowed(code)
    } else {
        Cow::Owned(code.to_ascii_uppercase())
    })
}

/// The shape of BCP 47: a primary subtag of 2 to 8 letters (or `x`/`i`), then subtags of 1 to 8
/// letters and digits. Whether each subtag is registered is not checked.
fn is_language_tag(tag: &str) -> bool {
    let mut subtags = tag.split('-');
    let primary = subtags.next().unwrap_or_default();
    let rest_needed = matches!(primary, "x" | "X" | "i" | "I");
    let primary_fits = rest_needed
        || ((2..=8).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let mut rest = 0;
    for subtag in subtags {
        rest += 1;
        if !(1..=8).contains(&subtag.len()) || !subtag.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return false;
        }
    }
    primary_fits && (rest > 0 || !rest_needed)
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
