//! What SQLite will not read of a journal that a crash left behind.
//!
//! SQLite plays a journal back up to the first frame that is not whole, and takes what stands behind for leftovers. After a
//! crash that is right: a frame that was being written is not whole, and what older journals left behind carries other
//! salts. But where a disk has changed a bit in the middle, all later frames carry the salts of this very journal, and
//! the transactions in them were acknowledged. A header that is not whole, zeros and frames of unknown salts are damage too. So the journal is looked at before SQLite opens the store: it is kept
//! aside as a copy, before the next checkpoint overwrites it, and is said.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::beside;
use super::opening::Access;
use crate::store::StoreError;
use crate::store::new_file::NewFile;

/// Ends the names of copies, before the salts that tell journals apart.
const KEPT: &str = "-wal.damaged-";
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The magic number; its last bit says that checksums are big-endian.
const MAGIC: u32 = 0x377f_0682;
/// Salts that differ in no more bits than this are the same with a bit changed.
const NEAR: u32 = 2;
/// How often a journal can have begun anew since what is left behind in it was written.
const GENERATIONS: u32 = 1 << 24;

/// What is lost of a journal unless somebody repairs the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    /// The last of them may not have been acknowledged, if it was being written when the process ended.
    pub(super) transactions: u64,
    /// Whether `transactions` is only the most that there can have been.
    is_bound: bool,
    /// The first frame that is not whole, from 1; 0: the header.
    stop: u64,
    salts: u64,
    /// Where the journal was kept.
    pub(super) kept: PathBuf,
}

impl Unread {
    /// For the log, and whoever runs `verify`.
    pub(super) fn in_words(&self) -> String {
        let lost = match (self.is_bound, self.transactions) {
            (true, most) => format!("an unknown number of transactions (up to {most})"),
            (false, 1) => "1 transaction behind the damage".to_owned(),
            (false, number) => format!("{number} transactions behind the damage"),
        };
        format!(
            "the journal was damaged when the store was opened: {lost} could not be read; if the last of \
             them was being written when the server ended, it was not acknowledged, all others were. The journal was kept \
             as {}; restore the last backup and deliver again what came after it, or remove that file to go on without",
            self.kept.display()
        )
    }
}

/// Looks at the journal of a store that nobody has open, and keeps a copy of it if a part will not be read.
///
/// # Errors
/// When it can't be read or kept: opening the store would destroy it.
pub(super) fn examine(file: &Path, access: Access) -> Result<Option<Unread>, StoreError> {
    if access != Access::Write {
        // Nothing is destroyed by opening it.
        return Ok(None);
    }
    let journal = beside(file, "-wal");
    let failed =
        |error: io::Error| StoreError::Unavailable(format!("can't read {}: {error}", journal.display()));
    let Some(found) = scan(&journal).map_err(failed)? else {
        return Ok(None);
    };
    // Another process may be writing: then what looked damaged was being written, and is whole by now.
    std::thread::sleep(Duration::from_millis(20));
    if scan(&journal).map_err(failed)? != Some(found) {
        return Ok(None);
    }
    let kept = beside(file, &format!("{KEPT}{:016x}", found.salts));
    keep(&journal, &kept).map_err(|error| {
        StoreError::Unavailable(format!(
            "{} is damaged and can't be kept as {}: {error}",
            journal.display(),
            kept.display()
        ))
    })?;
    Ok(Some(Unread {
        transactions: found.transactions,
        is_bound: found.is_bound,
        stop: found.stop,
        salts: found.salts,
        kept,
    }))
}

/// Journals that were kept beside a store.
pub(super) fn kept(file: &Path) -> Vec<PathBuf> {
    let Some(prefix) = beside(file, KEPT).file_name().map(std::ffi::OsStr::to_owned) else {
        return Vec::new();
    };
    let entries = file
        .parent()
        .and_then(|directory| std::fs::read_dir(directory).ok());
    let names = entries.into_iter().flatten().filter_map(Result::ok);
    let mut kept: Vec<PathBuf> = names
        .filter(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes())
        })
        .map(|entry| entry.path())
        .collect();
    kept.sort();
    kept
}

