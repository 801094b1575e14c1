//! Time zones by their IANA names, from the database that is compiled in.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::civil::DAY;
use super::quantised::Stretches;

/// An IANA time zone. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone with this name, in any case; `None` if the database has none.
    pub fn new(name: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        (zone.iana_name().is_some() && !zone.is_unknown()).then_some(Self(zone))
    }

    /// UTC.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The IANA name, in its usual spelling.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Every name in the database.
    pub fn all_names() -> impl Iterator<Item = String> {
        let database = TimeZoneDatabase::bundled();
        let names: Vec<String> = database
            .available()
            .map(|name| name.as_str().to_owned())
            .collect();
        names.into_iter().filter(|name| Self::new(name).is_some())
    }

    /// The instant (Unix seconds) at which local clocks show a time (seconds since 1970-01-01T00:00 on them): the first of
    /// two, and after a gap where they never do.
    pub fn instant(&self, local: i64) -> i64 {
        Stretches::new(self, local - 2 * DAY, local + 2 * DAY).resolve(local)
    }

    /// Seconds east of UTC at an instant (Unix seconds). Beyond the years −9999 to 9999: as at their end.
    pub(super) fn offset(&self, second: i64) -> i64 {
        self.0.to_offset(timestamp(second)).seconds().into()
    }

    /// Changes of the offset after an instant: when (Unix seconds, rounded up), and the new offset.
    pub(super) fn changes_after(&self, second: i64) -> impl Iterator<Item = (i64, i64)> {
        self.0
            .following(timestamp(second))
            .map(|change| (change.timestamp().as_second(), change.offset().seconds().into()))
    }
}

fn timestamp(second: i64) -> Timestamp {
    let second = second.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_keep_their_spelling() {
        assert_eq!(Zone::new("america/new_york").unwrap().name(), "America/New_York");
        assert_eq!(Zone::new("UTC").unwrap().name(), "UTC");
        for unknown in ["", "Mars/Olympus", "+05:00", "EST5EDT4", "../UTC", "Etc/Unknown"] {
            assert!(Zone::new(unknown).is_none(), "{unknown}");
        }
        assert!(Zone::all_names().count() > 400);
    }

    #[test]
    fn local_times_become_instants() {
        let zone = Zone::new("America/New_York").unwrap();
        // 2018-06-28T23:59:59, then one that occurs twice (2018-11-04T01:30) and one that never does (2018-03-11T02:30).
        for (local, instant) in [
            (1_530_230_399, 1_530_244_799),
            (1_541_295_000, 1_541_309_400),
            (1_520_735_400, 1_520_751_600),
        ] {
            assert_eq!(zone.instant(local), instant);
        }
    }
}
