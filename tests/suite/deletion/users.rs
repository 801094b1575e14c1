//! Users and devices who are forgotten: nobody finds them again, and no number changes.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{agrees, counted, exported, session};
use crate::segments::{Caller, Space, is};
use crate::support::{Server, clickhouse, command, run};

/// Somebody whose traces are looked for.
const SOMEBODY: &str = "somebody-who-is-forgotten@example.com";
const SECRET: &str = "something-about-somebody";

/// A store with sessions of a few people.
struct Scene {
    directory: TempDir,
    space: Space,
    server: Server,
    segment: String,
}

impl Scene {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("store");
        let space = Space::create(&data, "some", "UTC", 2);
        let server = Server::start_on(&data, &[]);
        let caller = space.caller(&server);
        let segment = caller.create("pro", &is("attributes.plan", "pro"), true);
        let attributes = json!([
            { "external_id": SOMEBODY, "plan": "pro", "note": SECRET },
            { "external_id": "other", "plan": "pro" },
            { "external_id": "silent", "plan": "free" },
        ]);
        let answer = caller.post("/users/track", &json!({ "attributes": attributes }));
        assert_eq!(answer.status, 201, "{}", answer.text);
        let [one, two] = [&space.apps[0], &space.apps[1]];
        let sessions = [
            session(
                one,
                "a",
                1,
                &[("user_id", SOMEBODY), ("device_id", "phone"), ("country", "BR")],
            ),
            session(two, "b", 2, &[("user_id", SOMEBODY)]),
            session(one, "c", 2, &[("user_id", "other"), ("device_id", "tablet")]),
            session(one, "d", 2, &[("device_id", "tablet")]),
            session(two, "e", 3, &[("device_id", "tablet")]),
            session(two, "f", 3, &[]),
        ];
        clickhouse::check_new(caller.record(&sessions), 6);
        Self {
            directory,
            space,
            server,
            segment,
        }
    }

    fn caller(&self) -> Caller<'_> {
        self.space.caller(&self.server)
    }

    fn data(&self) -> &Path {
        &self.server.data
    }

    fn counted(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let apps = [None, Some(self.space.apps[0].as_str())];
        apps.map(|app| counted(self.caller(), &self.segment, app))
    }

    fn forget(&self, body: &Value) -> u64 {
        let answer = self.caller().forget(body);
        assert_eq!(answer.status, 201, "{}", answer.text);
        let body = answer.json();
        assert_eq!(body["message"], "success");
        body["deleted"].as_u64().unwrap()
    }
}

