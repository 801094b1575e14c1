//! Every series is right: random sessions in random zones, asked for in random ways through the real router, against
//! a second implementation that is too simple to be wrong in the same way.
//!
//! `SESSIONMETER_ORACLE_CASES` sets how many series are compared, `SESSIONMETER_ORACLE_SEED` repeats a failure.

mod endings;
mod naive;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use serde_json::{Value, json};
use sessionmeter::api::{Answers as _, ApiState, Observed, Settings, router};
use sessionmeter::catalog::Change;
use sessionmeter::metrics::Metrics;
use sessionmeter::model::{App, AppId, KeyId, KeySecret, NewKey, NewWorkspace, Permissions, WorkspaceId};
use sessionmeter::record::Recorder;
use sessionmeter::series::Zone;
use sessionmeter::store::Store;
use tempfile::TempDir;

use crate::support::random::{Random, from_environment};
use naive::{Counted, DAY, HOUR, QUARTER, Unit};

const APPS: usize = 3;
/// Series that are asked for each time that sessions were delivered.
const QUERIES: usize = 8;
/// 2000-01-01T00:00:00Z: what is older is refused.
const EARLIEST: i64 = 946_684_800;
/// 2035-01-01T00:00:00Z
const LATEST: i64 = 2_051_222_400;

struct Workspace {
    zone: TimeZone,
    key: String,
    apps: [AppId; APPS],
    /// Instants (Unix seconds) around which sessions and windows gather.
    centres: Vec<i64>,
    sessions: Vec<Counted>,
    /// App, session id and UTC day of each.
    known: HashSet<(usize, String, i64)>,
}

struct World {
    random: Random,
    store: Arc<dyn Store>,
    router: Observed,
    names: Vec<String>,
    /// Names of zones with a change off the quarter hour, or not by whole hours: few, and visited often.
    odd: Vec<String>,
    workspaces: HashMap<String, Workspace>,
    recorder: Recorder,
    _directory: TempDir,
}

#[tokio::test]
async fn every_series_is_what_a_naive_count_says() {
    let cases = from_environment("SESSIONMETER_ORACLE_CASES", 2_000);
    let mut world = World::new().await;
    for _ in 0..cases.div_ceil(QUERIES) {
        world.visit().await;
    }
    world.end().await;
}

/// Few zones ever changed off the quarter hour or by a part of an hour; there, no quarter hour is left to chance.
#[tokio::test]
async fn series_that_end_near_an_odd_change_are_what_a_naive_count_says() {
    const MOST: usize = 25;
    let mut world = World::new().await;
    for name in world.odd.clone() {
        let mut workspace = world.create(&name).await;
        let changes = odd_changes(&workspace.zone);
        for change in changes.into_iter().take(MOST) {
            workspace.centres = vec![change];
            world.deliver(&mut workspace, 20).await;
            let quarter = change.div_euclid(QUARTER) * QUARTER;
            for at in (-8..12).map(|quarters| quarter + quarters * QUARTER) {
                for (unit, query) in [(Unit::Day, ""), (Unit::Hour, "&unit=hour")] {
                    let query = format!("/sessions/data_series?length=4&ending_at={at}{query}");
                    let ending = naive::Ending::Second(at);
                    let expected = naive::series(&workspace.zone, unit, 4, ending, workspace.sessions.iter());
                    let actual = world.series(&workspace, &query).await;
                    assert!(
                        actual == expected,
                        "{}",
                        difference(&name, &query, &actual, &expected)
                    );
                }
            }
        }
    }
    world.end().await;
}

