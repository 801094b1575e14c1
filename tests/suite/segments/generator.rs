//! Random sessions, users and filters over few enough values that filters meet sessions.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Map, Value, json};

use crate::support::clickhouse;
use crate::support::random::Random;

const DAY: i64 = 86_400;
const PLATFORMS: [&str; 4] = ["ios", "android", "web", "Web"];
/// Texts without a number last.
const VERSIONS: [&str; 18] = [
    "4.9",
    "4.09",
    "4.9.9",
    "4.10",
    "4.10.0",
    "4.10-beta",
    "4.10.0-beta",
    "v4.11",
    "V4.11.0",
    "4",
    "4.0.1",
    "10.0.1 (77)",
    "0",
    "0.0",
    "18446744073709551616.1",
    "18446744073709551617",
    "beta",
    "version 4",
];
const WITHOUT_NUMBER: usize = 2;
const DEVICES: [&str; 4] = ["iPhone15,3", "Pixel 8", "Pixel 8 Pro", "Größe Ü"];
const COUNTRIES: [&str; 6] = ["BR", "br", "Br", "MX", "de", "DE"];
const LANGUAGES: [&str; 4] = ["pt-BR", "pt", "en", "de-DE"];
/// Some look like a field of the session.
const ATTRIBUTES: [&str; 6] = ["plan", "level", "a.b", "country", "first_session", "größe \"1\""];
const TEXTS: [&str; 9] = [
    "pro",
    "free",
    "Pro",
    "5",
    "true",
    "",
    "projekt",
    "Ünï",
    "\u{1F600}",
];

/// As integers and as fractions; of the two large ones, no fraction can tell which is which.
fn numbers() -> Vec<Value> {
    let large = 9_007_199_254_740_992_i64;
    vec![
        json!(5),
        json!(5.0),
        json!(4.5),
        json!(-0.5),
        json!(0),
        json!(1e2),
        json!(100),
        json!(large),
        json!(large + 1),
    ]
}

/// Filters of one condition that show what each operator does with each field.
pub fn conditions(app: &str) -> Vec<Value> {
    let texts = |texts: &[&str]| -> Vec<Value> { texts.iter().map(|text| (*text).into()).collect() };
    let flags = || vec![json!(true), json!(false)];
    let attribute_values = || [texts(&TEXTS), numbers()].concat();
    let versions = texts(&VERSIONS);
    let numeric = || versions[..versions.len() - WITHOUT_NUMBER].to_vec();
    let parts = || texts(&["p", "pro", "", "4.1", "4.10", "b", "R", "Pixel", "\u{df}", "5"]);
    let mut conditions = Vec::new();
    for (field, equal, ordered) in [
        ("app_id", texts(&[app]), vec![]),
        ("first_session", flags(), vec![]),
        ("platform", texts(&PLATFORMS), texts(&PLATFORMS)),
        ("os_version", texts(&["4.10"]), texts(&["4.10"])),
        ("app_version", versions.clone(), numeric()),
        ("device_model", texts(&DEVICES), texts(&["Pixel 8"])),
        ("country", texts(&COUNTRIES), texts(&COUNTRIES)),
        ("language", texts(&LANGUAGES), texts(&["pt"])),
        (
            "attributes.plan",
            [attribute_values(), flags()].concat(),
            attribute_values(),
        ),
    ] {
        let condition = |op: &str, value: &Value| json!({ "field": field, "op": op, "value": value });
        conditions.push(json!({ "field": field, "op": "exists" }));
        conditions.extend(flags().iter().map(|flag| condition("exists", flag)));
        conditions.extend(equal.iter().map(|value| condition("eq", value)));
        conditions.push(condition("ne", &equal[0]));
        conditions.push(condition("in", &json!(equal)));
        for few in equal.chunks(2) {
            conditions.push(condition("not_in", &json!(few)));
        }
        if !ordered.is_empty() {
            for op in ["lt", "lte", "gt", "gte"] {
                conditions.extend(ordered.iter().map(|value| condition(op, value)));
            }
            for op in ["prefix", "contains"] {
                conditions.extend(parts().iter().map(|value| condition(op, value)));
            }
        }
    }
    conditions
}

