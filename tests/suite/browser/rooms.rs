//! One server and one browser for many pages, each of which has an app of its own.

use std::collections::HashMap;

use serde_json::Value;

use super::driver::Browser;
use crate::support::stored::{Stored, stored};
use crate::support::{Server, command, eventually, send};

pub struct Rooms {
    pub server: Server,
    pub browser: Browser,
    apps: HashMap<&'static str, String>,
}

impl Rooms {
    /// Makes an app for each of these names. The server knows them before the first page is opened.
    pub fn start(names: &[&'static str]) -> Self {
        let server = Server::start();
        let create = |name: &&'static str| {
            let app = command(&server.data, &["app", "create", name, "--workspace", "default"]);
            (*name, app["id"].as_str().unwrap().to_owned())
        };
        let apps: HashMap<_, _> = names.iter().map(create).collect();
        for app in apps.values() {
            let key = app.replace('-', "");
            let url = format!("{}/api/1/envelope/?sentry_key={key}", server.url);
            eventually("the app is known", || {
                send(server.client().post(&url).body("{}")).status == 200
            });
        }
        Self {
            browser: Browser::start(&server.url),
            server,
            apps,
        }
    }

    pub fn app(&self, name: &str) -> &str {
        &self.apps[name]
    }

    /// The element that counts a page of this app; `how` are its attributes.
    pub fn script(&self, name: &str, how: &str) -> String {
        let (url, app) = (&self.server.url, self.app(name));
        format!(r#"<script src="{url}/session.js" data-app="{app}" data-count-automated {how}></script>"#)
    }

    /// Opens a page that is counted, as a tab of the app's name; `before` is a script that runs first.
    pub fn open(&mut self, name: &str, before: &str) {
        let html = format!("{}<button>Go on</button>", self.script(name, ""));
        let before = before.replace("PREFIX", &format!("sessionmeter.{}.", self.app(name)));
        self.browser.open_page(name, &html, &before);
    }

    /// Yesterday, today and tomorrow: the browser's clock may go over midnight.
    pub fn sessions(&self, name: &str) -> u64 {
        let tomorrow = jiff::Timestamp::now().as_second() + 86_400;
        let query = format!("length=3&ending_at={tomorrow}&app_id={}", self.app(name));
        self.server.counts(&query).iter().sum()
    }

    pub fn eventually(&self, name: &str, count: u64) {
        let mut last = 0;
        eventually(&format!("{name}: session number {count}"), || {
            last = self.sessions(name);
            assert!(last <= count, "{name}: {last} sessions instead of {count}");
            last == count
        });
    }

    /// The sessions of all apps whose properties contain this text.
    pub fn stored_with(&self, text: &str) -> Vec<Stored> {
        let mut all = stored(&self.server.data);
        all.retain(|session| session.properties.contains(text));
        all
    }

    /// What the pages logged as errors; that a browser which is offline can't send is none.
    pub fn errors(&mut self) -> Vec<Value> {
        let mut errors = self.browser.errors().as_array().unwrap().clone();
        errors.retain(|error| !error.as_str().unwrap().contains("ERR_INTERNET_DISCONNECTED"));
        errors
    }

    /// What a page of this app knows by an expression.
    pub fn evaluate(&mut self, name: &str, expression: &str) -> Value {
        self.browser.evaluate(name, expression)
    }
}
