//! Weeks begin on the day that the workspace says: in the API, on the command line and on the pages.

use serde_json::{Value, json};

use super::*;
use crate::support::eventually;

/// Tuesday 2026-11-03 to Sunday 2026-11-08.
const ASKED: &str = "unit=week&from=2026-11-03&to=2026-11-08";

fn weeks(server: &Server) -> Value {
    let answer = server.get(&format!("/sessions/query?{ASKED}"));
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["data"].clone()
}

/// The heads of the rows of the hours of the week.
fn heads(page: &str) -> Vec<&str> {
    let (_, table) = page.split_once("<table class=\"heat\">").unwrap();
    let table = table.split("</table>").next().unwrap();
    let heads = table.split("<th scope=\"row\">").skip(1);
    heads.map(|head| head.split('<').next().unwrap()).collect()
}

#[test]
fn weeks_begin_where_the_workspace_says() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let at = |name: &str, started_at: &str| server.session(name, started_at);
    server.record(&[
        at("saturday", "2026-11-07T12:00:00Z"),
        at("sunday", "2026-11-08T12:00:00Z"),
        at("sunday too", "2026-11-08T13:00:00Z"),
    ]);
    let page = |visitor: &mut Visitor, more: &str| {
        let page = visitor.get(&format!("/?ending_at=2026-11-08&{more}"));
        assert_eq!(page.status, 200, "{}", page.text);
        page.text
    };
    assert_eq!(weeks(&server), json!([{"time": "2026-11-02", "sessions": 3}]));
    let monday = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    assert_eq!(heads(&page(&mut visitor, "length=14")), monday);

    server.command(&["workspace", "set-first-weekday", "default", "sunday"]);
    let by_sunday = json!([{"time": "2026-11-01", "sessions": 1}, {"time": "2026-11-08", "sessions": 2}]);
    eventually("weeks from Sunday", || weeks(&server) == by_sunday);
    let workspace = server.get("/workspace").json();
    assert_eq!(workspace["first_weekday"], "sunday");
    let series = server.command(&[
        "series",
        "--unit",
        "week",
        "--from",
        "2026-11-03",
        "--to",
        "2026-11-08",
    ]);
    assert_eq!(series["data"], by_sunday);

    let shown = page(&mut visitor, "length=14");
    assert_eq!(heads(&shown), ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]);
    let (_, sunday) = shown.split_once("<th scope=\"row\">Sun</th>").unwrap();
    let sunday = sunday.split("</tr>").next().unwrap();
    assert!(sunday.contains("Sun 13:00: 0.5"), "{sunday}");
    let file = visitor
        .get("/ui/series.csv?ending_at=2026-11-08&unit=week&length=2")
        .text;
    for line in ["2026-11-01,1", "2026-11-08,2"] {
        assert!(file.contains(line), "{file}");
    }
}
