//! OTLP as JSON, read as generously as clients write it: numbers as numbers or texts, names in camelCase or with
//! underscores, members that are not known, `null` for what is absent.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::OtlpError;
use super::event::{Attributes, Body, Gatherer, MAX_BODY, Record, Value};
use super::naming::concerns_sessions;
use crate::collect::json::cut;
use crate::collect::scalar::{Lenient, LossyText, Scalar};

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
                    // Most are other people's, and may be as they like.
                    Err(error) => gatherer.refuse(concerns_sessions(item), &cut(&error)),
                }
                Ok(())
            })
        })
    })
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
        while let Some(LossyText(name)) = members.next_key()? {
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
    event_name: Option<Lenient<'a>>,
    #[serde(borrow)]
    name: Option<Lenient<'a>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow, alias = "time_unix_nano")]
    time_unix_nano: Option<Scalar<'a>>,
    #[serde(borrow, alias = "observed_time_unix_nano")]
    observed_time_unix_nano: Option<Scalar<'a>>,
    #[serde(borrow)]
    attributes: Option<Attributes<'a>>,
}

impl<'a> WireRecord<'a> {
    fn into_record(self) -> serde_json::Result<Record<'a>> {
        Ok(Record {
            event_name: text(self.event_name),
            name: text(self.name),
            body: self.body.map(|body| read_body(body.get())).unwrap_or_default(),
            time_unix_nano: nanos("timeUnixNano", self.time_unix_nano)?,
            observed_time_unix_nano: nanos("observedTimeUnixNano", self.observed_time_unix_nano)?,
            attributes: self.attributes.unwrap_or_default(),
        })
    }
}

fn text(value: Option<Lenient<'_>>) -> Option<Cow<'_, str>> {
    match value {
        Some(Lenient(Scalar::Text(text))) => Some(text),
        _ => None,
    }
}

/// A text may stand where the protocol has a value of any type. What can't be read says nothing.
fn read_body(json: &str) -> Body<'_> {
    if json.len() > MAX_BODY {
        return Body::Other;
    }
    let value = if json.starts_with('"') {
        serde_json::from_str(json).map(|LossyText(text)| Body::Text(text))
    } else {
        serde_json::from_str(json).map(WireBody::into_body)
    };
    value.unwrap_or_default()
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireBody<'a> {
    #[serde(borrow, alias = "string_value")]
    string_value: Option<Lenient<'a>>,
    #[serde(borrow, alias = "kvlist_value")]
    kvlist_value: Option<Map<'a>>,
}

#[derive(serde::Deserialize)]
struct Map<'a> {
    #[serde(borrow)]
    values: Option<Attributes<'a>>,
}

impl<'a> WireBody<'a> {
    fn into_body(self) -> Body<'a> {
        match (text(self.string_value), self.kvlist_value) {
            (Some(text), _) => Body::Text(text),
            (None, Some(Map { values: Some(values) })) => Body::Map(values),
            _ => Body::Other,
        }
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
            let Some(name) = text(key) else { continue };
            let value = value.and_then(|value| serde_json::from_str::<WireValue<'_>>(value.get()).ok());
            attributes.push(name, value.map_or(Value::Other, WireValue::into_value));
        }
        Ok(attributes)
    }
}

#[derive(serde::Deserialize)]
struct WireAttribute<'a> {
    #[serde(borrow)]
    key: Option<Lenient<'a>>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireValue<'a> {
    #[serde(borrow, alias = "string_value")]
    string_value: Option<Lenient<'a>>,
    #[serde(borrow, alias = "bool_value")]
    bool_value: Option<Lenient<'a>>,
    #[serde(borrow, alias = "int_value")]
    int_value: Option<Lenient<'a>>,
    #[serde(borrow, alias = "double_value")]
    double_value: Option<Lenient<'a>>,
}

impl<'a> WireValue<'a> {
    fn into_value(self) -> Value<'a> {
        if let Some(text) = text(self.string_value) {
            return Value::Text(text);
        }
        let integer = match self.int_value {
            Some(Lenient(Scalar::Number(number))) => number.as_i64(),
            Some(Lenient(Scalar::Text(text))) => text.parse().ok(),
            _ => None,
        };
        let double = match self.double_value {
            Some(Lenient(Scalar::Number(number))) => number.as_f64(),
            Some(Lenient(Scalar::Text(text))) => text.parse().ok(),
            _ => None,
        };
        match (self.bool_value, integer, double) {
            (Some(Lenient(Scalar::Bool(flag))), ..) => Value::Bool(flag),
            (_, Some(number), _) => Value::Integer(number),
            (_, _, Some(number)) => Value::Double(number),
            _ => Value::Other,
        }
    }
}
