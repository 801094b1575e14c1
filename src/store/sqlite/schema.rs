//! The store's format: recognised, created, migrated or refused.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};

use super::{backup, connection, opening};
use crate::rollup::{Label, Totals};
use crate::store::StoreError;
use crate::store::new_file::NewFile;

/// "SMTR": tells our files from other SQLite files.
const APPLICATION_ID: i32 = 0x534D_5452;

/// A part of a migration in Rust.
type More = fn(&Connection) -> Result<(), StoreError>;

/// A step from one format to the next.
struct Migration {
    sql: &'static str,
    /// What statements alone can't do, after them.
    more: Option<More>,
    /// What it does to a store, for whoever waits for it.
    words: &'static str,
}

/// Migration n brings format n to format n + 1. Never change one that was released; add another.
const MIGRATIONS: [Migration; 6] = [
    Migration {
        sql: include_str!("migrations/0001_initial.sql"),
        more: None,
        words: "the first format",
    },
    Migration {
        sql: include_str!("migrations/0002_segments.sql"),
        more: None,
        words: "room for segments and users' attributes; counters are written anew, no session is touched",
    },
    Migration {
        sql: include_str!("migrations/0003_days.sql"),
        more: Some(days_of_counters),
        words: "a row for each day, made of the counters; segments answer without being counted first; no session is touched",
    },
    Migration {
        sql: include_str!("migrations/0004_access.sql"),
        more: None,
        words: "room for who may look at the dashboard; nothing else is touched",
    },
    Migration {
        sql: include_str!("migrations/0005_deletion.sql"),
        more: None,
        words: "users can be forgotten and apps deleted; nothing is read or rewritten",
    },
    Migration {
        sql: include_str!("migrations/0006_retention.sql"),
        more: None,
        words: "workspaces have a retention and a first day of the week; nothing else is touched",
    },
];

/// Makes a store in a file of its own that gets its name when it is whole: an empty file of this name is then never ours.
///
/// # Errors
/// When it can't be written. That another process was faster is none.
pub(super) fn create(file: &Path, now: i64) -> Result<(), StoreError> {
    let failed =
        |error: io::Error| StoreError::Unavailable(format!("can't write {}: {error}", file.display()));
    let new = match NewFile::create(file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        new => new.map_err(failed)?,
    };
    let mut connection = connection::open_writer(new.partial())?;
    connection.execute_batch("PRAGMA page_size = 8192; PRAGMA journal_mode = MEMORY")?;
    prepare(&mut connection, file, now, false)?;
    connection.close().map_err(|(_, error)| error)?;
    match new.finish() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        finished => finished.map(|_| ()).map_err(failed),
    }
}

/// Creates the format in an empty file, or brings an older one up to date. Then the old file stays beside it, if
/// `keeps_old` says so.
///
/// # Errors
/// [`StoreError::Unusable`] for a file of a newer version or of another program, which is left as it is.
pub(super) fn prepare(
    connection: &mut Connection,
    file: &Path,
    now: i64,
    keeps_old: bool,
) -> Result<(), StoreError> {
    if check(connection, file)? == MIGRATIONS.len() {
        return Ok(());
    }
    // Two processes may start at once: look again under the write lock.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = check(&transaction, file)?;
    if version > 0 && version < MIGRATIONS.len() {
        announce(file, version, keeps_old)?;
    }
    migrate(&transaction, version..MIGRATIONS.len())?;
    if version == 0 {
        let first = "INSERT INTO meta (id, commit_seq, catalog_seq, created_at) VALUES (1, 0, 0, ?1)";
        transaction.execute(first, [now])?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(
        None,
        "user_version",
        i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX),
    )?;
    transaction.commit()?;
    if version > 0 && version < MIGRATIONS.len() {
        opening::notice(&format!("{} has format {} now", file.display(), MIGRATIONS.len()));
    }
    Ok(())
}

/// Says what is going to happen, and keeps the old file if that is wanted. Nobody else writes meanwhile.
fn announce(file: &Path, version: usize, keeps_old: bool) -> Result<(), StoreError> {
    let kept = if keeps_old {
        let kept = backup::keep(file, version)?;
        let name = kept.display();
        format!("the old file is kept as {name}, to be removed when you don't need it any more")
    } else {
        "no copy of the old file is kept".to_owned()
    };
    let steps: Vec<&str> = MIGRATIONS.iter().skip(version).map(|step| step.words).collect();
    opening::notice(&format!(
        "{} has format {version}, which an older version of sessionmeter wrote; bringing it to format {} ({}); {kept}",
        file.display(),
        MIGRATIONS.len(),
        steps.join("; ")
    ));
    Ok(())
}

