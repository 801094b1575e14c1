//! Log lines on standard error, written by a thread of their own.
//!
//! Whoever reads them may be slow, or may have stopped (`serve 2>&1 | less`). Nobody waits for that: lines go into a bounded
//! queue, and those that find it full are dropped, counted, and spoken of as soon as lines can be written again.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::ValueEnum;
use prometheus_client::metrics::counter::Counter;
use serde::Deserialize;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

use super::usage_error;

/// Lines that may wait, some hundred bytes each.
const QUEUE: usize = 8_192;
/// Lines that are written in one go are up to so many bytes.
const BATCH: usize = 64 * 1024;
/// How long lines are gathered after one was written.
const REST: Duration = Duration::from_millis(2);
/// How long the end of the program waits for lines to be written.
const FAREWELL: Duration = Duration::from_millis(500);
const BEAT: Duration = Duration::from_millis(10);

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Logging that was started; when it is dropped, what waits is written, if it can be.
#[must_use]
#[derive(Debug)]
pub(super) struct Logging;

impl Drop for Logging {
    fn drop(&mut self) {
        flush(FAREWELL);
    }
}

/// Starts logging. Lines that are dropped are counted in `dropped`.
///
/// # Errors
/// When `level` is none, or logging was started before.
pub(super) fn start(level: &str, format: LogFormat, dropped: Counter) -> anyhow::Result<Logging> {
    // The filter's syntax would take any word for the name of a module.
    let is_known = |part: &str| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok();
    let filter = if level.split(',').all(is_known) {
        level.parse::<Targets>().ok()
    } else {
        None
    };
    let filter = filter.ok_or_else(|| {
        usage_error(format!(
            "'{level}' is no log level; use off, error, warn, info, debug or trace, or MODULE=LEVEL"
        ))
    })?;
    let is_terminal = io::stderr().is_terminal();
    // Not the handle of the standard library, which holds a lock while it writes: others must not wait for it.
    let stderr = io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .context("can't write to standard error")?;
    let lines = Lines::start(File::from(stderr), format, dropped)?;
    let lines = LINES.get_or_init(|| lines).clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(is_terminal)
        .with_writer(lines);
    let layer = match format {
        LogFormat::Text => layer.with_target(false).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(|error| anyhow::anyhow!("can't start logging: {error}"))?;
    // The standard hook writes to standard error itself, and would wait.
    std::panic::set_hook(Box::new(log_panic));
    Ok(Logging)
}

/// Waits until what was logged is written, but no longer than `limit`.
pub(super) fn flush(limit: Duration) {
    if let Some(lines) = LINES.get() {
        lines.flush(limit);
    }
}

static LINES: OnceLock<Lines> = OnceLock::new();

fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let place = panic.location().map(tracing::field::display);
    tracing::error!(
        place,
        thread = thread.name(),
        "panicked: {}",
        panic.payload_as_str().unwrap_or("no message")
    );
}

enum Message {
    Line(Vec<u8>),
    /// To be answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// The way to the thread that writes; clones share it.
#[derive(Clone)]
struct Lines {
    queue: SyncSender<Message>,
    dropped: Counter,
}

impl Lines {
    fn start(into: impl Write + Send + 'static, format: LogFormat, dropped: Counter) -> io::Result<Self> {
        let (queue, waiting) = sync_channel(QUEUE);
        let writer = Writer {
            waiting,
            into,
            format,
            dropped: dropped.clone(),
            told: AtomicU64::new(0),
        };
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || writer.run())?;
        Ok(Self { queue, dropped })
    }

    fn flush(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let (written, done) = sync_channel(1);
        let mut message = Message::Flush(written);
        loop {
            match self.queue.try_send(message) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < deadline => message = back,
                Err(_) => return,
            }
            std::thread::sleep(BEAT);
        }
        let _ = done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// A line is formatted whole and written at once.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Message::Line(line.to_vec())).is_err() {
            self.dropped.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> &'a Lines {
        self
    }
}

