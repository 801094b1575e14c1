//! Days whose sessions retention removed, as one store hands them to another: their rollups, with everything spelled out that a
//! store has numbers for.

use std::collections::{BTreeMap, HashMap};

use super::StoreError;
use super::records::Forgotten;
use crate::model::AppId;
use crate::rollup::{Cells, People, Visit};

/// Whose visits they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SealedPerson {
    /// By the `user_id`.
    User(String),
    /// By the `device_id`.
    Device(String),
    /// Somebody who was forgotten.
    Forgotten(Forgotten),
}

/// A place among the combinations of a [`SealedDay`].
pub type Place = u32;

/// A day of an app. Sessions of it are refused, and none is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedDay {
    /// Whose day.
    pub app: AppId,
    /// Days since 1970-01-01.
    pub day: i64,
    /// Properties as they were recorded, canonical JSON.
    pub combinations: Vec<String>,
    /// Combination, quarter hour of the day (0 to 95), and how many sessions.
    pub cells: Vec<(Place, u8, u32)>,
    /// Each person's visits (quarter hour and combination), in the order of their latest start.
    pub people: Vec<(SealedPerson, Vec<(u8, Place)>)>,
}

impl SealedDay {
    /// Spells out a rollup. `properties` has the recorded properties of combinations, `persons` who has which number.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] where one of them is not there.
    pub(super) fn new(
        (app, day): (AppId, i64),
        (cells, people): (&Cells, &People),
        properties: &HashMap<u64, String>,
        persons: &HashMap<u64, SealedPerson>,
    ) -> Result<Self, StoreError> {
        let numbers: Vec<u64> = {
            let mut all = [cells.combinations(), people.combinations()].concat();
            all.sort_unstable();
            all.dedup();
            all
        };
        let combination = |number: &u64| {
            let text = properties.get(number).cloned();
            text.ok_or_else(|| StoreError::no_combination(*number))
        };
        let place = |number: u64| -> Result<Place, StoreError> {
            let found = numbers.binary_search(&number).ok();
            let place = found.and_then(|place| Place::try_from(place).ok());
            place.ok_or_else(|| StoreError::no_combination(number))
        };
        let cell = |(number, quarter, sessions)| Ok((place(number)?, quarter, sessions));
        let visit = |visit: &Visit| Ok((visit.quarter, place(visit.combination)?));
        let person = |(number, visits): (u64, &[Visit])| {
            let person = persons.get(&number).cloned();
            let person = person.ok_or_else(|| StoreError::damaged(format!("there is no person {number}")))?;
            let visits = visits.iter().map(visit).collect::<Result<_, StoreError>>()?;
            Ok((person, visits))
        };
        Ok(Self {
            app,
            day,
            combinations: numbers
                .iter()
                .map(combination)
                .collect::<Result<_, StoreError>>()?,
            cells: cells.iter().map(cell).collect::<Result<_, StoreError>>()?,
            people: people.iter().map(person).collect::<Result<_, StoreError>>()?,
        })
    }

    /// Its rollup in the numbers of a store: those of its combinations, by their places, and those of its persons.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] where one has no number.
    pub(super) fn rollup(
        &self,
        combinations: &[u64],
        persons: &HashMap<SealedPerson, u64>,
    ) -> Result<(Cells, People), StoreError> {
        let number = |place: Place| {
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            let number = combinations.get(place).copied();
            number.ok_or_else(|| StoreError::damaged(format!("a sealed day has no combination {place}")))
        };
        let mut cells = Vec::with_capacity(self.cells.len());
        for (place, quarter, sessions) in &self.cells {
            cells.push((number(*place)?, *quarter, *sessions));
        }
        cells.sort_unstable();
        let mut people = BTreeMap::new();
        for (person, visits) in &self.people {
            let id = persons.get(person).copied();
            let id = id.ok_or_else(|| StoreError::damaged("a sealed day has an unknown person"))?;
            let visit = |(quarter, place): &(u8, Place)| {
                Ok(Visit {
                    quarter: *quarter,
                    combination: number(*place)?,
                })
            };
            let visits = visits.iter().map(visit).collect::<Result<Vec<_>, StoreError>>()?;
            people.insert(id, visits);
        }
        Ok((Cells::from_sorted(cells), People::from_persons(people)))
    }
}

/// Days that are handed on together.
#[derive(Default)]
pub(super) struct SealedBatch {
    days: Vec<SealedDay>,
    weight: usize,
}

impl SealedBatch {
    /// Days in a batch.
    pub(super) const DAYS: usize = 500;
    /// Cells and visits in a batch, about.
    pub(super) const WEIGHT: usize = 100_000;

    /// Adds a day; the batch, where it is full then.
    pub(super) fn push(&mut self, day: SealedDay) -> Option<Vec<SealedDay>> {
        let visits = day.people.iter().map(|(_, visits)| 1 + visits.len());
        self.weight += day.cells.len() + visits.sum::<usize>();
        self.days.push(day);
        let is_full = self.days.len() >= Self::DAYS || self.weight >= Self::WEIGHT;
        is_full.then(|| self.take())
    }

    /// What is left.
    pub(super) fn take(&mut self) -> Vec<SealedDay> {
        self.weight = 0;
        std::mem::take(&mut self.days)
    }
}
