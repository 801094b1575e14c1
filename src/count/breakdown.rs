//! Sessions and users by the value of a field. There may be as many values as sessions: the largest groups are found first,
//! and only they are counted by unit.

use std::cmp::Reverse;

use super::answer::{Group, GroupKey};
use super::asked::Asked;
use super::known::Groups;
use super::question::QuestionError;
use super::walk::Whose;
use crate::rollup::folds::{GroupTotals, GroupsByGap};
use crate::rollup::{Cells, DAY, People, QUARTER};
use crate::store::{DayVersion, StoreError, Version};

/// Numbers by group and unit that are held while the largest groups are not known yet.
const HELD: usize = 2_000_000;

/// The groups of an answer, the largest first, and the total of all.
pub(super) struct Breakdown {
    pub(super) groups: Vec<Group>,
    pub(super) total: u64,
}

/// Sessions by group and unit.
#[derive(Debug)]
struct Sessions {
    /// Quarter hours.
    edges: Vec<i64>,
    /// By unit.
    all: Vec<u64>,
    /// By group.
    totals: Vec<u64>,
    /// By group and then by unit, as long as they are few.
    counts: Option<Vec<Vec<u64>>>,
}

impl Sessions {
    fn new(edges: &[i64]) -> Self {
        Self {
            edges: edges.iter().map(|edge| edge.div_euclid(QUARTER)).collect(),
            all: vec![0; edges.len().saturating_sub(1)],
            totals: Vec::new(),
            counts: Some(Vec::new()),
        }
    }

    fn add(&mut self, group: u32, at: i64, sessions: u32) {
        let gap = self.edges.partition_point(|edge| *edge <= at).checked_sub(1);
        let Some((gap, all)) = gap.and_then(|gap| Some((gap, self.all.get_mut(gap)?))) else {
            return;
        };
        *all += u64::from(sessions);
        let place = usize::try_from(group).unwrap_or(usize::MAX);
        if place >= self.totals.len() {
            self.totals.resize(place.saturating_add(1), 0);
        }
        if let Some(total) = self.totals.get_mut(place) {
            *total += u64::from(sessions);
        }
        let Some(counts) = &mut self.counts else { return };
        if place >= counts.len() {
            if place.saturating_add(1).saturating_mul(self.all.len()) > HELD {
                self.counts = None;
                return;
            }
            counts.resize_with(place.saturating_add(1), || vec![0; self.all.len()]);
        }
        if let Some(count) = counts.get_mut(place).and_then(|units| units.get_mut(gap)) {
            *count += u64::from(sessions);
        }
    }
}

/// Sessions by field and unit. The versions in `days` become those that were counted.
pub(super) async fn sessions(
    whose: &Whose,
    asked: &Asked,
    days: &mut [DayVersion],
) -> Result<Breakdown, QuestionError> {
    let fold = whose.walk::<Cells, _>(days, Sessions::new(&asked.edges), |whose, fold, day, apps| {
        each_cell(whose, day, apps, |group, at, sessions| {
            fold.add(group, at, sessions)
        });
        true
    });
    let Sessions {
        all, totals, counts, ..
    } = fold.await?;
    let total = all.iter().sum();
    let (chosen, is_all) = largest(whose, &totals, asked.limit);
    asked.check_points(chosen.len() + usize::from(!is_all))?;
    let counts = match counts {
        Some(counts) => {
            let of = |(number, _): &(u32, GroupKey)| {
                let place = usize::try_from(*number).unwrap_or(usize::MAX);
                counts.get(place).cloned().unwrap_or_default()
            };
            chosen.iter().map(of).collect()
        }
        None => of_chosen(whose, asked, days, &chosen).await?,
    };
    let mut groups: Vec<Group> = chosen
        .into_iter()
        .zip(counts)
        .map(|((_, key), counts)| Group {
            key,
            total: Some(counts.iter().sum()),
            counts,
        })
        .collect();
    if !is_all {
        groups.push(others(&all, &groups));
    }
    Ok(Breakdown { groups, total })
}

/// What all groups but these have.
pub(super) fn others(all: &[u64], groups: &[Group]) -> Group {
    let mut counts = all.to_vec();
    for group in groups {
        for (count, of_group) in counts.iter_mut().zip(&group.counts) {
            *count = count.saturating_sub(*of_group);
        }
    }
    Group {
        key: GroupKey::Others,
        total: Some(counts.iter().sum()),
        counts,
    }
}

