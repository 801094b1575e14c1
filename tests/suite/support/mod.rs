//! The real binary, started on free ports, and a client for it.

pub mod catalog;
pub mod clickhouse;
pub mod faults;
pub mod gate;
pub mod memory;
pub mod packages;
pub mod random;
pub mod stored;

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use sessionmeter::store::{Place, Role, Store};
use tempfile::TempDir;

/// How a server is started, but for its store.
const SERVE: [&str; 4] = ["serve", "--json", "--ops-listen", "127.0.0.1:0"];
/// A free port.
const ANYWHERE: &str = "--listen=127.0.0.1:0";

/// A server over a store; killed when dropped.
pub struct Server {
    child: Child,
    log: Arc<Mutex<String>>,
    client: Client,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// Of the second listener.
    pub ops: String,
    /// The store's directory.
    pub data: PathBuf,
    /// All permissions, in the workspace `default`.
    pub key: String,
    /// The app `default`.
    pub app: String,
    /// The workspace `default`.
    pub workspace: String,
    _temporary: Option<TempDir>,
}

/// A finished answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().unwrap(),
        }
    }
}

impl Server {
    /// Over an empty store in a temporary directory.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with more arguments for `serve`.
    pub fn start_with(arguments: &[&str]) -> Self {
        let temporary = TempDir::new().unwrap();
        let mut server = Self::start_on(&temporary.path().join("store"), arguments);
        server._temporary = Some(temporary);
        server
    }

    /// Over a store that may have been there before; then `key`, `app` and `workspace` are empty.
    pub fn start_on(data: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command
            .args(SERVE)
            .arg(ANYWHERE)
            .args(store_arguments(data))
            .args(arguments);
        Self::launch(command, data)
    }

    /// On the address of one that was killed.
    pub fn start_at(address: &str, data: &Path) -> Self {
        let mut command = Command::new(binary());
        command
            .args(SERVE)
            .args(["--listen", address])
            .args(store_arguments(data));
        Self::launch(command, data)
    }

    /// Over a store that is named in the environment.
    pub fn start_over(store: &str) -> Self {
        let mut command = Command::new(binary());
        command.env("SESSIONMETER_STORE", store).args(SERVE).arg(ANYWHERE);
        Self::launch(command, Path::new(""))
    }

