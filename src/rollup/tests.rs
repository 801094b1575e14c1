//! Everything beside the plainest way to say it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::folds::{Active, Distinct, DistinctByGap, First, GroupTotals, GroupsByGap, Latest, Sizes};
use super::*;

/// Start, person, combination; in the order of the session ids.
type Row = (u32, u64, u64);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let start = prop_oneof![0_u32..86_400_000, 0_u32..2_000_000];
    let combination = prop_oneof![1_u64..6, 1_u64..100_000, any::<u64>()];
    vec((start, 0_u64..9, combination), 0..120)
}

fn built(rows: &[Row]) -> Rollup {
    let mut builder = Builder::default();
    for (start, person, combination) in rows {
        builder.push(*start, *person, *combination);
    }
    builder.finish()
}

fn naive_cells(rows: &[Row]) -> BTreeMap<(u64, u8), u32> {
    let mut cells = BTreeMap::new();
    for (start, _, combination) in rows {
        *cells.entry((*combination, (start / 900_000) as u8)).or_default() += 1;
    }
    cells
}

/// Of each person the distinct visits, by the latest session of each.
fn naive_people(rows: &[Row]) -> BTreeMap<u64, Vec<Visit>> {
    let mut latest = BTreeMap::<(u64, Visit), (u32, usize)>::new();
    for (index, (start, person, combination)) in rows.iter().enumerate().filter(|(_, row)| row.1 != 0) {
        let visit = Visit {
            quarter: (start / 900_000) as u8,
            combination: *combination,
        };
        let at = latest.entry((*person, visit)).or_default();
        *at = (*at).max((*start, index));
    }
    let mut people = BTreeMap::<u64, Vec<((u32, usize), Visit)>>::new();
    for ((person, visit), at) in latest {
        people.entry(person).or_default().push((at, visit));
    }
    let sorted = |mut visits: Vec<((u32, usize), Visit)>| {
        visits.sort_unstable();
        visits.into_iter().map(|(_, visit)| visit).collect()
    };
    people
        .into_iter()
        .map(|(person, visits)| (person, sorted(visits)))
        .collect()
}

