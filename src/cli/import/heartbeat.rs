//! Tells everybody who looks at the store that an import is under way, and how far it is. An import never fails for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::model::WorkspaceId;
use crate::record::Tally;
use crate::store::imports::{self, Import};
use crate::store::{Store, StoreError, now};

/// Imports that are over before this are told to nobody.
const FIRST: Duration = Duration::from_secs(1);
/// How long the end of an import may wait for a store that does not answer. What is left there expires.
const LAST: Duration = Duration::from_secs(2);
/// Characters of files' names that are told.
const MAX_NAMES: usize = 200;

/// A task that tells it until it is stopped.
pub(super) struct Heartbeat {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Heartbeat {
    /// Begins; `about` are the workspace and the names of the files.
    pub(super) fn start(
        store: Arc<dyn Store>,
        about: (WorkspaceId, String),
        recorded: Arc<Mutex<Tally>>,
        progress: ProgressBar,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(tell(store, about, recorded, progress, stopped));
        Self { stop, task }
    }

    /// Takes back what was told.
    pub(super) async fn stop(self) {
        let Self { stop, task } = self;
        // It may have ended by itself.
        let _ = stop.send(());
        if tokio::time::timeout(LAST, task).await.is_err() {
            tracing::debug!("the store did not answer when the import ended");
        }
    }
}

async fn tell(
    store: Arc<dyn Store>,
    (workspace, files): (WorkspaceId, String),
    recorded: Arc<Mutex<Tally>>,
    progress: ProgressBar,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut import = Import::begun(workspace, files, now());
    let mut was_told = false;
    let mut wait = FIRST;
    while tokio::time::timeout(wait, &mut stopped).await.is_err() {
        let tally = *recorded.lock();
        import.recorded = tally.new;
        import.duplicates = tally.duplicates;
        import.percent = percent(progress.position(), progress.length());
        let noted = imports::note(store.as_ref(), &import, now()).await;
        was_told |= noted.is_ok();
        complain(noted);
        wait = Duration::from_millis(imports::EVERY.unsigned_abs());
    }
    if was_told {
        complain(imports::end(store.as_ref(), &import, now()).await);
    }
}

/// Recording says it as well, to whom it matters.
fn complain(result: Result<(), StoreError>) {
    if let Err(error) = result {
        tracing::debug!(%error, "can't say how far the import is");
    }
}

fn percent(read: u64, total: Option<u64>) -> Option<u8> {
    let total = total.filter(|total| *total > 0)?;
    let percent = read.saturating_mul(100) / total;
    u8::try_from(percent).ok().filter(|percent| *percent <= 100)
}

/// What was given on the command line, without directories: they say more of a machine than everybody should read.
pub(super) fn names(given: &[PathBuf]) -> String {
    let name = |path: &PathBuf| {
        path.file_name()
            .map_or_else(|| shown(path), |name| shown(Path::new(name)))
    };
    let all: Vec<String> = given.iter().map(name).collect();
    let mut names = all.join(", ");
    if let Some((end, _)) = names.char_indices().nth(MAX_NAMES) {
        names.truncate(end);
        names.push('…');
    }
    names
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_without_directories_and_not_endlessly() {
        let given = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(given(&["/home/ana/a.csv", "-", "b/"]), "a.csv, -, b");
        let long = given(&["ñ".repeat(300).as_str()]);
        assert_eq!(long.chars().count(), MAX_NAMES + 1);
    }

    #[test]
    fn what_is_read_is_told_in_percent_of_what_is_known() {
        assert_eq!(percent(5, None), None);
        assert_eq!(percent(0, Some(0)), None);
        assert_eq!(percent(5, Some(10)), Some(50));
        assert_eq!(percent(30, Some(10)), None, "of another size than was known");
    }
}
