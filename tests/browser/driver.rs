//! The Rust end of `driver.mjs`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

const PLAYWRIGHT: &str = "playwright-core@1.65.1";
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A browser with a profile of its own; closed when dropped.
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Browser {
    /// For pages that use the script of the product at `url`.
    pub fn start(url: &str) -> Self {
        let (chromium, modules) = installed();
        let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/driver.mjs");
        let mut child = Command::new("node")
            .arg(driver)
            .arg(url)
            .arg(chromium)
            .arg(modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        Self {
            commands: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn send(&mut self, command: &str, mut parameters: Value) -> Value {
        parameters["command"] = command.into();
        writeln!(self.commands, "{parameters}").unwrap();
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

    /// Opens a tab with a page; `options` are the script's data attributes.
    pub fn open(&mut self, tab: &str, options: Value) {
        self.send("open", json!({ "tab": tab, "options": options }));
    }

    pub fn reload(&mut self, tab: &str) {
        self.send("reload", json!({ "tab": tab }));
    }

    /// Goes to another site.
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
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The browser's program, and the directory that has Playwright; installed once where they are missing.
fn installed() -> &'static (PathBuf, PathBuf) {
    static INSTALLED: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    INSTALLED.get_or_init(|| (chromium(), playwright()))
}

fn chromium() -> PathBuf {
    if let Some(found) = find(&BROWSERS) {
        return found;
    }
    // On a fresh Debian or Ubuntu this is how to get one; elsewhere the message below says what is needed.
    for arguments in [&["update"][..], &["install", "-y", "--no-install-recommends", "chromium"]] {
        let _ = Command::new("apt-get").args(arguments).stdout(Stdio::null()).status();
    }
    find(&BROWSERS).expect("these tests need Chromium: install it, for example with 'apt-get install chromium'")
}

fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .flat_map(|directory| names.iter().map(move |name| directory.join(name)))
        .find(|program| program.is_file())
}

fn playwright() -> PathBuf {
    find(&["node"]).expect("these tests need Node.js: install it, for example with 'apt-get install nodejs npm'");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("playwright");
    if !directory.join("node_modules/playwright-core/package.json").exists() {
        std::fs::create_dir_all(&directory).unwrap();
        let output = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--prefix"])
            .arg(&directory)
            .arg(PLAYWRIGHT)
            .output()
            .expect("these tests need npm");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "npm could not install {PLAYWRIGHT}: {errors}");
    }
    directory
}
