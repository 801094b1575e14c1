//! Windows that others are compared with.

use super::civil::{DAY, date_from_days, days_from_date};
use super::quantised::{QUARTER, Stretches};
use super::{EndingAt, Label, Range, Step, Window, Zone};

/// More than any wall-clock time is off by changes of the offset.
const MARGIN: i64 = 4 * DAY;

/// What the units of windows are.
#[derive(Debug, Clone, Copy)]
pub struct Units<'a> {
    /// Whose clocks.
    pub zone: &'a Zone,
    /// How long each is.
    pub step: Step,
    /// The weekday that weeks begin with, in days after Monday.
    pub weeks_begin: i64,
}

impl Units<'_> {
    /// As many of these units as `window` has, ending that many days earlier by the clocks of the zone: with whole weeks every
    /// weekday lies over the same weekday. `None` for a window without units.
    pub fn days_earlier(&self, window: &Window, days: i64) -> Option<Window> {
        let last = match window.labels().last()? {
            Label::Day(date) => EndingAt::Date(days_from_date(date) - days),
            Label::Hour { local, .. } => EndingAt::Local(local - days * DAY),
        };
        self.ending(window, last)
    }

    /// As many of these units, which end where `window` begins.
    pub fn just_before(&self, window: &Window) -> Option<Window> {
        let first = window.edges().first()?;
        self.ending(window, EndingAt::Second(first - 1))
    }

    /// As many of these units, which begin where `window` ends.
    pub fn just_after(&self, window: &Window) -> Option<Window> {
        let end = *window.edges().last()?;
        let (first, length) = (EndingAt::Second(end), window.labels().len());
        // Far enough on, and then as many as there are to be.
        let span = end - window.edges().first()?;
        let to = EndingAt::Second(end + span + 40 * DAY);
        let range = Range::Between {
            from: first,
            to: Some(to),
        };
        let on = Window::of_range(self.zone, self.step, self.weeks_begin, &range, 0).ok()?;
        let last = *on.edges().get(length)?;
        self.ending(window, EndingAt::Second(last - 1))
    }

    fn ending(&self, window: &Window, last: EndingAt) -> Option<Window> {
        let range = Range::Last {
            length: u32::try_from(window.labels().len()).ok()?,
            ending_at: Some(last),
        };
        Window::of_range(self.zone, self.step, self.weeks_begin, &range, 0).ok()
    }

    /// How far the last unit of an `earlier` window had come when it was as late as it is at `second` (Unix seconds) in the
    /// last unit of `window`: at the same time of day, down to the quarter hour; for hours, that far into the hour. `None`
    /// where the last unit is over, or has not begun.
    pub fn cut(&self, window: &Window, earlier: &Window, second: i64) -> Option<Cut> {
        let quarter = second.div_euclid(QUARTER) * QUARTER;
        let (start, end) = last_unit(window)?;
        if !(start..end).contains(&second) {
            return None;
        }
        let (earlier_start, earlier_end) = last_unit(earlier)?;
        let at = match (window.labels().last()?, earlier.labels().last()?) {
            (Label::Day(date), Label::Day(before)) => {
                let days = days_from_date(date) - days_from_date(before);
                let around = Stretches::new(self.zone, quarter - MARGIN, quarter + MARGIN);
                self.zone
                    .instant(quarter + around.at(quarter).offset - days * DAY)
            }
            _ => earlier_start + quarter - start,
        };
        Some(Cut {
            at: quarter.max(start),
            earlier_at: at.clamp(earlier_start, earlier_end),
        })
    }
}

/// Where two last units are as late as each other. Unix seconds, multiples of 900.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// In the last unit.
    pub at: i64,
    /// In that of the earlier window.
    pub earlier_at: i64,
}

fn last_unit(window: &Window) -> Option<(i64, i64)> {
    match window.edges() {
        [.., start, end] => Some((*start, *end)),
        _ => None,
    }
}

impl Zone {
    /// Seconds that the zone's clocks are ahead of UTC at an instant (Unix seconds), where changes take effect on quarter
    /// hours.
    pub fn offset_at(&self, second: i64) -> i64 {
        Stretches::new(self, second - DAY, second + DAY).at(second).offset
    }

