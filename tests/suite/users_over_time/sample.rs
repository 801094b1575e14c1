//! The real sessions in `tests/data`: each day of the two years with most of them is what a script says that knows nothing of
//! ours.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::{asked, series};
use crate::sample_data::{data, import, prepare, serve};
use crate::segments::{Caller, is};
use crate::support::packages;

const ZONE: &str = "America/New_York";
const FILE: &str = "contributors.ndjson.gz";

/// What the script says.
fn expected() -> Value {
    let script = packages::source("tests/suite/users_over_time/sample.py");
    let python = packages::program(&["python3"], "python3");
    let mut command = Command::new(python);
    command.arg(script).arg(data(FILE)).arg(ZONE);
    serde_json::from_str(&packages::run("this test needs python3", &mut command)).unwrap()
}

fn numbers(value: &Value) -> Vec<u64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|number| number.as_u64().unwrap()).collect()
}

#[test]
fn every_day_of_two_years_is_what_a_script_says() {
    let directory = TempDir::new().unwrap();
    let store = directory.path().join("store");
    let key = prepare(&store, ZONE);
    import(&store);
    let server = serve(&store, &key);
    let caller = Caller::of(&server);
    let segment = caller.create("at +00:00", &is("attributes.utc_offset", "+00:00"), true);
    let expected = expected();
    let days: Vec<&str> = expected["days"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| day.as_str().unwrap())
        .collect();
    for (path, name) in [
        ("/kpi/dau/data_series?", "dau"),
        ("/kpi/mau/data_series?", "mau"),
        ("/kpi/new_users/data_series?", "new_users"),
        (&format!("/segments/data_series?segment_id={segment}&"), "size"),
    ] {
        let mut found = Vec::new();
        for window in days.chunks(100) {
            let query = format!(
                "{path}length={}&ending_at={}",
                window.len(),
                window[window.len() - 1]
            );
            let points = series(caller, &query, name);
            assert!(
                points
                    .iter()
                    .map(|(time, _)| time.as_str())
                    .eq(window.iter().copied())
            );
            found.extend(points.into_iter().map(|(_, number)| number));
        }
        assert_eq!(found, numbers(&expected[name]), "{name}");
    }

    let (first, last) = (days[0], days[days.len() - 1]);
    let range = format!("from={first}&to={last}");
    let query = format!("/sessions/query?{range}&group_by=attributes.utc_offset&limit=1000");
    let body = asked(caller, &query);
    let mut groups = BTreeMap::<String, Vec<u64>>::new();
    for row in body["data"].as_array().unwrap() {
        let counts = groups
            .entry(row["group"].as_str().unwrap().to_owned())
            .or_default();
        counts.push(row["sessions"].as_u64().unwrap());
    }
    let offsets = expected["offsets"].as_object().unwrap();
    for (offset, counts) in &groups {
        assert_eq!(*counts, numbers(&offsets[offset]), "{offset}");
    }
    // They add up to everyone's.
    let everyone = asked(caller, &format!("/sessions/query?{range}"));
    for (day, row) in everyone["data"].as_array().unwrap().iter().enumerate() {
        let sum: u64 = groups.values().map(|counts| counts[day]).sum();
        assert_eq!(row["sessions"], sum, "{row}");
    }
    assert_eq!(everyone["total"], body["total"]);
    let all: u64 = groups.values().flatten().sum();
    assert_eq!(body["total"], all);
}
