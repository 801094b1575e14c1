//! Whether one workspace's segments slow another's recording: how long single sessions of one wait for their acknowledgement
//! while 25 segments of 63 conditions each are evaluated over 200,000 combinations of properties of another, which records
//! as well, beside how long they wait without; and how long the server takes to stop in the middle of that.
//!
//! `cargo bench --bench fairness`; `ROUNDS` (5) and `SECONDS` (4) change the size.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod support;

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::load::{self, Connection};
use support::server::{Server, Store, command};
use support::{FIRST_SECOND, median, mix, setting};

const SEGMENTS: usize = 25;
const CONDITIONS: usize = 63;
const COMBINATIONS: u64 = 200_000;
/// Days over which the heavy workspace's sessions are spread, and sessions of each combination.
const DAYS: i64 = 60;
const EACH: u64 = 2;

fn main() {
    let rounds = setting("ROUNDS", 5);
    let span = Duration::from_secs(setting("SECONDS", 4));
    let store = Store::create();
    let heavy = Heavy::create(&store);
    let (mut ratios, mut stops) = (vec![], vec![]);
    for round in 1..=rounds {
        let server = store.serve();
        let alone = latencies(&server, &store, round * 2, span);
        let (beside, answers) = heavy.beside(&server, || latencies(&server, &store, round * 2 + 1, span));
        heavy.ask_and_leave(&server);
        let stopped = server.stop();
        let at = |sorted: &[f64], part: f64| sorted[(sorted.len() as f64 * part) as usize];
        println!(
            "round {round}: p50 {:.2} and {:.2} ms, p99 {:.2} and {:.2} ms, most {:.1} and {:.1} ms; {answers} answers for \
             segments; stopped in {:.2} s",
            at(&alone, 0.5),
            at(&beside, 0.5),
            at(&alone, 0.99),
            at(&beside, 0.99),
            alone[alone.len() - 1],
            beside[beside.len() - 1],
            stopped.as_secs_f64()
        );
        ratios.push(at(&beside, 0.99) / at(&alone, 0.99));
        stops.push(stopped.as_secs_f64());
    }
    println!(
        "p99 of recording beside heavy segments of another workspace: {:.2} of without (at most 1.5)",
        median(ratios)
    );
    println!(
        "stopping in the middle of it: {:.2} s at most (at most 10)",
        stops.into_iter().fold(0.0, f64::max)
    );
}

/// A workspace whose segments take long.
struct Heavy {
    app: String,
    key: String,
    segments: Vec<String>,
}

impl Heavy {
    fn create(store: &Store) -> Self {
        let run = |arguments: &[&str]| command(&store.data, arguments);
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        run(&["workspace", "create", "heavy"]);
        run(&["workspace", "set-rate-limit", "heavy", "0", "--recording", "0"]);
        let app = text(&run(&["app", "create", "app", "--workspace", "heavy"])["id"]);
        let key = text(
            &run(&[
                "key",
                "create",
                "k",
                "--workspace",
                "heavy",
                "--permission",
                "all",
            ])["key"],
        );
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut lines = Vec::new();
        for number in 0..COMBINATIONS * EACH {
            write_line(&mut lines, &app, number);
        }
        file.write_all(&lines).unwrap();
        run(&["import", file.path().to_str().unwrap(), "--workspace", "heavy"]);
        let segments = (0..SEGMENTS).map(|number| {
            let name = format!("heavy {number}");
            let filter = filter(number);
            text(
                &run(&[
                    "segment",
                    "create",
                    &name,
                    "--workspace",
                    "heavy",
                    "--filter",
                    &filter,
                ])["id"],
            )
        });
        let segments = segments.collect();
        Self { app, key, segments }
    }

    /// Runs `work` while all segments are asked for and sessions with ever new combinations are recorded; how many answers
    /// came.
    fn beside<T>(&self, server: &Server, work: impl FnOnce() -> T) -> (T, u64) {
        let (is_over, answers) = (AtomicBool::new(false), AtomicU64::new(0));
        let value = std::thread::scope(|scope| {
            for segment in &self.segments {
                let (is_over, answers) = (&is_over, &answers);
                scope.spawn(move || {
                    let request = self.series(segment);
                    let mut connection = Connection::open(&server.address);
                    while !is_over.load(Ordering::Relaxed) {
                        let (status, _) = connection.exchange(&request, b"");
                        assert!(status == 200 || status == 503, "{status}");
                        answers.fetch_add(u64::from(status == 200), Ordering::Relaxed);
                        std::thread::sleep(Duration::from_millis(100));
                    }
                });
            }
            let recording = &is_over;
            scope.spawn(move || {
                let mut connection = Connection::open(&server.address);
                for round in 0.. {
                    if recording.load(Ordering::Relaxed) {
                        break;
                    }
                    let mut body = Vec::new();
                    for number in 0..50 {
                        write_line(&mut body, &self.app, COMBINATIONS * EACH + round * 50 + number);
                    }
                    let request = load::post_lines(&self.key, body.len());
                    assert_eq!(connection.exchange(&request, &body).0, 201);
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let value = work();
            is_over.store(true, Ordering::Relaxed);
            value
        });
        (value, answers.load(Ordering::Relaxed))
    }

    /// Asks for every segment and does not wait for the answers.
    fn ask_and_leave(&self, server: &Server) {
        for segment in &self.segments {
            let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
            stream.write_all(&self.series(segment)).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn series(&self, segment: &str) -> Vec<u8> {
        let path = format!("/sessions/data_series?length=100&ending_at=2024-04-09&segment_id={segment}");
        load::get(&path, &self.key)
    }
}

/// A session with a combination of its own but for its repetitions.
fn write_line(out: &mut Vec<u8>, app: &str, number: u64) {
    let combination = number % COMBINATIONS + number / (COMBINATIONS * EACH) * number;
    let started_at = FIRST_SECOND + (mix(number) % (DAYS * 86_400) as u64) as i64;
    let path = format!("/{:016x}/{:016x}", mix(combination), mix(combination + 1));
    writeln!(
        out,
        r#"{{"app_id":"{app}","session_id":"h{number}","user_id":"u{}","started_at":{started_at},"attributes":{{"path":"{path}"}}}}"#,
        number % 50_000
    )
    .unwrap();
}

/// None of the conditions holds, so that all are looked at.
fn filter(number: usize) -> String {
    let mut text = r#"{"any":["#.to_owned();
    for condition in 0..CONDITIONS {
        let comma = if condition > 0 { "," } else { "" };
        let value = format!("x{number}y{condition}z");
        write!(
            text,
            r#"{comma}{{"field":"attributes.path","op":"contains","value":"{value}"}}"#
        )
        .unwrap();
    }
    text + "]}"
}

/// Milliseconds until single sessions are acknowledged, ascending.
fn latencies(server: &Server, store: &Store, round: u64, span: Duration) -> Vec<f64> {
    let mut connection = Connection::open(&server.address);
    let started = Instant::now();
    let mut latencies = Vec::new();
    while started.elapsed() < span {
        let number = latencies.len();
        let mut body = Vec::new();
        writeln!(
            body,
            r#"{{"app_id":"{}","session_id":"l{round}-{number}","user_id":"u{number}","started_at":{FIRST_SECOND}}}"#,
            store.apps[0]
        )
        .unwrap();
        let request = load::post_lines(&store.key, body.len());
        let asked = Instant::now();
        assert_eq!(connection.exchange(&request, &body).0, 201);
        latencies.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    latencies.sort_by(f64::total_cmp);
    latencies
}
