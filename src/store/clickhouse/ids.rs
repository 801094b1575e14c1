//! Ids as the server's `UUID` type has them on the wire: two numbers, the higher half first.

use crate::model::{AppId, WorkspaceId};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_as_they_were() {
        let id: AppId = "00dc3cf6-1763-5d5b-8264-db458aa346c3".parse().unwrap();
        assert_eq!(app(id), (0x00dc_3cf6_1763_5d5b, 0x8264_db45_8aa3_46c3));
        assert_eq!(app_of(app(id)), id);
    }
}
