//! Items `session`: the state of one session, sent at its start and whenever it changes.

use serde::Deserialize;

use serde_json::value::RawValue;

use super::{Attrs, Clock, instant, millis, payload, refused, started};
use crate::collect::scalar::{Lenient, Scalar};
use crate::collect::wire::{required, wrong};
use crate::collect::{ItemError, mend};
use crate::model::{AppId, End, Millis, NewSession, Session};

#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Wire<'a> {
    #[serde(borrow)]
    sid: Option<Scalar<'a>>,
    #[serde(borrow)]
    did: Option<Lenient<'a>>,
    #[serde(borrow)]
    started: Option<Scalar<'a>>,
    #[serde(borrow)]
    timestamp: Option<Lenient<'a>>,
    #[serde(borrow)]
    duration: Option<Lenient<'a>>,
    #[serde(borrow)]
    status: Option<Lenient<'a>>,
    #[serde(borrow)]
    attrs: Option<&'a RawValue>,
}

/// Reads one. Whether it is the first update (`init`) does not matter: a session that is recorded already is not
/// counted again, and one whose first update got lost counts with a later one.
pub(super) fn read(
    bytes: &[u8],
    app: AppId,
    clock: Clock,
    sessions: &mut Vec<Session>,
) -> Result<(), ItemError> {
    let wire: Wire<'_> = payload(bytes)?;
    let sid = match &wire.sid {
        Some(Scalar::Text(sid)) => sid,
        None | Some(Scalar::Null) => return Err(required("sid", "a string of 1 to 128 bytes")),
        Some(other) => return Err(wrong("sid", other, "a string of 1 to 128 bytes")),
    };
    let started_at = started(wire.started.as_ref(), clock)?;
    let did = match &wire.did {
        Some(Lenient(Scalar::Text(did))) => mend::identity(Some(did)),
        _ => None,
    };
    let new = NewSession {
        app,
        session_id: sid,
        started_at,
        end: end(&wire, started_at, clock),
        user_id: did,
        device_id: None,
        properties: Attrs::read(wire.attrs).properties(false)?,
    };
    sessions.push(Session::new(new, clock.limits).map_err(|error| refused(&error))?);
    Ok(())
}

/// An end that can't be is left out: the session counts all the same.
fn end(wire: &Wire<'_>, started_at: Millis, clock: Clock) -> Option<End> {
    let is_open = match &wire.status {
        Some(Lenient(Scalar::Text(status))) => status == "ok",
        _ => true,
    };
    mend::end(match &wire.duration {
        Some(Lenient(Scalar::Number(seconds))) => seconds.as_f64().and_then(millis),
        _ if is_open => None,
        _ => {
            let timestamp = wire.timestamp.as_ref().map(|Lenient(timestamp)| timestamp);
            let ended_at = instant("timestamp", timestamp).ok();
            let ended_at = ended_at.map(|at| at.map_or(clock.limits.now(), |at| clock.corrected(at)));
            ended_at.map(|at| at.saturating_sub(started_at))
        }
    })
}
