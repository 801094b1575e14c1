//! Users whose first session is in a unit. When each user was first seen is held, with the versions of the days that it
//! rests on: days that change are folded in again.

use super::asked::Asked;
use super::states::State;
use super::versions::changed;
use super::walk::Whose;
use crate::rollup::folds::First;
use crate::rollup::{Days, People};
use crate::store::{DayVersion, StoreError};

/// When each user of some apps was first seen.
#[derive(Debug, Default)]
pub(super) struct Firsts {
    days: Vec<DayVersion>,
    first: First,
    by_day: Days,
}

impl State for Firsts {
    fn bytes(&self) -> usize {
        self.days.len() * size_of::<DayVersion>() + self.first.bytes() + self.by_day.bytes()
    }
}

/// New users of each unit. The versions in `days`, which are all up to the end of the window, become those that were
/// counted.
pub(super) async fn count(
    firsts: &mut Firsts,
    whose: &Whose,
    asked: &Asked,
    days: &mut Vec<DayVersion>,
) -> Result<Vec<u64>, StoreError> {
    let last = days.last().map_or(0, |day| day.day);
    // What is held may reach further than this question.
    let held = firsts.days.partition_point(|day| day.day <= last);
    let beyond = firsts.days.get(held..).unwrap_or_default();
    let mut wanted = days.clone();
    wanted.extend_from_slice(beyond);
    follow(firsts, whose, wanted).await?;
    let contained = firsts.days.partition_point(|day| day.day <= last);
    *days = firsts.days.get(..contained).unwrap_or_default().to_vec();
    let mut counts = vec![0; asked.edges.len().saturating_sub(1)];
    firsts.by_day.count(&asked.edges, &mut counts);
    Ok(counts)
}

/// Brings what is held to the state that `days` say, or a later one.
async fn follow(firsts: &mut Firsts, whose: &Whose, mut days: Vec<DayVersion>) -> Result<(), StoreError> {
    let changed = changed(&firsts.days, &days);
    if changed.is_empty() {
        return Ok(());
    }
    if !firsts.days.is_empty() {
        let mut some: Vec<DayVersion> = days
            .iter()
            .filter(|day| changed.contains(&day.day))
            .copied()
            .collect();
        let fresh = fold(whose, &mut some).await?;
        if firsts.first.replace(&changed, &fresh) {
            for day in some {
                let place = days.binary_search_by_key(&(day.day, day.app), |day| (day.day, day.app));
                if let Some(known) = place.ok().and_then(|place| days.get_mut(place)) {
                    *known = day;
                }
            }
            firsts.days = days;
            firsts.note();
            return Ok(());
        }
    }
    firsts.first = fold(whose, &mut days).await?;
    firsts.days = days;
    firsts.note();
    Ok(())
}

impl Firsts {
    fn note(&mut self) {
        let mut by_day = Days::default();
        for (day, quarters) in self.first.by_day() {
            by_day.set(day, 0, &quarters);
        }
        self.by_day = by_day;
    }
}

async fn fold(whose: &Whose, days: &mut [DayVersion]) -> Result<First, StoreError> {
    let folding = whose.walk::<People, _>(days, First::default(), |_, first, day, apps| {
        apps.iter().for_each(|(_, people)| first.add(day, people));
        true
    });
    folding.await
}