/// What random values are made for.
pub struct Generator {
    pub random: Random,
    /// Unix seconds of the first instant of the days in which sessions start.
    pub begin: i64,
}

/// Days in which sessions start.
const DAYS: i64 = 5;
/// How much earlier the latest deliveries are.
const EARLIER: i64 = 3;

/// Some come often, some once.
fn user(random: &mut Random) -> String {
    let most = *random.pick(&[20, 1_000]);
    format!("person {}", random.below(most))
}

/// What tells a session from others.
fn identity(session: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    let day = session["started_at"].as_i64().unwrap().div_euclid(DAY);
    (session["app_id"].as_str(), session["session_id"].as_str(), day).hash(&mut hasher);
    hasher.finish()
}

impl Generator {
    pub fn new(mut random: Random) -> Self {
        // 2024-02-01 and some days: summer time begins in some of them.
        let begin = 1_706_745_600 + random.range(0, 60) * DAY;
        Self { random, begin }
    }

    /// Windows (`length` and `ending_at`) which together hold every session, in any zone: of hours, of days.
    pub fn windows(&self) -> [Vec<String>; 2] {
        let end = self.begin + (DAYS + 1) * DAY;
        let hours = |window: i64| format!("unit=hour&length=100&ending_at={}", end - window * 100 * 3_600);
        let days = format!("length=100&ending_at={end}");
        [vec![hours(0), hours(1), hours(2)], vec![days]]
    }

    fn text(&mut self, texts: &[&str]) -> Value {
        (*self.random.pick(texts)).into()
    }

    /// Strings, numbers and flags, whatever the attribute is called.
    fn attribute_value(&mut self) -> Value {
        match self.random.below(6) {
            0 | 1 => self.text(&TEXTS),
            2 | 3 => self.random.pick(&numbers()).clone(),
            4 => json!(self.random.range(-1, 7)),
            _ => json!(self.random.one_in(2)),
        }
    }

    fn attributes(&mut self) -> Map<String, Value> {
        let mut attributes = Map::new();
        for _ in 0..self.random.below(4) {
            let name = *self.random.pick(&ATTRIBUTES);
            attributes.insert(name.to_owned(), self.attribute_value());
        }
        attributes
    }

    /// An item of `POST /users/track`.
    pub fn user_update(&mut self) -> Value {
        let mut item = self.attributes();
        if self.random.one_in(2) {
            item.insert((*self.random.pick(&ATTRIBUTES)).to_owned(), Value::Null);
        }
        item.insert("external_id".to_owned(), user(&mut self.random).into());
        item.into()
    }

    /// Ids are few, so that some sessions are delivered again, with other values.
    pub fn session(&mut self, apps: &[String]) -> Value {
        let number = self.random.below(1_000);
        let session_id = match number % 3 {
            0 => format!("session {number}"),
            1 => format!("{number:08x}-0a1b-4c2d-8e3f-0123456789ab"),
            _ => format!("{number:08X}-0A1B-4C2D-8E3F-0123456789AB"),
        };
        let earlier = if self.random.one_in(40) { EARLIER * DAY } else { 0 };
        let started_at = self.begin - earlier + self.random.range(0, DAYS * DAY);
        let mut session = json!({
            "app_id": self.random.pick(apps),
            "session_id": session_id,
            "started_at": started_at,
        });
        // Over ClickHouse nobody knows a session that another process has recorded: delivered under another person's name
        // it would be that person's first one. So there each session keeps its person, as sessions do.
        let mut who = if clickhouse::is_used() {
            Random::new(identity(&session))
        } else {
            Random::new(self.random.next())
        };
        let person = who.below(10);
        if person < 6 {
            session["user_id"] = user(&mut who).into();
        }
        if person > 4 && person < 9 {
            session["device_id"] = user(&mut who).into();
        }
        for (name, values) in [
            ("platform", &PLATFORMS[..]),
            ("os_version", &VERSIONS),
            ("app_version", &VERSIONS),
            ("device_model", &DEVICES),
            ("country", &COUNTRIES),
            ("language", &LANGUAGES),
        ] {
            match self.random.below(6) {
                0 | 1 => {}
                // An empty country or language is refused, of the others it is as good as none.
                2 if name != "country" && name != "language" => session[name] = "".into(),
                _ => session[name] = self.text(values),
            }
        }
        if self.random.one_in(2) {
            session["attributes"] = self.attributes().into();
        }
        session
    }

