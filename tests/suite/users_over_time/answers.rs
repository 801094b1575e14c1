//! What answers look like, and rules that are seen best in a few sessions.

use serde_json::{Value, json};

use super::{asked, series};
use crate::segments::{Caller, Space, is, key};
use crate::support::{Server, command, run};
use tempfile::TempDir;

/// 2024-03-01T12:00:00Z, a Friday.
const NOON: i64 = 1_709_294_400;
const DAY: i64 = 86_400;
const WINDOW: &str = "length=3&ending_at=2024-03-02";

/// A session at a number of days and seconds after noon of 2024-03-01.
fn session(app: &str, id: &str, at: (i64, i64), person: (&str, &str), country: Option<&str>) -> Value {
    let mut session = json!({ "app_id": app, "session_id": id, "started_at": NOON + at.0 * DAY + at.1 });
    if !person.1.is_empty() {
        session[person.0] = person.1.into();
    }
    if let Some(country) = country {
        session["country"] = country.into();
    }
    session
}

fn numbers(caller: Caller<'_>, path: &str, name: &str) -> Vec<u64> {
    let points = series(caller, path, name);
    points.into_iter().map(|(_, number)| number).collect()
}

#[test]
fn a_user_counts_once_whatever_apps_and_devices_there_are() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let space = Space::create(&data, "some", "UTC", 2);
    let server = Server::start_on(&data, &[]);
    let caller = space.caller(&server);
    let [one, other] = [&space.apps[0], &space.apps[1]];
    let with_both = {
        let mut session = session(one, "5", (0, 5), ("user_id", "u1"), None);
        session["device_id"] = "d1".into();
        session
    };
    caller.record(&[
        session(one, "1", (0, 0), ("user_id", "u1"), Some("BR")),
        session(other, "2", (0, 1), ("user_id", "u1"), Some("MX")),
        // The same text as a device is somebody else, and nobody is nobody.
        session(one, "3", (0, 2), ("device_id", "u1"), Some("BR")),
        session(one, "4", (0, 3), ("user_id", ""), Some("BR")),
        with_both,
        session(other, "6", (-1, 0), ("user_id", "u2"), None),
    ]);
    let dau = |scope: &str| numbers(caller, &format!("/kpi/dau/data_series?{WINDOW}{scope}"), "dau");
    assert_eq!(dau(""), [1, 2, 0]);
    assert_eq!(dau(&format!("&app_id={one}")), [0, 2, 0]);
    assert_eq!(dau(&format!("&app_id={other}&unit=day")), [1, 1, 0]);
    let mau = |end: &str| {
        numbers(
            caller,
            &format!("/kpi/mau/data_series?length=1&ending_at={end}"),
            "mau",
        )
    };
    assert_eq!(mau("2024-03-02"), [3]);
    assert_eq!(mau("2024-03-29"), [3]);
    assert_eq!(mau("2024-03-30"), [2]);
    assert_eq!(mau("2024-03-31"), [0]);
    let new = |scope: &str| {
        numbers(
            caller,
            &format!("/kpi/new_users/data_series?{WINDOW}{scope}"),
            "new_users",
        )
    };
    assert_eq!(new(""), [1, 2, 0]);
    // Late, and earlier than what was the first: that user is new on another day now.
    caller.record(&[session(one, "7", (-1, 7), ("user_id", "u1"), None)]);
    assert_eq!(new(""), [2, 1, 0]);
    assert_eq!(new(&format!("&app_id={other}")), [1, 1, 0]);
    assert_eq!(dau(""), [2, 2, 0]);
    assert_eq!(
        numbers(
            caller,
            &format!("/kpi/uninstalls/data_series?{WINDOW}"),
            "uninstalls"
        ),
        [0, 0, 0]
    );
}

