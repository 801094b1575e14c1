//! The Rust end of `driver.mjs`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::packages;

const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// A browser with a profile of its own; closed when dropped.
pub struct Browser {
    child: Child,
    /// None once there are no more.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Browser {
    /// For pages that use the script of the product at `url`.
    pub fn start(url: &str) -> Self {
        let mut child = Command::new("node")
            .arg(packages::source("tests/suite/browser/driver.mjs"))
            .arg(url)
            .args([&TOOLS.chromium, &TOOLS.modules, &TOOLS.sentry])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        Self {
            commands: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn send(&mut self, command: &str, mut parameters: Value) -> Value {
        parameters["command"] = command.into();
        writeln!(self.commands.as_ref().unwrap(), "{parameters}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{command}: {error}: '{line}'"));
        assert_eq!(answer.get("error"), None, "{command}");
        answer["value"].clone()
    }

    pub fn do_not_track(&mut self) {
        self.send("doNotTrack", json!({}));
    }

    /// Opens a tab with a page that has `session.js`; `options` are the script's data attributes. Every browser here is an
    /// automated one, and says so.
    pub fn open(&mut self, tab: &str, mut options: Value) {
        options["count-automated"] = "".into();
        self.send("open", json!({ "tab": tab, "path": "/", "options": options }));
    }

    /// Opens a tab with a page of this content; `before` is a script that runs before any of the page's.
    pub fn open_page(&mut self, tab: &str, html: &str, before: &str) {
        let options = json!({ "html": html });
        self.send(
            "open",
            json!({ "tab": tab, "path": "/page", "options": options, "before": before }),
        );
    }

    pub fn close(&mut self, tab: &str) {
        self.send("close", json!({ "tab": tab }));
    }

    /// What the pages wrote to the console since this was last asked, one line a message.
    pub fn said(&mut self) -> String {
        let said = self.send("said", json!({}));
        let lines = said.as_array().unwrap().iter().map(|line| line.as_str().unwrap());
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Opens a tab with a page that has Sentry's SDK.
    pub fn open_sentry(&mut self, tab: &str, dsn: &str) {
        let options = json!({ "dsn": dsn });
        self.send(
            "open",
            json!({ "tab": tab, "path": "/sentry", "options": options }),
        );
    }

    pub fn reload(&mut self, tab: &str) {
        self.send("reload", json!({ "tab": tab }));
    }

    /// Goes to a page that reports nothing.
    pub fn leave(&mut self, tab: &str) {
        self.send("leave", json!({ "tab": tab }));
    }

    pub fn click(&mut self, tab: &str) {
        self.send("click", json!({ "tab": tab }));
    }

    /// Moves the browser's clock.
    pub fn pass(&mut self, seconds: u32) {
        self.send("pass", json!({ "seconds": seconds }));
    }

    pub fn offline(&mut self, on: bool) {
        self.send("offline", json!({ "on": on }));
    }

    pub fn evaluate(&mut self, tab: &str, expression: &str) -> Value {
        self.send("evaluate", json!({ "tab": tab, "expression": expression }))
    }

    /// What the pages logged as errors, refusals by their policy among them.
    pub fn errors(&mut self) -> Value {
        self.send("errors", json!({}))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let mut commands = self.commands.take().unwrap();
        if std::thread::panicking() && writeln!(commands, "{}", json!({ "command": "happened" })).is_ok() {
            let mut line = String::new();
            let _ = self.answers.read_line(&mut line);
            eprintln!("what the browser asked for: {line}");
        }
        // At the end of its input the driver closes the browser, which leaves nothing behind then.
        drop(commands);
        let _ = self.child.wait();
    }
}

/// What a browser is driven with; installed once where it is missing.
struct Tools {
    chromium: PathBuf,
    modules: PathBuf,
    /// Sentry's SDK and the page's script that uses it, in one file.
    sentry: PathBuf,
}

static TOOLS: LazyLock<Tools> = LazyLock::new(|| {
    let modules = packages::node("tests/suite/browser");
    let sentry = modules.join("sentry-bundle.js");
    let mut esbuild = Command::new(modules.join("node_modules/.bin/esbuild"));
    esbuild
        .arg(packages::source("tests/suite/browser/sentry.js"))
        .args(["--bundle", "--minify"])
        .arg(format!("--outfile={}", sentry.display()))
        .env("NODE_PATH", modules.join("node_modules"));
    packages::run("this test needs esbuild, which it installed", &mut esbuild);
    Tools {
        chromium: packages::program(&BROWSERS, "chromium"),
        modules,
        sentry,
    }
});