    pub fn filter(&mut self, apps: &[String]) -> Value {
        let most = *self.random.pick(&[2, 2, 3, 5]);
        let depth = self.random.below(most);
        self.filter_of_depth(depth, apps)
    }

    fn filter_of_depth(&mut self, depth: usize, apps: &[String]) -> Value {
        if depth == 0 {
            return self.condition(apps);
        }
        let name = *self.random.pick(&["all", "any", "not"]);
        if name == "not" {
            return json!({ "not": self.filter_of_depth(depth - 1, apps) });
        }
        let most = if depth > 2 { 2 } else { 3 };
        // Hardly ever empty.
        let count = if self.random.one_in(12) {
            0
        } else {
            self.random.below(most) + 1
        };
        let inner: Vec<Value> = (0..count)
            .map(|_| {
                let depth = self.random.below(depth);
                self.filter_of_depth(depth, apps)
            })
            .collect();
        json!({ name: inner })
    }

    fn condition(&mut self, apps: &[String]) -> Value {
        let field = match self.random.below(12) {
            0 => "app_id",
            1 => "platform",
            2 => "os_version",
            3 => "app_version",
            4 => "device_model",
            5 => "country",
            6 => "language",
            7 => "first_session",
            _ => "",
        };
        let field = match field {
            "" => format!("attributes.{}", self.random.pick(&ATTRIBUTES)),
            field => field.to_owned(),
        };
        let mut ops = vec!["eq", "ne", "in", "not_in", "exists"];
        if field != "app_id" && field != "first_session" {
            ops.extend(["lt", "lte", "gt", "gte", "prefix", "contains"]);
        }
        let op = *self.random.pick(&ops);
        let mut condition = json!({ "field": field, "op": op });
        match op {
            "exists" => {
                if self.random.one_in(2) {
                    condition["value"] = json!(self.random.one_in(2));
                }
            }
            "in" | "not_in" => {
                let count = self.random.below(3) + 1;
                let values: Vec<Value> = (0..count).map(|_| self.value(&field, op, apps)).collect();
                condition["value"] = values.into();
            }
            _ => condition["value"] = self.value(&field, op, apps),
        }
        condition
    }

    /// Something that the field may be compared with.
    fn value(&mut self, field: &str, op: &str, apps: &[String]) -> Value {
        let searches = op == "prefix" || op == "contains";
        let orders = ["lt", "lte", "gt", "gte"].contains(&op);
        match field {
            "app_id" => match self.random.below(4) {
                0 => "00dc3cf6-1763-5d5b-8264-db458aa346c3".into(),
                1 => self.random.pick(apps).to_ascii_uppercase().into(),
                _ => self.random.pick(apps).as_str().into(),
            },
            "first_session" => json!(self.random.one_in(2)),
            "os_version" | "app_version" if orders => self.text(&VERSIONS[..VERSIONS.len() - WITHOUT_NUMBER]),
            _ if searches => self.text(&[
                "p", "pro", "", "i", "4.1", "4.10", "B", "r", "Pixel", "\u{df}", "5",
            ]),
            "platform" => self.text(&PLATFORMS),
            "os_version" | "app_version" => self.text(&VERSIONS),
            "device_model" => self.text(&DEVICES),
            "country" => self.text(&COUNTRIES),
            "language" => self.text(&LANGUAGES),
            // An order of flags is refused.
            _ => loop {
                let value = self.attribute_value();
                if !orders || !value.is_boolean() {
                    break value;
                }
            },
        }
    }
}
