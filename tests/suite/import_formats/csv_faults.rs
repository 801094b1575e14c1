//! CSV that is none, and numbers that lost digits: whatever can't be read is refused with its line, and what stands behind
//! it is read.

use serde_json::{Value, json};

use super::{APP, Place, counts, stored};
use crate::support;

const START: i64 = 1_530_248_399;

/// What became of a table: recorded, duplicates, refused, and what was said about what was refused.
fn import(place: &Place, name: &str, table: &str) -> ([u64; 3], String) {
    let file = place.write(name, table);
    let (report, said) = place.import_badly(&[&file, "--app", "Shop"]);
    (counts(&report), said)
}

fn ids(place: &Place) -> Vec<String> {
    let all = stored(&place.path("store")).into_iter();
    let mut ids: Vec<String> = all.map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn a_quote_that_is_not_closed_costs_its_line_only() {
    let place = Place::new();
    let table = format!("session_id,started_at,note\ns-1,{START},\"a\ns-2,{START},b\ns-3,{START},c\n");
    let (counts, said) = import(&place, "open.csv", &table);
    assert_eq!(counts, [2, 0, 1]);
    assert!(said.contains("open.csv:2: a quote is not closed"), "{said}");
    assert_eq!(ids(&place), ["s-2", "s-3"]);
}

#[test]
fn a_quote_that_a_later_one_closes_hides_no_record() {
    let place = Place::new();
    // The second quote closes the first as RFC 4180 has it, so that each of these would be one record.
    for (name, rows) in [
        (
            "twice",
            format!("a-1,{START},\"a\na-2,{START},b\na-3,{START},\"c\na-4,{START},d\n"),
        ),
        (
            "exactly",
            format!("b-1,{START},\"a\nb-2,{START},b\nb-3,{START},\"\nb-4,{START},d\n"),
        ),
        (
            "at the end",
            format!("c-1,{START},\"a\nc-2,{START},b\"\nc-3,{START},c\n"),
        ),
        (
            "in the middle",
            format!("\"d-1,{START},a\nd-2,{START},b\nd-3\",{START},c\nd-4,{START},d\n"),
        ),
    ] {
        let table = format!("session_id,started_at,user_id\n{rows}");
        let (_, said) = import(&place, &format!("{name}.csv"), &table);
        assert!(
            said.contains(":2: a quote is not closed") || said.contains(":2: there is text"),
            "{said}"
        );
    }
    let expected = ["a-2", "a-4", "b-2", "b-4", "c-3", "d-2", "d-4"];
    assert_eq!(ids(&place), expected);
    let with_user = stored(&place.path("store"));
    let longest = with_user
        .iter()
        .filter_map(|row| row["user"].as_str())
        .map(str::len)
        .max();
    assert_eq!(longest, Some(1), "{with_user:?}");
}

#[test]
fn what_is_written_otherwise_than_rfc_4180_says_is_refused_by_line() {
    let place = Place::new();
    let table = format!(
        "session_id,started_at,note\n\
         s-1,{START},\"say \\\"hi\\\", you\"\n\
         s-2,{START},\"x\\\"\n\
         s-3,{START},\"quoted\" and more\n\
         s-4,{START},5\" screen\n\
         s-5,{START},\"fine \"\"quoted\"\" and\nin two lines\"\n\
         s-6,{START},too,many\n\
         s-7,{START},\"too\nmany\",of them\n\
         s-8,{START},last"
    );
    let file = place.write("odd.csv", &table);
    let rejects = place.path("refused.csv");
    let import = [
        "import",
        &file,
        "--app",
        "Shop",
        "--rejects",
        rejects.to_str().unwrap(),
    ];
    let output = support::run(&place.path("store"), &import);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for expected in [
        "odd.csv:2: there is text behind a closing quote; quotes within a quoted cell are doubled",
        "odd.csv:4: there is text behind a closing quote",
        "odd.csv:5: there is a quote in a cell that is not quoted",
        "odd.csv:8: not as many cells as the header has, received 4 instead of 3",
        "odd.csv:9: not as many cells as the header has, received 4 instead of 3",
        "odd.csv:10: there is a quote in a cell that is not quoted",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    // `"x\"` is a cell that ends with a backslash.
    assert_eq!(ids(&place), ["s-2", "s-5", "s-8"]);
    let refused = std::fs::read_to_string(&rejects).unwrap();
    let expected: String = table
        .split_inclusive('\n')
        .enumerate()
        .filter(|(line, _)| ![2, 5, 6, 10].contains(line))
        .map(|(_, line)| line)
        .collect();
    assert_eq!(refused, expected);
}

#[test]
fn a_quote_that_is_not_closed_before_many_lines() {
    let place = Place::new();
    let rows: String = (0..120_000).map(|row| format!("x-{row},{START}\n")).collect();
    let table = format!("session_id,started_at\na,{START}\n\"{rows}");
    let (counts, said) = import(&place, "quote.csv", &table);
    assert_eq!(counts, [120_000, 0, 1]);
    assert!(said.contains("quote.csv:3: a quote is not closed"), "{said}");
}

#[test]
fn numbers_that_lost_digits_are_refused_wherever_they_come() {
    let place = Place::new();
    let table = "session_id,started_at,duration,user_id\n\
         a,1.79546E+12,,u\n\
         b,1.79546E+09,,u\n\
         c,1530248399,1.2E+04,u\n\
         1.23457E+11,1530248399,,u\n\
         e,1530248399,,1.23457E+11\n\
         f,1.530248399E+09,5,u\n\
         g,1530248399.5,5,u\n";
    let (counts, said) = import(&place, "sheet.csv", table);
    assert_eq!(counts, [2, 0, 5], "{said}");
    for expected in [
        "sheet.csv:2: 'started_at' must be ISO 8601",
        "digits are missing, received '1.79546E+12'",
        "sheet.csv:4: 'duration' must be 0 to 604800 seconds, with all digits: digits are missing, received '1.2E+04'",
        "sheet.csv:5: 'session_id' is a number whose digits are missing",
        "sheet.csv:6: 'user_id' is a number whose digits are missing",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let semicolons =
        "session_id;started_at;user_id\na;1,79546E+12;u\nb;1530248399;1,23457E+11\nh;1530248399;u\n";
    let (counted, said) = import(&place, "european.csv", semicolons);
    assert_eq!(counted, [1, 0, 2], "{said}");
    let lines = [
        r#"{"session_id":"a","started_at":1.79546E+12}"#,
        r#"{"session_id":"b","started_at":"1.79546E+12"}"#,
        r#"{"session_id":"c","started_at":1530248399,"ended_at":1.79546e+9}"#,
        r#"{"session_id":"1.23457E+11","started_at":1530248399}"#,
        r#"{"session_id":"i","started_at":1.530248399e9,"duration":1e3}"#,
        r#"{"session_id":"j","started_at":1530248390.0}"#,
    ];
    let file = place.write("sheet.ndjson", lines.join("\n"));
    let (report, said) = place.import_badly(&[&file, "--app", "Shop"]);
    assert_eq!(super::counts(&report), [2, 0, 4], "{said}");
    assert_eq!(said.matches("digits are missing").count(), 4, "{said}");
    assert_eq!(ids(&place), ["f", "g", "h", "i", "j"]);
}

#[test]
fn the_http_endpoint_refuses_them_as_well() {
    let server = support::Server::start();
    let body = format!(
        r#"{{"sessions":[{{"app_id":"{0}","session_id":"a","started_at":1.79546E+12}},
            {{"app_id":"{0}","session_id":"b","started_at":1.530248399E+9}}]}}"#,
        server.app
    );
    let answer = server.try_track("application/json", body).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
    let answer = answer.json();
    assert_eq!(
        (
            &answer["sessions_processed"],
            answer["errors"].as_array().unwrap().len()
        ),
        (&json!(1), 1)
    );
    assert!(
        answer["errors"][0]["type"]
            .as_str()
            .unwrap()
            .contains("digits are missing")
    );
}

