//! Random sessions in zones whose clocks do odd things, and random questions about them.

use serde_json::Value;
use tempfile::TempDir;

use super::asked;
use super::naive::Calendar;
use super::questions::Question;
use crate::segments::generator::Generator;
use crate::segments::naive::Workspace;
use crate::segments::{Space, patiently, verify};
use crate::support::random::{Random, from_environment};
use crate::support::{Server, clickhouse, command};

pub const DAY: i64 = 86_400;
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

pub struct Segment {
    pub id: String,
    pub filter: Value,
    pub tracked: bool,
}

pub struct Room {
    pub space: Space,
    pub calendar: Calendar,
    pub model: Workspace,
    pub segments: Vec<Segment>,
    pub changes: &'static [i64],
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
