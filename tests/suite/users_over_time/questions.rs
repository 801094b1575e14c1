//! Random questions about a workspace, each answered by the server and by a naive walk over all sessions.

use std::collections::BTreeMap;

use serde_json::Value;

use super::naive::{self, STEPS, Whose, canonical};
use super::oracle::{DAY, Room};
use super::rows::{Rows, Totals, check_csv};
use super::{asked, series};
use crate::segments::Caller;
use crate::segments::naive::Session;
use crate::support::random::Random;

const FIELDS: [&str; 12] = [
    "app_id",
    "segment_id",
    "platform",
    "os_version",
    "app_version",
    "device_model",
    "country",
    "language",
    "first_session",
    "attributes.plan",
    "attributes.level",
    "attributes.a.b",
];

pub struct Question<'a> {
    pub random: &'a mut Random,
    pub room: &'a Room,
    pub caller: Caller<'a>,
}

impl Question<'_> {
    /// An instant near the sessions.
    fn instant(&mut self) -> i64 {
        let change = *self.random.pick(self.room.changes);
        match self.random.below(3) {
            0 => change + self.random.range(-7_200, 7_200),
            1 => change + self.random.range(-2, 3) * DAY + self.random.range(0, DAY),
            _ => change + self.random.range(-60 * DAY, 60 * DAY),
        }
    }

    /// An app or none, and what that means.
    fn app(&mut self) -> (String, Whose) {
        let mut whose = Whose::default();
        let mut text = String::new();
        if self.random.one_in(2) {
            let app = self.random.pick(&self.room.space.apps).clone();
            text = format!("&app_id={app}");
            whose.apps.push(app);
        }
        (text, whose)
    }

    fn sessions<'s>(&'s self, whose: &'s Whose) -> impl Iterator<Item = &'s Session> + Clone {
        self.room
            .model
            .sessions
            .iter()
            .filter(|session| whose.has(session))
    }

    /// Parameters of a series of days, whose they count, and the labels of its days.
    fn days(&mut self, before: usize) -> (String, Whose, Vec<String>) {
        let length = *self.random.pick(&[1, 3, 31, 100]);
        let length = self.random.below(length) + 1;
        let at = self.instant();
        let (app, whose) = self.app();
        let written = [at.to_string(), self.room.calendar.day(at).to_string()];
        let ending_at = self.random.pick(&written).clone();
        let labels = self.room.calendar.last_labels("day", length + before, at);
        (
            format!("length={length}&ending_at={ending_at}{app}"),
            whose,
            labels,
        )
    }

    fn check(&self, path: &str, name: &str, expected: &[(String, u64)]) {
        let found = series(self.caller, path, name);
        assert_eq!(found, expected, "{} {path}", self.room.space.name);
    }

    pub fn dau(mut self) {
        let (query, whose, labels) = self.days(0);
        let (counts, _) = naive::numbers(&self.room.calendar, "day", &labels, true, self.sessions(&whose));
        let expected: Vec<_> = labels.into_iter().zip(counts).collect();
        self.check(&format!("/kpi/dau/data_series?{query}"), "dau", &expected);
    }

    pub fn mau(mut self) {
        let (query, whose, labels) = self.days(29);
        let expected = naive::monthly(&self.room.calendar, &labels, self.sessions(&whose));
        self.check(&format!("/kpi/mau/data_series?{query}"), "mau", &expected);
    }

    pub fn new_users(mut self) {
        let (query, whose, labels) = self.days(0);
        let expected = naive::new_users(&self.room.calendar, &labels, self.sessions(&whose));
        self.check(
            &format!("/kpi/new_users/data_series?{query}"),
            "new_users",
            &expected,
        );
    }

    pub fn sizes(mut self) {
        let segment = self.random.below(self.room.segments.len());
        let segment = &self.room.segments[segment];
        let length = self.random.below(20) + 1;
        let at = self.instant();
        let labels = self.room.calendar.last_labels("day", length, at);
        let expected = if segment.tracked {
            let sessions = self.room.model.sessions.iter();
            naive::sizes(&self.room.calendar, &labels, &segment.filter, sessions)
        } else {
            Vec::new()
        };
        let path = format!(
            "/segments/data_series?segment_id={}&length={length}&ending_at={at}",
            segment.id
        );
        self.check(&path, "size", &expected);
    }

    /// The first and the last unit, as parameters and as instants.
    fn range(&mut self, step: &str) -> (String, Vec<String>) {
        let calendar = &self.room.calendar;
        let to = self.instant();
        if step != "total" && self.random.one_in(5) {
            // The last 28.
            return (format!("&to={to}"), calendar.last_labels(step, 28, to));
        }
        let longest = if step == "hour" { 12 } else { 130 };
        let from = to - self.random.range(0, longest * DAY);
        let whole_days = (calendar.ends_of_day(from).0, calendar.ends_of_day(to).1);
        let (first, last) = *self.random.pick(&[(from, to), whole_days]);
        let text = if (first, last) == (from, to) {
            format!("&from={from}&to={to}")
        } else {
            format!("&from={}&to={}", calendar.day(from), calendar.day(to))
        };
        let labels = match step {
            "total" => vec![calendar.label("day", first)],
            step => calendar.labels(step, first, last),
        };
        (text, labels)
    }

    pub fn query(mut self, filter: Option<Value>) {
        let step = *self.random.pick(&STEPS);
        let is_users = self.random.one_in(2);
        let (range, labels) = self.range(step);
        let metric = if is_users { "users" } else { "sessions" };
        let mut query = format!("/sessions/query?unit={step}&metric={metric}{range}");
        let mut whose = Whose::default();
        if self.random.one_in(2) {
            let count = self.random.below(2) + 1;
            for app in &self.room.space.apps[..count] {
                query += &format!("&app_id={app}");
                whose.apps.push(app.clone());
            }
        }
        if self.random.one_in(4) {
            let segment = &self.room.segments[1 + self.random.below(3)];
            query += &format!("&segment_id={}", segment.id);
            whose.filters.push(segment.filter.clone());
        }
        if let Some(filter) = filter {
            let text = filter.to_string();
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            query += &format!("&filter={encoded}");
            whose.filters.push(filter);
        }
        let is_grouped = !self.random.one_in(4);
        let field = *self.random.pick(&FIELDS);
        let mut limit = 10;
        if is_grouped {
            query += &format!("&group_by={field}");
            if self.random.one_in(2) {
                limit = self.random.below(4) + 1;
                query += &format!("&limit={limit}");
            }
        }
        let answer = asked(self.caller, &query);
        if self.random.one_in(4) {
            check_csv(self.caller, &query, &answer, metric, is_grouped);
        }
        let body = Rows::read(&answer, metric, &labels);
        let of_total = Totals {
            calendar: &self.room.calendar,
            step,
            labels: &labels,
            days: (step == "total").then(|| self.days_of(&range)),
            is_users,
        };
        let (everyone, total) = of_total.numbers(self.sessions(&whose));
        assert_eq!(answer["total"], total, "{query}");
        if !is_grouped {
            assert_eq!(
                body.groups,
                BTreeMap::from([("everyone".to_owned(), everyone)]),
                "{query}"
            );
            return;
        }
        let mut expected = BTreeMap::<String, (Vec<u64>, u64)>::new();
        match field {
            "segment_id" => {
                for segment in self.room.segments.iter().filter(|segment| segment.tracked) {
                    let mut whose = whose.clone();
                    whose.filters.push(segment.filter.clone());
                    let key = canonical(Some(&segment.id.as_str().into()));
                    expected.insert(key, of_total.numbers(self.sessions(&whose)));
                }
            }
            field => {
                let mut groups = BTreeMap::<String, Vec<&Session>>::new();
                for session in self.sessions(&whose) {
                    let value = match field {
                        "app_id" => canonical(Some(&session.app.as_str().into())),
                        field => canonical(session.facts.get(field)),
                    };
                    groups.entry(value).or_default().push(session);
                }
                for (key, sessions) in groups {
                    expected.insert(key, of_total.numbers(sessions.into_iter()));
                }
            }
        }
        expected.retain(|_, (_, total)| *total > 0);
        body.check(
            &expected,
            &everyone,
            limit,
            is_users || field == "segment_id",
            &query,
        );
    }

    /// The days of a range, for a total.
    fn days_of(&self, range: &str) -> Vec<String> {
        let value = |name: &str| range.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap();
        let second = |text: &str| match text.parse::<i64>() {
            Ok(second) => second,
            Err(_) => {
                let date: jiff::civil::Date = text.parse().unwrap();
                let noon = date
                    .at(12, 0, 0, 0)
                    .to_zoned_datetime(jiff::tz::TimeZone::UTC)
                    .unwrap();
                // Noon of that date is somewhere near.
                let near = noon.timestamp().as_second();
                let quarters = (-26 * 4..26 * 4).map(|quarter| near + quarter * 900);
                quarters
                    .into_iter()
                    .find(|at| self.room.calendar.day(*at) == date)
                    .unwrap()
            }
        };
        let (from, to) = (second(value("from=")), second(value("to=")));
        let last = self.room.calendar.ends_of_day(to).1;
        self.room.calendar.labels("day", from, last)
    }
}
