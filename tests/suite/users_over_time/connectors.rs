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

/// The dates that Grafana puts into a panel's parameters.
fn filled(value: &str) -> String {
    value
        .replace("${__from:date:YYYY-MM-DD}", "2024-02-28")
        .replace("${__to:date:YYYY-MM-DD}", "2024-03-02")
}

#[test]
fn every_panel_of_the_grafana_dashboard_finds_its_columns() {
    let server = Server::start();
    let caller = Caller::of(&server);
    caller.record(&[
        json!({ "app_id": server.app, "session_id": "1", "user_id": "u1", "country": "BR", "platform": "ios", "started_at": "2024-03-01T12:00:00Z" }),
        json!({ "app_id": server.app, "session_id": "2", "user_id": "u2", "started_at": "2024-03-02T12:00:00Z" }),
    ]);
    let file = std::fs::read_to_string("docs/grafana.json").unwrap();
    let dashboard: Value = serde_json::from_str(&file).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert_eq!(panels.len(), 4);
    for panel in panels {
        let target = &panel["targets"][0];
        let parameters = target["url_options"]["params"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let query: Vec<(String, String)> = parameters
            .iter()
            .map(|parameter| (text(&parameter["key"]), filled(&text(&parameter["value"]))))
            .collect();
        let query: Vec<String> = query
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let path = format!("{}?{}", text(&target["url"]), query.join("&"));
        let answer = caller.get(&path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let answer = answer.json();
        let rows = answer[text(&target["root_selector"])].as_array().unwrap();
        let mut sum = 0;
        for row in rows {
            for column in target["columns"].as_array().unwrap() {
                let value = row.get(text(&column["selector"])).unwrap();
                match column["type"].as_str().unwrap() {
                    "timestamp" => _ = value.as_str().unwrap().parse::<jiff::civil::Date>().unwrap(),
                    "number" => sum += value.as_u64().unwrap(),
                    "string" => assert!(value.is_string() || value.is_null(), "{row}"),
                    other => panic!("{other}"),
                }
            }
        }
        assert_eq!(sum, 2, "{path}");
    }
}
