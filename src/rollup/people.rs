//! Which persons had a session on a day, when, and with which combination of properties.

use std::io;

use super::QUARTERS;
use super::codec::{self, FormError, Reader};

/// The number of the form that is written.
const FORM: u8 = 1;

/// Sessions of one person in one quarter hour with one combination: one or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Visit {
    /// Quarter hour of the day, 0 to 95.
    pub quarter: u8,
    /// Number of the combination.
    pub combination: u64,
}

/// The persons of a day, ascending, each with distinct visits in the order of their latest start: a visit's place is that
/// of its last session, by start and then by session id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    persons: Vec<u64>,
    /// Visits of each person.
    lengths: Vec<u32>,
    visits: Vec<Visit>,
    /// Those of the visits, ascending.
    combinations: Vec<u64>,
}

impl People {
    /// Adds the next person, which must be greater than the one before.
    pub(super) fn push(&mut self, person: u64, visits: impl IntoIterator<Item = Visit>) {
        let before = self.visits.len();
        self.visits.extend(visits);
        self.persons.push(person);
        let length = self.visits.len() - before;
        self.lengths.push(u32::try_from(length).unwrap_or(u32::MAX));
    }

    /// Of persons, ascending, each with its visits in the order of their latest start.
    pub fn from_persons(persons: impl IntoIterator<Item = (u64, Vec<Visit>)>) -> Self {
        let mut people = Self::default();
        for (person, visits) in persons {
            people.push(person, visits);
        }
        people.complete();
        people
    }

    /// How many persons there are.
    pub fn len(&self) -> usize {
        self.persons.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.persons.is_empty()
    }

    /// Each person with its visits.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[Visit])> {
        let mut begin = 0;
        let pairs = self.persons.iter().zip(&self.lengths);
        pairs.map(move |(person, length)| {
            let end = begin + usize::try_from(*length).unwrap_or_default();
            let range = std::mem::replace(&mut begin, end)..end;
            (*person, self.visits.get(range).unwrap_or_default())
        })
    }

    /// Everybody was added.
    pub(super) fn complete(&mut self) {
        self.combinations = self.visits.iter().map(|visit| visit.combination).collect();
        self.combinations.sort_unstable();
        self.combinations.dedup();
    }

    /// The combinations that there are, ascending.
    pub fn combinations(&self) -> &[u64] {
        &self.combinations
    }

    /// As it is kept.
    ///
    /// # Errors
    /// When there is no memory to compress it.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let combinations = &self.combinations;
        let mut content = Vec::with_capacity(self.visits.len() * 4 + 16);
        codec::push(&mut content, self.persons.len() as u64);
        codec::push(&mut content, self.visits.len() as u64);
        codec::push(&mut content, combinations.len() as u64);
        codec::push_ascending(&mut content, self.persons.iter().copied());
        codec::push_ascending(&mut content, combinations.iter().copied());
        codec::push_small(&mut content, &self.lengths);
        content.extend(self.visits.iter().map(|visit| visit.quarter));
        for visit in &self.visits {
            // It is one of them; what could not be found would not be decoded.
            let index = combinations
                .binary_search(&visit.combination)
                .unwrap_or_else(|place| place);
            codec::push(&mut content, index as u64);
        }
        codec::pack(FORM, &content)
    }

    /// What [`People::encode`] wrote.
    ///
    /// # Errors
    /// [`FormError`] where it is anything else, whatever it may be.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        let content = codec::unpack(FORM, bytes)?;
        let mut reader = Reader::new(&content);
        let (persons, count, combinations) = (reader.count()?, reader.count()?, reader.count()?);
        let persons = reader.ascending(persons)?;
        let combinations = reader.ascending(combinations)?;
        let lengths = reader.small(persons.len())?;
        if lengths.iter().map(|length| u64::from(*length)).sum::<u64>() != count as u64 {
            return Err(FormError::Damaged("its columns have not one length"));
        }
        let quarters = reader.bytes(count)?;
        let mut visits = Vec::with_capacity(count);
        for quarter in quarters {
            let index = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
            let combination = combinations
                .get(index)
                .copied()
                .ok_or(FormError::Damaged("a combination is not among its own"))?;
            if usize::from(*quarter) >= QUARTERS {
                return Err(FormError::Damaged("there is no such quarter hour"));
            }
            visits.push(Visit {
                quarter: *quarter,
                combination,
            });
        }
        reader.end()?;
        Ok(Self {
            persons,
            lengths,
            visits,
            combinations,
        })
    }
}
