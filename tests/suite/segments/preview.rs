//! What a filter holds for can be seen before anything is made of it.

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::segments::{Caller, is, not, refused};
use crate::support::Server;

/// Sessions of the last 40 days, each of them by one of seven users, every third in Brazil.
fn record(caller: Caller<'_>, app: &str) -> Vec<Value> {
    let now = Timestamp::now();
    let sessions: Vec<Value> = (0..400_i64)
        .map(|number| {
            let start = now - (number * 144).minutes();
            let mut session = json!({
                "app_id": app,
                "session_id": format!("s{number}"),
                "started_at": start.as_second(),
                "country": if number % 3 == 0 { "BR" } else { "MX" },
            });
            match number % 8 {
                7 => {}
                user if user % 2 == 0 => session["user_id"] = format!("u{user}").into(),
                device => session["device_id"] = format!("d{device}").into(),
            }
            session
        })
        .collect();
    assert_eq!(caller.record(&sessions), sessions.len() as u64);
    sessions
}

#[test]
fn a_preview_counts_sessions_and_users_of_the_last_28_days() {
    let server = Server::start();
    let caller = Caller::of(&server);
    let sessions = record(caller, &server.app);
    let country = is("country", "BR");
    let none = json!({ "any": [] });
    for filter in [country.clone(), not(&country), json!({ "all": [] }), none] {
        let answer = caller.post("/segments/preview", &json!({ "filter": filter }));
        assert_eq!(answer.status, 200, "{}", answer.text);
        let preview = answer.json();
        let days = preview["data"].as_array().unwrap();
        assert_eq!((preview["message"].as_str(), days.len()), (Some("success"), 28));
        // Naively, in UTC.
        let belongs = |session: &&Value| {
            let is_from_there = session["country"] == "BR";
            if filter == country {
                is_from_there
            } else if filter == not(&country) {
                !is_from_there
            } else {
                filter.get("all").is_some()
            }
        };
        let (mut all, mut users) = (0, std::collections::BTreeSet::new());
        for day in days {
            let of_day: Vec<&Value> = sessions
                .iter()
                .filter(belongs)
                .filter(|session| {
                    let start = Timestamp::from_second(session["started_at"].as_i64().unwrap()).unwrap();
                    start.strftime("%Y-%m-%d").to_string() == day["time"].as_str().unwrap()
                })
                .collect();
            let persons = of_day.iter().filter_map(|session| match &session["user_id"] {
                Value::Null => session["device_id"].as_str(),
                user => user.as_str(),
            });
            let persons: std::collections::BTreeSet<&str> = persons.collect();
            assert_eq!(day["sessions"], of_day.len(), "{filter} {day}");
            assert_eq!(day["users"], persons.len(), "{filter} {day}");
            all += of_day.len();
            users.extend(persons);
        }
        assert_eq!(
            (&preview["sessions"], &preview["users"]),
            (&json!(all), &json!(users.len()))
        );
    }
    assert_eq!(caller.list(""), [] as [Value; 0], "nothing was saved");
}

#[test]
fn a_preview_says_the_filter_in_words_and_what_is_wrong_with_one() {
    let server = Server::start();
    let caller = Caller::of(&server);
    let preview = caller.post("/segments/preview", &json!({ "filter": is("country", "br") }));
    assert_eq!(preview.json()["description"], r#"country is "BR""#);
    for (body, words) in [
        (json!({}), "'filter' is required"),
        (
            json!({ "filter": { "field": "planet", "op": "eq", "value": 1 } }),
            "'filter' is not valid",
        ),
        (json!({ "filter": { "all": [] }, "name": "x" }), "unknown field"),
    ] {
        let message = refused(caller, "/segments/preview", &body);
        assert!(message.contains(words), "{message}");
    }
}
