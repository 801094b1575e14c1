//! Programs that read this kind of API, as they are: they connect, and read everything that they ask for.

use std::process::Command;

use serde_json::{Value, json};

use crate::segments::{Caller, is};
use crate::support::{Server, packages};

const FOLDER: &str = "tests/suite/users_over_time/airbyte";

#[test]
fn the_engine_of_airbyte_connects_and_reads_every_stream() {
    let server = Server::start();
    let caller = Caller::of(&server);
    let segment = caller.create("Brazil", &is("country", "BR"), true);
    caller.record(&[
        json!({ "app_id": server.app, "session_id": "1", "user_id": "u1", "country": "BR", "started_at": "2024-03-01T12:00:00Z" }),
        json!({ "app_id": server.app, "session_id": "2", "user_id": "u2", "started_at": "2024-05-01T12:00:00Z" }),
    ]);
    let python = packages::python(FOLDER);
    let mut command = Command::new(python);
    command.arg(packages::source(FOLDER).join("read.py"));
    command.args([&server.url, &server.key, "2024-02-20", "2024-05-05"]);
    let printed = packages::run("this test needs python3", &mut command);
    let records: Value = serde_json::from_str(&printed).unwrap();
    let of = |stream: &str| records[stream].as_array().unwrap().clone();
    for empty in ["campaigns", "canvases", "cards"] {
        assert_eq!(of(empty), [] as [Value; 0], "{empty}");
    }
    assert_eq!(of("segments").len(), 1);
    for (stream, name, sum) in [
        ("sessions", "sessions", 2),
        ("kpi_daily_active_users", "dau", 2),
        ("kpi_daily_new_users", "new_users", 2),
        ("kpi_daily_app_uninstalls", "uninstalls", 0),
        ("kpi_monthly_active_users", "mau", 35),
    ] {
        let points = of(stream);
        assert_eq!(points.len(), 76, "{stream}");
        let found: u64 = points.iter().map(|point| point[name].as_u64().unwrap()).sum();
        assert_eq!(found, sum, "{stream}");
    }
    let sizes = of("segments_analytics");
    assert!(sizes.iter().all(|point| point["segment_id"] == segment.as_str()));
    let last = sizes.iter().find(|point| point["time"] == "2024-05-05").unwrap();
    assert_eq!(last["size"], 1);
}
