//! Answers about persons, folded over the people of many days.
//!
//! [`Distinct`] takes days in any order. [`DistinctByGap`], [`Active`] and [`Sizes`] take them in their order, all apps of
//! a UTC day together, and hold no more than persons. [`First`] and [`Latest`] take them in any order, and days that have changed once more.

mod active;
mod distinct;
mod first;
mod grouped;
mod latest;
mod sizes;

pub use active::Active;
pub use distinct::{Distinct, DistinctByGap};
pub use first::First;
pub use grouped::{GroupTotals, GroupsByGap};
pub use latest::{Last, Latest};
pub use sizes::Sizes;

use super::{People, QUARTER, QUARTERS};

/// The people of the apps of a UTC day: each with the app's place in the order of ids.
pub type OfApps<'a> = &'a [(usize, &'a People)];

/// A quarter hour since 1970 (Unix seconds / 900).
fn quarter_since_1970(day: i64, quarter: u8) -> i64 {
    first_quarter(day).saturating_add(i64::from(quarter))
}

/// The first quarter hour of a UTC day.
fn first_quarter(day: i64) -> i64 {
    let quarters = i64::try_from(QUARTERS).unwrap_or_default();
    day.saturating_mul(quarters)
}

/// Edges (Unix seconds, ascending multiples of a quarter hour) in quarter hours.
fn in_quarters(edges: &[i64]) -> Vec<i64> {
    edges.iter().map(|edge| edge.div_euclid(QUARTER)).collect()
}

/// A stretch of a UTC day that lies between two neighbouring edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    /// The place of the earlier edge.
    gap: usize,
    /// Quarter hours of the day: the first one, and the one behind the last.
    from: u8,
    to: u8,
}

impl Part {
    fn has(self, quarter: u8) -> bool {
        (self.from..self.to).contains(&quarter)
    }
}

/// The stretches of a UTC day between edges (quarter hours), in their order.
fn parts(edges: &[i64], day: i64) -> Vec<Part> {
    let (begin, end) = (first_quarter(day), first_quarter(day.saturating_add(1)));
    let first = edges.partition_point(|edge| *edge <= begin).saturating_sub(1);
    let of_day = |at: i64| u8::try_from(at.clamp(begin, end) - begin).unwrap_or(u8::MAX);
    let pairs = edges.windows(2).enumerate().skip(first);
    pairs
        .filter_map(|(gap, pair)| match pair {
            [from, to] => Some((gap, *from, *to)),
            _ => None,
        })
        .take_while(|(_, from, _)| *from < end)
        .filter(|(_, from, to)| from < to && *to > begin)
        .map(|(gap, from, to)| Part {
            gap,
            from: of_day(from),
            to: of_day(to),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_cut_at_edges() {
        let part = |gap, from, to| Part { gap, from, to };
        assert_eq!(parts(&[], 0), []);
        assert_eq!(parts(&[5], 0), []);
        assert_eq!(
            parts(&[-10, 20, 20, 96, 100], 0),
            [part(0, 0, 20), part(2, 20, 96)]
        );
        assert_eq!(parts(&[0, 96, 192], 1), [part(1, 0, 96)]);
        assert_eq!(parts(&[-500, 500], 2), [part(0, 0, 96)]);
        assert_eq!(parts(&[100, 500], 0), []);
        assert_eq!(parts(&[-500, 0], 0), []);
    }
}