/// Sessions of chosen groups by unit, where those of all groups were too many to be held.
async fn of_chosen(
    whose: &Whose,
    asked: &Asked,
    read: &mut [DayVersion],
    chosen: &[(u32, GroupKey)],
) -> Result<Vec<Vec<u64>>, StoreError> {
    let places: foldhash::HashMap<u32, u32> = (0..)
        .zip(chosen)
        .map(|(place, (number, _))| (*number, place))
        .collect();
    let mut fold = Sessions::new(&asked.edges);
    fold.counts = Some(vec![vec![0; fold.all.len()]; chosen.len()]);
    let mut days = read.to_vec();
    let fold = whose.walk::<Cells, _>(&mut days, fold, move |whose, fold, day, apps| {
        each_cell(whose, day, apps, |group, at, sessions| {
            if let Some(place) = places.get(&group) {
                fold.add(*place, at, sessions);
            }
        });
        true
    });
    let fold = fold.await?;
    note_changes(read, &days);
    Ok(fold.counts.unwrap_or_default())
}

/// What was read of a day the first time and the second is not one state of it: an answer of both holds for none.
fn note_changes(first: &mut [DayVersion], second: &[DayVersion]) {
    for (one, other) in first.iter_mut().zip(second) {
        if one.version != other.version {
            one.version = Version::NONE;
        }
    }
}

/// Hands over the sessions that belong: their group, their quarter hour since 1970, and how many they are.
fn each_cell(whose: &Whose, day: i64, apps: &[(usize, &Cells)], mut each: impl FnMut(u32, i64, u32)) {
    let midnight = day * (DAY / QUARTER);
    with_groups(whose, |group| {
        for (app, cells) in apps {
            for (combination, quarters, counts) in cells.by_combination() {
                if let Some(group) = group(*app, combination) {
                    for (quarter, sessions) in quarters.iter().zip(counts) {
                        each(group, midnight + i64::from(*quarter), *sessions);
                    }
                }
            }
        }
    });
}

/// Looks at which group sessions of an app, by its place, with a combination are of, if they belong at all.
fn with_groups<T>(whose: &Whose, look: impl FnOnce(&dyn Fn(usize, u64) -> Option<u32>) -> T) -> T {
    let empty = Groups::default();
    let known = whose.field.as_ref().map(|field| field.look());
    let groups = known.as_deref().unwrap_or(&empty);
    whose.with_members(|members| {
        look(&|app, combination| {
            members
                .has(app, combination)
                .then(|| groups.of(combination))
                .flatten()
        })
    })
}

/// The groups with the greatest totals, the greatest first, of equal ones the lesser value; and whether they are all that
/// there are.
fn largest(whose: &Whose, totals: &[u64], limit: usize) -> (Vec<(u32, GroupKey)>, bool) {
    let mut order: Vec<(Reverse<u64>, GroupKey, u32)> = {
        let known = whose.field.as_ref().map(|field| field.look());
        let numbers = (0_u32..).zip(totals).filter(|(_, total)| **total > 0);
        let named = |(number, total): (u32, &u64)| {
            let key = known.as_ref()?.key(number)?.clone();
            Some((Reverse(*total), key, number))
        };
        numbers.filter_map(named).collect()
    };
    let is_all = order.len() <= limit;
    if !is_all && limit > 0 {
        order.select_nth_unstable(limit - 1);
    }
    order.truncate(limit);
    order.sort_unstable();
    (
        order.into_iter().map(|(_, key, number)| (number, key)).collect(),
        is_all,
    )
}

/// Users by field and unit. The versions in `days` become those that were counted.
pub(super) async fn users(
    whose: &Whose,
    asked: &Asked,
    days: &mut [DayVersion],
) -> Result<Breakdown, QuestionError> {
    // Whether there was room for all.
    let fold = (GroupTotals::new(&asked.edges), true);
    let fold = whose.walk::<People, _>(days, fold, |whose, (fold, is_whole), day, apps| {
        *is_whole = with_groups(whose, |group| fold.add(day, apps, group));
        *is_whole
    });
    let (fold, is_whole) = fold.await?;
    if !is_whole {
        return Err(QuestionError::TooManyGroups);
    }
    let (totals, total) = fold.finish();
    let (chosen, _) = largest(whose, &totals, asked.limit);
    asked.check_points(chosen.len())?;
    let numbers: Vec<u32> = chosen.iter().map(|(number, _)| *number).collect();
    let fold = GroupsByGap::new(&asked.edges, &numbers);
    let mut again = days.to_vec();
    let fold = whose.walk::<People, _>(&mut again, fold, |whose, fold, day, apps| {
        with_groups(whose, |group| fold.add(day, apps, group));
        true
    });
    let counts = fold.await?.finish();
    note_changes(days, &again);
    let total_of = |number: u32| totals.get(usize::try_from(number).unwrap_or(usize::MAX)).copied();
    let groups = chosen
        .into_iter()
        .zip(counts)
        .map(|((number, key), counts)| Group {
            key,
            counts,
            total: total_of(number),
        });
    Ok(Breakdown {
        groups: groups.collect(),
        total,
    })
}
