//! Sessions of a day by combination of properties and quarter hour.

use std::collections::HashSet;
use std::io;

use super::codec::{self, FormError, Reader};
use super::{People, QUARTERS, Quarters};

/// The number of the form that is written.
const FORM: u8 = 1;

/// Sessions of a day by combination and quarter hour, in columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cells {
    /// Ascending.
    combinations: Vec<u64>,
    /// Cells of each combination.
    lengths: Vec<u32>,
    /// By combination, then ascending.
    quarters: Vec<u8>,
    counts: Vec<u32>,
}

impl Cells {
    /// From cells that ascend by combination and quarter, none twice.
    pub fn from_sorted(cells: impl IntoIterator<Item = (u64, u8, u32)>) -> Self {
        let mut columns = Self::default();
        for (combination, quarter, sessions) in cells {
            if columns.combinations.last() != Some(&combination) {
                columns.combinations.push(combination);
                columns.lengths.push(0);
            }
            if let Some(length) = columns.lengths.last_mut() {
                *length += 1;
            }
            columns.quarters.push(quarter);
            columns.counts.push(sessions);
        }
        columns
    }

    /// The combinations that there are, ascending.
    pub fn combinations(&self) -> &[u64] {
        &self.combinations
    }

    /// Sessions of the day.
    pub fn sessions(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// Each combination with its quarters and the sessions of each, ascending.
    pub fn by_combination(&self) -> impl Iterator<Item = (u64, &[u8], &[u32])> {
        let mut begin = 0;
        let pairs = self.combinations.iter().zip(&self.lengths);
        pairs.map(move |(combination, length)| {
            let end = begin + usize::try_from(*length).unwrap_or_default();
            let range = std::mem::replace(&mut begin, end)..end;
            (
                *combination,
                self.quarters.get(range.clone()).unwrap_or_default(),
                self.counts.get(range).unwrap_or_default(),
            )
        })
    }

    /// Combination, quarter and sessions, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u8, u32)> {
        self.by_combination().flat_map(|(combination, quarters, counts)| {
            let cells = quarters.iter().zip(counts);
            cells.map(move |(quarter, count)| (combination, *quarter, *count))
        })
    }

    /// Whether each visit is one of these sessions, as it is where both are of one day.
    pub fn covers(&self, people: &People) -> bool {
        let cells: HashSet<(u64, u8)> = self
            .iter()
            .map(|(combination, quarter, _)| (combination, quarter))
            .collect();
        let mut visits = people.iter().flat_map(|(_, visits)| visits);
        visits.all(|visit| cells.contains(&(visit.combination, visit.quarter)))
    }

    /// Sessions by quarter hour of the combinations for which `belongs` says yes.
    pub fn sum(&self, mut belongs: impl FnMut(u64) -> bool) -> Quarters {
        let mut sums = [0; QUARTERS];
        for (combination, quarters, counts) in self.by_combination() {
            if belongs(combination) {
                add(&mut sums, quarters, counts);
            }
        }
        sums
    }

    /// A breakdown: sessions by quarter hour of each group, where `group` numbers the group of a combination, from 0.
    pub fn by_group(&self, mut group: impl FnMut(u64) -> usize) -> Vec<Quarters> {
        let mut groups = Vec::new();
        for (combination, quarters, counts) in self.by_combination() {
            let number = group(combination);
            if number >= groups.len() {
                groups.resize(number + 1, [0; QUARTERS]);
            }
            if let Some(sums) = groups.get_mut(number) {
                add(sums, quarters, counts);
            }
        }
        groups
    }

    /// As it is kept.
    ///
    /// # Errors
    /// When there is no memory to compress it.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let mut content = Vec::with_capacity(self.quarters.len() * 3 + 16);
        codec::push(&mut content, self.combinations.len() as u64);
        codec::push(&mut content, self.quarters.len() as u64);
        codec::push_ascending(&mut content, self.combinations.iter().copied());
        codec::push_small(&mut content, &self.lengths);
        content.extend_from_slice(&self.quarters);
        codec::push_small(&mut content, &self.counts);
        codec::pack(FORM, &content)
    }

    /// What [`Cells::encode`] wrote.
    ///
    /// # Errors
    /// [`FormError`] where it is anything else, whatever it may be.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        let content = codec::unpack(FORM, bytes)?;
        let mut reader = Reader::new(&content);
        let (combinations, cells) = (reader.count()?, reader.count()?);
        let combinations = reader.ascending(combinations)?;
        let lengths = reader.small(combinations.len())?;
        if lengths.iter().map(|length| u64::from(*length)).sum::<u64>() != cells as u64 {
            return Err(FormError::Damaged("its columns have not one length"));
        }
        let quarters = reader.bytes(cells)?.to_vec();
        let counts = reader.small(cells)?;
        reader.end()?;
        let decoded = Self {
            combinations,
            lengths,
            quarters,
            counts,
        };
        let ascend = |quarters: &[u8]| quarters.is_sorted_by(|one, two| one < two);
        let fits = |(_, quarters, _): (u64, &[u8], &[u32])| {
            ascend(quarters) && quarters.last().is_some_and(|last| usize::from(*last) < QUARTERS)
        };
        let ascending = decoded.by_combination().all(fits);
        if ascending {
            Ok(decoded)
        } else {
            Err(FormError::Damaged("its quarter hours don't ascend"))
        }
    }
}

fn add(sums: &mut Quarters, quarters: &[u8], counts: &[u32]) {
    for (quarter, count) in quarters.iter().zip(counts) {
        if let Some(sum) = sums.get_mut(usize::from(*quarter)) {
            *sum = sum.saturating_add(*count);
        }
    }
}
