//! What is to be imported: files, directories and patterns into a list of files with their formats.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use tempfile::NamedTempFile;

use crate::cli::usage_error;

const STDIN: &str = "-";

/// Formats of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A session a line, in JSON (.ndjson, .jsonl, .json)
    Ndjson,
    /// A header row, then a session a row (.csv, .tsv)
    Csv,
    /// Columns with types, compressed or not (.parquet)
    Parquet,
    /// Braze Currents: events SessionStart and SessionEnd in Avro files (.avro)
    Currents,
}

impl Format {
    /// Whether it has columns with names.
    pub(super) fn is_a_table(self) -> bool {
        matches!(self, Self::Csv | Self::Parquet)
    }

    /// By a file's name, of which an ending for its compression is passed over.
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = [".gz", ".zst", ".zstd"]
            .iter()
            .find_map(|ending| name.strip_suffix(ending))
            .unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            "csv" | "tsv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            "avro" => Some(Self::Currents),
            _ => None,
        }
    }
}

/// One file, or standard input.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) path: PathBuf,
    /// Bytes on disk; `None` for what is no regular file.
    pub(super) size: Option<u64>,
    pub(super) format: Format,
    /// A copy of standard input, or of a file without its compression.
    pub(super) spooled: Option<NamedTempFile>,
}

/// The inputs that were named, and the files in directories that are in no known format.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) files: Vec<Input>,
    pub(super) passed_over: Vec<(PathBuf, &'static str)>,
}

const NO_FORMAT: &str = "its name tells no format";
const NO_FILE: &str = "it is no regular file";

/// Finds everything that was named.
///
/// # Errors
/// When something can't be read: found out before anything is recorded.
pub(super) fn find(paths: &[PathBuf], format: Option<Format>) -> anyhow::Result<Inputs> {
    if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(usage_error("standard input (-) can be read only once"));
    }
    let mut inputs = Inputs::default();
    for path in paths {
        match pattern(path) {
            Some(pattern) => inputs.add_matches(pattern, format)?,
            None => inputs.add(path, format)?,
        }
    }
    if inputs.files.is_empty() {
        bail!("there is nothing to import in {}", paths_in_words(paths));
    }
    Ok(inputs)
}

impl Inputs {
    fn add(&mut self, path: &Path, format: Option<Format>) -> anyhow::Result<()> {
        let mut size = None;
        if !is_stdin(path) {
            let metadata =
                std::fs::metadata(path).with_context(|| format!("can't read {}", path.display()))?;
            if metadata.is_dir() {
                return self.add_directory(path, format);
            }
            size = metadata.is_file().then_some(metadata.len());
        }
        self.files.push(Input {
            path: path.to_owned(),
            size,
            format: format.or_else(|| Format::of(path)).unwrap_or(Format::Ndjson),
            spooled: None,
        });
        Ok(())
    }

    /// Everything in it, by name. Hidden files, and those that mark a finished export, are nobody's data.
    fn add_directory(&mut self, directory: &Path, format: Option<Format>) -> anyhow::Result<()> {
        let failed = || format!("can't read {}", directory.display());
        let mut entries = std::fs::read_dir(directory)
            .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
            .with_context(failed)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            if matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_')) {
                continue;
            }
            let path = entry.path();
            // A link to a directory is not followed: it may lead back here.
            if entry.file_type().with_context(failed)?.is_dir() {
                self.add_directory(&path, format)?;
            } else if format.is_none() && Format::of(&path).is_none() {
                self.passed_over.push((path, NO_FORMAT));
            } else if is_special(&path) {
                // Nobody may ever write into a pipe that merely lies there.
                self.passed_over.push((path, NO_FILE));
            } else {
                self.add(&path, format)?;
            }
        }
        Ok(())
    }

    fn add_matches(&mut self, pattern: &str, format: Option<Format>) -> anyhow::Result<()> {
        // As in a shell.
        let options = glob::MatchOptions {
            require_literal_leading_dot: true,
            require_literal_separator: true,
            ..glob::MatchOptions::default()
        };
        let matches =
            glob::glob_with(pattern, options).with_context(|| format!("'{pattern}' is no pattern"))?;
        let mut matched = false;
        for path in matches {
            let path = path?;
            matched = true;
            if is_special(&path) && !path.is_dir() {
                self.passed_over.push((path, NO_FILE));
            } else {
                self.add(&path, format)?;
            }
        }
        if !matched {
            bail!("no file matches '{pattern}'");
        }
        Ok(())
    }
}

impl Input {
    /// As messages call it.
    pub(super) fn name(&self) -> String {
        if self.is_stdin() {
            "standard input".to_owned()
        } else {
            self.path.display().to_string()
        }
    }

    pub(super) fn is_stdin(&self) -> bool {
        is_stdin(&self.path)
    }
}

/// Whether it is there and neither a file nor a link to one: a pipe, a socket, a device, or a link to a directory.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new(STDIN)
}

/// A name with `*`, `?` or `[` that is no file's name.
fn pattern(path: &Path) -> Option<&str> {
    let text = path.to_str()?;
    (text.contains(['*', '?', '[']) && !path.exists()).then_some(text)
}

fn paths_in_words(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths
        .iter()
        .take(5)
        .map(|path| path.display().to_string())
        .collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_names() {
        for (name, format) in [
            ("a.ndjson", Some(Format::Ndjson)),
            ("a.JSON.gz", Some(Format::Ndjson)),
            ("dir.csv/a.jsonl.zst", Some(Format::Ndjson)),
            ("a.csv", Some(Format::Csv)),
            ("a.csv.gz", Some(Format::Csv)),
            ("part-0.avro", Some(Format::Currents)),
            ("a.parquet", Some(Format::Parquet)),
            ("csv", None),
            ("a.txt", None),
            ("a.gz", None),
        ] {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn directories_are_read_in_order_and_what_is_unknown_is_named() {
        let directory = tempfile::TempDir::new().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("b/c")).unwrap();
        for name in [
            "b/c/2.csv",
            "b/1.csv.gz",
            "a.ndjson",
            "notes.txt",
            ".hidden.csv",
            "_SUCCESS",
        ] {
            std::fs::write(root.join(name), "").unwrap();
        }
        let names = |paths: &[PathBuf], format| {
            let inputs = find(paths, format).unwrap();
            let relative = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
            let files: Vec<String> = inputs.files.iter().map(|input| relative(&input.path)).collect();
            let others: Vec<String> = inputs
                .passed_over
                .iter()
                .map(|(path, _)| relative(path))
                .collect();
            (files.join(" "), others.join(" "))
        };
        let all = [root.to_owned()];
        assert_eq!(
            names(&all, None),
            ("a.ndjson b/1.csv.gz b/c/2.csv".into(), "notes.txt".into())
        );
        assert_eq!(
            names(&all, Some(Format::Csv)).0,
            "a.ndjson b/1.csv.gz b/c/2.csv notes.txt"
        );
        assert_eq!(names(&[root.join("**/*.csv")], None).0, "b/c/2.csv");
        assert!(
            find(&[root.join("*.parquet")], None)
                .unwrap_err()
                .to_string()
                .contains("no file matches")
        );
        assert!(find(&[root.join("none")], None).is_err());
    }
}
