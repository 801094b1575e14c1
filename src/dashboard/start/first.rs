//! The first session of an app, to the second: what somebody waits for who has just put an SDK into it.

use tokio::sync::mpsc;

use crate::model::{AppId, Fact, Facts, Field, Millis, Session, WorkspaceId};
use crate::store::{Selection, Sessions, StoreError};

/// With more sessions than these an app has long begun.
pub(super) const FEW: u64 = 1_000;
/// Batches that wait to be looked at.
const WAITING: usize = 2;

/// When it began, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct First {
    pub(super) at: Millis,
    pub(super) platform: Option<String>,
}

/// Looks through all sessions of an app that has few; `None` where no raw session is left, as retention leaves it.
pub(super) async fn first_session(
    store: &dyn Sessions,
    workspace: WorkspaceId,
    app: AppId,
) -> Result<Option<First>, StoreError> {
    let selection = Selection {
        workspace,
        app: Some(app),
        from: None,
        to: None,
    };
    let (batches, mut received) = mpsc::channel(WAITING);
    let look_through = async {
        let mut first: Option<Session> = None;
        while let Some(batch) = received.recv().await {
            first = first.into_iter().chain(batch).min_by_key(Session::started_at);
        }
        first
    };
    let (exported, first) = tokio::join!(store.export(selection, batches), look_through);
    exported?;
    Ok(first.map(|session| First {
        at: session.started_at(),
        platform: platform(&session),
    }))
}

fn platform(session: &Session) -> Option<String> {
    let facts = Facts::read(session.app(), session.properties().as_str()).ok()?;
    match facts.get(&Field::Platform)? {
        Fact::Text(platform) => Some(platform.to_owned()),
        Fact::Bool(_) | Fact::Number(_) => None,
    }
}
