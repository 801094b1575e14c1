//! Files as Braze's Currents delivers them, written by somebody else's Avro library.

use serde_json::{Value, json};

use super::{APP, Place, counts, python, stored};

const NOON: i64 = 1_704_110_400;

impl Place {
    fn currents(&self, name: &str, codec: &str, kind: &str, events: &[Value]) -> String {
        let file = self.write(name, "");
        python::run(
            "write_currents.py",
            &[&file, codec, kind, &Value::from(events.to_vec()).to_string()],
        );
        file
    }

    /// Session ids with start and duration.
    fn sessions(&self) -> Vec<(String, i64, Option<i64>)> {
        stored(&self.path("store"))
            .iter()
            .map(|row| {
                let id = row["id"].as_str().unwrap().to_owned();
                (id, row["start"].as_i64().unwrap(), row["duration"].as_i64())
            })
            .collect()
    }
}

fn event(session: &str, time: i64) -> Value {
    json!({ "app_id": APP, "session_id": session, "time": time, "user_id": "braze-1" })
}

fn ended(session: &str, time: i64, duration: impl Into<Value>) -> Value {
    let mut event = event(session, time);
    event["duration"] = duration.into();
    event
}

#[test]
fn starts_and_their_ends_are_counted_once_in_any_order_and_however_often() {
    let place = Place::new();
    let mut full = event("a", NOON);
    for (name, value) in [
        ("external_user_id", "me"),
        ("device_id", "d"),
        ("platform", "ios"),
        ("os_version", "17.4"),
        ("device_model", "iPhone15,3"),
    ] {
        full[name] = value.into();
    }
    let starts = [full.clone(), event("b", NOON + 1), full];
    let ends = [
        ended("b", NOON + 31, 30.0),
        ended("a", NOON + 12, 12.25),
        ended("lost", NOON + 60, 50.5),
        ended("lost", NOON + 60, 50.5),
        ended("unknown", NOON + 70, Value::Null),
    ];
    place.currents("in/event_type=SessionEnd/1.avro", "zstandard", "end", &ends);
    place.currents("in/event_type=SessionStart/1.avro", "deflate", "start", &starts);
    place.currents("in/event_type=email/1.avro", "null", "email", &[event("x", NOON)]);
    let directory = place.path("in");
    let directory = directory.to_str().unwrap();
    let report = place.import(&[directory]);
    assert_eq!(counts(&report), [4, 2, 0], "{report}");
    assert_eq!(report["ended"], 2);
    let passed_over = report["passed_over"][0].as_str().unwrap();
    assert!(
        passed_over.ends_with("its events are 'users.messages.email.Open', not sessions"),
        "{passed_over}"
    );
    let expected = [
        ("a".to_owned(), NOON * 1000, Some(12_000)),
        ("b".to_owned(), (NOON + 1) * 1000, Some(30_000)),
        ("lost".to_owned(), NOON * 1000 + 9_500, Some(50_500)),
        ("unknown".to_owned(), (NOON + 70) * 1000, Some(0)),
    ];
    assert_eq!(place.sessions(), expected);
    let rows = stored(&place.path("store"));
    assert_eq!(rows[0]["user"], "me");
    assert_eq!(rows[0]["device"], "d");
    assert_eq!(
        rows[0]["properties"],
        json!({"platform": "ios", "os_version": "17.4", "device_model": "iPhone15,3", "first_session": true})
    );
    assert_eq!(rows[1]["user"], "braze-1");
    let again = place.import(&[directory, "--format", "currents"]);
    assert_eq!(counts(&again), [0, 3, 0]);
    assert_eq!(again["ended"], 5);
    assert_eq!(place.sessions(), expected);
}

#[test]
fn starts_and_ends_that_are_older_than_the_retention_are_refused() {
    let place = Place::new();
    crate::support::command(
        &place.path("store"),
        &["workspace", "set-retention", "acme", "30"],
    );
    let today = crate::retention::today();
    let first = (today - 30) * 86_400;
    let starts = [event("old", first - 1), event("new", first)];
    let ends = [
        ended("old", first - 1, 0.0),
        // The day of its end is kept, and that of its start is not.
        ended("across", first + 9, 10.0),
        ended("new", first + 10, 10.0),
    ];
    place.currents("in/starts.avro", "null", "start", &starts);
    place.currents("in/ends.avro", "null", "end", &ends);
    let (report, said) = place.import_badly(&[place.path("in").to_str().unwrap()]);
    assert_eq!(counts(&report), [1, 0, 3], "{report}");
    assert_eq!(report["ended"], 1);
    let reason = crate::retention::reason(today);
    for expected in [
        format!("starts.avro: record 1: 'started_at' {reason}"),
        format!("ends.avro: record 1: the end of a session {reason}"),
        format!("ends.avro: record 2: 'started_at' {reason}"),
    ] {
        assert!(said.contains(&expected), "{said}");
    }
    assert_eq!(place.sessions(), [("new".to_owned(), first * 1000, Some(10_000))]);
}

