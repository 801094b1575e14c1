//! What is measured, with bounded memory: histograms have fixed buckets, and labels come from closed lists or, for apps,
//! end in `other`.

mod process;
mod recent_refusals;
mod refusal;
mod text;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use self::recent_refusals::{RecentRefusal, RecentRefusals, RefusedRecording};
pub use self::refusal::Reason;
pub use self::text::Form;
use crate::model::AppId;
use crate::store::Usage;

/// Apps that have a series of their own; sessions of all further ones are counted together.
const MAX_APPS: usize = 1_000;
/// The label of those.
const OTHER_APPS: &str = "other";

/// A finished request. `route` is the route's pattern, never the path that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Request {
    /// For example `/sessions/data_series`, or `none`.
    pub route: String,
    /// A method that HTTP defines, or `other`.
    pub method: &'static str,
    /// HTTP status.
    pub status: u16,
}

/// By route only: a histogram for each status would be many.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Route {
    /// As in [`Request`].
    pub route: String,
}

/// What became of delivered sessions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    /// `recorded`, `duplicate` or `refused`.
    pub outcome: OutcomeKind,
}

/// See [`Outcome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types, reason = "the names are label values")]
pub enum OutcomeKind {
    /// Counted for the first time.
    recorded,
    /// Delivered again.
    duplicate,
    /// Not valid.
    refused,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedRequest {
    reason: Reason,
}

/// Why a session was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedSession {
    /// From a closed list.
    reason: &'static str,
}

/// The app of recorded sessions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct App {
    /// An id, or `other`.
    app_id: String,
}