/// Whether a first workspace may be made. Beside a journal whose transactions could not be read, the old one may be in there,
/// with its key and its apps.
///
/// # Errors
/// [`StoreError::Conflict`] where such a journal was kept.
pub(super) fn check_founding(file: &Path) -> Result<(), StoreError> {
    let Some(kept) = kept(file).pop() else {
        return Ok(());
    };
    Err(StoreError::Conflict(format!(
        "the store has no workspace, but a journal that was damaged lies beside it: {}. Restore the last backup into another \
         directory, chosen with --data, or move that file away to begin anew",
        kept.display()
    )))
}

/// The same journal is kept once.
fn keep(journal: &Path, kept: &Path) -> io::Result<()> {
    let mut new = match NewFile::create(kept) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        new => new?,
    };
    io::copy(&mut File::open(journal)?, &mut new)?;
    new.finish().map(|_| ())
}

/// What stands behind the place at which SQLite stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    transactions: u64,
    is_bound: bool,
    stop: u64,
    salts: u64,
}

/// `None` where everything that carries the journal's salts will be read.
fn scan(journal: &Path) -> io::Result<Option<Found>> {
    let file = match File::open(journal) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut header = [0; HEADER];
    if !fill(&mut reader, &mut header)? {
        return Ok(None);
    }
    let mut sums = Sums {
        big_endian: number(&header, 0) & 1 == 1,
        sums: (0, 0),
    };
    sums.add(header.get(..24).unwrap_or_default());
    let page = usize::try_from(number(&header, 8)).unwrap_or(0);
    let is_page = page.is_power_of_two() && (512..=65_536).contains(&page);
    let is_whole = number(&header, 0) & !1 == MAGIC
        && is_page
        && sums.sums == (number(&header, 24), number(&header, 28));
    let mut salts = if is_whole { salts_of(&header, 16) } else { 0 };
    let page = if is_whole { page } else { guess_page_size(journal)? };
    let mut frame = vec![0; FRAME_HEADER + page];
    let mut found = Found {
        transactions: 0,
        is_bound: !is_whole,
        stop: 0,
        salts: 0,
    };
    let mut strange = Strange::default();
    let mut stopped = !is_whole;
    let mut position = 0;
    while fill(&mut reader, &mut frame)? {
        position += 1;
        let of_frame = salts_of(&frame, 8);
        let commits = number(&frame, 4) != 0;
        if !stopped {
            sums.add(frame.get(..8).unwrap_or_default());
            sums.add(frame.get(FRAME_HEADER..).unwrap_or_default());
            let whole = of_frame == salts
                && number(&frame, 0) != 0
                && sums.sums == (number(&frame, 16), number(&frame, 20));
            if whole {
                continue;
            }
            stopped = true;
            found.stop = position;
        }
        if !is_whole {
            // Which frames were this journal's can't be told without its header. The first salts tell copies apart.
            salts = if salts == 0 { of_frame } else { salts };
            found.transactions += u64::from(commits || of_frame == 0);
        } else if (of_frame ^ salts).count_ones() <= NEAR {
            found.transactions += u64::from(commits);
        } else if !is_older(of_frame, salts) {
            strange.add(&frame, sums.big_endian);
        }
    }
    let strange = strange.count();
    found.is_bound |= strange > 0;
    found.transactions += strange;
    found.salts = salts;
    Ok((found.transactions > 0).then_some(found))
}

/// Whether salts are those of a journal that was there before: whenever one begins anew, the first salt grows by one.
fn is_older(salts: u64, current: u64) -> bool {
    let first = |salts: u64| u32::try_from(salts >> 32).unwrap_or(0);
    (1..=GENERATIONS).contains(&first(current).wrapping_sub(first(salts))) && ![0, u64::MAX].contains(&salts)
}

