//! Days that are sealed: their sessions are gone and every answer is as it was.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{DAY, answers, date, today};
use crate::segments::{Caller, Space, is};
use crate::support::{Server, clickhouse, command, eventually, run, spawned};

/// Days of sessions, the running one included.
const DAYS: i64 = 60;
/// Sessions of an app on a large day: enough for a rollup, and on other days.
const LARGE: i64 = 300;
const SMALL: i64 = 3;

struct Scene {
    directory: TempDir,
    space: Space,
    server: Option<Server>,
    segment: String,
    sessions: u64,
    today: i64,
}

impl Scene {
    fn new() -> Self {
        let today = today();
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("store");
        let space = Space::create(&data, "some", "America/St_Johns", 2);
        let server = Server::start_on(&data, &[]);
        let caller = space.caller(&server);
        let segment = caller.create("brazil", &is("country", "BR"), true);
        let attributes: Vec<Value> = (0..9)
            .map(|user| json!({ "external_id": format!("user {user}"), "plan": (["free", "pro"][user % 2]) }))
            .collect();
        let answer = caller.post("/users/track", &json!({ "attributes": attributes }));
        assert_eq!(answer.status, 201, "{}", answer.text);
        let mut sessions = Vec::new();
        for day in today - DAYS + 1..=today {
            for (place, app) in space.apps.iter().enumerate() {
                let numbers = 0..count(day, place as i64);
                sessions.extend(numbers.map(|number| session(app, day, number)));
            }
        }
        let mut new = 0;
        for batch in sessions.chunks(5_000) {
            new += caller.record(batch);
        }
        clickhouse::check_new(new, sessions.len() as u64);
        Self {
            directory,
            space,
            server: Some(server),
            segment,
            sessions: sessions.len() as u64,
            today,
        }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    fn caller(&self) -> Caller<'_> {
        self.space.caller(self.server())
    }

    /// Everything that is asked, of days that are over.
    fn answers(&self) -> Vec<Value> {
        answers(|path| self.caller().get(path), self.today - 1, &self.segment)
    }

    fn set_retention(&self, days: &str) -> Value {
        command(
            &self.server().data,
            &["workspace", "set-retention", "some", days, "--yes"],
        )
    }

    /// How many sessions of days before this one there were.
    fn before(&self, day: i64) -> u64 {
        let of_day = |day| (0..2).map(|place| count(day, place)).sum::<i64>();
        let days = self.today - DAYS + 1..day;
        days.map(of_day).sum::<i64>().unsigned_abs()
    }

    fn exported(&self) -> usize {
        let output = run(&self.server().data, &["export", "--workspace", "some"]);
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().lines().count()
    }

    fn verified(&self) -> Value {
        let found = command(&self.server().data, &["verify"]);
        assert_eq!(found["agrees"], true, "{found}");
        found
    }

    /// The server begins again, after it was killed.
    fn restart(&mut self) {
        let server = self.server.take().unwrap();
        let data = server.data.clone();
        server.kill();
        self.server = Some(Server::start_on(&data, &[]));
    }
}

/// How many sessions an app, by its place, has on a day.
fn count(day: i64, place: i64) -> i64 {
    if (day + place) % 7 == 0 { LARGE } else { SMALL }
}

/// A session of a day (UTC) by somebody who comes now and then, or by a device.
fn session(app: &str, day: i64, number: i64) -> Value {
    let person = (number * 7 + day) % 23;
    let mut session = json!({
        "app_id": app,
        "session_id": format!("{number} of {day}"),
        "started_at": day * DAY + (number * 7_919) % DAY,
        "country": (["BR", "MX", "DE"][(number % 3) as usize]),
        "platform": "ios",
    });
    match person {
        0 => {}
        1..=8 => session["device_id"] = format!("device {person}").into(),
        _ => session["user_id"] = format!("user {}", person - 9).into(),
    }
    session
}

