//! What is expected, from the contract alone: every session is looked at for every number, and units are found by asking
//! what clocks show at one quarter hour after the other.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;

use crate::segments::naive::{Session, holds};

const QUARTER: i64 = 900;
const DAY: i64 = 86_400;

pub const STEPS: [&str; 5] = ["hour", "day", "week", "month", "total"];

/// A time zone, with what was found out about it.
pub struct Calendar {
    zone: TimeZone,
    /// The day, and the label of the hour, of a quarter hour.
    quarters: RefCell<HashMap<i64, (Date, String)>>,
}

impl Calendar {
    pub fn new(zone: &str) -> Self {
        Self {
            zone: TimeZoneDatabase::bundled().get(zone).unwrap(),
            quarters: RefCell::default(),
        }
    }

    /// What clocks show at the first instant of a quarter hour, and how far east of UTC they are, in seconds.
    fn shown(&self, quarter: i64) -> (DateTime, i32) {
        let instant = Timestamp::from_second(quarter * QUARTER).unwrap();
        let shown = instant.to_zoned_datetime(self.zone.clone());
        (shown.datetime(), shown.offset().seconds())
    }

    fn look(&self, quarter: i64) -> (Date, String) {
        if let Some(known) = self.quarters.borrow().get(&quarter) {
            return known.clone();
        }
        // A day runs until the next date's first instant: it is the latest date that clocks have shown.
        let dates = (0..=26 * 4).map(|back| self.shown(quarter - back).0.date());
        let day = dates.max().unwrap();
        let mut first = quarter;
        let same_hour = |quarter: i64| {
            let key = |(shown, offset): (DateTime, i32)| (shown.date(), shown.hour(), offset);
            key(self.shown(quarter)) == key(self.shown(first))
        };
        let begin = (1..4).take_while(|back| same_hour(quarter - back)).last();
        first -= begin.unwrap_or(0);
        let (shown, offset) = self.shown(first);
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 3_600, offset.abs() / 60 % 60);
        let hour = format!(
            "{}{sign}{hours:02}:{minutes:02}",
            shown.strftime("%Y-%m-%dT%H:%M:%S")
        );
        self.quarters.borrow_mut().insert(quarter, (day, hour.clone()));
        (day, hour)
    }

    /// The day that contains an instant.
    pub fn day(&self, second: i64) -> Date {
        self.look(second.div_euclid(QUARTER)).0
    }

    /// What the unit is called that contains an instant.
    pub fn label(&self, step: &str, second: i64) -> String {
        let (day, hour) = self.look(second.div_euclid(QUARTER));
        match step {
            "hour" => hour,
            "day" => day.to_string(),
            "week" => {
                let monday = i64::from(day.weekday().since(Weekday::Monday));
                self.first_from(day - monday.days()).to_string()
            }
            "month" => self.first_from(day.first_of_month()).to_string(),
            _ => panic!("{step}"),
        }
    }

    /// The first date from this one on that the zone has.
    fn first_from(&self, date: Date) -> Date {
        if date.to_zoned_datetime(self.zone.clone()).unwrap().date() == date {
            date
        } else {
            self.first_from(date.tomorrow().unwrap())
        }
    }

    /// What the units are called from that of one instant to that of another.
    pub fn labels(&self, step: &str, from: i64, to: i64) -> Vec<String> {
        let mut labels: Vec<String> = Vec::new();
        for quarter in from.div_euclid(QUARTER)..=to.div_euclid(QUARTER) {
            let label = self.label(step, quarter * QUARTER);
            if labels.last() != Some(&label) {
                labels.push(label);
            }
        }
        labels
    }

    /// The last `length` units up to that of an instant.
    pub fn last_labels(&self, step: &str, length: usize, to: i64) -> Vec<String> {
        let span = match step {
            "hour" => length as i64 * 3_600,
            "day" => length as i64 * DAY,
            "week" => length as i64 * 7 * DAY,
            _ => length as i64 * 31 * DAY,
        };
        let labels = self.labels(step, to - span - 4 * DAY, to);
        labels[labels.len() - length..].to_vec()
    }

    /// The first and the last quarter hour of the day that contains an instant.
    pub fn ends_of_day(&self, second: i64) -> (i64, i64) {
        let day = self.day(second);
        let quarter = second.div_euclid(QUARTER);
        let first = (0..).find(|back| self.look(quarter - back - 1).0 != day).unwrap();
        let last = (0..)
            .find(|ahead| self.look(quarter + ahead + 1).0 != day)
            .unwrap();
        ((quarter - first) * QUARTER, (quarter + last) * QUARTER)
    }
}

