//! A new file that appears under its name only when it is complete.
//!
//! Whatever a command writes for somebody to keep holds ids of people, and may be written into a directory that others
//! can write to. So the bytes go into a file of a random name beside the place, which is made new, is closed to other
//! users and is gone if it is not finished. Nothing is ever replaced, and no link is ever followed.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// See the module.
#[derive(Debug)]
pub struct NewFile {
    partial: NamedTempFile,
    file: PathBuf,
}

impl NewFile {
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if something has this name, a link that leads nowhere included; otherwise what the
    /// operating system says.
    pub fn create(file: &Path) -> io::Result<Self> {
        if is_taken(file) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut prefix = name.to_owned();
        prefix.push(".");
        // The library opens with O_EXCL and mode 0600.
        let partial = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(".partial")
            .tempfile_in(directory(file))?;
        Ok(Self {
            partial,
            file: file.to_owned(),
        })
    }

    /// Where the bytes are until the file is finished.
    pub fn partial(&self) -> &Path {
        self.partial.path()
    }

    /// The open file, without a name of its own yet.
    pub fn as_file_mut(&mut self) -> &mut File {
        self.partial.as_file_mut()
    }

    /// Syncs the file, gives it its name, and syncs the directory that now names it; the size.
    ///
    /// # Errors
    /// As [`NewFile::create`]; then nothing is left.
    pub fn finish(self) -> io::Result<u64> {
        self.partial.as_file().sync_all()?;
        let bytes = self.partial.as_file().metadata()?.len();
        self.partial
            .persist_noclobber(&self.file)
            .map_err(|error| error.error)?;
        File::open(directory(&self.file))?.sync_all()?;
        Ok(bytes)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.partial.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.partial.flush()
    }
}

/// Whether something has this name, even a link that leads nowhere.
pub fn is_taken(file: &Path) -> bool {
    file.symlink_metadata().is_ok()
}

fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_closed_to_others_and_gets_its_name_at_the_end() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("backup");
        let mut new = NewFile::create(&file).unwrap();
        new.write_all(b"content").unwrap();
        assert!(!file.exists());
        assert_eq!(new.finish().unwrap(), 7);
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_replaced_and_no_link_is_followed() {
        let place = tempfile::tempdir().unwrap();
        let (file, elsewhere) = (place.path().join("backup"), place.path().join("elsewhere"));
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        let taken = NewFile::create(&file).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        std::fs::remove_file(&file).unwrap();
        let new = NewFile::create(&file).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        assert_eq!(new.finish().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(!elsewhere.exists());
        assert_eq!(
            std::fs::read_dir(place.path()).unwrap().count(),
            1,
            "only the link is left"
        );
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        drop(NewFile::create(&place.path().join("backup")).unwrap());
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