    /// The date that the zone's clocks show at an instant (Unix seconds).
    pub fn date_at(&self, second: i64) -> Label {
        Label::Day(date_from_days((second + self.offset_at(second)).div_euclid(DAY)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::ending_at;
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::new(name).unwrap()
    }

    fn units(zone: &Zone, step: Step) -> Units<'_> {
        Units {
            zone,
            step,
            weeks_begin: 0,
        }
    }

    fn window(units: &Units<'_>, length: u32, end: &str) -> Window {
        let range = Range::Last {
            length,
            ending_at: Some(ending_at::parse(end).unwrap()),
        };
        Window::of_range(units.zone, units.step, units.weeks_begin, &range, 0).unwrap()
    }

    fn ends(window: &Window) -> (String, String) {
        let labels: Vec<String> = window.labels().map(|label| label.to_string()).collect();
        (labels[0].clone(), labels[labels.len() - 1].clone())
    }

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_second()
    }

    #[test]
    fn whole_weeks_keep_the_weekdays_over_every_change_of_clocks() {
        for (name, end, expected) in [
            ("America/New_York", "2026-11-25", ("2026-10-01", "2026-10-28")),
            ("Australia/Lord_Howe", "2026-10-04", ("2026-08-10", "2026-09-06")),
            ("Asia/Kathmandu", "2026-11-25", ("2026-10-01", "2026-10-28")),
            // Its 30 December 2011 was none: a day more lies in between, but the last weekday is the same.
            ("Pacific/Apia", "2012-01-10", ("2011-11-16", "2011-12-13")),
        ] {
            let zone = zone(name);
            let days = units(&zone, Step::Day);
            let now = window(&days, 28, end);
            let (first, last) = ends(&days.days_earlier(&now, 28).unwrap());
            assert_eq!((first.as_str(), last.as_str()), expected, "{name}");
        }
        let zone = zone("America/New_York");
        let hours = units(&zone, Step::Hour);
        let now = window(&hours, 24, "2026-11-02T14:00:00-05:00");
        let (_, last) = ends(&hours.days_earlier(&now, 7).unwrap());
        assert_eq!(last, "2026-10-26T14:00:00-04:00");
    }

    #[test]
    fn what_comes_just_before_or_after_touches() {
        for name in ["America/New_York", "Pacific/Apia", "Australia/Lord_Howe"] {
            let zone = zone(name);
            for (step, length) in [
                (Step::Hour, 30),
                (Step::Day, 30),
                (Step::Week, 5),
                (Step::Month, 7),
            ] {
                let units = units(&zone, step);
                for end in ["2026-11-05", "2011-12-29", "2026-04-05"] {
                    let now = window(&units, length, end);
                    let before = units.just_before(&now).unwrap();
                    assert_eq!(before.edges().last(), now.edges().first(), "{name} {step} {end}");
                    assert_eq!(before.labels().len(), now.labels().len());
                    assert_eq!(units.just_after(&before).unwrap(), now, "{name} {step} {end}");
                }
            }
        }
    }

    #[test]
    fn a_running_day_is_compared_up_to_the_same_time_of_day() {
        let zone = zone("America/New_York");
        let days = units(&zone, Step::Day);
        let now = window(&days, 7, "2026-11-02");
        let before = days.days_earlier(&now, 7).unwrap();
        // 14:20 in New York, an hour further from UTC than the week before.
        let cut = days.cut(&now, &before, at("2026-11-02T19:20:00Z")).unwrap();
        assert_eq!(cut.at, at("2026-11-02T19:15:00Z"));
        assert_eq!(cut.earlier_at, at("2026-10-26T18:15:00Z"));
        for over in ["2026-11-03T05:00:00Z", "2026-11-02T04:59:59Z"] {
            assert_eq!(days.cut(&now, &before, at(over)), None, "{over}");
        }
        let hours = units(&zone, Step::Hour);
        let now = window(&hours, 24, "2026-11-02T14:00:00-05:00");
        let before = hours.days_earlier(&now, 7).unwrap();
        let cut = hours.cut(&now, &before, at("2026-11-02T19:50:00Z")).unwrap();
        assert_eq!(cut.earlier_at, at("2026-10-26T18:45:00Z"));
        let months = units(&zone, Step::Month);
        let now = window(&months, 2, "2026-11-02");
        let before = months.just_before(&now).unwrap();
        let cut = months.cut(&now, &before, at("2026-11-02T19:20:00Z")).unwrap();
        assert_eq!(cut.earlier_at, at("2026-09-02T18:15:00Z"));
    }

    #[test]
    fn offsets_are_those_of_windows() {
        for (name, second, offset) in [
            ("Asia/Kathmandu", 1_790_000_000, 20_700),
            ("America/New_York", 1_790_000_000, -14_400),
            ("Africa/Monrovia", 0, -2_700),
        ] {
            assert_eq!(zone(name).offset_at(second), offset, "{name}");
        }
    }
}
