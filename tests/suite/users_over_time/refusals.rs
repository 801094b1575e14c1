//! What is refused, and with which words.

use serde_json::json;
use tempfile::TempDir;

use crate::segments::{Caller, Space, is, key};
use crate::support::Server;

const UNKNOWN: &str = "00dc3cf6-1763-5d5b-8264-db458aa346c3";
const KPI: [&str; 4] = ["dau", "mau", "new_users", "uninstalls"];

fn refused(caller: Caller<'_>, path: &str, words: &[&str]) {
    let answer = caller.get(path);
    assert_eq!(answer.status, 400, "{path}: {}", answer.text);
    assert!(answer.header("content-type").starts_with("application/json"));
    let message = answer.message();
    for word in words {
        assert!(message.contains(word), "{path}: {message}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let server = Server::start();
    let caller = Caller::of(&server);
    let tracked = caller.create("tracked", &is("country", "BR"), true);
    let untracked = caller.create("untracked", &is("country", "BR"), false);
    for kpi in KPI {
        let path = |query: &str| format!("/kpi/{kpi}/data_series?{query}");
        refused(caller, &path(""), &["'length' is required"]);
        refused(caller, &path("length=0"), &["'length'", "1 to 100", "'0'"]);
        refused(caller, &path("length=014"), &["'length'", "'014'"]);
        refused(caller, &path("length=1&length=1"), &["'length' is given twice"]);
        refused(
            caller,
            &path("length=1&unit=hour"),
            &["'unit'", "'day'", "'hour'"],
        );
        refused(
            caller,
            &path("length=1&ending_at=yesterday"),
            &["'ending_at'", "'yesterday'"],
        );
        refused(caller, &path("length=1&app_id="), &["'app_id'"]);
        refused(
            caller,
            &path(&format!("length=1&app_id={UNKNOWN}")),
            &["'app_id'", UNKNOWN],
        );
        let of_segment = path(&format!("length=1&segment_id={tracked}"));
        refused(
            caller,
            &of_segment,
            &["'segment_id'", "/sessions/query?metric=users"],
        );
        assert_eq!(caller.get(&path("length=1&unit=day&page=7")).status, 200);
    }
    let sizes = |query: &str| format!("/segments/data_series?{query}");
    refused(caller, &sizes("length=1"), &["'segment_id' is required"]);
    refused(
        caller,
        &sizes(&format!("length=1&segment_id={UNKNOWN}")),
        &["'segment_id'", UNKNOWN],
    );
    refused(
        caller,
        &sizes(&format!("segment_id={tracked}")),
        &["'length' is required"],
    );
    refused(
        caller,
        &sizes(&format!("segment_id={untracked}&length=101")),
        &["'length'", "'101'"],
    );
    refused(
        caller,
        &sizes(&format!("segment_id={tracked}&length=1&unit=hour")),
        &["'unit'", "'day'"],
    );

    let query = |query: &str| format!("/sessions/query?{query}");
    for (wrong, words) in [
        ("metric=mau", &["'metric'", "'sessions' or 'users'", "'mau'"][..]),
        ("metric=", &["'metric'"]),
        ("unit=year", &["'unit'", "'week'", "'total'", "'year'"]),
        ("from=tomorrow", &["'from'", "'tomorrow'"]),
        ("to=2018-02-30", &["'to'", "'2018-02-30'"]),
        (
            "from=2018-02-02&to=2018-02-01",
            &["'from' must not be after 'to'"],
        ),
        ("from=9999-01-01", &["'from' must not be after 'to'"]),
        ("from=2008-01-01&to=2018-02-01", &["10 years"]),
        ("group_by=colour", &["'group_by'", "attributes.NAME", "'colour'"]),
        ("group_by=attributes.", &["'group_by'"]),
        ("group_by=country&limit=0", &["'limit'", "1 to 1000", "'0'"]),
        ("limit=1001", &["'limit'", "'1001'"]),
        ("limit=+7", &["'limit'"]),
        ("filter=%7B", &["'filter' is not valid"]),
        (
            "filter=%7B%22field%22%3A%22colour%22%7D",
            &["'filter' is not valid", "colour"],
        ),
        ("app_id=", &["'app_id'"]),
        (
            &format!("app_id={}&app_id={UNKNOWN}", server.app),
            &["'app_id'", UNKNOWN],
        ),
        (&format!("segment_id={UNKNOWN}"), &["'segment_id'", UNKNOWN]),
        (
            &format!("segment_id={untracked}"),
            &["'segment_id'", "no analytics tracking", "segment track"],
        ),
        ("format=xml", &["'format'", "'json' or 'csv'", "'xml'"]),
        ("unit=day&unit=day", &["'unit' is given twice"]),
    ] {
        refused(caller, &query(wrong), words);
    }
    // A thousand groups of ten years of days.
    let many = (0..40_i64).map(|number| {
        let mut session = server.session(&format!("s{number}"), 1_709_294_400 + number);
        session["attributes"] = json!({ "number": number });
        session["user_id"] = format!("u{number}").into();
        session
    });
    server.record(&many.collect::<Vec<_>>());
    let rows = "group_by=attributes.number&from=2016-01-01&to=2025-12-31";
    refused(
        caller,
        &query(&format!("{rows}&limit=1000")),
        &["40 groups", "100000 rows", "shorter range"],
    );
    assert_eq!(caller.get(&query(&format!("{rows}&limit=10"))).status, 200);
    refused(
        caller,
        &query(&format!("{rows}&metric=users&limit=1000&unit=hour")),
        &[],
    );
}

#[test]
fn each_permission_opens_its_path_alone() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let space = Space::create(&data, "limited", "UTC", 1);
    let permissions = [
        "kpi.dau.data_series",
        "kpi.mau.data_series",
        "kpi.new_users.data_series",
        "kpi.uninstalls.data_series",
        "segments.data_series",
        "sessions.data_series",
    ];
    let keys = permissions.map(|permission| key(&data, &space.name, permission));
    let server = Server::start_on(&data, &[]);
    let segment = space.caller(&server).create("one", &is("country", "BR"), true);
    let paths = [
        "/kpi/dau/data_series?length=1".to_owned(),
        "/kpi/mau/data_series?length=1".to_owned(),
        "/kpi/new_users/data_series?length=1".to_owned(),
        "/kpi/uninstalls/data_series?length=1".to_owned(),
        format!("/segments/data_series?length=1&segment_id={segment}"),
        "/sessions/query".to_owned(),
    ];
    for (own, key) in permissions.iter().zip(&keys) {
        let caller = Caller { server: &server, key };
        for (path, permission) in paths.iter().zip(permissions) {
            let answer = caller.get(path);
            if permission == *own {
                assert_eq!(answer.status, 200, "{own}: {}", answer.text);
            } else {
                assert_eq!(answer.status, 403, "{own} for {permission}: {}", answer.text);
                assert!(answer.message().contains(permission), "{}", answer.text);
            }
            assert!(!answer.header("x-ratelimit-remaining").is_empty());
        }
    }
    // Without a limit nothing is said of one; of another workspace nothing is seen.
    let other = Space::create(&data, "other", "UTC", 1);
    let foreign = other.caller(&server);
    refused(
        foreign,
        &format!("/segments/data_series?length=1&segment_id={segment}"),
        &["'segment_id'"],
    );
    refused(
        foreign,
        &format!("/kpi/dau/data_series?length=1&app_id={}", space.apps[0]),
        &["'app_id'"],
    );
}