/// Whose sessions count.
#[derive(Debug, Clone, Default)]
pub struct Whose {
    /// Empty: all.
    pub apps: Vec<String>,
    /// Each of them has to hold.
    pub filters: Vec<Value>,
}

impl Whose {
    pub fn has(&self, session: &Session) -> bool {
        let of_app = self.apps.is_empty() || self.apps.contains(&session.app);
        of_app && self.filters.iter().all(|filter| holds(filter, &session.facts))
    }
}

type Person = (&'static str, String);

fn second(session: &Session) -> i64 {
    session.start.div_euclid(1000)
}

/// Sessions or users by unit.
pub fn numbers<'a>(
    calendar: &Calendar,
    step: &str,
    labels: &[String],
    is_users: bool,
    sessions: impl Iterator<Item = &'a Session>,
) -> (Vec<u64>, u64) {
    let known: BTreeSet<&String> = labels.iter().collect();
    let mut count = BTreeMap::<String, u64>::new();
    let mut users = BTreeMap::<String, BTreeSet<&Person>>::new();
    for session in sessions {
        let label = calendar.label(step, second(session));
        if known.contains(&label) {
            *count.entry(label.clone()).or_default() += 1;
            users.entry(label).or_default().extend(&session.person);
        }
    }
    let of = |label: &String| {
        if is_users {
            users.get(label).map_or(0, BTreeSet::len) as u64
        } else {
            count.get(label).copied().unwrap_or(0)
        }
    };
    let everybody: BTreeSet<&&Person> = users.values().flatten().collect();
    let total = if is_users {
        everybody.len() as u64
    } else {
        count.values().sum()
    };
    (labels.iter().map(of).collect(), total)
}

/// Users of the 30 days that end with each day; `labels` has the 29 days before as well.
pub fn monthly<'a>(
    calendar: &Calendar,
    labels: &[String],
    sessions: impl Iterator<Item = &'a Session>,
) -> Vec<(String, u64)> {
    let mut users = BTreeMap::<String, BTreeSet<&Person>>::new();
    for session in sessions {
        let label = calendar.label("day", second(session));
        users.entry(label).or_default().extend(&session.person);
    }
    let windows = labels.windows(30).map(|days| {
        let persons: BTreeSet<&&Person> = days.iter().filter_map(|day| users.get(day)).flatten().collect();
        (days.last().unwrap().clone(), persons.len() as u64)
    });
    windows.collect()
}

/// Users whose first session is on each day.
pub fn new_users<'a>(
    calendar: &Calendar,
    labels: &[String],
    sessions: impl Iterator<Item = &'a Session>,
) -> Vec<(String, u64)> {
    let mut first = BTreeMap::<&Person, i64>::new();
    for session in sessions {
        if let Some(person) = &session.person {
            let known = first.entry(person).or_insert(session.start);
            *known = (*known).min(session.start);
        }
    }
    let days: Vec<String> = first
        .values()
        .map(|start| calendar.label("day", start.div_euclid(1000)))
        .collect();
    let count = |label: &String| days.iter().filter(|day| *day == label).count() as u64;
    labels.iter().map(|label| (label.clone(), count(label))).collect()
}

/// Users whose latest session up to the end of each day is in a segment.
pub fn sizes<'a>(
    calendar: &Calendar,
    labels: &[String],
    filter: &Value,
    sessions: impl Iterator<Item = &'a Session> + Clone,
) -> Vec<(String, u64)> {
    let at = |session: &'a Session| {
        let quarter = second(session).div_euclid(QUARTER);
        (quarter, &session.app, session.start, session.id.as_bytes())
    };
    let size = |label: &String| {
        let mut latest = BTreeMap::<&Person, &Session>::new();
        for session in sessions.clone() {
            // Dates in this form sort as texts.
            if let Some(person) = &session.person
                && calendar.label("day", second(session)) <= *label
            {
                let known = latest.entry(person).or_insert(session);
                if at(session) > at(known) {
                    *known = session;
                }
            }
        }
        latest
            .values()
            .filter(|session| holds(filter, &session.facts))
            .count() as u64
    };
    labels.iter().map(|label| (label.clone(), size(label))).collect()
}

/// A group's value so that equal ones are equal: 5 and 5.0 are.
pub fn canonical(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "null".into(),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.to_string(),
            (None, Some(float)) if float.fract() == 0.0 && float.abs() < 1e15 => (float as i64).to_string(),
            _ => number.to_string(),
        },
        Some(other) => other.to_string(),
    }
}