/// All metrics of a process and the registries that name them.
pub struct Metrics {
    registry: Registry,
    /// What the operating system knows, under names of its own.
    process: Registry,
    refused_requests: Family<RefusedRequest, Counter>,
    refused_sessions: Family<RefusedSession, Counter>,
    app_sessions: Family<App, Counter>,
    apps: Mutex<HashMap<AppId, Counter>>,
    requests: Family<Request, Counter>,
    latency: Family<Route, Histogram, fn() -> Histogram>,
    sessions: Family<Outcome, Counter>,
    /// Sessions that wait for a commit.
    pub queued_sessions: Gauge,
    /// Seconds a commit takes, the disk's acknowledgement included.
    pub commit_seconds: Histogram,
    /// Seconds that the last commit took; 0 before there is one.
    pub last_commit_seconds: Gauge<f64, AtomicU64>,
    /// Sessions in a commit.
    pub commit_sessions: Histogram,
    /// Commits that failed.
    pub commit_failures: Counter,
    /// Connections that were closed at once, since their address had too many.
    pub connections_refused: Counter,
    /// Log lines that were dropped, since nobody read them fast enough.
    pub log_lines_dropped: Counter,
    /// What was refused of late, told to people and not to scrapers.
    pub recent_refusals: RecentRefusals,
    store_bytes: Gauge,
    journal_bytes: Gauge,
    checkpoint_failures: Counter,
    checks: Counter,
    findings: Counter,
    being_counted: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        // 50 µs to about 26 s: a cached series at one end, a request at its time limit at the other.
        let latency: Family<Route, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_05, 2.0, 20)));
        let mut metrics = Self {
            registry: Registry::with_prefix("sessionmeter"),
            process: Registry::default(),
            refused_requests: Family::default(),
            refused_sessions: Family::default(),
            app_sessions: Family::default(),
            apps: Mutex::default(),
            requests: Family::default(),
            latency,
            sessions: Family::default(),
            queued_sessions: Gauge::default(),
            commit_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            last_commit_seconds: Gauge::default(),
            commit_sessions: Histogram::new(exponential_buckets(1.0, 4.0, 9)),
            commit_failures: Counter::default(),
            store_bytes: Gauge::default(),
            connections_refused: Counter::default(),
            log_lines_dropped: Counter::default(),
            recent_refusals: RecentRefusals::default(),
            journal_bytes: Gauge::default(),
            checkpoint_failures: Counter::default(),
            checks: Counter::default(),
            findings: Counter::default(),
            being_counted: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        self.process
            .register_collector(Box::new(process::Process::starting()));
        let registry = &mut self.registry;
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The program that runs", Info::new(version));
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from a request's head to its answer",
            Unit::Seconds,
            self.latency.clone(),
        );
        registry.register(
            "sessions",
            "Sessions delivered, by what became of them",
            self.sessions.clone(),
        );
        registry.register(
            "app_sessions",
            "Sessions recorded for the first time, by app",
            self.app_sessions.clone(),
        );
        registry.register(
            "refused_requests",
            "Requests answered with an error, by its reason",
            self.refused_requests.clone(),
        );
        registry.register(
            "refused_sessions",
            "Sessions that were refused, by the field that was wrong",
            self.refused_sessions.clone(),
        );
        registry.register(
            "queued_sessions",
            "Sessions that wait for a commit",
            self.queued_sessions.clone(),
        );
        registry.register_with_unit(
            "commit_duration",
            "Time a commit takes, the disk's acknowledgement included",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        registry.register_with_unit(
            "last_commit_duration",
            "Time that the last commit took",
            Unit::Seconds,
            self.last_commit_seconds.clone(),
        );
        registry.register(
            "commit_sessions",
            "Sessions in a commit",
            self.commit_sessions.clone(),
        );
        registry.register(
            "commit_failures",
            "Commits that failed",
            self.commit_failures.clone(),
        );
        registry.register_with_unit(
            "store_size",
            "Size of the store on disk",
            Unit::Bytes,
            self.store_bytes.clone(),
        );
        registry.register_with_unit(
            "store_journal",
            "What is in the journal and not in the database yet",
            Unit::Bytes,
            self.journal_bytes.clone(),
        );
        registry.register(
            "store_checkpoint_failures",
            "Times that the journal could not be moved into the database",
            self.checkpoint_failures.clone(),
        );
        registry.register(
            "store_checks",
            "Checks of the store made in the background",
            self.checks.clone(),
        );
        registry.register(
            "store_findings",
            "What checks and readers found damaged or wrong in the store",
            self.findings.clone(),
        );
        registry.register(
            "store_sessions_being_counted",
            "Sessions of days that are being counted or wait for it",
            self.being_counted.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections that were closed at once, since their address had too many",
            self.connections_refused.clone(),
        );
        registry.register(
            "log_lines_dropped",
            "Log lines that were dropped, since standard error was not read fast enough",
            self.log_lines_dropped.clone(),
        );
        for outcome in [
            OutcomeKind::recorded,
            OutcomeKind::duplicate,
            OutcomeKind::refused,
        ] {
            // Shown as 0 from the first scrape on: what appears later with a number has not risen, for a scraper.
            drop(self.sessions.get_or_create(&Outcome { outcome }));
        }
        for reason in Reason::ALL {
            drop(self.refused_requests.get_or_create(&RefusedRequest { reason }));
        }
    }

    /// Notes an answered request.
    pub fn request(&self, request: &Request, seconds: f64) {
        let route = Route {
            route: request.route.clone(),
        };
        self.latency.get_or_create(&route).observe(seconds);
        self.requests.get_or_create(request).inc();
    }

    /// Notes what the store says about itself; its counters only grow.
    pub fn usage(&self, usage: &Usage) {
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.store_bytes.set(gauge(usage.bytes));
        self.journal_bytes.set(gauge(usage.journal_bytes));
        self.being_counted.set(gauge(usage.being_counted));
        for (counter, number) in [
            (&self.checkpoint_failures, usage.checkpoint_failures),
            (&self.checks, usage.checks),
            (&self.findings, usage.findings),
        ] {
            counter.inner().store(number, Ordering::Relaxed);
        }
    }

    /// Notes delivered sessions.
    pub fn sessions(&self, outcome: OutcomeKind, count: u64) {
        if count > 0 {
            self.sessions.get_or_create(&Outcome { outcome }).inc_by(count);
        }
    }

    /// Notes sessions of an app that were counted for the first time.
    pub fn app_sessions(&self, app: AppId, count: u64) {
        let mut apps = self.apps.lock();
        if let Some(counter) = apps.get(&app) {
            counter.inc_by(count);
            return;
        }
        let has_room = apps.len() < MAX_APPS;
        let app_id = if has_room {
            app.to_string()
        } else {
            OTHER_APPS.to_owned()
        };
        let counter = self.app_sessions.get_or_create_owned(&App { app_id });
        counter.inc_by(count);
        if has_room {
            apps.insert(app, counter);
        }
    }

    /// Notes a request that was answered with an error.
    pub fn refused_request(&self, reason: Reason) {
        self.refused_requests
            .get_or_create(&RefusedRequest { reason })
            .inc();
    }

    /// Shows the reasons for which sessions may be refused as 0, before there are any.
    pub fn show_refused_sessions(&self, reasons: impl IntoIterator<Item = &'static str>) {
        for reason in reasons {
            drop(self.refused_sessions.get_or_create(&RefusedSession { reason }));
        }
    }

    /// Notes a session that was refused, and which of its fields was wrong, from a closed list.
    pub fn refused_session(&self, reason: &'static str) {
        self.sessions(OutcomeKind::refused, 1);
        self.refused_sessions
            .get_or_create(&RefusedSession { reason })
            .inc();
    }

    /// Everything, in one of the text forms that scrapers read.
    ///
    /// # Errors
    /// Only if formatting into memory fails.
    pub fn render(&self, form: Form) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &self.process)?;
        encode_eof(&mut text)?;
        match form {
            Form::OpenMetrics => Ok(text),
            Form::Prometheus => Ok(text::to_prometheus(&text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_apps_are_counted_together() {
        let metrics = Metrics::new();
        let first = AppId::random();
        metrics.app_sessions(first, 2);
        for _ in 1..MAX_APPS + 2 {
            metrics.app_sessions(AppId::random(), 1);
        }
        metrics.app_sessions(first, 3);
        let text = metrics.render(Form::OpenMetrics).unwrap();
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("sessionmeter_app_sessions_total"))
            .collect();
        assert_eq!(lines.len(), MAX_APPS + 1);
        let of =
            |app: &str, count: u64| format!("sessionmeter_app_sessions_total{{app_id=\"{app}\"}} {count}");
        assert!(lines.contains(&of(&first.to_string(), 5).as_str()));
        assert!(lines.contains(&of(OTHER_APPS, 2).as_str()));
    }
}