/// Whether a text stands in any file of a directory.
fn stands_in(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let file = entry.unwrap().path();
        let bytes = std::fs::read(&file).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn a_user_who_is_forgotten_is_nowhere_and_counts_as_before() {
    let scene = Scene::new();
    let before = scene.counted();
    let exported_before = exported(scene.data());
    assert_eq!(exported_before["a"]["user_id"], SOMEBODY);
    let asked = json!({ "external_ids": [SOMEBODY, "nobody", SOMEBODY] });
    assert_eq!(scene.forget(&asked), 1);
    assert_eq!(scene.counted(), before);
    let mut expected = exported_before;
    for id in ["a", "b"] {
        let session = expected.get_mut(id).unwrap().as_object_mut().unwrap();
        for name in ["user_id", "device_id", "attributes"] {
            session.remove(name);
        }
    }
    assert_eq!(exported(scene.data()), expected);
    assert_eq!(expected["a"]["country"], "BR");
    if !clickhouse::is_used() {
        assert!(!stands_in(scene.data(), SOMEBODY));
    }
    // A delivery that is repeated brings nobody back.
    let again = session(
        &scene.space.apps[0],
        "a",
        1,
        &[("user_id", SOMEBODY), ("device_id", "phone")],
    );
    scene.caller().record(&[again]);
    assert_eq!(exported(scene.data()), expected);
    assert_eq!(scene.counted(), before);
    assert_eq!(scene.forget(&json!({ "external_ids": ["never"] })), 0);
    agrees(scene.data());
}

#[test]
fn whoever_comes_back_is_somebody_else() {
    let scene = Scene::new();
    assert_eq!(scene.forget(&json!({ "external_ids": [SOMEBODY] })), 1);
    let back = session(&scene.space.apps[1], "g", 4, &[("user_id", SOMEBODY)]);
    scene.caller().record(&[back]);
    let numbers = |path: &str, name: &str| -> Vec<u64> {
        let answer = scene
            .caller()
            .get(&format!("{path}?length=4&ending_at=2024-03-04"));
        let points = answer.json()["data"].as_array().unwrap().clone();
        points.iter().map(|point| point[name].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers("/kpi/new_users/data_series", "new_users"), [1, 2, 0, 1]);
    assert_eq!(numbers("/kpi/mau/data_series", "mau"), [1, 3, 3, 4]);
    let exported = exported(scene.data());
    // Nothing is known of them any more.
    assert_eq!(
        (&exported["g"]["user_id"], &exported["g"]["attributes"]),
        (&json!(SOMEBODY), &Value::Null)
    );
    assert_eq!(exported["a"]["user_id"], Value::Null);
    // And may be forgotten again.
    assert_eq!(scene.forget(&json!({ "external_ids": [SOMEBODY] })), 1);
    assert_eq!(numbers("/kpi/mau/data_series", "mau"), [1, 3, 3, 4]);
    agrees(scene.data());
}

#[test]
fn devices_are_forgotten_on_the_command_line_too() {
    let scene = Scene::new();
    let before = scene.counted();
    let data = scene.data();
    let forget = |arguments: &[&str]| {
        let all = [&["user", "forget"], arguments, &["--workspace", "some"]].concat();
        command(data, &all)
    };
    // A user of that name there is not, and a device that no session is only that of.
    assert_eq!(forget(&["tablet"])["deleted"], 0);
    assert_eq!(forget(&["tablet", "phone", "--device"])["deleted"], 2);
    // One of whom attributes alone are known.
    assert_eq!(forget(&["silent"])["deleted"], 1);
    assert_eq!(scene.counted(), before);
    let exported = exported(data);
    assert_eq!(exported["a"]["user_id"], SOMEBODY);
    assert_eq!(exported["a"]["attributes"]["note"], SECRET);
    assert!(exported.values().all(|session| session["device_id"].is_null()));
    // Who was known by the device alone is a new one now.
    scene
        .caller()
        .record(&[session(&scene.space.apps[0], "h", 3, &[("device_id", "tablet")])]);
    let answer = scene
        .caller()
        .get("/kpi/dau/data_series?length=1&ending_at=2024-03-03");
    assert_eq!(answer.json()["data"][0]["dau"], 2);
    agrees(data);
}

#[test]
fn later_backups_know_nobody_and_count_the_same() {
    let scene = Scene::new();
    scene.forget(&json!({ "external_ids": [SOMEBODY] }));
    scene.forget(&json!({ "device_ids": ["tablet"] }));
    let (before, sessions) = (scene.counted(), exported(scene.data()));
    let place = scene.directory.path();
    let [file, restored] = ["backup.sqlite", "restored"].map(|name| place.join(name));
    command(scene.data(), &["backup", file.to_str().unwrap()]);
    assert!(!String::from_utf8_lossy(&std::fs::read(&file).unwrap()).contains(SOMEBODY));
    command(&restored, &["restore", file.to_str().unwrap()]);
    let Scene {
        space,
        server,
        segment,
        ..
    } = scene;
    server.stop();
    let scene = Scene {
        directory: scene.directory,
        server: Server::start_on(&restored, &[]),
        space,
        segment,
    };
    assert_eq!(scene.counted(), before);
    assert_eq!(exported(&restored), sessions);
    agrees(&restored);
}

#[test]
fn who_is_meant_must_be_said() {
    let server = Server::start();
    let caller = Caller::of(&server);
    let either = "give either 'external_ids' or 'device_ids': an array of 1 to 50 ids";
    let fifty_one: Vec<String> = (0..51).map(|number| number.to_string()).collect();
    for (body, said) in [
        (json!({}), either),
        (json!({ "external_ids": ["a"], "device_ids": ["a"] }), either),
        (
            json!({ "external_ids": [] }),
            "'external_ids': give 1 to 50 ids, received 0",
        ),
        (
            json!({ "device_ids": fifty_one }),
            "'device_ids': give 1 to 50 ids, received 51",
        ),
        (
            json!({ "external_ids": ["a", ""] }),
            "id number 2 must have 1 to 256 bytes, received 0",
        ),
        (
            json!({ "braze_ids": ["a"] }),
            "unknown field 'braze_ids', expected 'external_ids' or 'device_ids'",
        ),
        (json!({ "external_ids": "a" }), "expected a sequence"),
        (json!({ "external_ids": [7] }), "expected a string"),
        (json!(["a"]), "the body is not the JSON object that is expected"),
    ] {
        let answer = caller.post("/users/delete", &body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.message().contains(said), "{body}: {}", answer.text);
    }
    let key = crate::segments::key(&server.data, "default", "users.track");
    let other = Caller {
        server: &server,
        key: &key,
    };
    let answer = other.post("/users/delete", &json!({ "external_ids": ["a"] }));
    assert_eq!(answer.status, 403, "{}", answer.text);
    assert!(answer.message().contains("'users.delete'"), "{}", answer.text);
    let output = run(&server.data, &["user", "forget"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn combinations_of_attributes_that_nobody_has_do_not_stay() {
    if clickhouse::is_used() {
        return;
    }
    let scene = Scene::new();
    for level in 0..50 {
        let users: Vec<Value> = (0..20)
            .map(|user| json!({ "external_id": format!("u{user}"), "level": level * 100 + user }))
            .collect();
        let answer = scene
            .caller()
            .post("/users/track", &json!({ "attributes": users }));
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    let file = scene.data().join("sessions.sqlite");
    let of_sets = |what: &str| -> i64 {
        let connection = rusqlite::Connection::open(&file).unwrap();
        let sql = format!("SELECT {what} FROM attribute_sets");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    // The server may have looked already, and have left fewer of them; the newest is always needed.
    assert!(of_sets("MAX(ordinal)") > 900);
    let Scene {
        directory,
        space,
        server,
        segment,
    } = scene;
    server.stop();
    let scene = Scene {
        server: Server::start_on(&directory.path().join("store"), &[]),
        directory,
        space,
        segment,
    };
    crate::support::eventually("those of the users that there are", || of_sets("COUNT(*)") == 23);
    // What was recorded with them stays, and what comes carries the right ones.
    let app = &scene.space.apps[0];
    scene
        .caller()
        .record(&[session(app, "z", 4, &[("user_id", "u7")])]);
    assert_eq!(
        exported(scene.data())["z"]["attributes"],
        json!({ "level": 4_907 })
    );
    agrees(scene.data());
}