    /// The same, with limits that a shell sets first, such as `ulimit -f 1000; trap "" XFSZ`.
    pub fn start_limited(data: &Path, limits: &str) -> Self {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{limits}; exec \"$0\" \"$@\""), binary()])
            .args(SERVE)
            .arg(ANYWHERE)
            .args(store_arguments(data));
        Self::launch(command, data)
    }

    fn launch(mut command: Command, data: &Path) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The log must be read, or the server would wait when the pipe is full.
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let kept = log.clone();
        let reading = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let announced: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            reading.join().unwrap();
            panic!("the server did not start: {line}{}", log.lock().unwrap())
        });
        let text = |name: &str| announced[name].as_str().unwrap_or_default().to_owned();
        Self {
            child,
            log,
            client: Client::builder().no_proxy().build().unwrap(),
            url: format!("http://{}", text("listen")),
            ops: format!("http://{}", text("ops_listen")),
            data: data.to_owned(),
            key: text("key"),
            app: text("app_id"),
            workspace: text("workspace_id"),
            _temporary: None,
        }
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// What was logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A GET with the server's key.
    pub fn get(&self, path: &str) -> Answer {
        self.get_as(path, &self.key)
    }

    pub fn get_as(&self, path: &str, key: &str) -> Answer {
        send(self.client.get(format!("{}{path}", self.url)).bearer_auth(key))
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> u64 {
        let text = send(self.client.get(format!("{}/metrics", self.ops))).text;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("sessionmeter_{name} ")));
        value
            .unwrap_or_else(|| panic!("{name} is not in\n{text}"))
            .parse()
            .unwrap()
    }

    /// The counts of a series.
    pub fn counts(&self, query: &str) -> Vec<u64> {
        let answer = self.get(&format!("/sessions/data_series?{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body = answer.json();
        body["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|point| point["sessions"].as_u64().unwrap())
            .collect()
    }

    /// Records one JSON body with the server's key.
    pub fn track(&self, body: &Value) -> Answer {
        send(
            self.client
                .post(format!("{}/sessions/track", self.url))
                .bearer_auth(&self.key)
                .json(body),
        )
    }

    /// Records one body; an error if the server went away.
    pub fn try_track(&self, content_type: &str, body: impl Into<Vec<u8>>) -> Result<Answer, reqwest::Error> {
        let response = self
            .client
            .post(format!("{}/sessions/track", self.url))
            .bearer_auth(&self.key)
            .header("content-type", content_type)
            .body(body.into())
            .send()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text()?;
        Ok(Answer {
            status,
            headers,
            text,
        })
    }

    /// Records sessions and expects success.
    pub fn record(&self, sessions: &[Value]) -> Answer {
        let answer = self.track(&json!({ "sessions": sessions }));
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer
    }

    /// A session of the app `default`.
    pub fn session(&self, session_id: &str, started_at: impl Into<Value>) -> Value {
        json!({ "app_id": self.app, "session_id": session_id, "started_at": started_at.into() })
    }

    /// Runs a command on the same store and expects success; its JSON.
    pub fn command(&self, arguments: &[&str]) -> Value {
        command(&self.data, arguments)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; the exit code.
    pub fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// SIGTERM, and the store's temporary directory, which lives on until it is dropped.
    pub fn keep_directory(mut self) -> TempDir {
        let kept = self._temporary.take().unwrap();
        assert_eq!(self.stop(), Some(0));
        kept
    }

    /// SIGKILL, and the same.
    pub fn kill_and_keep_directory(mut self) -> TempDir {
        let kept = self._temporary.take().unwrap();
        self.kill();
        kept
    }

    /// SIGTERM; the exit code.
    pub fn stop(mut self) -> Option<i32> {
        terminate(self.child.id());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self._temporary.is_some() {
            clickhouse::remove(&self.data);
        }
    }
}

/// The store that stands for a directory: the directory itself, or a database on the ClickHouse cluster that
/// the module `clickhouse` runs the tests against.
pub fn store_arguments(data: &Path) -> [OsString; 2] {
    match clickhouse::address(data) {
        Some(address) => ["--store".into(), address.into()],
        None => ["--data".into(), data.into()],
    }
}

/// Opens the store that stands for a directory, in this process.
pub async fn open(data: &Path) -> Arc<dyn Store> {
    let place = match clickhouse::address(data) {
        Some(address) => Place::read(&address).unwrap(),
        None => Place::Directory(data.to_owned()),
    };
    place.open(Role::Server).await.unwrap()
}

/// Sends SIGTERM.
pub fn terminate(id: u32) {
    signal(id, "TERM");
}

/// Sends a signal, which is named without `SIG`.
pub fn signal(id: u32, name: &str) {
    let arguments = ["-s".to_owned(), name.to_owned(), id.to_string()];
    let status = Command::new("kill").args(arguments).status().unwrap();
    assert!(status.success());
}

pub fn send(request: RequestBuilder) -> Answer {
    request.send().unwrap().into()
}

pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_sessionmeter")
}

/// Runs a command on a store.
pub fn run(data: &Path, arguments: &[&str]) -> Output {
    Command::new(binary())
        .args(store_arguments(data))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Begins a command of which nobody hears.
pub fn spawned(data: &Path, arguments: &[&str]) -> Child {
    Command::new(binary())
        .args(store_arguments(data))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Runs a command with `--json` and expects success; what it printed.
pub fn command(data: &Path, arguments: &[&str]) -> Value {
    let output = run(data, &[arguments, &["--json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// Waits for a condition, for at most a minute. Looks a hundred times a second: whoever brings it about needs the
/// processor too.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !condition() {
        assert!(
            std::time::Instant::now() < deadline,
            "{what} did not happen within a minute"
        );
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
}

/// Sends bytes on a connection of their own, ends that direction if asked to, and reads whatever comes back until
/// the server closes: ask for `connection: close`. `None` where there is no answer.
pub fn raw(address: &str, request: &[u8], half_close: bool) -> Option<Answer> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(30)))
        .unwrap();
    // The server may refuse and close while this still writes; what it said can be read all the same.
    let _ = stream.write_all(request);
    if half_close {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received);
    let received = String::from_utf8(received).unwrap();
    let (head, text) = received.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = reqwest::header::HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name = reqwest::header::HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, value.parse().unwrap());
    }
    Some(Answer {
        status,
        headers,
        text: text.to_owned(),
    })
}
