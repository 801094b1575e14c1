//! What is read from the file is what this program would have written, or the store is damaged.
//!
//! A bit that flipped, or a file that somebody else made, may hold any number. It must become an error and never an index, an
//! allocation or a session that nobody recorded.

use std::str::FromStr;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use uuid::Uuid;

use crate::model::{MAX_DURATION_MILLIS, MAX_SESSION_ID_BYTES};
use crate::store::StoreError;

/// 2000-01-01 and 9999-12-31, in days since 1970-01-01.
const DAYS: std::ops::RangeInclusive<i64> = 10_957..=2_932_896;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// A UTC date, as days since 1970-01-01.
pub(super) fn day(day: i64) -> Result<i64, StoreError> {
    if !DAYS.contains(&day) {
        return Err(StoreError::damaged(format!(
            "{day} is no day on which a session can start"
        )));
    }
    Ok(day)
}

/// Milliseconds since the start of a day.
pub(super) fn start(start: i64) -> Result<i64, StoreError> {
    if !(0..MILLIS_PER_DAY).contains(&start) {
        return Err(StoreError::damaged(format!(
            "{start} is no number of milliseconds since the start of a day"
        )));
    }
    Ok(start)
}

/// All sessions of a store at once, in one reading of it.
///
/// # Errors
/// [`StoreError::Unusable`] if one of them can't be.
pub(super) fn check_sessions(connection: &Connection) -> Result<(), StoreError> {
    let sql = "SELECT COUNT(*) FROM sessions WHERE NOT (day BETWEEN ?1 AND ?2 AND start BETWEEN 0 AND ?3 \
               AND (duration IS NULL OR duration BETWEEN 0 AND ?4) AND app IN (SELECT ordinal FROM apps))";
    let limits = [
        *DAYS.start(),
        *DAYS.end(),
        MILLIS_PER_DAY - 1,
        MAX_DURATION_MILLIS,
    ];
    match connection.query_row(sql, limits, |row| row.get(0))? {
        0_i64 => Ok(()),
        number => Err(StoreError::damaged(format!(
            "{number} of its sessions have a day, a start, a duration or an app that can't be"
        ))),
    }
}

/// Milliseconds that a session took.
pub(super) fn duration(duration: Option<i64>) -> Result<Option<u32>, StoreError> {
    let Some(millis) = duration else { return Ok(None) };
    match u32::try_from(millis) {
        Ok(short) if millis <= MAX_DURATION_MILLIS => Ok(Some(short)),
        _ => Err(StoreError::damaged(format!(
            "{millis} is no duration of a session, in milliseconds"
        ))),
    }
}

/// The id of an app or a workspace.
pub(super) fn id<T: FromStr>(value: ValueRef<'_>) -> Result<T, StoreError> {
    let text = value.as_str().map_err(rusqlite::Error::from)?;
    text.parse()
        .map_err(|_| StoreError::damaged(format!("'{text}' is no id")))
}

/// A session id: the bytes of a UUID, or a text.
pub(super) fn session_id(value: ValueRef<'_>) -> Result<Box<str>, StoreError> {
    match value {
        ValueRef::Text(text) if (1..=MAX_SESSION_ID_BYTES).contains(&text.len()) => {
            String::from_utf8(text.to_vec())
                .map(String::into_boxed_str)
                .map_err(|_| StoreError::damaged("a session id is not UTF-8"))
        }
        ValueRef::Blob(bytes) => Uuid::from_slice(bytes)
            .map(|uuid| uuid.hyphenated().to_string().into_boxed_str())
            .map_err(|_| StoreError::damaged("a session id is neither a text nor a UUID")),
        _ => Err(StoreError::damaged("a session id is neither a text nor a UUID")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_is_damage() {
        for bad in [i64::MIN, -1, 0, 10_956, 2_932_897, 1_000_000_000_000, i64::MAX] {
            assert!(day(bad).is_err(), "{bad}");
        }
        assert!(day(10_957).is_ok());
        assert!(start(-1).is_err() && start(MILLIS_PER_DAY).is_err() && start(MILLIS_PER_DAY - 1).is_ok());
        for (millis, fits) in [
            (0, true),
            (604_800_000, true),
            (604_800_001, false),
            (-1, false),
            (i64::MAX, false),
        ] {
            assert_eq!(duration(Some(millis)).is_ok(), fits, "{millis}");
        }
        assert_eq!(duration(None).unwrap(), None);
    }
}
