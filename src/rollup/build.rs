//! Makes the rollup of a day of its sessions.

use std::collections::HashSet;

use foldhash::HashMap;

use super::{Cells, People, QUARTERS, Quarters, Visit, quarter_of};

/// Combinations up to which cells are counted in an array; beyond, they are sorted, and also where most would be 0.
const IN_AN_ARRAY: usize = 10_000;
const SPARSE: usize = 16;
/// Visits of a person among which one is looked for in a list.
const IN_A_LIST: usize = 32;

/// What a day's sessions come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollup {
    /// By combination and quarter hour.
    pub cells: Cells,
    /// By person.
    pub people: People,
}

impl Rollup {
    /// Sessions by quarter hour.
    pub fn totals(&self) -> Quarters {
        self.cells.sum(|_| true)
    }
}

struct Row {
    /// 0 where nobody is named.
    person: u64,
    /// Milliseconds since the day began.
    start: u32,
    /// Place of the combination in the order of its first session.
    place: u32,
}

/// Takes the sessions of a day of an app, in the order of their ids as texts, byte by byte.
#[derive(Default)]
pub struct Builder {
    rows: Vec<Row>,
    combinations: Vec<u64>,
    places: HashMap<u64, u32>,
    /// The combination of the session before and its place: neighbours often have the same.
    last: Option<(u64, u32)>,
}

impl Builder {
    /// Adds a session: milliseconds since the day began, its person (0 for nobody), and its combination.
    pub fn push(&mut self, start: u32, person: u64, combination: u64) {
        let place = match self.last {
            Some((known, place)) if known == combination => place,
            _ => self.place(combination),
        };
        self.last = Some((combination, place));
        self.rows.push(Row { person, start, place });
    }

    fn place(&mut self, combination: u64) -> u32 {
        if let Some(place) = self.places.get(&combination) {
            return *place;
        }
        let place = u32::try_from(self.combinations.len()).unwrap_or(u32::MAX);
        self.combinations.push(combination);
        self.places.insert(combination, place);
        place
    }

    fn combination(&self, place: u32) -> u64 {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        self.combinations.get(place).copied().unwrap_or_default()
    }

    /// The rollup of all that was added.
    pub fn finish(mut self) -> Rollup {
        let combinations = self.combinations.len();
        let is_dense = combinations * QUARTERS <= self.rows.len() * SPARSE;
        let cells = if combinations <= IN_AN_ARRAY && is_dense {
            self.count_in_an_array()
        } else {
            self.count_by_sorting()
        };
        Rollup {
            cells,
            people: self.people(),
        }
    }

    fn count_in_an_array(&self) -> Cells {
        let mut counts = vec![[0_u32; QUARTERS]; self.combinations.len()];
        for row in &self.rows {
            let place = usize::try_from(row.place).unwrap_or(usize::MAX);
            let quarter = usize::from(quarter_of(row.start));
            if let Some(count) = counts.get_mut(place).and_then(|counts| counts.get_mut(quarter)) {
                *count += 1;
            }
        }
        let mut sorted: Vec<(u64, Quarters)> = self.combinations.iter().copied().zip(counts).collect();
        sorted.sort_unstable_by_key(|(combination, _)| *combination);
        Cells::from_sorted(sorted.iter().flat_map(|(combination, counts)| {
            let counts = (0..).zip(counts).filter(|(_, count)| **count > 0);
            counts.map(|(quarter, count)| (*combination, quarter, *count))
        }))
    }

    fn count_by_sorting(&self) -> Cells {
        let key = |row: &Row| (self.combination(row.place), quarter_of(row.start));
        let mut keys: Vec<(u64, u8)> = self.rows.iter().map(key).collect();
        keys.sort_unstable();
        Cells::from_sorted(keys.chunk_by(|one, two| one == two).filter_map(|same| {
            let (combination, quarter) = same.first()?;
            Some((
                *combination,
                *quarter,
                u32::try_from(same.len()).unwrap_or(u32::MAX),
            ))
        }))
    }

    fn people(&mut self) -> People {
        let mut rows = std::mem::take(&mut self.rows);
        rows.retain(|row| row.person != 0);
        // Stable: of sessions that began at one instant the last is the one with the greater id.
        rows.sort_by_key(|row| (row.person, row.start));
        let mut people = People::default();
        for rows in rows.chunk_by(|one, two| one.person == two.person) {
            let Some(first) = rows.first() else { continue };
            let visits = rows.iter().rev().map(|row| Visit {
                quarter: quarter_of(row.start),
                combination: self.combination(row.place),
            });
            let mut distinct = last_of_each(visits);
            distinct.reverse();
            people.push(first.person, distinct);
        }
        people.complete();
        people
    }
}

/// The first of each that are equal, in their order.
fn last_of_each(visits: impl Iterator<Item = Visit>) -> Vec<Visit> {
    let mut distinct = Vec::new();
    let mut seen = HashSet::new();
    for visit in visits {
        let is_known = if seen.is_empty() {
            distinct.contains(&visit)
        } else {
            seen.contains(&visit)
        };
        if is_known {
            continue;
        }
        distinct.push(visit);
        match distinct.len() {
            IN_A_LIST => seen = distinct.iter().copied().collect(),
            length if length > IN_A_LIST => _ = seen.insert(visit),
            _ => {}
        }
    }
    distinct
}
