//! Items `sessions`: how many sessions started in each minute, counted by the client.

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Attrs, Clock, Delivery, SentryError, payload, refused, started};
use crate::collect::ItemError;
use crate::collect::json::{Items, MAX_SESSIONS};
use crate::collect::scalar::Scalar;
use crate::collect::wire::wrong;
use crate::model::{AppId, Millis, NewSession, Properties, Session};

/// Where an item came from.
pub(super) struct Source {
    pub(super) app: AppId,
    /// Several processes of one service send the same bytes in one millisecond, so nothing in an envelope tells it from
    /// another: each delivery counts.
    pub(super) request: Uuid,
    /// The item's place in the envelope.
    pub(super) item: usize,
    pub(super) clock: Clock,
}

#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Wire<'a> {
    #[serde(borrow)]
    aggregates: Option<Items<'a>>,
    #[serde(borrow)]
    attrs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Bucket<'a> {
    #[serde(borrow)]
    started: Option<Scalar<'a>>,
    #[serde(borrow)]
    exited: Option<Scalar<'a>>,
    #[serde(borrow)]
    errored: Option<Scalar<'a>>,
    #[serde(borrow)]
    abnormal: Option<Scalar<'a>>,
    #[serde(borrow)]
    unhandled: Option<Scalar<'a>>,
    #[serde(borrow)]
    crashed: Option<Scalar<'a>>,
}

/// Reads one: the outer error refuses the envelope, the inner one the item. Each bucket is taken or refused by itself.
pub(super) fn read(
    bytes: &[u8],
    source: &Source,
    delivery: &mut Delivery,
) -> Result<Result<(), ItemError>, SentryError> {
    let wire: Wire<'_> = match payload(bytes) {
        Ok(wire) => wire,
        Err(error) => return Ok(Err(error)),
    };
    let properties = match Attrs::read(wire.attrs).properties(true) {
        Ok(properties) => properties,
        Err(error) => return Ok(Err(error)),
    };
    let Some(buckets) = wire.aggregates else {
        return Ok(Err(super::required("aggregates", "an array")));
    };
    if buckets.too_many {
        return Err(SentryError::TooMany);
    }
    let mut failure = None;
    for (place, bucket) in buckets.kept.iter().enumerate() {
        let sessions = match bucket_of(bucket.get(), source.clock) {
            Ok(sessions) => sessions,
            Err(error) => {
                failure.get_or_insert(error);
                continue;
            }
        };
        let free = MAX_SESSIONS.saturating_sub(delivery.sessions.len());
        if sessions.count > free as u64 {
            return Err(SentryError::TooMany);
        }
        for number in 0..sessions.count {
            match session(source, &sessions, place, number, &properties) {
                Ok(session) => delivery.sessions.push(session),
                Err(error) => {
                    failure.get_or_insert(error);
                    break;
                }
            }
        }
    }
    Ok(failure.map_or(Ok(()), Err))
}

/// Sessions that started in the same minute.
struct Counted {
    started_at: Millis,
    count: u64,
}

fn bucket_of(json: &str, clock: Clock) -> Result<Counted, ItemError> {
    let bucket: Bucket<'_> = payload(json.as_bytes())?;
    let mut count = 0_u64;
    for (name, value) in [
        ("exited", &bucket.exited),
        ("errored", &bucket.errored),
        ("abnormal", &bucket.abnormal),
        ("unhandled", &bucket.unhandled),
        ("crashed", &bucket.crashed),
    ] {
        let number = match value {
            None | Some(Scalar::Null) => Some(0),
            Some(Scalar::Number(number)) => number.as_u64(),
            Some(_) => None,
        };
        let number = number.ok_or_else(|| {
            let received = value.as_ref().unwrap_or(&Scalar::Null);
            wrong(name, received, "a whole number that is not negative")
        })?;
        count = count.saturating_add(number);
    }
    Ok(Counted {
        started_at: started(bucket.started.as_ref(), clock)?,
        count,
    })
}

fn session(
    source: &Source,
    counted: &Counted,
    place: usize,
    number: u64,
    properties: &Properties,
) -> Result<Session, ItemError> {
    let mut hash = Sha256::new();
    hash.update(source.request.as_bytes());
    hash.update((source.item as u64).to_le_bytes());
    hash.update((place as u64).to_le_bytes());
    hash.update(number.to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    for (byte, from) in id.iter_mut().zip(digest) {
        *byte = from;
    }
    let new = NewSession {
        app: source.app,
        session_id: &uuid::Builder::from_custom_bytes(id)
            .into_uuid()
            .hyphenated()
            .to_string(),
        started_at: counted.started_at,
        end: None,
        user_id: None,
        device_id: None,
        properties: properties.clone(),
    };
    Session::new(new, source.clock.limits).map_err(|error| refused(&error))
}