#[test]
fn the_size_of_a_segment_follows_the_latest_session_of_each_user() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let space = Space::create(&data, "some", "UTC", 2);
    let server = Server::start_on(&data, &[]);
    let caller = space.caller(&server);
    let mut apps = space.apps.clone();
    apps.sort();
    let [lesser, greater] = [&apps[0], &apps[1]];
    let brazil = caller.create("Brazil", &is("country", "BR"), true);
    let untracked = caller.create("nobody's", &is("country", "BR"), false);
    let size = || {
        numbers(
            caller,
            &format!("/segments/data_series?segment_id={brazil}&{WINDOW}"),
            "size",
        )
    };
    assert_eq!(size(), [0, 0, 0]);
    caller.record(&[session(lesser, "1", (-20, 0), ("user_id", "u1"), Some("BR"))]);
    assert_eq!(size(), [1, 1, 1]);
    caller.record(&[session(lesser, "2", (0, 0), ("user_id", "u1"), Some("MX"))]);
    assert_eq!(size(), [1, 0, 0]);
    // In the same quarter hour that of the app with the greater id is the latest, whatever the clock says.
    caller.record(&[session(greater, "3", (0, -0), ("user_id", "u1"), Some("BR"))]);
    caller.record(&[session(lesser, "4", (0, 60), ("user_id", "u1"), Some("MX"))]);
    assert_eq!(size(), [1, 1, 1]);
    // In one app at one instant that with the greater id, bytewise.
    caller.record(&[
        session(greater, "9", (0, 900), ("user_id", "u1"), Some("MX")),
        session(greater, "a", (0, 900), ("user_id", "u1"), Some("BR")),
        session(greater, "Z", (0, 900), ("user_id", "u1"), Some("MX")),
    ]);
    assert_eq!(size(), [1, 1, 1]);
    caller.record(&[session(greater, "b", (0, 900), ("user_id", "u1"), Some("MX"))]);
    assert_eq!(size(), [1, 0, 0]);
    // A late one changes the days from its own on.
    caller.record(&[session(greater, "late", (-1, 9), ("user_id", "u1"), None)]);
    assert_eq!(size(), [0, 0, 0]);
    let path = format!("/segments/data_series?segment_id={untracked}&{WINDOW}");
    assert_eq!(asked(caller, &path), json!({ "message": "success", "data": [] }));
}

