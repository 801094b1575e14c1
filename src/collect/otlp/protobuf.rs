//! OTLP as protocol buffers. The numbers are those of the fields in `opentelemetry/proto/logs/v1/logs.proto`.

use std::borrow::Cow;

use super::event::{Attributes, Body, Gatherer, MAX_BODY, Record, Value};
use crate::collect::protobuf::{Field, Fields, Malformed};

const RESOURCE_LOGS: u32 = 1;
const RESOURCE: u32 = 1;
const RESOURCE_ATTRIBUTES: u32 = 1;
const SCOPE_LOGS: u32 = 2;
const LOG_RECORDS: u32 = 2;

/// Walks an `ExportLogsServiceRequest`.
pub(super) fn read(body: &[u8], gatherer: &mut Gatherer<'_>) -> Result<(), Malformed> {
    each(Fields(body), RESOURCE_LOGS, |resource_logs| {
        let mut resource = Attributes::default();
        each(resource_logs, RESOURCE, |fields| {
            each(fields, RESOURCE_ATTRIBUTES, |attribute| {
                key_value(attribute, &mut resource)
            })
        })?;
        each(resource_logs, SCOPE_LOGS, |scope_logs| {
            each(scope_logs, LOG_RECORDS, |fields| {
                gatherer.take(&resource, &record(fields)?);
                Ok(())
            })
        })
    })
}

/// Calls for each message with this number; others are passed over.
fn each<'a>(
    fields: Fields<'a>,
    number: u32,
    mut call: impl FnMut(Fields<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    for field in fields {
        let field = field?;
        if field.number == number {
            call(field.message()?)?;
        }
    }
    Ok(())
}

fn record(fields: Fields<'_>) -> Result<Record<'_>, Malformed> {
    let mut record = Record::default();
    for field in fields {
        let field = field?;
        match field.number {
            1 => record.time_unix_nano = field.fixed64()?,
            // Most bodies are other people's lines, and may be as they like.
            4 => record.name = field.text().ok(),
            5 => record.body = body(field).unwrap_or_default(),
            6 => key_value(field.message()?, &mut record.attributes)?,
            11 => record.observed_time_unix_nano = field.fixed64()?,
            12 => record.event_name = Some(field.text()?),
            _ => {}
        }
    }
    Ok(record)
}

fn body(field: Field<'_>) -> Result<Body<'_>, Malformed> {
    let value = field.message()?;
    if value.0.len() > MAX_BODY {
        return Ok(Body::Other);
    }
    let mut body = Body::Other;
    for field in value {
        let field = field?;
        body = match field.number {
            1 => Body::Text(field.text()?),
            6 => {
                let mut map = Attributes::default();
                each(field.message()?, 1, |entry| key_value(entry, &mut map))?;
                Body::Map(map)
            }
            _ => Body::Other,
        };
    }
    Ok(body)
}

fn key_value<'a>(fields: Fields<'a>, attributes: &mut Attributes<'a>) -> Result<(), Malformed> {
    let mut name = Cow::Borrowed("");
    let mut value = Value::Other;
    for field in fields {
        let field = field?;
        match field.number {
            1 => name = field.text()?,
            2 => value = any_value(field)?,
            _ => {}
        }
    }
    attributes.push(name, value);
    Ok(())
}

fn any_value(field: Field<'_>) -> Result<Value<'_>, Malformed> {
    let mut value = Value::Other;
    for field in field.message()? {
        let field = field?;
        value = match field.number {
            1 => Value::Text(field.text()?),
            2 => Value::Bool(field.varint()? != 0),
            3 => Value::Integer(field.varint()?.cast_signed()),
            4 => Value::Double(f64::from_bits(field.fixed64()?)),
            _ => Value::Other,
        };
    }
    Ok(value)
}