fn migrate(connection: &Connection, steps: Range<usize>) -> Result<(), StoreError> {
    for step in MIGRATIONS.iter().take(steps.end).skip(steps.start) {
        connection.execute_batch(step.sql)?;
        if let Some(more) = step.more {
            more(connection)?;
        }
    }
    Ok(())
}

/// Kind, name, table and SQL of everything that a format consists of.
type Objects = BTreeSet<(String, String, String, Option<String>)>;

/// What in a file is not as its format says, in words: tables, indexes, triggers, views.
pub(super) fn differences(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let ours = Connection::open_in_memory()?;
    migrate(&ours, 0..usize::try_from(version).unwrap_or(0))?;
    let (expected, found) = (objects(&ours)?, objects(connection)?);
    let name = |(kind, name, ..): &(String, String, String, Option<String>)| format!("{kind} {name}");
    let missing = expected
        .difference(&found)
        .map(|object| format!("the {} is missing or another one", name(object)));
    let ours: BTreeSet<String> = expected.iter().map(name).collect();
    let strange = found
        .difference(&expected)
        .map(name)
        .filter(|found| !ours.contains(found))
        .map(|found| format!("the {found} does not belong to a store of format {version}"));
    Ok(missing.chain(strange).collect())
}

/// What SQLite's own `ANALYZE` leaves behind is nobody's business.
fn objects(connection: &Connection) -> Result<Objects, StoreError> {
    let mut statement = connection
        .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'")?;
    let objects = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    Ok(objects.collect::<Result<_, _>>()?)
}

/// # Errors
/// For a file of an older format, which would have to be written.
pub(super) fn check_current(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    match check(connection, file)? {
        version if version == MIGRATIONS.len() => Ok(()),
        version => Err(StoreError::Unavailable(format!(
            "{} has format {version} and would have to be brought to format {}, but it can only be read here; copy it into \
             a directory of your own and name that with --data",
            file.display(),
            MIGRATIONS.len()
        ))),
    }
}

/// The format of a store, 0 for an empty file.
///
/// # Errors
/// As [`prepare`].
pub(super) fn check(connection: &Connection, file: &Path) -> Result<usize, StoreError> {
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let file = file.display();
    if tables == 0 && application == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(StoreError::Unusable(format!(
            "{file} is a database of another program, not a sessionmeter store"
        )));
    }
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(StoreError::Unusable(format!(
            "{file} has store format {version}, which a newer version of sessionmeter wrote; this one reads formats up to {}: upgrade it",
            MIGRATIONS.len()
        ))),
    }
}

/// Makes the rows of `days` of the quarter-hour counters of formats 1 and 2, without reading a session.
fn days_of_counters(connection: &Connection) -> Result<(), StoreError> {
    {
        // In an empty file there is no row yet, and no counter either.
        let seq = connection.query_row("SELECT COALESCE(MAX(commit_seq), 0) FROM meta", [], |row| {
            row.get(0)
        })?;
        let mut counters = connection.prepare(
            "SELECT app, quarter, sessions FROM counters WHERE sessions > 0 ORDER BY app, quarter",
        )?;
        let mut add =
            connection.prepare("INSERT INTO days (app, day, seq, totals) VALUES (?1, ?2, ?3, ?4)")?;
        let mut write = |of: Option<(i64, i64)>, totals: Totals| -> Result<(), StoreError> {
            if let Some((app, day)) = of {
                add.execute(params![app, day, seq, totals.encode(Label { app, day, seq })])?;
            }
            Ok(())
        };
        let mut rows = counters.query([])?;
        let (mut of, mut totals) = (None, Totals::default());
        while let Some(row) = rows.next()? {
            let (app, quarter): (i64, i64) = (row.get(0)?, row.get(1)?);
            let next = Some((app, quarter.div_euclid(96)));
            if next != of {
                write(of, std::mem::take(&mut totals))?;
                of = next;
            }
            totals.add(
                u8::try_from(quarter.rem_euclid(96)).unwrap_or_default(),
                row.get(2)?,
            );
        }
        write(of, totals)?;
    }
    connection.execute_batch("DROP TABLE counters")?;
    Ok(())
}
