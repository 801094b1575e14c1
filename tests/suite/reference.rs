//! The reference page: what people read of the API.

use std::process::Command;

use serde_json::Value;

use crate::support::{Server, packages, send};

/// The app of all examples.
const APP: &str = "00dc3cf6-1763-5d5b-8264-db458aa346c3";

fn with_host(server: &Server, host: &str) -> String {
    let request = server.client().get(format!("{}/reference", server.url));
    send(request.header("host", host)).text
}

/// The page's commands, as text.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("<pre class=\"command\"").skip(1);
    let html = blocks.map(|block| {
        block
            .split_once("<code>")
            .unwrap()
            .1
            .split_once("</code>")
            .unwrap()
            .0
    });
    html.map(|html| {
        html.replace("<span class=\"address\">", "")
            .replace("</span>", "")
            .replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    })
    .collect()
}

#[test]
fn it_shows_every_endpoint_and_loads_nothing() {
    let server = Server::start();
    let document = server.get("/openapi.json").json();
    let page = server.get("/reference");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains("'self'"),
        "{policy}"
    );
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(page.text.contains(&format!("<code>{path}</code>")), "{path}");
    }
    for loading in ["<script ", "src=", "@import", "url(", "=\"http", "href=\"/"] {
        assert!(!page.text.contains(loading), "{loading}");
    }
}

#[test]
fn its_commands_are_those_of_their_endpoints_at_the_host_that_was_asked() {
    let server = Server::start();
    let page = server.get("/reference").text;
    let document = server.get("/openapi.json").json();
    let commands = commands(&page);
    assert_eq!(commands.len(), document["paths"].as_object().unwrap().len());
    for command in commands {
        assert!(
            command.starts_with(&format!("curl \"{}/", server.url)),
            "{command}"
        );
        // As a shell runs it; ids are the reader's to fill in.
        let command = command
            .replace(APP, &server.app)
            .replace(&APP.replace('-', ""), &server.app.replace('-', ""));
        let mut shell = Command::new("sh");
        shell
            .args([
                "-c",
                &format!("{command} -s --noproxy '*' -w '\\n%{{http_code}}'"),
            ])
            .env("KEY", &server.key);
        let printed = packages::run("a command of the reference runs", &mut shell);
        let (body, status) = printed.rsplit_once('\n').unwrap();
        let fits = status.starts_with('2')
            || body.contains("'segment_id' must be the id of a segment of this workspace, received");
        assert!(fits, "{command}: {printed}");
    }
}

#[test]
fn the_host_is_never_taken_for_html_or_for_a_shell_s_words() {
    let server = Server::start();
    assert!(
        with_host(&server, "sessions.example.com:81")
            .contains("<span class=\"address\">http://sessions.example.com:81</span>")
    );
    for host in ["a$(b)", "a'b", "a;b", "a&b"] {
        let page = with_host(&server, host);
        assert!(page.contains("<span class=\"address\">$HOST</span>"), "{host}");
        assert!(!page.contains(host), "{host}");
    }
    // What is no host at all is refused before it could reach a page.
    for host in ["<b>x", "a\"b", "a`b`", "a b"] {
        let answer = with_host(&server, host);
        assert!(
            answer.contains("the header 'Host' is no host"),
            "{host}: {answer}"
        );
        assert!(!answer.contains(host), "{host}: {answer}");
    }
}

#[test]
fn answers_are_shown_and_what_is_required_comes_first() {
    let server = Server::start();
    let page = server.get("/reference").text;
    let article = |path: &str| {
        let id = format!("<article id=\"{path}\">");
        let (_, rest) = page.split_once(&id).unwrap();
        rest.split_once("</article>").unwrap().0.to_owned()
    };
    let series = article("sessions_data_series");
    let answer = "{&quot;message&quot;:&quot;success&quot;,&quot;data&quot;:[{&quot;time&quot;:&quot;2018-06-28&quot;,&quot;sessions&quot;:1234}]}";
    assert!(series.contains(answer), "{series}");
    for document in page.split("<article ").skip(1) {
        assert!(document.contains("<pre class=\"answer\""), "{document}");
        for list in document.split("<h4>Parameters</h4>").skip(1) {
            let list = list.split("<h4>").next().unwrap();
            let required: Vec<bool> = list
                .split("<dt>")
                .skip(1)
                .map(|entry| entry.contains(", required</span>"))
                .collect();
            assert!(required.is_sorted_by(|one, next| one >= next), "{list}");
        }
    }
    let session = article("sessions_track");
    let at = |name: &str| session.find(&format!("<dt><code>{name}</code>")).unwrap();
    assert!(at("started_at") < at("app_version"), "{session}");
}

/// What is seen in a browser. The variable `SCREENSHOTS` names a folder for pictures of it.
pub fn look(address: &str) -> Value {
    let modules = packages::node("tests/suite/browser");
    let mut look = Command::new("node");
    look.arg(packages::source("tests/suite/reference/page.mjs"))
        .arg(modules)
        .arg(packages::program(
            &["chromium", "chromium-browser", "google-chrome"],
            "chromium",
        ))
        .arg(address);
    if let Some(folder) = std::env::var_os("SCREENSHOTS") {
        look.arg(folder);
    }
    serde_json::from_str(&packages::run("the reference is looked at", &mut look)).unwrap()
}

#[test]
fn in_a_browser_it_is_read_and_used_with_the_keyboard_on_a_phone_and_without_its_script() {
    let server = Server::start();
    let address = format!("{}/reference", server.url);
    let seen = look(&address);
    let first = commands(&server.get("/reference").text).remove(0);
    for (name, page) in seen.as_object().unwrap() {
        assert_eq!(page["errors"], serde_json::json!([]), "{name}");
        let asked = page["asked"].as_array().unwrap();
        let elsewhere = asked
            .iter()
            .find(|url| url.as_str().unwrap() != address && !url.as_str().unwrap().starts_with("data:"));
        assert_eq!(elsewhere, None, "{name}");
    }
    let wide = &seen["wide"];
    let endpoint = "GET /kpi/dau/data_series";
    let order = serde_json::json!([
        "List of endpoints",
        format!("Command for {endpoint}"),
        format!("Copy the command for {endpoint}")
    ]);
    assert_eq!(wide["order"], order);
    assert_eq!(
        (wide["ring"].as_str(), wide["button"].as_str()),
        (Some("solid"), Some("Copied"))
    );
    assert_eq!(wide["said"], format!("Copied the command for {endpoint}"));
    assert_eq!(wide["copied"], first);
    assert_eq!((&wide["beside"], &wide["scrolls"]), (&true.into(), &false.into()));
    assert_eq!(seen["dark"]["paper"], "rgb(17, 20, 23)");
    let phone = &seen["phone"];
    assert_eq!(
        (&phone["contentFirst"], &phone["scrolls"], &phone["jumps"]),
        (&true.into(), &false.into(), &true.into())
    );
    assert_eq!(seen["without a script"]["command"], first);
    assert_eq!(seen["without a script"]["buttons"], 0);
}
