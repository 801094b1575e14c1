//! OTLP as JSON, read as generously as clients write it: numbers as numbers or texts, names in camelCase or with
//! underscores, members that are not known, `null` for what is absent.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::OtlpError;
use super::event::{Attributes, EVENTS, Gatherer, Record, Value};
use crate::collect::json::cut;
use crate::collect::scalar::{Name, Scalar};

/// A member's name in both spellings.
type Spellings = [&'static str; 2];
const RESOURCE_LOGS: Spellings = ["resourceLogs", "resource_logs"];
const SCOPE_LOGS: Spellings = ["scopeLogs", "scope_logs"];
const LOG_RECORDS: Spellings = ["logRecords", "log_records"];

/// Walks an `ExportLogsServiceRequest`.
pub(super) fn read(body: &[u8], gatherer: &mut Gatherer<'_>) -> Result<(), OtlpError> {
    let text = std::str::from_utf8(body)
        .map_err(|error| OtlpError::Json(format!("byte {} is not UTF-8", error.valid_up_to())))?;
    resource_logs(text, gatherer).map_err(|error| OtlpError::Json(cut(&error)))
}

fn resource_logs(text: &str, gatherer: &mut Gatherer<'_>) -> serde_json::Result<()> {
    each(text, RESOURCE_LOGS, |item| {
        // Its members may stand in any order, so the resource is looked for first.
        let resource = serde_json::from_str::<Logs<'_>>(item)?
            .resource
            .unwrap_or_default();
        let resource = resource.attributes.unwrap_or_default();
        each(item, SCOPE_LOGS, |item| {
            each(item, LOG_RECORDS, |item| {
                let record = serde_json::from_str(item).and_then(WireRecord::into_record);
                match record {
                    Ok(record) => gatherer.take(&resource, &record),
                    Err(error) => gatherer.refuse(concerns_sessions(item), &cut(&error)),
                }
                Ok(())
            })
        })
    })
}

/// Whether a record that can't be read may be one of ours. Most are other people's, and may be as they like.
fn concerns_sessions(record: &str) -> bool {
    EVENTS.iter().any(|event| record.contains(event))
}

/// Calls for each item of the array that is this member of an object.
fn each(
    object: &str,
    member: Spellings,
    call: impl FnMut(&str) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    let mut reader = serde_json::Deserializer::from_str(object);
    reader.deserialize_map(Member { member, call })?;
    reader.end()
}

struct Member<F> {
    member: Spellings,
    call: F,
}

impl<'de, F: FnMut(&str) -> serde_json::Result<()>> Visitor<'de> for Member<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with an array '{}'", self.member[0])
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = members.next_key()? {
            if self.member.contains(&name.as_ref()) {
                members.next_value_seed(Items(&mut self.call))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Items<'f, F>(&'f mut F);

impl<'de, F: FnMut(&str) -> serde_json::Result<()>> DeserializeSeed<'de> for Items<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(&str) -> serde_json::Result<()>> Visitor<'de> for Items<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&RawValue>()? {
            (self.0)(item.get()).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Logs<'a> {
    #[serde(borrow)]
    resource: Option<Resource<'a>>,
}

#[derive(Default, serde::Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    attributes: Option<Attributes<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRecord<'a> {
    #[serde(borrow, alias = "event_name")]
    event_name: Option<Scalar<'a>>,
    #[serde(borrow, alias = "time_unix_nano")]
    time_unix_nano: Option<Scalar<'a>>,
    #[serde(borrow, alias = "observed_time_unix_nano")]
    observed_time_unix_nano: Option<Scalar<'a>>,
    #[serde(borrow)]
    attributes: Option<Attributes<'a>>,
}

impl<'a> WireRecord<'a> {
    fn into_record(self) -> serde_json::Result<Record<'a>> {
        let event_name = match self.event_name {
            Some(Scalar::Text(text)) => Some(text),
            _ => None,
        };
        Ok(Record {
            event_name,
            time_unix_nano: nanos("timeUnixNano", self.time_unix_nano)?,
            observed_time_unix_nano: nanos("observedTimeUnixNano", self.observed_time_unix_nano)?,
            attributes: self.attributes.unwrap_or_default(),
        })
    }
}

fn nanos(name: &str, value: Option<Scalar<'_>>) -> serde_json::Result<u64> {
    let Some(value) = value.filter(|value| *value != Scalar::Null) else {
        return Ok(0);
    };
    let number = match &value {
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        _ => None,
    };
    number.ok_or_else(|| {
        serde_json::Error::custom(format!(
            "'{name}' must be nanoseconds since 1970, a whole number as a string, received {value}"
        ))
    })
}

/// Nanoseconds of today have 19 digits, which some write as 1.7e18.
fn whole(number: f64) -> Option<u64> {
    (0.0..1e19).contains(&number).then_some(number as u64)
}

impl<'de: 'a, 'a> Deserialize<'de> for Attributes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(AttributesVisitor)
    }
}

struct AttributesVisitor;

impl<'de> Visitor<'de> for AttributesVisitor {
    type Value = Attributes<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of attributes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut attributes = Attributes::default();
        while let Some(WireAttribute { key, value }) = items.next_element()? {
            let Some(Scalar::Text(name)) = key else { continue };
            attributes.push(name, value.map_or(Value::Other, WireValue::into_value));
        }
        Ok(attributes)
    }
}

#[derive(serde::Deserialize)]
struct WireAttribute<'a> {
    #[serde(borrow)]
    key: Option<Scalar<'a>>,
    #[serde(borrow)]
    value: Option<WireValue<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireValue<'a> {
    #[serde(borrow, alias = "string_value")]
    string_value: Option<Text<'a>>,
    #[serde(borrow, alias = "bool_value")]
    bool_value: Option<Scalar<'a>>,
    #[serde(borrow, alias = "int_value")]
    int_value: Option<Scalar<'a>>,
    #[serde(borrow, alias = "double_value")]
    double_value: Option<Scalar<'a>>,
}

impl<'a> WireValue<'a> {
    fn into_value(self) -> Value<'a> {
        if let Some(Text(Some(text))) = self.string_value {
            return Value::Text(text);
        }
        let integer = match self.int_value {
            Some(Scalar::Number(number)) => number.as_i64(),
            Some(Scalar::Text(text)) => text.parse().ok(),
            _ => None,
        };
        let double = match self.double_value {
            Some(Scalar::Number(number)) => number.as_f64(),
            Some(Scalar::Text(text)) => text.parse().ok(),
            _ => None,
        };
        match (self.bool_value, integer, double) {
            (Some(Scalar::Bool(flag)), ..) => Value::Bool(flag),
            (_, Some(number), _) => Value::Integer(number),
            (_, _, Some(number)) => Value::Double(number),
            _ => Value::Other,
        }
    }
}

/// A text; none where something else stands. JavaScript cuts texts in the middle of a character and writes `\ud83d`: that
/// half becomes a replacement character instead of making all of the body unreadable.
struct Text<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?.get();
        if !raw.starts_with('"') {
            return Ok(Self(None));
        }
        if let Ok(Name(text)) = serde_json::from_str(raw) {
            return Ok(Self(Some(text)));
        }
        let mut reader = serde_json::Deserializer::from_str(raw);
        let text = reader.deserialize_bytes(LossyText).map_err(D::Error::custom)?;
        Ok(Self(Some(Cow::Owned(text))))
    }
}

struct LossyText;

impl Visitor<'_> for LossyText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}
