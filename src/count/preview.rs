//! What a filter holds for, before anything is made of it.

use crate::catalog::WorkspaceEntry;
use crate::model::{Filter, Millis};
use crate::series::{Length, Unit, Window};
use crate::store::{Scope, Store, StoreError, Users, Whose};

/// The last days of a workspace, and the sessions and users of a filter in them.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Days, with their labels.
    pub window: Window,
    /// Sessions of each day.
    pub sessions: Vec<u64>,
    /// Distinct users of each day, and of all of them.
    pub users: Users,
}

/// The days of a preview that is asked for at `now`; the running one is the last.
pub fn preview_window(workspace: &WorkspaceEntry, now: Millis) -> Window {
    Window::new(&workspace.zone, Unit::Day, Length::FOUR_WEEKS, None, now)
}

impl Preview {
    /// Counts the sessions of a workspace for which a filter holds.
    ///
    /// # Errors
    /// As [`Rollups::count`](crate::store::Rollups::count).
    pub async fn of(
        store: &dyn Store,
        workspace: &WorkspaceEntry,
        filter: &Filter,
        now: Millis,
    ) -> Result<Self, StoreError> {
        let window = preview_window(workspace, now);
        let (scope, whose) = (Scope::Workspace(workspace.workspace.id), Whose::Filter(filter));
        let sessions = store.count(scope, whose, window.edges()).await?;
        let users = store.users(scope, whose, window.edges()).await?;
        Ok(Self {
            window,
            sessions,
            users,
        })
    }

    /// Sessions of all days.
    pub fn total(&self) -> u64 {
        self.sessions.iter().sum()
    }
}
