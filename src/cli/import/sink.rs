//! Where the readers of all formats put what they read: sessions into batches, refusals into the report.

use std::sync::Arc;

use indicatif::ProgressBar;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::rejects::Rejects;
use super::report::{Findings, Place};
use crate::collect::Context;
use crate::model::{AppId, Millis, Session, SessionEnd};
use crate::store::WorkspaceEntry;

/// Lines that make a batch.
const BATCH: usize = 5_000;

/// What goes to the recording side.
pub(super) enum Batch {
    /// To be recorded.
    Sessions(Vec<Session>),
    /// To extend sessions that are recorded.
    Ends(Vec<Ended>),
}

/// An end that came on its own.
pub(super) struct Ended {
    pub(super) end: SessionEnd,
    /// What is recorded where the session is not known.
    pub(super) alone: Session,
}

/// Why reading an input stops.
pub(super) enum Halt {
    /// Nobody takes batches any more.
    Stopped,
    /// This input can't be read any further; others can.
    Broken(anyhow::Error),
    /// Nothing can be read any more.
    Failed(anyhow::Error),
}

/// Owned by the reading thread.
pub(super) struct Sink {
    workspace: Arc<WorkspaceEntry>,
    default_app: Option<AppId>,
    pub(super) rejects: Rejects,
    /// Shared with the side that reports, which may have to do so before this one is done.
    findings: Arc<Mutex<Findings>>,
    pub(super) progress: ProgressBar,
    batches: mpsc::Sender<Batch>,
    sessions: Vec<Session>,
    ends: Vec<Ended>,
    /// Lines that were looked at since the last batch was handed over.
    looked_at: usize,
    now: Millis,
}

impl Sink {
    pub(super) fn new(
        workspace: Arc<WorkspaceEntry>,
        default_app: Option<AppId>,
        rejects: Rejects,
        findings: Arc<Mutex<Findings>>,
        progress: ProgressBar,
        batches: mpsc::Sender<Batch>,
    ) -> Self {
        Self {
            workspace,
            default_app,
            rejects,
            findings,
            progress,
            batches,
            sessions: Vec::with_capacity(BATCH),
            ends: Vec::new(),
            looked_at: 0,
            now: jiff::Timestamp::now().as_millisecond(),
        }
    }

    /// What a reader of one line or row needs.
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            workspace: &self.workspace,
            default_app: self.default_app,
            now: self.now,
        }
    }

    /// Whether sessions may do without an app.
    pub(super) fn has_app(&self) -> bool {
        self.default_app.is_some()
    }

    /// Takes a session.
    pub(super) fn session(&mut self, session: Session) -> Result<(), Halt> {
        self.sessions.push(session);
        self.looked_at()
    }

    /// Takes an end. Ends come after all sessions.
    pub(super) fn end(&mut self, end: Ended) -> Result<(), Halt> {
        self.ends.push(end);
        self.looked_at()
    }

    /// Notes a refusal; `content` is what stood there, without a line end.
    pub(super) fn refuse(&mut self, place: Place<'_>, reason: &str, content: &[u8]) -> Result<(), Halt> {
        self.findings.lock().refused(place, reason);
        self.rejects.write(content).map_err(Halt::Failed)?;
        self.rejects.write(b"\n").map_err(Halt::Failed)?;
        self.looked_at()
    }

    /// Notes columns that are no field.
    pub(super) fn ignored(&self, columns: &[String]) {
        self.findings.lock().ignored(columns);
    }

    /// Notes that a file holds nothing that could be a session.
    pub(super) fn passed_over(&self, file: &str, why: &str) {
        self.findings.lock().passed_over(file, why);
    }

    fn looked_at(&mut self) -> Result<(), Halt> {
        self.looked_at += 1;
        match self.looked_at >= BATCH {
            true => self.hand_over(),
            false => Ok(()),
        }
    }

    /// Hands over what was read.
    pub(super) fn hand_over(&mut self) -> Result<(), Halt> {
        self.rejects.flush().map_err(Halt::Failed)?;
        self.looked_at = 0;
        // What comes through a pipe may take hours.
        self.now = jiff::Timestamp::now().as_millisecond();
        if !self.sessions.is_empty() {
            let batch = std::mem::replace(&mut self.sessions, Vec::with_capacity(BATCH));
            self.send(Batch::Sessions(batch))?;
        }
        if !self.ends.is_empty() {
            let batch = std::mem::take(&mut self.ends);
            self.send(Batch::Ends(batch))?;
        }
        match self.batches.is_closed() {
            true => Err(Halt::Stopped),
            false => Ok(()),
        }
    }

    fn send(&self, batch: Batch) -> Result<(), Halt> {
        self.batches.blocking_send(batch).map_err(|_| Halt::Stopped)
    }
}
