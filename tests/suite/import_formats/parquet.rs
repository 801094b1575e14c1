//! Parquet as other people's libraries write and read it.

use serde_json::json;

use super::{APP, Place, counts, python, stored};

#[test]
fn files_of_pyarrow_are_read_whatever_their_types() {
    let place = Place::new();
    for kind in ["native", "strings", "nanoseconds"] {
        place.write(&format!("in/{kind}.parquet"), "");
        let file = place.path(&format!("in/{kind}.parquet"));
        python::run("write_parquet.py", &[file.to_str().unwrap(), kind, APP]);
    }
    let directory = place.path("in");
    let report = place.import(&[
        directory.to_str().unwrap(),
        "--app",
        "Shop",
        "--map",
        "started_at=when",
    ]);
    assert_eq!(counts(&report), [6, 0, 0], "{report}");
    assert_eq!(report["ignored_columns"], json!(["other"]));
    let rows = stored(&place.path("store"));
    let attributes = json!({"plan": "pro", "age": 41, "paid": true, "rate": 1.5});
    for (kind, expected) in [
        ("native", &attributes),
        ("strings", &attributes),
        ("nanoseconds", &json!({"plan": "pro"})),
    ] {
        let row = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap().clone();
        let full = row(&format!("{kind}-1"));
        assert_eq!(full["start"], 1_704_110_400_123_i64, "{full}");
        assert_eq!(full["user"], "u-1", "{full}");
        assert_eq!(full["duration"], 12_250, "{full}");
        assert_eq!(&full["properties"]["attributes"], expected, "{full}");
        let empty = row(&format!("{kind}-2"));
        assert_eq!(
            (&empty["user"], &empty["duration"]),
            (&json!(null), &json!(null)),
            "{empty}"
        );
        assert_eq!(empty["properties"], json!({}));
    }
}

#[test]
fn columns_may_be_encoded_as_deltas() {
    let place = Place::new();
    let file = place.path("deltas");
    python::run("write_parquet.py", &[file.to_str().unwrap(), "deltas", APP]);
    let arguments = ["--app", "Shop", "--map", "started_at=when", "--format", "parquet"];
    for (version, expected) in [("1.0", [3_000, 0, 0]), ("2.0", [0, 3_000, 0])] {
        let file = format!("{}.{version}", file.display());
        assert_eq!(
            counts(&place.import(&[&[file.as_str()], &arguments[..]].concat())),
            expected
        );
    }
    let rows = stored(&place.path("store"));
    assert_eq!(rows.len(), 3_000);
    let last = rows.iter().find(|row| row["id"] == "session-02999").unwrap();
    assert_eq!(
        (&last["start"], &last["user"]),
        (&json!(1_704_113_399_123_i64), &json!("u-3"))
    );
}

#[test]
fn an_export_is_opened_by_duckdb_and_imported_again() {
    let place = Place::new();
    let lines: String = (0..250_000)
        .map(|n| {
            let user = if n % 3 == 0 {
                format!(r#","user_id":"u{}""#, n % 100)
            } else {
                String::new()
            };
            let attributes = if n % 2 == 0 {
                r#","attributes":{"a":1,"b":"x"}"#
            } else {
                ""
            };
            format!(
                "{{\"session_id\":\"s{n}\",\"started_at\":{},\"duration\":{}{user}{attributes}}}\n",
                1_704_110_400_000_i64 + n * 1_001,
                n as f64 / 1000.0
            )
        })
        .collect();
    place.import(&[&place.write("in.ndjson", lines), "--app", "Shop"]);
    let store = place.path("store");
    let exported = place.path("all.parquet");
    let report = crate::support::command(&store, &["export", "--output", exported.to_str().unwrap()]);
    assert_eq!(report["sessions"], 250_000);
    let seen = python::run("read_parquet.py", &[exported.to_str().unwrap()]);
    let expected = json!({
        "sessions": 250_000, "users": 100, "first": "2024-01-01T12:00:00+00:00", "last": "2024-01-04T09:30:48.999000+00:00",
        "seconds": 31_249_875, "with_attributes": 125_000, "apps": [APP],
    });
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&seen).unwrap(),
        expected
    );
    place.make_store("copy");
    let copy = place.path("copy");
    let report = crate::support::command(&copy, &["import", exported.to_str().unwrap()]);
    assert_eq!(counts(&report), [250_000, 0, 0]);
    let again = place.path("again.parquet");
    crate::support::command(&copy, &["export", "--output", again.to_str().unwrap()]);
    assert!(std::fs::read(&again).unwrap() == std::fs::read(&exported).unwrap());
}

#[test]
fn damaged_files_and_bad_rows_are_named() {
    let place = Place::new();
    place.write("good.parquet", "");
    let good = place.path("good.parquet");
    python::run("write_parquet.py", &[good.to_str().unwrap(), "bad", APP]);
    let rejects = place.path("refused.ndjson");
    let arguments = [
        "--app",
        "Shop",
        "--map",
        "started_at=when",
        "--rejects",
        rejects.to_str().unwrap(),
    ];
    let bytes = std::fs::read(&good).unwrap();
    let cut = place.write("cut.parquet", &bytes[..bytes.len() - 10]);
    let text = place.write("text.parquet", "session_id,started_at\n");
    let (report, errors) =
        place.import_badly(&[&[&cut, &text, good.to_str().unwrap()], &arguments[..]].concat());
    assert_eq!(counts(&report), [1, 0, 2], "{errors}");
    assert!(
        errors.contains("can't import") && errors.contains("cut.parquet"),
        "{errors}"
    );
    assert!(
        errors.contains("good.parquet: row 2: 'started_at' must not be before the year 2000"),
        "{errors}"
    );
    assert!(
        errors.contains("good.parquet: row 3: 'session_id' is required"),
        "{errors}"
    );
    assert!(
        errors.contains("2 of 3 files could not be read to their end"),
        "{errors}"
    );
    let refused = std::fs::read_to_string(&rejects).unwrap();
    assert!(
        refused.contains(r#""started_at":"1970-01-01T00:00:00Z""#),
        "{refused}"
    );
}
