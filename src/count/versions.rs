//! Versions of days: what says whether an answer still holds.

use std::collections::BTreeSet;
use std::hash::Hash as _;
use std::ops::RangeInclusive;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::rollup::DAY;
use crate::store::DayVersion;

/// A hash of the versions of days. Two states of them with the same one are less likely than a disk that returns wrong data.
pub(super) type Fingerprint = u128;

/// The fingerprint of days, which are ordered.
pub(super) fn fingerprint<'a>(
    mut hasher: SipHasher13,
    days: impl IntoIterator<Item = &'a DayVersion>,
) -> Fingerprint {
    days.into_iter().for_each(|day| add(&mut hasher, day));
    hasher.finish128().as_u128()
}

/// Adds a day to the hash of those before it.
pub(super) fn add(hasher: &mut SipHasher13, day: &DayVersion) {
    (day.day, day.app, day.version).hash(hasher);
}

/// The days, of those that are ordered, in which a stretch of time lies. Unix seconds.
pub(super) fn of_stretch(days: &[DayVersion], from: i64, to: i64) -> std::ops::Range<usize> {
    let range = if from < to {
        from.div_euclid(DAY)..=(to - 1).div_euclid(DAY)
    } else {
        RangeInclusive::new(1, 0)
    };
    let begin = days.partition_point(|day| day.day < *range.start());
    let end = days.partition_point(|day| day.day <= *range.end());
    begin..end.max(begin)
}

/// The days of which one of two ordered lists has another version than the other, or none.
pub(super) fn changed(before: &[DayVersion], after: &[DayVersion]) -> BTreeSet<i64> {
    let key = |day: &DayVersion| (day.day, day.app);
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    let mut changed = BTreeSet::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (Some(one), Some(other)) => key(one).cmp(&key(other)),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return changed,
        };
        let one = order.is_le().then(|| before.next()).flatten();
        let other = order.is_ge().then(|| after.next()).flatten();
        if one.map(|day| day.version) != other.map(|day| day.version) {
            changed.extend(one.or(other).map(|day| day.day));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AppId;
    use crate::store::Version;

    fn day(day: i64, app: u8, version: u128) -> DayVersion {
        DayVersion {
            day,
            app: AppId::from_bytes([app; 16]),
            version: Version(version),
            sessions: 7,
        }
    }

    #[test]
    fn what_changed_is_found() {
        let before = [day(1, 1, 5), day(1, 2, 5), day(3, 1, 9), day(4, 1, 1)];
        let after = [
            day(1, 1, 5),
            day(1, 2, 6),
            day(2, 1, 1),
            day(4, 1, 1),
            day(5, 2, 8),
        ];
        assert_eq!(changed(&before, &after), BTreeSet::from([1, 2, 3, 5]));
        assert!(changed(&before, &before).is_empty());
        assert_eq!(changed(&[], &before), BTreeSet::from([1, 3, 4]));
    }

    #[test]
    fn a_stretch_has_the_days_that_it_touches() {
        let days = [day(1, 1, 5), day(1, 2, 5), day(3, 1, 9), day(4, 1, 1)];
        assert_eq!(of_stretch(&days, DAY, 2 * DAY), 0..2);
        assert_eq!(of_stretch(&days, 2 * DAY - 1, 3 * DAY + 1), 0..3);
        assert_eq!(of_stretch(&days, 5 * DAY, 6 * DAY), 4..4);
        assert_eq!(of_stretch(&days, 7, 7), 0..0);
    }
}
