//! Sessions of a day by quarter hour, as they stand in the day's row.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::codec::{self, FormError, Reader};
use super::{QUARTERS, Quarters};

/// Bytes of the checksum.
const CHECK: usize = 4;

/// Sessions by quarter hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals(pub Quarters);

impl Default for Totals {
    fn default() -> Self {
        Self([0; QUARTERS])
    }
}

/// What else the day's row says: the checksum is over that as well, so that a row that was moved, or got another number,
/// is no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Ordinal of the app.
    pub app: i64,
    /// Days since 1970-01-01.
    pub day: i64,
    /// The commit that changed the day last.
    pub seq: i64,
}

impl Label {
    /// Of the key zero, since it has to be the same in every process: this finds damage and slips, not an attacker.
    fn check(self, content: &[u8]) -> [u8; CHECK] {
        let mut hasher = SipHasher13::new();
        for number in [self.app, self.day, self.seq] {
            hasher.write(&number.to_le_bytes());
        }
        hasher.write(content);
        let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
        [a, b, c, d]
    }
}

impl Totals {
    /// Adds sessions to a quarter hour of the day.
    pub fn add(&mut self, quarter: u8, sessions: u32) {
        if let Some(total) = self.0.get_mut(usize::from(quarter)) {
            *total = total.saturating_add(sessions);
        }
    }

    /// Sessions of the day.
    pub fn sessions(&self) -> u64 {
        self.0.iter().map(|sessions| u64::from(*sessions)).sum()
    }

    /// As it is kept: for each quarter hour that has sessions the distance to the one before and their number, then the
    /// checksum.
    pub fn encode(&self, label: Label) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        let mut before = 0;
        for (quarter, sessions) in (1_u64..).zip(&self.0).filter(|(_, sessions)| **sessions > 0) {
            codec::push(&mut bytes, quarter - before);
            codec::push(&mut bytes, u64::from(*sessions));
            before = quarter;
        }
        let check = label.check(&bytes);
        bytes.extend_from_slice(&check);
        bytes
    }

    /// What [`Totals::encode`] wrote for this row.
    ///
    /// # Errors
    /// [`FormError`] where it is anything else.
    pub fn decode(bytes: &[u8], label: Label) -> Result<Self, FormError> {
        let (content, check) = split(bytes)?;
        if label.check(content) == check {
            Self::read(content)
        } else {
            Err(FormError::Damaged("its checksum is another one"))
        }
    }

    /// The same, whatever the checksum is.
    ///
    /// # Errors
    /// As [`Totals::decode`].
    pub fn decode_unchecked(bytes: &[u8]) -> Result<Self, FormError> {
        Self::read(split(bytes)?.0)
    }

    fn read(content: &[u8]) -> Result<Self, FormError> {
        let mut reader = Reader::new(content);
        let mut totals = Self::default();
        let mut before = 0_u64;
        while !reader.is_empty() {
            before = before.saturating_add(reader.number()?.max(1));
            let sessions =
                u32::try_from(reader.number()?).map_err(|_| FormError::Damaged("a number does not fit"))?;
            let place = usize::try_from(before - 1).unwrap_or(usize::MAX);
            let total = totals.0.get_mut(place);
            *total.ok_or(FormError::Damaged("there is no such quarter hour"))? = sessions;
        }
        Ok(totals)
    }
}

fn split(bytes: &[u8]) -> Result<(&[u8], [u8; CHECK]), FormError> {
    let (content, check) = bytes
        .split_last_chunk::<CHECK>()
        .ok_or(FormError::Damaged("it ends too early"))?;
    Ok((content, *check))
}