impl World {
    async fn new() -> Self {
        let seed = Random::seed("SESSIONMETER_ORACLE_SEED");
        println!("SESSIONMETER_ORACLE_SEED={seed}");
        let directory = TempDir::new().unwrap();
        let store = crate::support::open(directory.path()).await;
        let metrics = Arc::new(Metrics::new());
        let recorder = Recorder::start(store.clone(), metrics.clone());
        let state = ApiState::new(store.clone(), recorder.clone(), metrics, Settings::default());
        let names: Vec<String> = Zone::all_names().collect();
        let zone = |name: &str| TimeZoneDatabase::bundled().get(name).unwrap();
        let odd = names.iter().filter(|name| !odd_changes(&zone(name)).is_empty());
        Self {
            random: Random::new(seed),
            router: router(state, None),
            recorder,
            store,
            odd: odd.cloned().collect(),
            names,
            workspaces: HashMap::new(),
            _directory: directory,
        }
    }

    async fn end(self) {
        assert!(self.store.verify(Arc::new(|_| {})).await.unwrap().agrees());
        self.recorder.close().await;
        self.store.close().await;
    }

    /// Delivers sessions to the workspace of a random zone, then compares some of its series.
    async fn visit(&mut self) {
        let names = if self.random.one_in(3) {
            &self.odd
        } else {
            &self.names
        };
        let name = self.random.pick(names).clone();
        let (mut workspace, deliveries) = match self.workspaces.remove(&name) {
            Some(workspace) => (workspace, 20),
            None => (self.create(&name).await, 120),
        };
        self.deliver(&mut workspace, deliveries).await;
        for _ in 0..QUERIES {
            self.compare(&name, &workspace).await;
        }
        self.workspaces.insert(name, workspace);
    }

    async fn create(&mut self, zone_name: &str) -> Workspace {
        let zone = TimeZoneDatabase::bundled().get(zone_name).unwrap();
        let id = WorkspaceId::random();
        let new = NewWorkspace {
            id,
            name: zone_name.parse().unwrap(),
            time_zone: zone_name.to_owned(),
        };
        self.store.change(Change::CreateWorkspace(new)).await.unwrap();
        let apps = [(); APPS].map(|()| AppId::random());
        for (number, app) in apps.into_iter().enumerate() {
            let new = App {
                id: app,
                name: format!("app {number}").parse().unwrap(),
                platform: String::new(),
            };
            self.store.change(Change::CreateApp(id, new)).await.unwrap();
        }
        let secret = KeySecret::generate().unwrap();
        let new = NewKey {
            id: KeyId::random(),
            name: "key".parse().unwrap(),
            hash: secret.hash(),
            permissions: Permissions::All,
            allow: Vec::new(),
        };
        self.store.change(Change::CreateKey(id, new)).await.unwrap();
        Workspace {
            centres: self.centres(&zone),
            zone,
            key: secret.reveal().to_owned(),
            apps,
            sessions: Vec::new(),
            known: HashSet::new(),
        }
    }

    /// Some changes of the offset, and some other instants.
    fn centres(&mut self, zone: &TimeZone) -> Vec<i64> {
        let changes = changes(zone);
        let odd = odd_changes(zone);
        let mut centres = vec![
            self.random.range(EARLIEST, LATEST),
            Timestamp::now().as_second() + self.random.range(-2 * DAY, 2 * DAY),
        ];
        for _ in 0..5 {
            if !changes.is_empty() {
                centres.push(*self.random.pick(&changes));
            }
        }
        if !odd.is_empty() {
            centres.push(*self.random.pick(&odd));
        }
        centres
    }

    /// An instant (Unix milliseconds) near one of the workspace's centres, often on a boundary of some kind.
    fn instant(&mut self, workspace: &Workspace) -> i64 {
        let random = &mut self.random;
        let reach = *random.pick(&[QUARTER, 2 * HOUR, 2 * HOUR, 26 * HOUR, 10 * DAY, 100 * DAY]);
        let second = *random.pick(&workspace.centres) + random.range(-reach, reach);
        match random.below(8) {
            0 => second.div_euclid(QUARTER) * QUARTER * 1000,
            1 => second.div_euclid(QUARTER) * QUARTER * 1000 - 1,
            2 => {
                let shown = workspace
                    .zone
                    .to_datetime(Timestamp::from_second(second).unwrap());
                let midnight = shown.date().to_zoned_datetime(workspace.zone.clone()).unwrap();
                midnight.timestamp().as_millisecond()
            }
            _ => second * 1000 + random.range(0, 1000),
        }
    }