#[test]
fn headers_in_any_case_and_other_delimiters() {
    let place = Place::new();
    let semicolon = place.write(
        "semicolon.csv",
        format!("Session_ID;STARTED_AT;Attributes.Plan\na;{START};\"x;y\"\n"),
    );
    let tab = place.write(
        "tab.tsv",
        format!("session_id\tstarted_at\tcountry\nb\t{START}\tBR\n"),
    );
    let said = place.write("said.csv", format!("sep=;\r\nID;When\r\nc;{START}\r\n"));
    let pipe = place.write("pipe.csv", format!("session_id|started_at\nd|{START}\n"));
    let comma = place.write(
        "comma.csv",
        format!("session_id,started_at,\"a;b;c;d\"\ne,{START},\n"),
    );
    let import = |arguments: &[&str]| counts(&place.import(&[arguments, &["--app", "Shop"]].concat()));
    assert_eq!(import(&[&semicolon]), [1, 0, 0]);
    assert_eq!(import(&[&tab]), [1, 0, 0]);
    assert_eq!(
        import(&[&said, "--map", "session_id=id", "--map", "started_at=WHEN"]),
        [1, 0, 0]
    );
    assert_eq!(import(&[&pipe, "--delimiter", "|"]), [1, 0, 0]);
    assert_eq!(import(&[&comma]), [1, 0, 0]);
    assert_eq!(ids(&place), ["a", "b", "c", "d", "e"]);
    let rows = stored(&place.path("store"));
    let plan = rows.iter().find(|row| row["id"] == "a").unwrap();
    assert_eq!(plan["properties"]["attributes"], json!({"Plan": "x;y"}));
    let wrong = support::run(&place.path("store"), &["import", &pipe, "--delimiter", "ab"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn times_as_databases_write_them() {
    let place = Place::new();
    let table = "session_id,started_at,ended_at\n\
         a,2018-06-28 23:59:59 UTC,2018-06-29 00:00:09.5 UTC\n\
         b,2018-06-28 23:59:59.250,2018-06-29T00:00:00\n\
         c,2018-11-04T01:30:00,\n\
         d,2018-03-11 02:30,\n\
         e,2018-06-28T23:59:59+02:00,\n";
    let file = place.write("local.csv", table);
    let (report, said) = place.import_badly(&[&file, "--app", "Shop", "--dry-run"]);
    assert_eq!(report["refused"], json!(3), "{said}");
    let hint = "local.csv:3: 'started_at' has no offset such as -05:00; --time-zone says what zone it is in, received";
    assert!(said.contains(hint), "{said}");
    let ndjson = place.write(
        "local.ndjson",
        r#"{"session_id":"f","started_at":"2018-06-28T23:59:59"}"#,
    );
    let zone = ["--app", "Shop", "--time-zone", "America/New_York"];
    let report = place.import(&[&[file.as_str(), &ndjson], &zone[..]].concat());
    assert_eq!(counts(&report), [6, 0, 0]);
    let starts: Vec<(String, i64)> = stored(&place.path("store"))
        .iter()
        .map(|row| {
            (
                row["id"].as_str().unwrap().to_owned(),
                row["start"].as_i64().unwrap(),
            )
        })
        .collect();
    let start = |id: &str| starts.iter().find(|(found, _)| found == id).unwrap().1;
    assert_eq!(start("a"), 1_530_230_399_000);
    assert_eq!(start("b"), 1_530_244_799_250);
    // Clocks were put back: the first of two. Put forward: the first instant after the gap.
    assert_eq!(start("c"), 1_541_309_400_000);
    assert_eq!(start("d"), 1_520_751_600_000);
    assert_eq!(start("e"), 1_530_223_199_000);
    assert_eq!(start("f"), 1_530_244_799_000);
    let zones = support::run(
        &place.path("store"),
        &["import", &file, "--app", "Shop", "--time-zone", "EST"],
    );
    let said = String::from_utf8(zones.stderr).unwrap();
    assert!(said.contains("warning: EST has one offset all year"), "{said}");
}

const OTHER: &str = "5c3b1a52-6f0e-4f5b-9d0a-3b6f1c7e2a01";

#[test]
fn unknown_apps_are_named_with_counts_and_made_if_asked_for() {
    let place = Place::new();
    let line = |app: &str, id: u32| {
        format!("{{\"app_id\":\"{app}\",\"session_id\":\"{id}\",\"started_at\":{START}}}\n")
    };
    let apps = [APP, OTHER, OTHER, "Shop"];
    let lines: String = apps.iter().zip(0..).map(|(app, id)| line(app, id)).collect();
    let file = place.write("apps.ndjson", lines);
    let (report, said) = place.import_badly(&[&file]);
    assert_eq!(counts(&report), [1, 0, 3], "{said}");
    assert_eq!(report["unknown_apps"], json!({OTHER: 2, "Shop": 1}));
    assert!(
        said.contains("3 lines were refused; with --allow-rejects that is no failure"),
        "{said}"
    );
    let words = support::run(&place.path("store"), &["import", &file]);
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(
        words.contains(&format!("unknown app '{OTHER}' in 2 lines")),
        "{words}"
    );
    assert!(words.contains("--create-apps makes apps"), "{words}");

    let dry: Value = place.import(&[&file, "--create-apps", "--dry-run"]);
    assert_eq!((&dry["valid"], &dry["recorded"]), (&json!(3), &json!(0)));
    assert_eq!(dry["created_apps"], json!([OTHER]));
    let apps = || {
        support::command(&place.path("store"), &["app", "list"])
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(apps(), 1);

    let report = place.import(&[&file, "--create-apps"]);
    assert_eq!(counts(&report), [2, 1, 1]);
    assert_eq!(report["created_apps"], json!([OTHER]));
    assert_eq!(apps(), 2);
    let made = support::command(&place.path("store"), &["app", "list"]);
    assert_eq!(made[1]["name"], "App 5c3b1a52");
    // An id that something else has can't be an app's.
    let workspace = support::command(&place.path("store"), &["workspace", "list"]);
    let taken = place.write("taken.ndjson", line(workspace[0]["id"].as_str().unwrap(), 9));
    let (_, said) = place.import_badly(&[&taken, "--create-apps"]);
    assert!(said.contains("every line was refused"), "{said}");
    let words = support::run(&place.path("store"), &["import", &taken, "--create-apps"]);
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(words.contains("could not be made: the id"), "{words}");
}

#[test]
fn a_dry_run_records_nothing_and_the_exit_code_says_whether_anything_was_refused() {
    let place = Place::new();
    let good = place.write("good.csv", format!("session_id,started_at\na,{START}\n"));
    let bad = place.write("bad.csv", format!("session_id,started_at\nb,{START}\nc,soon\n"));
    let code = |arguments: &[&str]| {
        let import = [&["import", "--app", "Shop"], arguments].concat();
        support::run(&place.path("store"), &import).status.code()
    };
    assert_eq!(code(&[&good, "--dry-run"]), Some(0));
    assert_eq!(code(&[&bad, "--dry-run"]), Some(1));
    assert!(ids(&place).is_empty());
    assert_eq!(code(&[&good]), Some(0));
    assert_eq!(code(&[&bad]), Some(1));
    assert_eq!(code(&[&bad, "--allow-rejects"]), Some(0));
    assert_eq!(ids(&place), ["a", "b"]);
}
