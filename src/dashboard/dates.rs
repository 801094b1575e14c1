//! How labels of units are written for people. All of them are made here, in the workspace's time zone: a browser never
//! computes a date.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{Offset, TimeZone};

use super::locale::Language;
use super::texts::Texts;
use crate::model::Millis;
use crate::series::{Label, Zone};

/// A unit's label in every length that pages need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// `Wed 25 Nov 2026`, or `Wed 25 Nov 2026, 14:00`
    pub(super) long: String,
    /// Two lines for an axis: `25 Nov` and `Wed`, or `14:00` and `Wed 25`.
    pub(super) axis: [String; 2],
    /// As the API writes it.
    pub(super) machine: String,
}

/// The labels of consecutive units. An hour that clocks show twice gets its offset.
pub(super) fn written(labels: &[Label], texts: &Texts) -> Vec<Written> {
    let twice = |index: usize| {
        let neighbours = [index.checked_sub(1), index.checked_add(1)];
        let mut neighbours = neighbours
            .into_iter()
            .flatten()
            .filter_map(|index| labels.get(index));
        let Some(Label::Hour { local, .. }) = labels.get(index) else {
            return false;
        };
        neighbours.any(|other| matches!(other, Label::Hour { local: other, .. } if other.div_euclid(3600) == local.div_euclid(3600)))
    };
    let write = |(index, label): (usize, &Label)| one(*label, twice(index), texts);
    labels.iter().enumerate().map(write).collect()
}

fn one(label: Label, shows_offset: bool, texts: &Texts) -> Written {
    let machine = label.to_string();
    let parts = match label {
        Label::Day(_) => machine.parse().ok().map(|date: civil::Date| (date, None)),
        Label::Hour { local, offset } => local_time(local).map(|time| (time.date(), Some((time, offset)))),
    };
    let Some((date, hour)) = parts else {
        // Beyond what the library knows, the machine's own label says it.
        return Written {
            long: machine.clone(),
            axis: [machine.clone(), String::new()],
            machine,
        };
    };
    let long = long_date(date, texts);
    match hour {
        None => Written {
            long,
            axis: [short_date(date, texts), texts.weekday(date.weekday()).to_owned()],
            machine,
        },
        Some((time, offset)) => {
            let mut clock = format!("{:02}:{:02}", time.hour(), time.minute());
            if shows_offset {
                clock.push(' ');
                clock.push_str(&offset_text(offset));
            }
            Written {
                long: format!("{long}, {clock}"),
                axis: [clock, format!("{} {}", texts.weekday(date.weekday()), date.day())],
                machine,
            }
        }
    }
}

/// What clocks show that many seconds after 1970-01-01T00:00 on them.
fn local_time(local: i64) -> Option<civil::DateTime> {
    let instant = Timestamp::from_second(local).ok()?;
    Some(TimeZone::UTC.to_datetime(instant))
}

fn offset_text(seconds: i64) -> String {
    let sign = if seconds < 0 { '−' } else { '+' };
    let seconds = seconds.abs();
    format!("{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60)
}

/// `Wed 25 Nov 2026`
pub(super) fn long_date(date: civil::Date, texts: &Texts) -> String {
    format!(
        "{} {} {}",
        texts.weekday(date.weekday()),
        short_date(date, texts),
        date.year()
    )
}

/// `25 Nov`
fn short_date(date: civil::Date, texts: &Texts) -> String {
    format!("{} {}", date.day(), texts.month_short(date.month()))
}

/// From the first to the last day, without what both have: `29 Oct – 25 Nov 2026`.
pub(super) fn span(first: Label, last: Label, texts: &Texts) -> String {
    let (Some(first), Some(last)) = (date_of(first), date_of(last)) else {
        return format!("{first} – {last}");
    };
    let whole = |date| format!("{} {}", short_date(date, texts), date.year());
    if first == last {
        return whole(first);
    }
    if first.year() != last.year() {
        return format!("{} – {}", whole(first), whole(last));
    }
    if first.month() != last.month() {
        return format!("{} – {}", short_date(first, texts), whole(last));
    }
    format!("{} – {}", first.day(), whole(last))
}

/// The day that a unit begins on.
pub(super) fn date_of(label: Label) -> Option<civil::Date> {
    match label {
        Label::Day(_) => label.to_string().parse().ok(),
        Label::Hour { local, .. } => local_time(local).map(civil::DateTime::date),
    }
}

/// The hour of the day, and the day of the week from Monday on, in which a unit begins.
pub(super) fn hour_of_week(label: Label) -> Option<(usize, usize)> {
    let Label::Hour { local, .. } = label else {
        return None;
    };
    let time = local_time(local)?;
    let hour = usize::try_from(time.hour()).ok()?;
    let weekday = usize::try_from(time.weekday().to_monday_zero_offset()).ok()?;
    Some((weekday, hour))
}

/// `14:15`, as clocks show an instant (Unix seconds) that far from UTC (seconds).
pub(super) fn clock(second: i64, offset: i64) -> String {
    let offset = i32::try_from(offset)
        .ok()
        .and_then(|offset| Offset::from_seconds(offset).ok());
    let instant = Timestamp::from_second(second).ok();
    match offset.zip(instant) {
        Some((offset, instant)) => {
            let time = offset.to_datetime(instant);
            format!("{:02}:{:02}", time.hour(), time.minute())
        }
        None => String::new(),
    }
}

/// `Wed 25 Nov 2026, 14:31`, by the clocks of a zone.
pub(super) fn moment(at: Millis, zone: &Zone, texts: &Texts) -> String {
    let second = at.div_euclid(1000);
    let clock = clock(second, zone.offset_at(second));
    match date_of(zone.date_at(second)) {
        Some(date) => format!("{}, {clock}", long_date(date, texts)),
        None => clock,
    }
}

/// The name of a language in itself.
pub(super) fn own_name(language: Language) -> &'static str {
    match language {
        Language::English => "English",
        Language::Spanish => "Español",
    }
}