#[test]
fn rows_have_groups_others_and_a_total() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let space = Space::create(&data, "some", "America/New_York", 1);
    let server = Server::start_on(&data, &[]);
    let caller = space.caller(&server);
    let app = &space.apps[0];
    let mut sessions = vec![
        session(app, "1", (0, 0), ("user_id", "u1"), Some("BR")),
        session(app, "2", (0, 1), ("user_id", "u2"), Some("BR")),
        session(app, "3", (0, 2), ("user_id", "u1"), Some("MX")),
        session(app, "4", (0, 3), ("user_id", ""), None),
        session(app, "5", (1, 3), ("user_id", ""), Some("DE")),
    ];
    sessions[0]["attributes"] = json!({ "plan": "=1+1", "seats": 5 });
    sessions[1]["attributes"] = json!({ "plan": "a, \"b\"", "seats": 5.0 });
    sessions[2]["attributes"] = json!({ "plan": true, "seats": -0.5 });
    caller.record(&sessions);
    let query = |query: &str| {
        asked(
            caller,
            &format!("/sessions/query?from=2024-03-01&to=2024-03-02&{query}"),
        )
    };
    let row = |day: u8, group: Value, sessions: u64| json!({ "time": format!("2024-03-0{day}"), "group": group, "sessions": sessions });
    assert_eq!(
        query("group_by=country"),
        json!({ "message": "success", "time_zone": "America/New_York", "total": 5, "data": [
            row(1, "BR".into(), 2), row(1, Value::Null, 1), row(1, "DE".into(), 0), row(1, "MX".into(), 1),
            row(2, "BR".into(), 0), row(2, Value::Null, 0), row(2, "DE".into(), 1), row(2, "MX".into(), 0),
        ]})
    );
    let mut others = row(1, Value::Null, 3);
    others["others"] = true.into();
    let body = query("unit=total&group_by=country&limit=1");
    assert_eq!(body["data"], json!([row(1, "BR".into(), 2), others]));
    assert_eq!(body["total"], 5);
    let users = |group: Value, users: u64| json!({ "time": "2024-03-01", "group": group, "users": users });
    let body = query("unit=total&group_by=country&metric=users");
    assert_eq!(
        body["data"],
        json!([users("BR".into(), 2), users("MX".into(), 1)])
    );
    // u1 was in both countries.
    assert_eq!(body["total"], 2);
    assert_eq!(
        query("unit=month&group_by=attributes.seats")["data"],
        json!([
            row(1, Value::Null, 2),
            row(1, 5.into(), 2),
            row(1, json!(-0.5), 1)
        ])
    );
    assert_eq!(
        query("unit=week")["data"],
        json!([{ "time": "2024-02-26", "sessions": 5 }])
    );
    let filter = "%7B%22field%22%3A%22country%22%2C%22op%22%3A%22eq%22%2C%22value%22%3A%22BR%22%7D";
    assert_eq!(query(&format!("unit=total&filter={filter}"))["total"], 2);

    let path = "/sessions/query?from=2024-03-01&to=2024-03-01&group_by=attributes.plan";
    let csv = caller.get(&format!("{path}&format=csv"));
    let expected = "time,group,sessions\n2024-03-01,,1\n2024-03-01,true,1\n2024-03-01,'=1+1,1\n2024-03-01,\"a, \"\"b\"\"\",1\n";
    assert_eq!(
        (csv.header("content-type"), csv.text.as_str()),
        ("text/csv; charset=utf-8", expected)
    );
    let request = server
        .client()
        .get(format!("{}{path}", server.url))
        .bearer_auth(&space.key);
    let by_header = crate::support::send(request.header("accept", "text/csv"));
    assert_eq!(by_header.text, expected);
    let total =
        caller.get("/sessions/query?from=2024-03-01&to=2024-03-02&unit=total&metric=users&format=csv");
    assert_eq!(total.text, "time,users\n2024-03-01,2\n");
}

#[test]
fn a_key_finds_out_what_it_belongs_to_and_lists_are_empty() {
    let server = Server::start();
    let limited = key(&server.data, "default", "sessions.track");
    for key in [&server.key, &limited] {
        let caller = Caller { server: &server, key };
        let described = asked(caller, "/workspace");
        let expected = json!({
            "message": "success", "id": server.workspace, "name": "default", "time_zone": "UTC", "first_weekday": "monday",
            "apps": [{ "id": server.app, "name": "default", "platform": "" }],
        });
        assert_eq!(described, expected);
        for (path, member) in [
            ("/campaigns/list", "campaigns"),
            ("/canvas/list?page=0&include_archived=true", "canvases"),
            ("/feed/list?page=x&page=y", "cards"),
            ("/events/list?page=0", "events"),
            ("/purchases/product_list", "products"),
        ] {
            assert_eq!(
                asked(caller, path),
                json!({ "message": "success", member: [] }),
                "{path}"
            );
        }
    }
    let unknown = server.get("/campaigns/data_series?length=1");
    assert_eq!(unknown.status, 404);
    assert!(!unknown.message().is_empty());
    assert_eq!(server.get_as("/campaigns/list", "nonsense").status, 401);
    // An app that was made a moment ago.
    command(
        &server.data,
        &[
            "app",
            "create",
            "new",
            "--workspace",
            "default",
            "--platform",
            "ios",
        ],
    );
    assert_eq!(
        asked(Caller::of(&server), "/workspace")["apps"][1]["platform"],
        "ios"
    );
}

