//! Online backup into one file, and restore from it.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, Progress, StepResult};

use super::catalog::Snapshot;
use super::opening::{self, Access};
use super::{FILE, Role, beside, connection, create_directory, in_range, lock, recovery, schema};
use crate::store::StoreError;
use crate::store::new_file::{self, NewFile};

/// Pages that are copied at a time: 32 MiB.
const PAGES: i32 = 4_096;
/// Where a database says that it has a journal beside it.
const JOURNAL_KIND: u64 = 18;
/// Copies of one format that are kept beside a store.
const COPIES: usize = 100;

/// Hears how many percent are done.
pub type Percent<'a> = &'a dyn Fn(u64);

/// Copies the store in a directory as it is, also one of an older format, and also where it can only be read.
///
/// # Errors
/// [`StoreError::NotFound`] if there is none; as [`Administration::backup`](crate::store::Administration::backup).
pub fn backup_directory(directory: &Path, file: &Path, progress: Percent<'_>) -> Result<(), StoreError> {
    let database = directory.join(FILE);
    let Some(access) = opening::look(directory, &database, Role::Existing)? else {
        return Err(super::no_store(directory));
    };
    if !opening::is_served(directory)
        && let Some(unread) = recovery::examine(&database, access)?
    {
        opening::warning(&unread.in_words());
    }
    let connection = connection::open_reader(&database, access)?;
    if schema::check(&connection, &database)? == 0 {
        return Err(StoreError::Unusable(format!(
            "{} is empty, not a store",
            database.display()
        )));
    }
    backup(&connection, file, progress)
}

/// Copies one consistent state. The file appears under its name only when it is complete and on disk.
pub(super) fn backup(connection: &Connection, file: &Path, progress: Percent<'_>) -> Result<(), StoreError> {
    if new_file::is_taken(file) {
        return Err(StoreError::file_exists(file));
    }
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::file_exists(file),
        _ => StoreError::Unavailable(format!("can't write {}: {error}", file.display())),
    };
    let mut new = NewFile::create(file).map_err(failed)?;
    copy_pages(connection, new.partial(), progress)?;
    // It is one file, for whoever opens it.
    let handle = new.as_file_mut();
    handle.seek(SeekFrom::Start(JOURNAL_KIND)).map_err(failed)?;
    handle.write_all(&[1, 1]).map_err(failed)?;
    new.finish().map(|_| ()).map_err(failed)
}

/// Page by page, which is as fast as the disk: the state that is being read keeps the journal from beginning anew, so it
/// grows by what is recorded meanwhile.
fn copy_pages(source: &Connection, partial: &Path, progress: Percent<'_>) -> Result<(), StoreError> {
    let mut target = Connection::open(partial)?;
    // Whole or nothing: the file has no name before it is synced.
    target.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE",
    )?;
    let state = source.unchecked_transaction()?;
    state.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let copy = Backup::new(source, &mut target)?;
    loop {
        match copy.step(PAGES)? {
            StepResult::Done => return Ok(()),
            StepResult::More => progress(percent(copy.progress())),
            // Nobody else has either file locked for long.
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn percent(progress: Progress) -> u64 {
    let pages = |count| u64::try_from(count).unwrap_or(0);
    let total = pages(progress.pagecount);
    total.saturating_sub(pages(progress.remaining)) * 100 / total.max(1)
}

/// Keeps a store beside itself, named after its format, before it is brought to another one.
pub(super) fn keep(file: &Path, version: usize) -> Result<PathBuf, StoreError> {
    let name = |number: usize| match number {
        1 => beside(file, &format!(".format-{version}")),
        number => beside(file, &format!(".format-{version}-{number}")),
    };
    let kept = (1..COPIES).map(name).find(|name| !new_file::is_taken(name));
    let kept = kept.unwrap_or_else(|| name(COPIES));
    let source = connection::open_reader(file, Access::Write)?;
    backup(&source, &kept, &|_| {}).map_err(|error| {
        let bytes = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
        StoreError::Unavailable(format!(
            "can't keep the old file before the store gets its new format: {error}. Make room for {} MB, or, if you have a \
             backup, use --no-migration-copy",
            bytes / 1_000_000 + 1
        ))
    })?;
    Ok(kept)
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
    if new_file::is_taken(&target) {
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
    let copy = || -> io::Result<()> {
        let mut new = NewFile::create(&target)?;
        io::copy(&mut File::open(file)?, new.as_file_mut())?;
        new.finish().map(|_| ())
    };
    copy().map_err(|error| {
        StoreError::Unavailable(format!(
            "can't copy {} to {}: {error}",
            file.display(),
            target.display()
        ))
    })
}

/// Whether a file is a whole backup, and has in it what a store has and nothing else.
///
/// # Errors
/// [`StoreError::NotFound`] if there is none, [`StoreError::Unusable`] if it is something else, or damaged.
pub fn check_backup(file: &Path) -> Result<(), StoreError> {
    let name = file.display();
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(StoreError::NotFound(format!("{name} is no file"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StoreError::NotFound(format!("there is no file {name}")));
        }
        Err(error) => return Err(StoreError::Unavailable(format!("can't read {name}: {error}"))),
    }
    File::open(file).map_err(|error| StoreError::Unavailable(format!("can't read {name}: {error}")))?;
    if let Some(journal) = unplayed(file) {
        return Err(StoreError::Unusable(format!(
            "{} lies beside {name}: these are copied files of a store and no backup, so that sessions would be missing. Open \
             the copy as a store, or make a backup of it: sessionmeter --data DIRECTORY backup FILE",
            journal.display()
        )));
    }
    // Nothing is made beside it, and nothing that lies beside it is played into it.
    let connection = connection::open_reader(file, Access::Frozen)?;
    if schema::check(&connection, file)? == 0 {
        return Err(StoreError::Unusable(format!("{name} is empty, not a backup")));
    }
    if let Some(difference) = schema::differences(&connection)?.first() {
        return Err(StoreError::Unusable(format!(
            "{name} is no backup of a store: {difference}"
        )));
    }
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match verdict.as_str() {
        "ok" => {}
        damage => return Err(StoreError::Unusable(format!("{name} is damaged: {damage}"))),
    }
    if schema::check_current(&connection, file).is_err() {
        // What is of an older format is looked at when it is brought up to date.
        return Ok(());
    }
    let damaged = |error: StoreError| match error {
        StoreError::Unusable(reason) => StoreError::Unusable(format!("{name} can't be restored: {reason}")),
        other => other,
    };
    let left_out = Snapshot::load(&connection).map_err(damaged)?.left_out;
    if let Some(entry) = left_out.iter().find(|entry| entry.hides_sessions()) {
        return Err(damaged(StoreError::Unusable(entry.to_string())));
    }
    in_range::check_sessions(&connection).map_err(damaged)
}

/// A journal beside a file, with something in it.
fn unplayed(file: &Path) -> Option<PathBuf> {
    let names = ["-wal", "-journal"].map(|suffix| beside(file, suffix));
    let has_content = |name: &PathBuf| std::fs::metadata(name).is_ok_and(|metadata| metadata.len() > 0);
    names.into_iter().find(has_content)
}

fn left_behind(file: &Path) -> Option<PathBuf> {
    let names = ["-wal", "-shm", "-journal"].map(|suffix| beside(file, suffix));
    names.into_iter().find(|name| name.exists())
}
