//! Random sessions in zones whose clocks do odd things, and random questions about them.

use std::collections::BTreeMap;

use serde_json::Value;
use tempfile::TempDir;

use super::naive::{self, Calendar, STEPS, Whose, canonical};
use super::rows::{Rows, Totals, check_csv};
use super::{asked, series};
use crate::segments::generator::Generator;
use crate::segments::naive::{Session, Workspace};
use crate::segments::{Caller, Space, patiently, verify};
use crate::support::random::{Random, from_environment};
use crate::support::{Server, clickhouse, command};

const DAY: i64 = 86_400;
/// Days around a change of the clocks in which sessions start.
const AROUND: i64 = 24;

/// Zones, and instants at which their clocks change: both days of daylight saving, half an hour, a date that is skipped.
const ZONES: [(&str, &[i64]); 5] = [
    ("America/New_York", &[1_710_054_000, 1_730_613_600]),
    ("Australia/Lord_Howe", &[1_712_415_600, 1_728_142_200]),
    ("Pacific/Apia", &[1_325_239_200]),
    ("Atlantic/Azores", &[1_711_846_800, 1_729_990_800]),
    ("Asia/Kathmandu", &[1_706_745_600]),
];

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

struct Segment {
    id: String,
    filter: Value,
    tracked: bool,
}

struct Room {
    space: Space,
    calendar: Calendar,
    model: Workspace,
    segments: Vec<Segment>,
    changes: &'static [i64],
    /// The first instant of which sessions are taken.
    taken_from: i64,
}

struct World {
    generator: Generator,
    server: Option<Server>,
    directory: TempDir,
    rooms: Vec<Room>,
    /// Sessions that are sealed.
    sealed: u64,
}

#[test]
fn every_answer_is_what_a_naive_walk_says() {
    let mut world = World::new();
    for round in 1..=from_environment("SESSIONMETER_USERS_ROUNDS", 15) {
        for room in 0..world.rooms.len() {
            world.deliver(room);
            if round % 3 == 0 {
                world.forget(room);
            }
            for _ in 0..4 {
                world.compare(room);
            }
        }
        if round % 5 == 0 {
            world.move_somebody();
        }
        if round % 3 == 2 {
            world.seal_somebody();
        }
        if round % 4 == 0 {
            world.restart();
        }
    }
    world.restart();
    for room in 0..world.rooms.len() {
        for _ in 0..8 {
            world.compare(room);
        }
    }
    let store = world.directory.path().join("store");
    verify(&store);
    assert_eq!(command(&store, &["verify"])["sealed_sessions"], world.sealed);
}

impl World {
    fn new() -> Self {
        let seed = Random::seed("SESSIONMETER_USERS_SEED");
        println!("SESSIONMETER_USERS_SEED={seed}");
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("store");
        let spaces = ZONES.map(|(zone, _)| Space::create(&data, zone, zone, 3));
        let server = Server::start_on(&data, &[]);
        let mut generator = Generator::new(Random::new(seed));
        let mut rooms = Vec::new();
        for (space, (zone, changes)) in spaces.into_iter().zip(ZONES) {
            let caller = space.caller(&server);
            let mut segments = Vec::new();
            for number in 0..4 {
                let filter = generator.filter(&space.apps);
                let tracked = number > 0;
                let id = caller.create(&format!("segment {number}"), &filter, tracked);
                segments.push(Segment { id, filter, tracked });
            }
            rooms.push(Room {
                space,
                calendar: Calendar::new(zone),
                model: Workspace::new(zone),
                segments,
                changes,
                taken_from: 0,
            });
        }
        Self {
            generator,
            server: Some(server),
            directory,
            rooms,
            sealed: 0,
        }
    }

    fn deliver(&mut self, room: usize) {
        let room = &mut self.rooms[room];
        let random = &mut self.generator.random;
        let change = *random.pick(room.changes);
        // Some days have many sessions, so that they get a rollup; most have few, and late ones come all the time.
        let (count, span) = match random.below(5) {
            0 => (400, DAY),
            1 => (60, 3 * DAY),
            _ => (random.below(60) + 1, AROUND * DAY),
        };
        let middle = change + random.range(-AROUND, AROUND) * DAY / 2;
        let mut sessions: Vec<Value> = Vec::new();
        for _ in 0..count {
            let mut session = self.generator.session(&room.space.apps);
            let random = &mut self.generator.random;
            let mut at = middle + random.range(-span, span);
            if random.one_in(4) {
                at = change + random.range(-7_200, 7_200);
            }
            if random.one_in(3) {
                // At one instant, or in one quarter hour, with others.
                at = at.div_euclid(900) * 900 + random.range(0, 3);
            }
            session["started_at"] = at.into();
            session["session_id"] = format!("session {}", random.below(4_000)).into();
            if at >= room.taken_from {
                sessions.push(session);
            }
        }
        if sessions.is_empty() {
            return;
        }
        let server = self.server.as_ref().unwrap();
        let caller = room.space.caller(server);
        if self.generator.random.one_in(6) {
            let file = self.directory.path().join("sessions.ndjson");
            let lines: Vec<String> = sessions.iter().map(Value::to_string).collect();
            std::fs::write(&file, lines.join("\n")).unwrap();
            let name = &room.space.name;
            command(
                &server.data,
                &["import", file.to_str().unwrap(), "--workspace", name],
            );
            let before = room.model.sessions.len();
            let new = sessions
                .iter()
                .filter(|session| room.model.record(session))
                .count();
            // Another process wrote: it is honoured within a second.
            patiently("the imported sessions", || {
                let all = "/sessions/query?from=2011-01-01&to=2012-12-31&unit=total";
                let later = "/sessions/query?from=2023-06-01&to=2025-06-01&unit=total";
                let total = |path: &str| asked(caller, path)["total"].as_u64().unwrap();
                total(all) + total(later) == (before + new) as u64
            });
            return;
        }
        let new = caller.record(&sessions);
        let expected = sessions
            .iter()
            .filter(|session| room.model.record(session))
            .count();
        clickhouse::check_new(new, expected as u64);
    }

