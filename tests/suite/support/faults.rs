//! Valid bytes with faults.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Debug, Clone)]
pub enum Change {
    Set(Index, u8),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
}

pub fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), 1..20_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (any::<Index>(), vec(any::<u8>(), 1..10)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), 1..60_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
    ]
}

pub fn changed(mut body: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if body.is_empty() {
            break;
        }
        let length = body.len();
        match change {
            Change::Set(at, byte) => body[at.index(length)] = *byte,
            Change::Remove(at, count) => {
                let from = at.index(length);
                body.drain(from..length.min(from + count));
            }
            Change::Insert(at, bytes) => {
                let from = at.index(length);
                body.splice(from..from, bytes.iter().copied());
            }
            Change::Repeat(at, count) => {
                let from = at.index(length);
                let part = body[from..length.min(from + count)].to_vec();
                body.splice(from..from, part);
            }
        }
    }
    body
}
