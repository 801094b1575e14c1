//! Segments, too simple to be wrong in the same way: every session is kept with what it was recorded with, and every
//! count walks all of them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::Value;

/// What a filter may ask about, by the name of the field; what is missing is not there.
pub type Facts = BTreeMap<String, Value>;

const OWN: [&str; 7] = [
    "app_id",
    "platform",
    "os_version",
    "app_version",
    "device_model",
    "country",
    "language",
];

/// Whether a session with these facts belongs to the segment.
pub fn holds(filter: &Value, facts: &Facts) -> bool {
    if let Some(filters) = filter["all"].as_array() {
        return filters.iter().all(|filter| holds(filter, facts));
    }
    if let Some(filters) = filter["any"].as_array() {
        return filters.iter().any(|filter| holds(filter, facts));
    }
    if let Some(filter) = filter.get("not") {
        return !holds(filter, facts);
    }
    let field = filter["field"].as_str().unwrap();
    let op = filter["op"].as_str().unwrap();
    let value = &filter["value"];
    let fact = facts.get(field);
    match op {
        "exists" => fact.is_some() == value.as_bool().unwrap_or(true),
        "eq" => fact.is_some_and(|fact| equal(field, fact, value)),
        "ne" => !fact.is_some_and(|fact| equal(field, fact, value)),
        "in" => fact.is_some_and(|fact| one_of(field, fact, value)),
        "not_in" => !fact.is_some_and(|fact| one_of(field, fact, value)),
        "prefix" => texts(field, fact, value).is_some_and(|(fact, value)| fact.starts_with(&value)),
        "contains" => texts(field, fact, value).is_some_and(|(fact, value)| fact.contains(&value)),
        _ => match fact.and_then(|fact| order(field, fact, value)) {
            None => false,
            Some(order) => match op {
                "lt" => order == Ordering::Less,
                "lte" => order != Ordering::Greater,
                "gt" => order == Ordering::Greater,
                "gte" => order != Ordering::Less,
                _ => panic!("{filter}"),
            },
        },
    }
}

/// What a filter compares with, as it would be recorded.
fn recorded_form(field: &str, value: &Value) -> Value {
    match (field, value) {
        ("country", Value::String(text)) => text.to_ascii_uppercase().into(),
        ("app_id", Value::String(text)) => text.to_ascii_lowercase().into(),
        _ => value.clone(),
    }
}

fn one_of(field: &str, fact: &Value, values: &Value) -> bool {
    let values = values.as_array().unwrap();
    values.iter().any(|value| equal(field, fact, value))
}

fn equal(field: &str, fact: &Value, value: &Value) -> bool {
    match (fact, &recorded_form(field, value)) {
        (Value::String(one), Value::String(two)) if is_version(field) => version(one) == version(two),
        (Value::String(one), Value::String(two)) => one == two,
        (Value::Number(_), Value::Number(_)) => order(field, fact, value) == Some(Ordering::Equal),
        (Value::Bool(one), Value::Bool(two)) => one == two,
        _ => false,
    }
}

fn order(field: &str, fact: &Value, value: &Value) -> Option<Ordering> {
    match (fact, &recorded_form(field, value)) {
        (Value::String(one), Value::String(two)) if is_version(field) => {
            let (one, two) = (version(one).0, version(two).0);
            if one.is_empty() || two.is_empty() {
                return None;
            }
            let part = |parts: &[u128], at: usize| parts.get(at).copied().unwrap_or(0);
            let parts = 0..one.len().max(two.len());
            let orders = parts.map(|at| part(&one, at).cmp(&part(&two, at)));
            Some(orders.fold(Ordering::Equal, Ordering::then))
        }
        (Value::String(one), Value::String(two)) => Some(one.chars().cmp(two.chars())),
        (Value::Number(one), Value::Number(two)) => match (one.as_i64(), two.as_i64()) {
            (Some(one), Some(two)) => Some(one.cmp(&two)),
            _ => one.as_f64()?.partial_cmp(&two.as_f64()?),
        },
        _ => None,
    }
}

fn texts(field: &str, fact: Option<&Value>, value: &Value) -> Option<(String, String)> {
    let value = recorded_form(field, value);
    Some((fact?.as_str()?.to_owned(), value.as_str()?.to_owned()))
}

fn is_version(field: &str) -> bool {
    field == "os_version" || field == "app_version"
}

/// The leading dotted numbers without zeros at the end (but for the first), and what follows them.
fn version(text: &str) -> (Vec<u128>, String) {
    let characters: Vec<char> = text.chars().collect();
    let digit = |at: usize| characters.get(at).is_some_and(char::is_ascii_digit);
    let mut at = usize::from(text.starts_with(['v', 'V']) && digit(1));
    let mut numbers = Vec::new();
    while digit(at) {
        let start = at;
        while digit(at) {
            at += 1;
        }
        let number: String = characters[start..at].iter().collect();
        numbers.push(number.parse().unwrap());
        if characters.get(at) == Some(&'.') && digit(at + 1) {
            at += 1;
        } else {
            break;
        }
    }
    while numbers.len() > 1 && numbers.ends_with(&[0]) {
        numbers.pop();
    }
    (numbers, characters[at..].iter().collect())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Hour,
    Day,
}

