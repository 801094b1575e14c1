//! What the operating system knows about this process, under the names that Prometheus' own clients use. Read from
//! `/proc` at each scrape; where there is none, these metrics are missing.

use std::fmt;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Linux counts times of processes in hundredths of a second, on every architecture (`USER_HZ`).
const TICKS: f64 = 100.0;
const KIB: i64 = 1024;

/// Reads `/proc/self` whenever somebody asks.
#[derive(Debug)]
pub(super) struct Process {
    started: SystemTime,
}

impl Process {
    /// Of a process that starts now.
    pub(super) fn starting() -> Self {
        Self {
            started: SystemTime::now(),
        }
    }
}

/// What was found; a file that can't be read leaves its values out.
#[derive(Debug)]
struct Found {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<i64>,
    virtual_bytes: Option<i64>,
    threads: Option<i64>,
    open_files: Option<i64>,
    max_files: Option<i64>,
}

impl Found {
    fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let stat = read("/proc/self/stat");
        let status = read("/proc/self/status");
        let ticks = |field: usize| stat_field(&stat, field).map(|ticks| ticks / TICKS);
        let kib = |name: &str| first_number(&status, name).map(|kib| kib * KIB);
        Self {
            cpu_seconds: ticks(14).zip(ticks(15)).map(|(user, system)| user + system),
            resident_bytes: kib("VmRSS:"),
            virtual_bytes: kib("VmSize:"),
            threads: first_number(&status, "Threads:"),
            // The directory is being read through a descriptor of its own.
            open_files: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|files| files.count() as i64 - 1),
            max_files: first_number(&read("/proc/self/limits"), "Max open files"),
        }
    }
}

/// A field of `/proc/self/stat`, counted from 1. The second is the program's name in brackets, which may hold anything.
fn stat_field(stat: &str, field: usize) -> Option<f64> {
    let (_, behind_the_name) = stat.rsplit_once(')')?;
    let after = field.checked_sub(3)?;
    behind_the_name.split_ascii_whitespace().nth(after)?.parse().ok()
}

/// The first number on the line that begins with `name`.
fn first_number(text: &str, name: &str) -> Option<i64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let found = Found::now();
        if let Some(seconds) = found.cpu_seconds {
            let help = "Processor time used, user and system.";
            let kind = MetricType::Counter;
            let metric = encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), kind)?;
            ConstCounter::new(seconds).encode(metric)?;
        }
        if let Ok(since_1970) = self.started.duration_since(UNIX_EPOCH) {
            let help = "When the process started, in seconds since 1970.";
            let kind = MetricType::Gauge;
            let metric = encoder.encode_descriptor("process_start_time", help, Some(&Unit::Seconds), kind)?;
            ConstGauge::new(since_1970.as_secs_f64()).encode(metric)?;
        }
        let gauges = [
            (
                "process_resident_memory",
                "Memory in use.",
                Some(Unit::Bytes),
                found.resident_bytes,
            ),
            (
                "process_virtual_memory",
                "Address space in use.",
                Some(Unit::Bytes),
                found.virtual_bytes,
            ),
            ("process_threads", "Threads.", None, found.threads),
            (
                "process_open_fds",
                "Open file descriptors.",
                None,
                found.open_files,
            ),
            (
                "process_max_fds",
                "File descriptors that may be open.",
                None,
                found.max_files,
            ),
        ];
        for (name, help, unit, value) in gauges {
            if let Some(value) = value {
                let metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
                ConstGauge::new(value).encode(metric)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_s_name_may_hold_anything() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 1234 99 5 1";
        assert_eq!(stat_field(stat, 14), Some(250.0));
        assert_eq!(stat_field(stat, 15), Some(50.0));
        assert_eq!(stat_field("7 (cut", 14), None);
        assert_eq!(stat_field("7 (cut) S", 14), None);
    }

    #[test]
    fn a_limit_that_is_no_number_is_left_out() {
        let limits =
            "Limit  Soft Limit  Hard Limit\nMax open files            unlimited   unlimited  files\n";
        assert_eq!(first_number(limits, "Max open files"), None);
        assert_eq!(first_number("VmRSS:\t  5120 kB\n", "VmRSS:"), Some(5120));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn everything_is_found_on_linux() {
        let found = Found::now();
        assert!(found.cpu_seconds.is_some_and(|seconds| seconds >= 0.0));
        assert!(found.resident_bytes.is_some_and(|bytes| bytes > 100_000));
        assert!(found.virtual_bytes >= found.resident_bytes);
        assert!(found.threads.is_some_and(|threads| threads > 0));
        assert!(found.open_files.is_some_and(|files| files > 2), "{found:?}");
    }
}