#[test]
fn what_is_recorded_is_in_the_next_answer() {
    let server = Server::start();
    let caller = Caller::of(&server);
    let segment = caller.create("everyone", &json!({ "all": [] }), true);
    for number in 1..=20_u64 {
        let user = format!("u{number}");
        let at = (-i64::try_from(number % 3).unwrap(), 0);
        let recorded = session(&server.app, &user, at, ("user_id", &user), Some("BR"));
        caller.record(&[recorded]);
        let sum = |path: &str, name: &str| numbers(caller, path, name).iter().sum::<u64>();
        let last = |path: &str, name: &str| *numbers(caller, path, name).last().unwrap();
        assert_eq!(
            sum("/kpi/dau/data_series?length=9&ending_at=2024-03-02", "dau"),
            number
        );
        assert_eq!(
            last("/kpi/mau/data_series?length=9&ending_at=2024-03-02", "mau"),
            number
        );
        assert_eq!(
            sum(
                "/kpi/new_users/data_series?length=9&ending_at=2024-03-02",
                "new_users"
            ),
            number
        );
        let path = format!("/segments/data_series?length=9&ending_at=2024-03-02&segment_id={segment}");
        assert_eq!(last(&path, "size"), number);
        let body = asked(
            caller,
            "/sessions/query?from=2024-02-25&to=2024-03-02&group_by=country&unit=total",
        );
        assert_eq!(body["data"][0]["sessions"], number);
    }
}

#[test]
fn the_command_line_prints_the_same_numbers() {
    let server = Server::start();
    let caller = Caller::of(&server);
    caller.record(&[
        session(&server.app, "1", (0, 0), ("user_id", "u1"), Some("BR")),
        session(&server.app, "2", (0, 1), ("user_id", "u1"), Some("MX")),
        session(&server.app, "3", (1, 0), ("user_id", "u2"), Some("BR")),
    ]);
    let range = "from=2024-03-01&to=2024-03-02";
    for (arguments, path) in [
        (
            &["--from", "2024-03-01", "--to", "2024-03-02", "--by", "country"][..],
            format!("/sessions/query?{range}&group_by=country"),
        ),
        (
            &[
                "--from",
                "2024-03-01",
                "--to",
                "2024-03-02",
                "--unit",
                "week",
                "--metric",
                "users",
            ],
            format!("/sessions/query?{range}&unit=week&metric=users"),
        ),
        (
            &["--length", "2", "--ending-at", "2024-03-02", "--metric", "dau"],
            "/kpi/dau/data_series?length=2&ending_at=2024-03-02".to_owned(),
        ),
        (
            &["--length", "2", "--ending-at", "2024-03-02", "--metric", "mau"],
            "/kpi/mau/data_series?length=2&ending_at=2024-03-02".to_owned(),
        ),
        (
            &[
                "--length",
                "2",
                "--ending-at",
                "2024-03-02",
                "--metric",
                "new_users",
            ],
            "/kpi/new_users/data_series?length=2&ending_at=2024-03-02".to_owned(),
        ),
    ] {
        let printed = command(&server.data, &[&["series"], arguments].concat());
        assert_eq!(printed, asked(caller, &path), "{arguments:?}");
    }
    let filter = is("country", "BR").to_string();
    let arguments = [
        "series",
        "--from",
        "2024-03-01",
        "--to",
        "2024-03-02",
        "--filter",
        &filter,
        "--csv",
    ];
    let csv = run(&server.data, &arguments);
    assert_eq!(
        String::from_utf8_lossy(&csv.stdout),
        "time,sessions\n2024-03-01,1\n2024-03-02,1\n"
    );
    let arguments = [
        "series",
        "--length",
        "2",
        "--ending-at",
        "2024-03-02",
        "--csv",
        "--metric",
    ];
    for (metric, printed) in [
        (
            "sessions_per_dau",
            "time,sessions_per_dau\n2024-03-01,2.00\n2024-03-02,1.00\n",
        ),
        (
            "stickiness",
            "time,stickiness\n2024-03-01,1.000\n2024-03-02,0.500\n",
        ),
    ] {
        let csv = run(&server.data, &[&arguments[..], &[metric]].concat());
        assert_eq!(
            String::from_utf8_lossy(&csv.stdout),
            printed,
            "{}",
            String::from_utf8_lossy(&csv.stderr)
        );
    }
}
