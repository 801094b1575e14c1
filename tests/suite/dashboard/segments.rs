//! Segments on the page: the builder works without a script, and what it saves and counts is what the API saves and counts.

use serde_json::{Value, json};

use super::*;

/// A day's sessions of some countries and plans.
fn filled() -> (Server, Visitor) {
    let server = Server::start();
    let now = jiff::Timestamp::now().as_second();
    let sessions: Vec<Value> = (0..60)
        .map(|nth| {
            let mut session = server.session(&format!("s{nth}"), now - nth * 7_200);
            session["country"] = json!(["BR", "MX", "US"][nth as usize % 3]);
            session["user_id"] = json!(format!("u{}", nth % 7));
            let plan = ["pro", "free"][nth as usize % 2];
            session["attributes"] = json!({ "plan": plan, "n": nth % 5 });
            session
        })
        .collect();
    server.record(&sessions);
    let visitor = Visitor::signed_in(&server);
    (server, visitor)
}

fn filter_of(server: &Server, name: &str) -> Value {
    let segments = server.command(&["segment", "list"]);
    let found = segments
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("{name}: {segments}")).clone()
}

/// What the API says about a filter.
fn preview_of(server: &Server, filter: &Value) -> Answer {
    let url = format!("{}/segments/preview", server.url);
    let request = server.client().post(url).bearer_auth(&server.key);
    send(request.json(&json!({ "filter": filter })))
}

/// The fields of the form on a page, as a browser would send them, without buttons.
fn fields_of(page: &str) -> Vec<(String, String)> {
    let form = page.split("<form class=\"fields\"").nth(1).unwrap();
    let form = form.split("</form>").next().unwrap();
    let attribute = |tag: &str, name: &str| {
        let (_, value) = tag.split_once(&format!(" {name}=\""))?;
        Some(unescaped(value.split('"').next()?))
    };
    let mut fields = Vec::new();
    let mut rest = form;
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        let tag = &rest[..rest.find('>').unwrap()];
        let after = &rest[tag.len() + 1..];
        let name = attribute(tag, "name");
        match (tag.split(' ').next().unwrap(), name) {
            ("<input", Some(name)) => {
                let is_off = tag.contains("type=\"checkbox\"") && !tag.contains(" checked");
                if !is_off {
                    fields.push((name, attribute(tag, "value").unwrap_or_default()));
                }
            }
            ("<select", Some(name)) => {
                let options = after.split("</select>").next().unwrap();
                let chosen = options
                    .split("<option")
                    .find(|option| option.contains(" selected"));
                let chosen = chosen.or_else(|| options.split("<option").nth(1)).unwrap();
                fields.push((name, attribute(chosen, "value").unwrap()));
            }
            ("<textarea", Some(name)) => {
                let text = after.split("</textarea>").next().unwrap();
                fields.push((name, unescaped(text.strip_prefix('\n').unwrap_or(text))));
            }
            _ => {}
        }
        rest = after;
    }
    fields
}

/// The form of a page in somebody's hands.
struct Form<'a> {
    visitor: &'a mut Visitor,
    path: String,
    page: Answer,
    fields: Vec<(String, String)>,
}

impl<'a> Form<'a> {
    fn open(visitor: &'a mut Visitor, path: &str) -> Self {
        let page = visitor.get(path);
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        Self {
            fields: fields_of(&page.text),
            visitor,
            path: path.to_owned(),
            page,
        }
    }

    fn fill(&mut self, name: &str, value: &str) -> &mut Self {
        let field = self.fields.iter_mut().find(|(known, _)| known == name);
        let field = field.unwrap_or_else(|| panic!("the form has no field {name}: {}", self.page.text));
        value.clone_into(&mut field.1);
        self
    }

    fn condition(&mut self, path: &str, [field, op, value]: [&str; 3]) -> &mut Self {
        self.fill(&format!("{path}.field"), field)
            .fill(&format!("{path}.op"), op)
            .fill(&format!("{path}.value"), value)
    }

    /// Presses a button, which there must be; the form is what is answered.
    fn press(&mut self, button: &str) -> &mut Self {
        let name = format!("name=\"do\" value=\"{button}\"");
        assert!(self.page.text.contains(&name), "{button}: {}", self.page.text);
        let mut pairs: Vec<(&str, &str)> = self
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        pairs.push(("do", button));
        let body = encoded(&pairs);
        self.page = self.visitor.post(&self.path, &body);
        if self.page.status != 303 {
            self.fields = fields_of(&self.page.text);
        }
        self
    }

    fn expect(&mut self, status: u16, text: &str) -> &mut Self {
        assert_eq!(self.page.status, status, "{}", self.page.text);
        assert!(
            unescaped(&self.page.text).contains(text),
            "{text}: {}",
            self.page.text
        );
        self
    }
}

