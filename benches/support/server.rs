//! The real binary over a store in a temporary directory.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{bodies, lines, load};

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
    _directory: Option<tempfile::TempDir>,
}

impl Store {
    pub fn create() -> Self {
        let directory = tempfile::TempDir::new().unwrap();
        let data = directory.path().join("store");
        Self::create_at(data, Some(directory))
    }

    /// In a directory, or at the address of an empty ClickHouse database.
    pub fn create_at(data: PathBuf, directory: Option<tempfile::TempDir>) -> Self {
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

    /// With this many deliveries imported.
    pub fn filled(total: u64) -> Self {
        let store = Self::create();
        store.import(lines(&store.apps, total).path());
        store
    }

    /// Deliveries a second that `POST /sessions/track` acknowledges, and how many in a second of the server's processor time.
    pub fn record_over_http(&self, total: u64, connections: usize) -> (f64, f64) {
        let server = self.serve();
        let bodies = bodies(&self.apps, total);
        let next = AtomicUsize::new(0);
        let started = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..connections {
                scope.spawn(|| {
                    let mut connection = load::Connection::open(&server.address);
                    while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let (status, answer) =
                            connection.exchange(&load::post_lines(&self.key, body.len()), body);
                        assert_eq!(status, 201, "{}", String::from_utf8_lossy(answer));
                    }
                });
            }
        });
        let elapsed = started.elapsed().as_secs_f64();
        (total as f64 / elapsed, total as f64 / server.cpu())
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
                "--store",
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

impl Server {
    /// Seconds of processor time that it has used.
    pub fn cpu(&self) -> f64 {
        cpu(&format!("/proc/{}/stat", self.child.id()), 13)
    }

    /// Asks it to stop; how long that took.
    pub fn stop(mut self) -> Duration {
        let started = Instant::now();
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        self.child.wait().unwrap();
        started.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

static BINARY: Mutex<Option<PathBuf>> = Mutex::new(None);

/// From now on another binary is measured; `None`: that which `BINARY` names, or the one that was built with the benchmark.
pub fn measure(binary: Option<PathBuf>) {
    *BINARY.lock().unwrap() = binary;
}

pub fn binary() -> PathBuf {
    let other = BINARY.lock().unwrap().clone();
    let named = || std::env::var_os("BINARY").map(PathBuf::from);
    other
        .or_else(named)
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_sessionmeter").into())
}

/// Seconds of processor time of all commands that have ended.
pub fn commands_cpu() -> f64 {
    cpu("/proc/self/stat", 15)
}

/// Two neighbouring fields of the kernel's file of a process, numbered from 0: user and system time.
fn cpu(file: &str, first: usize) -> f64 {
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(file).unwrap();
    // The name of the program may have spaces in it.
    let (_, behind) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = behind.split_whitespace().collect();
    let ticks = |field: usize| fields[field - 2].parse::<f64>().unwrap();
    (ticks(first) + ticks(first + 1)) / TICKS
}

pub fn command(data: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(binary())
        .arg("--store")
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
