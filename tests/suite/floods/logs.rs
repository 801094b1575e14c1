//! Output that nobody reads.

use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::support::{binary, eventually, terminate};
use serde_json::Value;
use tempfile::TempDir;

/// Pipes of this size are the operating system's default.
const PIPE: usize = 64 * 1024;

struct Serving {
    child: Child,
    _store: TempDir,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Serving {
    let store = TempDir::new().unwrap();
    let child = Command::new(binary())
        .args([
            "serve",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--ops-listen",
            "127.0.0.1:0",
        ])
        .arg("--data")
        .arg(store.path().join("store"))
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap();
    Serving { child, _store: store }
}

/// A pipe that has no room left.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(&vec![b'\n'; PIPE]).unwrap();
    (reader, writer)
}

/// Sends many requests on one connection and reads as many answers.
fn ask(address: &str, target: &str, count: usize) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut answers = String::new();
    for left in (0..count).rev() {
        let end = if left == 0 { "connection: close\r\n" } else { "" };
        write!(stream, "GET {target} HTTP/1.1\r\nhost: x\r\n{end}\r\n").unwrap();
        if left % 50 == 0 {
            let mut buffer = [0; 65536];
            let length = stream.read(&mut buffer).unwrap();
            answers.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
    }
    stream.read_to_string(&mut answers).unwrap();
    answers
}

#[test]
fn a_log_that_nobody_reads_holds_up_nobody() {
    let (unread, stderr) = pipe().unwrap();
    let mut serving = serve(Stdio::piped(), stderr);
    let mut line = String::new();
    let stdout = serving.child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let announced: Value = serde_json::from_str(&line).unwrap();
    let (api, ops) = (
        announced["listen"].as_str().unwrap(),
        announced["ops_listen"].as_str().unwrap(),
    );
    // More than the pipe and the queue hold together.
    let answers = ask(api, "/nowhere", 12_000);
    assert_eq!(answers.matches("HTTP/1.1 404").count(), 12_000);
    let metrics = ask(ops, "/metrics", 1);
    let dropped = metrics
        .lines()
        .find_map(|line| line.strip_prefix("sessionmeter_log_lines_dropped_total "))
        .unwrap();
    assert!(dropped.trim().parse::<u64>().unwrap() > 0, "{dropped}");
    // When somebody reads again, the log goes on and says what is missing.
    let reading = std::thread::spawn(move || {
        let lines = BufReader::new(unread).lines().map_while(Result::ok);
        let (mut kept, mut told) = (0_u64, 0_u64);
        for line in lines {
            kept += u64::from(line.contains("/nowhere") || line.contains("status=404"));
            if let Some((head, _)) = line.split_once(" log lines were dropped") {
                told += head.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
            }
        }
        (kept, told)
    });
    terminate(serving.child.id());
    assert!(serving.child.wait().unwrap().success());
    let (kept, told) = reading.join().unwrap();
    assert!(told > 0 && kept + told >= 12_000, "{kept} kept, {told} dropped");
}

#[test]
fn a_log_that_is_never_read_does_not_hold_up_the_stop() {
    let (_unread, stderr) = full_pipe();
    let mut serving = serve(Stdio::piped(), stderr);
    let mut line = String::new();
    let stdout = serving.child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert!(line.contains("listen"), "{line}");
    terminate(serving.child.id());
    assert!(serving.child.wait().unwrap().success());
}

/// The announcement can't be written, so that serving never begins; nor can a log line.
#[test]
fn a_stop_ends_whatever_hangs() {
    let (_unread, stdout) = full_pipe();
    let (_unread_either, stderr) = full_pipe();
    let mut serving = serve(stdout, stderr);
    let id = serving.child.id();
    // SIGTERM is 15: its bit among the signals that the process handles.
    eventually("the signal is handled", || {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let handled = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let handled = handled.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
        handled.is_some_and(|bits| bits & (1 << 14) != 0)
    });
    terminate(id);
    assert_eq!(serving.child.wait().unwrap().code(), Some(1));
}