/// Frames that belong neither to the journal nor to an older one that it follows.
///
/// After two crashes in a row, the first while a journal began, what is left behind can be of any salts. Such frames follow from
/// each other, which nothing does that a disk made up.
#[derive(Default)]
struct Strange {
    /// How many there are, by salts.
    frames: HashMap<u64, u64>,
    /// Salts of which a frame followed from the one before.
    written: HashSet<u64>,
    /// Salts and checksum of the last one.
    last: Option<(u64, (u32, u32))>,
}

impl Strange {
    fn add(&mut self, frame: &[u8], big_endian: bool) {
        let salts = salts_of(frame, 8);
        let stored = (number(frame, 16), number(frame, 20));
        *self.frames.entry(salts).or_default() += 1;
        if let Some((before, sums)) = self.last
            && before == salts
            && salts != 0
        {
            let mut sums = Sums { big_endian, sums };
            sums.add(frame.get(..8).unwrap_or_default());
            sums.add(frame.get(FRAME_HEADER..).unwrap_or_default());
            if sums.sums == stored {
                self.written.insert(salts);
            }
        }
        self.last = Some((salts, stored));
    }

    fn count(&self) -> u64 {
        let made_up = self
            .frames
            .iter()
            .filter(|(salts, _)| !self.written.contains(salts));
        made_up.map(|(_, count)| count).sum()
    }
}

/// The page size of the database beside a journal whose header can't be read.
fn guess_page_size(journal: &Path) -> io::Result<usize> {
    let name = journal.to_string_lossy();
    let mut file = File::open(name.strip_suffix("-wal").unwrap_or(&name))?;
    let mut bytes = [0; 2];
    file.seek(SeekFrom::Start(16))?;
    file.read_exact(&mut bytes)?;
    Ok(match u16::from_be_bytes(bytes) {
        1 => 65_536,
        size => usize::from(size).max(512),
    })
}