    /// Delivers sessions in one or two requests, some of them more than once.
    async fn deliver(&mut self, workspace: &mut Workspace, count: usize) {
        let latest = Timestamp::now().as_millisecond() + DAY * 1000 - 60_000;
        let mut items: Vec<Value> = Vec::new();
        let mut expected_new = 0;
        while items.len() < count {
            let started_at = self.instant(workspace);
            if started_at < EARLIEST * 1000 || started_at > latest {
                // Nothing of the far future can be recorded; its windows are still asked for.
                workspace.centres.push(self.random.range(EARLIEST, latest / 1000));
                continue;
            }
            let app = self.random.below(APPS);
            let session_id = format!("session {}", self.random.below(1_000));
            let mut times = vec![started_at];
            if self.random.one_in(5) {
                // The first delivery of the same UTC day counts, whatever the second says.
                let day = started_at.div_euclid(DAY * 1000) * DAY * 1000;
                let other = day + self.random.range(0, DAY * 1000);
                times.push(if other > latest { started_at } else { other });
            }
            for started_at in times {
                let identity = (app, session_id.clone(), started_at.div_euclid(DAY * 1000));
                if workspace.known.insert(identity) {
                    workspace
                        .sessions
                        .push(Counted::new(&workspace.zone, app, started_at));
                    expected_new += 1;
                }
                items.push(json!({
                    "app_id": workspace.apps[app],
                    "session_id": session_id,
                    "started_at": self.started_at(started_at),
                }));
            }
        }
        let (first, second) = items.split_at(self.random.below(items.len() - 1) + 1);
        let mut recorded = self.record(&workspace.key, first).await;
        if !second.is_empty() {
            recorded += self.record(&workspace.key, second).await;
        }
        assert_eq!(recorded, expected_new);
    }

    /// One of the forms in which a session may say when it started.
    fn started_at(&mut self, millis: i64) -> Value {
        match self.random.below(4) {
            0 => json!(millis),
            1 if millis % 1000 == 0 => json!(millis / 1000),
            2 => json!(millis as f64 / 1000.0),
            _ => {
                let offset = Offset::from_seconds(self.random.range(-12, 15) as i32 * 3600).unwrap();
                let instant = Timestamp::from_millisecond(millis).unwrap();
                json!(instant.display_with_offset(offset).to_string())
            }
        }
    }

