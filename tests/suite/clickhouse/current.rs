//! The statements that an old server understands, a current one understands as well: the engine is that of the package
//! `chdb`, behind a little HTTP server.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin};

use super::*;
use crate::support::clickhouse::execute;
use crate::support::packages;
use crate::support::{eventually, send};

/// The engine; it ends when the pipe to it closes.
struct Engine {
    child: Child,
    pipe: Option<ChildStdin>,
    host: String,
}

impl Engine {
    fn start() -> Self {
        let mut child = Command::new(packages::python("tests/suite/clickhouse/current"))
            .arg(packages::source("tests/suite/clickhouse/current/server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        Self {
            pipe: child.stdin.take(),
            child,
            host: format!("127.0.0.1:{}", port.trim()),
        }
    }

    fn address(&self) -> String {
        format!("clickhouse://{}/sessions", self.host)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.pipe.take();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_current_engine_understands_every_statement() {
    let engine = Engine::start();
    let address = engine.address();
    let server = serve(&address, None);
    let sql = "SELECT toUInt8(countIf(position(create_table_query, 'fsync_after_insert = 1') = 0)) FROM system.tables \
               WHERE database = 'sessions' FORMAT TabSeparated";
    let acknowledges_too_early = execute(&engine.host, sql).unwrap();
    assert_eq!(acknowledges_too_early.trim(), "0");
    server.track(&body(&server.app, 0..1_000));
    let users = server
        .client()
        .post(format!("{}/users/track", server.url))
        .bearer_auth(&server.key)
        .json(&json!({"attributes": [{"external_id": "u7", "plan": "pro \\ 'x'"}]}));
    assert_eq!(send(users).status, 201);
    let answer = server.track(&body(&server.app, 900..1_100));
    assert_eq!(
        (&answer.json()["sessions_processed"], &answer.json()["duplicates"]),
        (&json!(100), &json!(100))
    );
    let mut ended = session(&server.app, 5);
    ended["duration"] = json!(60);
    server.track(&json!({ "sessions": [ended] }));
    assert_eq!(server.counts(ALL_DAYS), by_day(1_100));

    let filter = r#"{"any": [{"field":"platform","op":"eq","value":"ios"}, {"field":"attributes.plan","op":"prefix","value":"pro"}]}"#;
    let segment = command(
        &address,
        &[
            "segment", "create", "some", "--filter", filter, "--track", "--wait",
        ],
    );
    let series = format!(
        "/sessions/data_series?{ALL_DAYS}&segment_id={}",
        segment["id"].as_str().unwrap()
    );
    // Each third one, and those of one user in fifty that came after the user's attributes.
    let of_segment = (0..1_100)
        .filter(|number| number % 3 == 0 || (*number >= 1_000 && number % 50 == 7))
        .count();
    let total = |server: &Server| {
        let points = server.get(&series).json()["data"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        points
            .iter()
            .map(|point| point["sessions"].as_u64().unwrap())
            .sum::<u64>()
    };
    eventually("the segment's series", || total(&server) == of_segment as u64);
    eventually("counts that are kept", || {
        let verified = command(&address, &["verify"]);
        assert_eq!(
            (&verified["agrees"], &verified["sessions"]),
            (&json!(true), &json!(1_100)),
            "{verified}"
        );
        verified["counters"].as_u64().unwrap() > 1_000
    });
    let (key, app) = (server.key.clone(), server.app.clone());
    server.stop();
    let mut again = serve(&address, None);
    assert!(again.key.is_empty(), "the store was there");
    (again.key, again.app) = (key, app);

    // Another process writes the same once more; each day is read grouped by session then.
    assert_eq!(again.track(&body(&again.app, 0..1_100)).status, 201);
    assert_eq!(again.counts(ALL_DAYS), by_day(1_100));
    assert_eq!(total(&again), of_segment as u64);
    let preview = json!({"filter": {"field": "attributes.plan", "op": "exists"}});
    let preview = again
        .client()
        .post(format!("{}/segments/preview", again.url))
        .bearer_auth(&again.key)
        .json(&preview);
    assert_eq!(send(preview).status, 200);
    let verified = command(&address, &["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");

    let exported = run(&address, &["export"]);
    let text = String::from_utf8(exported.stdout).unwrap();
    assert_eq!(text.lines().count(), 1_100);
    assert!(
        text.lines()
            .any(|line| line.contains(r#""session_id":"s5""#) && line.contains(r#""duration":60"#))
    );

    let asked = json!({ "external_ids": ["u7", "nobody's"] });
    let forgotten = send(
        again
            .client()
            .post(format!("{}/users/delete", again.url))
            .bearer_auth(&again.key)
            .timeout(std::time::Duration::from_secs(120))
            .json(&asked),
    );
    assert_eq!(forgotten.json()["deleted"], 1, "{}", forgotten.text);
    assert!(!String::from_utf8_lossy(&run(&address, &["export"]).stdout).contains("\"u7\""));
    assert_eq!(again.counts(ALL_DAYS), by_day(1_100));
    let spare = command(&address, &["app", "create", "spare"]);
    let id = spare["id"].as_str().unwrap();
    eventually("the new app", || again.track(&body(id, 0..100)).status == 201);
    command(&address, &["app", "delete", "spare", "--yes"]);
    let verified = command(&address, &["verify"]);
    assert_eq!(
        (&verified["agrees"], &verified["sessions"]),
        (&json!(true), &json!(1_100)),
        "{verified}"
    );
    let metrics = reqwest::blocking::get(format!("{}/metrics", again.ops))
        .unwrap()
        .text()
        .unwrap();
    assert!(metrics.contains("sessionmeter_"), "{metrics}");
}
