//! Where the readers of all formats put what they read: sessions into batches, refusals into the report.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::anyhow;
use indicatif::ProgressBar;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::rejects::Rejects;
use super::report::{Findings, Place};
use crate::catalog::WorkspaceEntry;
use crate::collect::{Context, ItemError};
use crate::model::{AppId, Session, SessionEnd, StartLimits, WorkspaceId};
use crate::store::{Administration, now};

/// Lines that make a batch.
const BATCH: usize = 5_000;
/// Parsed batches that wait for the recorder.
const WAITING: usize = 2;
/// Apps that one import makes: a wrong column would make one a line.
const MAX_NEW_APPS: usize = 1_000;

/// What goes to the recording side.
pub(super) enum Batch {
    /// To be recorded.
    Sessions(Vec<Session>),
    /// To extend sessions that are recorded.
    Ends(Vec<Ended>),
    /// To be made before anything that follows.
    App(NewApp),
}

/// An app that lines name and nobody has made yet.
pub(super) struct NewApp {
    pub(super) id: AppId,
    /// The workspace with it, or why it can't be made.
    pub(super) made: oneshot::Sender<Result<Arc<WorkspaceEntry>, String>>,
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
    /// Whose catalog says which retention the workspace has now.
    store: Arc<dyn Administration>,
    workspace: Arc<WorkspaceEntry>,
    default_app: Option<AppId>,
    /// Whether apps that are not known are made.
    create_apps: bool,
    /// How many were.
    made: usize,
    /// Those that could not be.
    not_made: HashSet<AppId>,
    pub(super) rejects: Rejects,
    /// Shared with the side that reports, which may have to do so before this one is done.
    findings: Arc<Mutex<Findings>>,
    pub(super) progress: ProgressBar,
    batches: mpsc::Sender<Batch>,
    sessions: Vec<Session>,
    ends: Vec<Ended>,
    /// Lines that were looked at since the last batch was handed over.
    looked_at: usize,
    limits: StartLimits,
}

impl Sink {
    /// One for an import into a workspace, and the batches that come out of it.
    pub(super) fn new(
        store: Arc<dyn Administration>,
        workspace: Arc<WorkspaceEntry>,
        default_app: Option<AppId>,
        create_apps: bool,
        rejects: Rejects,
        findings: Arc<Mutex<Findings>>,
        progress: ProgressBar,
    ) -> (Self, mpsc::Receiver<Batch>) {
        let (sender, batches) = mpsc::channel(WAITING);
        let sink = Self {
            limits: limits(store.as_ref(), workspace.workspace.id),
            store,
            workspace,
            default_app,
            create_apps,
            made: 0,
            not_made: HashSet::new(),
            rejects,
            findings,
            progress,
            batches: sender,
            sessions: Vec::with_capacity(BATCH),
            ends: Vec::new(),
            looked_at: 0,
        };
        (sink, batches)
    }

    /// What a reader of one line or row needs.
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            workspace: &self.workspace,
            default_app: self.default_app,
            limits: self.limits,
        }
    }

    /// Whether sessions may do without an app.
    pub(super) fn has_app(&self) -> bool {
        self.default_app.is_some()
    }

    /// Reads something with the apps that there are. One that is not known is made, if that was asked for, or noted.
    pub(super) fn read<T>(
        &mut self,
        read: impl Fn(&Context<'_>) -> Result<T, ItemError>,
    ) -> Result<Result<T, ItemError>, Halt> {
        let result = read(&self.context());
        let unknown = result.as_ref().err().and_then(ItemError::unknown_app);
        let Some(unknown) = unknown.map(str::to_owned) else {
            return Ok(result);
        };
        if self.create_apps
            && let Ok(id) = unknown.parse()
            && self.make(id)?
        {
            return Ok(read(&self.context()));
        }
        self.findings.lock().unknown_app(&unknown);
        Ok(result)
    }

    /// Has an app made; whether it is there now.
    fn make(&mut self, id: AppId) -> Result<bool, Halt> {
        if self.not_made.contains(&id) {
            return Ok(false);
        }
        if self.made == MAX_NEW_APPS {
            let error =
                anyhow!("the files name more than {MAX_NEW_APPS} unknown apps; is another column meant?");
            return Err(Halt::Failed(error));
        }
        let (sender, answer) = oneshot::channel();
        self.send(Batch::App(NewApp { id, made: sender }))?;
        match answer.blocking_recv().map_err(|_| Halt::Stopped)? {
            Ok(workspace) => {
                self.made += 1;
                self.workspace = workspace;
                Ok(true)
            }
            Err(why) => {
                self.findings
                    .lock()
                    .not_made(&format!("app {id} could not be made: {why}"));
                self.not_made.insert(id);
                Ok(false)
            }
        }
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
        if self.looked_at >= BATCH {
            self.hand_over()
        } else {
            Ok(())
        }
    }

    /// Hands over what was read.
    pub(super) fn hand_over(&mut self) -> Result<(), Halt> {
        self.rejects.flush().map_err(Halt::Failed)?;
        self.looked_at = 0;
        // What comes through a pipe may take hours: days pass, and another process may change the retention.
        self.limits = limits(self.store.as_ref(), self.workspace.workspace.id);
        if !self.sessions.is_empty() {
            let batch = std::mem::replace(&mut self.sessions, Vec::with_capacity(BATCH));
            self.send(Batch::Sessions(batch))?;
        }
        if !self.ends.is_empty() {
            let batch = std::mem::take(&mut self.ends);
            self.send(Batch::Ends(batch))?;
        }
        if self.batches.is_closed() {
            Err(Halt::Stopped)
        } else {
            Ok(())
        }
    }

    fn send(&self, batch: Batch) -> Result<(), Halt> {
        self.batches.blocking_send(batch).map_err(|_| Halt::Stopped)
    }
}

/// When sessions of the workspace may start now. Of a workspace that is gone the store takes none.
fn limits(store: &dyn Administration, workspace: WorkspaceId) -> StartLimits {
    let now = now();
    let catalog = store.catalog();
    let entry = catalog.workspace(workspace);
    entry.map_or(now.into(), |entry| entry.workspace.start_limits(now))
}
