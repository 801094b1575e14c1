//! Getting started: what it says is right, the first session is noticed, and what was refused is told.

use serde_json::{Value, json};

use super::*;

const UNKNOWN: &str = "5c3b0000-1763-4d5b-8264-db458aa346c3";

/// Delivers a body as a client does that has no key.
fn deliver(server: &Server, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let mut request = server.client().post(format!("{}{path}", server.url)).json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request)
}

/// What a browser that looks on is told.
fn progress(visitor: &mut Visitor, app: &str) -> Value {
    let answer = visitor.get(&format!("/ui/start/live?app_id={app}"));
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

fn shell(command: &str) -> String {
    let run = Command::new("sh").args(["-c", command]).output().unwrap();
    String::from_utf8_lossy(&run.stdout).into_owned()
}

#[test]
fn an_empty_workspace_shows_how_to_begin_with_its_own_ids() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let page = visitor.get("/");
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("units-table"), "{}", page.text);
    let (url, app) = (&server.url, &server.app);
    let expected = [
        format!("<script src=\"{url}/session.js\" data-app=\"{app}\"></script>"),
        format!(
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT={url}/v1/logs\nOTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/protobuf\n\
             OTEL_EXPORTER_OTLP_LOGS_HEADERS=sessionmeter-app={app}"
        ),
        format!("http://{}@{}/1", app.replace('-', ""), server.address()),
    ];
    assert_eq!(codes(&page.text)[..3], expected);
    assert_eq!(codes(&visitor.get("/ui/start").text)[..3], expected);

    // Any of these, recorded, makes the page the overview.
    assert_eq!(progress(&mut visitor, app)["done"], false);
    let command = codes(&page.text)[3].replace("$KEY", &server.key);
    let said = shell(&command);
    assert!(said.contains("\"sessions_processed\":1"), "{said}: {command}");
    let told = progress(&mut visitor, app);
    assert_eq!(told["done"], true);
    let text = told["text"].as_str().unwrap();
    assert!(
        text.starts_with("The first session of \u{2068}default\u{2069} is here. The first one began on "),
        "{text}"
    );
    assert!(visitor.get("/").text.contains("units-table"));
    let counted = shell(&codes(&page.text)[4].replace("$KEY", &server.key));
    assert!(counted.contains("\"sessions\":1"), "{counted}");

    // Another app of the workspace waits for its own first session.
    let other = server.command(&["app", "create", "Ünïcode <b>", "--workspace", "default"]);
    let other = other["id"].as_str().unwrap();
    let page = visitor.get(&format!("/ui/start?app_id={other}")).text;
    assert!(
        page.contains("Waiting for the first session of \u{2068}Ünïcode &lt;b&gt;\u{2069}…"),
        "{page}"
    );
    assert!(
        page.contains(&format!("data-app=&quot;{other}&quot;")) && !page.contains("<b>"),
        "{page}"
    );
    let of_app = visitor.get(&format!("/?app_id={other}")).text;
    assert!(
        of_app.contains(&format!("href=\"/ui/start?app_id={other}\"")),
        "{of_app}"
    );
}

