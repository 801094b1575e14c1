//! Ids as the server has them: its `UUID` type on the wire is two numbers, the higher half first; and hashes of ids.

use siphasher::sip::SipHasher24;

use crate::model::{AppId, WorkspaceId};

/// An app and a UTC date, in days since 1970-01-01.
pub(super) type AppDay = (AppId, u16);

/// App, UTC date and session id.
pub(super) type Key<'a> = (AppId, u16, &'a str);

/// A UUID on the wire.
pub(super) type WireId = (u64, u64);

fn halves(bytes: &[u8; 16]) -> WireId {
    let whole = u128::from_be_bytes(*bytes);
    // Both halves fit by their shifts and masks.
    ((whole >> 64) as u64, (whole & u128::from(u64::MAX)) as u64)
}

pub(super) fn app(id: AppId) -> WireId {
    halves(id.as_bytes())
}

pub(super) fn workspace(id: WorkspaceId) -> WireId {
    halves(id.as_bytes())
}

fn whole((high, low): WireId) -> [u8; 16] {
    ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
}

pub(super) fn app_of(id: WireId) -> AppId {
    AppId::from_bytes(whole(id))
}

pub(super) fn workspace_of(id: WireId) -> WorkspaceId {
    WorkspaceId::from_bytes(whole(id))
}

/// What the server calls `sipHash64` of a text.
pub(super) fn hash(text: &[u8]) -> u64 {
    SipHasher24::new().hash(text)
}

/// A hash of a session's key.
pub(super) fn session((app, day, id): &Key<'_>) -> u64 {
    let mut text = Vec::with_capacity(18 + id.len());
    text.extend_from_slice(app.as_bytes());
    text.extend_from_slice(&day.to_be_bytes());
    text.extend_from_slice(id.as_bytes());
    hash(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_text_is_what_the_server_makes_of_it() {
        // SELECT toUInt32(bitShiftRight(sipHash64('abc'), 32))
        assert_eq!(hash(b"abc") >> 32, 1_070_105_750);
    }

    #[test]
    fn ids_come_back_as_they_were() {
        let id: AppId = "00dc3cf6-1763-5d5b-8264-db458aa346c3".parse().unwrap();
        assert_eq!(app(id), (0x00dc_3cf6_1763_5d5b, 0x8264_db45_8aa3_46c3));
        assert_eq!(app_of(app(id)), id);
    }
}
