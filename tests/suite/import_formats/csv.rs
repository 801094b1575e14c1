//! CSV as programs write it.

use std::io::Write as _;

use serde_json::json;

use super::{APP, Place, counts, stored};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_field_is_read_from_its_column() {
    let place = Place::new();
    let file = place.write(
        "sessions.csv",
        format!(
            "\u{feff}app_id,session_id,started_at,user_id,device_id,duration,platform,country,attributes.plan,attributes.age,attributes.paid,attributes.zip,note\r\n\
             {APP},one,2018-06-28T23:59:59-05:00,\"u,1\",d1,12.5,ios,br,\"pro \"\"x\"\"\",41,true,01067,hello\r\n\
             \r\n\
             {APP},two,1530248399,,,,\"two\r\nlines\",,,,,,\r\n\
             {APP},three,1530248399250,12345,,0,,,,4.50,,,\r\n"
        ),
    );
    let report = place.import(&[&file]);
    assert_eq!(counts(&report), [3, 0, 0]);
    assert_eq!(report["ignored_columns"], json!(["note"]));
    let expected = [
        json!({"id": "one", "start": 1_530_248_399_000_i64, "duration": 12_500, "user": "u,1", "device": "d1",
            "properties": {"platform": "ios", "country": "BR", "first_session": true,
                "attributes": {"age": 41, "paid": true, "plan": "pro \"x\"", "zip": "01067"}}}),
        json!({"id": "two", "start": 1_530_248_399_000_i64, "duration": null, "user": null, "device": null,
            "properties": {"platform": "two\r\nlines"}}),
        json!({"id": "three", "start": 1_530_248_399_250_i64, "duration": 0, "user": "12345", "device": null,
            "properties": {"attributes": {"age": 4.5}, "first_session": true}}),
    ];
    assert_eq!(stored(&place.path("store")), expected);
    assert_eq!(counts(&place.import(&[&file])), [0, 3, 0]);
}

#[test]
fn columns_have_other_names_and_rows_no_app() {
    let place = Place::new();
    let file = place.write("odd.csv", "id,ts,started_at,Plan\na,1530248399,ignored,7\n");
    let arguments = [
        "--map",
        "session_id=id",
        "--map",
        "started_at=ts",
        "--map",
        "attributes.plan=Plan",
    ];
    let (_, errors) = place.import_badly(&[&[file.as_str()], &arguments[..]].concat());
    assert!(
        errors.contains("no column 'app_id'; name one with --map app_id=COLUMN, or give --app"),
        "{errors}"
    );
    let report = place.import(&[&[file.as_str(), "--app", "Shop"], &arguments[..]].concat());
    assert_eq!(counts(&report), [1, 0, 0]);
    assert_eq!(report["ignored_columns"], json!(["started_at"]));
    assert_eq!(
        stored(&place.path("store"))[0]["properties"]["attributes"],
        json!({"plan": 7})
    );
    let wrong = crate::support::run(&place.path("store"), &["import", &file, "--map", "begin=ts"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&wrong.stderr).contains("there is no field 'begin'; the fields are app_id")
    );
    let (_, errors) = place.import_badly(&[&file, "--app", "Shop", "--map", "started_at=when"]);
    assert!(errors.contains("there is no column 'when'"), "{errors}");
}

