//! Random sessions, users, filters and changes of segments, over HTTP and with commands beside the running server: each
//! series is what a naive count says, now and after a restart.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::segments::generator::Generator;
use crate::segments::naive::{self, Unit};
use crate::segments::{Caller, Space, patiently, verify};
use crate::support::random::{Random, from_environment};
use crate::support::{Server, clickhouse, command};

/// Segments that a workspace has at most at the same time; fewer than may be tracked.
const SEGMENTS: usize = 10;

struct Segment {
    id: String,
    name: String,
    filter: Value,
    tracked: bool,
}

/// A workspace and what is expected of it.
struct Room {
    space: Space,
    model: naive::Workspace,
    segments: Vec<Segment>,
    /// So that no name is given twice.
    names: usize,
    /// Since the last comparison; what another process records is seen a moment later.
    imported: bool,
}

struct World {
    generator: Generator,
    server: Option<Server>,
    directory: TempDir,
    rooms: Vec<Room>,
}

#[test]
fn every_series_of_a_segment_is_what_a_naive_count_says() {
    let mut world = World::new();
    for _ in 0..from_environment("SESSIONMETER_SEGMENTS_ROUNDS", 100) {
        world.deliver();
        for _ in 0..world.generator.random.below(4) {
            world.change_something();
        }
        if world.generator.random.one_in(6) {
            world.compare();
        }
    }
    world.compare();
    world.restart();
    world.compare();
}

impl World {
    fn new() -> Self {
        let seed = Random::seed("SESSIONMETER_SEGMENTS_SEED");
        println!("SESSIONMETER_SEGMENTS_SEED={seed}");
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("store");
        // Two of them: what one records or tracks must not be seen in the other.
        let zones = [("north", "Asia/Kathmandu", 3), ("south", "America/St_Johns", 2)];
        let rooms = zones.map(|(name, zone, apps)| Room {
            space: Space::create(&data, name, zone, apps),
            model: naive::Workspace::new(zone),
            segments: Vec::new(),
            names: 0,
            imported: false,
        });
        Self {
            generator: Generator::new(Random::new(seed)),
            server: Some(Server::start_on(&data, &[])),
            directory,
            rooms: rooms.into(),
        }
    }

    /// A step in one of the workspaces.
    fn step(&mut self) -> Step<'_> {
        let room = self.generator.random.below(self.rooms.len());
        Step {
            generator: &mut self.generator,
            server: self.server.as_ref().unwrap(),
            room: &mut self.rooms[room],
        }
    }

    fn deliver(&mut self) {
        let imports = self.generator.random.one_in(8);
        let file = self.directory.path().join("sessions.ndjson");
        let mut step = self.step();
        if imports {
            step.import(&file)
        } else {
            step.record()
        }
    }

    fn change_something(&mut self) {
        let step = self.generator.random.below(10);
        match step {
            0..3 => self.step().update_users(),
            3..6 => self.step().create(),
            6 => self.step().set_tracking(true),
            7 => self.step().set_tracking(false),
            8 => self.step().edit(),
            _ => self.step().delete(),
        }
    }

    /// Everything that can be asked for.
    fn compare(&mut self) {
        let [hours, days] = self.generator.windows();
        for room in &mut self.rooms {
            let imported = std::mem::take(&mut room.imported);
            let caller = room.space.caller(self.server.as_ref().unwrap());
            for segment in room.segments.iter().filter(|segment| segment.tracked) {
                let members = room.model.members(&segment.filter);
                let apps = room.space.apps.iter().map(|app| Some(app.as_str()));
                for app in apps.chain([None]) {
                    let scope = app.map_or_else(String::new, |app| format!("&app_id={app}"));
                    for (unit, windows) in [(Unit::Hour, &hours), (Unit::Day, &days)] {
                        let ask = |window: &String| {
                            caller.series(&format!("{window}{scope}&segment_id={}", segment.id))
                        };
                        let ask = || -> Vec<(String, u64)> { windows.iter().flat_map(ask).collect() };
                        let counts = room.model.counts(&members, unit, app);
                        let what = format!("{unit:?} {scope} {} {}", segment.name, segment.filter);
                        let mut series = ask();
                        if imported && !naive::agrees(&series, &counts) {
                            println!("imported: {what}");
                            patiently("the imported sessions", || {
                                series = ask();
                                naive::agrees(&series, &counts)
                            });
                        }
                        naive::assert_series(&series, &counts, &what);
                    }
                }
            }
        }
        verify(&self.directory.path().join("store"));
    }

    fn restart(&mut self) {
        let server = self.server.take().unwrap();
        let data = server.data.clone();
        if self.generator.random.one_in(2) {
            assert_eq!(server.stop(), Some(0))
        } else {
            server.kill()
        }
        self.server = Some(Server::start_on(&data, &[]));
    }
}

struct Step<'a> {
    generator: &'a mut Generator,
    server: &'a Server,
    room: &'a mut Room,
}