#[test]
fn when_and_where_the_first_session_began_is_told_by_the_clocks_of_the_workspace() {
    let server = Server::start();
    server.command(&["workspace", "set-time-zone", "default", "America/New_York"]);
    let mut visitor = Visitor::signed_in(&server);
    // 2024-01-15T03:31:07Z is the evening before in New York.
    let mut sessions = ["later", "first", "last"].map(|id| server.session(id, 1_705_289_467));
    for (session, after) in sessions.iter_mut().zip([900, 0, 86_400]) {
        session["started_at"] = json!(1_705_289_467 + after);
    }
    sessions[1]["platform"] = json!("web");
    server.record(&sessions);
    let mut told = |language: &str| {
        let path = format!("/ui/start/live?app_id={}&lang={language}", server.app);
        let answer = visitor.get(&path).json();
        answer["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        told("en"),
        "3 sessions of \u{2068}default\u{2069} are here. The first one began on Sun 14 Jan 2024, 22:31:07 (web)."
    );
    assert_eq!(
        told("es"),
        "3 sesiones de \u{2068}default\u{2069} ya están aquí. La primera empezó el dom 14 ene 2024, 22:31:07 (web)."
    );
}

#[test]
fn the_key_made_here_records_and_counts_and_is_shown_once() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let made = submit(&mut visitor, "/ui/start", &[("name", "getting-started")]);
    assert_eq!((made.status, made.header("cache-control")), (200, "no-store"));
    let key = codes(&made.text)
        .into_iter()
        .find(|code| code.starts_with("smk_"))
        .unwrap();
    let commands: Vec<String> = codes(&made.text)
        .into_iter()
        .filter(|code| code.starts_with("curl"))
        .collect();
    assert!(
        shell(&commands[0]).contains("\"sessions_processed\":1"),
        "{commands:?}"
    );
    assert!(shell(&commands[1]).contains("\"sessions\":1"), "{commands:?}");
    assert_eq!(
        server.get_as("/segments/list", &key).status,
        403,
        "it may do no more"
    );
    let again = submit(&mut visitor, "/ui/start", &[("name", "getting-started")]);
    assert_eq!(again.status, 400);
    assert!(
        again
            .text
            .contains("there is a key named 'getting-started' already"),
        "{}",
        again.text
    );
    let page = visitor.get("/ui/start").text;
    assert!(page.contains("value=\"getting-started-2\""), "{page}");
    assert!(!page.contains("smk_") && !again.text.contains("smk_"));
    let without_form = visitor.post("/ui/start", "name=x");
    assert_eq!(without_form.status, 403);
    let mut stranger = Visitor::new(&server);
    for path in ["/ui/start", "/ui/start/live"] {
        assert_eq!(stranger.get(path).status, 401, "{path}");
    }
    let body = format!("form={}&name=x", form_token(&page));
    assert_eq!(stranger.post("/ui/start", &body).status, 401);
    assert_eq!(server.command(&["key", "list"]).as_array().unwrap().len(), 2);
}

#[test]
fn what_was_refused_is_told_without_anything_that_was_sent_but_unknown_apps() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    assert_eq!(progress(&mut visitor, &server.app)["rows"], json!([]));
    let now = jiff::Timestamp::now().as_second();
    let session = json!({"session_id": "s", "started_at": now, "user_id": "alice@example.com"});
    for _ in 0..2 {
        let body = json!({"app_id": UNKNOWN, "sessions": [session]});
        assert_eq!(deliver(&server, "/sessions/collect", &[], &body).status, 400);
    }
    let otlp = [("sessionmeter-app", UNKNOWN)];
    let body = json!({"resourceLogs": []});
    assert_eq!(deliver(&server, "/v1/logs", &otlp, &body).status, 400);
    let sentry = format!("/api/1/envelope/?sentry_key={}", UNKNOWN.replace('-', ""));
    assert_eq!(deliver(&server, &sentry, &[], &json!({})).status, 403);
    let rows = |visitor: &mut Visitor| progress(visitor, &server.app)["rows"].to_string();
    let told = rows(&mut visitor);
    let unknown =
        format!("2 × 'app_id' must be the id of an app: {UNKNOWN} (POST /sessions/collect, last at ");
    let header = format!(
        "1 × the header 'sessionmeter-app' must be the id of an app of this server: {UNKNOWN} (POST /v1/logs, "
    );
    for line in [
        unknown.as_str(),
        &header,
        &format!("there is no app with this id on this server: {UNKNOWN} (POST /api/{{project}}/envelope, "),
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(visitor.get("/ui/start").text.contains(&unknown));

    // What else was sent may be about people.
    let body = json!({"app_id": "alice@example.com", "sessions": [session]});
    assert_eq!(deliver(&server, "/sessions/collect", &[], &body).status, 400);
    let good = server.session("good", now);
    let mut bad = server.session("bad", "alice@example.com");
    bad["user_id"] = json!("alice@example.com");
    server.record(&[good, bad]);
    let mut secret = server.key.clone();
    secret.replace_range(10..20, "0000000000");
    let headers = [("authorization", format!("Bearer {secret}"))];
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(
        deliver(&server, "/sessions/track", &headers, &json!({})).status,
        401
    );
    let told = rows(&mut visitor);
    assert!(
        told.contains("'started_at' must be") && told.contains("(POST /sessions/track, "),
        "{told}"
    );
    assert!(
        !told.contains("alice") && !told.contains("smk_0") && !told.contains(&secret),
        "{told}"
    );

    // What a key of another workspace was refused is not told here.
    server.command(&["workspace", "create", "other"]);
    let key = server.command(&[
        "key",
        "create",
        "k",
        "--workspace",
        "other",
        "--permission",
        "users.track",
    ]);
    let bearer = format!("Bearer {}", key["key"].as_str().unwrap());
    assert_eq!(
        deliver(
            &server,
            "/sessions/track",
            &[("authorization", &bearer)],
            &json!({})
        )
        .status,
        403
    );
    assert!(
        !rows(&mut visitor).contains("permission"),
        "{}",
        rows(&mut visitor)
    );
    let app = server.command(&["app", "create", "a", "--workspace", "other"]);
    let there = visitor.get(&format!(
        "/ui/start/live?workspace=other&app_id={}",
        app["id"].as_str().unwrap()
    ));
    let there = there.json()["rows"].to_string();
    assert!(
        there.contains("permission") && !there.contains("'started_at'"),
        "{there}"
    );
}