    /// Some are forgotten, of whom the numbers of the past still tell.
    fn forget(&mut self, room: usize) {
        let room = &mut self.rooms[room];
        let random = &mut self.generator.random;
        let (kind, name) = *random.pick(&[("user", "external_ids"), ("device", "device_ids")]);
        let mut ids: Vec<String> = (0..3).map(|_| format!("person {}", random.below(20))).collect();
        ids.dedup();
        let caller = room.space.caller(self.server.as_ref().unwrap());
        let answer = caller.forget(&serde_json::json!({ name: ids }));
        assert_eq!(answer.status, 201, "{}", answer.text);
        ids.iter().for_each(|id| room.model.forget(kind, id));
    }

    /// A workspace moves to another zone.
    fn move_somebody(&mut self) {
        let random = &mut self.generator.random;
        let room = random.below(self.rooms.len());
        let room = &mut self.rooms[room];
        let (zone, _) = *random.pick(&ZONES);
        let server = self.server.as_ref().unwrap();
        command(
            &server.data,
            &["workspace", "set-time-zone", &room.space.name, zone],
        );
        let caller = room.space.caller(server);
        patiently("the other zone", || {
            asked(caller, "/workspace")["time_zone"] == zone
        });
        room.calendar = Calendar::new(zone);
    }

    /// Sessions of a workspace's older days go. Nothing that is asked afterwards tells.
    fn seal_somebody(&mut self) {
        let random = &mut self.generator.random;
        let room = random.below(self.rooms.len());
        let room = &mut self.rooms[room];
        let change = *random.pick(room.changes);
        let today = jiff::Timestamp::now().as_second().div_euclid(DAY);
        // With some room to midnight, whenever this runs.
        let first = change.div_euclid(DAY) + random.range(-AROUND / 2, AROUND / 2);
        let days = (today - first).to_string();
        let server = self.server.as_ref().unwrap();
        let name = &room.space.name;
        let report = command(
            &server.data,
            &["workspace", "set-retention", name, &days, "--yes"],
        );
        self.sealed += report["sealed_sessions"].as_u64().unwrap();
        // Days that were sealed stay closed, and at midnight another one is.
        room.taken_from = room.taken_from.max((first + 1) * DAY);
    }

    fn restart(&mut self) {
        let server = self.server.take().unwrap();
        let data = server.data.clone();
        if self.generator.random.one_in(2) {
            assert_eq!(server.stop(), Some(0));
        } else {
            server.kill();
        }
        self.server = Some(Server::start_on(&data, &[]));
    }

    fn compare(&mut self, room: usize) {
        let room = &self.rooms[room];
        let question = Question {
            random: &mut self.generator.random,
            room,
            caller: room.space.caller(self.server.as_ref().unwrap()),
        };
        let random = question.random.below(8);
        match random {
            0 => question.dau(),
            1 => question.mau(),
            2 => question.new_users(),
            3 => question.sizes(),
            _ => {
                let is_filtered = !question.random.one_in(2);
                let filter = is_filtered.then(|| self.generator.filter(&room.space.apps));
                let question = Question {
                    random: &mut self.generator.random,
                    room,
                    caller: room.space.caller(self.server.as_ref().unwrap()),
                };
                question.query(filter);
            }
        }
    }
}

struct Question<'a> {
    random: &'a mut Random,
    room: &'a Room,
    caller: Caller<'a>,
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

    fn dau(mut self) {
        let (query, whose, labels) = self.days(0);
        let (counts, _) = naive::numbers(&self.room.calendar, "day", &labels, true, self.sessions(&whose));
        let expected: Vec<_> = labels.into_iter().zip(counts).collect();
        self.check(&format!("/kpi/dau/data_series?{query}"), "dau", &expected);
    }

    fn mau(mut self) {
        let (query, whose, labels) = self.days(29);
        let expected = naive::monthly(&self.room.calendar, &labels, self.sessions(&whose));
        self.check(&format!("/kpi/mau/data_series?{query}"), "mau", &expected);
    }

    fn new_users(mut self) {
        let (query, whose, labels) = self.days(0);
        let expected = naive::new_users(&self.room.calendar, &labels, self.sessions(&whose));
        self.check(
            &format!("/kpi/new_users/data_series?{query}"),
            "new_users",
            &expected,
        );
    }

    fn sizes(mut self) {
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

    fn query(mut self, filter: Option<Value>) {
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
