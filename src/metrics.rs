//! What is measured, with fixed memory: histograms have fixed buckets and labels come from closed lists.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::store::Counting;

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

/// All metrics of a process and the registry that names them.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    latency: Family<Route, Histogram, fn() -> Histogram>,
    sessions: Family<Outcome, Counter>,
    /// Sessions that wait for a commit.
    pub queued_sessions: Gauge,
    /// Seconds a commit takes, the disk's acknowledgement included.
    pub commit_seconds: Histogram,
    /// Sessions in a commit.
    pub commit_sessions: Histogram,
    /// Commits that failed.
    pub commit_failures: Counter,
    /// Bytes of the store on disk.
    pub store_bytes: Gauge,
    segments_being_counted: Gauge,
    segment_sessions_walked: Gauge,
    segment_sessions_to_walk: Gauge,
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
            requests: Family::default(),
            latency,
            sessions: Family::default(),
            queued_sessions: Gauge::default(),
            commit_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            commit_sessions: Histogram::new(exponential_buckets(1.0, 4.0, 9)),
            commit_failures: Counter::default(),
            store_bytes: Gauge::default(),
            segments_being_counted: Gauge::default(),
            segment_sessions_walked: Gauge::default(),
            segment_sessions_to_walk: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
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
        registry.register(
            "segments_being_counted",
            "Segments whose past is not counted yet",
            self.segments_being_counted.clone(),
        );
        registry.register(
            "segment_sessions_walked",
            "Recorded sessions that counting the past of segments has walked",
            self.segment_sessions_walked.clone(),
        );
        registry.register(
            "segment_sessions_to_walk",
            "Recorded sessions that counting the past of segments has to walk in all",
            self.segment_sessions_to_walk.clone(),
        );
        for outcome in [
            OutcomeKind::recorded,
            OutcomeKind::duplicate,
            OutcomeKind::refused,
        ] {
            // Shown as 0 from the first scrape on.
            drop(self.sessions.get_or_create(&Outcome { outcome }));
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

    /// Notes how far counting the past of segments has come; all 0 when nothing is left to count.
    pub fn counting(&self, counting: &Counting) {
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (done, total) = match counting.segments {
            0 => (0, 0),
            _ => (gauge(counting.done), gauge(counting.total)),
        };
        self.segments_being_counted.set(gauge(counting.segments));
        self.segment_sessions_walked.set(done);
        self.segment_sessions_to_walk.set(total);
    }

    /// Notes delivered sessions.
    pub fn sessions(&self, outcome: OutcomeKind, count: u64) {
        if count > 0 {
            self.sessions.get_or_create(&Outcome { outcome }).inc_by(count);
        }
    }

    /// Everything in the text format that Prometheus and OpenMetrics scrapers read.
    ///
    /// # Errors
    /// Only if formatting into memory fails.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