#[test]
fn types_are_told_by_the_whole_name_wherever_it_begins() {
    let place = Place::new();
    // All of these have the fields of a session's start.
    for (number, kind) in ["prefixed-start", "prefixed-custom", "custom"]
        .into_iter()
        .enumerate()
    {
        let event = event(kind, NOON + number as i64);
        place.currents(&format!("in/{kind}.avro"), "null", kind, &[event]);
    }
    let report = place.import(&[place.path("in").to_str().unwrap()]);
    assert_eq!(counts(&report), [1, 0, 0], "{report}");
    let passed_over = report["passed_over"].to_string();
    for name in [
        "com.example.currents.users.behaviors.CustomEvent",
        "users_behaviors_CustomEvent",
    ] {
        assert!(
            passed_over.contains(&format!("its events are '{name}', not sessions")),
            "{passed_over}"
        );
    }
    assert_eq!(
        place.sessions(),
        [("prefixed-start".to_owned(), NOON * 1000, None)]
    );
}

#[test]
fn old_and_generic_schemas_from_standard_input_too() {
    let place = Place::new();
    let old = json!({ "session_id": "old", "time": NOON, "user_id": "u", "external_user_id": "e", "platform": "web" });
    let old = place.currents("old.avro", "snappy", "old-start", &[old]);
    let (_, errors) = place.import_badly(&[&old]);
    assert!(
        errors.contains("old.avro: record 1: 'app_id' is required"),
        "{errors}"
    );
    assert_eq!(counts(&place.import(&[&old, "--app", "Shop"])), [1, 0, 0]);
    let mixed = [
        ended("m", NOON + 10, 9.5),
        event("m", NOON),
        json!({ "app_id": null, "session_id": "n", "time": NOON as f64 + 0.25 }),
    ];
    let mixed = place.currents("mixed.avro", "null", "generic", &mixed);
    let output = std::process::Command::new(crate::support::binary())
        .args(["import", "-", "--format", "currents", "--app", "Shop", "--json"])
        .args(crate::support::store_arguments(&place.path("store")))
        .stdin(std::fs::File::open(mixed).unwrap())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((counts(&report), &report["ended"]), ([2, 0, 0], &json!(1)));
    let expected = [
        ("m".to_owned(), NOON * 1000, Some(10_000)),
        ("old".to_owned(), NOON * 1000, None),
        ("n".to_owned(), NOON * 1000 + 250, None),
    ];
    assert_eq!(place.sessions(), expected);
}

#[test]
fn bad_records_are_refused_one_by_one() {
    let place = Place::new();
    let other_app =
        json!({ "app_id": "e13ad5b5-4c4e-4d3e-9e3f-1b4bb4c6ff1a", "session_id": "o", "time": NOON });
    let starts = [event("good", NOON), event("", NOON), event("zero", 0), other_app];
    let starts = place.currents("starts.avro", "deflate", "start", &starts);
    let ends = [
        ended("long", NOON, 1e9),
        ended("negative", NOON, -1.0),
        ended("good", NOON + 5, 5.0),
    ];
    let ends = place.currents("ends.avro", "deflate", "end", &ends);
    let rejects = place.path("refused.ndjson");
    let output = crate::support::run(
        &place.path("store"),
        &["import", &ends, &starts, "--rejects", rejects.to_str().unwrap()],
    );
    let errors = String::from_utf8(output.stderr).unwrap();
    for expected in [
        "starts.avro: record 2: 'session_id' is required",
        "starts.avro: record 3: 'started_at' must not be before the year 2000",
        "starts.avro: record 4: 'app_id' must be the id of an app of this workspace",
        "ends.avro: record 1: 'duration' must be 0 to 604800 seconds, received 1000000000.0",
        "ends.avro: record 2: 'duration' must be 0 to 604800 seconds, received -1.0",
    ] {
        assert!(errors.contains(expected), "{expected}: {errors}");
    }
    assert_eq!(place.sessions(), [("good".to_owned(), NOON * 1000, Some(5_000))]);
    let refused = std::fs::read_to_string(&rejects).unwrap();
    assert_eq!(refused.lines().count(), 5, "{refused}");
    let mended = place.write(
        "mended.ndjson",
        refused.replace("e13ad5b5-4c4e-4d3e-9e3f-1b4bb4c6ff1a", APP),
    );
    assert_eq!(counts(&place.import(&[&mended])), [1, 0, 4]);
}

#[test]
fn what_stands_before_a_damage_is_recorded() {
    let place = Place::new();
    let many: Vec<Value> = (0..400).map(|n| event(&format!("s{n}"), NOON + n)).collect();
    let whole = place.currents("whole.avro", "null", "start", &many);
    let whole = std::fs::read(whole).unwrap();
    let cut = place.write("1-cut.avro", &whole[..whole.len() - 20]);
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0xFF;
    damaged[whole.len() / 2 + 1] ^= 0xFF;
    let middle = damaged.len() * 3 / 4;
    damaged[middle..middle + 2000].fill(0xFF);
    let damaged = place.write("2-damaged.avro", damaged);
    let empty = place.write("3-empty.avro", "");
    let (report, errors) = place.import_badly(&[&cut, &damaged, &empty]);
    let recorded = report["recorded"].as_u64().unwrap();
    assert!((300..400).contains(&recorded), "{report}");
    assert!(
        errors.contains("1-cut.avro could not be read after record"),
        "{errors}"
    );
    assert!(
        errors.contains(&format!("the file is cut off, at byte {}", whole.len() - 20)),
        "{errors}"
    );
    assert!(
        errors.contains("2-damaged.avro could not be read after record"),
        "{errors}"
    );
    assert!(
        errors.contains("3-empty.avro: this is not an Avro object container file"),
        "{errors}"
    );
    let whole = place.path("whole.avro");
    let report = place.import(&[whole.to_str().unwrap()]);
    assert_eq!(counts(&report), [400 - recorded, recorded, 0]);
}
