//! Online backup into one file, and restore from it.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{FILE, Role, beside, connection, create_directory, lock, schema};
use crate::store::StoreError;

/// Ends the name of a copy that is not complete yet.
const PARTIAL: &str = ".partial";

/// Copies one consistent state. The file appears under its name only when it is complete and on disk.
pub(super) fn backup(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    if file.exists() {
        return Err(StoreError::file_exists(file));
    }
    let partial = beside(file, PARTIAL);
    let path = partial
        .to_str()
        .ok_or_else(|| StoreError::Conflict("the backup's path must be valid UTF-8".into()))?;
    let result = copy(connection, path).and_then(|()| finish(&partial, file));
    if result.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    result
}

/// `query_only` forbids every write, also into another file. A connection on which this fails is not used again.
fn copy(connection: &Connection, path: &str) -> Result<(), StoreError> {
    // Made beforehand, empty, so that it is closed to other users, as the store's directory is.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let made = options.open(path);
    made.map_err(|error| StoreError::Unavailable(format!("can't write {path}: {error}")))?;
    connection.pragma_update(None, "query_only", false)?;
    connection.execute("VACUUM INTO ?1", [path])?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(())
}

/// Makes an empty or new directory the store that `file` holds a backup of.
///
/// # Errors
/// [`StoreError::Conflict`] if the directory has a store with anything in it, [`StoreError::Unusable`] if the
/// file is no intact backup; then nothing was changed.
pub fn restore(file: &Path, directory: &Path) -> Result<(), StoreError> {
    check_backup(file)?;
    create_directory(directory)?;
    let (_lock, _) = lock(directory, Role::Server)?;
    let target = directory.join(FILE);
    if target.exists() {
        return Err(StoreError::Conflict(format!(
            "{} has a store already; restore into an empty directory, chosen with --data",
            directory.display()
        )));
    }
    if let Some(journal) = left_behind(&target) {
        // SQLite would play it into whatever database has this name.
        return Err(StoreError::Conflict(format!(
            "{} belongs to a store that was removed; restore into an empty directory, chosen with --data",
            journal.display()
        )));
    }
    let partial = beside(&target, PARTIAL);
    let result = std::fs::copy(file, &partial)
        .map_err(|error| StoreError::Unavailable(format!("can't copy {}: {error}", file.display())))
        .and_then(|_| finish(&partial, &target));
    if result.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    result
}

/// Whether a file is a whole backup.
///
/// # Errors
/// [`StoreError::NotFound`] if there is none, [`StoreError::Unusable`] if it is something else, or damaged.
pub fn check_backup(file: &Path) -> Result<(), StoreError> {
    if !file.is_file() {
        return Err(StoreError::NotFound(format!(
            "there is no file {}",
            file.display()
        )));
    }
    let connection = connection::open_reader(file)?;
    if schema::check(&connection, file)? == 0 {
        return Err(StoreError::Unusable(format!(
            "{} is empty, not a backup",
            file.display()
        )));
    }
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match verdict.as_str() {
        "ok" => Ok(()),
        damage => Err(StoreError::Unusable(format!(
            "{} is damaged: {damage}",
            file.display()
        ))),
    }
}

fn left_behind(file: &Path) -> Option<PathBuf> {
    let names = ["-wal", "-shm", "-journal"].map(|suffix| beside(file, suffix));
    names.into_iter().find(|name| name.exists())
}

/// Syncs the file, gives it its name without replacing anything, and syncs the directory that now names it.
fn finish(partial: &Path, file: &Path) -> Result<(), StoreError> {
    let steps = || -> io::Result<()> {
        OpenOptions::new().write(true).open(partial)?.sync_all()?;
        std::fs::hard_link(partial, file)?;
        std::fs::remove_file(partial)?;
        let directory = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(directory)?.sync_all()
    };
    steps().map_err(|error| StoreError::Unavailable(format!("can't write {}: {error}", file.display())))
}