proptest! {
    #[test]
    fn a_rollup_is_what_a_naive_count_says(rows in rows()) {
        let rollup = built(&rows);
        let cells: BTreeMap<_, _> = rollup.cells.iter().map(|(of, quarter, n)| ((of, quarter), n)).collect();
        prop_assert_eq!(&cells, &naive_cells(&rows));
        let people: BTreeMap<_, _> = rollup.people.iter().map(|(person, visits)| (person, visits.to_vec())).collect();
        prop_assert_eq!(people, naive_people(&rows));
        prop_assert_eq!(rollup.cells.sessions(), rows.len() as u64);

        let even = rollup.cells.sum(|combination| combination % 2 == 0);
        for quarter in 0..96_u8 {
            let naive: u32 = cells.iter().filter(|((of, at), _)| of % 2 == 0 && *at == quarter).map(|(_, n)| n).sum();
            prop_assert_eq!(even[usize::from(quarter)], naive);
        }
        let groups = rollup.cells.by_group(|combination| (combination % 3) as usize);
        let total: u64 = groups.iter().flatten().map(|n| u64::from(*n)).sum();
        prop_assert_eq!(total, rows.len() as u64);
        for (group, sums) in groups.iter().enumerate() {
            prop_assert_eq!(*sums, rollup.cells.sum(|combination| (combination % 3) as usize == group));
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is(rows in rows(), cut in any::<prop::sample::Index>(), flip in any::<(prop::sample::Index, u8)>()) {
        let rollup = built(&rows);
        let (cells, people) = (rollup.cells.encode().unwrap(), rollup.people.encode().unwrap());
        prop_assert_eq!(Cells::decode(&cells), Ok(rollup.cells));
        prop_assert_eq!(People::decode(&people), Ok(rollup.people));
        for bytes in [cells, people] {
            let short = &bytes[..cut.index(bytes.len())];
            prop_assert!(Cells::decode(short).is_err() && People::decode(short).is_err());
            let mut forged = bytes.clone();
            let at = flip.0.index(bytes.len());
            forged[at] ^= flip.1.max(1);
            // Whatever is damaged, there is no panic; what can be read is no more than a day.
            let _ = Cells::decode(&forged);
            let _ = People::decode(&forged);
        }
    }

    #[test]
    fn random_columns_never_panic(content in vec(any::<u8>(), 0..200)) {
        let packed = codec::pack(1, &content).unwrap();
        if let Ok(cells) = Cells::decode(&packed) {
            prop_assert_eq!(cells.iter().count(), cells.iter().filter(|(_, quarter, _)| *quarter < 96).count());
        }
        let _ = People::decode(&packed);
        let _ = Cells::decode(&content);
        let _ = Totals::decode_unchecked(&content);
    }

    #[test]
    fn totals_belong_to_their_row(counts in vec((0_u8..96, 0_u32..100_000), 0..40), label in (any::<i64>(), any::<i64>(), any::<i64>())) {
        let label = Label { app: label.0, day: label.1, seq: label.2 };
        let mut totals = Totals::default();
        counts.iter().for_each(|(quarter, n)| totals.add(*quarter, *n));
        let bytes = totals.encode(label);
        prop_assert_eq!(Totals::decode(&bytes, label), Ok(totals));
        prop_assert_eq!(Totals::decode_unchecked(&bytes), Ok(totals));
        for other in [
            Label { app: label.app ^ 1, ..label },
            Label { day: label.day ^ 1, ..label },
            Label { seq: label.seq ^ 1, ..label },
        ] {
            prop_assert!(Totals::decode(&bytes, other).is_err());
        }
    }

    #[test]
    fn days_count_between_edges(
        adds in vec((-3_i64..3, 0_usize..96, 1_u32..5), 0..40),
        set in -3_i64..3,
        mut edges in vec(-400_i64..400, 0..12),
    ) {
        edges.sort_unstable();
        let mut days = Days::default();
        let mut naive = BTreeMap::<i64, u64>::new();
        for (version, (day, quarter, sessions)) in adds.iter().enumerate() {
            let mut counts = [0; QUARTERS];
            counts[*quarter] = *sessions;
            if *day == set {
                days.set(*day, version as i64, &counts);
                naive.retain(|at, _| at.div_euclid(96) != set);
            } else {
                days.add(*day, version as i64, &counts);
            }
            *naive.entry(day * 96 + *quarter as i64).or_default() += u64::from(*sessions);
            prop_assert_eq!(days.version(*day), Some(version as i64));
        }
        let seconds: Vec<i64> = edges.iter().map(|edge| edge * QUARTER).collect();
        let mut counts = vec![0; edges.len().saturating_sub(1)];
        days.count(&seconds, &mut counts);
        let expected: Vec<u64> = edges.windows(2).map(|pair| naive.range(pair[0]..pair[1]).map(|(_, n)| n).sum()).collect();
        prop_assert_eq!(counts, expected);
    }

    #[test]
    fn a_bitmap_knows_what_it_was_told(set in prop::collection::btree_map(0_u64..20_000, any::<bool>(), 0..50)) {
        let mut bitmap = Bitmap::default();
        set.iter().for_each(|(number, holds)| bitmap.set(*number, !holds));
        set.iter().for_each(|(number, holds)| bitmap.set(*number, *holds));
        for number in set.keys().flat_map(|number| [*number, number + 1]) {
            prop_assert_eq!(bitmap.get(number), set.get(&number).copied());
        }
        prop_assert_eq!(bitmap.get(u64::MAX), None);
    }

    #[test]
    fn folds_are_what_naive_ones_say(days in vec((0_usize..2, rows()), 0..5), before in 0_i64..480, even in any::<bool>()) {
        let belongs = |combination: u64| !even || combination.is_multiple_of(2);
        let edges: Vec<i64> = vec![3, 90, 90, 200, 400];
        let seconds: Vec<i64> = edges.iter().map(|edge| edge * QUARTER).collect();
        let (mut distinct, mut first, mut latest) = (Distinct::new(&seconds), First::default(), Latest::default());
        // App, quarter, start, index of the session, person, combination.
        let mut all = Vec::new();
        for (day, (app, rows)) in (0_i64..).zip(&days) {
            let people = built(rows).people;
            distinct.add(day, &people, belongs);
            first.add(day, &people);
            latest.add(*app, day, &people, before);
            for (index, (start, person, combination)) in rows.iter().enumerate().filter(|(_, row)| row.1 != 0) {
                all.push((day * 96 + i64::from(start / 900_000), *app, *start, index, *person, *combination));
            }
        }
        let within = |from, to| -> BTreeSet<u64> {
            let members = all.iter().filter(|row| (from..to).contains(&row.0) && belongs(row.5));
            members.map(|row| row.4).collect()
        };
        let naive: Vec<u64> = edges.windows(2).map(|pair| within(pair[0], pair[1]).len() as u64).collect();
        prop_assert_eq!(distinct.counts(), naive);
        prop_assert_eq!(distinct.total(), within(3, 400).len() as u64);

        let mut earliest = BTreeMap::<u64, i64>::new();
        for row in &all {
            earliest.entry(row.4).and_modify(|at| *at = (*at).min(row.0)).or_insert(row.0);
        }
        prop_assert_eq!(first.iter().collect::<BTreeMap<_, _>>(), earliest);

        let mut last = BTreeMap::new();
        all.sort_unstable_by_key(|row| (row.0, row.1, row.2, row.3));
        for row in all.iter().filter(|row| row.0 < before) {
            last.insert(row.4, (row.1, row.5));
        }
        let latest: BTreeMap<_, _> = latest.iter().map(|(person, app, of)| (person, (app, of))).collect();
        prop_assert_eq!(latest, last);
    }
}

#[test]
fn many_combinations_are_sorted_and_a_busy_person_has_each_visit_once() {
    let rows: Vec<Row> = (0..40_000_u64)
        .map(|number| {
            (
                (number * 7_919 % 86_400_000) as u32,
                1 + number % 2,
                number % 15_000,
            )
        })
        .collect();
    let rollup = built(&rows);
    let cells: BTreeMap<_, _> = rollup
        .cells
        .iter()
        .map(|(of, quarter, n)| ((of, quarter), n))
        .collect();
    assert_eq!(cells, naive_cells(&rows));
    let people: BTreeMap<_, _> = rollup
        .people
        .iter()
        .map(|(person, visits)| (person, visits.to_vec()))
        .collect();
    assert_eq!(people, naive_people(&rows));
}

#[test]
fn a_form_of_a_newer_version_says_so() {
    let mut bytes = built(&[(1, 1, 1)]).cells.encode().unwrap();
    bytes[0] = 2;
    assert_eq!(Cells::decode(&bytes), Err(FormError::Newer(2)));
}

/// Rows of a day of an app.
type DayOfApp = (i64, usize, Vec<Row>);

/// Quarter since 1970, app, start, index of the session, person, combination.
fn all_rows(days: &[DayOfApp]) -> Vec<(i64, usize, u32, usize, u64, u64)> {
    let mut all = Vec::new();
    for (day, app, rows) in days {
        for (index, (start, person, combination)) in rows.iter().enumerate().filter(|(_, row)| row.1 != 0) {
            let at = day * 96 + i64::from(start / 900_000);
            all.push((at, *app, *start, index, *person, *combination));
        }
    }
    all.sort_unstable();
    all
}

/// The people of each UTC day, its apps together.
fn by_day(days: &[DayOfApp]) -> BTreeMap<i64, Vec<(usize, People)>> {
    let mut by_day = BTreeMap::<i64, Vec<(usize, People)>>::new();
    for (day, app, rows) in days {
        by_day.entry(*day).or_default().push((*app, built(rows).people));
    }
    by_day
}

fn borrowed(apps: &[(usize, People)]) -> Vec<(usize, &People)> {
    apps.iter().map(|(app, people)| (*app, people)).collect()
}

fn days_of_apps() -> impl Strategy<Value = Vec<DayOfApp>> {
    // Persons of both kinds of numbers: dense ones, and hashes.
    let person = prop_oneof![0_u64..6, (0_u64..6).prop_map(|number| number << 40)];
    let row = (0_u32..86_400_000, person, 1_u64..5);
    prop::collection::btree_map((0_i64..6, 0_usize..3), vec(row, 0..12), 0..10).prop_map(|days| {
        let day = |((day, app), rows)| (day, app, rows);
        days.into_iter().map(day).collect()
    })
}

proptest! {
    #[test]
    fn folds_over_days_in_order_are_what_naive_ones_say(
        days in days_of_apps(),
        mut edges in vec(0_i64..576, 2..9),
        length in 1_usize..4,
    ) {
        edges.sort_unstable();
        let seconds: Vec<i64> = edges.iter().map(|edge| edge * QUARTER).collect();
        let belongs = |app: usize, combination: u64| (app as u64 + combination).is_multiple_of(2);
        let rows = all_rows(&days);
        let within = |from: i64, to: i64| -> BTreeSet<u64> {
            let members = rows.iter().filter(|row| (from..to).contains(&row.0) && belongs(row.1, row.5));
            members.map(|row| row.4).collect()
        };
        let group = |app: usize, combination: u64| belongs(app, combination).then_some((combination % 3) as u32);

        let (mut distinct, mut active) = (DistinctByGap::new(&seconds, true), Active::new(&seconds, length));
        let (mut totals, mut groups) = (GroupTotals::new(&seconds), GroupsByGap::new(&seconds, &[2, 0]));
        let mut latest = Latest::default();
        for (day, apps) in by_day(&days) {
            latest.add_all(day, &borrowed(&apps), edges[0]);
        }
        let mut sizes = Sizes::new(&seconds, latest, belongs);
        for (day, apps) in by_day(&days) {
            let apps = borrowed(&apps);
            distinct.add(day, &apps, belongs);
            active.add(day, &apps, belongs);
            prop_assert!(totals.add(day, &apps, group));
            groups.add(day, &apps, group);
            sizes.add(day, &apps, belongs);
        }
        let naive: Vec<u64> = edges.windows(2).map(|pair| within(pair[0], pair[1]).len() as u64).collect();
        let total = within(edges[0], edges[edges.len() - 1]).len() as u64;
        prop_assert_eq!(distinct.finish(), (naive, Some(total)));
        let naive: Vec<u64> = edges.windows(length + 1).map(|some| within(some[0], some[length]).len() as u64).collect();
        prop_assert_eq!(active.finish(), naive);

        let of_group = |number: u32, from: i64, to: i64| {
            let members = rows.iter().filter(|row| (from..to).contains(&row.0) && group(row.1, row.5) == Some(number));
            members.map(|row| row.4).collect::<BTreeSet<_>>().len() as u64
        };
        let (by_group, all) = totals.finish();
        prop_assert_eq!(all, total);
        for number in 0..3_u32 {
            let found = by_group.get(number as usize).copied().unwrap_or_default();
            prop_assert_eq!(found, of_group(number, edges[0], edges[edges.len() - 1]));
        }
        let of_gaps = |number| edges.windows(2).map(|pair| of_group(number, pair[0], pair[1])).collect::<Vec<_>>();
        prop_assert_eq!(groups.finish(), vec![of_gaps(2), of_gaps(0)]);

        let size_at = |end: i64| {
            let mut last = BTreeMap::new();
            for row in rows.iter().filter(|row| row.0 < end) {
                last.insert(row.4, (row.1, row.5));
            }
            last.values().filter(|(app, of)| belongs(*app, *of)).count() as u64
        };
        let (found, latest) = sizes.finish();
        prop_assert_eq!(found, edges[1..].iter().map(|end| size_at(*end)).collect::<Vec<_>>());
        let mut last = BTreeMap::new();
        for row in rows.iter().filter(|row| row.0 < edges[edges.len() - 1]) {
            last.insert(row.4, (row.1, row.5));
        }
        let latest: BTreeMap<_, _> = latest.iter().map(|(person, app, of)| (person, (app, of))).collect();
        prop_assert_eq!(latest, last);
    }

    #[test]
    fn a_day_that_changes_is_folded_in_again_or_everything_is(before in days_of_apps(), after in days_of_apps(), kept in vec(any::<bool>(), 6), cut in 0_i64..600) {
        // Some days stay as they were.
        let stays = |day: &DayOfApp| kept[day.0 as usize];
        let mut now: Vec<DayOfApp> = before.iter().filter(|day| stays(day)).cloned().collect();
        now.extend(after.into_iter().filter(|day| !stays(day)));
        let changed: BTreeSet<i64> = (0..6).filter(|day| !kept[*day as usize]).collect();
        let fold = |days: &[DayOfApp], of: &dyn Fn(i64) -> bool| {
            let (mut first, mut latest) = (First::default(), Latest::default());
            for (day, apps) in by_day(days).into_iter().filter(|(day, _)| of(*day)) {
                for (app, people) in &apps {
                    first.add(day, people);
                    latest.add(*app, day, people, cut);
                }
            }
            (first, latest)
        };
        let everything = |_| true;
        let (mut first, mut latest) = fold(&before, &everything);
        let (fresh_first, fresh_latest) = fold(&now, &|day| changed.contains(&day));
        let (expected_first, expected_latest) = fold(&now, &everything);
        if first.replace(&changed, &fresh_first) {
            let (found, expected): (BTreeMap<_, _>, BTreeMap<_, _>) = (first.iter().collect(), expected_first.iter().collect());
            prop_assert_eq!(found, expected);
            prop_assert_eq!(first.by_day().values().flatten().sum::<u32>() as usize, expected_first.iter().count());
        }
        if latest.replace(&changed, &fresh_latest) {
            let sorted = |latest: &Latest| latest.iter().collect::<BTreeSet<_>>();
            prop_assert_eq!(sorted(&latest), sorted(&expected_latest));
        }
    }
}