/// A session as it was recorded.
pub struct Session {
    pub app: String,
    pub id: String,
    /// Unix milliseconds.
    pub start: i64,
    /// A user or a device, if anybody is named.
    pub person: Option<(&'static str, String)>,
    pub facts: Facts,
    /// The labels of its hour and its day.
    hour: String,
    day: String,
}

/// A workspace.
pub struct Workspace {
    zone: TimeZone,
    pub sessions: Vec<Session>,
    /// App, session id and UTC date of each.
    known: HashSet<(String, String, Date)>,
    /// Attributes by user.
    users: HashMap<String, BTreeMap<String, Value>>,
    /// Persons that had a session.
    seen: HashSet<(&'static str, String)>,
}

impl Workspace {
    pub fn new(zone: &str) -> Self {
        Self {
            zone: TimeZoneDatabase::bundled().get(zone).unwrap(),
            sessions: Vec::new(),
            known: HashSet::new(),
            users: HashMap::new(),
            seen: HashSet::new(),
        }
    }

    /// One delivery; whether it was new.
    pub fn record(&mut self, item: &Value) -> bool {
        let text = |name: &str| item[name].as_str().map(str::to_owned);
        let start = match &item["started_at"] {
            Value::String(text) => text.parse().unwrap(),
            seconds => Timestamp::from_second(seconds.as_i64().unwrap()).unwrap(),
        };
        let app = text("app_id").unwrap();
        let utc_date = TimeZone::UTC.to_datetime(start).date();
        if !self
            .known
            .insert((app.clone(), text("session_id").unwrap(), utc_date))
        {
            return false;
        }
        let mut facts = Facts::new();
        for name in OWN {
            if let Some(value) = text(name).filter(|value| !value.is_empty()) {
                let value = if name == "country" {
                    value.to_uppercase()
                } else {
                    value
                };
                facts.insert(name.to_owned(), value.into());
            }
        }
        let user = text("user_id");
        // The session's own come last: they win.
        let of_user = user.as_ref().and_then(|user| self.users.get(user));
        let own = item["attributes"].as_object();
        let attributes = of_user.into_iter().flatten().chain(own.into_iter().flatten());
        for (name, value) in attributes {
            facts.insert(format!("attributes.{name}"), value.clone());
        }
        let person = user.map(|user| ("user", user));
        let person = person.or(text("device_id").map(|device| ("device", device)));
        if let Some(person) = &person {
            let first = self.seen.insert(person.clone());
            facts.insert("first_session".to_owned(), first.into());
        }
        let shown = start.to_zoned_datetime(self.zone.clone());
        self.sessions.push(Session {
            app,
            id: text("session_id").unwrap(),
            start: start.as_millisecond(),
            person,
            facts,
            hour: shown.strftime("%Y-%m-%dT%H:00:00%:z").to_string(),
            day: shown.strftime("%Y-%m-%d").to_string(),
        });
        true
    }

    /// Somebody is forgotten: their sessions are still one person's, and the same id is another's from now on.
    pub fn forget(&mut self, kind: &'static str, id: &str) {
        let person = (kind, id.to_owned());
        // No id has a line break.
        let nobody = format!("forgotten\n{id}\n{}", self.sessions.len());
        for session in &mut self.sessions {
            if session.person.as_ref() == Some(&person) {
                session.person = Some((kind, nobody.clone()));
            }
        }
        self.seen.remove(&person);
        if kind == "user" {
            self.users.remove(id);
        }
    }

    /// One item of `POST /users/track`.
    pub fn set_user(&mut self, item: &Value) {
        let user = item["external_id"].as_str().unwrap().to_owned();
        let attributes = self.users.entry(user).or_default();
        for (name, value) in item.as_object().unwrap() {
            match value {
                Value::Null => _ = attributes.remove(name),
                _ if name == "external_id" => {}
                value => _ = attributes.insert(name.clone(), value.clone()),
            }
        }
    }

    /// For each session, whether it belongs to the segment.
    pub fn members(&self, filter: &Value) -> Vec<bool> {
        let belongs = |session: &Session| holds(filter, &session.facts);
        self.sessions.iter().map(belongs).collect()
    }

    /// Counts by label; `members` says which sessions count.
    pub fn counts(&self, members: &[bool], unit: Unit, app: Option<&str>) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for (session, belongs) in self.sessions.iter().zip(members) {
            if *belongs && app.is_none_or(|app| session.app == app) {
                let label = match unit {
                    Unit::Hour => session.hour.as_str(),
                    Unit::Day => session.day.as_str(),
                };
                *counts.entry(label).or_default() += 1;
            }
        }
        counts
    }
}

/// What [`assert_series`] demands.
pub fn agrees(series: &[(String, u64)], counts: &BTreeMap<&str, u64>) -> bool {
    let expected = |time: &String| counts.get(time.as_str()).copied().unwrap_or(0);
    series.iter().all(|(time, sessions)| *sessions == expected(time))
}

/// Compares windows of a series that hold every session with a naive count.
pub fn assert_series(series: &[(String, u64)], counts: &BTreeMap<&str, u64>, what: &str) {
    let mut found = 0;
    for (time, sessions) in series {
        let expected = counts.get(time.as_str()).copied().unwrap_or(0);
        assert_eq!(*sessions, expected, "{time} of {what}");
        found += sessions;
    }
    assert_eq!(found, counts.values().sum::<u64>(), "the total of {what}");
}
