//! A zone with its changes moved to quarter hours.
//!
//! Every current offset is a multiple of 15 minutes, but not every change happened on a quarter hour (St John's
//! until 2011: one minute past midnight). So that stores can count in quarter hours, such a change takes effect
//! at the next one, and an odd offset (Monrovia until 1972) is rounded to the nearest 15 minutes.

use super::civil::DAY;
use super::zone::Zone;

/// Seconds of a quarter hour.
pub(super) const QUARTER: i64 = 900;

/// A stretch of time with one offset; all three are multiples of 900 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Unix seconds, included.
    pub(super) start: i64,
    /// Unix seconds, not included.
    pub(super) end: i64,
    /// Seconds east of UTC.
    pub(super) offset: i64,
}

/// The stretches of a span of time, in order, without gaps; neighbours have different offsets.
pub(super) struct Stretches(Vec<Stretch>);

impl Stretches {
    /// Of the quarter hours that touch `from` to `to` (Unix seconds).
    pub(super) fn new(zone: &Zone, from: i64, to: i64) -> Self {
        let from = from.div_euclid(QUARTER) * QUARTER;
        let to = ceil_to_quarter(to);
        let mut stretches = Vec::with_capacity(6);
        let mut current = Stretch {
            start: from,
            end: to,
            offset: quantise(zone.offset(from)),
        };
        let changes = zone
            .changes_after(from)
            .map(|(at, offset)| (ceil_to_quarter(at), quantise(offset)));
        for (at, offset) in changes.take_while(|(at, _)| *at < to) {
            if offset == current.offset {
                continue;
            }
            if at > current.start {
                stretches.push(Stretch { end: at, ..current });
            }
            current = Stretch {
                start: at,
                end: to,
                offset,
            };
        }
        stretches.push(current);
        Self(stretches)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Stretch> {
        self.0.iter()
    }

    /// The stretch of an instant; outside the span, the nearest.
    pub(super) fn at(&self, second: i64) -> Stretch {
        let found = self.iter().rev().find(|stretch| stretch.start <= second);
        found.or(self.0.first()).copied().unwrap_or(Stretch {
            start: second,
            end: second,
            offset: 0,
        })
    }

    /// The first instant at which local clocks show a date (days since 1970-01-01), if they ever do.
    pub(super) fn first_instant_of(&self, day: i64) -> Option<i64> {
        self.iter().find_map(|stretch| {
            let from = (day * DAY - stretch.offset).max(stretch.start);
            let to = ((day + 1) * DAY - stretch.offset).min(stretch.end);
            (from < to).then_some(from)
        })
    }

    /// The first instant at which local clocks show a time (seconds since 1970-01-01T00:00 local); if they
    /// never do, the instant after the gap.
    pub(super) fn resolve(&self, local: i64) -> i64 {
        let shown = |stretch: &Stretch| {
            let at = local - stretch.offset;
            (stretch.start <= at && at < stretch.end).then_some(at)
        };
        let mut before = i64::MIN;
        let mut after_gap = local;
        for stretch in self.iter() {
            if let Some(at) = shown(stretch) {
                return at;
            }
            if before <= local && local < stretch.start + stretch.offset {
                after_gap = stretch.start;
            }
            before = stretch.end + stretch.offset;
        }
        after_gap
    }
}

fn ceil_to_quarter(second: i64) -> i64 {
    (second + QUARTER - 1).div_euclid(QUARTER) * QUARTER
}

fn quantise(offset: i64) -> i64 {
    (offset + QUARTER / 2).div_euclid(QUARTER) * QUARTER
}