#[test]
fn a_segment_is_built_without_a_script_and_is_what_the_api_says() {
    let (server, mut visitor) = filled();
    let mut form = Form::open(&mut visitor, "/ui/segments/new");
    form.expect(200, "Choose a field, an operator and a value.");
    form.fill("name", "Paying, not Mexican")
        .condition("f.0", ["attributes.plan", "eq", "pro"])
        .press("add:f")
        .condition("f.1", ["country", "in", "BR, US"])
        .press("group:f")
        .fill("f.2", "not_any")
        .condition("f.2.0", ["attributes.n", "eq", "1"])
        .press("add:f.2")
        .condition("f.2.1", ["country", "exists", "false"])
        .press("add:f")
        .press("remove:f.3")
        .press("count");
    let filter = json!({"all": [
        {"field": "attributes.plan", "op": "eq", "value": "pro"},
        {"field": "country", "op": "in", "value": ["BR", "US"]},
        {"not": {"any": [
            {"field": "attributes.n", "op": "eq", "value": 1},
            {"field": "country", "op": "exists", "value": false},
        ]}},
    ]});
    let preview = preview_of(&server, &filter);
    assert_eq!(preview.status, 200, "{}", preview.text);
    let preview = preview.json();
    let said = format!(
        "{} sessions in the last 28 days, ",
        preview["sessions"].as_u64().unwrap()
    );
    assert!(preview["sessions"].as_u64().unwrap() > 3, "{preview}");
    form.expect(200, &said)
        .expect(200, &format!("of {} users", preview["users"]))
        .expect(200, preview["description"].as_str().unwrap());
    form.press("save");
    assert_eq!(
        (form.page.status, form.page.header("location")),
        (303, "/ui/segments")
    );

    let made = filter_of(&server, "Paying, not Mexican");
    assert_eq!(made["analytics_tracking_enabled"], true);
    let id = made["id"].as_str().unwrap().to_owned();
    let details = server.get(&format!("/segments/details?segment_id={id}")).json();
    assert_eq!(details["description"], preview["description"]);
    let counts = server.counts(&format!("length=28&segment_id={id}"));
    assert_eq!(counts.iter().sum::<u64>(), preview["sessions"].as_u64().unwrap());
    let page = visitor.get("/ui/segments").text;
    let row = format!("data-label=\"28 days\">{}<", preview["sessions"]);
    assert!(page.contains(&row), "{page}");
    assert!(
        page.contains(&format!("<a href=\"/?segment_id={id}\">")),
        "{page}"
    );

    // Edited, it is shown as it is, by rows and as JSON.
    let path = format!("/ui/segments/edit?segment={id}");
    let mut form = Form::open(&mut visitor, &path);
    form.fill("name", "Paying")
        .fill("description", "For the board")
        .press("remove:f.2")
        .fill("json", r#"{"field": "country", "op": "like", "value": 1}"#)
        .press("json")
        .expect(400, "op: unknown operator")
        .expect(400, r#""op": "like""#)
        .fill(
            "json",
            r#"{"not": {"field": "country", "op": "eq", "value": "BR"}}"#,
        )
        .press("json")
        .expect(200, "not (country is \"BR\")")
        .press("save");
    assert_eq!(form.page.status, 303, "{}", form.page.text);
    let details = server.get(&format!("/segments/details?segment_id={id}")).json();
    assert_eq!(
        (
            &details["name"],
            &details["description"],
            &details["text_description"]
        ),
        (
            &json!("Paying"),
            &json!("not (country is \"BR\")"),
            &json!("For the board")
        )
    );
}

#[test]
fn tracking_is_changed_on_the_list_and_deleting_asks_first() {
    let (server, mut visitor) = filled();
    let filter = json!({"field": "country", "op": "eq", "value": "BR"}).to_string();
    let made = server.command(&["segment", "create", "Brazil", "--filter", &filter]);
    let id = made["id"].as_str().unwrap().to_owned();
    for (track, is_on) in [("0", false), ("1", true)] {
        let changed = submit(
            &mut visitor,
            "/ui/segments",
            &[("segment", &id), ("track", track)],
        );
        assert_eq!(
            (changed.status, changed.header("location")),
            (303, "/ui/segments")
        );
        assert_eq!(filter_of(&server, "Brazil")["analytics_tracking_enabled"], is_on);
    }
    let path = format!("/ui/segments/delete?segment={id}");
    let asked = visitor.get(&path);
    assert!(asked.text.contains("No session is deleted."), "{}", asked.text);
    assert_eq!(
        filter_of(&server, "Brazil")["id"],
        made["id"],
        "a look deletes nothing"
    );
    // Somebody has it open while it is deleted.
    let mut other = Visitor::signed_in(&server);
    let mut form = Form::open(&mut other, &format!("/ui/segments/edit?segment={id}"));
    assert_eq!(submit(&mut visitor, &path, &[]).status, 303);
    assert_eq!(server.command(&["segment", "list"]), json!([]));
    form.page = {
        let body = encoded(
            &form
                .fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect::<Vec<_>>(),
        );
        form.visitor.post(&form.path, &body)
    };
    assert_eq!(form.page.status, 404);
    for path in [
        path,
        format!("/ui/segments/edit?segment={id}"),
        "/ui/segments/edit?segment=x".into(),
    ] {
        let gone = visitor.get(&path);
        assert_eq!(gone.status, 404, "{path}");
        let text = "There is no such segment in this workspace.";
        assert!(gone.text.contains(text), "{}", gone.text);
    }
}

#[test]
fn what_is_wrong_is_said_in_the_api_s_words_and_nothing_typed_is_lost() {
    let (server, mut visitor) = filled();
    let taken = json!({"field": "platform", "op": "eq", "value": "ios"}).to_string();
    server.command(&["segment", "create", "Taken", "--filter", &taken]);
    let odd = "\"></script><svg onload=alert(1)>";
    for (field, op, value, condition) in [
        (
            "colour",
            "eq",
            "red",
            json!({"field": "colour", "op": "eq", "value": "red"}),
        ),
        (odd, "eq", odd, json!({"field": odd, "op": "eq", "value": odd})),
        (
            "country",
            "lt",
            "BR",
            json!({"field": "country", "op": "lt", "value": "BR"}),
        ),
        (
            "country",
            "in",
            "",
            json!({"field": "country", "op": "in", "value": []}),
        ),
        (
            "first_session",
            "eq",
            "maybe",
            json!({"field": "first_session", "op": "eq", "value": "maybe"}),
        ),
        (
            "app_id",
            "eq",
            "x",
            json!({"field": "app_id", "op": "eq", "value": "x"}),
        ),
    ] {
        let refused = preview_of(&server, &condition);
        let mut form = Form::open(&mut visitor, "/ui/segments/new");
        form.fill("name", "N")
            .condition("f.0", [field, op, value])
            .press("save");
        if refused.status == 200 {
            assert_eq!(form.page.status, 303, "{}", form.page.text);
            continue;
        }
        let message = refused.message().to_owned();
        let message = message
            .strip_prefix("'filter' is not valid: ")
            .unwrap_or(&message);
        form.expect(400, message);
        let typed = |name: &str| {
            form.fields
                .iter()
                .find(|(known, _)| known == name)
                .unwrap()
                .1
                .clone()
        };
        assert_eq!(
            (typed("f.0.field"), typed("f.0.value")),
            (field.to_owned(), value.to_owned())
        );
        assert!(!form.page.text.contains("<svg onload"), "{}", form.page.text);
        assert!(
            form.page.text.contains("href=\"#f.0.field\""),
            "{}",
            form.page.text
        );
    }
    let mut form = Form::open(&mut visitor, "/ui/segments/new");
    form.fill("name", "Taken")
        .condition("f.0", ["country", "eq", "BR"])
        .press("save")
        .expect(400, "there is a segment named 'Taken' already");
    form.fill("name", "a\u{202e}b").press("save");
    assert_eq!(form.page.status, 400);
    // Without what only the page knows, nothing is changed.
    let before = server.command(&["segment", "list"]);
    let forged = visitor.post(
        "/ui/segments/new",
        "name=N2&f=all&f.0.field=country&f.0.op=eq&f.0.value=BR&do=save",
    );
    assert_eq!(forged.status, 403, "{}", forged.text);
    for path in ["/ui/segments", "/ui/segments/new", "/ui/segments/preview"] {
        let outside = Visitor::new(&server).post(path, "do=save");
        assert_ne!(outside.status, 200, "{path}");
    }
    assert_eq!(server.command(&["segment", "list"]), before);
}

#[test]
fn what_is_typed_is_counted_and_the_keyboard_is_enough() {
    let (server, _) = filled();
    let seen = seen_by("segments.mjs", &server, &[]);
    let brazil = json!({"field": "country", "op": "eq", "value": "BR"});
    let preview = preview_of(&server, &brazil).json();
    let counted = format!("{} sessions in the last 28 days, ", preview["sessions"]);
    assert_eq!(seen["errors"], json!([]), "{seen}");
    assert_eq!(seen["fields"], json!(["f", "f.0.field", "f.0.op", "f.0.value"]));
    assert_eq!(seen["begun"], "Choose a field, an operator and a value.");
    assert!(seen["counted"].as_str().unwrap().starts_with(&counted), "{seen}");
    assert!(seen["none"].as_str().unwrap().starts_with("0 sessions"), "{seen}");
    assert_eq!((&seen["outline"], &seen["kept"]), (&json!(true), &json!("XX")));
    assert_eq!(seen["listed"], "By keyboard");
    assert_eq!(
        filter_of(&server, "By keyboard")["analytics_tracking_enabled"],
        true
    );
}