/// Reads a whole buffer; `false` where the file ends before.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// A big-endian number, 0 behind the end.
fn number(bytes: &[u8], at: usize) -> u32 {
    let found = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
    found.map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn salts_of(bytes: &[u8], at: usize) -> u64 {
    u64::from(number(bytes, at)) << 32 | u64::from(number(bytes, at + 4))
}

/// The running checksum of a journal.
struct Sums {
    big_endian: bool,
    sums: (u32, u32),
}

impl Sums {
    fn add(&mut self, bytes: &[u8]) {
        let (mut one, mut two) = self.sums;
        for &[a, b, c, d, e, f, g, h] in bytes.as_chunks::<8>().0 {
            let read = if self.big_endian {
                u32::from_be_bytes
            } else {
                u32::from_le_bytes
            };
            let (first, second) = (read([a, b, c, d]), read([e, f, g, h]));
            one = one.wrapping_add(first).wrapping_add(two);
            two = two.wrapping_add(second).wrapping_add(one);
        }
        self.sums = (one, two);
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;

    /// A database whose journal has `transactions`, as a crash leaves it: copied while it is open.
    fn crashed(transactions: usize) -> (TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let original = Connection::open(place.path().join("original")).unwrap();
        original
            .execute_batch(
                "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)",
            )
            .unwrap();
        for _ in 1..transactions {
            original
                .execute("INSERT INTO t VALUES (randomblob(9000))", [])
                .unwrap();
        }
        for suffix in ["", "-wal"] {
            let (from, to) = (format!("original{suffix}"), format!("db{suffix}"));
            std::fs::copy(place.path().join(from), place.path().join(to)).unwrap();
        }
        let file = place.path().join("db");
        (place, file)
    }

    #[test]
    fn an_honest_journal_is_read_whole() {
        let (_place, file) = crashed(5);
        assert_eq!(examine(&file, Access::Write).unwrap(), None);
        std::fs::remove_file(beside(&file, "-wal")).unwrap();
        assert_eq!(examine(&file, Access::Write).unwrap(), None);
    }

    #[test]
    fn a_journal_that_was_cut_off_anywhere_is_what_a_crash_leaves() {
        let (_place, file) = crashed(3);
        let journal = beside(&file, "-wal");
        let whole = std::fs::read(&journal).unwrap();
        for length in (0..whole.len()).step_by(997) {
            std::fs::write(&journal, &whole[..length]).unwrap();
            assert_eq!(examine(&file, Access::Write).unwrap(), None, "{length}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed_and_the_journal_is_kept() {
        let (_place, file) = crashed(6);
        let journal = beside(&file, "-wal");
        let whole = std::fs::read(&journal).unwrap();
        let frames = (whole.len() - HEADER) / (FRAME_HEADER + 8192);
        for at in (0..whole.len()).step_by(2_111).chain(8..32) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&journal, &bytes).unwrap();
            let found = examine(&file, Access::Write)
                .unwrap()
                .unwrap_or_else(|| panic!("byte {at} of {}", whole.len()));
            let frame = at.saturating_sub(HEADER) / (FRAME_HEADER + 8192);
            assert!(
                found.transactions >= 1 && found.transactions <= 6,
                "{at}: {found:?}"
            );
            assert!(
                found.stop <= frame as u64 + 1 && frame < frames,
                "{at}: {found:?}"
            );
            assert_eq!(std::fs::read(&found.kept).unwrap(), bytes);
            assert!(kept(&file).contains(&found.kept));
            std::fs::remove_file(found.kept).unwrap();
        }
    }

    #[test]
    fn a_header_that_is_gone_and_frames_of_zeros_are_noticed() {
        let (_place, file) = crashed(6);
        let journal = beside(&file, "-wal");
        let whole = std::fs::read(&journal).unwrap();
        let frame = FRAME_HEADER + 8192;
        for (range, filler) in [
            (0..HEADER, 0),
            (0..4096, 0),
            (0..HEADER + frame, 0),
            (0..whole.len(), 0),
            (whole.len() - frame..whole.len(), 0),
            (whole.len() - 2 * frame..whole.len(), 0),
            (HEADER + frame..whole.len(), 0),
            (HEADER + frame..whole.len(), 0xff),
        ] {
            let mut bytes = whole.clone();
            bytes[range.clone()].fill(filler);
            std::fs::write(&journal, &bytes).unwrap();
            let found = examine(&file, Access::Write).unwrap();
            let found = found.unwrap_or_else(|| panic!("{range:?}"));
            let said = found.in_words();
            assert!(
                found.transactions >= 1 && said.contains("an unknown number of transactions (up to "),
                "{said}"
            );
            assert_eq!(std::fs::read(&found.kept).unwrap(), bytes);
            std::fs::remove_file(found.kept).unwrap();
        }
        std::fs::write(&journal, "").unwrap();
        assert_eq!(examine(&file, Access::Write).unwrap(), None);
    }

    #[test]
    fn what_an_unrelated_journal_left_behind_is_nothing() {
        let (_one, file) = crashed(3);
        let (_other, older) = crashed(9);
        let mut bytes = std::fs::read(beside(&file, "-wal")).unwrap();
        let older = std::fs::read(beside(&older, "-wal")).unwrap();
        bytes.extend_from_slice(&older[bytes.len()..]);
        std::fs::write(beside(&file, "-wal"), bytes).unwrap();
        assert_eq!(examine(&file, Access::Write).unwrap(), None);
    }

    #[test]
    fn what_an_older_journal_left_behind_is_nothing() {
        let place = tempfile::tempdir().unwrap();
        let original = Connection::open(place.path().join("original")).unwrap();
        let insert = "INSERT INTO t VALUES (randomblob(9000))";
        original
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)")
            .unwrap();
        for _ in 0..10 {
            original.execute(insert, []).unwrap();
        }
        original.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
        original.execute(insert, []).unwrap();
        let file = place.path().join("original");
        assert_eq!(scan(&beside(&file, "-wal")).unwrap(), None);
    }
}
