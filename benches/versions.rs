//! This version beside another one, in turns within one run: import, recording over HTTP, hot series, and the first series
//! of a new process.
//!
//! `OTHER=path/to/another/sessionmeter cargo bench --bench versions`; `SESSIONS` (1,000,000), `ROUNDS` (5) and
//! `CONNECTIONS` (4) change the size. Each ratio is of this version's figure to the other's in the same round. On machines
//! where others work too, the processor time says more than the rate.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use support::load;
use support::server::{self, Store};
use support::{lines, median, setting};

const SERIES: &str = "/sessions/data_series?length=100&ending_at=2024-04-09";
const SLICE: Duration = Duration::from_millis(800);

/// What was measured of one version in one round, by its name; more is better.
type Figures = BTreeMap<&'static str, f64>;

fn main() {
    let other = PathBuf::from(std::env::var_os("OTHER").expect("OTHER names another binary"));
    let total = setting("SESSIONS", 1_000_000);
    let rounds = setting("ROUNDS", 5);
    let mut ratios = BTreeMap::<&str, Vec<f64>>::new();
    for round in 1..=rounds {
        // Who begins alternates: the first of a pair warms the disk for the second.
        let binaries = [Some(other.clone()), None];
        let mut figures = [Figures::new(), Figures::new()];
        for turn in 0..2 {
            let which = (turn + round as usize) % 2;
            server::measure(binaries[which].clone());
            figures[which] = measure(total);
        }
        let [before, after] = figures;
        for (name, figure) in &after {
            println!("round {round}: {name}: {:.1} and {figure:.1}", before[name]);
            ratios.entry(name).or_default().push(figure / before[name]);
        }
    }
    println!("this version beside the other, medians of {rounds} rounds of {total} deliveries:");
    for (name, ratios) in ratios {
        println!("  {name}: {:.2}", median(ratios));
    }
}

fn measure(total: u64) -> Figures {
    let mut figures = Figures::new();
    let connections = setting("CONNECTIONS", 4) as usize;
    let http = Store::create();
    let (rate, cpu) = http.record_over_http(total, connections);
    figures.insert("recording over HTTP, sessions/s", rate);
    figures.insert("recording over HTTP, sessions a second of processor time", cpu);
    drop(http);

    let store = Store::create();
    let file = lines(&store.apps, total);
    let (cpu, started) = (server::commands_cpu(), Instant::now());
    store.import(file.path());
    figures.insert(
        "import of NDJSON, sessions/s",
        total as f64 / started.elapsed().as_secs_f64(),
    );
    figures.insert(
        "import of NDJSON, sessions a second of processor time",
        total as f64 / (server::commands_cpu() - cpu),
    );
    drop(file);

    let server = store.serve();
    let series = load::get(SERIES, &store.key);
    let mut connection = load::Connection::open(&server.address);
    let asked = Instant::now();
    assert_eq!(connection.exchange(&series, b"").0, 200);
    figures.insert(
        "first series of a new process, 1/s",
        1.0 / asked.elapsed().as_secs_f64(),
    );
    let before = server.cpu();
    let rate = load::rate(&server.address, &series, 8, SLICE);
    figures.insert("hot series, requests/s", rate);
    figures.insert(
        "hot series, requests a second of processor time",
        rate * SLICE.as_secs_f64() / (server.cpu() - before),
    );
    figures
}
