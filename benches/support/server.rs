//! The real binary over a store in a temporary directory.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub struct Server {
    child: Child,
    pub address: String,
    pub started_in: Duration,
}

/// A store with three apps and a key.
pub struct Store {
    pub data: PathBuf,
    pub apps: Vec<String>,
    pub key: String,
    _directory: tempfile::TempDir,
}

impl Store {
    pub fn create() -> Self {
        let directory = tempfile::TempDir::new().unwrap();
        let data = directory.path().join("store");
        command(
            &data,
            &["workspace", "create", "bench", "--time-zone", "America/New_York"],
        );
        let apps = ["ios", "android", "web"]
            .map(|name| text(&command(&data, &["app", "create", name, "--workspace", "bench"])["id"]))
            .to_vec();
        let arguments = [
            "key",
            "create",
            "bench",
            "--workspace",
            "bench",
            "--permission",
            "all",
        ];
        let key = text(&command(&data, &arguments)["key"]);
        command(
            &data,
            &["workspace", "set-rate-limit", "bench", "0", "--recording", "0"],
        );
        Self {
            data,
            apps,
            key,
            _directory: directory,
        }
    }

    pub fn import(&self, file: &Path) {
        command(
            &self.data,
            &["import", file.to_str().unwrap(), "--workspace", "bench"],
        );
    }

    pub fn serve(&self) -> Server {
        let started = Instant::now();
        let mut child = Command::new(binary())
            .args([
                "serve",
                "--json",
                "--listen",
                "127.0.0.1:0",
                "--ops-listen",
                "off",
                "--log-level",
                "warn",
                "--data",
            ])
            .arg(&self.data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let announced: Value = serde_json::from_str(&line).unwrap();
        Server {
            child,
            address: text(&announced["listen"]),
            started_in: started.elapsed(),
        }
    }
}

impl Server {
    /// Resident memory in bytes, as the kernel counts it.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_sessionmeter")
}

pub fn command(data: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(binary())
        .arg("--data")
        .arg(data)
        .args(arguments)
        .arg("--json")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