#[test]
fn with_a_public_address_clients_are_pointed_there() {
    let server = Server::start_with(&["--public-url", "https://sessions.example.com"]);
    let mut visitor = Visitor::new(&server);
    let there = [("host", "sessions.example.com")];
    let (path, code) = parts(&link(&server));
    let form = form_token(&visitor.get_with(&path, &there).text);
    visitor.post_with("/ui/enter", &format!("form={form}&code={code}"), &there);
    let page = visitor.get_with("/ui/start", &there).text;
    let shown = codes(&page);
    let key = server.app.replace('-', "");
    assert_eq!(shown[2], format!("https://{key}@sessions.example.com/1"));
    assert!(
        shown.iter().all(|code| code.contains("sessions.example.com")),
        "{shown:?}"
    );
    assert!(!page.contains("from this machine alone"), "{page}");
    let body = format!("form={}&name=k&permission=all", form_token(&page));
    let made = codes(&visitor.post_with("/ui/keys/new", &body, &there).text);
    assert!(
        made[1].ends_with("'https://sessions.example.com/sessions/data_series?length=7'"),
        "{made:?}"
    );
}

#[test]
fn a_workspace_without_an_app_leads_to_making_one() {
    let server = Server::start();
    server.command(&["app", "delete", "default", "--yes"]);
    let mut visitor = Visitor::signed_in(&server);
    for path in ["/", "/ui/start"] {
        crate::support::eventually("the app is gone", || {
            visitor.get(path).text.contains("href=\"/ui/apps/new\"")
        });
    }
    let spanish = visitor.get("/ui/start?lang=es").text;
    assert!(spanish.contains("Todavía no hay ninguna app"), "{spanish}");
}

#[test]
fn a_browser_notices_the_first_session_and_what_was_refused_and_forms_need_no_mouse() {
    let server = Server::start();
    let seen = seen_by("start.mjs", &server, &[&server.app, UNKNOWN]);
    assert_eq!(seen["errors"], json!([]), "{seen}");
    let text = |name: &str| {
        seen[name]
            .as_str()
            .unwrap_or_else(|| panic!("{name}: {seen}"))
            .to_owned()
    };
    assert!(
        text("waiting").starts_with("Waiting for the first session of"),
        "{seen}"
    );
    assert!(text("refused").contains(UNKNOWN), "{seen}");
    assert!(text("arrived").starts_with("The first session of"), "{seen}");
    assert_eq!(text("overview"), "1");
    let key = text("key");
    assert_eq!(server.get_as("/workspace", &key).status, 200);
    assert_eq!(text("copied"), key);
    assert!(
        text("refused_again").contains("there is a key named 'by keyboard' already"),
        "{seen}"
    );
    assert_eq!(seen["again"], json!(false), "a key is not shown again");
}
