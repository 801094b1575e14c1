//! What is looked at before SQLite may touch a store's files, so that nothing is made, moved or hidden by opening them.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::{LOCK, beside};
use crate::store::{NOTICES, Role, StoreError};

/// Permissions of whoever is not the owner.
const OTHERS: u32 = 0o077;

/// How a store is opened, beyond what it is opened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Whether the old file stays beside the new one where a store of an older format is brought up to date.
    pub migration_copy: bool,
    /// Bytes of journal from which on nothing is recorded.
    pub journal_limit: u64,
    /// Checks that a server makes in the background in a minute; 0 = none.
    pub checks_per_minute: u32,
    /// Bytes of memory that series and filters may take, about.
    pub memory: usize,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            migration_copy: true,
            journal_limit: 1 << 30,
            checks_per_minute: 12,
            memory: 256 << 20,
        }
    }
}

/// What may be done with the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Everything.
    Write,
    /// Only reading, while another process may be writing.
    Read,
    /// Only reading what nobody changes: a copy on a medium that can't be written, for example.
    Frozen,
}

/// What is there: `None` if there is no store.
///
/// # Errors
/// [`StoreError::Unusable`] where what is there can't be a store any more and a new one in its place would hide that,
/// [`StoreError::Unavailable`] where permission is missing.
pub(super) fn look(directory: &Path, file: &Path, role: Role) -> Result<Option<Access>, StoreError> {
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return check_missing(file).map(|()| None),
        Err(error) => return Err(denied("look into", directory, &error)),
    };
    let name = file.display();
    // Opening a pipe would wait for whoever writes into it.
    if !metadata.is_file() {
        return Err(StoreError::Unusable(format!(
            "{name} is no regular file; move it away, or name another directory with --data"
        )));
    }
    if metadata.len() == 0 && directory.join(LOCK).exists() {
        return Err(StoreError::Unusable(format!(
            "{name} is empty, though a store was in use here: was it cut off? Restore a backup into another directory, or \
             remove {name} to begin a new store"
        )));
    }
    File::open(file).map_err(|error| denied("read", file, &error))?;
    let writable = OpenOptions::new()
        .write(true)
        .open(file)
        .map_err(|error| (file, error))
        .and_then(|_| can_make_files(directory).map_err(|error| (directory, error)));
    match writable {
        Err((what, error)) if is_denied(&error) && role != Role::Existing => {
            Err(denied("write to", what, &error))
        }
        Err((_, error)) if is_denied(&error) => Ok(Some(reading(file))),
        // What else is wrong shows when something is written.
        Ok(()) | Err(_) => Ok(Some(Access::Write)),
    }
}

fn check_missing(file: &Path) -> Result<(), StoreError> {
    let journal = beside(file, "-wal");
    match std::fs::metadata(&journal) {
        Ok(metadata) if metadata.len() > 0 => Err(StoreError::Unusable(format!(
            "{} is missing, but its journal {} is there: was it moved or deleted? Put it back, or move the journal away \
             to begin a new store",
            file.display(),
            journal.display()
        ))),
        _ => Ok(()),
    }
}

/// SQLite makes files beside the database.
fn can_make_files(directory: &Path) -> io::Result<()> {
    tempfile::tempfile_in(directory).map(|_| ())
}

fn is_denied(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

/// While a process has the store open, SQLite's index of the journal is there.
fn reading(file: &Path) -> Access {
    let has = |suffix: &str| std::fs::metadata(beside(file, suffix)).is_ok_and(|metadata| metadata.len() > 0);
    if has("-shm") || has("-wal") {
        Access::Read
    } else {
        Access::Frozen
    }
}

fn denied(verb: &str, what: &Path, error: &io::Error) -> StoreError {
    let name = what.display();
    match error.kind() {
        ErrorKind::PermissionDenied => StoreError::Unavailable(format!(
            "can't {verb} {name}: permission denied; run this as the user whose server uses the store, or as root"
        )),
        ErrorKind::ReadOnlyFilesystem => StoreError::Unavailable(format!(
            "can't {verb} {name}: it is on a file system that can only be read"
        )),
        _ => StoreError::Unavailable(format!("can't {verb} {name}: {error}")),
    }
}

/// Opens the file that a server holds a lock on.
pub(super) fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Whether a server has the store, as far as that can be told without writing anything.
pub(super) fn is_served(directory: &Path) -> bool {
    let lock = File::open(directory.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
}

/// Says to whoever runs a server that others can look into the store.
pub(super) fn warn_if_open(directory: &Path, file: &Path) {
    let mode = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    for (path, right) in [(directory, "700"), (file, "600")] {
        let mode = mode(path) & 0o7777;
        if mode & OTHERS != 0 {
            tracing::warn!(
                "other users can look into {} (mode {mode:o}), which holds ids of people: chmod {right} {}",
                path.display(),
                path.display()
            );
        }
    }
}

/// Says something about the store to whoever runs a command, or in a server's log.
pub(super) fn notice(text: &str) {
    tracing::info!(target: NOTICES, "{text}");
}

/// The same, where something is lost.
pub(super) fn warning(text: &str) {
    tracing::error!(target: NOTICES, "{text}");
}
