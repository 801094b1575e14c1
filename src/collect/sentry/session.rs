//! Items `session`: the state of one session, sent at its start and whenever it changes.

use serde::Deserialize;

use super::{Attrs, instant, millis, payload, refused, started};
use crate::collect::ItemError;
use crate::collect::scalar::Scalar;
use crate::collect::wire::{required, wrong};
use crate::model::{AppId, End, MAX_DURATION_MILLIS, Millis, NewSession, Session};

const MAX_IDENTITY_BYTES: usize = 256;

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    sid: Option<Scalar<'a>>,
    #[serde(borrow)]
    did: Option<Scalar<'a>>,
    #[serde(borrow)]
    started: Option<Scalar<'a>>,
    #[serde(borrow)]
    timestamp: Option<Scalar<'a>>,
    #[serde(borrow)]
    duration: Option<Scalar<'a>>,
    #[serde(borrow)]
    status: Option<Scalar<'a>>,
    #[serde(borrow)]
    attrs: Option<Attrs<'a>>,
}

/// Reads one. Whether it is the first update (`init`) does not matter: a session that is recorded already is not
/// counted again, and one whose first update got lost counts with a later one.
pub(super) fn read(
    bytes: &[u8],
    app: AppId,
    now: Millis,
    sessions: &mut Vec<Session>,
) -> Result<(), ItemError> {
    let wire: Wire<'_> = payload(bytes)?;
    let sid = match &wire.sid {
        Some(Scalar::Text(sid)) => sid,
        None | Some(Scalar::Null) => return Err(required("sid", "a string of 1 to 128 bytes")),
        Some(other) => return Err(wrong("sid", other, "a string of 1 to 128 bytes")),
    };
    let started_at = started(wire.started.as_ref())?;
    let did = match &wire.did {
        Some(Scalar::Text(did)) if (1..=MAX_IDENTITY_BYTES).contains(&did.len()) => Some(did.as_ref()),
        _ => None,
    };
    let new = NewSession {
        app,
        session_id: sid,
        started_at,
        end: end(&wire, started_at, now)?,
        user_id: did,
        device_id: None,
        properties: wire.attrs.unwrap_or_default().properties(false)?,
    };
    sessions.push(Session::new(new, now).map_err(|error| refused(&error))?);
    Ok(())
}

/// An end that can't be is left out: the session counts all the same.
fn end(wire: &Wire<'_>, started_at: Millis, now: Millis) -> Result<Option<End>, ItemError> {
    let is_open = match &wire.status {
        Some(Scalar::Text(status)) => status == "ok",
        _ => true,
    };
    let duration = match &wire.duration {
        Some(Scalar::Number(seconds)) => seconds.as_f64().and_then(millis),
        _ if is_open => None,
        _ => {
            let ended_at = instant("timestamp", wire.timestamp.as_ref())?.unwrap_or(now);
            Some(ended_at.saturating_sub(started_at))
        }
    };
    let possible = duration.filter(|duration| (0..=MAX_DURATION_MILLIS).contains(duration));
    Ok(possible.map(End::After))
}