impl Step<'_> {
    fn caller(&self) -> Caller<'_> {
        self.room.space.caller(self.server)
    }

    fn sessions(&mut self) -> Vec<Value> {
        let count = *self.generator.random.pick(&[1, 5, 30, 200]);
        let count = self.generator.random.below(count) + 1;
        let apps = &self.room.space.apps;
        let mut sessions: Vec<Value> = (0..count).map(|_| self.generator.session(apps)).collect();
        if self.generator.random.one_in(4) {
            let again = self.generator.random.pick(&sessions).clone();
            sessions.push(again);
        }
        sessions
    }

    fn record(&mut self) {
        let sessions = self.sessions();
        let new = self.caller().record(&sessions);
        clickhouse::check_new(new, self.expect(&sessions));
    }

    /// A file, with a command beside the server.
    fn import(&mut self, file: &Path) {
        let sessions = self.sessions();
        let lines: Vec<String> = sessions.iter().map(Value::to_string).collect();
        std::fs::write(file, lines.join("\n")).unwrap();
        let arguments = [
            "import",
            file.to_str().unwrap(),
            "--workspace",
            &self.room.space.name,
        ];
        let report = command(&self.server.data, &arguments);
        assert_eq!(report["refused"], 0, "{report}");
        clickhouse::check_new(report["recorded"].as_u64().unwrap(), self.expect(&sessions));
        self.room.imported = true;
    }

    /// How many of these sessions are new.
    fn expect(&mut self, sessions: &[Value]) -> u64 {
        let new = sessions.iter().filter(|session| self.room.model.record(session));
        new.count() as u64
    }

    fn update_users(&mut self) {
        let count = self.generator.random.below(8) + 1;
        let items: Vec<Value> = (0..count).map(|_| self.generator.user_update()).collect();
        self.caller().set_users(&items);
        for item in &items {
            self.room.model.set_user(item);
        }
    }

    fn run(&self, arguments: &[&str]) -> Value {
        let workspace = ["--workspace", &self.room.space.name];
        command(&self.server.data, &[arguments, &workspace].concat())
    }

    /// Until the server knows what a command did to the segment.
    fn wait_until_honoured(&self, id: &str) {
        let shown = self.run(&["segment", "show", id]);
        patiently("the segment's change", || {
            let listed = self.caller().list("");
            let listed = listed.iter().find(|listed| listed["id"] == id);
            let tracked = listed.is_some_and(|listed| {
                listed["analytics_tracking_enabled"] == shown["analytics_tracking_enabled"]
            });
            tracked && self.caller().details(id)["description"] == shown["description"]
        });
    }

    fn create(&mut self) {
        if self.room.segments.len() == SEGMENTS {
            return;
        }
        self.room.names += 1;
        let name = format!("segment {}", self.room.names);
        let filter = self.generator.filter(&self.room.space.apps);
        let tracked = !self.generator.random.one_in(3);
        let id = if self.generator.random.one_in(4) {
            let text = filter.to_string();
            let mut arguments = vec!["segment", "create", &name, "--filter", &text];
            if !tracked {
                arguments.push("--no-track");
            } else if self.generator.random.one_in(2) {
                arguments.push("--track");
            }
            if self.generator.random.one_in(2) {
                arguments.push("--wait");
            }
            let created = self.run(&arguments);
            assert_eq!(created["analytics_tracking_enabled"], tracked);
            let id = created["id"].as_str().unwrap().to_owned();
            self.wait_until_honoured(&id);
            id
        } else {
            self.caller().create(&name, &filter, tracked)
        };
        self.room.segments.push(Segment {
            id,
            name,
            filter,
            tracked,
        });
    }

    /// One of the segments, if there are any.
    fn pick(&mut self) -> Option<usize> {
        let count = self.room.segments.len();
        (count > 0).then(|| self.generator.random.below(count))
    }

    fn set_tracking(&mut self, on: bool) {
        let Some(picked) = self.pick() else { return };
        let Segment { id, name, .. } = &self.room.segments[picked];
        let what = if on { "track" } else { "untrack" };
        if self.generator.random.one_in(3) {
            let changed = self.run(&["segment", what, name]);
            assert_eq!(changed["analytics_tracking_enabled"], on);
            self.wait_until_honoured(id);
        } else {
            self.caller().change(what, id);
        }
        self.room.segments[picked].tracked = on;
    }

    fn edit(&mut self) {
        let Some(picked) = self.pick() else { return };
        let Segment { id, name, .. } = &self.room.segments[picked];
        let filter = self.generator.filter(&self.room.space.apps);
        if self.generator.random.one_in(3) {
            let text = filter.to_string();
            let mut arguments = vec!["segment", "edit", name, "--filter", &text];
            if self.generator.random.one_in(2) {
                arguments.push("--wait");
            }
            self.run(&arguments);
            self.wait_until_honoured(id);
        } else {
            self.caller().edit_filter(id, &filter);
        }
        self.room.segments[picked].filter = filter;
    }

    fn delete(&mut self) {
        let Some(picked) = self.pick() else { return };
        let Segment { id, name, .. } = self.room.segments.swap_remove(picked);
        if self.generator.random.one_in(3) {
            self.run(&["segment", "delete", &name]);
            patiently("the segment's end", || {
                let listed = self.caller().list("");
                listed.iter().all(|listed| listed["id"] != id.as_str())
            });
        } else {
            self.caller().change("delete", &id);
        }
    }
}
