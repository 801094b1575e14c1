//! Whether the files that are open are still those that have the store's names.
//!
//! A file that was deleted or replaced goes on taking what is written to it, and all of that is gone when the process
//! ends. So the names are looked up before and after each commit, which takes microseconds.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::beside;
use crate::store::StoreError;

const JOURNAL: &str = "-wal";

/// Device and inode.
type Identity = (u64, u64);

/// The database and the files that SQLite keeps beside it, as they were when they were opened.
#[derive(Debug)]
pub(super) struct FileIdentity {
    known: Vec<(PathBuf, Identity)>,
    database: PathBuf,
    journal: PathBuf,
}

impl FileIdentity {
    /// Of the files that are there now, right after a connection has opened them.
    pub(super) fn of(file: &Path) -> Self {
        let files = ["", JOURNAL, "-shm"].map(|suffix| beside(file, suffix));
        let known = files.into_iter().filter_map(|file| {
            let identity = identity(&file).ok()??;
            Some((file, identity))
        });
        Self {
            known: known.collect(),
            database: file.to_owned(),
            journal: beside(file, JOURNAL),
        }
    }

    /// How long the journal is; `None` where that can't be told, or it is not the one that was opened.
    pub(super) fn journal_bytes(&self) -> Option<u64> {
        let metadata = std::fs::metadata(&self.journal).ok()?;
        let now = (metadata.dev(), metadata.ino());
        let opened = self.known.iter().find(|(file, _)| *file == self.journal);
        opened
            .is_some_and(|(_, opened)| *opened == now)
            .then_some(metadata.len())
    }

    /// Whether the database is the one that was opened, and nothing is where its journal was: what is in the journal, which is
    /// still open, can be moved into the database.
    pub(super) fn is_only_the_journal_gone(&self) -> bool {
        let is_fine = |(file, opened): &(PathBuf, Identity)| match identity(file) {
            Ok(Some(now)) => now == *opened && *file != self.journal,
            Ok(None) => *file != self.database,
            Err(_) => false,
        };
        self.known.iter().all(is_fine)
    }

    /// # Errors
    /// [`StoreError::Unusable`] if a file was deleted or replaced, [`StoreError::Unavailable`] if that can't be told.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (file, opened) in &self.known {
            let now = identity(file).map_err(|error| {
                StoreError::Unavailable(format!("can't look for {}: {error}", file.display()))
            })?;
            let what = match now {
                Some(now) if now == *opened => continue,
                Some(_) => "replaced",
                None => "deleted",
            };
            return Err(StoreError::Unusable(format!(
                "{} was {what} while it was open: nothing can be recorded any more; stop this process, put the file back \
                 or restore a backup, and start again",
                file.display()
            )));
        }
        Ok(())
    }
}

fn identity(file: &Path) -> io::Result<Option<Identity>> {
    match std::fs::metadata(file) {
        Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_deleted_or_replaced_is_named_and_one_that_was_put_back_is_fine() {
        let place = tempfile::tempdir().unwrap();
        let (file, aside) = (place.path().join("db"), place.path().join("aside"));
        std::fs::write(&file, "opened").unwrap();
        std::fs::write(beside(&file, "-wal"), "").unwrap();
        let opened = FileIdentity::of(&file);
        assert!(opened.check().is_ok());
        std::fs::rename(&file, &aside).unwrap();
        let deleted = opened.check().unwrap_err().to_string();
        assert!(deleted.contains("db was deleted"), "{deleted}");
        std::fs::write(&file, "another").unwrap();
        let replaced = opened.check().unwrap_err().to_string();
        assert!(replaced.contains("db was replaced"), "{replaced}");
        std::fs::rename(&aside, &file).unwrap();
        assert!(opened.check().is_ok());
        std::fs::remove_file(beside(&file, "-wal")).unwrap();
        let journal = opened.check().unwrap_err().to_string();
        assert!(journal.contains("db-wal was deleted"), "{journal}");
        assert!(opened.is_only_the_journal_gone());
        std::fs::remove_file(&file).unwrap();
        assert!(!opened.is_only_the_journal_gone());
    }
}
