//! A session's values as text.

use std::borrow::Cow;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{Millis, Session, SessionField, StoredProperties};

#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The properties of a session one by one.
pub(super) struct PropertyTexts<'a>(StoredProperties<Text<'a>, Option<&'a RawValue>>);

impl<'a> PropertyTexts<'a> {
    pub(super) fn of(session: &'a Session) -> anyhow::Result<Self> {
        serde_json::from_str(session.properties().as_str())
            .map(Self)
            .with_context(|| format!("the properties of session '{}' are damaged", session.session_id()))
    }

    /// The fields, in the order of the columns, and the attributes as a JSON object.
    pub(super) fn list(&self) -> impl Iterator<Item = Option<&str>> {
        let Self(properties) = self;
        let fields = SessionField::PROPERTIES.into_iter();
        fields
            .map(|field| properties.get(field).map(|Text(text)| text.as_ref()))
            .chain([properties.attributes.map(RawValue::get)])
    }
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn instant(millis: Millis) -> anyhow::Result<String> {
    Ok(jiff::Timestamp::from_millisecond(millis)?.to_string())
}

/// Seconds, to the millisecond.
pub(super) fn seconds(millis: u32) -> String {
    let (whole, rest) = (millis / 1000, millis % 1000);
    match rest {
        0 => whole.to_string(),
        rest => format!("{whole}.{rest:03}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_milliseconds() {
        assert_eq!(instant(1_530_248_399_000).unwrap(), "2018-06-29T04:59:59Z");
        assert_eq!(instant(1_530_248_399_007).unwrap(), "2018-06-29T04:59:59.007Z");
        for (millis, text) in [
            (0, "0"),
            (7, "0.007"),
            (1_000, "1"),
            (12_250, "12.25"),
            (604_800_000, "604800"),
        ] {
            assert_eq!(seconds(millis), text);
        }
    }
}