    async fn record(&mut self, key: &str, items: &[Value]) -> u64 {
        let (content_type, body) = if self.random.one_in(2) {
            ("application/json", json!({ "sessions": items }).to_string())
        } else {
            let lines: Vec<String> = items.iter().map(Value::to_string).collect();
            ("application/x-ndjson", lines.join("\n"))
        };
        let request = Request::post("/sessions/track").header(header::CONTENT_TYPE, content_type);
        let (status, answer) = self.ask(request, key, body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        assert_eq!(answer["errors"], Value::Null);
        let new = answer["sessions_processed"].as_u64().unwrap();
        assert_eq!(new + answer["duplicates"].as_u64().unwrap(), items.len() as u64);
        new
    }

    async fn ask(
        &self,
        request: axum::http::request::Builder,
        key: &str,
        body: String,
    ) -> (StatusCode, Value) {
        let request = request
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .body(Body::from(body))
            .unwrap();
        let answer = self.router.answer(request).await;
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn series(&self, workspace: &Workspace, query: &str) -> Vec<(String, u64)> {
        let (status, answer) = self.ask(Request::get(query), &workspace.key, String::new()).await;
        assert_eq!(status, StatusCode::OK, "{query}: {answer}");
        points(&answer)
    }

    async fn compare(&mut self, name: &str, workspace: &Workspace) {
        let unit = if self.random.one_in(2) {
            Unit::Day
        } else {
            Unit::Hour
        };
        let length = match self.random.below(4) {
            0 => self.random.below(3) + 1,
            1 => 100,
            _ => self.random.below(100) + 1,
        };
        let at = self.end_of_window(workspace, unit, length);
        let (text, ending) = endings::write(&mut self.random, &workspace.zone, at);
        let app = self.random.one_in(3).then(|| self.random.below(APPS));
        let mut query = format!("/sessions/data_series?length={length}");
        if unit == Unit::Hour || self.random.one_in(2) {
            query += if unit == Unit::Day {
                "&unit=day"
            } else {
                "&unit=hour"
            };
        }
        if let Some(text) = &text {
            query += &format!("&ending_at={text}");
        }
        if let Some(app) = app {
            query += &format!("&app_id={}", workspace.apps[app]);
        }
        let counted = || {
            let sessions = workspace.sessions.iter();
            sessions.filter(|session| app.is_none_or(|app| session.app == app))
        };
        let mut expected = naive::series(&workspace.zone, unit, length, ending, counted());
        let actual = self.series(workspace, &query).await;
        if text.is_none() && actual != expected {
            // An hour may have ended between the two.
            let now = naive::Ending::Second(Timestamp::now().as_second());
            expected = naive::series(&workspace.zone, unit, length, now, counted());
        }
        assert!(
            actual == expected,
            "{}",
            difference(name, &query, &actual, &expected)
        );
    }

    /// Unix seconds. Mostly so that sessions lie in the window's last units.
    fn end_of_window(&mut self, workspace: &Workspace, unit: Unit, length: usize) -> i64 {
        let near = self.instant(workspace) / 1000;
        let step = if unit == Unit::Day { DAY } else { HOUR };
        match self.random.below(12) {
            // Every offset was a multiple of a quarter hour by then.
            0 => self.random.range(120_000_000, 250_000_000_000),
            // In the hours that a change puts out of order.
            1 | 2 => *self.random.pick(&workspace.centres) + self.random.range(-HOUR, 2 * HOUR),
            3 => near + self.random.range(0, length as i64 * step),
            4..=6 => {
                let started_at = self.random.pick(&workspace.sessions).started_at;
                started_at.div_euclid(1000) + self.random.range(-1, 2)
            }
            _ => near,
        }
    }
}

/// When the offset changes, from 2000 to 2035. Unix seconds.
fn changes(zone: &TimeZone) -> Vec<i64> {
    zone.following(Timestamp::from_second(EARLIEST - DAY).unwrap())
        .map(|change| change.timestamp().as_second())
        .take_while(|second| *second < LATEST)
        .collect()
}

/// Those of them that are off the quarter hour or not by whole hours.
fn odd_changes(zone: &TimeZone) -> Vec<i64> {
    let offset = |second: i64| i64::from(zone.to_offset(Timestamp::from_second(second).unwrap()).seconds());
    let mut changes = changes(zone);
    changes.retain(|change| change % QUARTER != 0 || (offset(*change) - offset(change - 1)) % HOUR != 0);
    changes
}

fn points(answer: &Value) -> Vec<(String, u64)> {
    let point = |point: &Value| {
        let time = point["time"].as_str().unwrap().to_owned();
        (time, point["sessions"].as_u64().unwrap())
    };
    answer["data"].as_array().unwrap().iter().map(point).collect()
}

/// Both series side by side, with a mark where they differ.
fn difference(name: &str, query: &str, actual: &[(String, u64)], expected: &[(String, u64)]) -> String {
    let mut text = format!("{name} {query}\n{:<36} naive\n", "answer");
    for place in 0..actual.len().max(expected.len()) {
        let shown = |series: &[(String, u64)]| {
            let point = series.get(place);
            point.map_or_else(String::new, |(time, sessions)| format!("{time} {sessions}"))
        };
        let mark = if actual.get(place) == expected.get(place) {
            ""
        } else {
            "  <--"
        };
        text += &format!("{:<36} {}{mark}\n", shown(actual), shown(expected));
    }
    text
}
