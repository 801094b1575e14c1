//! What the pages show is what the API answers.

use serde_json::{Value, json};

use super::*;
use crate::support::random::Random;

/// A workspace with sessions around a change of its clocks.
struct Place {
    name: String,
    key: String,
    apps: Vec<String>,
}

/// Zones, and an instant around which something is odd.
const PLACES: [(&str, &str); 7] = [
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2025-11-02T06:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Australia/Lord_Howe", "2025-10-04T15:30:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Asia/Kathmandu", "2026-11-01T00:00:00Z"),
    ("UTC", "2026-06-01T00:00:00Z"),
];

fn second(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

fn place(server: &Server, zone: &str, around: i64, nth: usize) -> Place {
    let name = format!("place {nth}");
    server.command(&["workspace", "create", &name, "--time-zone", zone]);
    let apps: Vec<String> = ["One", "Two"]
        .map(|app| {
            let made = server.command(&["app", "create", app, "--workspace", &name]);
            made["id"].as_str().unwrap().to_owned()
        })
        .into();
    let made = server.command(&[
        "key",
        "create",
        "all",
        "--workspace",
        &name,
        "--permission",
        "all",
    ]);
    let key = made["key"].as_str().unwrap().to_owned();
    let mut random = Random::new(nth as u64 + 1);
    let sessions: Vec<Value> = (0..600)
        .map(|session| {
            json!({
                "app_id": random.pick(&apps), "session_id": format!("s{session}"),
                "started_at": around + random.range(-4 * 86_400, 4 * 86_400),
                "user_id": format!("u{}", random.below(40)),
                "platform": *random.pick(&["ios", "android", "web"]),
                "country": *random.pick(&["BR", "MX", "US"]),
            })
        })
        .collect();
    let recorded = send(
        server
            .client()
            .post(format!("{}/sessions/track", server.url))
            .bearer_auth(&key)
            .json(&json!({ "sessions": sessions })),
    );
    assert_eq!(recorded.status, 201, "{}", recorded.text);
    Place { name, key, apps }
}

/// Labels and numbers of the page's table, oldest first.
fn table(page: &str) -> Vec<(String, u64)> {
    let (_, table) = page.split_once("units-table").unwrap_or_else(|| panic!("{page}"));
    let rows = table.split("<tr data-unit=").skip(1);
    let read = |row: &str| {
        let label = row
            .split("datetime=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let number = row
            .split("<td class=\"number\">")
            .nth(1)
            .unwrap()
            .split('<')
            .next()
            .unwrap();
        (label.to_owned(), number.replace(',', "").parse().unwrap())
    };
    let mut rows: Vec<_> = rows.map(read).collect();
    rows.reverse();
    rows
}

/// The same of the endpoint's answer.
fn points(answer: &Answer, number: &str) -> Vec<(String, u64)> {
    let body = answer.json();
    let points = body["data"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", answer.text));
    let read = |point: &Value| {
        (
            point["time"].as_str().unwrap().to_owned(),
            point[number].as_u64().unwrap(),
        )
    };
    points.iter().map(read).collect()
}

fn csv(text: &str) -> Vec<(String, u64)> {
    let lines = text.lines().skip(1);
    let read = |line: &str| {
        let (label, number) = line.split_once(',').unwrap();
        (label.to_owned(), number.parse().unwrap())
    };
    lines.map(read).collect()
}

#[test]
fn a_page_shows_what_the_api_answers_whatever_clocks_do() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let mut compared = 0;
    for (nth, (zone, around)) in PLACES.into_iter().enumerate() {
        let around = second(around);
        let place = place(&server, zone, around, nth);
        let mut random = Random::new(99 + nth as u64);
        for _ in 0..12 {
            let unit = *random.pick(&["day", "hour"]);
            let mut query = format!("length={}&unit={unit}", random.range(1, 101));
            let end = around + random.range(-86_400, 5 * 86_400);
            query.push_str(&match random.below(3) {
                0 => format!("&ending_at={end}"),
                1 => {
                    let date =
                        jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::from_second(end).unwrap());
                    format!("&ending_at={}", date.date())
                }
                _ => format!("&ending_at={}", jiff::Timestamp::from_second(end).unwrap()),
            });
            if random.one_in(2) {
                query.push_str(&format!("&app_id={}", random.pick(&place.apps)));
            }
            let answer = server.get_as(&format!("/sessions/data_series?{query}"), &place.key);
            let expected = points(&answer, "sessions");
            let name = place.name.replace(' ', "%20");
            let page = visitor.get(&format!("/?workspace={name}&{query}"));
            assert_eq!(page.status, 200, "{zone} {query}: {}", page.text);
            assert_eq!(table(&page.text), expected, "{zone} {query}");
            let file = visitor.get(&format!("/ui/series.csv?workspace={name}&{query}"));
            assert_eq!(csv(&file.text), expected, "{zone} {query}");
            compared += expected.iter().filter(|(_, count)| *count > 0).count();
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn weeks_months_filters_and_users_are_the_api_s() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let around = second("2026-11-01T06:00:00Z");
    let place = place(&server, "America/New_York", around, 0);
    let filter = "%7B%22field%22%3A%22country%22%2C%22op%22%3A%22eq%22%2C%22value%22%3A%22BR%22%7D";
    for (page, path, number) in [
        (
            "unit=week&length=5",
            "/sessions/query?unit=week&from=2026-10-12&to=2026-11-09",
            "sessions",
        ),
        (
            "unit=month&length=3",
            "/sessions/query?unit=month&from=2026-09-01&to=2026-11-09",
            "sessions",
        ),
        (
            "length=14",
            "/sessions/query?from=2026-10-27&to=2026-11-09",
            "sessions",
        ),
        (
            &format!("length=14&filter={filter}"),
            &format!("/sessions/query?from=2026-10-27&to=2026-11-09&filter={filter}"),
            "sessions",
        ),
        (
            "length=14&metric=dau",
            "/kpi/dau/data_series?length=14&ending_at=2026-11-09",
            "dau",
        ),
        (
            "length=14&metric=mau",
            "/kpi/mau/data_series?length=14&ending_at=2026-11-09",
            "mau",
        ),
        (
            "length=14&metric=new_users",
            "/kpi/new_users/data_series?length=14&ending_at=2026-11-09",
            "new_users",
        ),
    ] {
        let expected = points(&server.get_as(path, &place.key), number);
        let shown = visitor.get(&format!("/?workspace=place%200&ending_at=2026-11-09&{page}"));
        assert_eq!(shown.status, 200, "{page}: {}", shown.text);
        assert_eq!(table(&shown.text), expected, "{page}");
        assert!(expected.iter().any(|(_, count)| *count > 0), "{page}");
        let file = visitor.get(&format!(
            "/ui/series.csv?workspace=place%200&ending_at=2026-11-09&{page}"
        ));
        assert_eq!(csv(&file.text), expected, "{page}");
    }
    // The command under the chart is one that gets the same.
    let page = visitor
        .get(&format!(
            "/?workspace=place%200&ending_at=2026-11-09&filter={filter}"
        ))
        .text;
    let command = page
        .split("<code>curl")
        .nth(1)
        .unwrap()
        .split("</code>")
        .next()
        .unwrap();
    let address = command.split('\'').nth(1).unwrap().replace("&amp;", "&");
    let path = address
        .strip_prefix(&server.url)
        .unwrap_or_else(|| panic!("{address}"));
    assert_eq!(points(&server.get_as(path, &place.key), "sessions"), table(&page));
}

#[test]
fn groups_are_the_api_s_and_each_row_leads_to_its_own_numbers() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let place = place(&server, "UTC", second("2026-06-10T00:00:00Z"), 0);
    let view = "workspace=place%200&ending_at=2026-06-14";
    for field in ["app_id", "platform", "country"] {
        let path = format!("/sessions/query?unit=total&from=2026-05-18&to=2026-06-14&group_by={field}");
        let groups = server.get_as(&path, &place.key).json();
        let page = visitor.get(&format!("/?{view}&group_by={field}")).text;
        let shares = page
            .split("class=\"shares\"")
            .nth(1)
            .unwrap()
            .split("</table>")
            .next()
            .unwrap();
        for group in groups["data"].as_array().unwrap() {
            let number = format!("<td class=\"number\">{}</td>", group["sessions"]);
            assert!(shares.contains(&number), "{field} {group}: {shares}");
        }
        for link in shares
            .split("href=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
        {
            let row = shares.split(link).nth(1).unwrap();
            let number = row
                .split("<td class=\"number\">")
                .nth(1)
                .unwrap()
                .split('<')
                .next()
                .unwrap();
            let alone = visitor.get(&link.replace("&amp;", "&"));
            assert_eq!(alone.status, 200, "{link}");
            let total: u64 = table(&alone.text).iter().map(|(_, count)| count).sum();
            assert_eq!(total.to_string(), number, "{link}");
        }
    }
}

#[test]
fn names_and_values_are_text_wherever_they_are_shown() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let hostile = [
        "</script><b>x",
        "\"><svg onload=alert(1)>",
        "=cmd|' /C calc'!A0",
        "a'b\"c<d>&e",
    ];
    let now = jiff::Timestamp::now().as_second();
    let mut sessions = Vec::new();
    for (nth, name) in hostile.iter().enumerate() {
        server.command(&["workspace", "create", name]);
        let app = server.command(&["app", "create", name, "--workspace", "default"]);
        let filter = json!({"field": "platform", "op": "eq", "value": name}).to_string();
        server.command(&[
            "segment",
            "create",
            name,
            "--workspace",
            "default",
            "--filter",
            &filter,
        ]);
        for session in 0..=nth {
            sessions.push(json!({
                "app_id": app["id"], "session_id": format!("{nth}-{session}"), "started_at": now - 60,
                "platform": name, "attributes": { *name: name },
            }));
        }
    }
    server.record(&sessions);
    let attribute = "attributes.%22%3E%3Csvg%20onload%3Dalert(1)%3E";
    for query in [
        "",
        "split=1",
        "group_by=platform&split=1",
        &format!("group_by={attribute}"),
        "metric=dau&unit=week",
        "workspace=%22%3E%3Csvg%20onload%3Dalert(1)%3E",
    ] {
        for path in ["/", "/ui/chart.svg"] {
            let page = visitor.get(&format!("{path}?{query}"));
            assert_eq!(page.status, 200, "{query}: {}", page.text);
            for raw in ["<b>x", "<svg onload", "<d>"] {
                assert!(!page.text.contains(raw), "{path}?{query}: {raw}");
            }
        }
    }
    let page = visitor.get("/?group_by=platform").text;
    for link in page
        .split("href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
    {
        assert!(link.starts_with('/') || link.starts_with('#'), "{link}");
    }
    let file = visitor.get("/ui/series.csv?group_by=platform&split=1");
    assert!(file.text.contains(",'=cmd|' /C calc'!A0,"), "{}", file.text);
    assert_eq!(
        file.header("content-disposition"),
        "attachment; filename=\"sessions.csv\""
    );
}

#[test]
fn the_live_figure_is_exact_and_says_when_it_is_the_same() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let empty = visitor.get("/ui/live");
    assert!(
        empty.json()["text"].as_str().unwrap().starts_with("0 since "),
        "{}",
        empty.text
    );
    let now = jiff::Timestamp::now().as_second();
    server.record(&[
        server.session("one", now),
        server.session("long ago", now - 3_600),
    ]);
    let live = visitor.get("/ui/live");
    assert!(
        live.json()["text"].as_str().unwrap().starts_with("1 since "),
        "{}",
        live.text
    );
    let tag = live.header("etag").to_owned();
    let again = visitor.get_with("/ui/live", &[("if-none-match", &tag)]);
    // A quarter of an hour may have ended.
    assert!(again.status == 304 || again.header("etag") != tag, "{again:?}");
}

#[test]
fn a_period_without_sessions_leads_to_one_that_has() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    assert!(visitor.get("/").text.contains("Waiting for the first session of"));
    server.record(&[server.session("one", 1_750_000_000)]);
    let page = visitor.get("/?length=7").text;
    assert!(page.contains("No sessions in this period."), "{page}");
    assert!(
        page.contains("href=\"/?length=7&amp;ending_at=2025-06-15\""),
        "{page}"
    );
    assert_eq!(
        table(&visitor.get("/?length=7&ending_at=2025-06-15").text)[6],
        ("2025-06-15".to_owned(), 1)
    );
}