#[test]
fn sealed_days_answer_as_before_and_take_nothing_any_more() {
    let mut scene = Scene::new();
    let expected = scene.answers();
    let gone = scene.before(scene.today - 31);
    let report = scene.set_retention("30");
    assert_eq!(report["sealed_sessions"], gone, "{report}");
    assert_eq!(report["sealed_days"], (DAYS - 32) * 2, "{report}");
    assert_eq!(scene.answers(), expected);
    assert_eq!(scene.exported() as u64, scene.sessions - gone);
    scene.restart();
    assert_eq!(scene.answers(), expected);
    let found = scene.verified();
    assert_eq!(
        (&found["sealed_sessions"], &found["sessions"]),
        (&gone.into(), &(scene.sessions - gone).into())
    );

    // Nothing brings sessions back: neither a delivery that is repeated, nor a longer retention.
    let [app, _] = &scene.space.apps[..] else { panic!() };
    let refused = |day: i64, why: &str| {
        let body = json!({ "sessions": [session(app, day, 0)] });
        let answer = scene.caller().post("/sessions/track", &body);
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(answer.text.contains(why), "{}", answer.text);
    };
    let first = date(scene.today - 30);
    refused(
        scene.today - 40,
        &format!("must not be before {first} (UTC), since the workspace keeps sessions for 30 days"),
    );
    scene.set_retention("none");
    let first = date(scene.today - 31);
    let removed = format!("must not be before {first} (UTC), since sessions of the days before were removed");
    eventually("a retention that is lifted", || {
        let body = json!({ "sessions": [session(app, scene.today - 40, 0)] });
        scene
            .caller()
            .post("/sessions/track", &body)
            .text
            .contains(&removed)
    });
    refused(scene.today - 32, &removed);
    assert_eq!(scene.caller().record(&[session(app, scene.today - 31, 9_999)]), 1);
    assert_eq!(scene.verified()["sealed_sessions"], gone);
}

#[test]
fn a_backup_has_sealed_days_and_whoever_was_forgotten_stays_counted() {
    let scene = Scene::new();
    let gone = scene.before(scene.today - 31);
    scene.set_retention("30");
    let expected = scene.answers();
    let answer = scene
        .caller()
        .forget(&json!({ "external_ids": ["user 3", "user 4"] }));
    assert_eq!(answer.json()["deleted"], 2, "{}", answer.text);
    assert_eq!(scene.answers(), expected);
    let file = scene.directory.path().join("backup.sqlite");
    let file = file.to_str().unwrap();
    command(&scene.server().data, &["backup", file]);
    let data = scene.directory.path().join("restored");
    command(&data, &["restore", file]);
    let restored = Server::start_on(&data, &[]);
    let caller = scene.space.caller(&restored);
    let found = answers(|path| caller.get(path), scene.today - 1, &scene.segment);
    assert_eq!(found, expected);
    let found = command(&data, &["verify"]);
    assert_eq!(
        (&found["agrees"], &found["sealed_sessions"]),
        (&true.into(), &gone.into()),
        "{found}"
    );
    // There as here one of them is somebody new, and somebody else is not.
    for caller in [scene.caller(), caller] {
        let mut back = [
            session(&scene.space.apps[0], scene.today - 2, 5_000),
            session(&scene.space.apps[0], scene.today - 2, 5_001),
        ];
        back[0]["user_id"] = "user 3".into();
        back[1]["user_id"] = "user 5".into();
        let new = |day: i64| {
            let path = format!(
                "/kpi/new_users/data_series?length=1&ending_at={}",
                day * DAY + DAY / 2
            );
            caller.get(&path).json()["data"][0]["new_users"].as_u64().unwrap()
        };
        let before = new(scene.today - 2);
        caller.record(&back);
        assert_eq!(new(scene.today - 2), before + 1);
    }
}

#[test]
fn a_command_that_is_killed_while_it_seals_loses_no_count() {
    let mut scene = Scene::new();
    let expected = scene.answers();
    for days in ["40", "30"] {
        let mut sealing = spawned(
            &scene.server().data,
            &["workspace", "set-retention", "some", days, "--yes"],
        );
        let listed = || command(&scene.server().data, &["workspace", "list"]);
        eventually("its announcement", || {
            let is_set = |workspace: &Value| workspace["retention_days"].as_u64() == days.parse().ok();
            listed().as_array().unwrap().iter().any(is_set)
        });
        let _ = sealing.kill();
        sealing.wait().unwrap();
        assert_eq!(scene.answers(), expected);
        scene.verified();
    }
    scene.restart();
    scene.set_retention("30");
    assert_eq!(scene.answers(), expected);
    assert_eq!(
        scene.verified()["sealed_sessions"],
        scene.before(scene.today - 31)
    );
}
