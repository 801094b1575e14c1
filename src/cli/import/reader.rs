//! The reading side of an import: lines into batches of valid sessions.

use std::sync::Arc;

use anyhow::Context as _;
use indicatif::ProgressBar;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::lines::{Line, Lines, MAX_LINE};
use super::rejects::Rejects;
use super::report::Refusals;
use super::source::Input;
use crate::collect::{self, Context};
use crate::model::{AppId, Session};
use crate::store::WorkspaceEntry;

/// Lines that make a batch.
const BATCH: usize = 5_000;

/// Owned by the reading thread.
pub(super) struct Reader {
    workspace: Arc<WorkspaceEntry>,
    default_app: Option<AppId>,
    rejects: Rejects,
    /// Shared with the side that reports, which may have to do so before this one is done.
    refusals: Arc<Mutex<Refusals>>,
    progress: ProgressBar,
    batch: Vec<Session>,
    /// Lines that were looked at since the last batch was handed over.
    looked_at: usize,
}

/// The other side has stopped taking batches.
struct Stopped;

impl Reader {
    pub(super) fn new(
        workspace: Arc<WorkspaceEntry>,
        default_app: Option<AppId>,
        rejects: Rejects,
        refusals: Arc<Mutex<Refusals>>,
        progress: ProgressBar,
    ) -> Self {
        Self {
            workspace,
            default_app,
            rejects,
            refusals,
            progress,
            batch: Vec::with_capacity(BATCH),
            looked_at: 0,
        }
    }

    /// Reads all inputs, or until nobody takes batches any more.
    ///
    /// # Errors
    /// When an input can't be read to its end, or rejects can't be written. What was read before is handed over.
    pub(super) fn read(
        mut self,
        inputs: &[Input],
        batches: &mpsc::Sender<Vec<Session>>,
    ) -> anyhow::Result<()> {
        let mut result = Ok(());
        for input in inputs {
            match self.read_one(input, batches) {
                Ok(Ok(())) => {}
                Ok(Err(Stopped)) => return Ok(()),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        let handed_over = self.hand_over(batches).map(|_| ());
        result.and(handed_over)
    }

    fn read_one(
        &mut self,
        input: &Input,
        batches: &mpsc::Sender<Vec<Session>>,
    ) -> anyhow::Result<Result<(), Stopped>> {
        let name = input.name();
        let source = input
            .open(&self.progress)
            .with_context(|| format!("can't read {name}"))?;
        let mut lines = Lines::new(source);
        let mut number = 1;
        let mut now = jiff::Timestamp::now().as_millisecond();
        while let Some(line) = lines
            .next()
            .with_context(|| format!("{name} could not be read after line {}", number - 1))?
        {
            match line {
                Line::Whole(bytes) => self.take(bytes, now, &name, number)?,
                Line::Part { bytes, last: false } => {
                    self.rejects.write(bytes)?;
                    continue;
                }
                Line::Part { bytes, last: true } => {
                    self.refuse(
                        bytes,
                        &name,
                        number,
                        &format!("the line has more than {MAX_LINE} bytes"),
                    )?;
                }
            }
            number += 1;
            if self.looked_at >= BATCH {
                if let Err(stopped) = self.hand_over(batches)? {
                    return Ok(Err(stopped));
                }
                // What comes through a pipe may take hours.
                now = jiff::Timestamp::now().as_millisecond();
            }
        }
        Ok(Ok(()))
    }

    fn take(&mut self, bytes: &[u8], now: i64, name: &str, number: u64) -> anyhow::Result<()> {
        let line = bytes.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        let context = Context {
            workspace: &self.workspace,
            default_app: self.default_app,
            now,
        };
        match collect::json::session(line, &context) {
            Ok(session) => {
                self.batch.push(session);
                self.looked_at += 1;
                Ok(())
            }
            Err(error) => self.refuse(bytes, name, number, &error.to_string()),
        }
    }

    fn refuse(&mut self, bytes: &[u8], name: &str, number: u64, reason: &str) -> anyhow::Result<()> {
        self.looked_at += 1;
        self.refusals.lock().add(name, number, reason);
        self.rejects.write(bytes)?;
        self.rejects.write(b"\n")
    }

    fn hand_over(&mut self, batches: &mpsc::Sender<Vec<Session>>) -> anyhow::Result<Result<(), Stopped>> {
        self.rejects.flush()?;
        self.looked_at = 0;
        if self.batch.is_empty() {
            return Ok(if batches.is_closed() { Err(Stopped) } else { Ok(()) });
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        Ok(batches.blocking_send(batch).map_err(|_| Stopped))
    }
}