#[test]
fn bad_rows_are_refused_one_by_one_and_can_be_mended() {
    let place = Place::new();
    let file = place.write(
        "some.csv",
        b"session_id,started_at,attributes\na,1530248399,\"{\"\"x\"\":1}\"\n\"b\nc\",2018-06-28,\nc,1530248399\nd,,\ne,1530248399,[1]\n\xff,1530248399,\ng,2018-06-28T00:00:00Z,\n",
    );
    let rejects = place.path("refused.csv");
    let output = crate::support::run(
        &place.path("store"),
        &[
            "import",
            &file,
            "--app",
            "Shop",
            "--rejects",
            rejects.to_str().unwrap(),
        ],
    );
    let (said, summary) = (
        String::from_utf8(output.stderr).unwrap(),
        String::from_utf8(output.stdout).unwrap(),
    );
    assert!(
        summary.starts_with("recorded    2\nduplicates  0\nrefused     5\n"),
        "{summary}"
    );
    for expected in [
        "some.csv:3: 'started_at' must be ISO 8601 with an offset",
        "some.csv:5: not as many cells as the header has, received 2 instead of 3",
        "some.csv:6: 'started_at' is required",
        "some.csv:7: 'attributes' must be an object, received an array",
        "some.csv:8: 'session_id' must be UTF-8",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let refused = std::fs::read(&rejects).unwrap();
    let kept = b"session_id,started_at,attributes\n\"b\nc\",2018-06-28,\nc,1530248399\nd,,\ne,1530248399,[1]\n\xff,1530248399,\n";
    assert_eq!(refused, kept);
    let mended = String::from_utf8_lossy(&refused).replace("d,,", "d,1530248399,");
    let mended = place.write("mended.csv", mended);
    assert_eq!(counts(&place.import(&[&mended, "--app", "Shop"])), [2, 0, 3]);
}

#[test]
fn directories_patterns_and_compressed_files() {
    let place = Place::new();
    let row = |id: &str| format!("session_id,started_at\n{id},1530248399\n");
    place.write("all/1.csv", row("a"));
    place.write("all/deep/2.csv.gz", gzip(&row("b")));
    place.write(
        "all/deep/3.csv.zst",
        zstd::encode_all(row("c").as_bytes(), 1).unwrap(),
    );
    place.write("all/4.jsonl", r#"{"session_id":"d","started_at":1530248399}"#);
    place.write("all/notes.txt", "hello");
    // A pipe into which nobody writes: whoever opened it would wait for ever.
    let mkfifo = crate::support::packages::program(&["mkfifo"], "coreutils");
    for name in ["all/5.csv", "all/6.pipe"] {
        let made = std::process::Command::new(&mkfifo).arg(place.path(name)).status();
        assert!(made.unwrap().success());
    }
    place.write("all/_SUCCESS", "");
    let directory = place.path("all");
    let report = place.import(&[directory.to_str().unwrap(), "--app", "Shop"]);
    assert_eq!(counts(&report), [4, 0, 0]);
    let passed_over = report["passed_over"].to_string();
    for named in [
        "5.csv: it is no regular file",
        "6.pipe: its name tells no format",
        "notes.txt: its name tells no format",
    ] {
        assert!(passed_over.contains(named), "{passed_over}");
    }
    let pattern = format!("{}/**/*.csv*", directory.display());
    assert_eq!(counts(&place.import(&[&pattern, "--app", "Shop"])), [0, 3, 0]);
    let (_, errors) = place.import_badly(&[&format!("{}/*.tsv", directory.display())]);
    assert!(errors.contains("no file matches"), "{errors}");
}

#[test]
fn a_broken_file_does_not_keep_others_from_being_read() {
    let place = Place::new();
    let cut = gzip("session_id,started_at\na,1530248399\nb,1530248399\n");
    let cut = place.write("1.csv.gz", &cut[..cut.len() - 4]);
    let nothing = place.write("2.csv", "id,ts\n1,2\n");
    let good = place.write("3.csv", "session_id,started_at\nc,1530248399\n");
    let (report, errors) = place.import_badly(&[&cut, &nothing, &good, "--app", "Shop"]);
    assert_eq!(report["recorded"].as_u64().unwrap(), 3, "{errors}");
    assert!(
        errors.contains("1.csv.gz could not be read after line"),
        "{errors}"
    );
    assert!(
        errors.contains("2.csv: there is no column 'session_id'"),
        "{errors}"
    );
    assert!(
        errors.contains("2 of 3 files could not be read to their end"),
        "{errors}"
    );
}
