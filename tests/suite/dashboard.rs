//! The dashboard: who gets in, whether its numbers are the API's, and what a browser sees of it.

mod accounts;
mod apps;
mod browser;
mod entrance;
mod firefox;
mod keys;
mod numbers;
mod pictures;
mod rows;
mod segments;
mod shares;
mod start;
mod store;
mod weeks;

use std::path::Path;
use std::process::Command;

use reqwest::blocking::{Client, RequestBuilder};
use reqwest::redirect::Policy;
use serde_json::Value;

use crate::support::{Answer, Server, packages, send};

/// Somebody with a browser: cookies are kept, redirects are seen.
pub struct Visitor {
    client: Client,
    url: String,
    cookies: Vec<(String, String)>,
}

impl Visitor {
    /// Who is not in.
    pub fn new(server: &Server) -> Self {
        let client = Client::builder().no_proxy().redirect(Policy::none());
        Self {
            client: client.build().unwrap(),
            url: server.url.clone(),
            cookies: Vec::new(),
        }
    }

    /// Who came in by a link.
    pub fn signed_in(server: &Server) -> Self {
        let mut visitor = Self::new(server);
        let entered = visitor.follow(&link(server));
        assert_eq!(entered.status, 303, "{}", entered.text);
        visitor
    }

    /// Opens a link and presses its button.
    pub fn follow(&mut self, link: &str) -> Answer {
        let (path, code) = parts(link);
        let page = self.get(&path);
        let form = form_token(&page.text);
        self.post("/ui/enter", &format!("form={form}&code={code}"))
    }

    pub fn get(&mut self, path: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.url));
        self.send(request)
    }

    pub fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.client.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request)
    }

    pub fn post(&mut self, path: &str, body: &str) -> Answer {
        self.post_with(path, body, &[])
    }

    pub fn post_with(&mut self, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self
            .client
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request)
    }

    /// What it would send.
    pub fn cookie(&self) -> String {
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn send(&mut self, request: RequestBuilder) -> Answer {
        let request = if self.cookies.is_empty() {
            request
        } else {
            request.header("cookie", self.cookie())
        };
        let answer = send(request);
        for cookie in answer.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }
}

/// A segment of sessions in Brazil.
pub fn segment_of_brazil(server: &Server) -> Value {
    let filter = r#"{"field":"country","op":"eq","value":"BR"}"#;
    server.command(&[
        "segment",
        "create",
        "Brazil",
        "--workspace",
        "default",
        "--filter",
        filter,
    ])
}

/// The ids of the server's app and of a second one, and a segment of both.
pub fn two_apps_and_a_segment(server: &Server) -> [Value; 2] {
    let second = server.command(&["app", "create", "Second (web)", "--workspace", "default"]);
    segment_of_brazil(server);
    [server.app.as_str().into(), second["id"].clone()]
}

/// A link that opens once.
pub fn link(server: &Server) -> String {
    let made = server.command(&["dashboard", "link"]);
    made["url"].as_str().unwrap().to_owned()
}

/// The path of a link, and its code.
pub fn parts(link: &str) -> (String, String) {
    let (_, path) = link.split_once("/ui/").unwrap();
    let (_, code) = path.split_once("code=").unwrap();
    (format!("/ui/{path}"), code.to_owned())
}

/// What a page's form carries against forgery.
pub fn form_token(page: &str) -> String {
    let (_, rest) = page
        .split_once("name=\"form\" value=\"")
        .unwrap_or_else(|| panic!("no form: {page}"));
    rest.split('"').next().unwrap().to_owned()
}

/// Sends the form of a page to its own address.
pub fn submit(visitor: &mut Visitor, path: &str, fields: &[(&str, &str)]) -> Answer {
    let page = visitor.get(path);
    assert_eq!(page.status, 200, "{path}: {}", page.text);
    let form = form_token(&page.text);
    let body = encoded(&[&[("form", form.as_str())], fields].concat());
    visitor.post(path, &body)
}

/// What stands in the page's elements `code`.
pub fn codes(page: &str) -> Vec<String> {
    let parts = page.split("<code>").skip(1);
    let parts = parts.map(|part| part.split("</code>").next().unwrap());
    parts.map(unescaped).collect()
}

/// Fields of a form as a browser sends them.
pub fn encoded(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| {
        let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
        format!("{name}={value}")
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// A text of a page as it is read.
pub fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&amp;", "&")
}

/// What a script sees in Chromium of a server: one beside this file, with arguments of its own behind the link that lets it in.
pub fn seen_by(script: &str, server: &Server, arguments: &[&str]) -> Value {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let chromium = packages::program(&names, "chromium");
    let link = link(server);
    run_in(&chromium, script, server, &[&[link.as_str()], arguments].concat())
}

/// Runs a script beside this file that drives a browser; returns what it printed.
fn run_in(browser: &Path, script: &str, server: &Server, arguments: &[&str]) -> Value {
    let mut look = Command::new("node");
    look.arg(packages::source(&format!("tests/suite/dashboard/{script}")))
        .arg(packages::node("tests/suite/dashboard"))
        .arg(browser)
        .arg(&server.url)
        .args(arguments);
    serde_json::from_str(&packages::run(script, &mut look)).unwrap()
}