/// The thread's own.
struct Writer<W> {
    waiting: Receiver<Message>,
    into: W,
    format: LogFormat,
    dropped: Counter,
    /// How many of the dropped lines were spoken of.
    told: AtomicU64,
}

impl<W: Write> Writer<W> {
    fn run(mut self) {
        while let Ok(first) = self.waiting.recv() {
            let mut batch = Vec::new();
            let mut lines = 0;
            let mut flushes = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Line(line) => {
                        batch.extend_from_slice(&line);
                        lines += 1;
                    }
                    Message::Flush(written) => flushes.push(written),
                }
                next = if batch.len() < BATCH {
                    self.waiting.try_recv().ok()
                } else {
                    None
                };
            }
            if write_all(&mut self.into, &batch) {
                self.speak_of_dropped();
            } else {
                self.dropped.inc_by(lines);
            }
            let is_behind = batch.len() >= BATCH || !flushes.is_empty();
            for written in flushes {
                let _ = written.try_send(());
            }
            // Whoever logs would have to wake this thread for each line, which takes longer than the line.
            if !is_behind {
                std::thread::sleep(REST);
            }
        }
    }

    fn speak_of_dropped(&mut self) {
        let dropped = self.dropped.get();
        let told = self.told.load(Ordering::Relaxed);
        if dropped > told && write_all(&mut self.into, &dropped_line(dropped - told, self.format)) {
            self.told.store(dropped, Ordering::Relaxed);
        }
    }
}

/// False if nobody can read it any more.
fn write_all(into: &mut impl Write, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match into.write(bytes) {
            Ok(0) => return false,
            Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A terminal or pipe that another program made so.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(BEAT),
            Err(_) => return false,
        }
    }
    true
}

/// As the others look.
fn dropped_line(count: u64, format: LogFormat) -> Vec<u8> {
    let now = jiff::Timestamp::now();
    let message = format!("{count} log lines were dropped, since standard error was not read fast enough");
    let line = match format {
        LogFormat::Text => format!("{now:.6}  WARN {message}\n"),
        LogFormat::Json => {
            let line = serde_json::json!({
                "timestamp": format!("{now:.6}"), "level": "WARN", "message": message, "dropped": count, "target": "sessionmeter::log",
            });
            format!("{line}\n")
        }
    };
    line.into_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};

    use parking_lot::Mutex;

    use super::*;

    /// Takes bytes only when it is let to.
    struct Stuck {
        allowed: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.allowed.recv();
            self.written.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(format: LogFormat) -> (Lines, Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (allow, allowed) = channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let stuck = Stuck {
            allowed,
            written: written.clone(),
        };
        let lines = Lines::start(stuck, format, Counter::default()).unwrap();
        (lines, allow, written)
    }

    #[test]
    fn lines_that_nobody_reads_are_dropped_and_counted_and_spoken_of() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let (lines, allow, written) = start(format);
            let logged = 100_000_u64;
            for number in 0..logged {
                (&lines).write_all(format!("line {number}\n").as_bytes()).unwrap();
            }
            let dropped = lines.dropped.get();
            assert!(dropped >= logged - 2 * QUEUE as u64 - BATCH as u64, "{dropped}");
            // Nobody waits for it longer than is said.
            lines.flush(Duration::from_millis(20));
            drop(allow);
            lines.flush(Duration::from_secs(60));
            let text = String::from_utf8(written.lock().clone()).unwrap();
            let kept = text.lines().filter(|line| line.starts_with("line ")).count() as u64;
            assert_eq!(kept + dropped, logged);
            let told = format!("{dropped} log lines were dropped");
            assert_eq!(text.matches(&told).count(), 1, "{told}");
            if format == LogFormat::Json {
                let line = text.lines().find(|line| line.contains(&told)).unwrap();
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(line["dropped"], dropped);
            }
        }
    }

    #[test]
    fn what_is_written_before_a_flush_is_written_after_it() {
        let (lines, allow, written) = start(LogFormat::Text);
        drop(allow);
        for number in 0..1000 {
            (&lines).write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        lines.flush(Duration::from_secs(60));
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(written.lock().clone()).unwrap(), expected);
    }
}
